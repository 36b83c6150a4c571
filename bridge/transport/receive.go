package transport

import (
	"sync"
	"sync/atomic"
	"time"

	"parley/bridge/ice"
	"parley/bridge/rtp"
	"parley/bridge/udp"
)

// counts are what is dropped: too often for an event.Recorder, so that the ticker tells it once a second.
type counts struct {
	other, early, forged, crowd, repeated atomic.Uint64
}

// Counts says what arrived and was dropped, by reason.
type Counts struct {
	Foreign uint64 // DTLS, RTP or RTCP of an address that no check of ICE has proven (hardening HB3), and streams that never were
	Other   uint64 // none of STUN, DTLS, RTP and RTCP, or larger than these are
	Early   uint64 // media before there were keys, or after
	Forged  uint64 // media that does not decrypt, or was replayed
	Crowd   uint64 // media of more SSRCs than an endpoint may have

	Repeated uint64 // media for an endpoint with a sequence number that it had before, and so not encrypted

	ICE ice.Counts
}

// Counts returns the counts since the start.
func (p *Port) Counts() Counts {
	c, i := &p.counts, p.ice.Counts()
	return Counts{i.Foreign, c.other.Load(), c.early.Load(), c.forged.Load(), c.crowd.Load(), c.repeated.Load(), i}
}

// Stats returns the counts of the UDP socket.
func (p *Port) Stats() udp.Stats { return p.socket.Stats() }

// mediaLargest bounds a packet of media, in bytes: what does not fit into a frame of Ethernet no client sends, and it would
// leave for each receiver in fragments.
const mediaLargest = 2048

// handle demultiplexes what has arrived (RFC 7983), UDP and TCP alike. It runs in the goroutine that reads.
func (p *Port) handle(b *udp.Batch, d *udp.Datagram) {
	transport := ice.UDP
	if d.Stream != nil {
		transport = ice.TCP
	}
	kind := rtp.Classify(d.Bytes)
	switch kind {
	case rtp.STUN:
		p.stun(transport, d)
		return
	case rtp.DTLS, rtp.RTP, rtp.RTCP:
	default:
		kind = rtp.Other
	}
	if kind == rtp.Other || kind != rtp.DTLS && len(d.Bytes) > mediaLargest {
		p.counts.other.Add(1)
		return
	}
	agent := p.ice.Lookup(transport, d.From)
	if agent == nil {
		return
	}
	e := agent.Owner.(*Endpoint)
	switch kind {
	case rtp.RTP:
		e.rtp(b, d)
	case rtp.RTCP:
		e.rtcp(b, d)
	case rtp.DTLS:
		if !e.pipe.push(d.Bytes) {
			e.reject("the handshake is too large")
		}
	}
}

var outs = sync.Pool{New: func() any { return new(ice.Out) }}

func (p *Port) stun(t ice.Transport, d *udp.Datagram) {
	path := ice.Path{Transport: t, Local: p.socket.Addr(), Remote: d.From}
	if t == ice.TCP {
		path.Local = p.tcp
	}
	out := outs.Get().(*ice.Out)
	p.ice.Packet(path, d.Bytes, d.At, out)
	p.settle(out)
}

// settle does what ICE wants done, and gives out back. The caller holds no lock.
func (p *Port) settle(out *ice.Out) {
	for _, d := range out.Datagrams {
		p.send(d.Path, d.Data)
	}
	for _, e := range out.Events {
		e.Agent.Owner.(*Endpoint).event(e)
	}
	out.Reset()
	outs.Put(out)
	p.poke()
}

// poke wakes the ticker if ICE needs the time earlier than it knew.
func (p *Port) poke() {
	if due := p.ice.Deadline(); !due.IsZero() && due.UnixNano() < p.alarm.Load() {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

// send sends one datagram at once.
func (p *Port) send(path ice.Path, datagram []byte) {
	if path.Transport == ice.UDP {
		p.socket.Send(datagram, path.Remote)
		return
	}
	if s := p.stream(path.Remote); s != nil {
		s.Send(datagram)
	}
}

// writer returns a writer to a path, or nil if its connection has ended.
func (p *Port) writer(path ice.Path) *udp.Writer {
	if path.Transport == ice.UDP {
		return p.socket.Writer(path.Remote)
	}
	if s := p.stream(path.Remote); s != nil {
		return s.Writer()
	}
	return nil
}

// tick gives ICE the time when it needs it, and once a second looks for what has come to nothing, until the port is closed.
func (p *Port) tick() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var round time.Time
	var told uint64
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-timer.C:
		case <-p.wake:
		}
		now := time.Now()
		p.alarm.Store(0) // nobody need wake us now
		out := outs.Get().(*ice.Out)
		p.ice.Tick(now, out)
		p.settle(out)
		if now.Sub(round) >= time.Second {
			round = now
			p.sweep(now)
			if n := p.ice.Counts().Foreign; n > told {
				p.config.Events.Reject("media.foreign", "", "packets", n-told)
				told = n
			}
		}
		// The alarm is set before the deadline is read: who brings the deadline forward in between wakes us.
		next := round.Add(time.Second)
		p.alarm.Store(next.UnixNano())
		if due := p.ice.Deadline(); !due.IsZero() && due.Before(next) {
			next = due
			p.alarm.Store(next.UnixNano())
		}
		timer.Reset(max(time.Until(next), time.Millisecond))
	}
}

// sweep closes what had its time: connections that are not proven, or no longer, and endpoints without an answer.
func (p *Port) sweep(now time.Time) {
	p.mu.Lock()
	var streams []*connection
	for _, c := range p.streams {
		if now.Sub(c.since) > p.limits.Proof {
			streams = append(streams, c)
		}
	}
	var late []*Endpoint
	for e := range p.endpoints {
		if now.Sub(e.since) > p.limits.Answer {
			late = append(late, e)
		}
	}
	p.mu.Unlock()
	for _, c := range streams {
		if p.ice.Lookup(ice.TCP, c.stream.Addr()) == nil {
			c.stream.Close()
		}
	}
	for _, e := range late {
		e.unanswered()
	}
}
