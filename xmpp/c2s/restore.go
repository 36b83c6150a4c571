package c2s

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

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

// fields reads a record. After a fault it returns zeros.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) number() uint64 {
	v, n := binary.Uvarint(f.b)
	if n <= 0 {
		f.b, f.bad = nil, true
		return 0
	}
	f.b = f.b[n:]
	return v
}

func (f *fields) count() uint32 {
	v := f.number()
	f.bad = f.bad || v > 1<<32-1
	return uint32(v)
}

func (f *fields) octet() byte {
	if len(f.b) == 0 {
		f.bad = true
		return 0
	}
	v := f.b[0]
	f.b = f.b[1:]
	return v
}

func (f *fields) bytes(n uint64) []byte {
	if n > uint64(len(f.b)) {
		f.b, f.bad = nil, true
		return nil
	}
	v := f.b[:n]
	f.b = f.b[n:]
	return v
}

// entry reads flags and the tail, which is all that is left.
func (f *fields) entry(r *restoration) entry {
	flags := f.octet()
	e := entry{kind: wire.Kind(flags &^ flagSelf), self: flags&flagSelf != 0, tail: r.share(f.b)}
	f.bad = f.bad || e.kind < wire.Message || e.kind > wire.IQ || len(e.tail) == 0
	f.b = nil
	return e
}

// Replay implements journal.Source.
func (srv *Server) Replay(record []byte) error {
	r := &srv.restored
	f := &fields{b: record}
	what, ref := f.octet(), f.number()
	if what == sayBody {
		if r.bodies == nil {
			r.bodies = make(map[uint64]entry)
		}
		r.bodies[ref] = f.entry(r)
	} else if what == saySession {
		s := srv.readSession(f)
		if s != nil && !f.bad {
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
	if f.bad || len(f.b) > 0 {
		return errRecord
	}
	return nil
}

// replay does again what a session did.
func (s *Session) replay(what byte, f *fields) {
	q, h := &s.queue, &s.handled
	switch what {
	case sayPush:
		if e := f.entry(&s.srv.restored); !f.bad {
			q.push(e)
		}
	case sayCounts:
		acked, count := f.count(), f.count()
		n := acked - s.sm.acked
		if f.bad = f.bad || int64(n) > int64(q.len); !f.bad {
			q.pop(int(n))
			s.sm.acked, h.count = acked, count
			h.forget(count)
		}
	case sayCoalesce:
		sent := f.number()
		if f.bad = f.bad || sent > uint64(q.len); !f.bad {
			q.sent = int(sent)
			q.coalesce()
			q.sent = 0
		}
	case sayDone:
		h.done = append(h.done, stanzaMark{f.count(), f.count()})
	case sayAttends:
		s.attends.Store(true)
	case sayLeave:
		s.leaving = true
	default:
		f.bad = true
	}
}

// readSession is the reverse of appendSession; nil is a session that could not be written down.
func (srv *Server) readSession(f *fields) *Session {
	text := f.bytes(f.number())
	var who identity
	if len(text) > 0 && json.Unmarshal(text, &who) != nil {
		f.bad = true
	}
	s := &Session{
		srv: srv, addr: who.Addr, guest: who.Guest, claims: who.Claims, source: who.Source, room: who.Room, prefix: who.Tenant,
		sm: &resumption{id: who.ID, keep: who.Keep},
	}
	s.attends.Store(who.Attends)
	s.sm.acked, s.handled.count = f.count(), f.count()
	for n := f.number(); n > 0 && !f.bad; n-- {
		s.handled.done = append(s.handled.done, stanzaMark{f.count(), f.count()})
	}
	for n := f.number(); n > 0 && !f.bad; n-- {
		e, ok := srv.restored.bodies[f.number()]
		if f.bad = f.bad || !ok; !f.bad {
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
	s.queue.sent = s.queue.len
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
