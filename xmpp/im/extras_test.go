package im

import (
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/store"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

const enableCarbons = `<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>`

// XEP-0280 §6, §7.
func TestCarbons(t *testing.T) {
	w := newKept(t)
	home, phone, deaf := w.online("ann@x.net/home"), w.online("ann@x.net/phone"), w.online("ann@x.net/deaf")
	bob := w.online("bob@x.net/b")
	w.quiet()
	for _, c := range []*client{home, phone} {
		c.send(enableCarbons)
		c.expect(`id='c' type='result'`)
	}
	bob.send(`<message to='ann@x.net/home' type='chat' id='1'><body>hi</body></message>`)
	home.expect(`<message to='ann@x.net/home' from='bob@x.net/b' type='chat' id='1'><body>hi</body></message>`)
	phone.expect(`<message to='ann@x.net/phone' from='ann@x.net' type='chat'><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' to='ann@x.net/home' from='bob@x.net/b' type='chat' id='1'><body>hi</body></message></forwarded></received></message>`)
	deaf.expect()
	home.send(`<message to='bob@x.net/b' type='chat' id='2'><body>ho</body></message>`)
	bob.expect(`<body>ho`)
	phone.expect(`from='ann@x.net' … <sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' to='bob@x.net/b' from='ann@x.net/home' type='chat' id='2'>`)
	home.expect()
	home.send(`<message to='carl@y.net' type='chat' id='3'><body>ho</body></message>`)
	w.expectAbroad(`id='3'`)
	phone.expect(`<sent … to='carl@y.net' from='ann@x.net/home'`)
	home.send(`<message to='r@muc.x.net/nick' type='chat' id='4'><body>psst</body></message>`)
	phone.expect(`<sent … to='r@muc.x.net/nick'`)
	// To the bare address: who gets the message gets no copy.
	bob.send(`<message to='ann@x.net' type='chat' id='5'><body>all</body></message>`)
	for _, c := range []*client{home, phone, deaf} {
		c.expect(`<message to='ann@x.net' from='bob@x.net/b' type='chat' id='5'>`)
	}
	home.send(`<message to='ann@x.net/phone' type='chat' id='6'><body>me</body></message>`)
	phone.expect(`<message to='ann@x.net/phone' from='ann@x.net/home'`)
	home.expect()
	phone.send(`<iq type='set' id='d'><disable xmlns='urn:xmpp:carbons:2'/></iq>`)
	phone.expect(`type='result'`)
	bob.send(`<message to='ann@x.net/home' type='chat' id='7'><body>hi</body></message>`)
	home.expect(`id='7'`)
	phone.expect()
	guest := w.login("guest1@x.net/g")
	guest.send(enableCarbons)
	guest.expect(`forbidden`)
}

// XEP-0280 §6.1, §9.
func TestWhatIsCopied(t *testing.T) {
	w := newKept(t)
	home, phone, bob := w.online("ann@x.net/home"), w.online("ann@x.net/phone"), w.online("bob@x.net/b")
	phone.send(enableCarbons)
	w.quiet()
	for what, c := range map[string]struct {
		attrs, payload string
		copied         bool
	}{
		"chat":                  {`type='chat'`, ``, true},
		"normal with a body":    {``, `<body>x</body>`, true},
		"normal without":        {``, `<x xmlns='y'/>`, false},
		"receipt":               {``, `<received xmlns='urn:xmpp:receipts' id='1'/>`, true},
		"marker":                {``, `<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>`, true},
		"invitation":            {``, `<x xmlns='jabber:x:conference' jid='r@muc.x.net'/>`, true},
		"mediated invitation":   {``, `<x xmlns='http://jabber.org/protocol/muc#user'><invite from='c@y.net'/></x>`, true},
		"call":                  {``, `<propose xmlns='urn:xmpp:jingle-message:0' id='1'/><store xmlns='urn:xmpp:hints'/>`, true},
		"from a room":           {`type='chat'`, `<body>x</body><x xmlns='http://jabber.org/protocol/muc#user'/>`, false},
		"headline":              {`type='headline'`, `<body>x</body>`, false},
		"groupchat":             {`type='groupchat'`, `<body>x</body>`, false},
		"error":                 {`type='error'`, `<body>x</body><error type='cancel'/>`, false},
		"private":               {`type='chat'`, `<body>x</body><private xmlns='urn:xmpp:carbons:2'/>`, false},
		"hint against copying":  {`type='chat'`, `<body>x</body><no-copy xmlns='urn:xmpp:hints'/>`, false},
		"body of another space": {``, `<body xmlns='http://www.w3.org/1999/xhtml'/>`, false},
	} {
		t.Run(what, func(t *testing.T) {
			bob.send(`<message to='ann@x.net/home' ` + c.attrs + `>` + c.payload + `</message>`)
			got := home.take()
			if len(got) != 1 || strings.Contains(got[0], "urn:xmpp:carbons:2") {
				t.Errorf("home got %q", got)
			}
			if copies := phone.take(); (len(copies) == 1) != c.copied {
				t.Errorf("phone got %q", copies)
			}
		})
	}
}

// HM1: what looks like a copy is one only if it comes from the own account; what others send is stamped with who they are.
func TestForgedCarbonsNameTheirSender_HM1(t *testing.T) {
	w := newKept(t)
	ann, eve := w.online("ann@x.net/a"), w.online("eve@x.net/e")
	eve.send(`<message from='ann@x.net' to='ann@x.net/a'><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='bob@x.net/b'/></forwarded></received></message>`)
	ann.expect(`from='eve@x.net/e'`)
}

// XEP-0191.
func TestBlocking(t *testing.T) {
	w := newKept(t)
	w.befriend("ann@x.net", "bob@x.net")
	ann, phone, bob := w.online("ann@x.net/a"), w.online("ann@x.net/phone"), w.online("bob@x.net/b")
	ann.send(`<iq type='get' id='l'><blocklist xmlns='urn:xmpp:blocking'/></iq>`)
	ann.expect(`<blocklist xmlns='urn:xmpp:blocking'></blocklist>`)
	w.quiet()
	ann.send(`<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='bob@x.net'/><item jid='z.net'/></block></iq>`)
	ann.expect(`id='b' type='result'`, `from='ann@x.net' … type='set'><block xmlns='urn:xmpp:blocking'><item jid='bob@x.net'/><item jid='z.net'/></block>`)
	phone.expect() // it did not ask for the list
	bob.expect(`from='ann@x.net/a' type='unavailable'`, `from='ann@x.net/phone' type='unavailable'`)

	// §3.3: nothing comes through, and the sender learns nothing.
	bob.send(`<message to='ann@x.net/a' type='chat'><body>x</body></message>`)
	bob.expect(`type='error' … service-unavailable`)
	bob.send(`<message to='ann@x.net' type='chat'><body>x</body></message>`)
	bob.expect(`service-unavailable`)
	bob.send(`<iq to='ann@x.net/a' type='get' id='1'><q xmlns='u'/></iq>`)
	bob.expect(`service-unavailable`)
	bob.send(`<iq to='ann@x.net/a' type='result' id='1'/>`)
	bob.send(`<presence to='ann@x.net/a'/>`)
	bob.send(`<presence><show>away</show></presence>`)
	bob.expect(`away`)
	bob.send(`<presence to='ann@x.net' type='probe'/>`)
	w.from("carl@z.net/r", `<message to='ann@x.net/a'><body>x</body></message>`).expect(`service-unavailable`)
	ann.expect()
	phone.expect()
	bob.take()
	// Nor does the account's owner reach whom it blocks.
	ann.send(`<message to='bob@x.net/b'><body>x</body></message>`)
	ann.expect(`not-acceptable … <blocked xmlns='urn:xmpp:blocking:errors'/>`)
	ann.send(`<presence><show>xa</show></presence>`)
	bob.expect()
	ann.take()

	ann.send(`<iq type='set' id='u'><unblock xmlns='urn:xmpp:blocking'><item jid='bob@x.net'/></unblock></iq>`)
	ann.expect(`id='u' type='result'`, `<unblock xmlns='urn:xmpp:blocking'><item jid='bob@x.net'/></unblock>`, `from='bob@x.net/b'><show>away`)
	bob.expect(`from='ann@x.net/a'><show>xa`, `from='ann@x.net/phone'`)
	ann.send(`<iq type='set' id='u'><unblock xmlns='urn:xmpp:blocking'/></iq>`)
	ann.expect(`id='u' type='result'`, `<unblock xmlns='urn:xmpp:blocking'></unblock>`)
	bob.send(`<message to='ann@x.net/a' type='chat'><body>x</body></message>`)
	ann.expect(`<body>x`)
}

func TestBlockingIsBoundedAndChecked(t *testing.T) {
	w := newKept(t)
	w.h.limits.Blocked = 2
	ann := w.online("ann@x.net/a")
	for raw, want := range map[string]string{
		`<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'/></iq>`:                                                                       "bad-request",
		`<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'><item/></block></iq>`:                                                         "bad-request",
		`<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'><item jid='a@b@c'/></block></iq>`:                                             "jid-malformed",
		`<iq type='get' id='1'><block xmlns='urn:xmpp:blocking'><item jid='a@y.net'/></block></iq>`:                                           "bad-request",
		`<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'><item jid='a@y.net'/><item jid='b@y.net'/><item jid='c@y.net'/></block></iq>`: "resource-constraint",
		`<iq to='bob@x.net' type='set' id='1'><block xmlns='urn:xmpp:blocking'><item jid='a@y.net'/></block></iq>`:                            "service-unavailable",
		`<iq to='bob@x.net' type='get' id='1'><blocklist xmlns='urn:xmpp:blocking'/></iq>`:                                                    "service-unavailable",
	} {
		ann.send(raw)
		ann.expect(want)
	}
	if n := len(w.m.accounts["ann@x.net"].blocked); n != 0 {
		t.Errorf("%d are blocked", n)
	}
}

// XEP-0049.
func TestPrivateData(t *testing.T) {
	w := newKept(t)
	w.h.limits.Private, w.h.limits.PrivateSize = 2, 1000
	w.h.HandlePrivate("storage:bookmarks", func(b *wire.Batch, s route.Sender, p *wire.Packet) { Reply(b, s, p, []byte("<theirs/>")) })
	ann := w.login("ann@x.net/a")
	ask := func(typ, payload, want string) {
		t.Helper()
		ann.send(`<iq type='` + typ + `' id='1'><query xmlns='jabber:iq:private'>` + payload + `</query></iq>`)
		ann.expect(want)
	}
	ask("get", `<x xmlns='u:1'/>`, `<query xmlns='jabber:iq:private'><x xmlns='u:1'/></query>`)
	ask("set", `<x xmlns='u:1'><y a="'">z</y></x>`, `<iq to='ann@x.net/a' id='1' type='result'/>`)
	ask("get", `<x xmlns='u:1'/>`, `<query xmlns='jabber:iq:private'><x xmlns='u:1'><y a="'">z</y></x></query>`)
	ask("set", `<x xmlns='u:2'/>`, `type='result'`)
	ask("set", `<x xmlns='u:3'/>`, `resource-constraint`)
	ask("set", `<x xmlns='u:1'>`+strings.Repeat("x", 1000)+`</x>`, `resource-constraint`)
	ask("get", `<x/>`, `not-acceptable`)
	ask("set", `<x xmlns='jabber:client'/>`, `not-acceptable`)
	ask("get", ``, `bad-request`)
	ask("get", `<x xmlns='u:1'/><x xmlns='u:2'/>`, `type='result'`)
	ask("get", `<storage xmlns='storage:bookmarks'/>`, `<theirs/>`)
	ann.send(`<iq type='set' id='1' xmlns:q='u:q'><query xmlns='jabber:iq:private'><x xmlns='u:1'><q:y/></x></query></iq>`)
	ann.expect(`not-acceptable`) // the prefix would be lost
	ann.send(`<iq to='bob@x.net' type='get' id='1'><query xmlns='jabber:iq:private'><x xmlns='u:1'/></query></iq>`)
	ann.expect(`service-unavailable`)
}

// XEP-0012, XEP-0092, XEP-0202.
func TestActivityTimeAndVersion(t *testing.T) {
	w := newKept(t)
	w.h.Version("1.2")
	w.befriend("ann@x.net", "bob@x.net")
	w.m.accounts["bob@x.net"].last, w.m.accounts["bob@x.net"].status = time.Now().Add(-100*time.Second), "tea & cake"
	ann, eve := w.login("ann@x.net/a"), w.login("eve@x.net/e")
	last := func(c *client, to, want string) {
		t.Helper()
		c.send(`<iq to='` + to + `' type='get' id='1'><query xmlns='jabber:iq:last'/></iq>`)
		c.expect(want)
	}
	last(ann, "x.net", `<query xmlns='jabber:iq:last' seconds='0'/>`)
	last(ann, "bob@x.net", `seconds='100'>tea &amp; cake</query>`)
	last(eve, "bob@x.net", `type='error' … forbidden`)
	bob := w.online("bob@x.net/b")
	last(ann, "bob@x.net", `seconds='0'/>`)
	bob.send(`<presence type='unavailable'><status>zzz</status></presence>`)
	bob.take()
	last(ann, "bob@x.net", `seconds='0'>zzz</query>`)
	ann.send(`<iq to='x.net' type='get' id='1'><query xmlns='jabber:iq:version'/></iq>`)
	ann.expect(`<name>Parley</name><version>1.2</version>`)
	ann.send(`<iq to='x.net' type='get' id='1'><time xmlns='urn:xmpp:time'/></iq>`)
	ann.expect(`<tzo> … </tzo><utc>20 … Z</utc>`)
}

// XEP-0030 §8: who may not see an account's presence does not learn that there is such an account.
func TestDiscoOfAccounts(t *testing.T) {
	w := newKept(t)
	w.h.AnnounceAccount([]string{"urn:example:account"}, Identity{"pubsub", "pep", ""})
	w.befriend("ann@x.net", "bob@x.net")
	ann, eve := w.login("ann@x.net/a"), w.login("eve@x.net/e")
	ask := func(c *client, to, ns string) {
		c.send(`<iq to='` + to + `' type='get' id='1'><query xmlns='` + ns + `'/></iq>`)
	}
	ask(ann, "bob@x.net", NSInfo)
	ann.expect(`from='bob@x.net' … <identity category='account' type='registered'/><identity category='pubsub' type='pep'/> … <feature var='urn:example:account'/>`)
	ask(ann, "bob@x.net", NSItems)
	ann.expect(`<query xmlns='` + NSItems + `'/>`)
	var answers []string
	for _, to := range []string{"bob@x.net", "nobody@x.net"} {
		ask(eve, to, NSInfo)
		answers = append(answers, strings.ReplaceAll(eve.take()[0], to, "somebody"))
	}
	if answers[0] != answers[1] {
		t.Errorf("a stranger can tell %s from %s", answers[0], answers[1])
	}
}

// shelf is an archive that notes what it is given.
type shelf struct {
	mu   sync.Mutex
	kept []Kept
	wait []func(error)
	not  wire.Addr // who wants none
	slow bool      // it would wait
	now  bool      // it commits at once
	err  error     // with what
}

func (a *shelf) Keep(m Kept, done func(error)) (sender, recipient string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept = append(a.kept, m)
	if a.now {
		go done(a.err)
	} else {
		a.wait = append(a.wait, done)
	}
	id := func(owner wire.Addr) string {
		if owner == "" || owner == a.not {
			return ""
		}
		return "id-" + owner.Local()
	}
	return id(m.Sender), id(m.Recipient)
}

func (a *shelf) Prompt() bool { return !a.slow }

func (a *shelf) commit() {
	a.mu.Lock()
	list := a.wait
	a.wait = nil
	a.mu.Unlock()
	for _, done := range list {
		done(nil)
	}
}

// The hook for archives, XEP-0359.
func TestArchive(t *testing.T) {
	w := newKept(t)
	a := &shelf{}
	w.h.SetArchive(a)
	ann, phone, bob := w.online("ann@x.net/a"), w.online("ann@x.net/phone"), w.online("bob@x.net/b")
	phone.send(enableCarbons)
	w.quiet()
	forged := `<stanza-id xmlns='urn:xmpp:sid:0' by='bob@x.net' id='f'/><stanza-id xmlns='urn:xmpp:sid:0' by='ann@x.net' id='f'/><stanza-id xmlns='urn:xmpp:sid:0' by='r@y.net' id='k'/>`
	ann.send(`<message to='bob@x.net/b' type='chat' id='1'>` + forged + `<body>x</body></message>`)
	w.h.settle()
	if ann.held.Load() != 1 {
		t.Error("it is acknowledged before it is archived")
	}
	a.commit()
	bob.expect(`<message to='bob@x.net/b' from='ann@x.net/a' type='chat' id='1'><stanza-id xmlns='urn:xmpp:sid:0' by='r@y.net' id='k'/><body>x</body><stanza-id xmlns='urn:xmpp:sid:0' by='bob@x.net' id='id-bob'/></message>`)
	phone.expect(`<sent … <body>x</body><stanza-id xmlns='urn:xmpp:sid:0' by='ann@x.net' id='id-ann'/></message></forwarded>`)
	m := a.kept[0]
	if m.Sender != "ann@x.net" || m.Recipient != "bob@x.net" || m.From != "ann@x.net/a" || m.To != "bob@x.net/b" || strings.Contains(string(m.Stanza.Tail), "id='f'") {
		t.Errorf("archived %+v %s", m, m.Stanza.Tail)
	}
	// To another server, from another server, and for somebody who is away.
	ann.send(`<message to='carl@y.net' type='chat'><body>x</body></message>`)
	w.expectAbroad(`<body>x</body></message>`)
	a.commit()
	a.now = true
	w.from("carl@y.net/c", `<message to='eve@x.net' type='chat'><body>x</body></message>`)
	a.now = false
	if a.kept[1].Recipient != "" || a.kept[1].Sender != "ann@x.net" || a.kept[2].Sender != "" || a.kept[2].Recipient != "eve@x.net" {
		t.Errorf("archived %+v", a.kept[1:])
	}
	if got := string(w.m.accounts["eve@x.net"].offline[0].Tail); !strings.Contains(got, "id='id-eve'") {
		t.Errorf("stored %s", got)
	}
	a.not = "bob@x.net"
	ann.send(`<message to='bob@x.net/b' type='chat'/>`)
	w.h.settle()
	a.commit()
	bob.expect(`<message to='bob@x.net/b' from='ann@x.net/a' type='chat'/>`)
	n := len(a.kept)
	ann.send(`<message to='bob@x.net/b' type='error'/>`)
	ann.send(`<message to='r@muc.x.net' type='groupchat'><body>x</body></message>`)
	w.h.settle()
	if len(a.kept) != n {
		t.Error("errors or what is said in rooms is archived")
	}
	ann.take()
	if ann.held.Load() != 0 {
		t.Error("something is never acknowledged")
	}
}

// What the other parts of the server ask of accounts.
func TestStandingAndSubscribers(t *testing.T) {
	w := newKept(t)
	ctx := t.Context()
	r := w.m.accounts["ann@x.net"]
	r.version = 1
	for _, c := range []store.Contact{
		{Addr: "bob@x.net", Listed: true, To: true, From: true, Groups: []string{"g"}}, {Addr: "carl@y.net", Listed: true, From: true},
		{Addr: "dan@y.net", Listed: true, To: true}, {Addr: "fay@y.net", Request: []byte("/>")},
	} {
		r.contacts[c.Addr] = c
	}
	for who, want := range map[wire.Addr]string{"bob@x.net/r": "both", "carl@y.net": "from", "dan@y.net": "to", "fay@y.net": "none", "ann@x.net/z": "both", "eve@x.net": "none"} {
		got, err := w.h.Standing(ctx, "ann@x.net", who)
		if err != nil || got.Subscription != want || got.Own != (who.Bare() == "ann@x.net") || (who == "bob@x.net/r") != (len(got.Groups) == 1) {
			t.Errorf("%s: %+v %v", who, got, err)
		}
	}
	list, err := w.h.Subscribers(ctx, "ann@x.net")
	if err != nil || len(list) != 2 || list[0] != "bob@x.net" || list[1] != "carl@y.net" {
		t.Errorf("%q %v", list, err)
	}
	for a, want := range map[wire.Addr]bool{"ann@x.net": true, "ann@x.net/r": true, "nobody@x.net": false, "x.net": false, "ann@y.net": false} {
		if got, err := w.h.Exists(ctx, a); got != want || err != nil {
			t.Errorf("%s: %v %v", a, got, err)
		}
	}
	ann := w.login("ann@x.net/a")
	ann.send(`<presence><priority>7</priority></presence>`)
	if got := w.h.Resources("ann@x.net"); len(got) != 1 || got[0].Addr != "ann@x.net/a" || got[0].Priority != 7 || !strings.Contains(string(got[0].Presence), "7") {
		t.Errorf("%+v", got)
	}
	w.quiet()
	// Send reaches sessions, accounts, rooms and other servers.
	var b wire.Batch
	st := wire.Stanza{Kind: wire.Message, Tail: []byte(` from='bob@x.net' type='headline'><e xmlns='u'/></message>`)}
	for _, to := range []wire.Addr{"ann@x.net/a", "ann@x.net", "carl@y.net/r", "r@muc.x.net"} {
		w.h.Send(&b, "bob@x.net", to, st)
	}
	ann.expect(`<message to='ann@x.net/a' from='bob@x.net' type='headline'>`, `<message to='ann@x.net' from='bob@x.net'`)
	w.expectAbroad(`<message to='carl@y.net/r' from='bob@x.net'`)
	if got := w.world.m.got; len(got) != 1 || got[0] != "bob@x.net > r@muc.x.net headline" {
		t.Errorf("the room got %q", got)
	}
}

func TestWorkOfAnAccountIsInOrderAndSurvivesAPanic(t *testing.T) {
	w := newKept(t)
	var got []int
	for i := range 100 {
		w.h.Do("ann@x.net", func(*wire.Batch) {
			if i == 50 {
				panic("a fault")
			}
			got = append(got, i)
		})
	}
	w.h.settle()
	if len(got) != 99 || got[98] != 99 {
		t.Errorf("%d pieces of work were done", len(got))
	}
	if err := w.h.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if w.h.Do("ann@x.net", func(*wire.Batch) {}) {
		t.Error("a closed host takes work")
	}
}
