package rtp

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtcp"
)

const ms = time.Millisecond

// reported reads feedback packets back: when each packet came, by sequence number; -1 for those reported as missing.
func reported(t *testing.T, raw []byte, into map[uint16]time.Duration) (count int) {
	t.Helper()
	alike(t, raw)
	if all, err := rtcp.Unmarshal(bytes.Clone(raw)); err != nil || len(all) != 1 {
		t.Fatalf("pion refuses %x: %v", raw, err)
	}
	f, ok := first(t, raw).TransportCC()
	if !ok {
		t.Fatalf("%x is refused", raw)
	}
	for a, ok := f.Next(); ok; a, ok = f.Next() {
		count++
		if into[a.Sequence] = -1; a.Received {
			into[a.Sequence] = time.Duration(f.Reference)*reference*tick + a.At
		}
	}
	return count
}

func TestFeedbackTellsWhatCameAndWhen(t *testing.T) {
	var a Arrivals
	if out, more := a.Append(nil, 1, 2, 1200); out != nil || more {
		t.Fatalf("feedback of nothing: %x", out)
	}
	a.Record(65534, 100*ms)
	a.Record(65535, 101*ms)
	a.Record(1, 100*ms+500*time.Microsecond) // came before its predecessor: a negative delta
	a.Record(2, 200*ms)                      // more than 63.75 ms later: a large one
	a.Record(2, 300*ms)                      // a copy
	out, more := a.Append(nil, 0x01020304, 0x0a0b0c0d, 1200)
	// Base 65534, 5 packets, reference 1 (64 ms), number 0; two-bit vector: small, small, none, large, large.
	want := unhex(t, "8fcd0007 01020304 0a0b0c0d fffe0005 00000100 d4a0 90 04 fffe 018e 00000000")
	want[3] = byte(len(out)/4 - 1)
	if want = want[:len(out)]; !bytes.Equal(out, want) || more {
		t.Fatalf("got  %x\nwant %x", out, want)
	}
	if _, more := a.Append(nil, 1, 2, 1200); more {
		t.Error("it is reported twice")
	}
	a.Record(0, 400*ms) // was reported as missing
	got := make(map[uint16]time.Duration)
	out, _ = a.Append(nil, 1, 2, 1200)
	if n := reported(t, out, got); n != 3 || got[0] != 400*ms || got[1] != 100*ms+500*time.Microsecond || got[2] != 200*ms || out[19] != 1 {
		t.Errorf("%d packets: %v", n, got)
	}
}

func TestFeedbackIsSplit(t *testing.T) {
	t.Run("by size", func(t *testing.T) {
		var a Arrivals
		for seq := range uint16(1000) {
			a.Record(seq, time.Duration(seq)*100*ms) // all large
		}
		got := make(map[uint16]time.Duration)
		packets := 0
		for more := true; more; packets++ {
			var out []byte
			if out, more = a.Append(nil, 1, 2, 300); len(out) > 300 {
				t.Fatalf("%d bytes", len(out))
			}
			reported(t, out, got)
		}
		for seq := range uint16(1000) {
			if got[seq] != time.Duration(seq)*100*ms {
				t.Fatalf("%d came at %v", seq, got[seq])
			}
		}
		if packets < 8 || packets > 10 {
			t.Errorf("%d packets", packets)
		}
	})
	t.Run("where a delta is too large", func(t *testing.T) {
		var a Arrivals
		a.Record(1, 0)
		a.Record(2, 9*time.Second)
		out, more := a.Append(nil, 1, 2, 1200)
		got := make(map[uint16]time.Duration)
		if n := reported(t, out, got); n != 1 || !more {
			t.Fatalf("%d packets, more %v", n, more)
		}
		out, more = a.Append(nil, 1, 2, 1200)
		if reported(t, out, got); got[2] != 9*time.Second || more {
			t.Errorf("%v, more %v", got, more)
		}
	})
	t.Run("losses at its start do not lose the reference", func(t *testing.T) {
		var a Arrivals
		a.Record(0, 0)
		a.Append(nil, 1, 2, 1200)
		a.Record(1500, 10*time.Second)
		got := make(map[uint16]time.Duration)
		for more := true; more; {
			var out []byte
			out, more = a.Append(nil, 1, 2, 1200)
			reported(t, out, got)
			if f, _ := first(t, out).TransportCC(); f.Reference != 156 {
				t.Fatalf("reference %d", f.Reference)
			}
		}
		if len(got) != 1500 || got[1500] != 10*time.Second {
			t.Errorf("%d packets, the last at %v", len(got), got[1500])
		}
	})
}

func TestHB9TransportSequenceJumps(t *testing.T) {
	var a Arrivals
	dst := make([]byte, 0, 4096)
	for i := range 1000 {
		a.Record(uint16(i*30011), time.Duration(i)*ms)
		for more := true; more; {
			var out []byte
			if out, more = a.Append(dst, 1, 2, 1200); len(out) > 1200 {
				t.Fatal(len(out))
			}
		}
	}
}

func TestFeedbackForgetsThePacketsOfTheRoundBefore(t *testing.T) {
	var a Arrivals
	for seq := range uint16(arrivalsKept) {
		a.Record(seq, ms)
	}
	for more := true; more; {
		_, more = a.Append(nil, 1, 2, 1200)
	}
	a.Record(arrivalsKept+2, 3*ms)
	got := make(map[uint16]time.Duration)
	out, _ := a.Append(nil, 1, 2, 1200)
	if n := reported(t, out, got); n != 3 || got[arrivalsKept] != -1 || got[arrivalsKept+1] != -1 || got[arrivalsKept+2] != 3*ms {
		t.Errorf("%d packets: %v", n, got)
	}
}

func TestFeedbackAfterALongLossIsAboutItsEnd(t *testing.T) {
	var a Arrivals
	a.Record(0, ms)
	a.Append(nil, 1, 2, 1200)
	a.Record(5000, 3*ms)
	got := make(map[uint16]time.Duration)
	for more := true; more; {
		var out []byte
		out, more = a.Append(nil, 1, 2, 1200)
		reported(t, out, got)
	}
	if _, ok := got[5000-arrivalsKept]; ok || len(got) != arrivalsKept || got[5000] != 3*ms {
		t.Errorf("%d packets", len(got))
	}
}

func TestReferencesWrap(t *testing.T) {
	f := TransportFeedback{Reference: 1}
	if d := f.Since(1<<24 - 1); d != 128*ms {
		t.Errorf("2 units make %v", d)
	}
	f.Reference = 1<<24 - 1
	if d := f.Since(1); d != -128*ms {
		t.Errorf("-2 units make %v", d)
	}
}

func FuzzArrivals(f *testing.F) {
	f.Add(uint64(1), uint16(0), []byte{0, 1, 2, 5, 0xff, 1, 1})
	f.Add(uint64(2), uint16(65530), []byte{0x80, 1, 0x80, 1, 0x40, 2, 0xfe, 9})
	f.Fuzz(func(t *testing.T, seed uint64, start uint16, steps []byte) {
		random := rand.New(rand.NewPCG(seed, 0))
		var a Arrivals
		came := make(map[uint16]time.Duration)
		got := make(map[uint16]time.Duration)
		seq, at := start, time.Duration(0)
		flush := func() {
			for more := true; more; {
				var out []byte
				if out, more = a.Append(nil, 1, 2, 100+random.IntN(1100)); out == nil {
					return
				}
				reported(t, out, got)
			}
		}
		for _, step := range steps[:min(len(steps), 500)] {
			at += time.Duration(random.IntN(1<<(step>>3))) * time.Microsecond
			if s := seq + uint16(int8(step<<4)>>5); s-start < 1000 {
				seq = s
			} else {
				seq++
			}
			if _, twice := came[seq]; !twice && seq-start < 1000 {
				came[seq] = at.Truncate(tick)
			}
			if seq-start < 1000 {
				a.Record(seq, at)
			}
			if step == 0 {
				flush()
			}
		}
		flush()
		for seq, at := range came {
			wrap := time.Duration(1<<24) * reference * tick
			if g, ok := got[seq]; !ok || g%wrap != at%wrap {
				t.Fatalf("%d came at %v, reported %v %v", seq, at, g, ok)
			}
		}
		for seq, at := range got {
			if _, ok := came[seq]; !ok && at >= 0 {
				t.Fatalf("%d is reported at %v", seq, at)
			}
		}
	})
}

func TestFeedbackIsNotAllocated(t *testing.T) {
	var a Arrivals
	dst := make([]byte, 0, 1500)
	var seq uint16
	at := time.Duration(0)
	free(t, "record and append", func() {
		for range 20 {
			seq++
			at += 3 * ms
			a.Record(seq, at)
		}
		a.Append(dst, 1, 2, 1200)
	})
}

func BenchmarkRecord(b *testing.B) {
	var a Arrivals
	dst := make([]byte, 0, 1500)
	var seq uint16
	at := time.Duration(0)
	b.ReportAllocs()
	for b.Loop() {
		seq++
		at += ms
		a.Record(seq, at)
		if seq%100 == 0 { // one feedback for 100 packets
			a.Append(dst, 1, 2, 1200)
		}
	}
}
