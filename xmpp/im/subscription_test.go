package im

import (
	"fmt"
	"strings"
	"testing"

	"parley/internal/store"
	"parley/xmpp/wire"

	"pgregory.net/rapid"
)

// The nine states of RFC 6121 §A.1.
const (
	sNone        = "None"
	sNoneOut     = "None + Pending Out"
	sNoneIn      = "None + Pending In"
	sNoneOutIn   = "None + Pending Out+In"
	sTo          = "To"
	sToIn        = "To + Pending In"
	sFrom        = "From"
	sFromOut     = "From + Pending Out"
	sBoth        = "Both"
	onward, stop = true, false
)

var states = []string{sNone, sNoneOut, sNoneIn, sNoneOutIn, sTo, sToIn, sFrom, sFromOut, sBoth}

// made is a contact in a state.
func made(state string) store.Contact {
	c := store.Contact{Addr: "carl@y.net", Listed: state != sNone && state != sNoneIn}
	c.To = strings.HasPrefix(state, sTo) || state == sBoth
	c.From = strings.HasPrefix(state, sFrom) || state == sBoth
	c.Asked = strings.Contains(state, "Pending Out")
	if strings.HasSuffix(state, "In") {
		c.Request = []byte("/>")
	}
	return c
}

func stateOf(c store.Contact) string {
	state := map[string]string{"none": sNone, "to": sTo, "from": sFrom, "both": sBoth}[subscription(&c)]
	switch {
	case c.Asked && c.Request != nil:
		return state + " + Pending Out+In"
	case c.Asked:
		return state + " + Pending Out"
	case c.Request != nil:
		return state + " + Pending In"
	}
	return state
}

// change is a line of a table: whether the stanza goes on, and the new state.
type change struct {
	on  bool
	new string
}

// RFC 6121 §A.2.1 to §A.2.4, in the order of states.
var outbound = map[string][]change{
	"subscribe":    {{onward, sNoneOut}, {onward, sNoneOut}, {onward, sNoneOutIn}, {onward, sNoneOutIn}, {onward, sTo}, {onward, sToIn}, {onward, sFromOut}, {onward, sFromOut}, {onward, sBoth}},
	"unsubscribe":  {{onward, sNone}, {onward, sNone}, {onward, sNoneIn}, {onward, sNoneIn}, {onward, sNone}, {onward, sNoneIn}, {onward, sFrom}, {onward, sFrom}, {onward, sFrom}},
	"subscribed":   {{stop, sNone}, {stop, sNoneOut}, {onward, sFrom}, {onward, sFromOut}, {stop, sTo}, {onward, sBoth}, {stop, sFrom}, {stop, sFromOut}, {stop, sBoth}},
	"unsubscribed": {{stop, sNone}, {stop, sNoneOut}, {onward, sNone}, {onward, sNoneOut}, {stop, sTo}, {onward, sTo}, {onward, sNone}, {onward, sNoneOut}, {onward, sTo}},
}

// RFC 6121 §A.3.1 to §A.3.4. In the states with From the answer to subscribe is subscribed.
var inbound = map[string][]change{
	"subscribe":    {{onward, sNoneIn}, {onward, sNoneOutIn}, {stop, sNoneIn}, {stop, sNoneOutIn}, {onward, sToIn}, {stop, sToIn}, {stop, sFrom}, {stop, sFromOut}, {stop, sBoth}},
	"unsubscribe":  {{stop, sNone}, {stop, sNoneOut}, {onward, sNone}, {onward, sNoneOut}, {stop, sTo}, {onward, sTo}, {onward, sNone}, {onward, sNoneOut}, {onward, sTo}},
	"subscribed":   {{stop, sNone}, {onward, sTo}, {stop, sNoneIn}, {onward, sToIn}, {stop, sTo}, {stop, sToIn}, {stop, sFrom}, {onward, sBoth}, {stop, sBoth}},
	"unsubscribed": {{stop, sNone}, {onward, sNone}, {stop, sNoneIn}, {onward, sNoneIn}, {onward, sNone}, {onward, sNoneIn}, {stop, sFrom}, {onward, sFrom}, {onward, sFrom}},
}

func TestSubscriptionStates(t *testing.T) {
	for typ := range outbound {
		for i, state := range states {
			c := made(state)
			if got := stateOf(c); got != state {
				t.Fatalf("%s is taken for %s", state, got)
			}
			if on := sent(&c, typ); on != outbound[typ][i].on || stateOf(c) != outbound[typ][i].new {
				t.Errorf("%s in %s: routed %v, now %s; want %+v", typ, state, on, stateOf(c), outbound[typ][i])
			}
			c = made(state)
			on, reply := received(&c, typ, []byte("/>"))
			if on != inbound[typ][i].on || stateOf(c) != inbound[typ][i].new {
				t.Errorf("%s received in %s: delivered %v, now %s; want %+v", typ, state, on, stateOf(c), inbound[typ][i])
			}
			if want := typ == "subscribe" && made(state).From; want != (reply == "subscribed") {
				t.Errorf("%s received in %s: answered %q", typ, state, reply)
			}
		}
	}
}

// RFC 6121 §3.4.2.
func TestApprovalInAdvance(t *testing.T) {
	w := newKept(t)
	ann, bob := w.online("ann@x.net/a"), w.online("bob@x.net/b")
	bob.send(`<presence to='ann@x.net' type='subscribed'/>`)
	bob.expect(`<item jid='ann@x.net' subscription='none' approved='true'/>`)
	ann.expect()
	ann.send(`<presence to='bob@x.net' type='subscribe'/>`)
	ann.expect(`subscription='none' ask='subscribe'`, `subscription='to'`, `from='bob@x.net' type='subscribed'`, `from='bob@x.net/b'/>`)
	bob.expect(`<item jid='ann@x.net' subscription='from'/>`)
	// Taken back (§3.4.2), it counts no more.
	bob.send(`<presence to='eve@x.net' type='subscribed'/>`)
	bob.send(`<presence to='eve@x.net' type='unsubscribed'/>`)
	bob.expect(`approved='true'`, `<item jid='eve@x.net' subscription='none'/>`)
	eve := w.online("eve@x.net/e")
	eve.send(`<presence to='bob@x.net' type='subscribe'/>`)
	bob.expect(`from='eve@x.net' type='subscribe'`)
}

// RFC 6121 §3.1 with both at home, from nothing to both.
func TestFriendsAreMade(t *testing.T) {
	w := newKept(t)
	ann, bob := w.online("ann@x.net/a"), w.online("bob@x.net/b")
	ann.send(`<presence to='bob@x.net/b' type='subscribe' id='s1'><status>please</status></presence>`) // a full address is as its bare one
	ann.expect(`<item jid='bob@x.net' subscription='none' ask='subscribe'/>`)
	bob.expect(`<presence to='bob@x.net' from='ann@x.net' type='subscribe' id='s1'><status>please</status></presence>`)
	bob.send(`<presence to='ann@x.net' type='subscribed'/>`)
	bob.expect(`<item jid='ann@x.net' subscription='from'/>`)
	ann.expect(`<item jid='bob@x.net' subscription='to'/>`, `from='bob@x.net' type='subscribed'`, `<presence to='ann@x.net' from='bob@x.net/b'/>`)
	bob.send(`<presence to='ann@x.net' type='subscribe'/>`)
	bob.expect(`subscription='from' ask='subscribe'`)
	ann.expect(`from='bob@x.net' type='subscribe'`)
	ann.send(`<presence to='bob@x.net' type='subscribed'/>`)
	ann.expect(`subscription='both'`)
	bob.expect(`subscription='both'`, `type='subscribed'`, `from='ann@x.net/a'`)
	// §3.3: bob sees ann no more.
	bob.send(`<presence to='ann@x.net' type='unsubscribe'/>`)
	bob.expect(`subscription='from'`, `from='ann@x.net/a' type='unavailable'`)
	ann.expect(`subscription='to'`, `from='bob@x.net' type='unsubscribe'`)
	// §3.2: nor does ann see bob.
	bob.send(`<presence to='ann@x.net' type='unsubscribed'/>`)
	bob.expect(`subscription='none'`)
	ann.expect(`from='bob@x.net/b' type='unavailable'`, `subscription='none'`, `from='bob@x.net' type='unsubscribed'`)
}

// RFC 6121 §3.1.3: a request waits until it is answered.
func TestRequestsWaitForTheContact(t *testing.T) {
	w := newKept(t)
	ann := w.online("ann@x.net/a")
	ann.send(`<presence to='bob@x.net' type='subscribe'><nick xmlns='http://jabber.org/protocol/nick'>Ann</nick></presence>`)
	ann.expect(`ask='subscribe'`)
	for range 2 {
		bob := w.login("bob@x.net/b")
		bob.send(rosterGet)
		bob.expect(`<query xmlns='jabber:iq:roster'></query>`)
		bob.send(`<presence/>`)
		bob.expect(`from='ann@x.net' type='subscribe'><nick`, `from='bob@x.net/b'`)
		bob.send(`<presence><show>away</show></presence>`)
		bob.expect(`away`)
		w.r.Unbind(bob, true)
		w.quiet()
	}
	bob := w.online("bob@x.net/b")
	bob.send(`<presence to='ann@x.net' type='unsubscribed'/>`)
	bob.expect()
	ann.expect(`<item jid='bob@x.net' subscription='none'/>`, `from='bob@x.net' type='unsubscribed'`)
	if c, kept := w.m.accounts["bob@x.net"].contacts["ann@x.net"]; kept {
		t.Errorf("%+v is kept for nothing", c)
	}
}

func TestRequestsAreBounded(t *testing.T) {
	w := newKept(t)
	w.h.limits.Requests = 3
	bob := w.online("bob@x.net/b")
	for i := range 5 {
		w.from(wire.Addr(fmt.Sprintf("s%d@y.net/r", i)), `<presence to='bob@x.net' type='subscribe'>`+strings.Repeat("<x xmlns='y'/>", 2000)+`</presence>`)
	}
	if n := len(bob.take()); n != 3 {
		t.Errorf("%d requests came through", n)
	}
	for _, c := range w.m.accounts["bob@x.net"].contacts {
		if len(c.Request) > maxRequest {
			t.Errorf("a request of %d bytes is kept", len(c.Request))
		}
	}
}

// RFC 6121 §3.1.3 rule 1, §8.5.1: who is not there is told apart by requests only, as for everybody.
func TestNoSuchAccount(t *testing.T) {
	w := newKept(t)
	ann := w.online("ann@x.net/a")
	ann.send(`<presence to='nobody@x.net' type='subscribe'/>`)
	ann.expect(`ask='subscribe'`, `<item jid='nobody@x.net' subscription='none'/>`, `from='nobody@x.net' type='unsubscribed'`)
	for _, typ := range []string{"subscribed", "unsubscribe", "unsubscribed"} {
		w.from("carl@y.net/c", `<presence to='nobody@x.net' type='`+typ+`'/>`)
	}
	w.expectAbroad()
	w.from("carl@y.net/c", `<presence to='nobody@x.net' type='subscribe'/>`)
	w.expectAbroad(`<presence to='carl@y.net' from='nobody@x.net' type='unsubscribed'/>`)
}

// The same with somebody of another server.
func TestSubscriptionsAbroad(t *testing.T) {
	w := newKept(t)
	ann := w.online("ann@x.net/a")
	ann.send(`<presence to='carl@y.net' type='subscribe'/>`)
	ann.expect(`ask='subscribe'`)
	w.expectAbroad(`<presence to='carl@y.net' from='ann@x.net' type='subscribe'/>`)
	w.from("carl@y.net", `<presence to='ann@x.net' type='subscribed'/>`)
	ann.expect(`subscription='to'`, `from='carl@y.net' type='subscribed'`)
	w.from("carl@y.net", `<presence to='ann@x.net' type='subscribe'/>`)
	ann.expect(`from='carl@y.net' type='subscribe'`)
	ann.send(`<presence to='carl@y.net' type='subscribed'/>`)
	ann.expect(`subscription='both'`)
	w.expectAbroad(`from='ann@x.net' type='subscribed'`, `<presence to='carl@y.net' from='ann@x.net/a'/>`)
	w.from("carl@y.net", `<presence to='ann@x.net' type='subscribe'/>`) // he has lost his roster
	ann.expect()
	w.expectAbroad(`from='ann@x.net' type='subscribed'`)
	ann.send(rosterSet(`<item jid='carl@y.net' subscription='remove'/>`))
	ann.expect(`subscription='remove'`, `type='result'`)
	w.expectAbroad(`from='ann@x.net/a' type='unavailable'`, `from='ann@x.net' type='unsubscribe'`, `from='ann@x.net' type='unsubscribed'`)
}

// Whatever two users do, each server follows the tables, and both rosters say the same of the pair.
func TestTwoRostersAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newKept(t)
		names := []string{"ann@x.net", "bob@x.net"}
		live := make(map[string]*client)
		come := func(name string) {
			if live[name] == nil {
				live[name] = w.online(wire.Addr(name + "/r"))
			}
		}
		model := map[string]store.Contact{names[0]: {Addr: names[1]}, names[1]: {Addr: names[0]}}
		next := func(table map[string][]change, typ, name string) bool {
			c := model[name]
			for i, state := range states {
				if stateOf(c) == state {
					line := table[typ][i]
					to := made(line.new)
					c.To, c.From, c.Asked, c.Request = to.To, to.From, to.Asked, to.Request
					model[name] = c
					return line.on
				}
			}
			rt.Fatalf("no state %s", stateOf(c))
			return false
		}
		var send func(typ, from, to string)
		receive := func(typ, at, from string) {
			was := model[at]
			if typ == "subscribe" && was.Approved && !was.From {
				was.From, was.Approved, was.Request = true, false, nil
				model[at] = was
				next(inbound, "subscribed", from)
				return
			}
			next(inbound, typ, at)
			if typ == "subscribe" && was.From {
				next(inbound, "subscribed", from)
			}
		}
		send = func(typ, from, to string) {
			was := model[from]
			if typ == "subscribed" && !was.From && was.Request == nil {
				was.Approved = true
				model[from] = was
			}
			if next(outbound, typ, from) {
				receive(typ, to, from)
			}
			if c := model[from]; typ == "unsubscribed" {
				c.Approved = false
				model[from] = c
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"presence": func(rt *rapid.T) {
				i := rapid.IntRange(0, 1).Draw(rt, "who")
				typ := rapid.SampledFrom([]string{"subscribe", "subscribed", "unsubscribe", "unsubscribed"}).Draw(rt, "type")
				come(names[i])
				live[names[i]].send(`<presence to='` + names[1-i] + `' type='` + typ + `'/>`)
				send(typ, names[i], names[1-i])
			},
			"remove": func(rt *rapid.T) {
				i := rapid.IntRange(0, 1).Draw(rt, "who")
				come(names[i])
				was := model[names[i]]
				live[names[i]].send(rosterSet(`<item jid='` + names[1-i] + `' subscription='remove'/>`))
				got := live[names[i]].take()
				if strings.Contains(got[len(got)-1], "item-not-found") {
					return
				}
				model[names[i]] = store.Contact{Addr: names[1-i]}
				if was.To || was.Asked {
					receive("unsubscribe", names[1-i], names[i])
				}
				if was.From || was.Request != nil {
					receive("unsubscribed", names[1-i], names[i])
				}
			},
			"leave": func(rt *rapid.T) {
				name := rapid.SampledFrom(names).Draw(rt, "who")
				if c := live[name]; c != nil {
					w.r.Unbind(c, true)
					delete(live, name)
				}
			},
			"": func(rt *rapid.T) {
				ann, bob := w.contact(names[0], names[1]), w.contact(names[1], names[0])
				for i, c := range []store.Contact{ann, bob} {
					if m := model[names[i]]; stateOf(c) != stateOf(m) || c.Approved != m.Approved {
						rt.Fatalf("%s: %s, approved %v; want %s, %v", names[i], stateOf(c), c.Approved, stateOf(m), m.Approved)
					}
				}
				if ann.To != bob.From || bob.To != ann.From || ann.Asked != (bob.Request != nil) || bob.Asked != (ann.Request != nil) {
					rt.Fatalf("the rosters disagree: ann %s, bob %s", stateOf(ann), stateOf(bob))
				}
				for name, c := range live {
					if c.held.Load() != 0 {
						rt.Fatalf("%s waits for an acknowledgement for ever", name)
					}
				}
			},
		})
	})
}

// RFC 6121 §3.1.3, §3.1.6: requests go to all that are there, what becomes of them to those who know the roster.
func TestWhoIsToldOfSubscriptions(t *testing.T) {
	w := newKept(t)
	ann, plain, away := w.online("ann@x.net/a"), w.login("ann@x.net/plain"), w.login("ann@x.net/away")
	away.send(rosterGet)
	plain.send(`<presence/>`)
	w.quiet()
	w.from("carl@y.net", `<presence to='ann@x.net' type='subscribe'/>`)
	ann.expect(`type='subscribe'`)
	plain.expect(`type='subscribe'`)
	away.expect()
	ann.send(`<presence to='carl@y.net' type='subscribe'/>`)
	w.quiet()
	w.from("carl@y.net", `<presence to='ann@x.net' type='subscribed'/>`)
	ann.expect(`subscription='to'`, `type='subscribed'`)
	plain.expect()
	away.expect(`subscription='to'`)
}
