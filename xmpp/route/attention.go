package route

import (
	"sync/atomic"

	"parley/xmpp/wire"
)

// Attention says which of the stanzas that go to and from the sessions of an account Accounts wants to see, where it would
// otherwise hear nothing of them: those from session to session, to services and to other servers.
type Attention uint32

// What Accounts may want to see.
const (
	ToMessages Attention = 1 << iota
	ToAll
	FromServices // what rooms and other services write to the account's sessions
)

// Attended is part of a session. It has the attention of the session's account, so that the router finds it without looking
// anything up. The zero value is a session that nobody attends to.
type Attended struct{ flags atomic.Pointer[atomic.Uint32] }

// Attend names where the account's Attention stands from now on.
func (a *Attended) Attend(flags *atomic.Uint32) { a.flags.Store(flags) }

// attention returns the account's.
func (a *Attended) attention() Attention {
	if f := a.flags.Load(); f != nil {
		return Attention(f.Load())
	}
	return 0
}

// screened reports that Accounts wants to see what services write to r.
func screened(r Receiver) bool {
	s, ok := r.(interface{ attention() Attention })
	return ok && s.attention()&FromServices != 0
}

// attended reports that Accounts wants to see a stanza of this kind that r sends or is sent.
func attended(r Receiver, kind wire.Kind) bool {
	s, ok := r.(interface{ attention() Attention })
	if !ok {
		return false
	}
	f := s.attention()
	return f&ToAll != 0 || f&ToMessages != 0 && kind == wire.Message
}
