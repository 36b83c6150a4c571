package rtp

import (
	"math/rand/v2"
	"testing"
)

func (c *Continuity) mustForward(t *testing.T, stream uint32, seq uint16, timestamp uint32, want Place) {
	t.Helper()
	if got, v := c.Forward(stream, seq, timestamp, uint32(seq)+7); v != Forwarded || got != want {
		t.Fatalf("stream %d, %d: got %+v %v, want %+v", stream, seq, got, v, want)
	}
}

func (c *Continuity) refused(t *testing.T, stream uint32, seq uint16, want Verdict) {
	t.Helper()
	if got, v := c.Forward(stream, seq, 0, 0); v != want {
		t.Fatalf("stream %d, %d: got %+v %v, want %v", stream, seq, got, v, want)
	}
}

func (c *Continuity) origin(t *testing.T, out uint16, stream uint32, seq uint16, sent bool) {
	t.Helper()
	note := uint32(0)
	if sent {
		note = uint32(seq) + 7
	}
	if o, ok := c.Origin(out); !ok || o.Stream != stream || o.Sequence != seq || o.Sent != sent || o.Note != note {
		t.Fatalf("origin of %d: %+v %v, want stream %d seq %d", out, o, ok, stream, seq)
	}
}

func TestContinuityClosesHolesOfDroppedPacketsOnly(t *testing.T) {
	c := NewContinuity(64, 65534, 1000)
	c.refused(t, 1, 5, Foreign)
	c.Switch(1, 10)
	c.mustForward(t, 1, 5, 90000, Place{65534, 1010})
	c.mustForward(t, 1, 6, 93000, Place{65535, 4010})
	c.Drop(1, 7)
	c.Drop(1, 8)
	c.mustForward(t, 1, 9, 96000, Place{0, 7010})   // 7 and 8 left no hole
	c.mustForward(t, 1, 12, 99000, Place{3, 10010}) // 10 and 11 are missing: 1 and 2 are kept
	c.Drop(1, 14)                                   // 13 is missing: 4 is kept
	c.mustForward(t, 1, 15, 99000, Place{5, 10010})
	c.refused(t, 1, 7, Late)
	c.refused(t, 1, 12, Duplicate)
	c.refused(t, 1, 14, Late)
	c.mustForward(t, 1, 11, 96000, Place{2, 7010})
	c.refused(t, 1, 11, Duplicate)
	c.Drop(1, 12) // too late: it is sent
	c.origin(t, 3, 1, 12, true)
	c.Drop(1, 13)
	c.refused(t, 1, 13, Late)

	c.origin(t, 65534, 1, 5, true)
	c.origin(t, 0, 1, 9, true)
	c.origin(t, 1, 1, 10, false)
	c.origin(t, 2, 1, 11, true)
	c.origin(t, 5, 1, 15, true)
	for _, out := range []uint16{4, 6, 65533, 1000} {
		if o, ok := c.Origin(out); ok {
			t.Errorf("origin of %d: %+v", out, o)
		}
	}
}

func TestContinuityGoesOnAcrossSwitches(t *testing.T) {
	c := NewContinuity(64, 100, 0)
	c.Switch(1, 0)
	c.mustForward(t, 1, 10, 5000, Place{100, 0})
	c.mustForward(t, 1, 12, 8000, Place{102, 3000})
	c.Switch(2, 3000)
	c.refused(t, 1, 13, Foreign)
	c.mustForward(t, 2, 60000, 4_000_000_000, Place{103, 6000})
	c.refused(t, 2, 59999, Late) // before the frame at which it was switched
	c.mustForward(t, 2, 60001, 4_000_003_000, Place{104, 9000})
	if next := c.Fill(); next != (Place{105, 9000}) {
		t.Errorf("filler %+v", next)
	}
	c.mustForward(t, 2, 60002, 4_000_006_000, Place{106, 12000})
	c.Switch(1, 1)
	c.mustForward(t, 1, 13, 4_294_967_295, Place{107, 12001})
	c.mustForward(t, 1, 14, 2999, Place{108, 15001}) // its timestamp wraps

	c.origin(t, 100, 1, 10, true)
	c.origin(t, 101, 1, 11, false) // missing before the switch, yet to be got from the history
	c.origin(t, 103, 2, 60000, true)
	c.origin(t, 107, 1, 13, true)
	if _, ok := c.Origin(105); ok {
		t.Error("a filler has an origin")
	}
	if o, _ := c.Origin(102); 8000+o.Shift != 3000 {
		t.Errorf("shift %d: retransmission has timestamp %d", o.Shift, 8000+o.Shift)
	}
	c.Switch(2, 1)
	c.mustForward(t, 2, 20, 0, Place{109, 15002})
	c.mustForward(t, 2, 22, 0, Place{111, 15002})
	c.Switch(1, 1)
	c.mustForward(t, 1, 22, 0, Place{112, 15003})
	c.refused(t, 1, 21, Late) // missing in the other stream
	if c.Next() != 113 || c.Newest() != 15003 {
		t.Errorf("next %d, newest %d", c.Next(), c.Newest())
	}
}

func TestHB9SequenceJumpsDoNotMoveTheOutgoingStream(t *testing.T) {
	c := NewContinuity(64, 0, 0)
	c.Switch(1, 0)
	c.mustForward(t, 1, 1000, 0, Place{0, 0})
	for range 100 { // one here, one there
		c.refused(t, 1, 30000, Wild)
		c.refused(t, 1, 50000, Wild)
	}
	c.mustForward(t, 1, 1001, 0, Place{1, 0})
	for i := range uint16(4) {
		c.refused(t, 1, 20000+i, Wild)
	}
	c.refused(t, 1, 20004, Restarted)
	c.Switch(1, 3000)
	c.mustForward(t, 1, 20005, 77, Place{2, 3000})

	// Late retransmissions in a row are no new stream; what goes on like that is.
	for i := range uint16(49) {
		c.refused(t, 1, 19000+i+i/10, Wild)
	}
	c.mustForward(t, 1, 20006, 78, Place{3, 3001})
	for i := range uint16(49) {
		c.refused(t, 1, 19054+i+i/10, Wild)
	}
	c.refused(t, 1, 19108, Restarted)

	// A long loss is a loss: it shows as one hole.
	c.mustForward(t, 1, 20006+3000, 78, Place{5, 3001})
	c.origin(t, 4, 1, 20006+2999, false)
	c.refused(t, 1, 20005+2990, Late)
	c.mustForward(t, 1, 20006+2999, 78, Place{4, 3001})
}

func TestHB9NoSenderDrivesTheOutgoingStreamThroughItsCycles(t *testing.T) {
	for _, c := range []struct {
		name       string
		step, most uint16 // most: by which a packet in a row may move the outgoing stream
	}{
		{"nothing is missing", 1, 1}, {"every other one", 2, 2}, {"a few", 10, 2}, {"as many as are asked for", MaxGap + 1, 2},
		{"more", MaxGap + 2, 2}, {"as far as may be", maxDropout, 2},
	} {
		for _, drop := range []bool{false, true} {
			o := NewContinuity(1024, 0, 0)
			o.Switch(1, 0)
			seq := uint16(7)
			o.mustForward(t, 1, seq, 0, Place{0, 0})
			const packets = 10000
			for range packets { // what it has earned before is bounded
				seq++
				o.Forward(1, seq, 0, 0)
			}
			before := uint64(1)
			for range packets {
				seq += c.step
				was := o.Next()
				if drop {
					o.Drop(1, seq)
				} else if _, v := o.Forward(1, seq, 0, 0); v != Forwarded {
					t.Fatalf("%s: %v", c.name, v)
				}
				moved := o.Next() - was
				if moved > MaxGap+1 {
					t.Fatalf("%s: one packet moved the stream by %d", c.name, moved)
				}
				before += uint64(moved)
			}
			if most := uint64(c.most)*packets + maxCredit + 1; before > most || !drop && c.step > 1 && before < 2*packets {
				t.Errorf("%s, dropped %v: %d packets moved the stream by %d", c.name, drop, packets, before)
			}
		}
	}

	// What is lost now and then keeps its places, all of it.
	o := NewContinuity(1024, 0, 0)
	o.Switch(1, 0)
	seq := uint16(0)
	for range 50 {
		for range MaxGap {
			o.mustForward(t, 1, seq, 0, Place{seq, 0})
			seq++
		}
		seq += MaxGap
	}
}

func TestContinuityFindsLatePacketsHoweverLongItRan(t *testing.T) {
	c := NewContinuity(64, 0, 0)
	c.Switch(1, 0)
	for seq := range uint16(1000) {
		if seq%10 != 3 {
			c.mustForward(t, 1, seq, 0, Place{seq, 0})
		} else if seq > 40 {
			c.mustForward(t, 1, seq-40, 0, Place{seq - 40, 0})
		}
	}
	c.mustForward(t, 1, 999+65, 0, Place{999 + 65, 0})
	c.refused(t, 1, 993, Late) // after more missing packets than there are places, its own is forgotten
	c.origin(t, 1063, 1, 1063, false)
	if o, ok := c.Origin(1000); ok {
		t.Errorf("origin %+v", o)
	}
}

func TestContinuityForgetsAfterItsSize(t *testing.T) {
	c := NewContinuity(64, 0, 0)
	c.Switch(1, 0)
	for seq := range uint16(70) {
		c.mustForward(t, 1, seq, 0, Place{seq, 0})
	}
	if _, ok := c.Origin(5); ok {
		t.Error("70 packets are remembered by 64 places")
	}
	c.origin(t, 6, 1, 6, true)
	c.mustForward(t, 1, 72, 0, Place{72, 0})
	c.mustForward(t, 1, 73, 0, Place{73, 0})
	c.mustForward(t, 1, 71, 0, Place{71, 0}) // late, when the places go around
	c.mustForward(t, 1, 75, 0, Place{75, 0})
	for range 40 { // more switches than there are runs to remember
		c.Switch(2, 1)
		c.Switch(1, 1)
		c.Forward(1, 500, 0, 507)
	}
	if o, ok := c.Origin(69); ok {
		t.Errorf("its run is forgotten: %+v", o)
	}
	c.origin(t, c.Next()-1, 1, 500, true)
}

// TestContinuityAgainstAModel drives two reordered, lossy streams with drops, switches and fillers, and checks each answer
// against maps without bounds.
func TestContinuityAgainstAModel(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 1))
		c := NewContinuity(256, uint16(random.Uint32()), random.Uint32())
		type key struct {
			run int
			seq uint16
		}
		given := make(map[key]uint16) // outgoing
		from := make(map[uint16]key)
		run, stream := 0, uint32(1)
		c.Switch(stream, 0)
		next := uint16(random.Uint32())
		drop := func(seq uint16) bool { return seq%5 == 3 }
		var held []uint16
		feed := func(seq uint16) {
			if drop(seq) {
				c.Drop(stream, seq)
				return
			}
			place, v := c.Forward(stream, seq, 0, 0)
			k := key{run, seq}
			if _, twice := given[k]; twice && v == Forwarded {
				t.Fatalf("seed %d: %v was placed twice", seed, k)
			}
			if v != Forwarded {
				return
			}
			if other, taken := from[place.Sequence]; taken && other != k {
				t.Fatalf("seed %d: place %d of %v given to %v", seed, place.Sequence, other, k)
			}
			given[k], from[place.Sequence] = place.Sequence, k
			if o, ok := c.Origin(place.Sequence); !ok || o.Sequence != seq || o.Stream != stream {
				t.Fatalf("seed %d: origin %+v of %v", seed, o, k)
			}
		}
		for range 3000 {
			switch random.IntN(40) {
			case 0: // lost
			case 1, 2:
				held = append(held, next)
			case 3:
				for _, seq := range held {
					feed(seq)
				}
				held = held[:0]
			case 4:
				feed(next - uint16(random.IntN(300)))
			case 5:
				c.Fill()
			case 6:
				if random.IntN(10) == 0 {
					run, stream = run+1, 3-stream
					next, held = uint16(random.Uint32()), held[:0]
					c.Switch(stream, 1)
				}
			}
			feed(next)
			next++
		}
		// In a run, the order out is the order in.
		for a, x := range given {
			for _, d := range []uint16{1, 2, 5} {
				if y, ok := given[key{a.run, a.seq + d}]; ok && !Newer(y, x) {
					t.Fatalf("seed %d: %v goes out as %d, %d later as %d", seed, a, x, d, y)
				}
			}
		}
	}
}

func FuzzContinuity(f *testing.F) {
	f.Add([]byte{0, 0, 5, 0, 0, 6, 1, 0, 7, 0, 0, 8, 2, 0, 1, 0, 0x80, 0, 3, 0, 0})
	f.Add([]byte{2, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0x10, 0, 0, 0, 0, 0, 0x30, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		c := NewContinuity(64, 65000, 0)
		stream := uint32(0)
		c.Switch(0, 0)
		for ; len(ops) >= 3; ops = ops[3:] {
			seq := uint16(ops[1])<<8 | uint16(ops[2])
			before := c.Next()
			switch ops[0] % 4 {
			case 0:
				if place, v := c.Forward(stream, seq, 0, 9); v == Forwarded {
					if o, ok := c.Origin(place.Sequence); !ok || o.Sequence != seq || o.Stream != stream || !o.Sent || o.Note != 9 {
						t.Fatalf("origin of %d: %+v %v", place.Sequence, o, ok)
					}
					if moved := c.Next() - before; moved > MaxGap+1 {
						t.Fatalf("one packet moved the stream by %d", moved)
					}
				} else if c.Next() != before {
					t.Fatalf("a %v packet moved the stream", v)
				}
			case 1:
				c.Drop(stream, seq)
			case 2:
				stream = uint32(seq)
				c.Switch(stream, 1)
			case 3:
				c.Fill()
				c.Origin(seq)
			}
		}
	})
}

func TestSequencesAreExtended(t *testing.T) {
	var s Sequences
	for i, c := range []struct {
		seq  uint16
		want int64
	}{{65534, 65534}, {65535, 65535}, {1, 65537}, {0, 65536}, {65533, 65533}, {2, 65538}, {32770, 65538 - 32768}, {32769, 65538 + 32767}} {
		if got := s.Extend(c.seq); got != c.want {
			t.Fatalf("%d: %d is %d, want %d", i, c.seq, got, c.want)
		}
	}
	var ts Timestamps
	for _, c := range []struct {
		ticks uint32
		want  int64
	}{{4294967290, 4294967290}, {4, 4294967300}, {4294967295, 4294967295}, {3000, 4294970296}} {
		if got := ts.Extend(c.ticks); got != c.want {
			t.Fatalf("%d is %d, want %d", c.ticks, got, c.want)
		}
	}
	if !Newer(1, 65535) || Newer(65535, 1) || Newer(3, 3) || Newer(0, 32768) == Newer(32768, 0) {
		t.Error("order")
	}
}

func BenchmarkForward(b *testing.B) {
	c := NewContinuity(512, 0, 0)
	c.Switch(1, 0)
	var seq uint16
	b.ReportAllocs()
	for b.Loop() {
		seq++
		if seq%4 == 0 {
			c.Drop(1, seq)
		} else if p, v := c.Forward(1, seq, 0, 0); v != Forwarded {
			b.Fatal(p, v)
		}
	}
}

func BenchmarkOrigin(b *testing.B) {
	c := NewContinuity(512, 0, 0)
	c.Switch(1, 0)
	for seq := range uint16(512) {
		c.Forward(1, seq, 0, 0)
	}
	var out uint16
	b.ReportAllocs()
	for b.Loop() {
		out = (out + 1) % 512
		if _, ok := c.Origin(out); !ok {
			b.Fatal(out)
		}
	}
}
