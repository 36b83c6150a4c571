package pubsub

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"parley/xmpp/im"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// sight is an available resource as an account sees it.
type sight struct {
	key  capsKey // zero: it says nothing of what it can do
	caps *caps   // nil: not known, or not yet
}

func (s sight) wants(node string) bool {
	if s.caps == nil {
		return false
	}
	_, found := slices.BinarySearch(s.caps.nodes, node)
	return found
}

// question is one that was asked about what a verification string stands for. Those who wait for the answer are asked too,
// one after the other, if it does not come.
type question struct {
	key     capsKey
	asked   map[wire.Addr]string // who was asked, with the id of the request
	waiting []seen
	timer   *time.Timer
}

// seen is a resource in the eyes of an account.
type seen struct{ account, full wire.Addr }

const (
	questionWait  = 5 * time.Second // for an answer, before another one is asked
	mostQuestions = 10_000
	mostWaiting   = 10_000 // for one answer
	mostSights    = 2000   // of an account
	idPrefix      = "caps-"
)

// Presence takes presence of an account's own sessions and of its contacts. It is an im.PresenceFunc.
func (s *Service) Presence(_ *wire.Batch, account, contact wire.Addr, available bool, tail []byte) {
	own := contact.Bare() == account
	if !own && contact.Domain() == s.domain || contact.IsBare() {
		return // what an account of ours can do is known from its own sessions
	}
	if !available {
		s.lose(account, contact)
		return
	}
	if own {
		ctx, done := context.WithTimeout(context.Background(), patience)
		defer done()
		if exists, err := s.accounts.Exists(ctx, account); err != nil || !exists {
			return // a guest
		}
	}
	s.see(account, contact, tail)
}

// lose forgets a resource.
func (s *Service) lose(account, full wire.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sights[account], full)
	if len(s.sights[account]) == 0 {
		delete(s.sights, account)
	}
	for _, q := range s.questions {
		q.waiting = slices.DeleteFunc(q.waiting, func(w seen) bool { return w == seen{account, full} })
	}
}

// see notes what a resource says that it can do, asks if that is not known, and greets it with the items that it has begun
// to ask for. Presence without capabilities changes nothing (XEP-0115 §8.4).
func (s *Service) see(account, full wire.Addr, tail []byte) {
	key, ok := capsIn(tail, full)
	s.mu.Lock()
	all := s.sights[account]
	if all == nil {
		all = make(map[wire.Addr]*sight)
		s.sights[account] = all
	}
	one := all[full]
	if one == nil {
		if len(all) >= mostSights {
			s.mu.Unlock()
			s.rec.Count("limit.pubsub")
			return
		}
		one = &sight{}
		all[full] = one
	}
	if !ok || one.key == key.shared() {
		s.mu.Unlock()
		return
	}
	one.key = key.shared()
	if known := s.caps.get(one.key); known != nil {
		begun := one.learn(known)
		s.mu.Unlock()
		s.greet(account, full, begun)
		return
	}
	ask := s.wonder(key, seen{account, full})
	s.mu.Unlock()
	ask.send(s)
}

// learn notes what a resource can do and returns the nodes that it did not ask for before.
func (s *sight) learn(c *caps) (begun []string) {
	for _, node := range c.nodes {
		if !s.wants(node) {
			begun = append(begun, node)
		}
	}
	s.caps = c
	return begun
}

// inquiry is a request that is to be sent when the lock is released. The zero one is none.
type inquiry struct {
	to  seen
	id  string
	key capsKey
}

// wonder has a resource wait for an answer, and asks it if nobody was asked yet. Called with mu held.
func (s *Service) wonder(key capsKey, who seen) inquiry {
	q := s.questions[key.shared()]
	if q == nil {
		if len(s.questions) >= mostQuestions {
			s.rec.Count("limit.pubsub")
			return inquiry{}
		}
		q = &question{key: key, asked: make(map[wire.Addr]string)}
		s.questions[key.shared()] = q
	}
	if len(q.waiting) < mostWaiting {
		q.waiting = append(q.waiting, who)
	}
	if len(q.asked) > 0 {
		return inquiry{}
	}
	return s.ask(q)
}

// ask picks who is asked next; if nobody is left the question is given up. Called with mu held.
func (s *Service) ask(q *question) inquiry {
	for _, w := range q.waiting {
		if _, asked := q.asked[w.full]; asked {
			continue
		}
		id := idPrefix + rand.Text()
		q.asked[w.full] = id
		s.asked[id] = q
		if q.timer != nil {
			q.timer.Stop()
		}
		q.timer = time.AfterFunc(questionWait, func() { s.askAgain(q) })
		return inquiry{w, id, q.key}
	}
	s.drop(q)
	return inquiry{}
}

// drop gives a question up. Called with mu held.
func (s *Service) drop(q *question) {
	if q.timer != nil {
		q.timer.Stop()
	}
	for _, id := range q.asked {
		delete(s.asked, id)
	}
	if s.questions[q.key.shared()] == q {
		delete(s.questions, q.key.shared())
	}
}

func (s *Service) askAgain(q *question) {
	s.mu.Lock()
	if s.questions[q.key.shared()] != q {
		s.mu.Unlock()
		return
	}
	ask := s.ask(q)
	s.mu.Unlock()
	ask.send(s)
}

// send asks (XEP-0115 §6.2) in the name of the account.
func (i inquiry) send(s *Service) {
	if i.id == "" {
		return
	}
	dst := wire.AppendAttr(nil, "from", string(i.to.account))
	dst = wire.AppendAttr(dst, "id", i.id)
	dst = append(dst, " type='get'><query xmlns='"+NSInfo+"'"...)
	dst = wire.AppendAttr(dst, "node", i.key.node+"#"+i.key.ver)
	st := wire.Stanza{Kind: wire.IQ, Tail: append(dst, "/></iq>"...)}
	s.accounts.Do(i.to.account, func(b *wire.Batch) { s.accounts.Send(b, i.to.account, i.to.full, st) })
}

// Reply takes answers to requests in the name of an account. It is an im.ContactHandler.
func (s *Service) Reply(_ *wire.Batch, from route.Sender, _ wire.Addr, p *wire.Packet) {
	id := wire.UnescapeString(p.ID())
	if !strings.HasPrefix(id, idPrefix) {
		return
	}
	s.mu.Lock()
	q := s.asked[id]
	if q != nil && q.asked[from.Addr()] != id {
		q = nil // somebody else's answer
	}
	s.mu.Unlock()
	if q == nil {
		return
	}
	query := p.Elem().Child("query", NSInfo)
	if string(p.Type()) != "result" || !query.Ok() {
		s.askAgain(q)
		return
	}
	c, verified := readCaps(query, q.key.hash, q.key.ver)
	s.answered(q, from.Addr(), c, verified)
}

// answered takes an answer for everybody who waits for it, or, if it does not match the string, for the one who gave it.
func (s *Service) answered(q *question, by wire.Addr, c *caps, verified bool) {
	type greeting struct {
		seen
		begun []string
	}
	var greetings []greeting
	s.mu.Lock()
	if s.questions[q.key.shared()] != q {
		s.mu.Unlock()
		return
	}
	waiting := q.waiting
	var next inquiry
	if verified {
		s.caps.put(q.key.shared(), c)
		s.drop(q)
	} else {
		s.rec.Count("pubsub.caps")
		waiting = nil
		q.waiting = slices.DeleteFunc(q.waiting, func(w seen) bool {
			if w.full == by {
				waiting = append(waiting, w)
			}
			return w.full == by
		})
		next = s.ask(q)
	}
	for _, w := range waiting {
		if one := s.sights[w.account][w.full]; one != nil && one.key == q.key.shared() {
			greetings = append(greetings, greeting{w, one.learn(c)})
		}
	}
	s.mu.Unlock()
	for _, g := range greetings {
		s.greet(g.account, g.full, g.begun)
	}
	next.send(s)
}

// sightOf returns what is known of an available session of ours. Of one that outlived a restart of the server nothing was
// told, so it is looked at.
func (s *Service) sightOf(account wire.Addr, res im.Resource) sight {
	if one, known := s.sight(account, res.Addr); known {
		return one
	}
	s.see(account, res.Addr, res.Presence)
	if !slices.ContainsFunc(s.accounts.Resources(account), func(r im.Resource) bool { return r.Addr == res.Addr }) {
		s.lose(account, res.Addr) // it went meanwhile
	}
	one, _ := s.sight(account, res.Addr)
	return one
}

func (s *Service) sight(account, full wire.Addr) (one sight, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.sights[account][full]; p != nil {
		return *p, true
	}
	return one, false
}

// remote returns the resources of contacts on other servers that show themselves to the account and ask for a node.
func (s *Service) remote(account wire.Addr, node string) (list []wire.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for full, one := range s.sights[account] {
		if full.Domain() != s.domain && one.wants(node) {
			list = append(list, full)
		}
	}
	slices.Sort(list)
	return list
}
