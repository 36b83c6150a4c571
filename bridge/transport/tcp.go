package transport

import (
	"context"
	"errors"
	"fmt"
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

// accept takes connections until the port is closed.
func (p *Port) accept() error {
	if p.listener == nil {
		<-p.ctx.Done()
		return nil
	}
	pause := 5 * time.Millisecond
	for {
		conn, err := p.listener.AcceptTCP()
		switch {
		case err == nil:
			pause = 5 * time.Millisecond
			p.take(conn)
		case errors.Is(err, net.ErrClosed):
			return nil
		case pause > time.Second:
			return fmt.Errorf("transport: accept: %w", err)
		default: // out of files, mostly: what is open goes on
			p.config.Events.Hurt("transport.accept", "", "err", err.Error())
			select {
			case <-p.ctx.Done():
			case <-time.After(pause):
			}
			pause *= 2
		}
	}
}

// take begins to read a connection, if there is room for it.
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
	ok := !p.closed && len(p.streams) < p.limits.Streams
	if ok {
		p.streams[from] = c
		p.tasks.Add(1)
	}
	p.mu.Unlock()
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
		p.mu.Lock()
		delete(p.streams, from)
		p.mu.Unlock()
		if agent := p.ice.Lookup(ice.TCP, from); agent != nil {
			out := outs.Get().(*ice.Out)
			agent.Gone(ice.Path{Transport: ice.TCP, Local: p.tcp, Remote: from}, time.Now(), out)
			p.settle(out)
		}
	}()
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
