package bridge

import (
	"fmt"
	"testing"
	"time"

	"parley/internal/netem"
)

// A way that carries all that is wanted gives it to everybody within seconds, however much more that is than what the estimate
// begins with, and though there is nothing to probe with at first: cameras without retransmissions, of which none fits.
func TestFreePathGivesEverything(t *testing.T) {
	const soon, long = 5 * time.Second, 10 * time.Second
	camera := func(kbits int) []encoded {
		return []encoded{{height: 720, size: kbits * 1000 / 8 / 25, key: 1, flat: true}}
	}
	for _, c := range []struct {
		senders int
		sizes   []encoded
	}{{3, camera(2000)}, {3, camera(2400)}, {4, camera(2000)}, {5, camera(2000)}, {5, camera(3000)}, {10, camera(2000)}, {5, inSizes}} {
		t.Run(fmt.Sprintf("%d of %d bytes", c.senders, c.sizes[0].size), func(t *testing.T) {
			n := newNetworkOf(t, 1, c.senders, c.sizes, netem.Schedule{{Rate: 1e9}}, nil, ways{delay: time.Millisecond})
			n.run(warm + long)
			want := float64(c.senders * c.sizes[len(c.sizes)-1].size * 8 * int(time.Second/pictures25))
			if got := n.receivers[0].down.Record.Delivered(warm+soon, warm+long) / (long - soon).Seconds(); got < want {
				o := &n.w.bridge.Endpoint("c", "r0").out
				t.Errorf("%.1f Mbit/s come, want %.1f; the estimate is %.1f", got/1e6, want/1e6, float64(o.downlink.rate())/1e6)
			}
		})
	}
}

// What is asked of the estimate is enough for the picture that was left out: between what all pictures cost and what must be there
// before one comes back, the estimate would be content and the picture would stay away.
func TestRoomIsLookedForUntilEverythingIsGiven(t *testing.T) {
	for kbits := netem.Bitrate(3300); kbits <= 3800; kbits += 50 {
		n := newNetworkOf(t, 1, 2, equal, netem.Schedule{{Rate: kbits * 1000}, {At: 6 * time.Second, Rate: 1e9}}, nil, ways{delay: time.Millisecond})
		n.run(warm + 15*time.Second)
		o := &n.w.bridge.Endpoint("c", "r0").out
		for _, s := range o.video {
			if s.current == nil {
				t.Errorf("after %d kbit/s a picture stays away; the estimate is %.2f Mbit/s, %.2f are wanted", kbits, float64(o.downlink.rate())/1e6, float64(o.share.wanted)/1e6)
			}
		}
	}
}
