package bridge

import "time"

const (
	extraEvery = time.Second // it is measured
	extraMost  = 1.0         // as much as the video, and no more
)

// extra is what retransmissions cost beside the video that they repair, as a part of it. A budget that is divided by it stands
// for layers of any size: bits that were sent again lately would be those of the layers that there were.
type extra struct {
	at           time.Time
	video, again int // bytes since then
	part         float64
}

// take lets time pass and counts bytes of video, and of retransmissions that were asked for.
func (x *extra) take(now time.Time, video, again int) {
	if now.Sub(x.at) >= extraEvery {
		if x.video > 0 {
			part := min(float64(x.again)/float64(x.video), extraMost)
			if part > x.part { // what is too little is sent too much
				x.part += (part - x.part) / 2
			} else {
				x.part += (part - x.part) / 4
			}
		}
		x.at, x.video, x.again = now, 0, 0
	}
	x.video, x.again = x.video+video, x.again+again
}

// net is how much of so many bits is left for video, gross what so many bits of video cost.
func (x *extra) net(bits int64) int64   { return int64(float64(bits) / (1 + x.part)) }
func (x *extra) gross(bits int64) int64 { return int64(float64(bits) * (1 + x.part)) }
