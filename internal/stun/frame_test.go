package stun

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

func TestHT7ChannelData(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		ok        bool
		data      string
	}{
		{"exact", "4000 0003 616263", true, "abc"},
		{"padded", "4fff 0003 616263 00", true, "abc"},
		{"empty", "4000 0000", true, ""},
		{"more padding than there can be", "4000 0003 616263 00000000", false, ""},
		{"length beyond the packet", "4000 0004 616263", false, ""},
		{"length of 65535", "4000 ffff 616263", false, ""},
		{"header cut", "4000 00", false, ""},
		{"reserved number", "5000 0000", false, ""},
		{"message", "0001 0000", false, ""},
	} {
		_, data, ok := ChannelData(unhex(t, c.hex))
		if ok != c.ok || string(data) != c.data {
			t.Errorf("%s: %q, %v", c.name, data, ok)
		}
	}
	for n := range 9 {
		b := AppendChannelData(nil, 0x4001, make([]byte, n), true)
		if size, err := Frame(b); err != nil || size != len(b) || size%4 != 0 {
			t.Errorf("%d bytes of data make a frame of %d bytes of %d, %v", n, size, len(b), err)
		}
	}
}

func TestHT6Frame(t *testing.T) {
	binding := begin(Binding)
	for _, c := range []struct {
		name string
		b    []byte
		n    int
		err  error
	}{
		{"nothing", nil, 0, nil},
		{"message", binding, 20, nil},
		{"message and more", append(bytes.Clone(binding), 9), 20, nil},
		{"start of a message", binding[:4], 20, nil},
		{"too little to say", binding[:3], 0, nil},
		{"ChannelData", []byte{0x40, 0, 0, 5}, 12, nil},
		{"ChannelData of giant length", []byte{0x40, 0, 0xFF, 0xFF}, 0, ErrFrame},
		{"message of giant length", []byte{0, 1, 0xFF, 0xFC}, 0, ErrFrame},
		{"message of length that wraps in 16 bits", []byte{0, 1, 0xFF, 0xF0}, 0, ErrFrame},
		{"message of odd length", []byte{0, 1, 0, 2}, 0, ErrFrame},
		{"message without cookie", []byte("\x00\x01\x00\x00abcd"), 0, ErrFrame},
		{"HTTP", []byte("GET / HTTP/1.1"), 0, ErrFrame},
		{"TLS", []byte{0x16, 3, 1}, 0, nil}, // looks like a message until the cookie
		{"TLS hello", []byte{0x16, 3, 1, 2, 0, 1, 0, 1}, 0, ErrFrame},
		{"reserved", []byte{0x80}, 0, ErrFrame},
	} {
		if n, err := Frame(c.b); n != c.n || !errors.Is(err, c.err) {
			t.Errorf("%s: %d, %v; want %d, %v", c.name, n, err, c.n, c.err)
		}
	}
}

// FuzzFrame cuts a stream in any way: the frames are the same as in one piece.
func FuzzFrame(f *testing.F) {
	binding := begin(Binding)
	data := AppendChannelData(nil, 0x4001, []byte("hello"), true)
	f.Add(bytes.Join([][]byte{binding, data, data, binding}, nil), uint64(1))
	f.Add(append(bytes.Clone(data), 0xFF), uint64(2))
	f.Add([]byte{0, 1, 0xFF, 0xFC, 0x21, 0x12, 0xA4, 0x42}, uint64(3))
	f.Fuzz(func(t *testing.T, b []byte, seed uint64) {
		whole, errWhole := frames(b, func(rest int) int { return rest })
		r := rand.New(rand.NewPCG(seed, 0))
		cut, errCut := frames(b, func(rest int) int { return 1 + r.IntN(min(rest, 50)) })
		if len(cut) != len(whole) || (errWhole == nil) != (errCut == nil) {
			t.Fatalf("%d frames, %v in one piece; %d frames, %v in pieces", len(whole), errWhole, len(cut), errCut)
		}
		for i := range whole {
			if !bytes.Equal(whole[i], cut[i]) || len(whole[i]) > MaxMessage || len(whole[i]) < 4 {
				t.Fatalf("frame %d is %x in one piece and %x in pieces", i, whole[i], cut[i])
			}
		}
	})
}

// frames reads a stream in pieces as large as piece says.
func frames(b []byte, piece func(rest int) int) (out [][]byte, err error) {
	var have []byte
	for len(b) > 0 {
		n := piece(len(b))
		have, b = append(have, b[:n]...), b[n:]
		for {
			size, err := Frame(have)
			if err != nil {
				return out, err
			}
			if size == 0 || size > len(have) {
				break
			}
			out = append(out, bytes.Clone(have[:size]))
			have = have[size:]
		}
	}
	return out, nil
}
