// Package opaque makes and reads credentials that mean nothing by themselves: keys of applications, tokens of a login.
//
//	kind "_" id "_" secret
//
// The id says where the store has a digest of the whole, and the secret of 130 random bits cannot be guessed, so that a
// plain SHA-256 is enough: there is nothing that a slow hash would protect. Who finds one in a log or in a repository sees by its
// kind what it is.
package opaque

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"strings"
)

// Kinds of credentials.
const (
	AppKey  = "pk" // of an application
	Access  = "pa" // of a login, for requests
	Refresh = "pr" // of a login, for the next two tokens

	Invitation = "pi" // to a meeting
)

// size is how long ids and secrets are: 26 letters and digits of base32.
const size = 26

// NewID returns an id that no other has.
func NewID() string { return rand.Text() }

// New returns a new credential of that kind and id, and the digest to keep.
func New(kind, id string) (credential string, digest []byte) {
	credential = kind + "_" + id + "_" + rand.Text()
	return credential, sum(credential)
}

// Read returns the kind and id of a credential and the digest that it should have. It is "" for what is none.
func Read(credential string) (kind, id string, digest []byte) {
	if len(credential) != 2+1+size+1+size || credential[2] != '_' || credential[3+size] != '_' {
		return "", "", nil
	}
	for _, part := range []string{credential[3 : 3+size], credential[4+size:]} {
		if strings.Trim(part, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
			return "", "", nil
		}
	}
	kind = credential[:2]
	if kind != AppKey && kind != Access && kind != Refresh && kind != Invitation {
		return "", "", nil
	}
	return kind, credential[3 : 3+size], sum(credential)
}

// Is reports in constant time that a digest is the one that is kept.
func Is(digest, kept []byte) bool { return subtle.ConstantTimeCompare(digest, kept) == 1 }

func sum(credential string) []byte {
	d := sha256.Sum256([]byte(credential))
	return d[:]
}
