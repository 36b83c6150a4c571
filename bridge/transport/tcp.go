package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"parley/bridge/ice"
	"parley/bridge/udp"
	"parley/internal/limit"
)

// connection is a stream of a client, proven or not yet.
type connection struct {
	stream *udp.Stream
	since  time.Time
}

const (
	firstPause = 5 * time.Millisecond // after a connection could not be accepted, then twice as long
	lastPause  = 250 * time.Millisecond
)

// accept takes connections until the port is closed. Whatever else hinders it, mostly that there are no files left, what is
// open goes on.
func (p *Port) accept() error {
	if p.listener == nil {
		<-p.ctx.Done()
		return nil
	}
	for pause := firstPause; ; {
		conn, err := p.listener.AcceptTCP()
		switch {
		case err == nil:
			pause = firstPause
			p.take(conn)
		case errors.Is(err, net.ErrClosed):
			return nil
		default:
			p.config.Events.Hurt("transport.accept", "", "err", err.Error())
			select {
			case <-p.ctx.Done():
				return nil
			case <-time.After(pause):
			}
			pause = min(2*pause, lastPause)
		}
	}
}

// take begins to read a connection, if there is room for it. One of an address that has one already comes before the end of
// that was seen: it is refused, or it would have the proof of the old one.
func (p *Port) take(conn *net.TCPConn) {
	now := time.Now()
	c := &connection{udp.NewStream(conn), now}
	from := c.stream.Addr()
	source := limit.Source(from.Addr())
	if !p.sources.Open(source, now) {
		p.config.Events.Reject("limit.streams", from.Addr().String())
		c.stream.Close()
		return
	}
	p.mu.Lock()
	var idle *connection
	if len(p.streams) >= p.limits.Streams {
		idle = p.evict()
	}
	ok := !p.closed && p.streams[from] == nil && len(p.streams) < p.limits.Streams
	if ok {
		p.streams[from] = c
		p.tasks.Add(1)
	}
	p.mu.Unlock()
	if idle != nil {
		p.config.Events.Reject("limit.streams", idle.stream.Addr().Addr().String())
		idle.stream.Close()
	}
	if !ok {
		p.sources.Close(source)
		p.config.Events.Reject("limit.streams", from.Addr().String())
		c.stream.Close()
		return
	}
	go func() {
		defer p.tasks.Done()
		c.stream.Run(context.Background(), p.handle) // whose end is no fault of ours; sweep and shut close it
		p.sources.Close(source)
		if agent := p.ice.Lookup(ice.TCP, from); agent != nil {
			out := outs.Get().(*ice.Out)
			agent.Gone(ice.Path{Transport: ice.TCP, Local: p.tcp, Remote: from}, time.Now(), out)
			p.settle(out)
		}
		p.mu.Lock()
		if p.streams[from] == c {
			delete(p.streams, from)
		}
		p.mu.Unlock()
	}()
}

// sample is how many connections are looked at for one that has to go.
const sample = 16

// evict takes out the oldest of some connections that are not proven, for the caller to close, so that who opens many and
// proves none leaves room for others; nil if these are all proven. Called with mu held.
func (p *Port) evict() (idle *connection) {
	seen := 0
	for from, c := range p.streams { // in no order
		if p.ice.Find(ice.TCP, from) == nil && (idle == nil || c.since.Before(idle.since)) {
			idle = c
		}
		if seen++; seen == sample {
			break
		}
	}
	if idle != nil {
		delete(p.streams, idle.stream.Addr())
	}
	return idle
}

// stream returns the connection of an address, or nil.
func (p *Port) stream(from netip.AddrPort) *udp.Stream {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.streams[from]; c != nil {
		return c.stream
	}
	return nil
}
