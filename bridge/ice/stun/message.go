// Package stun reads and writes the STUN messages of ICE: Binding requests, indications and responses (RFC 8489 §5)
// with the attributes of RFC 8445 §16.
//
// Reading is strict and comes before anything else: a message whose lengths, attribute sizes or fingerprint are wrong is
// not a message. Nothing here allocates for each message, knows a socket or reads a clock.
package stun

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
)

// Binding is the one method of ICE (RFC 8489 §18.2).
const Binding = 0x001

// Class is a STUN class (RFC 8489 §5).
type Class uint8

// The classes.
const (
	Request Class = iota
	Indication
	Success
	Failure
)

// Attr is the type of an attribute. Those below 0x8000 must be understood by whoever reads them (RFC 8489 §14).
type Attr uint16

// The attributes that are read or written here (RFC 8489 §18.3, RFC 8445 §20.2).
const (
	Username          Attr = 0x0006
	MessageIntegrity  Attr = 0x0008
	ErrorCode         Attr = 0x0009
	UnknownAttributes Attr = 0x000A
	XORMappedAddress  Attr = 0x0020
	Priority          Attr = 0x0024
	UseCandidate      Attr = 0x0025
	Fingerprint       Attr = 0x8028
	Controlled        Attr = 0x8029 // ICE-CONTROLLED
	Controlling       Attr = 0x802A // ICE-CONTROLLING
)

// The numbers of address families (RFC 8489 §14.1).
const (
	ipv4 = 0x01
	ipv6 = 0x02
)

const (
	header      = 20         // bytes before the first attribute
	cookie      = 0x2112A442 // RFC 8489 §5
	fingerprint = 0x5354554E // XORed into the CRC (RFC 8489 §14.7)
	maxAttrs    = 32         // attributes of one message; a check of a browser has about ten
	maxUnknown  = 4          // attributes that a 420 names

	// MaxMessage is the size in bytes of the largest message that is taken: no check fills a packet.
	MaxMessage = 1280
)

// What Parse returns. They are values so that refusing costs no memory.
var (
	ErrHeader      = errors.New("stun: not a STUN header")
	ErrLength      = errors.New("stun: length differs from the bytes given")
	ErrAttribute   = errors.New("stun: attribute longer than the message")
	ErrSize        = errors.New("stun: attribute of a size or family that it cannot have")
	ErrCount       = errors.New("stun: too many attributes")
	ErrRole        = errors.New("stun: both controlling and controlled")
	ErrFingerprint = errors.New("stun: fingerprint is wrong or not last")
)

// ID is a transaction id (RFC 8489 §5).
type ID [12]byte

// Message is one parsed message. Its slices point into the bytes that were parsed and are valid as long as those are.
// Of an attribute that occurs twice the first counts (RFC 8489 §14); between MESSAGE-INTEGRITY and FINGERPRINT nothing
// is read (RFC 8489 §14.5).
type Message struct {
	Method uint16
	Class  Class
	ID     ID

	Username   []byte
	Mapped     netip.AddrPort // XOR-MAPPED-ADDRESS; one that is mapped into IPv6 is not unmapped
	Priority   uint32
	TieBreaker uint64 // of ICE-CONTROLLING or ICE-CONTROLLED
	Code       int    // ERROR-CODE, 0 where the number is none

	unknown   [maxUnknown]Attr
	unknowns  int
	has       uint16
	raw       []byte
	integrity int // offset of MESSAGE-INTEGRITY in raw
}

// The bits of Message.has.
func bit(t Attr) uint16 {
	switch t {
	case Username:
		return 1 << 0
	case MessageIntegrity:
		return 1 << 1
	case ErrorCode:
		return 1 << 2
	case UnknownAttributes:
		return 1 << 3
	case XORMappedAddress:
		return 1 << 4
	case Priority:
		return 1 << 5
	case UseCandidate:
		return 1 << 6
	case Fingerprint:
		return 1 << 7
	case Controlled:
		return 1 << 8
	case Controlling:
		return 1 << 9
	}
	return 0
}

// Is tells STUN from DTLS, RTP and RTCP by the first byte (RFC 7983 §7), and from what else begins like it by the cookie.
func Is(b []byte) bool {
	return len(b) >= header && b[0] < 4 && binary.BigEndian.Uint32(b[4:]) == cookie
}

// Has reports that the message carries one of the attributes named above.
func (m *Message) Has(t Attr) bool { return m.has&bit(t) != 0 }

// Unknown returns the attributes that had to be understood and were not, the first four of them.
func (m *Message) Unknown() []Attr { return m.unknown[:m.unknowns] }

// Parse reads a message that fills b exactly.
func (m *Message) Parse(b []byte) error {
	*m = Message{raw: b}
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
			m.has |= bit(t)
		case m.Has(MessageIntegrity):
		case t == MessageIntegrity:
			m.integrity = at
			m.has |= bit(t)
		default:
			m.take(t, v)
		}
		at = end
	}
	if m.Has(Controlling) && m.Has(Controlled) {
		return ErrRole
	}
	return nil
}

// sized reports that the value of an attribute has a size, and for addresses a family, that its definition allows.
func sized(t Attr, v []byte) bool {
	switch t {
	case Username:
		return len(v) > 0 && len(v) <= 513 // RFC 5389 §15.3; two ufrags of 256 and a colon
	case MessageIntegrity:
		return len(v) == 20
	case ErrorCode:
		return len(v) >= 4 && len(v) <= 4+763
	case UnknownAttributes:
		return len(v)%2 == 0
	case Priority, Fingerprint:
		return len(v) == 4
	case UseCandidate:
		return len(v) == 0
	case Controlled, Controlling:
		return len(v) == 8
	case XORMappedAddress:
		return len(v) == 8 && v[1] == ipv4 || len(v) == 20 && v[1] == ipv6
	}
	return true
}

// take keeps the value of an attribute that sized allows.
func (m *Message) take(t Attr, v []byte) {
	b := bit(t)
	if b == 0 {
		if t < 0x8000 && m.unknowns < maxUnknown {
			m.unknown[m.unknowns] = t
			m.unknowns++
		}
		return
	}
	if m.has&b != 0 {
		return
	}
	m.has |= b
	switch t {
	case Username:
		m.Username = v
	case XORMappedAddress:
		m.Mapped = m.address(v)
	case Priority:
		m.Priority = binary.BigEndian.Uint32(v)
	case Controlled, Controlling:
		m.TieBreaker = binary.BigEndian.Uint64(v)
	case ErrorCode:
		if v[2] >= 3 && v[2] <= 6 && v[3] < 100 {
			m.Code = int(v[2])*100 + int(v[3])
		}
	}
}

// address undoes the XOR of an address (RFC 8489 §14.2).
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

// split parts a message type into method and class (RFC 8489 §5, figure 3).
func split(t uint16) (uint16, Class) {
	return t&0xF | t>>1&0x70 | t>>2&0xF80, Class(t>>4&1 | t>>7&2)
}

// join is the inverse of split.
func join(m uint16, c Class) uint16 {
	return m&0xF | m&0x70<<1 | m&0xF80<<2 | uint16(c&1)<<4 | uint16(c&2)<<7
}
