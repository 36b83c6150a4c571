package netem

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// header is an IPv4 header with a right checksum (RFC 791 §3.1).
func header(tos byte, id uint16) []byte {
	b := []byte{0x45, tos, 0, 40, byte(id >> 8), byte(id), 0x40, 0, 64, 17, 0, 0, 10, 78, 0, 1, 10, 78, 0, 2}
	binary.BigEndian.PutUint16(b[10:], checksum(b))
	return append(b, make([]byte, 20)...)
}

// checksum is that of the header's bytes; 0 when they hold the right one.
func checksum(b []byte) uint16 {
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func TestL4SPacketsAreMarked(t *testing.T) {
	for id := range 1 << 16 {
		b := header(0xb8|1, uint16(id))
		markL4S(b)
		if b[1] != 0xb8|3 || checksum(b[:20]) != 0 {
			t.Fatalf("%x: checksum off by %x", b[:20], checksum(b[:20]))
		}
	}
	for name, b := range map[string][]byte{
		"not ECT": header(0, 1), "ECT(0) is not of L4S": header(2, 1), "CE already": header(3, 1),
		"IPv6": append([]byte{0x60, 1}, make([]byte, 40)...), "short": {0x45, 1}, "nothing": {},
	} {
		was := bytes.Clone(b)
		if markL4S(b); !bytes.Equal(b, was) {
			t.Errorf("%s: changed", name)
		}
	}
}

// FuzzMarkL4S holds that marking keeps a right checksum right and changes nothing but the mark and the checksum.
func FuzzMarkL4S(f *testing.F) {
	f.Add(header(1, 7))
	f.Add(header(2, 0xffff))
	f.Add([]byte{0x45, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		was := bytes.Clone(b)
		markL4S(b)
		if len(b) < 20 || b[0]>>4 != 4 || was[1]&3 != 1 {
			if !bytes.Equal(b, was) {
				t.Fatal("changed")
			}
			return
		}
		if checksum(was[:20]) == 0 && checksum(b[:20]) != 0 {
			t.Fatalf("%x: checksum", b[:20])
		}
		if b[1] != was[1]|3 {
			t.Fatal("not marked")
		}
		b[1], b[10], b[11] = was[1], was[10], was[11]
		if !bytes.Equal(b, was) {
			t.Fatal("something else changed")
		}
	})
}
