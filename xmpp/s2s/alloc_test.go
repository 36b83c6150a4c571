package s2s

import (
	"net"
	"testing"

	"parley/xmpp/wire"
)

// sink is a session that takes stanzas and forgets them.
type sink struct{ person }

func (*sink) Deliver(*wire.Batch, wire.Addr, wire.Stanza) {}

// TestForwardingAllocatesTheStanzaOnly: one buffer for a stanza that comes from another server, none for one that goes there,
// which brings its own.
func TestForwardingAllocatesTheStanzaOnly(t *testing.T) {
	srv := lonely(t, (*authority)(nil).issue(t, []string{"a.example"}))
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	s := newStream(srv, ours, true)
	s.secure = true
	s.bidi.Store(true)
	if !s.trust("b.example") {
		t.Fatal("not trusted")
	}
	ann := &sink{person{addr: "ann@a.example/x"}}
	srv.router.Bind(ann)
	p := scan([]byte("<message from='bob@b.example/y' to='ann@a.example/x' type='chat' id='1'><body>Hello there, how are you?</body></message>"))
	in := testing.AllocsPerRun(1000, func() {
		if err := s.stanza(p); err != nil {
			t.Fatal(err)
		}
	})
	if in > 1 {
		t.Errorf("%v allocations for a stanza that comes", in)
	}
	srv.attach(pair{"a.example", "b.example"}, s)
	st := p.Stanza("ann@a.example/x")
	batch := new(wire.Batch)
	var dst []byte
	out := testing.AllocsPerRun(1000, func() {
		srv.Deliver(batch, "bob@b.example/y", st)
		s.mu.Lock()
		s.ack = ack{mute: true}
		dst = s.takeLocked(dst[:0])
		s.mu.Unlock()
	})
	if out > 0 {
		t.Errorf("%v allocations for a stanza that goes", out)
	}
	if len(dst) == 0 {
		t.Error("nothing was written")
	}
}

// TestOneEncodingForManyOfADomain: what a room says is made fit for other servers once, and everybody gets what was said to them.
func TestOneEncodingForManyOfADomain(t *testing.T) {
	srv := lonely(t, (*authority)(nil).issue(t, []string{"a.example"}))
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	s := newStream(srv, ours, true)
	s.ack = ack{mute: true}
	s.hush()
	srv.attach(pair{"a.example", "b.example"}, s)
	say := func(body string) []byte {
		return []byte(" from='r@a.example/ann' type='groupchat'><body xmlns='jabber:client'>" + body + "</body></message>")
	}
	first, second := say("1"), say("2")
	for _, tail := range [][]byte{first, first, second, first, second, second} {
		srv.Deliver(nil, "bob@b.example/y", wire.Stanza{Kind: wire.Message, Tail: tail})
	}
	s.mu.Lock()
	s.quiet = 0
	got := string(s.takeLocked(nil))
	s.mu.Unlock()
	want := ""
	for _, body := range []string{"1", "1", "2", "1", "2", "2"} {
		want += "<message to='bob@b.example/y' from='r@a.example/ann' type='groupchat'><body>" + body + "</body></message>"
	}
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if n := testing.AllocsPerRun(100, func() {
		srv.Deliver(new(wire.Batch), "bob@b.example/y", wire.Stanza{Kind: wire.Message, Tail: second})
	}); n >= 3 { // the batch, and the queue now and then
		t.Errorf("%v allocations for one more receiver", n)
	}
}

func BenchmarkArrival(b *testing.B) {
	srv := lonely(b, (*authority)(nil).issue(b, []string{"a.example"}))
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	s := newStream(srv, ours, true)
	s.secure = true
	s.bidi.Store(true)
	s.trust("b.example")
	srv.router.Bind(&sink{person{addr: "ann@a.example/x"}})
	p := scan([]byte("<message from='bob@b.example/y' to='ann@a.example/x' type='chat' id='1'><body>Hello there, how are you?</body></message>"))
	b.ReportAllocs()
	for b.Loop() {
		s.stanza(p)
	}
}
