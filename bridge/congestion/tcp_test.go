package congestion

import (
	"math"
	"time"
)

const segment = 1500

// tcp is a sender in the manner of TCP with NewReno's or CUBIC's window (RFC 5681, RFC 9438), SACK-like loss detection, and
// always something to send.
type tcp struct {
	w     *world
	link  *link
	delay time.Duration // one way
	cubic bool
	left  int // bytes to send; 0: without end
	done  func()

	window, threshold float64 // segments
	next, acked       int
	flight            int
	recover           int // no second cut before this segment is acknowledged
	rtt               time.Duration
	most              float64 // window before the cut
	cutAt             time.Duration
	alive             time.Duration
	ended             bool
	got               []int
}

func (t *tcp) start(at time.Duration) *tcp {
	t.window, t.threshold = 10, math.Inf(1)
	t.w.at(at, func() {
		t.alive = t.w.now
		t.fill()
		t.w.every(200*ms, func() {
			if !t.ended && t.flight > 0 && t.w.now-t.alive > max(time.Second, 2*t.rtt) { // timeout
				t.threshold, t.window, t.flight, t.alive = max(t.window/2, 2), 1, 0, t.w.now
				t.fill()
			}
		})
	})
	return t
}

func (t *tcp) fill() {
	for !t.ended && float64(t.flight) < t.window {
		if t.left > 0 && t.next*segment >= t.left {
			return
		}
		t.next++
		t.flight++
		n, sent := t.next, t.w.now
		// A lost segment is known to be lost a round trip later, by those behind it.
		t.link.send(waiting{size: segment, lost: func() { t.w.after(2*t.delay+t.queue(), func() { t.drop(n) }) }, out: func(time.Duration) {
			i := int(t.w.now / (100 * ms))
			for len(t.got) <= i {
				t.got = append(t.got, 0)
			}
			t.got[i] += segment
			t.w.after(2*t.delay, func() { t.ack(n, sent) })
		}})
	}
}

// queue is the time that a packet that comes now would wait.
func (t *tcp) queue() time.Duration {
	return time.Duration(float64(t.link.held) * 8 / rateAt(t.link.rate, t.w.now) * 1e9)
}

func (t *tcp) ack(n int, sent time.Duration) {
	t.alive = t.w.now
	t.flight = max(t.flight-1, 0)
	t.acked = max(t.acked, n)
	t.rtt = t.w.now - sent
	switch {
	case t.window < t.threshold:
		t.window++
	case t.cubic:
		k := math.Cbrt(t.most * 0.3 / 0.4)
		s := (t.w.now - t.cutAt + t.rtt).Seconds()
		target := 0.4*math.Pow(s-k, 3) + t.most
		reno := 0.7*t.most + 3*0.3/1.7*(s/t.rtt.Seconds())
		target = min(max(target, reno), 1.5*t.window)
		t.window += max(target-t.window, 0.01) / t.window
	default:
		t.window += 1 / t.window
	}
	if t.left > 0 && t.acked*segment >= t.left && t.flight == 0 {
		t.ended = true
		if t.done != nil {
			t.done()
		}
		return
	}
	t.fill()
}

func (t *tcp) drop(n int) {
	t.flight = max(t.flight-1, 0)
	if n > t.recover {
		t.recover = t.next
		part := 0.5
		if t.cubic {
			part = 0.7
		}
		t.most, t.cutAt = t.window, t.w.now
		t.window = max(t.window*part, 2)
		t.threshold = t.window
	}
	t.fill()
}
