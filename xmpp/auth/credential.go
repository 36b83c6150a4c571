package auth

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"

	"parley/internal/store"
)

// Of new credentials, and of those that unknown users are shown.
const (
	iterations = 10_000
	saltSize   = 16 // bytes
)

// scramHash is a member of the SCRAM family.
type scramHash struct {
	name string
	new  func() hash.Hash
	size int // bytes
}

// hashes is the family, best first. -SHA-512 is not registered, and widely spoken.
var hashes = []scramHash{
	{"SCRAM-SHA-512", sha512.New, sha512.Size},
	{"SCRAM-SHA-256", sha256.New, sha256.Size},
	{"SCRAM-SHA-1", sha1.New, sha1.Size},
}

const plainHash = 1 // PLAIN checks passwords against SCRAM-SHA-256

func (h *scramHash) sum(b []byte) []byte {
	d := h.new()
	d.Write(b)
	return d.Sum(nil)
}

// NewCredentials returns what is stored for a password: a credential for each hash, with its own salt. An empty password
// and one that cannot be prepared are refused. It takes a few milliseconds.
func NewCredentials(password string) ([]store.Credential, error) {
	prepared, err := prepare(password)
	if err != nil {
		return nil, err
	}
	var list []store.Credential
	for _, h := range hashes {
		salt := make([]byte, saltSize)
		rand.Read(salt)
		c, err := newCredential(&h, prepared, salt, iterations)
		if err != nil {
			return nil, fmt.Errorf("auth: %w", err)
		}
		list = append(list, c)
	}
	return list, nil
}

// newCredential is RFC 5802 §3.
func newCredential(h *scramHash, prepared string, salt []byte, iterations int) (store.Credential, error) {
	salted, err := pbkdf2.Key(h.new, prepared, salt, iterations, h.size)
	if err != nil {
		return store.Credential{}, err
	}
	mac := func(text string) []byte {
		m := hmac.New(h.new, salted)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	return store.Credential{
		Mechanism: h.name, Salt: salt, Iterations: iterations,
		StoredKey: h.sum(mac("Client Key")), ServerKey: mac("Server Key"),
	}, nil
}

func (u *user) has(mechanism string) bool {
	for i := range u.account.Credentials {
		if u.account.Credentials[i].Mechanism == mechanism {
			return true
		}
	}
	return false
}

// credential returns the user's credential for a hash. Where there is none it returns one that looks like it, the same
// each time, that no password fits: its StoredKey is zero, and nobody knows what hashes to zero. The pretence is made
// for everybody, so that it costs everybody the same.
func (s *Server) credential(u *user, h *scramHash) (c store.Credential, real bool) {
	c = store.Credential{
		Mechanism: h.name, Iterations: iterations, StoredKey: make([]byte, h.size), ServerKey: make([]byte, h.size),
		Salt: s.mac(sha256.New, s.secret, "salt\x00", h.name, "\x00", u.name)[:saltSize],
	}
	for _, stored := range u.account.Credentials {
		if stored.Mechanism == h.name && len(stored.StoredKey) == h.size && len(stored.ServerKey) == h.size && stored.Iterations > 0 {
			return stored, u.found
		}
	}
	return c, false
}
