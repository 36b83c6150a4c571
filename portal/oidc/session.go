package oidc

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// A session is what the client holds of a login that has begun, as base64url:
//
//	random (16) expires (8, Unix seconds) redirect (the rest) MAC (32)
//
// State, nonce and verifier are made of it by the key, so that none of them needs to be kept, and none says anything of another.
const (
	randomSize      = 16
	headSize        = randomSize + 8
	longestRedirect = 1024
)

// Life is how long a login may take from beginning to end.
const Life = 10 * time.Minute

type session struct {
	key      []byte
	content  string // all but the MAC
	redirect string
	expires  time.Time
}

func newSession(key []byte, redirect string, now time.Time) session {
	head := make([]byte, headSize)
	rand.Read(head[:randomSize])
	s := session{key: key, redirect: redirect, expires: now.Add(Life).Truncate(time.Second)}
	binary.BigEndian.PutUint64(head[randomSize:], uint64(s.expires.Unix()))
	s.content = string(head) + redirect
	return s
}

// text is the session as its client has it.
func (s *session) text() string {
	return base64.RawURLEncoding.EncodeToString(append([]byte(s.content), s.sum("session")...))
}

// readSession reads a session that this server has made; false: it has not.
func readSession(key []byte, text string) (s session, ok bool) {
	if len(text) > base64.RawURLEncoding.EncodedLen(headSize+longestRedirect+sha256.Size) {
		return s, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) < headSize+sha256.Size {
		return s, false
	}
	end := len(raw) - sha256.Size
	s = session{key: key, content: string(raw[:end]), redirect: string(raw[headSize:end])}
	s.expires = time.Unix(int64(binary.BigEndian.Uint64(raw[randomSize:headSize])), 0)
	if !hmac.Equal(raw[end:], s.sum("session")) {
		return session{}, false
	}
	return s, true
}

func (s *session) sum(what string) []byte {
	m := hmac.New(sha256.New, s.key)
	m.Write([]byte("oidc " + what + "\x00" + s.content))
	return m.Sum(nil)
}

// derive is a value of 256 bits that only this server can make of the session. It has the form of a verifier (RFC 7636 §4.1).
func (s *session) derive(what string) string {
	return base64.RawURLEncoding.EncodeToString(s.sum(what))
}

// challenge is S256 of the verifier (RFC 7636 §4.2).
func (s *session) challenge() string {
	sum := sha256.Sum256([]byte(s.derive("verifier")))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
