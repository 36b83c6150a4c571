package muc

import (
	"slices"

	"parley/xmpp/wire"
)

// asked remembers the requests that the room has passed on, so that an answer goes to the session that asked, and what
// nobody asked for goes nowhere (hardening.md HX15).
type asked struct {
	open  map[question]request
	of    map[wire.Addr][]question // by who asked
	lost  []orphan
	news  []question // that the journal has not got
	noted bool       // there is one that has the room
}

// question is how the answer to a request will look.
type question struct {
	by wire.Addr // full address of who answers
	to wire.Addr // occupant address of who asked, as it was then
	id string    // as written
}

// request is who asked whom.
type request struct {
	asker wire.Addr // full address
	asked wire.Addr // occupant address, as it was then
}

// orphan is a request whose answerer is gone.
type orphan struct {
	request
	id string
}

// mostAsked bounds the requests of one session that are open. The oldest is forgotten first: its answer will be dropped.
const mostAsked = 256

func (a *asked) note(q question, r request) {
	if a.open == nil {
		a.open = make(map[question]request)
		a.of = make(map[wire.Addr][]question)
	}
	if old, again := a.open[q]; again {
		a.drop(old.asker, q)
	}
	if list := a.of[r.asker]; len(list) >= mostAsked {
		a.drop(r.asker, list[0])
	}
	a.of[r.asker] = append(a.of[r.asker], q)
	a.open[q] = r
	a.tell(q)
}

// answered returns who asked whom, and forgets the question.
func (a *asked) answered(q question) (request, bool) {
	r, ok := a.open[q]
	if ok {
		a.drop(r.asker, q)
	}
	return r, ok
}

// tell notes that there is something new about a question.
func (a *asked) tell(q question) {
	if a.noted {
		a.news = append(a.news, q)
	}
}

func (a *asked) drop(asker wire.Addr, q question) {
	delete(a.open, q)
	a.tell(q)
	list := a.of[asker]
	if i := slices.Index(list, q); i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	if a.of[asker] = list; len(list) == 0 {
		delete(a.of, asker)
	}
}

// forget drops what a session has asked, and leaves what it was asked among the lost.
func (a *asked) forget(s wire.Addr) {
	for _, q := range a.of[s] {
		delete(a.open, q)
	}
	delete(a.of, s)
	for q, r := range a.open {
		if q.by == s {
			a.lost = append(a.lost, orphan{r, q.id})
			a.drop(r.asker, q)
		}
	}
}

// console answers the requests that nobody will answer any more.
func (r *room) console(fx *effects) {
	for _, o := range r.asked.lost {
		if r.isFocusAddr(o.asker) {
			continue
		}
		tail := wire.AppendAttr(nil, "from", string(o.asked))
		tail = append(wire.AppendRawAttr(tail, "id", []byte(o.id)), " type='error'>"...)
		tail = append(errLeft.Append(tail), "</iq>"...)
		fx.send(o.asker, wire.Stanza{Kind: wire.IQ, Tail: tail})
	}
	r.asked.lost = r.asked.lost[:0]
}
