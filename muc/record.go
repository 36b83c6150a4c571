package muc

import (
	"encoding/binary"
	"errors"
	"time"
)

// A record of the journal is a room's address and what is said of it (journal.go): a byte that says what it is about, and
// the fields that go with it, one after the other. Numbers are varints, a text is its length in bytes and itself, a time is
// nanoseconds since 1970, and 0 for none.

func appendNumber(dst []byte, n uint64) []byte { return binary.AppendUvarint(dst, n) }

func appendText[T ~string | ~[]byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(dst, 0)
	}
	return binary.AppendVarint(dst, t.UnixNano())
}

// appendFlags packs up to eight flags into a byte, the first lowest.
func appendFlags(dst []byte, flags ...bool) []byte {
	var b byte
	for i, f := range flags {
		if f {
			b |= 1 << i
		}
	}
	return append(dst, b)
}

var errRecord = errors.New("muc: a record of the journal is damaged")

// reader reads a record. After a field that is not there all others are empty, and nothing is left.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[size:]
	return n
}

// bytes returns a text that shares the record's memory.
func (r *reader) bytes() []byte {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.b, r.bad = nil, true
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) text() string { return string(r.bytes()) }

func (r *reader) time() time.Time {
	n, size := binary.Varint(r.b)
	if size <= 0 {
		r.b, r.bad = nil, true
		return time.Time{}
	}
	r.b = r.b[size:]
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}

// byte returns a byte that is less than end.
func (r *reader) byte(end byte) byte {
	if len(r.b) == 0 || r.b[0] >= end {
		r.b, r.bad = nil, true
		return 0
	}
	b := r.b[0]
	r.b = r.b[1:]
	return b
}

// flags are what appendFlags packed.
func (r *reader) flags() (f [8]bool) {
	if len(r.b) == 0 {
		r.bad = true
		return f
	}
	for i := range f {
		f[i] = r.b[0]&(1<<i) != 0
	}
	r.b = r.b[1:]
	return f
}
