package c2s

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"parley/internal/journal"
	"parley/xmpp/wire"
)

// restoration is what the journal has said of sessions so far.
type restoration struct {
	sessions map[uint64]*Session
	bodies   map[uint64]entry // of the last snapshot
	last     []byte           // the last tail
	highest  uint64           // ref
}

// share returns a copy of a tail, the same one as the last time if it is the same tail.
func (r *restoration) share(tail []byte) []byte {
	if !bytes.Equal(tail, r.last) {
		r.last = bytes.Clone(tail)
	}
	return r.last
}

var errRecord = errors.New("c2s: the journal holds what no session has written")

// entry reads flags and the tail, which is all that is left.
func (r *restoration) entry(f *journal.Fields) entry {
	flags := f.Byte()
	e := entry{kind: wire.Kind(flags &^ flagSelf), self: flags&flagSelf != 0, tail: r.share(f.Rest())}
	if e.kind < wire.Message || e.kind > wire.IQ || len(e.tail) == 0 {
		f.Fault()
	}
	return e
}

// Replay implements journal.Source.
func (srv *Server) Replay(record []byte) error {
	r := &srv.restored
	f := &journal.Fields{Left: record}
	what, ref := f.Byte(), f.Number()
	if what == sayBody {
		if r.bodies == nil {
			r.bodies = make(map[uint64]entry)
		}
		r.bodies[ref] = r.entry(f)
	} else if what == saySession {
		s := srv.readSession(f)
		if s != nil && !f.Bad {
			if r.sessions == nil {
				r.sessions = make(map[uint64]*Session)
			}
			s.ref = ref
			r.sessions[ref] = s
			r.highest = max(r.highest, ref)
		}
	} else if s := r.sessions[ref]; s != nil {
		if what == sayEnd {
			delete(r.sessions, ref)
		} else {
			s.replay(what, f)
		}
	} else {
		return nil // its snapshot is to come, or it ended
	}
	if !f.Whole() {
		return errRecord
	}
	return nil
}

// replay does again what a session did.
func (s *Session) replay(what byte, f *journal.Fields) {
	q, h := &s.queue, &s.handled
	switch what {
	case sayPush:
		if e := s.srv.restored.entry(f); !f.Bad {
			q.push(e)
		}
	case sayCounts:
		acked, count := f.Count(), f.Count()
		n := acked - s.sm.acked
		if !f.Bad && (int64(n) <= int64(q.Len()) || f.Fault()) {
			q.pop(int(n))
			s.sm.acked, h.count = acked, count
			h.forget(count)
		}
	case sayCoalesce:
		sent := f.Number()
		if !f.Bad && (sent <= uint64(q.Len()) || f.Fault()) {
			q.sent = int(sent)
			q.coalesce()
			q.sent = 0
		}
	case sayDone:
		h.done = append(h.done, stanzaMark{f.Count(), f.Count()})
	case sayAttends:
		s.attends.Store(true)
	case sayLeave:
		s.leaving = true
	default:
		f.Fault()
	}
}

// readSession is the reverse of appendSession; nil is a session that could not be written down.
func (srv *Server) readSession(f *journal.Fields) *Session {
	text := f.Bytes()
	var who identity
	if len(text) > 0 && json.Unmarshal(text, &who) != nil {
		f.Fault()
	}
	s := &Session{
		srv: srv, addr: who.Addr, guest: who.Guest, claims: who.Claims, source: who.Source, room: who.Room, prefix: who.Tenant,
		sm: &resumption{id: who.ID, keep: who.Keep},
	}
	s.device = who.Device
	s.attends.Store(who.Attends)
	s.sm.acked, s.handled.count = f.Count(), f.Count()
	for n := f.Number(); n > 0 && !f.Bad; n-- {
		s.handled.done = append(s.handled.done, stanzaMark{f.Count(), f.Count()})
	}
	for n := f.Number(); n > 0 && !f.Bad; n-- {
		e, ok := srv.restored.bodies[f.Number()]
		if !f.Bad && (ok || f.Fault()) {
			s.queue.push(e)
		}
	}
	if len(text) == 0 {
		return nil
	}
	return s
}

// Reset implements journal.Source.
func (srv *Server) Reset() { srv.restored = restoration{} }

// Replayed implements journal.Finisher: the sessions that the journal told of wait for their clients from now on.
func (srv *Server) Replayed() {
	r := srv.restored
	srv.restored = restoration{}
	srv.refs.Store(r.highest)
	now := time.Now()
	for _, ref := range slices.Sorted(maps.Keys(r.sessions)) {
		if s := r.sessions[ref]; !srv.restore(s, now) {
			srv.log.Warn("a session of the last process is not kept", "jid", string(s.addr))
		}
	}
	if n := len(r.sessions); n > 0 {
		srv.log.Info("sessions of the last process wait for their clients", "count", n)
	}
}

// restore enters a session whose client is away, and reports that it can be.
func (srv *Server) restore(s *Session, now time.Time) bool {
	addr, err := wire.ParseAddr(string(s.addr))
	if err != nil || addr != s.addr || addr.IsBare() || addr.Local() == "" || addr.Domain() != srv.cfg.Domain || s.sm.id == "" {
		return false
	}
	most := srv.cfg.KeepAccount
	if s.guest {
		most = srv.cfg.KeepGuest
	}
	if s.sm.keep = min(s.sm.keep, most); s.sm.keep <= 0 {
		return false
	}
	// All that was queued may have been on the wire: what the client has of it, it says when it comes back.
	s.queue.sent = s.queue.Len()
	if !s.leaving { // else it is swept away at once
		s.away = now
	}
	s.repeats = len(s.handled.done) > 0
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.resumes[s.sm.id] != nil || srv.router.Bind(s) != nil {
		return false
	}
	srv.sessions[s] = struct{}{}
	if !s.leaving {
		srv.resumes[s.sm.id] = s
	}
	if !s.guest {
		srv.users[s.addr.Bare()]++
	}
	return true
}
