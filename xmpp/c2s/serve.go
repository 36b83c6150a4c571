package c2s

import (
	"encoding/binary"
	"errors"
	"runtime/debug"
	"time"

	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

var badResource = &wire.Error{Type: mstanza.Modify, Condition: mstanza.BadRequest, Text: "the resource is malformed"}

// serve works off what the client sends until the connection or the session ends.
func (l *link) serve(s *Session) {
	defer l.srv.group.Done()
	defer func() {
		if r := recover(); r != nil { // hardening HF13: one session, not the process
			l.srv.log.Error("panic in a session", "jid", string(s.addr), "err", r, "stack", string(debug.Stack()))
			s.end(errInternal, false)
		}
	}()
	defer l.batch.Flush() // however it ends: who is in a batch is in no other, and would wait for ever
	s.Flush()
	for {
		p, err := l.next()
		if err == nil {
			err = s.turn(l, p)
		}
		switch {
		case err == errElsewhere:
			return
		case err != nil:
			l.batch.Flush()
			s.lost(l, err)
			return
		}
	}
}

// errElsewhere says that the session has another connection by now, or none.
var errElsewhere = errors.New("c2s: the session has left this connection")

// turn handles one element, unless the session has left the connection before it.
func (s *Session) turn(l *link, p *wire.Packet) error {
	s.recv.Lock()
	defer s.recv.Unlock()
	if s.current() != l {
		return errElsewhere
	}
	return s.handle(l, p)
}

func (s *Session) current() *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link
}

// handle takes one element of the client. Called with recv held.
func (s *Session) handle(l *link, p *wire.Packet) error {
	if ns := p.NS(); p.Kind != wire.Other {
		if ns != nil && string(ns) != wire.NSClient {
			return errNamespace
		}
		return s.stanza(l, p)
	}
	switch string(p.NS()) {
	case NSResumption:
		return s.manage(&l.batch, p)
	case NSClientInfo:
		s.clientState(&l.batch, string(p.Name()))
		return nil
	case wire.NSSASL, NSExtensible:
		return errSecondLogin
	case wire.NSFraming:
		if l.alone() && string(p.Name()) == "close" {
			return wire.ErrClosed
		}
	}
	if string(p.Name()) == "stream:error" {
		return errPeerError
	}
	return errUnexpected
}

// stanza handles one. It is counted when it has been routed: whoever has to write it down holds its acknowledgement back
// before that, and nobody who releases an earlier one can acknowledge it meanwhile. In the journal, what it caused and its
// count are one group.
func (s *Session) stanza(l *link, p *wire.Packet) (err error) {
	if s.ref != 0 {
		s.srv.journal.Begin()
		defer s.srv.journal.End()
		s.packet = p
	}
	if !s.repeats || !s.repeated(p) {
		err = s.routed(l, p)
	} else {
		s.srv.router.Again(&l.batch, s, p)
	}
	s.packet = nil
	s.mu.Lock()
	h := &s.handled
	h.count++
	if s.ref != 0 && !h.holds(h.count) {
		d := stanzaMark{number: h.count}
		if len(h.held) > 0 {
			d.mark = markOf(p)
		}
		s.noteHandled(d)
	}
	s.mu.Unlock()
	return err
}

func (s *Session) routed(l *link, p *wire.Packet) error {
	if p.HasFrom() && !s.isOwn(p.From()) {
		return errFrom // RFC 6120 §8.1.2.1
	}
	if !p.ValidIQ() {
		if t := string(p.Type()); t != "error" && t != "result" {
			s.Deliver(&l.batch, "", wire.BadIQ.ErrorTo(p, ""))
		}
		return nil
	}
	if p.Kind == wire.Presence && p.HasTo() && len(p.Type()) == 0 && s.attends.CompareAndSwap(false, true) {
		s.mu.Lock()
		s.note(sayAttends)
		s.mu.Unlock()
	}
	s.srv.router.Route(&l.batch, s, p)
	return nil
}

// isOwn reports that an address as it was written is the session's own, full or bare.
func (s *Session) isOwn(raw []byte) bool {
	if string(raw) == string(s.addr) {
		return true
	}
	a, err := wire.ParseRawAddr(raw)
	return err == nil && (a == s.addr || a == s.addr.Bare())
}

// lost is called by the reader when its connection gave no further element.
func (s *Session) lost(l *link, err error) {
	if errors.Is(err, wire.ErrClosed) || errors.Is(err, errPeerError) {
		s.endOn(l, err, true)
		return
	}
	s.mu.Lock()
	if s.link != l {
		s.mu.Unlock()
		l.fail(err)
		return
	}
	if s.sm != nil && s.sm.keep > 0 {
		s.link, s.away = nil, time.Now()
		tell := s.awayLocked()
		s.mu.Unlock()
		tell()
		l.fail(err)
		return
	}
	s.mu.Unlock()
	s.endOn(l, err, false)
}

// endOn ends the session if the link is still its own.
func (s *Session) endOn(l *link, err error, clean bool) {
	if s.current() == l {
		s.end(err, clean)
	} else {
		l.fail(err)
	}
}

// end ends the session for good: nobody finds it any more, its rooms and contacts are told, and what it did not
// receive goes back. With clean, the client said goodbye itself. It is not called while a stanza is being routed.
func (s *Session) end(why error, clean bool) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended = true
	s.note(sayLeave)
	l, q, ref := s.link, s.queue, s.ref
	s.link, s.queue, s.control = nil, queue{}, nil
	s.mu.Unlock()
	s.srv.remove(s)
	s.srv.router.Unbind(s, clean)
	var b wire.Batch
	for i := range q.Len() {
		e := q.At(i)
		s.srv.router.Bounce(&b, s.addr, wire.Stanza{Kind: e.kind, Tail: e.tail})
	}
	if ref != 0 { // after its effects: when a process is killed between them, the next one ends the session once more
		s.srv.part.Append(binary.AppendUvarint([]byte{sayEnd}, ref))
		s.srv.journal.Flush()
	}
	b.Flush()
	if l != nil {
		l.fail(why)
	}
}
