package turn

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"parley/internal/limit"
	"parley/internal/stun"
)

// writeTime is what a client may take to receive what is sent to it.
const writeTime = 10 * time.Second

// accept serves a listener until it is closed.
func (d *door) accept(l net.Listener) {
	for failures := 0; ; failures++ {
		conn, err := l.Accept()
		if err == nil {
			failures = 0
			d.admitStream(conn)
			continue
		}
		d.mu.Lock()
		closing := d.closing
		d.mu.Unlock()
		if closing {
			return
		}
		if errors.Is(err, net.ErrClosed) || failures == 100 {
			d.events.Hurt("turn.listener", d.back.local.String(), "err", err.Error())
			return
		}
		time.Sleep(10 * time.Millisecond) // out of file descriptors, for example
	}
}

// admitStream starts to serve a connection, or closes it if its source has too many.
func (d *door) admitStream(conn net.Conn) {
	from, now := addrPort(conn.RemoteAddr()), time.Now()
	source := limit.Source(from.Addr())
	if !from.IsValid() || !d.connections.Open(source, now) {
		d.refuse("limit.conn", from, now)
		hangUp(conn)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closing {
		hangUp(conn)
		return
	}
	d.streams[conn] = struct{}{}
	d.meter.streams.Add(1)
	d.running.Go(func() {
		func() {
			defer d.survive(from)
			d.readStream(conn, from)
		}()
		hangUp(conn)
		if a := d.find(from); a != nil {
			a.end()
		}
		d.meter.streams.Add(-1)
		d.connections.Close(source)
		d.mu.Lock()
		delete(d.streams, conn)
		d.mu.Unlock()
	})
}

// readStream serves a TCP or TLS connection until it fails, breaks the framing, or says nothing for too long.
func (d *door) readStream(conn net.Conn, from netip.AddrPort) {
	if tls, ok := conn.(interface{ HandshakeContext(context.Context) error }); ok {
		conn.SetDeadline(time.Now().Add(d.cfg.Handshake))
		if tls.HandshakeContext(context.Background()) != nil {
			d.events.Count("tls.policy")
			return
		}
		conn.SetDeadline(time.Time{})
	}
	k := desk{door: d, from: from, path: streamPath{conn}, out: make([]byte, 0, 128)}
	b, have := make([]byte, 2*stun.MaxMessage), 0
	begun := time.Now() // when the client last had an allocation, or a message began that is not whole yet
	for {
		conn.SetReadDeadline(begun.Add(d.cfg.Idle))
		n, err := conn.Read(b[have:])
		k.now = time.Now()
		if errors.Is(err, os.ErrDeadlineExceeded) && have+n == 0 && d.find(from) != nil {
			begun = k.now
			continue
		}
		if err != nil && n == 0 {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				d.events.Count("conn.timeout")
			}
			return
		}
		whole := have == 0 // what is in b begins with what this read has brought, or behind a whole message
		have += n
		rest := b[:have]
		for {
			size, err := stun.Frame(rest)
			if err != nil {
				d.events.Count("stun.bad")
				return
			}
			if size == 0 || size > len(rest) {
				break
			}
			k.receive(rest[:size], size)
			rest, whole = rest[size:], true
		}
		have = copy(b, rest)
		if whole && d.find(from) != nil {
			begun = k.now
		}
	}
}

// streamPath leads back over a connection. Several goroutines may send: a Write of a net.Conn is not mixed with others.
type streamPath struct{ net.Conn }

func (p streamPath) send(b []byte, _ int) {
	p.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := p.Write(b); err != nil {
		p.end() // part of a message may have been written
	}
}

func (p streamPath) stream() bool { return true }
func (p streamPath) end()         { hangUp(p.Conn) }

// hangUp closes a connection at once: the farewell of TLS would wait for a peer that does not read.
func hangUp(conn net.Conn) {
	if tls, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = tls.NetConn()
	}
	conn.Close()
}
