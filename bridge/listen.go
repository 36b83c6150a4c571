package bridge

import (
	"time"

	"parley/bridge/loudness"
	"parley/internal/limit"
)

// Most clients say with each packet of audio how loud it is (RFC 6464). To the others, such as callers by ordinary Jingle, the bridge
// listens: their Opus is decoded for the level alone. That costs a hundred times what forwarding a packet does, so it is done by a
// goroutine of its own, from copies, and within budgets; what is too much for them is not heard, and forwarded all the same.
const (
	soundSize    = 512 // bytes of a packet that is listened to: 200 kbit/s in frames of 20 ms
	soundWaiting = 128 // packets that wait
)

var (
	soundRate    = limit.Rate{PerSecond: 2, Burst: 2}   // seconds of sound of one endpoint, in a second
	soundAllRate = limit.Rate{PerSecond: 50, Burst: 10} // and of a bridge: about a quarter of a core
)

// sound is a packet that is listened to.
type sound struct {
	endpoint    *Endpoint
	stream      uint32 // its id
	at          time.Time
	step, clock uint32
	length      time.Duration
	size        int
	payload     [soundSize]byte
}

// listener listens to the endpoints of a bridge.
type listener struct {
	waiting chan sound
	budget  limit.Bucket // of who takes what waits
}

// ear listens to one endpoint. The listener's goroutine has it, and nobody else.
type ear struct {
	meter  loudness.Meter
	stream uint32
}

func newListener() listener {
	return listener{waiting: make(chan sound, soundWaiting), budget: limit.NewBucket(soundAllRate)}
}

// listen finds the level of a packet of audio that came without, and whose timestamp is step after that of the packet before. The
// caller holds in.mu, and p.primary was called.
func (e *Endpoint) listen(p *packet, step uint32) {
	if p.kind != opus && p.skip == 0 {
		return
	}
	payload := p.Payload()[p.skip:]
	head, err := loudness.Parse(payload)
	switch {
	case err != nil:
		e.drop(DropOpus)
	case head.Silent:
		e.in.voice.hear(p.at.Sub(e.epoch), 127, step, p.clock)
	case len(payload) > soundSize || !e.in.sounds.Allow(p.at, head.Length.Seconds()):
		e.drop(DropUnheard)
	default:
		s := sound{endpoint: e, stream: p.id, at: p.at, step: step, clock: p.clock, length: head.Length, size: len(payload)}
		copy(s.payload[:], payload)
		select {
		case e.bridge().listener.waiting <- s:
		default:
			e.drop(DropUnheard)
		}
	}
}

// run listens until done is closed.
func (l *listener) run(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case s := <-l.waiting:
			l.hear(&s)
		}
	}
}

// hear decodes a packet and tells its endpoint's voice.
func (l *listener) hear(s *sound) {
	e := s.endpoint
	if !l.budget.Allow(s.at, s.length.Seconds()) {
		e.drop(DropUnheard)
		return
	}
	if e.ear.stream != s.stream { // also one of the same client that takes turns with another: it is heard badly then
		e.ear.stream = s.stream
		e.ear.meter.Reset()
	}
	level, err := e.ear.meter.Level(s.payload[:s.size])
	if err != nil {
		e.drop(DropOpus)
		return
	}
	e.in.mu.Lock()
	defer e.in.mu.Unlock()
	e.in.voice.hear(s.at.Sub(e.epoch), level, s.step, s.clock)
}
