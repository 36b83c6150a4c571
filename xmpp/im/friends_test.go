package im

import (
	"context"
	"strings"
	"testing"

	"parley/xmpp/wire"
)

func subscribe(to, token string) string {
	return `<presence to='` + to + `' type='subscribe'><preauth xmlns='urn:xmpp:pars:0' token='` + token + `'/></presence>`
}

// XEP-0379 §3: a request with a token of the account is granted and answered in kind, any other is a request like all.
func TestRequestWithAToken(t *testing.T) {
	w := newKept(t)
	good := map[string]bool{"ann@x.net good": true, "ann@x.net second": true}
	w.h.HandlePreauth(func(_ context.Context, account wire.Addr, token string) bool {
		key := string(account) + " " + token
		defer delete(good, key)
		return good[key]
	})
	ann, bob := w.online("ann@x.net/a"), w.online("bob@x.net/b")
	ann.send(rosterGet)
	ann.take()
	bob.send(rosterGet)
	bob.take()

	bob.send(subscribe("ann@x.net", "bad"))
	bob.take()
	ann.expect(`type='subscribe'`)
	if c := w.m.accounts["ann@x.net"].contacts["bob@x.net"]; c.From || c.Request == nil {
		t.Errorf("granted: %+v", c)
	}
	bob.send(`<presence to='ann@x.net' type='subscribed'/>`) // as clients do that have opened the link
	bob.send(subscribe("ann@x.net", "good"))
	got := strings.Join(ann.take(), "\n")
	if !strings.Contains(got, "<item jid='bob@x.net' subscription='both'/>") {
		t.Errorf("ann got %s", got)
	}
	got = strings.Join(bob.take(), "\n")
	if !strings.Contains(got, "<item jid='ann@x.net' subscription='both'/>") || !strings.Contains(got, "<presence to='bob@x.net' from='ann@x.net/a'/>") {
		t.Errorf("bob got %s", got)
	}
	for _, pair := range [][2]string{{"ann@x.net", "bob@x.net"}, {"bob@x.net", "ann@x.net"}} {
		if c := w.m.accounts[pair[0]].contacts[pair[1]]; !c.To || !c.From || c.Asked || c.Request != nil || !c.Listed {
			t.Errorf("%s keeps %+v", pair[0], c)
		}
	}

	// Of somebody who is not asked for is granted nothing, and who sees her already uses nothing up.
	bob.send(subscribe("ann@x.net", "second"))
	ann.take()
	bob.take()
	if !good["ann@x.net second"] {
		t.Error("a token is used up for nothing")
	}
}

// Somebody of another server asks with a token: she is answered, and asked.
func TestRequestWithATokenFromAbroad(t *testing.T) {
	w := newKept(t)
	w.h.HandlePreauth(func(_ context.Context, account wire.Addr, token string) bool {
		return account == "ann@x.net" && token == "good"
	})
	w.from("carl@y.net", subscribe("ann@x.net", "good"))
	w.expectAbroad(`<presence to='carl@y.net' from='ann@x.net' type='subscribed'/>`, `<presence to='carl@y.net' from='ann@x.net' type='subscribe'/>`)
	if c := w.m.accounts["ann@x.net"].contacts["carl@y.net"]; !c.From || !c.Asked || !c.Listed || c.Request != nil || c.Approved {
		t.Errorf("%+v", c)
	}
}

// XEP-0401 §5.4: the inviter hears of the new contact without asking.
func TestBefriend(t *testing.T) {
	w := newKept(t)
	ann := w.online("ann@x.net/a")
	ann.send(rosterGet)
	ann.take()
	if err := w.h.Befriend(context.Background(), "ann@x.net", "bob@x.net"); err != nil {
		t.Fatal(err)
	}
	ann.expect(`type='set' … <item jid='bob@x.net' subscription='both'/>`)
	bob := w.login("bob@x.net/b")
	bob.send(`<presence/>`)
	bob.take()
	ann.expect(`<presence to='ann@x.net' from='bob@x.net/b'`)
	bob.send(rosterGet)
	if got := strings.Join(bob.take(), "\n"); !strings.Contains(got, "<item jid='ann@x.net' subscription='both'/>") {
		t.Errorf("bob got %s", got)
	}
	// Those who are there see each other at once.
	eve := w.online("eve@x.net/e")
	if err := w.h.Befriend(context.Background(), "ann@x.net", "eve@x.net"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(eve.take(), "\n"); !strings.Contains(got, "<presence to='eve@x.net' from='ann@x.net/a'") {
		t.Errorf("eve got %s", got)
	}
	if got := strings.Join(ann.take(), "\n"); !strings.Contains(got, "<presence to='ann@x.net' from='eve@x.net/e'") {
		t.Errorf("ann got %s", got)
	}
	if err := w.h.Befriend(context.Background(), "ann@x.net", "nobody@x.net"); err == nil {
		t.Error("friends with nobody")
	}
}
