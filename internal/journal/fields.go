package journal

import (
	"encoding/binary"
	"time"
)

// Fields reads a record field by field. After a field that is not there all others are empty, nothing is left, and Bad is
// set. What it returns shares the record's memory. Numbers are varints, a text is its length in bytes and itself, a time is
// nanoseconds since 1970, and 0 for none.
type Fields struct {
	Left []byte
	Bad  bool
}

// Fault marks the record as one that nobody has written, and reports false.
func (f *Fields) Fault() bool {
	f.Left, f.Bad = nil, true
	return false
}

// Whole reports that the record held what was read from it and no more.
func (f *Fields) Whole() bool { return !f.Bad && len(f.Left) == 0 }

func (f *Fields) Number() uint64 {
	v, n := binary.Uvarint(f.Left)
	if n <= 0 {
		f.Fault()
		return 0
	}
	f.Left = f.Left[n:]
	return v
}

// Count is a number of 32 bits.
func (f *Fields) Count() uint32 {
	v := f.Number()
	if v > 1<<32-1 {
		f.Fault()
	}
	return uint32(v)
}

// Take returns the next n bytes.
func (f *Fields) Take(n uint64) []byte {
	if n > uint64(len(f.Left)) {
		f.Fault()
		return nil
	}
	v := f.Left[:n:n]
	f.Left = f.Left[n:]
	return v
}

// Rest returns all that is left.
func (f *Fields) Rest() []byte { return f.Take(uint64(len(f.Left))) }

func (f *Fields) Byte() byte {
	if b := f.Take(1); b != nil {
		return b[0]
	}
	return 0
}

// Below returns a byte that is less than end.
func (f *Fields) Below(end byte) byte {
	b := f.Byte()
	if b >= end {
		f.Fault()
		return 0
	}
	return b
}

func (f *Fields) Bytes() []byte { return f.Take(f.Number()) }

func (f *Fields) Text() string { return string(f.Bytes()) }

func (f *Fields) Time() time.Time {
	v, n := binary.Varint(f.Left)
	if n <= 0 {
		f.Fault()
		return time.Time{}
	}
	f.Left = f.Left[n:]
	if v == 0 {
		return time.Time{}
	}
	return time.Unix(0, v)
}

// Flags are what AppendFlags packed.
func (f *Fields) Flags() (flags [8]bool) {
	b := f.Byte()
	for i := range flags {
		flags[i] = b&(1<<i) != 0
	}
	return flags
}

func AppendText[T ~string | ~[]byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func AppendTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(dst, 0)
	}
	return binary.AppendVarint(dst, t.UnixNano())
}

// AppendFlags packs up to eight flags into a byte, the first lowest.
func AppendFlags(dst []byte, flags ...bool) []byte {
	var b byte
	for i, f := range flags {
		if f {
			b |= 1 << i
		}
	}
	return append(dst, b)
}
