package c2s

import "parley/xmpp/wire"

// Absence is told what waits for clients that are away and whose sessions wait for them (XEP-0198), guests left out: each stanza
// once, but in no certain order. It does not block, and may be called while whatever a stanza causes is being done: it sends
// nothing itself.
type Absence interface {
	// Away is told that a client has gone, and of what it was sent and has not acknowledged.
	Away(addr wire.Addr, unseen []wire.Stanza)
	// Missed is told of a stanza that waits for a client that is away.
	Missed(addr wire.Addr, st wire.Stanza)
	// Back is told that a client has come back. It is called with the session's lock held.
	Back(addr wire.Addr)
}

// SetAbsence names who is told. It is called at most once, before the first client.
func (srv *Server) SetAbsence(a Absence) { srv.absence = a }

// TellAbsence tells of all clients that are away: those of a process before this one.
func (srv *Server) TellAbsence() {
	for _, s := range srv.all() {
		tell := func() {}
		s.mu.Lock()
		if s.link == nil && !s.ended {
			tell = s.awayLocked()
		}
		s.mu.Unlock()
		tell()
	}
}

// awayLocked returns what says that the client has gone, with what it has not acknowledged now. Called with mu held; what it
// returns is called without.
func (s *Session) awayLocked() (tell func()) {
	if s.srv.absence == nil || s.guest {
		return func() {}
	}
	unseen := make([]wire.Stanza, s.queue.Len())
	for i := range unseen {
		e := s.queue.At(i)
		unseen[i] = wire.Stanza{Kind: e.kind, Tail: e.tail}
	}
	return func() { s.srv.absence.Away(s.addr, unseen) }
}

// backLocked says that the client has come back. Called with mu held.
func (s *Session) backLocked() {
	if s.srv.absence != nil && !s.guest {
		s.srv.absence.Back(s.addr)
	}
}
