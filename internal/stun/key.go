package stun

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"hash"
)

// Key makes and checks MESSAGE-INTEGRITY (RFC 8489 §14.5). It keeps the state of the hash, so that from the second time on
// neither allocates. It is not safe for concurrent use.
type Key struct {
	mac  hash.Hash
	used bool
	head [4]byte // of the message, with another length
	out  [sha1.Size]byte
}

// NewKey returns the key for a short-term password (RFC 8489 §9.1.1) or for the hash that the long-term mechanism makes
// (§9.2.2). ICE passwords are ASCII, so that no OpaqueString profile is applied.
func NewKey[T string | []byte](secret T) *Key {
	return &Key{mac: hmac.New(sha1.New, []byte(secret))}
}

// sum returns the HMAC over the first n bytes of a message as if MESSAGE-INTEGRITY ended it. It is valid until the next
// call.
func (k *Key) sum(message []byte, n int) []byte {
	copy(k.head[:], message)
	binary.BigEndian.PutUint16(k.head[2:], uint16(n+24-header))
	if k.used { // the first Reset costs memory, which a key that is used once does not need
		k.mac.Reset()
	}
	k.used = true
	k.mac.Write(k.head[:])
	k.mac.Write(message[4:n])
	return k.mac.Sum(k.out[:0])
}

// Made reports that the message carries a MESSAGE-INTEGRITY made with the key. It compares in constant time and leaves
// the bytes of the message as they are.
func (k *Key) Made(m *Message) bool {
	if !m.Has(MessageIntegrity) {
		return false
	}
	return hmac.Equal(k.sum(m.raw, m.integrity), m.raw[m.integrity+4:m.integrity+24])
}
