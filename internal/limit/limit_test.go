package limit

import (
	"net/netip"
	"testing"
	"time"
)

var start = time.Unix(1_800_000_000, 0)

func TestBucket(t *testing.T) {
	b := NewBucket(Rate{PerSecond: 10, Burst: 20})
	if w := b.Take(start, 20); w != 0 {
		t.Errorf("the burst waits %v", w)
	}
	if w := b.Take(start, 5); w != 500*time.Millisecond {
		t.Errorf("a debt of 5 at 10/s waits %v", w)
	}
	if b.Allow(start.Add(500*time.Millisecond), 1) {
		t.Error("allowed with nothing left")
	}
	if !b.Allow(start.Add(time.Hour), 20) || b.Allow(start.Add(time.Hour), 1) {
		t.Error("an hour refills the burst and no more")
	}
	var none Bucket
	if none.Take(start, 1e9) != 0 || !none.Allow(start, 1e9) {
		t.Error("the zero bucket has no limit")
	}
}

func TestSource(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "fe80::1%eth0": "fe80::",
	} {
		if got := Source(netip.MustParseAddr(in)); got.String() != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestSources(t *testing.T) {
	s := NewSources[string](2, Rate{PerSecond: 1, Burst: 3}, 10)
	if first, second := s.Open("a", start), s.Open("a", start); !first || !second || s.Open("a", start) {
		t.Error("two may be open")
	}
	if !s.Open("b", start) {
		t.Error("another source is disturbed")
	}
	s.Close("a")
	if s.Open("a", start) {
		t.Error("the rate is spent")
	}
	if !s.Open("a", start.Add(2*time.Second)) {
		t.Error("the rate comes back")
	}
	for i := range 100 {
		s.Allow(string(rune('c'+i)), start, 1)
	}
	if len(s.seen) > 10 {
		t.Errorf("%d sources remembered", len(s.seen))
	}
	if !s.Allow("z", start.Add(time.Minute), 1) {
		t.Error("idle sources are not forgotten")
	}
}
