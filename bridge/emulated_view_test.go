package bridge

import (
	"slices"
	"time"

	"parley/bridge/rtp"
	"parley/bridge/rtp/codec"
)

// view is what a viewer sees of one SSRC of VP8: pictures that are whole, in their order, with those there that they refer to. What
// counts as a freeze is what does so in the rig (jitsipeer.Shown), but here a picture is shown as soon as it can be.
type view struct {
	packets   map[int64]piece
	waiting   []picture // whole ones that others have to come before
	newest    int64     // first packet of the newest picture that was shown
	key       bool      // one was shown
	of        [2]uint8  // TL0PICIDX of the newest pictures of the layers 0 and 1
	intervals []time.Duration
	begun, at time.Duration // of the first and of the newest picture
	shown     int
	frozen    time.Duration
	paused    time.Duration // without pictures for more than 5 s
}

type piece struct {
	codec.VP8
	end bool
}

type picture struct {
	first int64
	head  codec.VP8
}

// take takes a packet with its extended sequence number.
func (v *view) take(now time.Duration, n int64, p *rtp.Packet, payload []byte) {
	var c piece
	if c.Parse(payload) != nil || v.key && n < v.newest {
		return
	}
	if v.packets == nil {
		v.packets = make(map[int64]piece)
	}
	c.end = p.Marker()
	v.packets[n] = c
	first, last := n, n
	for !v.packets[first].Start {
		if first--; v.packets[first].Size == 0 {
			return
		}
	}
	for !v.packets[last].end {
		if last++; v.packets[last].Size == 0 {
			return
		}
	}
	v.waiting = append(v.waiting, picture{first, v.packets[first].VP8})
	for n := first; n <= last; n++ {
		delete(v.packets, n)
	}
	slices.SortFunc(v.waiting, func(a, b picture) int { return int(a.first - b.first) })
	for some := true; some; {
		some = false
		v.waiting = slices.DeleteFunc(v.waiting, func(p picture) bool {
			switch {
			case v.key && p.first < v.newest:
				return true
			case !v.decodes(&p.head):
				return false
			}
			v.show(now, &p)
			some = true
			return true
		})
	}
}

// decodes says that what the picture refers to was shown.
func (v *view) decodes(p *codec.VP8) bool {
	switch {
	case p.Key:
		return true
	case !v.key:
		return false
	case p.Temporal == 0:
		return p.TL0 == v.of[0]+1
	}
	return p.TL0 == v.of[0] && (p.Temporal == 1 || p.Sync || p.TL0 == v.of[1])
}

func (v *view) show(now time.Duration, p *picture) {
	v.key, v.newest = true, p.first
	switch p.head.Temporal {
	case 0:
		v.of[0] = p.head.TL0
	case 1:
		v.of[1] = p.head.TL0
	}
	interval := now - v.at
	v.at = now
	if v.shown++; v.shown == 1 {
		v.begun = now
		return
	}
	v.stood(interval)
}

// stood takes an interval without a picture.
func (v *view) stood(interval time.Duration) {
	if interval > 5*time.Second {
		v.paused += interval
		return
	}
	if v.intervals = append(v.intervals, interval); len(v.intervals) < 5 {
		return
	}
	sum := time.Duration(0)
	recent := v.intervals[max(len(v.intervals)-30, 0):]
	for _, d := range recent {
		sum += d
	}
	if mean := sum / time.Duration(len(recent)); interval >= max(3*mean, mean+150*time.Millisecond) {
		v.frozen += interval
	}
}

// sees are the part of the time from its first picture on in which a source stood still, without pauses, and the part of all the time in which there was
// nothing of it to see.
func (v *view) sees(from, to time.Duration) (frozen, away float64) {
	if v.shown == 0 {
		return 0, 1
	}
	if v.at < to {
		v.stood(to - v.at)
	}
	total := to - v.begun - v.paused
	return v.frozen.Seconds() / max(total.Seconds(), 0.001), 1 - total.Seconds()/(to-from).Seconds()
}
