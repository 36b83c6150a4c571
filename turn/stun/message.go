package stun

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
)

// What Parse returns. They are values so that refusing costs no memory.
var (
	ErrHeader      = errors.New("stun: not a STUN header")
	ErrLength      = errors.New("stun: length differs from the bytes given")
	ErrAttribute   = errors.New("stun: attribute longer than the message")
	ErrSize        = errors.New("stun: attribute of a size or family that it cannot have")
	ErrCount       = errors.New("stun: too many attributes")
	ErrFingerprint = errors.New("stun: fingerprint is wrong or not last")
)

// ID is a transaction id (RFC 8489 §5).
type ID [12]byte

// Message is one parsed message. Its slices point into the bytes that were parsed and are valid as long as those are.
// Of an attribute that occurs twice the first counts (RFC 8489 §14), except for XOR-PEER-ADDRESS; attributes behind
// MESSAGE-INTEGRITY are not read (RFC 8489 §14.5). A Message is reused by parsing into it again.
type Message struct {
	Method Method
	Class  Class
	ID     ID

	Username, Realm, Nonce, Data, Token []byte

	Peers     []netip.AddrPort // XOR-PEER-ADDRESS, all of them
	Relayed   netip.AddrPort   // XOR-RELAYED-ADDRESS
	Mapped    netip.AddrPort   // XOR-MAPPED-ADDRESS
	Code      int              // ERROR-CODE, 0 where the number is none
	Channel   uint16           // CHANNEL-NUMBER
	Lifetime  uint32           // LIFETIME in seconds
	Family    uint8            // REQUESTED-ADDRESS-FAMILY: IPv4, IPv6 or what the peer made up
	Transport uint8            // REQUESTED-TRANSPORT: an IP protocol number
	EvenPort  uint8            // EVEN-PORT: 0x80 asks to reserve the next port as well

	Unknown []Attr // attributes that must be understood and are unknown here

	raw       []byte
	has       uint64
	integrity int // offset of MESSAGE-INTEGRITY in raw
}

// Has reports that the message carries an attribute; of those below 0x8000 it knows the ones that Message has fields for.
func (m *Message) Has(t Attr) bool {
	if t == Fingerprint {
		t = 0
	}
	return t < 64 && m.has&(1<<t) != 0
}

// Parse reads a message that fills b exactly.
func (m *Message) Parse(b []byte) error {
	*m = Message{Peers: m.Peers[:0], Unknown: m.Unknown[:0], raw: b}
	if len(b) < header || b[0]>>6 != 0 || binary.BigEndian.Uint32(b[4:]) != cookie {
		return ErrHeader
	}
	length := int(binary.BigEndian.Uint16(b[2:]))
	if length%4 != 0 || header+length != len(b) || len(b) > MaxMessage {
		return ErrLength
	}
	m.Method, m.Class = split(binary.BigEndian.Uint16(b))
	m.ID = ID(b[8:header])
	for at, n := header, 0; at < len(b); n++ {
		if n == maxAttrs {
			return ErrCount
		}
		if len(b)-at < 4 || m.Has(Fingerprint) {
			return ErrAttribute
		}
		t, size := Attr(binary.BigEndian.Uint16(b[at:])), int(binary.BigEndian.Uint16(b[at+2:]))
		end := at + 4 + (size+3)&^3
		if end > len(b) {
			return ErrAttribute
		}
		v := b[at+4 : at+4+size]
		if !sized(t, v) {
			return ErrSize
		}
		switch {
		case t == Fingerprint:
			if end != len(b) || binary.BigEndian.Uint32(v) != crc32.ChecksumIEEE(b[:at])^fingerprint {
				return ErrFingerprint
			}
			m.has |= 1
		case m.Has(MessageIntegrity):
		case t == MessageIntegrity:
			m.integrity = at
			m.has |= 1 << t
		default:
			m.take(t, v)
		}
		at = end
	}
	return nil
}

// take keeps the value of an attribute that sized allows.
func (m *Message) take(t Attr, v []byte) {
	if t == XORPeerAddress {
		m.Peers = append(m.Peers, m.address(v))
	}
	if m.Has(t) {
		return
	}
	if t >= 64 || known&(1<<t) == 0 {
		if t < 0x8000 {
			m.Unknown = append(m.Unknown, t)
		}
		return
	}
	m.has |= 1 << t
	switch t {
	case Username:
		m.Username = v
	case Realm:
		m.Realm = v
	case Nonce:
		m.Nonce = v
	case Data:
		m.Data = v
	case ReservationToken:
		m.Token = v
	case XORRelayedAddress:
		m.Relayed = m.address(v)
	case XORMappedAddress:
		m.Mapped = m.address(v)
	case ErrorCode:
		if v[2] >= 3 && v[2] <= 6 && v[3] < 100 {
			m.Code = int(v[2])*100 + int(v[3])
		}
	case ChannelNumber:
		m.Channel = binary.BigEndian.Uint16(v)
	case Lifetime:
		m.Lifetime = binary.BigEndian.Uint32(v)
	case RequestedAddressFamily:
		m.Family = v[0]
	case RequestedTransport:
		m.Transport = v[0]
	case EvenPort:
		m.EvenPort = v[0]
	}
}

// address undoes the XOR of an address (RFC 8489 §14.2). The address stays in the family it was written in: one that is
// mapped into IPv6 is not unmapped.
func (m *Message) address(v []byte) netip.AddrPort {
	port := binary.BigEndian.Uint16(v[2:]) ^ cookie>>16
	var a [16]byte
	n := copy(a[:], v[4:])
	for i := range n {
		a[i] ^= m.raw[4+i] // the cookie and then the transaction id
	}
	if n == 4 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a[:4])), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(a), port)
}

// Intact reports that the message carries a MESSAGE-INTEGRITY made with the key (RFC 8489 §14.5). It compares in constant
// time and leaves the bytes of the message as they are.
func (m *Message) Intact(key []byte) bool {
	if !m.Has(MessageIntegrity) {
		return false
	}
	head := [4]byte(m.raw)
	binary.BigEndian.PutUint16(head[2:], uint16(m.integrity+24-header))
	mac := hmac.New(sha1.New, key)
	mac.Write(head[:])
	mac.Write(m.raw[4:m.integrity])
	return hmac.Equal(mac.Sum(nil), m.raw[m.integrity+4:m.integrity+24])
}

// split parts a message type into method and class (RFC 8489 §5, figure 3).
func split(t uint16) (Method, Class) {
	return Method(t&0xF | t>>1&0x70 | t>>2&0xF80), Class(t>>4&1 | t>>7&2)
}

// join is the inverse of split.
func join(m Method, c Class) uint16 {
	return uint16(m&0xF|m&0x70<<1|m&0xF80<<2) | uint16(c&1)<<4 | uint16(c&2)<<7
}
