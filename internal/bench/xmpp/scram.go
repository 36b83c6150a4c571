package xmpp

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"sync"
)

// mechanism is a hash of SCRAM (RFC 5802).
type mechanism struct {
	name string
	hash func() hash.Hash
	size int
}

var mechanisms = map[string]*mechanism{
	"SCRAM-SHA-1":   {"SCRAM-SHA-1", sha1.New, sha1.Size},
	"SCRAM-SHA-256": {"SCRAM-SHA-256", sha256.New, sha256.Size},
}

// salted remembers salted passwords (RFC 5802 §5.1 lets a client do so): ten thousand logins to five hundred accounts
// shall cost the generator five hundred of them.
var salted struct {
	sync.Mutex
	keys map[string][]byte
}

func (m *mechanism) salted(password string, salt []byte, iterations int) ([]byte, error) {
	id := fmt.Sprint(m.name, iterations, password, salt)
	salted.Lock()
	key := salted.keys[id]
	salted.Unlock()
	if key != nil {
		return key, nil
	}
	key, err := pbkdf2.Key(m.hash, password, salt, iterations, m.size)
	if err != nil {
		return nil, err
	}
	salted.Lock()
	if salted.keys == nil {
		salted.keys = make(map[string][]byte)
	}
	salted.keys[id] = key
	salted.Unlock()
	return key, nil
}

func (m *mechanism) mac(key []byte, text string) []byte {
	h := hmac.New(m.hash, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// scram is one exchange without channel binding.
type scram struct {
	m         *mechanism
	password  string
	bare      string // client-first-message-bare
	nonce     string
	signature []byte // what the server must prove
}

// first returns the client-first-message.
func (m *mechanism) first(user, password string) (*scram, string) {
	nonce := rand.Text()
	s := &scram{m: m, password: password, nonce: nonce, bare: "n=" + user + ",r=" + nonce}
	return s, "n,," + s.bare
}

var errScram = errors.New("xmpp: the server's SCRAM message is wrong")

// final takes the server-first-message and returns the client-final-message.
func (s *scram) final(serverFirst string) (string, error) {
	var nonce string
	var salt []byte
	var iterations int
	var err error
	for part := range strings.SplitSeq(serverFirst, ",") {
		k, v, _ := strings.Cut(part, "=")
		switch k {
		case "r":
			nonce = v
		case "s":
			salt, err = base64.StdEncoding.DecodeString(v)
		case "i":
			iterations, err = strconv.Atoi(v)
		}
		if err != nil {
			return "", errScram
		}
	}
	if !strings.HasPrefix(nonce, s.nonce) || len(nonce) == len(s.nonce) || len(salt) == 0 || iterations < 1 || iterations > 1e6 {
		return "", errScram
	}
	key, err := s.m.salted(s.password, salt, iterations)
	if err != nil {
		return "", err
	}
	bare := "c=biws,r=" + nonce
	signed := s.bare + "," + serverFirst + "," + bare
	client := s.m.mac(key, "Client Key")
	h := s.m.hash()
	h.Write(client)
	proof := s.m.mac(h.Sum(nil), signed)
	subtle.XORBytes(proof, proof, client)
	s.signature = s.m.mac(s.m.mac(key, "Server Key"), signed)
	return bare + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
}

// verify checks the server-final-message.
func (s *scram) verify(serverFinal string) error {
	v, ok := strings.CutPrefix(serverFinal, "v=")
	got, err := base64.StdEncoding.DecodeString(v)
	if !ok || err != nil || !hmac.Equal(got, s.signature) {
		return errScram
	}
	return nil
}
