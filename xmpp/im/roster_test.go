package im

import (
	"fmt"
	"strings"
	"testing"

	"parley/internal/store"
	"parley/xmpp/wire"
)

const rosterGet = `<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>`

func rosterSet(item string) string {
	return `<iq type='set' id='s'><query xmlns='jabber:iq:roster'>` + item + `</query></iq>`
}

// RFC 6121 §2.1.3, §2.3, §2.4, §2.5, §2.1.6.
func TestRosterIsKeptAndPushedToInterestedSessions(t *testing.T) {
	w := newKept(t)
	home, phone, deaf := w.login("ann@x.net/home"), w.login("ann@x.net/phone"), w.login("ann@x.net/deaf")
	home.send(rosterGet)
	home.expect(`type='result'><query xmlns='jabber:iq:roster'></query>`)
	phone.send(rosterGet)
	phone.take()
	home.send(rosterSet(`<item jid='Carl@Y.net' name='C&lt;' subscription='both' ask='subscribe'><group>Friends</group><group>&amp;</group></item>`))
	want := `<item jid='carl@y.net' name='C&lt;' subscription='none'><group>Friends</group><group>&amp;</group></item>`
	home.expect(`from='ann@x.net' … type='set' … `+want, `id='s' type='result'`)
	phone.expect(`to='ann@x.net/phone' from='ann@x.net' … type='set' … ` + want)
	deaf.expect()
	home.send(rosterSet(`<item jid='carl@y.net'/>`))
	home.expect(`<item jid='carl@y.net' subscription='none'/>`, `type='result'`)
	phone.expect(`<item jid='carl@y.net' subscription='none'/>`)
	deaf.send(rosterGet)
	deaf.expect(`<query xmlns='jabber:iq:roster'><item jid='carl@y.net' subscription='none'/></query>`)
	home.send(rosterSet(`<item jid='carl@y.net' subscription='remove'/>`))
	home.expect(`<item jid='carl@y.net' subscription='remove'/>`, `type='result'`)
	phone.expect(`subscription='remove'`)
	deaf.expect(`subscription='remove'`)
	home.send(rosterGet)
	home.expect(`<query xmlns='jabber:iq:roster'></query>`)
	w.expectAbroad()
	// A client's answer to a push is nobody's business.
	phone.send(`<iq type='result' id='push-1'/>`)
	phone.expect()
}

// RFC 6121 §2.6.
func TestRosterVersions(t *testing.T) {
	w := newKept(t)
	ann := w.login("ann@x.net/a")
	ver := func(raw string) string {
		_, rest, _ := strings.Cut(raw, "ver='")
		v, _, _ := strings.Cut(rest, "'")
		return v
	}
	ann.send(`<iq type='get' id='1'><query xmlns='jabber:iq:roster' ver=''/></iq>`)
	ann.expect(`<query xmlns='jabber:iq:roster' ver='`)
	ann.send(rosterSet(`<item jid='carl@y.net'/>`))
	push := ann.take()[0]
	v := ver(push)
	ann.send(`<iq type='get' id='2'><query xmlns='jabber:iq:roster' ver='` + v + `'/></iq>`)
	ann.expect(`<iq to='ann@x.net/a' id='2' type='result'/>`)
	ann.send(`<iq type='get' id='3'><query xmlns='jabber:iq:roster' ver='old'/></iq>`)
	ann.expect(`ver='` + v + `'><item jid='carl@y.net'`)
	ann.send(rosterSet(`<item jid='carl@y.net' name='C'/>`))
	if next := ver(ann.take()[0]); next == v || next == "" {
		t.Errorf("version %q follows %q", next, v)
	}
	ann.send(rosterSet(`<item jid='carl@y.net' name='C'/>`)) // nothing new
	ann.expect(`id='s' type='result'`)
}

func TestRosterSetsThatAreRefused(t *testing.T) {
	w := newKept(t)
	ann := w.login("ann@x.net/a")
	groups := ""
	for i := range DefaultLimits().Groups + 1 {
		groups += fmt.Sprintf("<group>%d</group>", i)
	}
	for what, c := range map[string][2]string{
		"no item":         {``, "bad-request"},
		"two items":       {`<item jid='a@y.net'/><item jid='b@y.net'/>`, "bad-request"},
		"no address":      {`<item/>`, "bad-request"},
		"bad address":     {`<item jid='a@b@c'/>`, "jid-malformed"},
		"oneself":         {`<item jid='ann@x.net'/>`, "not-allowed"},
		"a group twice":   {`<item jid='a@y.net'><group>g</group><group>g</group></item>`, "bad-request"},
		"an empty group":  {`<item jid='a@y.net'><group/></item>`, "not-acceptable"},
		"many groups":     {`<item jid='a@y.net'>` + groups + `</item>`, "not-acceptable"},
		"a long name":     {`<item jid='a@y.net' name='` + strings.Repeat("x", 1024) + `'/>`, "not-acceptable"},
		"removing nobody": {`<item jid='a@y.net' subscription='remove'/>`, "item-not-found"},
	} {
		t.Run(what, func(t *testing.T) {
			ann.send(rosterSet(c[0]))
			ann.expect(`type='error' … <` + c[1])
		})
	}
	if n := len(w.m.accounts["ann@x.net"].contacts); n != 0 {
		t.Errorf("%d contacts were stored", n)
	}
}

func TestRosterOfOthersIsNobodysBusiness(t *testing.T) {
	w := newKept(t)
	ann, eve := w.online("ann@x.net/a"), w.online("eve@x.net/e")
	for _, typ := range []string{"get", "set"} {
		eve.send(`<iq to='ann@x.net' type='` + typ + `' id='1'><query xmlns='jabber:iq:roster'><item jid='eve@x.net' subscription='both'/></query></iq>`)
		eve.expect("service-unavailable")
	}
	// HM1: a push that does not come from the own account is a request like any other.
	eve.send(`<iq to='ann@x.net/a' type='set' id='push-1'><query xmlns='jabber:iq:roster'><item jid='eve@x.net' subscription='both'/></query></iq>`)
	ann.expect(`from='eve@x.net/e' type='set'`)
}

func TestRosterIsBounded(t *testing.T) {
	w := newKept(t)
	w.h.limits.Contacts = 3
	ann := w.online("ann@x.net/a")
	for i := range 5 {
		ann.send(rosterSet(fmt.Sprintf(`<item jid='c%d@y.net'/>`, i)))
		if got := ann.take(); strings.Contains(got[len(got)-1], "resource-constraint") != (i >= 3) {
			t.Errorf("contact %d: %s", i, got)
		}
	}
	ann.send(rosterSet(`<item jid='c1@y.net' name='still changes'/>`))
	ann.expect(`still changes`, `type='result'`)
}

// The store comes before the answer, and what is not stored is not believed.
func TestRosterWithoutStore(t *testing.T) {
	w := newKept(t)
	ann := w.online("ann@x.net/a")
	w.m.down = true
	ann.send(rosterSet(`<item jid='carl@y.net'/>`))
	ann.expect(`type='wait'><internal-server-error`)
	ann.send(rosterGet)
	ann.expect(`type='wait'><internal-server-error`)
	w.m.down = false
	ann.send(rosterGet)
	ann.expect(`<query xmlns='jabber:iq:roster'></query>`)
	guest := w.login("guest1@x.net/g")
	guest.send(rosterGet)
	guest.expect(`<query xmlns='jabber:iq:roster'></query>`)
	guest.send(rosterSet(`<item jid='carl@y.net'/>`))
	guest.expect(`feature-not-implemented`)
}

// Another node changed the roster: nothing is overwritten.
func TestRosterThatSomebodyElseChanged(t *testing.T) {
	w := newKept(t)
	ann := w.online("ann@x.net/a")
	w.m.accounts["ann@x.net"].version += 7
	ann.send(rosterSet(`<item jid='carl@y.net'/>`))
	ann.expect(`type='wait'`)
	ann.send(rosterSet(`<item jid='carl@y.net'/>`))
	ann.expect(`type='set'`, `type='result'`)
}

func FuzzRosterSet(f *testing.F) {
	for _, seed := range []string{
		``, `<item/>`, `<item jid='a@y.net'/>`, `<item jid='a@y.net' name='A &amp; &#x42;' subscription='remove'/>`,
		`<item jid='A@Y.net'><group>g</group><group><![CDATA[<h>]]></group><x:y xmlns:x='z'/></item>`, `<item jid='a@y.net'/><item jid='b@y.net'/>`,
		`<item xmlns='u' jid='a@y.net'/><i:item xmlns:i='jabber:iq:roster' jid='y.net/r'/>`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		s := wire.Scanner{Limits: wire.AfterAuth}
		_, p, err := s.Next([]byte(rosterSet(in)))
		if err != nil {
			return
		}
		query := p.Elem().First()
		if !query.Is("query", NSRoster) {
			return
		}
		d, bad := readRosterSet(query, 8)
		if bad != nil {
			return
		}
		if again, err := wire.ParseAddr(string(d.addr)); err != nil || again != d.addr {
			t.Fatalf("address %q", d.addr)
		}
		if len(d.groups) > 8 || len(d.name) > longestName {
			t.Fatalf("over the bounds: %+v", d)
		}
		// What is kept comes out as XML that reads the same.
		raw := append(item(&store.Contact{Addr: string(d.addr), Name: d.name, Groups: d.groups}), "</query>"...)
		raw = append([]byte("<query xmlns='jabber:iq:roster'>"), raw...)
		s = wire.Scanner{Limits: wire.AfterAuth}
		_, p, err = s.Next(raw)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		back, bad := readRosterSet(p.Elem(), 8)
		if bad != nil || back.addr != d.addr || back.name != d.name || len(back.groups) != len(d.groups) {
			t.Fatalf("%+v came back as %+v: %v", d, back, bad)
		}
		for i, g := range d.groups {
			if back.groups[i] != g {
				t.Fatalf("group %q came back as %q", g, back.groups[i])
			}
		}
	})
}
