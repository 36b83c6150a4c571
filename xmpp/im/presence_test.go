package im

import (
	"strings"
	"testing"
	"time"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// RFC 6121 §4.2, §4.3, §4.4, §4.5 between accounts of one host.
func TestPresenceReachesThoseWhoMaySeeIt(t *testing.T) {
	w := newKept(t)
	w.befriend("ann@x.net", "bob@x.net")
	bob, eve := w.online("bob@x.net/b"), w.online("eve@x.net/e")
	bob.send(`<presence><show>dnd</show></presence>`)
	w.quiet()
	ann := w.login("ann@x.net/a")
	ann.send(`<presence><show>chat</show></presence>`)
	ann.expect(`<presence to='ann@x.net/a' from='ann@x.net/a'><show>chat`, `from='bob@x.net/b'><show>dnd`)
	bob.expect(`<presence to='bob@x.net' from='ann@x.net/a'><show>chat`)
	ann.send(`<presence><show>away</show></presence>`)
	ann.expect(`away`)
	bob.expect(`away`)
	phone := w.login("ann@x.net/phone")
	phone.send(`<presence/>`)
	phone.expect(`from='ann@x.net/a'`, `from='ann@x.net/phone'`, `from='bob@x.net/b'`)
	ann.expect(`from='ann@x.net/phone'`)
	bob.expect(`from='ann@x.net/phone'`)
	ann.send(`<presence type='unavailable'><status>tea</status></presence>`)
	ann.expect(`type='unavailable'><status>tea`)
	phone.expect(`from='ann@x.net/a' type='unavailable'><status>tea`)
	bob.expect(`from='ann@x.net/a' type='unavailable'><status>tea`)
	w.r.Unbind(ann, true)
	bob.expect() // who is gone does not go again
	w.r.Unbind(phone, false)
	bob.expect(`from='ann@x.net/phone' type='unavailable'`)
	eve.expect()
	w.h.settle()
	if w.h.users["ann@x.net"] != nil {
		t.Error("an account stays in memory for nothing")
	}
}

// The same with other servers.
func TestPresenceAbroad(t *testing.T) {
	w := newKept(t)
	w.befriend("ann@x.net", "carl@y.net")
	w.m.accounts["ann@x.net"].contacts["dan@y.net"] = store.Contact{Addr: "dan@y.net", Listed: true, From: true}
	w.m.accounts["ann@x.net"].contacts["fay@y.net"] = store.Contact{Addr: "fay@y.net", Listed: true, To: true}
	ann := w.login("ann@x.net/a")
	ann.send(`<presence/>`)
	ann.expect(`from='ann@x.net/a'`)
	w.expectAbroad(`<presence to='carl@y.net' from='ann@x.net/a'/>`, `<presence to='dan@y.net' from='ann@x.net/a'/>`,
		`<presence to='carl@y.net' from='ann@x.net/a' type='probe'/>`, `<presence to='fay@y.net' from='ann@x.net/a' type='probe'/>`)
	w.from("carl@y.net/c", `<presence to='ann@x.net'><show>xa</show></presence>`)
	ann.expect(`<presence to='ann@x.net' from='carl@y.net/c'><show>xa`)
	carl := w.from("carl@y.net", `<presence to='ann@x.net' type='probe'/>`)
	carl.expect(`from='ann@x.net/a'`)
	stranger := w.from("eve@y.net", `<presence to='ann@x.net' type='probe'/>`)
	stranger.expect(`<presence to='eve@y.net' from='ann@x.net' type='unsubscribed'/>`)
	stranger = w.from("eve@y.net", `<presence to='nobody@x.net' type='probe'/>`)
	stranger.expect(`<presence to='eve@y.net' from='nobody@x.net' type='unsubscribed'/>`)
	w.r.Unbind(ann, false)
	w.expectAbroad(`<presence to='carl@y.net' from='ann@x.net/a' type='unavailable'/>`, `to='dan@y.net'`)
	carl = w.from("carl@y.net", `<presence to='ann@x.net' type='probe'/>`)
	carl.expect(`from='ann@x.net' type='unavailable'`)
}

// What one sends after its presence does not arrive before it, though the roster has to be read first: it could not be read when
// the session was bound.
func TestPresenceIsNotOvertaken(t *testing.T) {
	w := newKept(t)
	w.befriend("ann@x.net", "bob@x.net")
	bob := w.online("bob@x.net/b")
	w.m.down = true
	ann := w.login("ann@x.net/a")
	w.m.down, w.m.slow = false, make(chan struct{})
	ann.send(`<presence/>`)
	ann.send(`<message to='bob@x.net/b'><body>1</body></message>`)
	ann.send(`<iq to='bob@x.net/b' type='get' id='2'><q xmlns='u'/></iq>`)
	ann.send(`<presence to='bob@x.net'><status>3</status></presence>`)
	ann.send(`<message to='r@muc.x.net' type='groupchat'/>`)
	if len(w.world.m.got) != 1 {
		t.Error("a room waits for a roster")
	}
	if ann.held.Load() == 0 {
		t.Error("what waits is acknowledged")
	}
	time.Sleep(10 * time.Millisecond)
	bob.mu.Lock()
	early := len(bob.got)
	bob.mu.Unlock()
	if early > 0 {
		t.Error("something arrives before the roster is read")
	}
	close(w.m.slow)
	bob.expect(`<presence to='bob@x.net' from='ann@x.net/a'/>`, `<body>1`, `id='2'`, `<status>3`)
	ann.expect(`from='ann@x.net/a'`, `from='bob@x.net/b'`)
}

// A restored session's contacts hear of its end, though its roster was in no journal.
func TestContactsHearOfAnEndAfterAKill(t *testing.T) {
	dir := t.TempDir()
	w := newKept(t)
	j := keep(t, w.h, dir, func() {})
	w.befriend("ann@x.net", "bob@x.net")
	for _, a := range []wire.Addr{"ann@x.net/stays", "ann@x.net/lost"} {
		c := w.online(a)
		c.send(`<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>`)
		c.take()
	}
	j.Close()
	next := newKept(t)
	next.m = w.m
	next.h.Keep(w.m, DefaultLimits(), nil)
	bob := next.online("bob@x.net/b")
	var stays *client
	keep(t, next.h, dir, func() { stays = next.login("ann@x.net/stays") })
	bob.expect(`from='ann@x.net/lost' type='unavailable'`)
	stays.expect(`from='ann@x.net/lost' type='unavailable'`)
	// It wishes what it wished.
	stays.send(rosterSet(`<item jid='carl@y.net'/>`))
	stays.expect(`type='set'`, `type='result'`)
	other := next.login("ann@x.net/other")
	other.send(`<message to='eve@x.net/none' type='chat'><body>x</body></message>`)
	stays.expect(`<sent xmlns='urn:xmpp:carbons:2'>`)
	next.r.Unbind(stays, false)
	bob.expect(`from='ann@x.net/stays' type='unavailable'`)
}

func TestWhoIsToldOfPresence(t *testing.T) {
	w := newKept(t)
	w.befriend("ann@x.net", "bob@x.net")
	w.befriend("ann@x.net", "carl@y.net")
	told := make(chan string, 100)
	w.h.OnPresence(func(_ *wire.Batch, account, contact wire.Addr, available bool, presence []byte) {
		what := " unavailable"
		if available {
			what = " available"
		}
		told <- string(account) + " " + string(contact) + what
		if len(presence) == 0 {
			t.Error("no presence")
		}
	})
	seen := func() (list []string) {
		w.h.settle()
		for len(told) > 0 {
			list = append(list, <-told)
		}
		return list
	}
	ann := w.login("ann@x.net/a")
	ann.send(`<presence/>`)
	got := strings.Join(seen(), "\n")
	for _, want := range []string{"ann@x.net ann@x.net/a available", "bob@x.net ann@x.net/a available"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	w.from("carl@y.net/c", `<presence to='ann@x.net'/>`)
	w.from("eve@y.net/e", `<presence to='ann@x.net'/>`)
	if got := strings.Join(seen(), "\n"); got != "ann@x.net carl@y.net/c available" {
		t.Errorf("got %q", got)
	}
	w.r.Unbind(ann, true)
	if got := strings.Join(seen(), "\n"); !strings.Contains(got, "bob@x.net ann@x.net/a unavailable") {
		t.Errorf("got %q", got)
	}
}
