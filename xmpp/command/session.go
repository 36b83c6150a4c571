package command

import (
	"crypto/rand"
	"slices"
	"sync"
	"time"

	"parley/xmpp/form"
	"parley/xmpp/wire"
)

// session is an execution under way. Its fields other than those that the list uses belong to the account's goroutine.
type session struct {
	id      string
	by      wire.Addr // full address
	command *Command
	stage   int            // whose form is being filled in
	filled  []form.Answers // of the stages, as far as they were
	touched time.Time      // guarded by sessions.mu
}

// answers are those of the stages before one.
func (s *session) answers(before int) form.Answers {
	all := make(form.Answers)
	for _, a := range s.filled[:min(before, len(s.filled))] {
		for name, values := range a {
			all[name] = values
		}
	}
	return all
}

// sessions are all that are under way.
type sessions struct {
	mu  sync.Mutex // guards what follows
	all map[string]*session
	own map[wire.Addr][]*session // by account, oldest first
}

func newSessions() sessions {
	return sessions{all: make(map[string]*session), own: make(map[wire.Addr][]*session)}
}

// begin enters a session. The oldest of an account that has too many ends; nil says that there are too many of all.
func (l *sessions) begin(by wire.Addr, c *Command, now time.Time) *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	if list := l.own[by.Bare()]; len(list) >= mostOwn {
		l.drop(list[0])
	}
	if len(l.all) >= mostSessions {
		for _, s := range l.all {
			if now.Sub(s.touched) > lifetime {
				l.drop(s)
			}
		}
		if len(l.all) >= mostSessions {
			return nil
		}
	}
	s := &session{id: rand.Text(), by: by, command: c, touched: now}
	l.all[s.id] = s
	l.own[by.Bare()] = append(l.own[by.Bare()], s)
	return s
}

// find returns the session that its owner names; expired says that it was there for too long.
func (l *sessions) find(id string, by wire.Addr, c *Command, now time.Time) (s *session, expired bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s = l.all[id]
	if s == nil || s.by != by || s.command != c {
		return nil, false
	}
	if now.Sub(s.touched) > lifetime {
		l.drop(s)
		return nil, true
	}
	s.touched = now
	return s, false
}

// end forgets a session.
func (l *sessions) end(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(s)
}

// drop is end with mu held.
func (l *sessions) drop(s *session) {
	if l.all[s.id] != s {
		return
	}
	delete(l.all, s.id)
	bare := s.by.Bare()
	rest := slices.DeleteFunc(l.own[bare], func(o *session) bool { return o == s })
	if len(rest) == 0 {
		delete(l.own, bare)
		return
	}
	l.own[bare] = rest
}
