package stun

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

// Writer appends one message to a buffer that may hold others before it. At any time what it has written is a whole
// message.
type Writer struct {
	buf   []byte
	start int
}

// Write begins a message behind what b holds.
func Write(b []byte, m Method, c Class, id ID) Writer {
	w := Writer{b, len(b)}
	w.buf = binary.BigEndian.AppendUint16(w.buf, join(m, c))
	w.buf = binary.BigEndian.AppendUint16(w.buf, 0)
	w.buf = binary.BigEndian.AppendUint32(w.buf, cookie)
	w.buf = append(w.buf, id[:]...)
	return w
}

// Buffer returns the buffer, message included.
func (w *Writer) Buffer() []byte { return w.buf }

// message returns what has been written of the message.
func (w *Writer) message() []byte { return w.buf[w.start:] }

// attr appends the head of an attribute of n bytes and sets the length of the message as if they were there.
func (w *Writer) attr(t Attr, n int) {
	w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(t))
	w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(n))
	binary.BigEndian.PutUint16(w.message()[2:], uint16(len(w.message())+(n+3)&^3-header))
}

// pad appends the padding of an attribute of n bytes.
func (w *Writer) pad(n int) {
	var zero [3]byte
	w.buf = append(w.buf, zero[:-n&3]...)
}

// Flag appends an attribute without a value.
func (w *Writer) Flag(t Attr) { w.attr(t, 0) }

// Bytes appends an attribute with its padding.
func (w *Writer) Bytes(t Attr, v []byte) {
	w.attr(t, len(v))
	w.buf = append(w.buf, v...)
	w.pad(len(v))
}

// String appends an attribute of text with its padding.
func (w *Writer) String(t Attr, s string) {
	w.attr(t, len(s))
	w.buf = append(w.buf, s...)
	w.pad(len(s))
}

// Uint32 appends an attribute of four bytes.
func (w *Writer) Uint32(t Attr, v uint32) {
	w.attr(t, 4)
	w.buf = binary.BigEndian.AppendUint32(w.buf, v)
}

// Uint64 appends an attribute of eight bytes.
func (w *Writer) Uint64(t Attr, v uint64) {
	w.attr(t, 8)
	w.buf = binary.BigEndian.AppendUint64(w.buf, v)
}

// Addr appends an attribute that is an XORed address (RFC 8489 §14.2).
func (w *Writer) Addr(t Attr, a netip.AddrPort) {
	ip, n, family := a.Addr().As16(), 16, uint16(IPv6)
	if a.Addr().Is4() {
		four := a.Addr().As4()
		n, family = copy(ip[:], four[:]), IPv4
	}
	w.attr(t, 4+n)
	w.buf = binary.BigEndian.AppendUint16(w.buf, family)
	w.buf = binary.BigEndian.AppendUint16(w.buf, a.Port()^cookie>>16)
	for i := range n {
		w.buf = append(w.buf, ip[i]^w.buf[w.start+4+i])
	}
}

// Code appends ERROR-CODE without a reason (RFC 8489 §14.8).
func (w *Writer) Code(code int) { w.Uint32(ErrorCode, uint32(code/100<<8|code%100)) }

// Unknown appends UNKNOWN-ATTRIBUTES (RFC 8489 §14.13).
func (w *Writer) Unknown(types []Attr) {
	w.attr(UnknownAttributes, 2*len(types))
	for _, t := range types {
		w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(t))
	}
	w.pad(2 * len(types))
}

// Integrity appends MESSAGE-INTEGRITY made with the key (RFC 8489 §14.5).
func (w *Writer) Integrity(k *Key) {
	at := len(w.message())
	w.attr(MessageIntegrity, 20)
	w.buf = append(w.buf, k.sum(w.message(), at)...)
}

// Fingerprint appends FINGERPRINT, which ends the message (RFC 8489 §14.7).
func (w *Writer) Fingerprint() {
	at := len(w.message())
	w.attr(Fingerprint, 4)
	w.buf = binary.BigEndian.AppendUint32(w.buf, crc32.ChecksumIEEE(w.message()[:at])^fingerprint)
}
