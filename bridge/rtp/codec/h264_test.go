package codec

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/pion/rtp/codecs"
)

// ue and se write Exp-Golomb codes (ITU-T H.264 §9.1), independently of the code under test.
func ue(v int) string {
	b := fmt.Sprintf("%b", v+1)
	return strings.Repeat("0", len(b)-1) + b
}

func se(v int) string {
	if v > 0 {
		return ue(2*v - 1)
	}
	return ue(-2 * v)
}

// escape puts emulation prevention bytes in.
func escape(b []byte) (out []byte) {
	zeros := 0
	for _, c := range b {
		if zeros >= 2 && c <= 3 {
			out = append(out, 3)
			zeros = 0
		}
		out = append(out, c)
		if c == 0 {
			zeros++
		} else {
			zeros = 0
		}
	}
	return out
}

func TestSequenceParameterSets(t *testing.T) {
	head := func(profile int) string { return bin(8, profile) + bin(16, 0xc01f) + ue(0) }
	tail := func(w, h int, more string) string {
		return ue(4) + ue(0) + ue(2) + ue(1) + "0" + ue(w-1) + ue(h-1) + more + "0" + "1"
	}
	lists := "1" + "1" + strings.Repeat(se(1), 16) + strings.Repeat("0", 5) + "1" + se(2) + se(-10) + "0"
	for _, c := range []struct {
		name, bits    string
		width, height uint16
	}{
		{"baseline, 1280 x 720", head(66) + tail(80, 45, "1"+"1"+"0"), 1280, 720},
		{"baseline, 1920 x 1080 is cropped", head(66) + tail(120, 68, "1"+"1"+"1"+ue(0)+ue(0)+ue(0)+ue(4)), 1920, 1080},
		{"high", head(100) + ue(1) + ue(0) + ue(0) + "00" + tail(40, 23, "1"+"1"+"1"+ue(0)+ue(0)+ue(0)+ue(4)), 640, 360},
		{"high, scaling lists", head(100) + ue(1) + ue(0) + ue(0) + "0" + lists + tail(40, 22, "1"+"1"+"0"), 640, 352},
		{"4:4:4, cropped by the pixel", head(244) + ue(3) + "0" + ue(0) + ue(0) + "00" + tail(2, 2, "1"+"1"+"1"+ue(1)+ue(2)+ue(3)+ue(4)), 29, 25},
		{"interlaced", head(77) + tail(120, 34, "0"+"1"+"1"+"1"+ue(0)+ue(0)+ue(0)+ue(2)), 1920, 1080},
		{"picture order count 1", head(66) + ue(0) + ue(1) + "0" + se(-3) + se(4) + ue(2) + se(1) + se(-1) + ue(1) + "0" + ue(19) + ue(14) + "11" + "00" + "1", 320, 240},
		{"emulation prevention", bin(8, 66) + bin(16, 0) + ue(0) + tail(80, 45, "1"+"1"+"0"), 1280, 720},
		{"HB10 cropped to nothing", head(66) + tail(2, 2, "1"+"1"+"1"+ue(8)+ue(8)+ue(0)+ue(0)), 0, 0},
		{"HB10 too wide", head(66) + tail(5000, 45, "1"+"1"+"0"), 0, 0},
		{"HB10 chroma format 4", head(100) + ue(4) + strings.Repeat("1", 80), 0, 0},
		{"HB10 code of 32 zeros", head(66) + strings.Repeat("0", 40) + strings.Repeat("1", 80), 0, 0},
		{"HB10 cut", head(66) + ue(0), 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := append([]byte{0x67}, escape(pack(t, c.bits))...)
			var h H264
			if err := h.Parse(raw); err != nil || !h.SPS {
				t.Fatal(err)
			}
			if h.Width != c.width || h.Height != c.height {
				t.Errorf("%d x %d, want %d x %d", h.Width, h.Height, c.width, c.height)
			}
		})
	}
}

// h264s are payloads after the drawings of RFC 6184 §5.6 to §5.8.
var h264s = []struct {
	name, payload string
	want          H264 // the exported fields; Type 0: refused
	frame         Frame
}{
	{name: "slice", payload: "41 9a00", want: H264{Type: 1, Slice: true, Begins: true, Ends: true},
		frame: Frame{Known: true, Start: true, End: true}},
	{name: "slice that nothing needs", payload: "01 9a00", want: H264{Type: 1, Slice: true, Begins: true, Ends: true, Unreferenced: true},
		frame: Frame{Known: true, Start: true, End: true, Discardable: true}},
	{name: "IDR slice", payload: "65 8800", want: H264{Type: 5, IDR: true, Slice: true, Begins: true, Ends: true},
		frame: Frame{Known: true, Start: true, End: true, Key: true, SwitchUp: true}},
	{name: "SEI", payload: "06 0100", want: H264{Type: 6, Begins: true, Ends: true}, frame: Frame{Known: true, Start: true, End: true}},
	{name: "STAP-A of SPS, PPS and IDR", payload: "78 0002 6742 0002 68ce 0003 65 8800",
		want:  H264{Type: 24, IDR: true, SPS: true, PPS: true, Slice: true, Begins: true, Ends: true},
		frame: Frame{Known: true, Start: true, End: true, Key: true, SwitchUp: true}},
	{name: "STAP-A of slices, one needed", payload: "78 0002 019a 0002 419a", want: H264{Type: 24, Slice: true, Begins: true, Ends: true},
		frame: Frame{Known: true, Start: true, End: true}},
	{name: "first fragment of an IDR slice", payload: "7c 85 88", want: H264{Type: 28, IDR: true, Slice: true, Begins: true},
		frame: Frame{Known: true, Start: true, Key: true, SwitchUp: true}},
	{name: "middle fragment of an IDR slice", payload: "7c 05 88", want: H264{Type: 28, Slice: true}, frame: Frame{Known: true}},
	{name: "last fragment of a slice that nothing needs", payload: "1c 41 88", want: H264{Type: 28, Slice: true, Ends: true, Unreferenced: true},
		frame: Frame{Known: true, End: true, Discardable: true}},
	{name: "HB10 nothing"},
	{name: "HB10 one byte", payload: "65"},
	{name: "HB10 forbidden bit", payload: "e5 8800"},
	{name: "HB10 type 0", payload: "60 8800"},
	{name: "HB10 STAP-B", payload: "79 0000 0002 658800"},
	{name: "HB10 FU-B", payload: "7d 85 0000 88"},
	{name: "HB10 type 31", payload: "7f 85 88"},
	{name: "HB10 STAP-A of an empty unit", payload: "78 0000 0002 6588"},
	{name: "HB10 STAP-A beyond its end", payload: "78 0003 6588"},
	{name: "HB10 STAP-A with half a size", payload: "78 0002 6588 00"},
	{name: "HB10 STAP-A in STAP-A", payload: "78 0002 7800"},
	{name: "HB10 fragment that starts and ends", payload: "7c c5 88"},
	{name: "HB10 fragment of nothing", payload: "7c 85"},
	{name: "HB10 fragment of a fragment", payload: "7c 9c 88"},
}

func TestH264(t *testing.T) {
	for _, c := range h264s {
		t.Run(c.name, func(t *testing.T) {
			var h H264
			err := h.Parse(unhex(t, c.payload))
			if (err != nil) != (c.want.Type == 0) {
				t.Fatal(err)
			}
			if got := h.Frame(true, true); got != c.frame {
				t.Errorf("frame %+v, want %+v", got, c.frame)
			}
			if got := h.Frame(false, false); got.Start || got.End || got.Key != c.frame.Key {
				t.Errorf("in the middle of a picture %+v", got)
			}
			h.valid, h.referenced = false, false
			if h != c.want {
				t.Errorf("got %+v, want %+v", h, c.want)
			}
		})
	}
}

func FuzzH264(f *testing.F) {
	for _, c := range h264s {
		f.Add(unhex(f, c.payload))
	}
	for _, p := range captured(f, "h264") {
		f.Add(p.payload)
	}
	f.Add(append([]byte{0x67}, escape(pack(f, bin(8, 100)+bin(16, 0)+ue(0)+ue(3)+"0"+ue(0)+ue(0)+"01"+strings.Repeat("1", 80)))...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var h H264
		err := h.Parse(raw)
		if frame := h.Frame(true, true); (frame == Frame{}) != (err != nil) {
			t.Fatalf("%v: %+v", err, frame)
		}
		if err != nil {
			return
		}
		var q codecs.H264Packet
		units, qerr := q.Unmarshal(bytes.Clone(raw))
		if qerr != nil {
			t.Fatalf("pion refuses %x: %v", raw, qerr)
		}
		if q.IsPartitionHead(raw) != h.Begins {
			t.Fatalf("%x: begins %v", raw, h.Begins)
		}
		if h.Type != nalFUA && h.IDR && !bytes.ContainsFunc(units, func(r rune) bool { return true }) {
			t.Fatalf("%x: an IDR slice in nothing", raw)
		}
		if h.IDR && !h.Slice || h.Unreferenced && !h.Slice {
			t.Fatalf("%x: %+v", raw, h)
		}
	})
}

func BenchmarkH264(b *testing.B) {
	for _, c := range []struct {
		name string
		raw  []byte
	}{{"fragment", append([]byte{0x7c, 0x05}, make([]byte, 1100)...)}, {"parameter-sets", captured(b, "h264")[0].payload}} {
		b.Run(c.name, func(b *testing.B) {
			var h H264
			b.ReportAllocs()
			for b.Loop() {
				if h.Parse(c.raw) != nil && c.name == "fragment" {
					b.Fatal("refused")
				}
			}
		})
	}
}
