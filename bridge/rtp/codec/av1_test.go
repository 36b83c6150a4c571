package codec

import (
	"bytes"
	"testing"

	"github.com/pion/rtp/codecs"
)

// av1s are payloads after RTP Payload Format for AV1 §4.4 and §4.5.
var av1s = []struct {
	name, payload string
	want          AV1
	bad           bool
}{
	{name: "one element", payload: "10 30aabb", want: AV1{Elements: 1}},
	{name: "first packet of a sequence", payload: "28 02 0a0b 30aabb", want: AV1{Elements: 2, Sequence: true}},
	{name: "fragment in the middle", payload: "d0 aabb", want: AV1{Continues: true, Unended: true, Elements: 1}},
	{name: "uncounted elements", payload: "00 02 0a0b 03 30aabb", want: AV1{}},
	{name: "three elements, the second empty", payload: "30 01 aa 00 bb", want: AV1{Elements: 3}},
	{name: "length of two bytes", payload: "00 8200 0a0b", want: AV1{}},
	{name: "HB10 nothing", bad: true},
	{name: "HB10 aggregation header only", payload: "18", bad: true},
	{name: "HB10 sequence that continues", payload: "98 30aabb", bad: true},
	{name: "HB10 length beyond the end", payload: "20 05 0a0b 30", bad: true},
	{name: "HB10 length without end", payload: "00 ffffffffffffffffff", bad: true},
	{name: "HB10 huge length", payload: "00 ffffffffffffff7f 00", bad: true},
	{name: "HB10 fewer elements than counted", payload: "20 02 0a0b", bad: true},
}

func TestAV1(t *testing.T) {
	for _, c := range av1s {
		t.Run(c.name, func(t *testing.T) {
			var a AV1
			err := a.Parse(unhex(t, c.payload))
			if (err != nil) != c.bad {
				t.Fatal(err)
			}
			frame, want := a.Frame(true, true), Frame{}
			if !c.bad {
				want = Frame{Known: true, Key: c.want.Sequence, SwitchUp: c.want.Sequence, Start: !c.want.Continues, End: true}
			}
			if frame != want {
				t.Errorf("frame %+v, want %+v", frame, want)
			}
			a.valid = false
			if a != c.want {
				t.Errorf("got %+v, want %+v", a, c.want)
			}
		})
	}
}

func FuzzAV1(f *testing.F) {
	for _, c := range av1s {
		f.Add(unhex(f, c.payload))
	}
	for _, p := range captured(f, "av1") {
		f.Add(p.payload)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var a AV1
		err := a.Parse(raw)
		if frame := a.Frame(true, true); (frame == Frame{}) != (err != nil) {
			t.Fatalf("%v: %+v", err, frame)
		}
		if err != nil {
			return
		}
		var q codecs.AV1Packet //lint:ignore SA1019 what replaces it does not tell the number of elements
		if _, err := q.Unmarshal(bytes.Clone(raw)); err == nil && (q.Z != a.Continues || q.Y != a.Unended || q.W != a.Elements || q.N != a.Sequence) {
			t.Fatalf("%x: %+v, pion's %+v", raw, a, q)
		}
	})
}

func BenchmarkAV1(b *testing.B) {
	raw := captured(b, "av1")[0].payload
	var a AV1
	b.ReportAllocs()
	for b.Loop() {
		if a.Parse(raw) != nil {
			b.Fatal("refused")
		}
	}
}
