package codec

import (
	"bytes"
	"testing"

	"github.com/pion/rtp/codecs"
)

// vp9s are payloads after the drawings of RFC 9628 §4.2, with a payload of one byte.
var vp9s = []struct {
	name, payload string
	want          VP9 // without the unexported fields; Size 0: refused
	frame         Frame
}{
	{name: "one byte of descriptor", payload: "0c 00",
		want: VP9{Start: true, End: true, Size: 1}, frame: Frame{Known: true, Key: true, SwitchUp: true, Start: true, End: true}},
	{name: "picture id of 7 bits", payload: "c8 7f 00",
		want: VP9{HasPicture: true, PictureBits: 7, Picture: 127, Inter: true, Start: true, Size: 2}, frame: Frame{Known: true, Start: true}},
	{name: "picture id of 15 bits", payload: "c4 8123 00",
		want: VP9{HasPicture: true, PictureBits: 15, Picture: 0x123, Inter: true, End: true, Size: 3}, frame: Frame{Known: true, End: true}},
	{name: "layers, not flexible", payload: "e1 8123 5c 45 00",
		want: VP9{HasPicture: true, PictureBits: 15, Picture: 0x123, Inter: true, HasLayers: true, NotUpper: true, Temporal: 2, SwitchUp: true,
			Spatial: 6, HasTL0: true, TL0: 0x45, Size: 5},
		frame: Frame{Known: true, Temporal: 2, Spatial: 6, SwitchUp: true}},
	{name: "upper layer of a key picture", payload: "a8 8123 03 45 00",
		want: VP9{HasPicture: true, PictureBits: 15, Picture: 0x123, HasLayers: true, Start: true, Spatial: 1, InterLayer: true,
			HasTL0: true, TL0: 0x45, Size: 5},
		frame: Frame{Known: true, Key: true, SwitchUp: true, Start: true, Spatial: 1}},
	{name: "flexible, three references", payload: "f8 8123 20 03 05 0a 00",
		want: VP9{HasPicture: true, PictureBits: 15, Picture: 0x123, Inter: true, HasLayers: true, Flexible: true, Start: true, Temporal: 1,
			References: 3, Differences: [3]uint8{1, 2, 5}, Size: 7},
		frame: Frame{Known: true, Start: true, Temporal: 1}},
	{name: "scalability structure", payload: "aa 8123 02 45 38 0140 00b4 0280 0168 02 04 01 54 02 00",
		want: VP9{HasPicture: true, PictureBits: 15, Picture: 0x123, HasLayers: true, Start: true, Spatial: 1, HasTL0: true, TL0: 0x45,
			HasStructure: true, Layers: 2, Resolutions: true, Widths: [8]uint16{320, 640}, Heights: [8]uint16{180, 360}, Pictures: 2, Size: 19},
		frame: Frame{Known: true, Key: true, SwitchUp: true, Start: true, Spatial: 1, Width: 640, Height: 360}},
	{name: "structure without sizes and pictures", payload: "02 e0 00",
		want: VP9{HasStructure: true, Layers: 8, Size: 2}, frame: Frame{Known: true, Key: true, SwitchUp: true}},
	{name: "picture group of none", payload: "02 08 00 00",
		want: VP9{HasStructure: true, Layers: 1, Size: 3}, frame: Frame{Known: true, Key: true, SwitchUp: true}},
	{name: "HB10 nothing", payload: ""},
	{name: "HB10 descriptor only", payload: "8c 8123"},
	{name: "HB10 flexible without picture id", payload: "18 00"},
	{name: "HB10 no picture id", payload: "88"},
	{name: "HB10 half a picture id", payload: "88 81"},
	{name: "HB10 no layers", payload: "a8 8123"},
	{name: "HB10 no TL0PICIDX", payload: "a8 8123 00"},
	{name: "HB10 lowest layer needs one below", payload: "a8 8123 01 45 00"},
	{name: "HB10 four references", payload: "f8 8123 20 03 05 0b 02 00"},
	{name: "HB10 no references", payload: "f8 8123 20"},
	{name: "HB10 no structure", payload: "02"},
	{name: "HB10 no sizes", payload: "02 30 0140 00b4 0280 01"},
	{name: "HB10 no picture group", payload: "02 08"},
	{name: "HB10 picture group cut", payload: "02 08 03 00 00"},
	{name: "HB10 picture group's references cut", payload: "02 08 01 0c 01 01"},
}

func equalVP9(a, b VP9) bool {
	a.payload, b.payload, a.picture, b.picture, a.tl0, b.tl0 = nil, nil, 0, 0, 0, 0
	return a.Frame() == b.Frame() && a.PictureBits == b.PictureBits && a.Picture == b.Picture && a.HasPicture == b.HasPicture &&
		a.Inter == b.Inter && a.HasLayers == b.HasLayers && a.Flexible == b.Flexible && a.NotUpper == b.NotUpper &&
		a.InterLayer == b.InterLayer && a.HasTL0 == b.HasTL0 && a.TL0 == b.TL0 && a.References == b.References &&
		a.Differences == b.Differences && a.HasStructure == b.HasStructure && a.Layers == b.Layers && a.Resolutions == b.Resolutions &&
		a.Widths == b.Widths && a.Heights == b.Heights && a.Pictures == b.Pictures && a.Size == b.Size
}

func TestVP9(t *testing.T) {
	for _, c := range vp9s {
		t.Run(c.name, func(t *testing.T) {
			raw := unhex(t, c.payload)
			var d VP9
			err := d.Parse(raw)
			if (err != nil) != (c.want.Size == 0) {
				t.Fatal(err)
			}
			if got := d.Frame(); got != c.frame {
				t.Errorf("frame %+v, want %+v", got, c.frame)
			}
			if !equalVP9(d, c.want) {
				t.Errorf("got %+v, want %+v", d, c.want)
			}
			alikeVP9(t, raw, &d, err)
		})
	}
}

func alikeVP9(t *testing.T, raw []byte, d *VP9, err error) {
	t.Helper()
	if err != nil || d.Spatial >= 5 {
		return // pion knows five spatial layers
	}
	var q codecs.VP9Packet
	payload, qerr := q.Unmarshal(raw)
	if qerr != nil {
		t.Fatalf("pion refuses %x: %v", raw, qerr)
	}
	if d.Size != len(raw)-len(payload) || d.HasPicture != q.I || d.Inter != q.P || d.HasLayers != q.L || d.Flexible != q.F || d.Start != q.B ||
		d.End != q.E || d.HasStructure != q.V || d.NotUpper != q.Z || d.Picture != q.PictureID || d.Temporal != q.TID || d.SwitchUp != q.U ||
		d.Spatial != q.SID || d.InterLayer != q.D || !bytes.Equal(d.Differences[:d.References], q.PDiff) || d.TL0 != q.TL0PICIDX ||
		d.Pictures != int(q.NG) || d.Resolutions != q.Y {
		t.Fatalf("%x: %+v, pion's %+v", raw, d, q)
	}
	for i := range q.Width {
		if d.Widths[i] != q.Width[i] || d.Heights[i] != q.Height[i] {
			t.Fatalf("%x: sizes %v %v, pion's %v %v", raw, d.Widths, d.Heights, q.Width, q.Height)
		}
	}
}

func TestVP9SourceRemembersSizes(t *testing.T) {
	var s VP9Source
	var d VP9
	for _, c := range []struct {
		payload       string
		width, height uint16
	}{
		{"e8 8122 02 45 00", 0, 0},
		{"aa 8123 02 45 30 0140 00b4 0280 0168 00", 640, 360},
		{"e8 8124 02 45 00", 640, 360},
		{"e8 8124 00 45 00", 320, 180},
		{"e8 8124 04 45 00", 0, 0},
		{"aa 8125 00 45 10 0500 02d0 00", 1280, 720},
	} {
		if err := d.Parse(unhex(t, c.payload)); err != nil {
			t.Fatal(err)
		}
		if f := s.Frame(&d); f.Width != c.width || f.Height != c.height {
			t.Errorf("%s: %d x %d", c.payload, f.Width, f.Height)
		}
	}
	if d.Parse(nil) == nil || s.Frame(&d) != (Frame{}) {
		t.Error("an unknown frame has a size")
	}
}

func TestVP9NumbersAreWrittenInPlace(t *testing.T) {
	raw := unhex(t, "e1 8123 5c 45 00")
	var d VP9
	if err := d.Parse(raw); err != nil {
		t.Fatal(err)
	}
	d.SetPicture(0x7abc)
	d.SetTL0(0xde)
	if want := unhex(t, "e1 fabc 5c de 00"); !bytes.Equal(raw, want) {
		t.Errorf("got %x", raw)
	}
	raw = unhex(t, "f8 23 20 02 00")
	if err := d.Parse(raw); err != nil {
		t.Fatal(err)
	}
	d.SetPicture(0x7abc)
	d.SetTL0(0xde)
	if want := unhex(t, "f8 3c 20 02 00"); !bytes.Equal(raw, want) {
		t.Errorf("got %x", raw)
	}
}

func FuzzVP9(f *testing.F) {
	for _, c := range vp9s {
		f.Add(unhex(f, c.payload))
	}
	for _, p := range captured(f, "vp9") {
		f.Add(p.payload)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var d VP9
		var s VP9Source
		err := d.Parse(raw)
		if frame := s.Frame(&d); (frame == Frame{}) != (err != nil) {
			t.Fatalf("%v: %+v", err, frame)
		}
		if err != nil {
			return
		}
		alikeVP9(t, raw, &d, err)
		d.SetPicture(0x7abc)
		d.SetTL0(1)
		var again VP9
		if err := again.Parse(raw); err != nil || !equalVP9(again, d) {
			t.Fatalf("%x: %+v, want %+v", raw, again, d)
		}
	})
}

func BenchmarkVP9(b *testing.B) {
	raw := append(unhex(b, "e1 8123 5c 45"), make([]byte, 1100)...)
	var d VP9
	var s VP9Source
	b.ReportAllocs()
	for b.Loop() {
		if d.Parse(raw) != nil || !s.Frame(&d).Known {
			b.Fatal("refused")
		}
		d.SetPicture(d.Picture + 1)
	}
}
