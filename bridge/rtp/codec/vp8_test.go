package codec

import (
	"bytes"
	"testing"

	"github.com/pion/rtp/codecs"
)

// vp8s are payloads after the drawings of RFC 7741 §4.2 and §4.3, most with a payload of one byte.
var vp8s = []struct {
	name, payload string
	want          VP8 // without the unexported fields; Size 0: refused
	frame         Frame
}{
	{name: "one byte of descriptor", payload: "10 01",
		want: VP8{Start: true, Size: 1}, frame: Frame{Known: true, Start: true, End: true}},
	{name: "continuation", payload: "00 00",
		want: VP8{Size: 1}, frame: Frame{Known: true, End: true}},
	{name: "second partition", payload: "11 00",
		want: VP8{Start: true, Partition: 1, Size: 1}, frame: Frame{Known: true, End: true}},
	{name: "key frame of 640 x 360", payload: "10 1002 00 9d012a 8002 6801",
		want:  VP8{Start: true, Key: true, Width: 640, Height: 360, Size: 1},
		frame: Frame{Known: true, Start: true, End: true, Key: true, SwitchUp: true, Width: 640, Height: 360}},
	{name: "key frame, scaled", payload: "10 1002 00 9d012a 8042 6881",
		want:  VP8{Start: true, Key: true, Width: 640, Height: 360, Size: 1},
		frame: Frame{Known: true, Start: true, End: true, Key: true, SwitchUp: true, Width: 640, Height: 360}},
	{name: "key frame, cut", payload: "10 1002",
		want: VP8{Start: true, Key: true, Size: 1}, frame: Frame{Known: true, Start: true, End: true, Key: true, SwitchUp: true}},
	{name: "HB10 key frame without start code", payload: "10 1002 00 9d012b 8002 6801"},
	{name: "picture id of 7 bits", payload: "90 80 7f 01",
		want: VP8{Start: true, HasPicture: true, PictureBits: 7, Picture: 127, Size: 3}, frame: Frame{Known: true, Start: true, End: true}},
	{name: "picture id of 15 bits", payload: "90 80 ffff 01",
		want: VP8{Start: true, HasPicture: true, PictureBits: 15, Picture: 32767, Size: 4}, frame: Frame{Known: true, Start: true, End: true}},
	{name: "TL0PICIDX", payload: "90 40 fe 01",
		want: VP8{Start: true, HasTL0: true, TL0: 254, Size: 3}, frame: Frame{Known: true, Start: true, End: true}},
	{name: "TID and Y", payload: "90 20 bf 01",
		want:  VP8{Start: true, HasTemporal: true, Temporal: 2, Sync: true, Size: 3},
		frame: Frame{Known: true, Start: true, End: true, Temporal: 2, Sync: true}},
	{name: "KEYIDX, TID to be ignored", payload: "90 10 ff 01",
		want: VP8{Start: true, HasKeyIndex: true, KeyIndex: 31, Size: 3}, frame: Frame{Known: true, Start: true, End: true}},
	{name: "everything", payload: "b0 f0 8123 45 51 01",
		want: VP8{NonReference: true, Start: true, HasPicture: true, PictureBits: 15, Picture: 0x123, HasTL0: true, TL0: 0x45,
			HasTemporal: true, Temporal: 1, HasKeyIndex: true, KeyIndex: 17, Size: 6},
		frame: Frame{Known: true, Start: true, End: true, Temporal: 1, Discardable: true}},
	{name: "base layer", payload: "90 20 00 01",
		want: VP8{Start: true, HasTemporal: true, Size: 3}, frame: Frame{Known: true, Start: true, End: true}},
	{name: "HB10 nothing", payload: ""},
	{name: "HB10 descriptor only", payload: "10"},
	{name: "HB10 no X", payload: "90"},
	{name: "HB10 no picture id", payload: "90 80"},
	{name: "HB10 half a picture id", payload: "90 80 81"},
	{name: "HB10 no payload after picture id", payload: "90 80 8123"},
	{name: "HB10 no TL0PICIDX", payload: "90 40"},
	{name: "HB10 no TID", payload: "90 20"},
	{name: "HB10 no payload after everything", payload: "b0 f0 8123 45 51"},
}

func TestVP8(t *testing.T) {
	for _, c := range vp8s {
		t.Run(c.name, func(t *testing.T) {
			raw := unhex(t, c.payload)
			var d VP8
			err := d.Parse(raw)
			if (err != nil) != (c.want.Size == 0) {
				t.Fatal(err)
			}
			if got := d.Frame(true); got != c.frame {
				t.Errorf("frame %+v, want %+v", got, c.frame)
			}
			alikeVP8(t, raw, &d, err)
			d.payload, d.picture, d.tl0 = nil, 0, 0
			if !equalVP8(d, c.want) {
				t.Errorf("got %+v, want %+v", d, c.want)
			}
		})
	}
}

func equalVP8(a, b VP8) bool {
	a.payload, b.payload = nil, nil
	return a.NonReference == b.NonReference && a.Start == b.Start && a.Partition == b.Partition && a.HasPicture == b.HasPicture &&
		a.PictureBits == b.PictureBits && a.Picture == b.Picture && a.HasTL0 == b.HasTL0 && a.TL0 == b.TL0 &&
		a.HasTemporal == b.HasTemporal && a.Temporal == b.Temporal && a.Sync == b.Sync && a.HasKeyIndex == b.HasKeyIndex &&
		a.KeyIndex == b.KeyIndex && a.Key == b.Key && a.Width == b.Width && a.Height == b.Height && a.Size == b.Size
}

// alikeVP8 compares d with what pion reads.
func alikeVP8(t *testing.T, raw []byte, d *VP8, err error) {
	t.Helper()
	var q codecs.VP8Packet
	payload, qerr := q.Unmarshal(raw)
	if err != nil {
		return
	}
	if qerr != nil {
		t.Fatalf("pion refuses %x: %v", raw, qerr)
	}
	if d.Size != len(raw)-len(payload) || d.Start != (q.S == 1) || d.NonReference != (q.N == 1) || d.Partition != q.PID || d.Picture != q.PictureID ||
		d.HasPicture != (q.I == 1) || d.HasTL0 != (q.L == 1) || d.TL0 != q.TL0PICIDX || d.HasTemporal != (q.T == 1) || d.Temporal != q.TID ||
		d.Sync != (q.Y == 1) || d.HasKeyIndex != (q.K == 1) || d.KeyIndex != q.KEYIDX {
		t.Fatalf("%x: %+v, pion's %+v", raw, d, q)
	}
}

func TestVP8NumbersAreWrittenInPlace(t *testing.T) {
	for _, c := range []struct{ name, payload, want string }{
		{"15 bits", "b0 f0 8123 45 51 01", "b0 f0 fabc de 51 01"},
		{"7 bits", "b0 f0 23 45 51 01", "b0 f0 3c de 51 01"},
		{"no TL0PICIDX", "90 80 8123 01", "90 80 fabc 01"},
		{"neither", "10 01", "10 01"},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := unhex(t, c.payload)
			var d VP8
			if err := d.Parse(raw); err != nil {
				t.Fatal(err)
			}
			d.SetPicture(0xfabc)
			d.SetTL0(0xde)
			if !bytes.Equal(raw, unhex(t, c.want)) {
				t.Errorf("got %x", raw)
			}
			var again VP8
			if err := again.Parse(raw); err != nil || !equalVP8(again, d) {
				t.Errorf("%v: got %+v, want %+v", err, again, d)
			}
		})
	}
	var d VP8 // before Parse nothing happens
	d.SetPicture(1)
	d.SetTL0(1)
}

func FuzzVP8(f *testing.F) {
	for _, c := range vp8s {
		f.Add(unhex(f, c.payload))
	}
	for _, p := range captured(f, "vp8") {
		f.Add(p.payload)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var d VP8
		err := d.Parse(raw)
		frame := d.Frame(true)
		if err != nil {
			if frame != (Frame{}) {
				t.Fatalf("unknown frame %+v", frame)
			}
			return
		}
		alikeVP8(t, raw, &d, err)
		before := bytes.Clone(raw)
		d.SetPicture(d.Picture)
		d.SetTL0(d.TL0)
		if !bytes.Equal(raw, before) {
			t.Fatalf("%x became %x", before, raw)
		}
		d.SetPicture(0x7abc)
		d.SetTL0(1)
		var again VP8
		if err := again.Parse(raw); err != nil || !equalVP8(again, d) {
			t.Fatalf("%x: %+v, want %+v", raw, again, d)
		}
	})
}

func BenchmarkVP8(b *testing.B) {
	raw := append(unhex(b, "90 f0 8123 45 51"), make([]byte, 1100)...)
	raw[6] = 1
	var d VP8
	b.ReportAllocs()
	for b.Loop() {
		if d.Parse(raw) != nil || !d.Frame(false).Known {
			b.Fatal("refused")
		}
		d.SetPicture(d.Picture + 1)
		d.SetTL0(d.TL0 + 1)
	}
}
