package congestion

import (
	"math"
	"time"
)

const (
	plainFew    = 0.02 // of all packets lost, up to which the rate rises (draft-ietf-rmcat-gcc-02 §6)
	plainMany   = 0.10 // above which it falls by half of what was lost
	plainCut    = 300 * time.Millisecond
	plainQueue  = 100 * time.Millisecond // of round trip above the least, from which the rate does not rise ...
	plainLong   = 300 * time.Millisecond // ... and above which it falls
	plainFirst  = 5                      // times the start rate is believed of the first REMB
	plainReport = 5 * time.Second        // more between two reports does not let the rate rise more
)

// Plain bounds the rate towards a receiver that sends no transport-wide feedback: by the loss and the round trips in its reports,
// and by its own estimate (REMB), which holds what it knows of delays. Its methods are called by one goroutine at a time.
type Plain struct {
	config   Config
	rate     float64 // bit/s
	cap      float64 // bit/s, by REMB
	bytes    int     // sent since the newest report
	reported time.Duration
	cut      time.Duration
	heard    bool
	free     bool
	loss     float64
	rtt      time.Duration
	least    least
	queue    time.Duration // by the newest round trip
}

// NewPlain makes the estimator of one path.
func NewPlain(c Config) *Plain {
	c = c.filled()
	return &Plain{config: c, rate: float64(c.Start), cap: math.Inf(1)}
}

// Sent takes a packet that left. Only its size is used.
func (p *Plain) Sent(packet Packet) { p.bytes += packet.Size }

// REMB takes the receiver's estimate. The first is believed at once, within reason; after that it is a cap.
func (p *Plain) REMB(b Bitrate) State {
	if math.IsInf(p.cap, 1) {
		p.rate = max(p.rate, min(float64(b), plainFirst*float64(p.config.Start)))
	}
	p.cap = float64(max(b, 0))
	return p.State()
}

// Reception takes what a compound of receiver reports says: the part of the packets that was lost, of all sources (rtp.ReportBlock
// has that of one), and the round trip; 0: none.
func (p *Plain) Reception(loss float64, rtt, at time.Duration) State {
	p.loss = 0
	if loss > 0 {
		p.loss = min(loss, 1)
	}
	if rtt > 0 {
		if p.rtt == 0 {
			p.rtt = rtt
		}
		p.rtt += (rtt - p.rtt) / 8
		p.least.add(rtt, at)
		p.queue = rtt - p.least.value()
	}
	passed := at - p.reported
	first := !p.heard
	p.heard, p.reported = true, at
	if passed > 0 && !first {
		p.free = float64(p.bytes)*8/passed.Seconds() >= fullUse*p.target()
	}
	p.bytes = 0
	switch {
	case first:
	case p.loss > plainMany && at-p.cut >= plainCut+p.rtt:
		p.rate *= 1 - p.loss/2
		p.cut = at
	case p.queue > plainLong && at-p.cut >= plainCut+p.rtt:
		p.rate *= backoff
		p.cut = at
	case p.loss <= plainFew && p.queue < plainQueue && p.free:
		p.rate *= math.Pow(growth, min(max(passed, 0), plainReport).Seconds())
	}
	p.rate = min(max(p.rate, float64(p.config.Minimum)), float64(p.config.Maximum))
	return p.State()
}

func (p *Plain) target() float64 {
	return max(min(p.rate, p.cap, float64(p.config.Maximum)), float64(p.config.Minimum))
}

// State is what is known now.
func (p *Plain) State() State {
	s := State{Rate: Bitrate(p.target()), Loss: p.loss, RTT: p.rtt, MinRTT: p.least.value(), Delay: p.queue}
	switch {
	case p.cap <= p.rate:
		s.Limit = LimitREMB
	case !p.heard:
		s.Limit = LimitStart
	case p.rate >= float64(p.config.Maximum):
		s.Limit = LimitMaximum
	case p.loss > plainFew:
		s.Limit = LimitLoss
	case p.queue >= plainQueue:
		s.Limit = LimitDelay
	case !p.free:
		s.Limit = LimitApplication
	default:
		s.Limit = LimitNone
	}
	return s
}
