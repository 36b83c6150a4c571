package bridge

import (
	"time"

	"parley/bridge/api"
)

// Media of an endpoint go from its client over its uplink, perhaps over a relay, to this machine, and over perhaps a relay and the
// downlinks of others to these. Which part is to blame when they suffer is told from what each part says of itself:
//
//   - This machine says that the bridge's ticks come late, and how many datagrams the kernel dropped because the bridge did not take
//     them. It is judged first, as it makes all else late. The relay of this machine is in the same process, so that what is
//     too little time for one is for the other.
//   - The relay of this machine says how many packets of a client it dropped, at its limit or because it did not take them from
//     the kernel. What does not arrive beyond these was lost before it, upward, or behind it, downward. A relay elsewhere says nothing:
//     its losses look like those of the link that it belongs to. Over a TCP connection to the relay no link loses anything;
//     it is late, and what the relay has no room for meanwhile is the link's.
//   - The uplink is what is left of the losses in the numbers of what the endpoint sends, and of the lateness of its audio.
//   - The downlink is what is left of those in the endpoint's feedback, and of what the estimate has no room for.
//
// Without feedback (REMB alone), only the estimate speaks of a downlink. An endpoint that sends no audio has no lateness.
const (
	judgeEvery  = time.Second
	judgeOver   = 5     // judgements that are looked at,
	judgeBad    = 2     // of which so many say the same
	lossBad     = 0.03  // part of the packets
	rowsBad     = 0.005 // part of the packets that are lost in rows, which nothing replaces
	relayBad    = 0.01  // part of the packets that a relay drops, where media suffer
	takenBad    = 0.01  // part of the datagrams that the kernel dropped
	delayBad    = 150 * time.Millisecond
	lateBad     = 60 * time.Millisecond // by which the bridge's own ticks come late
	judgeLeast  = 20                    // packets a second, of which a loss says something
	judgeFew    = 3                     // packets, whose loss says something of a single stream
	delayWindow = 10                    // judgements over which the least delay is remembered
	excuse      = 10 * time.Second      // for which an estimate may be too low after something that was not the downlink's
)

// part is a part of the way of media.
type part uint8

const (
	nowhere part = iota
	machine
	between
	upward
	downward
	parts
)

var partNames = [parts]string{"", api.Machine, api.Relay, api.Uplink, api.Downlink}

// judge remembers which part of an endpoint's way was bad lately. Conference.mu guards it.
type judge struct {
	at      time.Time
	recent  [judgeOver]uint8 // bits of the parts that were bad
	next    int
	told    part
	fates   tally     // of what was sent, at the last judgement
	relayed Relayed   // then
	relayUp time.Time // when it last was the relay, upward
	cause   part      // of the last time that something else than the downlink was bad downward,
	since   time.Time
}

// find is the part that was bad most often of late, of several the one that comes first on the way.
func (j *judge) find() part {
	for p := machine; p < parts; p++ {
		n := 0
		for _, bits := range j.recent {
			n += int(bits >> p & 1)
		}
		if n >= judgeBad {
			return p
		}
	}
	return nowhere
}

// judge looks at what the last second was like for an endpoint, and tells the focus when another part of the way is to blame.
// The caller holds Conference.mu.
func (e *Endpoint) judge(now time.Time, s strain) {
	j := &e.quality
	if now.Sub(j.at) < judgeEvery {
		return
	}
	j.at = now
	q := api.Quality{Conference: e.Conference.ID, Endpoint: e.ID, Session: e.wish.Session}
	up := e.in.evidence()
	down, short := e.out.evidence(j)
	q.Rate = down.rate
	relay, relayed := e.relay(j)
	q.Relayed = relayed

	bits := j.blame(now, s, &up, &down, relay, short)
	j.recent[j.next] = bits
	j.next = (j.next + 1) % judgeOver
	p := j.find()
	switch p {
	case machine:
		q.Loss, q.Delay = s.full, s.late.Milliseconds()
	case between:
		q.Loss = max(relay.up, relay.down)
	case upward:
		q.Loss, q.Delay = up.loss, up.late.Milliseconds()
	case downward:
		q.Loss, q.Delay = down.loss, down.late.Milliseconds()
	}
	if q.Part = partNames[p]; p != j.told {
		j.told = p
		for _, o := range e.Conference.order {
			o.out.mu.Lock()
			o.out.share.news = true
			o.out.mu.Unlock()
		}
		e.bridge().event(api.Event{Quality: &q})
	}
}

// othersFault is the part of the endpoint's way at which what others get from it suffers.
func (j *judge) othersFault(now time.Time) part {
	if j.told == upward || j.told == between && now.Sub(j.relayUp) <= judgeOver*judgeEvery {
		return j.told
	}
	return nowhere
}

// blame says which parts were bad in the last second, as bits. Short says that the estimate has no room for all that is wanted.
func (j *judge) blame(now time.Time, s strain, up, down *evidence, relay dropped, short bool) (bits uint8) {
	if s.bad() {
		j.cause, j.since = machine, now
		return 1 << machine
	}
	if up.bad() {
		p := upward
		if relay.up >= relayBad && up.without(relay.up) {
			p, j.relayUp = between, now
		}
		bits |= 1 << p
	}
	late := now.Sub(j.since) < excuse // an estimate that is too low for another reason
	switch {
	case relay.down >= relayBad && (short || down.bad() && down.without(relay.down)):
		j.cause, j.since = between, now
		bits |= 1 << between
	case down.bad():
		bits |= 1 << downward
	case short && late && j.cause == between:
		bits |= 1 << between
	case short && !late:
		bits |= 1 << downward
	}
	return bits
}
