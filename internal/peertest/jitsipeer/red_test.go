package jitsipeer

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/bridge/rtp"
)

// listen sends frames of a microphone through a network that loses some to a listener, and returns what that hears. change, if
// any, is what a bridge makes of a packet.
func listen(t *testing.T, a *Audio, n int, lost func(int) bool, change func(b []byte) []byte) Stats {
	t.Helper()
	from := &session{leg: &leg{}, opus: 111, red: 112, extensions: extensions{level: 1}}
	to := &session{peer: &Peer{receiver: newReceiver()}, opus: 111, red: 112, extensions: from.extensions}
	s := newSource("ann-a0", a, nil)
	s.outgoing()[0].encoder.frame = 1<<32 - 200
	s.outgoing()[0].sequence = 65_500
	now := time.Unix(1000, 0)
	for i := range n {
		s.muted.Store(i >= n/2 && i < n/2+100)
		s.speak(from, now)
		b := slices.Clone(from.packet)
		if change != nil && !s.muted.Load() {
			b = change(b)
		}
		if !s.muted.Load() && !lost(i) {
			to.rtp(b, now.Add(30*time.Millisecond))
		} else {
			to.peer.receiver.due(to, now.Add(30*time.Millisecond))
		}
		now = now.Add(audioFrame)
	}
	to.peer.receiver.due(to, now.Add(time.Second))
	stats := to.peer.Received("ann-a0")
	if stats.Faults > 0 || to.peer.Unknown() > 0 {
		t.Errorf("%d faults: %s; %d packets without stamp", stats.Faults, stats.Fault, to.peer.Unknown())
	}
	return stats
}

// Each frame of what was sent is heard, or it is known why not, with a hundred muted ones in between.
func TestWhatIsHeard(t *testing.T) {
	const n = 3000
	third := func(i int) bool { return i%50 >= 20 && i%50 < 22 } // two in a row
	lost := uint64(0)
	for i := range n {
		if third(i) && !(i >= n/2 && i < n/2+100) {
			lost++
		}
	}
	spoken := uint64(n - 100)
	for _, c := range []struct {
		Audio
		red, fec, concealed uint64
	}{
		{Audio{}, 0, 0, lost},
		{Audio{RED: true}, 0, 0, lost},
		{Audio{Copies: []int{1}}, 0, 0, lost}, // was not negotiated
		{Audio{RED: true, Copies: []int{1}}, lost / 2, 0, lost / 2},
		{Audio{RED: true, Copies: []int{2, 1}}, lost, 0, 0},
		{Audio{RED: true, Copies: []int{2}}, lost, 0, 0},
		{Audio{FEC: true, Size: 120}, 0, lost / 2, lost / 2},
		{Audio{FEC: true, RED: true, Copies: []int{2}, Size: 120}, lost, 0, 0},
	} {
		s := listen(t, &c.Audio, n, third, nil)
		if p := s.Played; p.Frames != spoken-lost || p.Redundant != c.red || p.FEC != c.fec || p.Concealed != c.concealed || p.Late != 0 {
			t.Errorf("%+v: %d played, %d copies, %d by FEC, %d concealed, %d late; lost %d", c.Audio, p.Frames, p.Redundant, p.FEC, p.Concealed, p.Late, lost)
		}
		if s.Packets != spoken-lost {
			t.Errorf("%+v: %d packets", c.Audio, s.Packets)
		}
	}
}

// What a bridge makes redundant is heard as what a peer does; what it makes wrong is a fault.
func TestRedundancyOfTheBridge(t *testing.T) {
	third := func(i int) bool { return i%50 == 20 }
	var before []byte
	var stamp uint32
	wrap := func(late uint32, payload uint8) func(b []byte) []byte {
		return func(b []byte) []byte {
			v, _ := split(b, &extensions{})
			at := len(b) - len(v.body)
			var earlier []rtp.Earlier
			if before != nil {
				earlier = append(earlier, rtp.Earlier{Timestamp: stamp - late, Data: before})
			}
			out := rtp.AppendRED(slices.Clone(b[:at]), payload, v.stamp, v.body, earlier)
			out[1] = out[1]&0x80 | 112
			before, stamp = v.body, v.stamp
			return out
		}
	}
	if p := listen(t, &Audio{}, 1000, third, wrap(0, 111)).Played; p.Redundant != 18 || p.Concealed != 0 || p.Frames != 900-18 {
		t.Errorf("%d copies, %d concealed, %d played", p.Redundant, p.Concealed, p.Frames)
	}
	odd := func(b []byte) []byte {
		b = wrap(0, 111)(b)
		if v, _ := split(b, &extensions{}); v.body[0]&0x80 != 0 {
			v.body[0] ^= 1
		}
		return b
	}
	for name, change := range map[string]func([]byte) []byte{"another time": wrap(960, 111), "another payload type": wrap(0, 110), "a copy of another payload type": odd} {
		to := &session{peer: &Peer{receiver: newReceiver()}, opus: 111, red: 112}
		from := &session{leg: &leg{}, opus: 111}
		src := newSource("ann-a0", &Audio{}, nil)
		before = nil
		for range 3 {
			src.speak(from, time.Unix(1000, 0))
			to.rtp(change(slices.Clone(from.packet)), time.Unix(1000, 0))
		}
		if to.peer.Received("ann-a0").Faults == 0 {
			t.Errorf("%s: no fault", name)
		}
	}
}

// The two implementations of RED understand each other.
func TestRedundantPayloads(t *testing.T) {
	blocks := []block{{ago: 1920, data: []byte{1, 2}}, {ago: 16383, data: make([]byte, 1023)}, {ago: 960, data: []byte{3}}}
	b := appendRED(nil, 111, blocks, []byte{4, 5})
	var theirs rtp.RED
	if err := theirs.Parse(b); err != nil {
		t.Fatal(err)
	}
	var list [redMost]block
	ours, ok := splitRED(list[:], b)
	if !ok || len(ours) != 4 || len(theirs.Blocks()) != 4 {
		t.Fatalf("%d and %d blocks", len(ours), len(theirs.Blocks()))
	}
	for i, o := range ours {
		if v := theirs.Blocks()[i]; v.PayloadType != o.payload || int64(v.Ago) != o.ago || string(v.Data) != string(o.data) {
			t.Errorf("block %d: %+v and %+v", i, v, o)
		}
	}
	for _, bad := range []string{"", "\xef", "\xef\x0f\x00\x02", "\xef\x0f\x00\x02\x6f\x01"} {
		if _, ok := splitRED(list[:], []byte(bad)); ok {
			t.Errorf("%x is taken", bad)
		}
	}
}

func FuzzSplitRED(f *testing.F) {
	f.Add(appendRED(nil, 111, []block{{ago: 960, data: []byte{1, 2}}}, []byte{3}))
	f.Add([]byte{0x6f, 1})
	f.Add([]byte{0xef, 0x0f, 0, 2, 0x6f, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var list [redMost]block
		ours, ok := splitRED(list[:], b)
		var theirs rtp.RED
		if err := theirs.Parse(b); ok != (err == nil) && len(ours) <= 16 {
			t.Fatalf("ours %v, theirs %v", ok, err)
		} else if err != nil {
			return
		}
		for i, o := range ours {
			if v := theirs.Blocks()[i]; fmt.Sprint(v.PayloadType, v.Ago, v.Data) != fmt.Sprint(o.payload, o.ago, o.data) {
				t.Errorf("block %d: %+v and %+v", i, v, o)
			}
		}
	})
}
