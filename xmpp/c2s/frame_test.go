package c2s

import (
	"bytes"
	"errors"
	"testing"

	"parley/internal/peertest"
	"parley/xmpp/wire"
)

// clientFrame makes a masked frame.
func TestFrames(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 70_000)
	var in []byte
	in = append(in, peertest.Frame(0x81, []byte("<a/>"))...)
	in = append(in, peertest.Frame(0x01, []byte("<b>"))...)
	in = append(in, peertest.Frame(0x89, []byte("ping"))...)
	in = append(in, peertest.Frame(0x00, long)...)
	in = append(in, peertest.Frame(0x80, []byte("</b>"))...)
	in = append(in, peertest.Frame(0x81, long[:200])...)
	in = append(in, peertest.Frame(0x88, nil)...)
	want := []string{"1<a/>", "0", "9ping", "0", "1<b>" + string(long) + "</b>", "1" + string(long[:200]), "8"}
	var f frames
	for from, to := 0, 0; len(want) > 0; {
		b := bytes.Clone(in[from:to])
		op, payload, n, err := f.next(b, 262_144)
		if err == wire.ErrIncomplete {
			to++
			if to < len(in) && to-from > 20 {
				to = min(to+1000, len(in))
			}
			continue
		}
		if got := string("0123456789"[op]) + string(payload); err != nil || got != want[0] {
			t.Fatalf("got %.40q, %v; want %.40q", got, err, want[0])
		}
		want, from = want[1:], from+n
	}
}

func TestHC8FramesRefused(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		code uint16
	}{
		"unmasked":                       {[]byte{0x81, 1, 'x'}, closeProtocol},
		"binary":                         {peertest.Frame(0x82, []byte("x")), closeUnsupported},
		"fragmented ping":                {peertest.Frame(0x09, []byte("x")), closeProtocol},
		"long ping":                      {peertest.Frame(0x89, make([]byte, 126)), closeProtocol},
		"compressed":                     {peertest.Frame(0xC1, []byte("x")), closeProtocol},
		"continuation of nothing":        {peertest.Frame(0x80, []byte("x")), closeProtocol},
		"text inside a fragmented text":  {append(peertest.Frame(0x01, []byte("x")), peertest.Frame(0x81, []byte("x"))...), closeProtocol},
		"unknown opcode":                 {peertest.Frame(0x83, []byte("x")), closeProtocol},
		"unknown control opcode":         {peertest.Frame(0x8B, []byte("x")), closeProtocol},
		"HX3 more than the limit at all": {peertest.Frame(0x81, make([]byte, 20_000))[:10], 0},
		"HX3 a length that is a lie":     {[]byte{0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, 0},
		"HX3 fragments over the limit":   {append(peertest.Frame(0x01, make([]byte, 9_000)), peertest.Frame(0x80, make([]byte, 9_000))...), 0},
	} {
		var f frames
		var err error
		for b := c.in; err == nil; {
			var n int
			_, _, n, err = f.next(b, 10_000)
			b = b[n:]
		}
		var fe *frameError
		if c.code == 0 && err != wire.ErrSize || c.code != 0 && (!errors.As(err, &fe) || fe.code != c.code) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(peertest.Frame(0x81, []byte("<a/>")))
	f.Add(append(peertest.Frame(0x01, []byte("<a")), peertest.Frame(0x80, []byte("/>"))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var f frames
		for {
			_, payload, n, err := f.next(b, 10_000)
			if err != nil {
				return
			}
			if n <= 0 || n > len(b) || len(payload) > 10_000 {
				t.Fatalf("took %d of %d bytes, payload %d", n, len(b), len(payload))
			}
			b = b[n:]
		}
	})
}
