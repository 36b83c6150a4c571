package pubsub

import (
	"context"
	"fmt"
	"testing"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// crowd is a world with n contacts of juliet who ask for her tune.
func crowd(b *testing.B, n int) (*world, *session) {
	w := newWorld(b, DefaultLimits, juliet)
	s := w.login("juliet@capulet.lit/b")
	for i := range n {
		contact := wire.Addr(fmt.Sprintf("contact%d@capulet.lit", i))
		if err := w.store.CreateAccount(context.Background(), store.Account{Addr: string(contact)}); err != nil {
			b.Fatal(err)
		}
		w.both(juliet, contact)
		w.login(contact+"/1", tune)
	}
	return w, s
}

// BenchmarkPublishTo100 is a publication with all that belongs to it, the commit included.
func BenchmarkPublishTo100(b *testing.B) {
	w, s := crowd(b, 100)
	p := parse(b, "<iq type='set' id='1'>"+publishing(tune, "1", aTune)+"</iq>")
	w.silent, w.sent = true, 0
	b.ReportAllocs()
	for b.Loop() {
		w.s.Own(nil, s, p)
		w.settle()
	}
	if w.sent != b.N*101 {
		b.Fatalf("%d stanzas were sent in %d rounds", w.sent, b.N)
	}
}

// BenchmarkEventTo100 is the part of it that comes after the commit. The test's accounts cost most of it: see AudienceOf100.
func BenchmarkEventTo100(b *testing.B) {
	w, s := crowd(b, 100)
	s.ok("set", "", publishing(tune, "1", aTune))
	n, err := w.s.find(context.Background(), juliet, tune)
	if err != nil {
		b.Fatal(err)
	}
	r := &request{Service: w.s, ctx: context.Background(), account: juliet, from: s.addr, own: true}
	i := &store.Item{ID: "1", Payload: []byte(aTune)}
	w.silent = true
	b.ReportAllocs()
	for b.Loop() {
		r.tellItems(n, i)
	}
}

// BenchmarkStamp is what presence costs more when its account has an avatar.
func BenchmarkStamp(b *testing.B) {
	w := shakespeare(b)
	s := w.login("juliet@capulet.lit/b")
	portrait(s)
	p := parse(b, "<presence><show>away</show><c xmlns='"+NSCaps+"' hash='sha-1' node='http://exodus.example' ver='x'/></presence>")
	b.ReportAllocs()
	for b.Loop() {
		w.s.Stamp(s, p)
	}
}

// BenchmarkStampOfNobody is what it costs where there is none.
func BenchmarkStampOfNobody(b *testing.B) {
	w := shakespeare(b)
	s := w.login("juliet@capulet.lit/b")
	p := parse(b, "<presence><show>away</show></presence>")
	b.ReportAllocs()
	for b.Loop() {
		w.s.Stamp(s, p)
	}
}

// BenchmarkGreeting is a login of somebody with 100 contacts, whose last items it is sent.
func BenchmarkGreeting(b *testing.B) {
	w, s := crowd(b, 100)
	for full, other := range w.sessions {
		if full != s.addr {
			other.ok("set", "", publishing(tune, "1", aTune))
		}
	}
	w.silent, w.sent = true, 0
	nodes := []string{tune, NSMetadata, NSBookmarks, "http://jabber.org/protocol/mood"}
	b.ReportAllocs()
	for b.Loop() {
		w.s.greet(juliet, s.addr, nodes)
		w.settle()
	}
	if w.sent != b.N*100 {
		b.Fatalf("%d stanzas were sent in %d rounds", w.sent, b.N)
	}
}
