package im

import (
	"errors"
	"strings"
	"testing"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// What is changed from outside is in the store, and at the clients, as if a client had done it.
func TestContactsThatAreSetFromOutside(t *testing.T) {
	w := newKept(t)
	ann, bob := w.online("ann@x.net/a"), w.online("bob@x.net/b")
	got, err := w.h.SetContact(t.Context(), "ann@x.net", store.Contact{Addr: "Bob@x.net", Name: "B <", Groups: []string{"Friends"}}, false)
	if err != nil || got.Addr != "bob@x.net" || !got.Listed || got.Asked {
		t.Fatalf("%+v %v", got, err)
	}
	ann.expect(`type='set' … <item jid='bob@x.net' name='B &lt;' subscription='none'><group>Friends</group></item>`)
	bob.expect()
	if got, err = w.h.SetContact(t.Context(), "ann@x.net", store.Contact{Addr: "bob@x.net"}, true); err != nil || !got.Asked || got.Name != "" {
		t.Fatalf("%+v %v", got, err)
	}
	ann.expect(`<item jid='bob@x.net' subscription='none' ask='subscribe'/>`)
	bob.expect(`from='ann@x.net' type='subscribe'`)
	list, err := w.h.Roster(t.Context(), "ann@x.net")
	if err != nil || len(list) != 1 || list[0].Addr != "bob@x.net" || !list[0].Asked {
		t.Errorf("%+v %v", list, err)
	}
	if err := w.h.RemoveContact(t.Context(), "ann@x.net", "bob@x.net"); err != nil {
		t.Fatal(err)
	}
	ann.expect(`<item jid='bob@x.net' subscription='remove'/>`)
	bob.expect(`from='ann@x.net' type='unsubscribe'`)
	if err := w.h.RemoveContact(t.Context(), "ann@x.net", "bob@x.net"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
	if n := len(w.m.accounts["ann@x.net"].contacts); n != 0 {
		t.Errorf("%d contacts are stored", n)
	}
}

func TestContactsThatAreRefusedFromOutside(t *testing.T) {
	w := newKept(t)
	w.h.limits.Contacts = 1
	ann := w.online("ann@x.net/a")
	for what, c := range map[string]store.Contact{
		"no address": {}, "a bad one": {Addr: "a@b@c"}, "oneself": {Addr: "ann@x.net"}, "a long name": {Addr: "a@y.net", Name: strings.Repeat("x", longestName+1)},
		"what XML cannot hold": {Addr: "a@y.net", Name: "\x01"}, "a noncharacter": {Addr: "a@y.net", Groups: []string{"\uffff"}}, "a group twice": {Addr: "a@y.net", Groups: []string{"g", "g"}},
		"an empty group": {Addr: "a@y.net", Groups: []string{""}}, "many groups": {Addr: "a@y.net", Groups: make([]string, w.h.limits.Groups+1)},
	} {
		if _, err := w.h.SetContact(t.Context(), "ann@x.net", c, false); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := w.h.SetContact(t.Context(), "nobody@x.net", store.Contact{Addr: "a@y.net"}, false); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("nobody's: %v", err)
	}
	if _, err := w.h.Roster(t.Context(), wire.Addr("nobody@x.net")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("nobody's: %v", err)
	}
	if _, err := w.h.SetContact(t.Context(), "ann@x.net", store.Contact{Addr: "a@y.net"}, false); err != nil {
		t.Error(err)
	}
	ann.take()
	if _, err := w.h.SetContact(t.Context(), "ann@x.net", store.Contact{Addr: "b@y.net"}, false); !errors.Is(err, store.ErrQuota) {
		t.Errorf("too many: %v", err)
	}
	w.m.down = true
	if _, err := w.h.SetContact(t.Context(), "ann@x.net", store.Contact{Addr: "a@y.net", Name: "n"}, false); err == nil {
		t.Error("it is said to be stored, without a store")
	}
	ann.expect()
}
