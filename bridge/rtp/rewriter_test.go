package rtp

import (
	"bytes"
	"errors"
	"testing"
)

var jitsi = IDs{AudioLevel: 1, AbsSendTime: 3, TransportCC: 5, MID: 10, DependencyDescriptor: 11, VideoOrientation: 13}

// sender's packet: audio level, abs-send-time, transport-cc, rid (4), mid, descriptor of three bytes, orientation, a CSRC, padding.
const full = "b1e0 0102 03040506 0708090a 11111111 bede0006 10b0 3200aabb 510001 43 72696430 a039 b2800001 d001 0000 cafebabe 000003"

func TestOnlyAllowedExtensionsAreCarriedOver(t *testing.T) {
	p := parse(t, unhex(t, full))
	dst := bytes.Repeat([]byte{0xee}, 200)
	r := Rewriter{IDs: IDs{AudioLevel: 2, AbsSendTime: 4, TransportCC: 6, MID: 9, DependencyDescriptor: 12, VideoOrientation: 14}}
	w, err := r.Write(dst, p, jitsi, &Header{PayloadType: 41, Marker: true, Sequence: 9, Timestamp: 10, SSRC: 11, MID: "v7", AbsSendTime: 0x123456, TransportCC: 0x789a})
	if err != nil {
		t.Fatal(err)
	}
	want := unhex(t, "90a9 0009 0000000a 0000000b bede0005 42123456 61789a 20b0 e001 917637 c2800001 0000 cafebabe")
	// The count of words follows from the elements: 4 + 3 + 2 + 2 + 3 + 4 = 18 bytes and two of padding.
	if !bytes.Equal(dst[:w.Size], want) {
		t.Fatalf("got\n%x, want\n%x", dst[:w.Size], want)
	}
	if !bytes.Equal(dst[w.Size:w.Size+4], []byte{0xee, 0xee, 0xee, 0xee}) {
		t.Error("written beyond the packet")
	}
	PutAbsSendTime(dst[w.AbsSendTime:], 0xfedcba)
	dst[w.TransportCC] = 0x11
	out := parse(t, dst[:w.Size])
	if stamp, _ := AbsSendTime(out.Extension(4)); stamp != 0xfedcba {
		t.Errorf("stamped again: %x", stamp)
	}
	if seq, _ := TransportSequence(out.Extension(6)); seq != 0x119a {
		t.Errorf("stamped again: %x", seq)
	}
}

func TestNoExtensionIsWrittenWhenNothingIsNegotiated(t *testing.T) {
	p := parse(t, unhex(t, full))
	dst := make([]byte, 200)
	w, err := new(Rewriter).Write(dst, p, jitsi, &Header{PayloadType: 41, MID: "v0"})
	if want := unhex(t, "8029 0000 00000000 00000000 cafebabe"); err != nil || !bytes.Equal(dst[:w.Size], want) || w.AbsSendTime != 0 || w.TransportCC != 0 {
		t.Errorf("got %x, %+v, %v", dst[:w.Size], w, err)
	}
}

func TestTheTwoByteFormIsUsedWhereItIsNeededAndAllowed(t *testing.T) {
	long := bytes.Repeat([]byte{7}, 17)
	for _, c := range []struct {
		name  string
		ids   IDs
		mixed bool
		h     Header
		want  string
	}{
		{"long value, mixed", IDs{TransportCC: 5, DependencyDescriptor: 11}, true, Header{Descriptor: long},
			"9000 0000 00000000 00000000 10000006 05020000 0b11" + "0707070707070707070707070707070707" + "00 cafebabe"},
		{"long value, not mixed", IDs{TransportCC: 5, DependencyDescriptor: 11}, false, Header{Descriptor: long},
			"9000 0000 00000000 00000000 bede0001 51000000 cafebabe"},
		{"sixteen bytes are not long", IDs{DependencyDescriptor: 11}, true, Header{Descriptor: long[:16]},
			"9000 0000 00000000 00000000 bede0005 bf" + "07070707070707070707070707070707" + "000000 cafebabe"},
		{"large id, mixed", IDs{TransportCC: 15, MID: 10}, true, Header{MID: "a"},
			"9000 0000 00000000 00000000 10000002 0f020000 0a0161 00 cafebabe"},
		{"large id, not mixed", IDs{TransportCC: 15, MID: 10}, false, Header{MID: "a"},
			"9000 0000 00000000 00000000 bede0001 a0610000 cafebabe"},
		{"descriptor left out", IDs{DependencyDescriptor: 11}, true, Header{Descriptor: []byte{}},
			"8000 0000 00000000 00000000 cafebabe"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := parse(t, unhex(t, full))
			dst := make([]byte, 300)
			r := Rewriter{IDs: c.ids, Mixed: c.mixed}
			w, err := r.Write(dst, p, jitsi, &c.h)
			if want := unhex(t, c.want); err != nil || !bytes.Equal(dst[:w.Size], want) {
				t.Errorf("got\n%x, want\n%x, %v", dst[:w.Size], want, err)
			}
			same(t, parse(t, dst[:w.Size]), dst[:w.Size])
		})
	}
}

func TestBuffersThatAreTooSmallAreRefused(t *testing.T) {
	p := parse(t, unhex(t, full))
	r := Rewriter{IDs: jitsi}
	h := Header{MID: "v0"}
	whole, err := r.WriteRTX(make([]byte, 200), p, jitsi, &h, 1)
	if err != nil {
		t.Fatal(err)
	}
	for size := range whole.Size {
		if _, err := r.WriteRTX(make([]byte, size), p, jitsi, &h, 1); !errors.Is(err, ErrSpace) {
			t.Fatalf("%d bytes: %v", size, err)
		}
	}
	if _, err := r.WriteRTX(make([]byte, whole.Size), p, jitsi, &h, 1); err != nil {
		t.Error(err)
	}
}

func TestRetransmissionsAreWrappedAndUnwrapped(t *testing.T) {
	p := parse(t, unhex(t, full))
	dst := make([]byte, 200)
	r := Rewriter{}
	w, err := r.WriteRTX(dst, p, jitsi, &Header{PayloadType: 97, Sequence: 3, Timestamp: 5, SSRC: 6}, 0x0102)
	// RFC 4588 §4: the original sequence number goes before the payload.
	if want := unhex(t, "8061 0003 00000005 00000006 0102 cafebabe"); err != nil || !bytes.Equal(dst[:w.Size], want) {
		t.Fatalf("got %x, %v", dst[:w.Size], err)
	}
	for _, c := range []struct{ name, rtx, want string }{
		{"plain", "80e1 0003 00000005 00000006 0102 cafebabe", "80e0 0102 00000005 0000000a cafebabe"},
		{"extension", "9061 0003 00000005 00000006 bede0001 10aa0000 0102 ca", "9060 0102 00000005 0000000a bede0001 10aa0000 ca"},
		{"CSRC and padding", "a161 0003 00000005 00000006 77777777 0102 ca 0002", "a160 0102 00000005 0000000a 77777777 ca 0002"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := parse(t, unhex(t, c.rtx))
			if err := p.Unwrap(96, 10); err != nil {
				t.Fatal(err)
			}
			want := unhex(t, c.want)
			if !bytes.Equal(p.Bytes(), want) {
				t.Fatalf("got %x", p.Bytes())
			}
			again := parse(t, want)
			if !bytes.Equal(p.Payload(), again.Payload()) || p.Padding() != again.Padding() || !bytes.Equal(p.Extension(1), again.Extension(1)) {
				t.Errorf("view: payload %x, padding %d, extension %x", p.Payload(), p.Padding(), p.Extension(1))
			}
		})
	}
	for _, probe := range []string{"8061 0003 00000005 00000006", "8061 0003 00000005 00000006 01", "8061 0003 00000005 00000006 0102", "a061 0003 00000005 00000006 00000004"} {
		raw := unhex(t, probe)
		p := parse(t, raw)
		if err := p.Unwrap(96, 10); !errors.Is(err, ErrRTX) || !bytes.Equal(raw, unhex(t, probe)) {
			t.Errorf("probe %s: %v, now %x", probe, err, raw)
		}
	}
}

func TestPaddingPackets(t *testing.T) {
	dst := bytes.Repeat([]byte{0xee}, 300)
	r := Rewriter{IDs: IDs{TransportCC: 5}}
	w, err := r.WritePadding(dst, &Header{PayloadType: 97, Sequence: 1, SSRC: 2}, 255)
	if err != nil {
		t.Fatal(err)
	}
	p := parse(t, dst[:w.Size])
	same(t, p, dst[:w.Size])
	if p.Padding() != 255 || len(p.Payload()) != 0 || w.TransportCC == 0 {
		t.Errorf("padding %d, payload %d bytes", p.Padding(), len(p.Payload()))
	}
	if _, err := r.WritePadding(dst, &Header{}, 0); err == nil {
		t.Error("padding of 0 was written")
	}
	if _, err := r.WritePadding(dst[:270], &Header{}, 255); !errors.Is(err, ErrSpace) {
		t.Errorf("no room: %v", err)
	}
}

func TestNothingIsAllocatedForAPacket(t *testing.T) {
	raw := unhex(t, full)
	dst := make([]byte, 300)
	r := Rewriter{IDs: jitsi, Mixed: true}
	var p Packet
	free(t, "parse and write", func() {
		h := Header{PayloadType: 41, MID: "v0"}
		if p.Parse(raw) != nil {
			t.Error("refused")
		}
		if _, err := r.Write(dst, &p, jitsi, &h); err != nil {
			t.Error(err)
		}
		if _, err := r.WriteRTX(dst, &p, jitsi, &h, 1); err != nil {
			t.Error(err)
		}
	})
	free(t, "refuse", func() {
		if p.Parse(raw[:13]) == nil {
			t.Error("taken")
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	raw := append(unhex(b, full), make([]byte, 1100)...)
	raw[0] &^= paddingBit
	p := parse(b, raw)
	dst := make([]byte, 1500)
	r := Rewriter{IDs: jitsi, Mixed: true}
	h := Header{PayloadType: 41, MID: "v0"}
	b.ReportAllocs()
	for b.Loop() {
		h.Sequence++
		if _, err := r.Write(dst, p, jitsi, &h); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAlignedPacketsHaveTheSamePayload(t *testing.T) {
	const headers = 12 + 4 + 8 // two elements of three bytes and two
	r := Rewriter{IDs: IDs{AbsSendTime: 3, TransportCC: 5}}
	for n := range 40 {
		payload := bytes.Repeat([]byte{0xfe}, n)
		p := parse(t, append(unhex(t, "80 29 0001 00000002 00000003"), payload...))
		for _, align := range []int{0, 1, 16, 128} {
			dst := bytes.Repeat([]byte{0xee}, 400)
			w, err := r.Write(dst, p, jitsi, &Header{PayloadType: 41, Align: align})
			if err != nil {
				t.Fatal(err)
			}
			want := headers + n
			if align > 0 {
				want = (want + align - 1) / align * align
			}
			if w.Size != want || w.Padding != want-headers-n {
				t.Errorf("%d bytes to %d: %d with %d of padding, want %d", n, align, w.Size, w.Padding, want)
			}
			out := parse(t, dst[:w.Size])
			if !bytes.Equal(out.Payload(), payload) || out.Padding() != w.Padding || dst[w.Size] != 0xee {
				t.Errorf("%d bytes to %d: payload %x, padding %d", n, align, out.Payload(), out.Padding())
			}
			if _, err := r.Write(dst[:w.Size-1], p, jitsi, &Header{PayloadType: 41, Align: align}); !errors.Is(err, ErrSpace) {
				t.Errorf("%d bytes to %d: %v without room", n, align, err)
			}
		}
	}
}
