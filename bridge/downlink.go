package bridge

import (
	"time"

	"parley/bridge/channel"
	"parley/bridge/congestion"
	"parley/bridge/rtp"
)

// downlinkStart is what a way to a receiver is taken for until it has proven to be another. JVB begins with as much.
const downlinkStart = 2_500_000

// downlinkMost is what it is taken for at most, whatever the client says.
const downlinkMost = 50_000_000

// downlink is what is known of the way to a receiver. egress.mu guards it.
type downlink struct {
	estimator *congestion.GCC // nil: nothing was sent yet with a transport-wide number
	epoch     time.Time
	heard     bool // transport-wide feedback came: before, there is no limit, and no other is known to clients that send none
	state     congestion.State

	remb    int64 // bit/s that the client believes to be able to get; 0: it has not said so
	assumed int64 // bit/s that the client wants to be assumed; below 1: none
	voice   gauge
	extra   extra
	probes  gauge // retransmissions with which probes were filled
	spare   spare
	told    time.Time // the receiver, last
}

// left takes a packet that left, with its size on the way. What is wanted is what all video that the receiver wants would cost, in bits
// per second.
func (d *downlink) left(now time.Time, number uint16, size int, probe uint8, wanted int64) {
	if d.estimator == nil {
		d.estimator, d.epoch = congestion.NewGCC(congestion.Config{Start: downlinkStart, Maximum: downlinkMost}), now
		d.estimator.Demand(congestion.Bitrate(wanted)) // a probe needs something to be sent
	}
	d.estimator.Sent(congestion.Packet{Number: number, At: now.Sub(d.epoch), Size: size, Probe: probe})
}

// report takes transport-wide feedback.
func (d *downlink) report(f *rtp.TransportFeedback, at time.Time) {
	if d.estimator != nil {
		d.heard = true
		d.state = d.estimator.Report(f, at.Sub(d.epoch))
	}
}

// spare is what retransmissions may cost: a part of what the way carries, so that they do not keep full the queue that lost what
// they replace.
type spare struct {
	bits int64
	at   time.Time
}

const (
	spareShare = 25  // percent of the estimate,
	spareMost  = 60  // and where much is lost that was not lost in a queue, up to this:
	spareLoss  = 250 // percent of the loss
	spareLeast = 64_000
	spareFor   = 500 * time.Millisecond // of it at once
)

// take takes the bits of a packet, and answers false if there is no room for it. Loss is what does not arrive for other reasons
// than a queue.
func (s *spare) take(now time.Time, rate int64, loss float64, size int) bool {
	if rate == 0 {
		return true
	}
	share := max(rate*min(max(int64(loss*spareLoss), spareShare), spareMost)/100, spareLeast)
	s.bits = min(s.bits+share*int64(min(now.Sub(s.at), spareFor))/int64(time.Second), share*int64(spareFor)/int64(time.Second))
	s.at = now
	if s.bits <= 0 {
		return false
	}
	s.bits -= int64(size) * 8
	return true
}

// random is the loss that has nothing to do with how much is sent.
func (d *downlink) random() float64 {
	if d.state.Delay > delayBad {
		return 0
	}
	return min(d.state.Loss, d.state.Chance)
}

// roundTrip is how long an answer takes at present, without the time for which receivers hold their feedback back.
func (d *downlink) roundTrip() time.Duration { return d.state.MinRTT + d.state.Delay }

// rate is what may be sent altogether, in bits per second; 0: no limit is known.
func (d *downlink) rate() int64 {
	if d.heard {
		return int64(d.state.Steady)
	}
	return d.remb
}

// brakes says that a queue on the way is being emptied, for which less is sent for a moment: of video, every picture that can be
// left out.
func (d *downlink) brakes() bool { return d.heard && d.state.Rate < d.state.Steady }

// pace is the rate for the pacer.
func (d *downlink) pace() int64 {
	if d.heard {
		return int64(d.state.Rate)
	}
	return d.remb
}

// video is what video may cost, in bits per second. It answers false where nothing is known of a limit.
func (d *downlink) video(now time.Time) (bits int64, ok bool) {
	total := d.rate()
	if d.assumed > 0 {
		total = d.assumed
	}
	if total <= 0 {
		return 0, false
	}
	return d.extra.net(max(total-d.voice.rate(now)-d.probes.rate(now), 0)), true
}

// carried is what was left for video when the way was full last, in bits per second; 0 where that is not known, or not true any more.
func (d *downlink) carried(now time.Time) int64 {
	if !d.heard || d.assumed > 0 || d.state.Delay > delayBad || d.state.Loss > d.random()+lossBad {
		return 0
	}
	return d.extra.net(max(int64(d.state.Carried)-d.voice.rate(now), 0))
}

// gauge measures a bit rate over about a second.
type gauge struct {
	at    time.Time
	bytes int64
	bits  int64 // per second, of the last interval
}

func (g *gauge) take(now time.Time, n int) {
	g.rate(now)
	g.bytes += int64(n)
}

// rate is in bits per second.
func (g *gauge) rate(now time.Time) int64 {
	over := now.Sub(g.at)
	switch {
	case over >= 2*time.Second:
		*g = gauge{at: now}
	case over >= time.Second:
		g.bits = g.bytes * 8 * int64(time.Second) / int64(over)
		g.at, g.bytes = now, 0
	}
	return g.bits
}

const (
	statsEvery = 10 * time.Second // ConnectionStats (jitsi.md §10.2)
	statsLeast = time.Second      // when what comes has changed
)

// tick lets time pass for the estimate, and says what is wanted of it. The caller holds mu.
func (o *egress) tick(now time.Time) {
	d := &o.downlink
	if d.heard {
		d.estimator.Demand(congestion.Bitrate(d.extra.gross(o.share.needs()) + d.voice.rate(now) + d.probes.rate(now)))
		d.state = d.estimator.Tick(now.Sub(d.epoch))
		if d.state.Loss >= redundancySoon {
			o.redundancy.lossy(now, uint8(min(d.state.Loss*256, 255)), d.rate(), d.voice.rate(now))
		}
	}
	o.pacer.rate = d.pace()
}

// tell tells the receiver what its way can carry, and what there is no room for. The caller holds Conference.mu.
func (e *Endpoint) tell(now time.Time) {
	if e.channel == nil {
		return
	}
	o := &e.out
	o.mu.Lock()
	since := now.Sub(o.downlink.told)
	rate := o.downlink.rate()
	if rate == 0 || since < statsLeast || since < statsEvery && !o.share.news {
		o.mu.Unlock()
		return
	}
	o.downlink.told, o.share.news = now, false
	m := channel.ConnectionStats{EstimatedDownlinkBandwidth: rate}
	if o.downlink.heard {
		m.Limit = o.downlink.state.Limit.String()
	}
	if o.share.budget > 0 {
		for _, s := range o.order {
			if r := s.reduced(); r.Source != "" {
				m.Reduced = append(m.Reduced, r)
			}
		}
	}
	o.mu.Unlock()
	for _, other := range e.Conference.order {
		p := other.quality.othersFault(now)
		if other == e {
			p = e.quality.told
		}
		if p != nowhere {
			m.Troubles = append(m.Troubles, channel.Trouble{Endpoint: other.ID, Part: partNames[p]})
		}
	}
	e.channel.Send(m)
}

// reduced says that the slot gets less than is wanted, and than there is.
func (s *slot) reduced() (r channel.Reduced) {
	l := &s.source.ladder
	switch {
	case l.n == 0:
	case s.paused:
		r = channel.Reduced{Source: s.source.name}
	case l.rungs[l.upTo(s.want.height, temporalFor(s.want.rate))-1].height > s.pick.height:
		r = channel.Reduced{Source: s.source.name, MaxHeight: s.pick.height}
	}
	return r
}
