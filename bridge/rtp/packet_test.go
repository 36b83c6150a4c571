package rtp

import (
	"bytes"
	"errors"
	"testing"

	prtp "github.com/pion/rtp"
)

// Packets that other tests and the fuzz targets start from.
var packets = map[string]string{
	"plain":            "80e4 0102 03040506 0708090a aabbccdd",
	"no payload":       "8064 0102 03040506 0708090a",
	"two CSRCs":        "8264 0102 03040506 0708090a 11111111 22222222 ff",
	"padding only":     "a064 0102 03040506 0708090a 00000004",
	"payload, padding": "a064 0102 03040506 0708090a aabb 0002",
	// RFC 8285 §4.2: an element of 1 byte, one of 2, padding, one of 4.
	"one-byte form": "9064 0102 03040506 0708090a bede0003 10aa 21bbbb 0000 33cccccccc 01",
	// RFC 8285 §4.3: an element of 0 bytes, one of 1, padding, one of 4.
	"two-byte form":       "9064 0102 03040506 0708090a 10000003 0100 0201bb 00 0304cccccccc 01",
	"two-byte form, bits": "9064 0102 03040506 0708090a 100f0001 f002aabb 01",
	"empty extension":     "9064 0102 03040506 0708090a bede0000 01",
	"other profile":       "9064 0102 03040506 0708090a c0de0001 10aa0000 01",
	"id 15 ends":          "9064 0102 03040506 0708090a bede0002 10aa f0bb 21cccc 00 01",
	"id 0 with length":    "9064 0102 03040506 0708090a bede0002 10aa 02bbbb 20cc 00 01",
	"an id twice":         "9064 0102 03040506 0708090a bede0001 10aa10bb 01",
	"what a browser sends": "906f 5a91 0b5f1e07 3ac41b92 bede0003 10b1 32a1b2c3 51002a 000000 " +
		"78f1e2d3c4b5a69788796a5b4c3d2e1f",
}

func TestParseSeesWhatIsThere(t *testing.T) {
	for _, c := range []struct {
		name             string
		header, padding  int
		payload          string
		ext              map[uint8]string
		absent           []uint8
		marker           bool
		csrcs            int
		lastContributing uint32
	}{
		{name: "plain", header: 12, payload: "aabbccdd", marker: true},
		{name: "no payload", header: 12},
		{name: "two CSRCs", header: 20, payload: "ff", csrcs: 2, lastContributing: 0x22222222},
		{name: "padding only", header: 12, padding: 4},
		{name: "payload, padding", header: 12, padding: 2, payload: "aabb"},
		{name: "one-byte form", header: 28, payload: "01", ext: map[uint8]string{1: "aa", 2: "bbbb", 3: "cccccccc"}, absent: []uint8{0, 4, 15, 16}},
		{name: "two-byte form", header: 28, payload: "01", ext: map[uint8]string{1: "", 2: "bb", 3: "cccccccc"}, absent: []uint8{0, 4, 200}},
		{name: "two-byte form, bits", header: 20, payload: "01", ext: map[uint8]string{0xf0: "aabb"}, absent: []uint8{15, 16}},
		{name: "empty extension", header: 16, payload: "01", absent: []uint8{0, 1}},
		{name: "other profile", header: 20, payload: "01", absent: []uint8{0, 1}},
		{name: "id 15 ends", header: 24, payload: "01", ext: map[uint8]string{1: "aa"}, absent: []uint8{2, 15}},
		{name: "an id twice", header: 20, payload: "01", ext: map[uint8]string{1: "aa"}},
		{name: "id 0 with length", header: 24, payload: "01", ext: map[uint8]string{1: "aa"}, absent: []uint8{0, 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := unhex(t, packets[c.name])
			p := parse(t, raw)
			if p.Marker() != c.marker || p.PayloadType() != 100 || p.Sequence() != 0x0102 || p.Timestamp() != 0x03040506 || p.SSRC() != 0x0708090a {
				t.Errorf("header: %v %d %x %x %x", p.Marker(), p.PayloadType(), p.Sequence(), p.Timestamp(), p.SSRC())
			}
			if p.HeaderLen() != c.header || p.Padding() != c.padding || !bytes.Equal(p.Payload(), unhex(t, c.payload)) {
				t.Errorf("header %d bytes, padding %d, payload %x", p.HeaderLen(), p.Padding(), p.Payload())
			}
			if p.CSRCs() != c.csrcs || p.CSRC(c.csrcs-1) != c.lastContributing || p.CSRC(c.csrcs) != 0 {
				t.Errorf("%d CSRCs, last %x", p.CSRCs(), p.CSRC(c.csrcs-1))
			}
			for id, want := range c.ext {
				if got := p.Extension(id); got == nil || !bytes.Equal(got, unhex(t, want)) {
					t.Errorf("extension %d: %x, want %s", id, got, want)
				}
			}
			for _, id := range c.absent {
				if got := p.Extension(id); got != nil {
					t.Errorf("extension %d: %x, want none", id, got)
				}
			}
		})
	}
}

func TestHB9MalformedPacketsAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, packet string
		want         error
	}{
		{"nothing", "", ErrShort},
		{"one byte", "80", ErrShort},
		{"header cut", "8064 0102 03040506 070809", ErrShort},
		{"version 1", "4064 0102 03040506 0708090a", ErrVersion},
		{"version 3", "c064 0102 03040506 0708090a", ErrVersion},
		{"CSRCs beyond the end", "8f64 0102 03040506 0708090a 11111111", ErrShort},
		{"padding is longer than the payload", "a064 0102 03040506 0708090a 00000005", ErrPadding},
		{"padding is as long as the packet", "a064 0102 03040506 0708090a 00000010", ErrPadding},
		{"padding of 0", "a064 0102 03040506 0708090a 00000000", ErrPadding},
		{"padding without payload", "a064 0102 03040506 07080900", ErrPadding},
		{"padding reaches into the extension", "b064 0102 03040506 0708090a bede0001 10000002", ErrPadding},
		{"extension header cut", "9064 0102 03040506 0708090a bede00", ErrExtension},
		{"huge extension", "9064 0102 03040506 0708090a bedeffff 10aa0000", ErrExtension},
		{"extension one word too long", "9064 0102 03040506 0708090a bede0002 10aa0000", ErrExtension},
		{"one-byte element beyond the extension", "9064 0102 03040506 0708090a bede0001 1faa0000 00000000 00000000 00000000 00000000", ErrExtension},
		{"two-byte element beyond the extension", "9064 0102 03040506 0708090a 10000001 0103aaaa 00000000", ErrExtension},
		{"two-byte element without length", "9064 0102 03040506 0708090a 10000001 00000001 00000000", ErrExtension},
	} {
		t.Run("HB9 "+c.name, func(t *testing.T) {
			var p Packet
			if err := p.Parse(unhex(t, c.packet)); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	if err := new(Packet).Parse(make([]byte, 1<<16)); err == nil {
		t.Error("a packet longer than a datagram was taken")
	}
}

func TestSettersChangeTheBytesAndNothingElse(t *testing.T) {
	raw := unhex(t, packets["one-byte form"])
	p := parse(t, raw)
	p.SetMarker(true)
	p.SetPayloadType(0xff)
	if raw[1] != 0xff {
		t.Errorf("marker and payload type 127: %x", raw[1])
	}
	p.SetPayloadType(41)
	p.SetSequence(0xfffe)
	p.SetTimestamp(0x80000001)
	p.SetSSRC(0xdeadbeef)
	if want := unhex(t, "90a9 fffe 80000001 deadbeef"); !bytes.Equal(raw[:12], want) {
		t.Errorf("got %x, want %x", raw[:12], want)
	}
	p.SetMarker(false)
	if p.Marker() || p.PayloadType() != 41 {
		t.Error("the marker took the payload type with it")
	}
	p.Extension(2)[0] = 0x77
	want := unhex(t, packets["one-byte form"])
	want[19] = 0x77
	if !bytes.Equal(raw[12:], want[12:]) {
		t.Errorf("rest changed: %x", raw[12:])
	}
	if got := append(p.Payload(), 1); &got[0] == &raw[28] {
		t.Error("a payload can be appended to within the packet")
	}
}

func TestParseForgetsThePacketBefore(t *testing.T) {
	p := parse(t, unhex(t, packets["one-byte form"]))
	if err := p.Parse(unhex(t, packets["plain"])); err != nil || p.Extension(1) != nil {
		t.Errorf("extension of the packet before: %x, %v", p.Extension(1), err)
	}
}

func TestExtensionValues(t *testing.T) {
	if level, voice, ok := AudioLevel([]byte{0x80 | 30}); level != 30 || !voice || !ok {
		t.Errorf("audio level %d %v %v", level, voice, ok)
	}
	if level, _, ok := AudioLevel(nil); level != 127 || ok {
		t.Errorf("no audio level: %d %v", level, ok)
	}
	b := make([]byte, 3)
	PutAbsSendTime(b, 0x123456)
	if stamp, ok := AbsSendTime(b); stamp != 0x123456 || !ok {
		t.Errorf("abs-send-time %x %v", stamp, ok)
	}
	if _, ok := AbsSendTime(b[:2]); ok {
		t.Error("abs-send-time of two bytes")
	}
	if seq, ok := TransportSequence([]byte{1, 2}); seq != 0x0102 || !ok {
		t.Errorf("transport sequence %x %v", seq, ok)
	}
	if _, ok := TransportSequence([]byte{1}); ok {
		t.Error("transport sequence of one byte")
	}
}

// same compares p with what pion makes of the same bytes.
func same(t *testing.T, p *Packet, raw []byte) {
	t.Helper()
	var q prtp.Packet
	if err := q.Unmarshal(bytes.Clone(raw)); err != nil {
		t.Fatalf("pion refuses %x: %v", raw, err)
	}
	if p.Marker() != q.Marker || p.PayloadType() != q.PayloadType || p.Sequence() != q.SequenceNumber || p.Timestamp() != q.Timestamp ||
		p.SSRC() != q.SSRC || p.CSRCs() != len(q.CSRC) || !bytes.Equal(p.Payload(), q.Payload) || p.Padding() != int(q.PaddingSize) {
		t.Fatalf("%x: not as pion's %v", raw, q)
	}
	for i, ssrc := range q.CSRC {
		if p.CSRC(i) != ssrc {
			t.Fatalf("%x: CSRC %d", raw, i)
		}
	}
	if q.ExtensionProfile != oneByteForm && q.ExtensionProfile != twoByteForm {
		return // pion gives other profiles as one element
	}
	for _, id := range q.GetExtensionIDs() {
		if id == 0 || id == 15 && q.ExtensionProfile == oneByteForm {
			continue
		}
		if p.Extension(id) == nil { // pion goes on after an element that ends the extension
			if q.ExtensionProfile == twoByteForm {
				t.Fatalf("%x: no extension %d", raw, id)
			}
			continue
		}
		if !bytes.Equal(p.Extension(id), q.GetExtension(id)) {
			t.Fatalf("%x: extension %d is %x, pion's %x", raw, id, p.Extension(id), q.GetExtension(id))
		}
	}
}

func TestPacketsAreReadAsPionReadsThem(t *testing.T) {
	for name, s := range packets {
		t.Run(name, func(t *testing.T) {
			raw := unhex(t, s)
			same(t, parse(t, raw), raw)
		})
	}
}

func FuzzPacket(f *testing.F) {
	for _, s := range packets {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p Packet
		if p.Parse(raw) != nil {
			return
		}
		if p.HeaderLen()+len(p.Payload())+p.Padding() != len(raw) {
			t.Fatalf("%d + %d + %d bytes of %d", p.HeaderLen(), len(p.Payload()), p.Padding(), len(raw))
		}
		same(t, &p, raw)
		for id := range 256 {
			p.Extension(uint8(id))
		}
		// What goes out can be read, and says the same.
		r := Rewriter{IDs: IDs{AudioLevel: 1, AbsSendTime: 3, TransportCC: 5, MID: 10, DependencyDescriptor: 11, VideoOrientation: 13}, Mixed: true}
		dst := make([]byte, len(raw)+400)
		w, err := r.Write(dst, &p, r.IDs, &Header{PayloadType: 96, Sequence: 7, Timestamp: 8, SSRC: 9, MID: "v0"})
		if err != nil {
			t.Fatal(err)
		}
		out := parse(t, dst[:w.Size])
		same(t, out, dst[:w.Size])
		if !bytes.Equal(out.Payload(), p.Payload()) || !bytes.Equal(out.Extension(11), p.Extension(11)) || string(out.Extension(10)) != "v0" {
			t.Fatalf("wrote %x of %x", dst[:w.Size], raw)
		}
		// A retransmission carries it and can be unwrapped.
		w, err = r.WriteRTX(dst, &p, r.IDs, &Header{PayloadType: 97, Sequence: 1, SSRC: 2}, 7)
		if err != nil {
			t.Fatal(err)
		}
		rtx := parse(t, dst[:w.Size])
		payload := bytes.Clone(p.Payload())
		if err := rtx.Unwrap(96, 9); err != nil {
			if len(payload) > 0 {
				t.Fatal(err)
			}
		} else if again := parse(t, rtx.Bytes()); again.Sequence() != 7 || again.SSRC() != 9 || again.PayloadType() != 96 || !bytes.Equal(again.Payload(), payload) {
			t.Fatalf("unwrapped %x", rtx.Bytes())
		}
	})
}

func BenchmarkParse(b *testing.B) {
	raw := append(unhex(b, packets["what a browser sends"]), make([]byte, 1100)...)
	var p Packet
	var sum int
	b.ReportAllocs()
	for b.Loop() {
		if p.Parse(raw) != nil {
			b.Fatal("refused")
		}
		sum += len(p.Extension(3)) + len(p.Payload())
	}
}
