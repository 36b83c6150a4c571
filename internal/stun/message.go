package stun

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
)

const (
	header      = 20         // bytes before the first attribute
	cookie      = 0x2112A442 // RFC 8489 §5
	fingerprint = 0x5354554E // XORed into the CRC (RFC 8489 §14.7)
	maxUnknown  = 16         // attributes that a 420 names

	// MaxMessage is the size in bytes of the largest message or ChannelData, header included, that is taken.
	MaxMessage = 2048
)

// What Parse returns. They are values so that refusing costs no memory.
var (
	ErrHeader      = errors.New("stun: not a STUN header")
	ErrLength      = errors.New("stun: length differs from the bytes given, or is too large")
	ErrAttribute   = errors.New("stun: attribute longer than the message")
	ErrSize        = errors.New("stun: attribute of a size or family that it cannot have")
	ErrCount       = errors.New("stun: too many attributes")
	ErrRole        = errors.New("stun: both controlling and controlled")
	ErrFingerprint = errors.New("stun: fingerprint is wrong or not last")
)

// ID is a transaction id (RFC 8489 §5).
type ID [12]byte

// Message is one parsed message. Its slices point into the bytes that were parsed and are valid as long as those are, but
// for Peers, which is the message's own. Of an attribute that occurs twice the first counts (RFC 8489 §14), except for
// XOR-PEER-ADDRESS; between MESSAGE-INTEGRITY and FINGERPRINT nothing is read (RFC 8489 §14.5). A Message is reused by
// parsing into it again. Addresses stay in the family they were written in: one that is mapped into IPv6 is not unmapped.
type Message struct {
	Method Method
	Class  Class
	ID     ID

	Username, Realm, Nonce, Data, Token []byte

	Peers      []netip.AddrPort // XOR-PEER-ADDRESS, all of them
	Relayed    netip.AddrPort   // XOR-RELAYED-ADDRESS
	Mapped     netip.AddrPort   // XOR-MAPPED-ADDRESS
	Code       int              // ERROR-CODE, 0 where the number is none
	TieBreaker uint64           // of ICE-CONTROLLING or ICE-CONTROLLED
	Priority   uint32           // PRIORITY
	Lifetime   uint32           // LIFETIME in seconds
	Channel    uint16           // CHANNEL-NUMBER
	Family     uint8            // REQUESTED-ADDRESS-FAMILY: IPv4, IPv6 or what the peer made up
	Transport  uint8            // REQUESTED-TRANSPORT: an IP protocol number
	EvenPort   uint8            // EVEN-PORT: 0x80 asks to reserve the next port as well

	unknowns  uint8
	unknown   [maxUnknown]Attr
	has       set
	raw       []byte
	integrity int // offset of MESSAGE-INTEGRITY in raw
}

// Is tells STUN from DTLS, RTP and RTCP by the first byte (RFC 7983 §7), and from what else begins like it by the cookie.
func Is(b []byte) bool {
	return len(b) >= header && b[0] < 4 && binary.BigEndian.Uint32(b[4:]) == cookie
}

// Has reports that the message carries an attribute of the usage that it was parsed for.
func (m *Message) Has(t Attr) bool { return m.has&of(t) != 0 }

// Unknown returns the attributes that had to be understood and were not, the first sixteen of them.
func (m *Message) Unknown() []Attr { return m.unknown[:m.unknowns] }

// Parse reads a message that fills b exactly.
func (m *Message) Parse(b []byte, u *Usage) error {
	peers := m.Peers[:0]
	*m = Message{}
	m.Peers, m.raw = peers, b
	if len(b) < header || b[0]>>6 != 0 || binary.BigEndian.Uint32(b[4:]) != cookie {
		return ErrHeader
	}
	length := int(binary.BigEndian.Uint16(b[2:]))
	if length%4 != 0 || header+length != len(b) || len(b) > u.message {
		return ErrLength
	}
	m.Method, m.Class = split(binary.BigEndian.Uint16(b))
	m.ID = ID(b[8:header])
	for at, n := header, 0; at < len(b); n++ {
		if n == u.count {
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
		v, known := b[at+4:at+4+size], of(t)&u.attrs != 0
		if known && !u.sized(t, v) {
			return ErrSize
		}
		switch {
		case t == Fingerprint:
			if end != len(b) || binary.BigEndian.Uint32(v) != crc32.ChecksumIEEE(b[:at])^fingerprint {
				return ErrFingerprint
			}
			m.has |= of(t)
		case m.Has(MessageIntegrity):
		case t == MessageIntegrity:
			m.integrity = at
			m.has |= of(t)
		case known:
			m.take(t, v)
		case t < 0x8000 && m.unknowns < maxUnknown:
			m.unknown[m.unknowns] = t
			m.unknowns++
		}
		at = end
	}
	if m.Has(Controlling) && m.Has(Controlled) {
		return ErrRole
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
	m.has |= of(t)
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
	case Priority:
		m.Priority = binary.BigEndian.Uint32(v)
	case Controlled, Controlling:
		m.TieBreaker = binary.BigEndian.Uint64(v)
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
func split(t uint16) (Method, Class) {
	return Method(t&0xF | t>>1&0x70 | t>>2&0xF80), Class(t>>4&1 | t>>7&2)
}

// join is the inverse of split.
func join(m Method, c Class) uint16 {
	return uint16(m&0xF|m&0x70<<1|m&0xF80<<2) | uint16(c&1)<<4 | uint16(c&2)<<7
}
