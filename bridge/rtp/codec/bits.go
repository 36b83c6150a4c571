package codec

import (
	"encoding/binary"
	"math/bits"
)

// bitReader reads bits from high to low. After the end it reads zeros and remembers that it did.
type bitReader struct {
	b     []byte
	at    int // bits
	short bool
}

// read is f(n) of the AV1 specifications, n up to 32.
func (r *bitReader) read(n int) uint32 {
	if n > 8*len(r.b)-r.at {
		r.short = true
		r.at = 8 * len(r.b)
		return 0
	}
	if i := r.at >> 3; i+8 <= len(r.b) { // a window of at least 57 bits
		v := binary.BigEndian.Uint64(r.b[i:]) << (r.at & 7) >> (64 - n)
		r.at += n
		return uint32(v)
	}
	var v uint64
	for got := 0; got < n; {
		bit := r.at & 7
		take := min(8-bit, n-got)
		v = v<<take | uint64(r.b[r.at>>3])<<bit&0xff>>(8-take)
		r.at += take
		got += take
	}
	return uint32(v)
}

func (r *bitReader) flag() bool { return r.read(1) != 0 }

// nonSymmetric is ns(n): a number below n, n at least 1.
func (r *bitReader) nonSymmetric(n uint32) uint32 {
	w := bits.Len32(n)
	m := uint32(1)<<w - n
	v := r.read(w - 1)
	if v < m {
		return v
	}
	return v<<1 - m + r.read(1)
}

// bitWriter writes bits from high to low into a buffer that it does not grow.
type bitWriter struct {
	b    []byte
	at   int
	full bool
}

func (w *bitWriter) write(n int, v uint32) {
	if n > 8*len(w.b)-w.at {
		w.full = true
		return
	}
	for n > 0 {
		bit := w.at & 7
		if bit == 0 {
			w.b[w.at>>3] = 0
		}
		take := min(8-bit, n)
		part := byte(v>>(n-take)) & (1<<take - 1)
		w.b[w.at>>3] |= part << (8 - bit - take)
		w.at += take
		n -= take
	}
}

// copy writes n bits of r.
func (w *bitWriter) copy(r *bitReader, n int) {
	for n > 0 {
		take := min(n, 32)
		w.write(take, r.read(take))
		n -= take
	}
}

// bytes is the number of bytes written; the bits after the last are 0.
func (w *bitWriter) bytes() int { return (w.at + 7) / 8 }
