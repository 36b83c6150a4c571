package stun

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"net/netip"
)

// New begins a message in the memory of b. The functions below append attributes to what it returns and keep the length
// in the header right, so that it is a whole message at any time.
func New(b []byte, m Method, c Class, id ID) []byte {
	b = binary.BigEndian.AppendUint16(b[:0], join(m, c))
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint32(b, cookie)
	return append(b, id[:]...)
}

// Append appends an attribute with its padding.
func Append[T []byte | string](b []byte, t Attr, v T) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(t))
	b = binary.BigEndian.AppendUint16(b, uint16(len(v)))
	b = append(b, v...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-header))
	return b
}

// AppendUint32 appends an attribute of four bytes.
func AppendUint32(b []byte, t Attr, v uint32) []byte {
	return Append(b, t, binary.BigEndian.AppendUint32(make([]byte, 0, 4), v))
}

// AppendAddr appends an attribute that is an XORed address (RFC 8489 §14.2).
func AppendAddr(b []byte, t Attr, a netip.AddrPort) []byte {
	v := make([]byte, 0, 20)
	v = append(v, 0, IPv4)
	v = binary.BigEndian.AppendUint16(v, a.Port()^cookie>>16)
	if a.Addr().Is4() {
		ip := a.Addr().As4()
		v = append(v, ip[:]...)
	} else {
		ip := a.Addr().As16()
		v = append(v, ip[:]...)
		v[1] = IPv6
	}
	for i := range v[4:] {
		v[4+i] ^= b[4+i]
	}
	return Append(b, t, v)
}

// AppendCode appends ERROR-CODE without a reason (RFC 8489 §14.8).
func AppendCode(b []byte, code int) []byte {
	return AppendUint32(b, ErrorCode, uint32(code/100<<8|code%100))
}

// AppendUnknown appends UNKNOWN-ATTRIBUTES (RFC 8489 §14.13).
func AppendUnknown(b []byte, types []Attr) []byte {
	v := make([]byte, 0, 2*maxAttrs)
	for _, t := range types {
		v = binary.BigEndian.AppendUint16(v, uint16(t))
	}
	return Append(b, UnknownAttributes, v)
}

// AppendIntegrity appends MESSAGE-INTEGRITY made with the key (RFC 8489 §14.5).
func AppendIntegrity(b, key []byte) []byte {
	at := len(b)
	b = Append(b, MessageIntegrity, make([]byte, 20))
	mac := hmac.New(sha1.New, key)
	mac.Write(b[:at])
	mac.Sum(b[:at+4])
	return b
}
