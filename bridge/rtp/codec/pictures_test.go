package codec

import (
	"math/rand/v2"
	"testing"
)

func (p *Pictures) must(t *testing.T, bits uint8, n, want Numbers) {
	t.Helper()
	if got, ok := p.Map(bits, n); !ok || got != want {
		t.Fatalf("%+v: got %+v %v, want %+v", n, got, ok, want)
	}
}

func (p *Pictures) mustNot(t *testing.T, bits uint8, n Numbers) {
	t.Helper()
	if got, ok := p.Map(bits, n); ok {
		t.Fatalf("%+v: got %+v, want nothing", n, got)
	}
}

func TestPictureIDsGoOnAcrossDropsLossesAndSwitches(t *testing.T) {
	var p Pictures
	p.must(t, 15, Numbers{32766, 254}, Numbers{32766, 254})
	p.must(t, 15, Numbers{32766, 254}, Numbers{32766, 254}) // its next packet
	p.Drop(15, Numbers{32767, 254})
	p.must(t, 15, Numbers{0, 255}, Numbers{32767, 255}) // the dropped one left no hole
	p.mustNot(t, 15, Numbers{32767, 254})
	p.must(t, 15, Numbers{3, 0}, Numbers{2, 0}) // 1 and 2 are missing
	p.must(t, 15, Numbers{1, 255}, Numbers{0, 255})
	p.Drop(15, Numbers{2, 255})
	p.mustNot(t, 15, Numbers{2, 255})
	p.Drop(15, Numbers{3, 0}) // too late: a packet of it went out
	p.must(t, 15, Numbers{3, 0}, Numbers{2, 0})

	p.Switch()
	p.Drop(15, Numbers{9, 0}) // before the first
	p.must(t, 7, Numbers{126, 17}, Numbers{3, 1})
	p.mustNot(t, 7, Numbers{125, 17})
	p.must(t, 7, Numbers{127, 17}, Numbers{4, 1})
	p.must(t, 7, Numbers{1, 18}, Numbers{6, 2}) // 7 bits wrap, 0 is missing
	p.must(t, 7, Numbers{0, 17}, Numbers{5, 1})
	p.Switch()
	p.Switch()
	p.must(t, 15, Numbers{1, 99}, Numbers{7, 3})
	p.mustNot(t, 15, Numbers{0, 98}) // of the source before, not of this one
	p.mustNot(t, 0, Numbers{2, 99})

	p.must(t, 15, Numbers{1001, 99}, Numbers{1007, 3}) // a long loss
	p.mustNot(t, 15, Numbers{500, 99})
	p.must(t, 15, Numbers{1000, 99}, Numbers{1006, 3})
}

func TestDifferencesOfVP9PicturesStay(t *testing.T) {
	var p Pictures
	var d VP9
	shift, known := uint16(0), false
	dropped := 0
	p.must(t, 15, Numbers{100, 0}, Numbers{100, 0})
	p.Switch()
	for i, c := range captured(t, "vp9-plain") {
		if err := d.Parse(c.payload); err != nil {
			t.Fatal(err)
		}
		if d.Temporal == 2 {
			dropped++
			continue
		}
		out, ok := p.Map(d.PictureBits, Numbers{d.Picture, d.TL0})
		if !ok || known && (out.Picture-d.Picture)&0x7fff != shift {
			t.Fatalf("packet %d: picture %d is %d, moved by %d before", i, d.Picture, out.Picture, shift)
		}
		shift, known = (out.Picture-d.Picture)&0x7fff, true
	}
	if dropped == 0 {
		t.Error("nothing was dropped")
	}
}

func TestNotesHoldTheNumbers(t *testing.T) {
	for _, n := range []Numbers{{}, {32767, 255}, {1, 2}} {
		if got := Noted(n.Note()); got != n {
			t.Errorf("%+v became %+v", n, got)
		}
	}
}

func FuzzPictures(f *testing.F) {
	f.Add(uint64(1), []byte{1, 1, 2, 3, 0x85, 1, 0xff, 4})
	f.Add(uint64(2), []byte{1, 0x41, 1, 0x7f, 1, 0xc0, 1})
	f.Fuzz(func(t *testing.T, seed uint64, steps []byte) {
		random := rand.New(rand.NewPCG(seed, 0))
		var p Pictures
		bits := uint8(15)
		id := uint16(random.Uint32()) & 0x7fff
		given := make(map[uint16]uint16) // of this run, by outgoing id
		for _, step := range steps[:min(len(steps), 1000)] {
			n := Numbers{(id + uint16(int8(step<<2)>>2)) & distance(bits), step}
			switch {
			case step == 0xff:
				p.Switch()
				bits = 22 - bits
				clear(given)
			case step&0x80 != 0:
				p.Drop(bits, n)
			default:
				out, ok := p.Map(bits, n)
				again, twice := p.Map(bits, n)
				if ok != twice || again != out {
					t.Fatalf("%+v is %+v and %+v", n, out, again)
				}
				if ok && len(given) < picturesKept {
					if in, taken := given[out.Picture]; taken && in != n.Picture && bits == 15 {
						t.Fatalf("%d was given to %d and %d", out.Picture, in, n.Picture)
					}
					given[out.Picture] = n.Picture
				}
				if ok && n.Picture == p.highest {
					id = n.Picture
				}
			}
		}
	})
}

func BenchmarkPictures(b *testing.B) {
	var p Pictures
	var id uint16
	b.ReportAllocs()
	for b.Loop() {
		id++
		if id%4 == 0 {
			p.Drop(15, Numbers{Picture: id & 0x7fff})
		} else if _, ok := p.Map(15, Numbers{Picture: id & 0x7fff}); !ok {
			b.Fatal(id)
		}
	}
}
