package component

import (
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"parley/internal/limit"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// stream is one connection of a component. One goroutine reads, one writes; push and stop may be called from any.
type stream struct {
	srv    *Server
	nc     net.Conn
	source netip.Addr

	// The reader's.
	seat     *seat // nil before the handshake
	buf      []byte
	from, to int // what was read and is not done with
	scan     wire.Scanner
	batch    wire.Batch
	rate     limit.Bucket
	visitors map[wire.Addr]map[string]struct{} // addresses of ours that are present at services which want to know of their end

	mu     sync.Mutex // guards what follows
	queue  [][]byte
	bytes  int
	closed bool
	why    error
	wake   chan struct{} // holds a token while there is something to write
	done   chan struct{} // closed by stop
}

func newStream(srv *Server, nc net.Conn, source netip.Addr) *stream {
	return &stream{
		srv: srv, nc: nc, source: source, buf: make([]byte, 4<<10), scan: wire.Scanner{Limits: wire.BeforeAuth},
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// run serves the connection until it ends.
func (s *stream) run() {
	s.nc.SetDeadline(time.Now().Add(handshakeTime))
	err := s.negotiate()
	if err == nil {
		s.nc.SetDeadline(time.Time{})
		var writer sync.WaitGroup
		writer.Go(s.write)
		err = s.serve()
		s.stop(err)
		s.seat.leave(s)
		writer.Wait()
		s.giveUp()
		s.srv.log.Info("a component has gone", "domain", s.seat.cfg.Domain, "err", err)
		return
	}
	s.stop(err)
	s.end()
}

// negotiate is XEP-0114 §3.
func (s *stream) negotiate() error {
	var h wire.Header
	for {
		n, header, err := wire.ParseHeader(s.buf[s.from:s.to], wire.BeforeAuth)
		if err == nil {
			h = header
			s.consume(n)
			break
		}
		if err != wire.ErrIncomplete {
			s.open("", rand.Text())
			return err
		}
		if s.to-s.from >= wire.BeforeAuth.Size {
			s.open("", rand.Text())
			return wire.ErrSize
		}
		if err := s.more(); err != nil {
			return err
		}
	}
	id := rand.Text()
	seat := s.srv.seats[h.To]
	switch {
	case h.ContentNS != NS:
		s.open("", id)
		return errNamespace
	case seat == nil:
		s.open("", id)
		return errHost
	}
	if err := s.open(h.To, id); err != nil {
		return err
	}
	p, err := s.next()
	switch {
	case err != nil:
		return err
	case string(p.Name()) != "handshake" || p.NS() != nil && string(p.NS()) != NS:
		return errExpected
	}
	sum := sha1.Sum([]byte(id + seat.cfg.Secret))
	if subtle.ConstantTimeCompare([]byte(p.Elem().Text()), []byte(hex.EncodeToString(sum[:]))) != 1 {
		select { // who guesses waits
		case <-time.After(s.srv.penalty):
		case <-s.done:
		}
		return errSecret
	}
	if !seat.take(s) {
		return errConflict
	}
	s.seat = seat
	s.scan = wire.Scanner{Limits: wire.AfterAuth}
	s.rate = limit.NewBucket(s.srv.pace)
	if _, err := s.nc.Write([]byte("<handshake/>")); err != nil {
		seat.leave(s)
		return err
	}
	s.srv.log.Info("a component has connected", "domain", seat.cfg.Domain, "addr", s.source.String())
	return nil
}

// open writes our header.
func (s *stream) open(domain, id string) error {
	out := []byte("<?xml version='1.0'?><stream:stream xmlns='" + NS + "' xmlns:stream='" + wire.NSStream + "'")
	if domain != "" {
		out = wire.AppendAttr(out, "from", domain)
	}
	_, err := s.nc.Write(append(wire.AppendAttr(out, "id", id), '>'))
	return err
}

// consume forgets bytes that are done with.
func (s *stream) consume(n int) {
	if s.from += n; s.from == s.to {
		s.from, s.to = 0, 0
	}
}

// more reads.
func (s *stream) more() error {
	switch {
	case s.to < len(s.buf):
	case s.from > 0:
		s.from, s.to = 0, copy(s.buf, s.buf[s.from:s.to])
	default:
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	n, err := s.nc.Read(s.buf[s.to:])
	s.to += n
	if n > 0 {
		return nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errTimeout
	}
	return err
}

// next returns a copy of the next element.
func (s *stream) next() (*wire.Packet, error) {
	for {
		n, p, err := s.scan.Next(s.buf[s.from:s.to])
		if err == nil {
			p = p.Clone()
			s.consume(n)
			return p, nil
		}
		if err != wire.ErrIncomplete {
			return nil, err
		}
		s.consume(n)
		s.batch.Flush()
		if err := s.more(); err != nil {
			return nil, err
		}
	}
}

// serve works off what the component sends.
func (s *stream) serve() (err error) {
	defer s.batch.Flush()
	defer func() {
		if r := recover(); r != nil { // hardening HF13
			s.srv.log.Error("panic in a component's stream", "domain", s.seat.cfg.Domain, "err", r, "stack", string(debug.Stack()))
			err = errInternal
		}
	}()
	for {
		p, err := s.next()
		if err != nil {
			return err
		}
		if wait := s.rate.Take(time.Now(), 1); wait > 0 {
			s.batch.Flush()
			select {
			case <-time.After(wait):
			case <-s.done:
			}
		}
		if err := s.handle(p); err != nil {
			return err
		}
	}
}

// handle routes one stanza.
func (s *stream) handle(p *wire.Packet) error {
	if ns := string(p.NS()); p.Kind == wire.Other || ns != "" && ns != NS && ns != wire.NSClient {
		if string(p.Name()) == "stream:error" {
			return wire.ErrClosed
		}
		return errElement
	}
	from, err := wire.ParseRawAddr(p.From())
	if err != nil || from.Domain() != s.seat.cfg.Domain {
		return errFrom
	}
	x := &sender{s.seat, from, s.source}
	to, err := wire.ParseRawAddr(p.To())
	if err != nil {
		route.Refuse(&s.batch, x, p, s.seat.domain, errTo)
		return nil
	}
	if !p.ValidIQ() {
		route.Refuse(&s.batch, x, p, to, wire.BadIQ)
		return nil
	}
	if s.srv.router.Find(to) == nil && s.srv.router.Service(to.Domain()) == nil {
		s.srv.router.Abroad(&s.batch, x, to, p)
		return nil
	}
	s.note(from, to, p)
	s.srv.router.Enter(&s.batch, x, to, p)
	return nil
}

// note remembers who of the component's addresses is present in rooms, so that they leave with it.
func (s *stream) note(from, to wire.Addr, p *wire.Packet) {
	domain := to.Domain()
	if _, watches := s.srv.router.Service(domain).(route.Watcher); p.Kind != wire.Presence || len(p.Type()) > 0 || !watches {
		return
	}
	at := s.visitors[from]
	if at == nil {
		if len(s.visitors) >= mostVisitors {
			s.srv.rec.Count("limit.component")
			return
		}
		if s.visitors == nil {
			s.visitors = make(map[wire.Addr]map[string]struct{})
		}
		at = make(map[string]struct{})
		s.visitors[from] = at
	}
	at[domain] = struct{}{}
}

// push queues what is written to the component.
func (s *stream) push(raw []byte) *wire.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errAway
	case s.bytes+len(raw) > queueBytes || len(s.queue) >= queueStanzas:
		s.srv.rec.Count("limit.component")
		return errSlow
	}
	s.queue = append(s.queue, raw)
	s.bytes += len(raw)
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// write writes the queue until the stream ends. A component that does not read for too long is gone.
func (s *stream) write() {
	defer s.end()
	ping := time.NewTicker(writeTime)
	defer ping.Stop()
	for {
		var out net.Buffers
		select {
		case <-s.wake:
			s.mu.Lock()
			if !s.closed {
				out, s.queue, s.bytes = net.Buffers(s.queue), nil, 0
			}
			s.mu.Unlock()
		case <-ping.C:
			out = net.Buffers{[]byte(" ")} // who is dead does not answer it
		case <-s.done:
			return
		}
		if len(out) == 0 {
			continue
		}
		s.nc.SetWriteDeadline(time.Now().Add(writeTime))
		if _, err := out.WriteTo(s.nc); err != nil {
			s.stop(err)
			return
		}
	}
}

// stop has the stream end, for the first reason that is given.
func (s *stream) stop(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed, s.why = true, why
	close(s.done)
	s.nc.SetReadDeadline(time.Now()) // the reader wakes
}

// end says why, and closes the connection.
func (s *stream) end() {
	s.mu.Lock()
	why := s.why
	s.mu.Unlock()
	out := []byte("</stream:stream>")
	if v := (*wire.Violation)(nil); errors.As(why, &v) {
		if v.Event != "" {
			s.srv.rec.Reject(v.Event, s.source.String(), "text", v.Text)
		}
		out = []byte("<stream:error><" + v.Condition + " xmlns='" + wire.NSStreams + "'/><text xmlns='" + wire.NSStreams + "'>")
		out = append(wire.AppendEscaped(out, v.Text), "</text></stream:error></stream:stream>"...)
	}
	s.nc.SetWriteDeadline(time.Now().Add(time.Second))
	s.nc.Write(out)
	s.nc.Close()
}

// giveUp answers what was not written, and has those leave who are in rooms. The seat is free by then.
func (s *stream) giveUp() {
	s.mu.Lock()
	left := s.queue
	s.queue, s.bytes = nil, 0
	s.mu.Unlock()
	var b wire.Batch
	for _, raw := range left {
		s.srv.bounce(&b, raw, errAway)
	}
	for from, domains := range s.visitors {
		for domain := range domains {
			if w, ok := s.srv.router.Service(domain).(route.Watcher); ok {
				w.Gone(from)
			}
		}
	}
	b.Flush()
}
