package im

import (
	"fmt"
	"net/netip"
	"testing"

	"parley/internal/store"
	"parley/internal/token"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// sink is a session that throws away what it gets.
type sink struct{ addr wire.Addr }

func (s *sink) Addr() wire.Addr                             { return s.addr }
func (s *sink) Guest() bool                                 { return false }
func (s *sink) Source() netip.Addr                          { return netip.Addr{} }
func (s *sink) Claims() *token.Claims                       { return nil }
func (s *sink) Room() string                                { return "" }
func (s *sink) Tenant() string                              { return "" }
func (s *sink) Hold() func()                                { return func() {} }
func (s *sink) Deliver(*wire.Batch, wire.Addr, wire.Stanza) {}

// attendedSink is one as c2s has them.
type attendedSink struct {
	route.Attended
	sink
}

// BenchmarkMessage is a 1:1 message of 200 bytes from session to session, without scanning and writing it: with sessions
// that the host has no say in; with accounts that need nothing, which costs a look at two flags; and with accounts that do.
func BenchmarkMessage(b *testing.B) {
	for _, c := range []struct {
		name     string
		to       string
		attended bool
		with     func(h *Host)
	}{
		{"unattended", "bob@x.net/b", false, nil},
		{"nothing special", "bob@x.net/b", true, nil},
		{"bare address", "bob@x.net", true, nil},
		{"block list", "bob@x.net/b", true, func(h *Host) {
			h.users["bob@x.net"].book = &book{exists: true, blocked: map[wire.Addr]struct{}{"eve@x.net": {}}}
		}},
		{"copy to another session", "bob@x.net/b", true, func(h *Host) { h.users["bob@x.net"].sessions[1].carbons = true }},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := route.New(nil)
			h := New("x.net", r)
			var sender route.Sender
			for _, a := range []wire.Addr{"ann@x.net/a", "bob@x.net/b", "bob@x.net/c"} {
				var s route.Sender = &sink{addr: a}
				if c.attended {
					s = &attendedSink{sink: sink{addr: a}}
				}
				r.Bind(s)
				if a == "ann@x.net/a" {
					sender = s
				}
			}
			for _, s := range h.users["bob@x.net"].sessions {
				s.presence = []byte("/>")
			}
			if c.with != nil {
				c.with(h)
				h.heed(h.users["bob@x.net"])
			}
			scanner := wire.Scanner{Limits: wire.AfterAuth}
			_, p, err := scanner.Next(fmt.Appendf(nil, "<message to='%s' type='chat' id='1'><body>%0140d</body></message>", c.to, 1))
			if err != nil {
				b.Fatal(err)
			}
			var batch wire.Batch
			b.ReportAllocs()
			for b.Loop() {
				r.Route(&batch, sender, p)
			}
		})
	}
}

// BenchmarkPresence is a change of presence that so many contacts see who are there.
func BenchmarkPresence(b *testing.B) {
	for _, n := range []int{0, 10, 100} {
		b.Run(fmt.Sprint(n, " contacts"), func(b *testing.B) {
			r := route.New(nil)
			h := New("x.net", r)
			var batch wire.Batch
			scanner := wire.Scanner{Limits: wire.AfterAuth}
			_, p, _ := scanner.Next([]byte("<presence><show>away</show></presence>"))
			k := &book{exists: true, contacts: make(map[wire.Addr]*store.Contact)}
			for i := range n {
				a := fmt.Sprintf("c%d@x.net", i)
				s := &attendedSink{sink: sink{addr: wire.Addr(a + "/r")}}
				r.Bind(s)
				r.Route(&batch, s, p)
				k.contacts[wire.Addr(a)] = &store.Contact{Addr: a, Listed: true, To: true, From: true}
			}
			ann := &attendedSink{sink: sink{addr: "ann@x.net/a"}}
			r.Bind(ann)
			h.users["ann@x.net"].book = k
			b.ReportAllocs()
			for b.Loop() {
				r.Route(&batch, ann, p)
			}
		})
	}
}

// BenchmarkIdleSession says in bytes what a session costs here whose account has an empty roster.
func BenchmarkIdleSession(b *testing.B) {
	r := route.New(nil)
	New("x.net", r)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Bind(&attendedSink{sink: sink{addr: wire.Addr(fmt.Sprintf("user%d@x.net/resource", i))}})
	}
}
