package ice

import (
	"crypto/rand"
	"encoding/binary"
	"errors"

	"parley/internal/stun"
)

// Credentials are a username fragment and its password (RFC 8445 §5.3). The password is a secret: it is not logged.
type Credentials struct{ Ufrag, Pwd string }

// The lengths of our credentials in characters of six random bits; RFC 8445 §5.3 asks for 24 and 128 bits at least.
const (
	ufragLength = 8
	pwdLength   = 24
)

// ErrCredentials says that a peer's credentials are not what RFC 8839 §5.4 allows.
var ErrCredentials = errors.New("ice: credentials are malformed")

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

func text(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	for i := range b {
		b[i] = alphabet[b[i]%64]
	}
	return string(b)
}

func newCredentials() Credentials { return Credentials{text(ufragLength), text(pwdLength)} }

// valid reports that a peer's credentials keep the grammar: 4 to 256 and 22 to 256 ice-chars.
func (c Credentials) valid() bool {
	return len(c.Ufrag) >= 4 && len(c.Pwd) >= 22 && chars(c.Ufrag) && chars(c.Pwd)
}

// chars reports that s is at most 256 ice-chars. Browsers and libraries also write what is not: '-', '_', '=' are let pass.
func chars(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '+' && c != '/' && c != '-' && c != '_' && c != '=' {
			return false
		}
	}
	return len(s) <= 256
}

func newID() (id stun.ID) {
	rand.Read(id[:])
	return id
}

func newTieBreaker() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:])
}
