package c2s

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/internal/journal"
	"parley/internal/peertest"
	"parley/internal/token"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	"pgregory.net/rapid"
)

// keeping lets a world keep its sessions in a directory.
func keeping(t testing.TB, dir string, o journal.Options) func(*world) {
	return func(w *world) {
		j, err := journal.Open(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		w.srv.Journal(j)
		w.host.Journal(j)
		if err := j.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { j.Close() })
	}
}

// left is what a process would leave in a directory if it were killed now.
func left(t testing.TB, dir string) string {
	t.Helper()
	for range 100 {
		dead, err := os.MkdirTemp("", "journal")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dead) })
		if os.CopyFS(dead, os.DirFS(dir)) == nil {
			return dead
		}
	}
	t.Fatal("the journal cannot be copied")
	return ""
}

// state is what of a session must survive.
type state struct {
	Addr         wire.Addr
	Guest        bool
	Claims       string
	Source       netip.Addr
	Room, Tenant string
	ID           string
	Keep         time.Duration
	Attends      bool
	Acked, H     uint32
	Done         []stanzaMark
	Queue        []string
}

func stateOf(s *Session) state {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := state{
		Addr: s.addr, Guest: s.guest, Source: s.source, Room: s.room, Tenant: s.prefix, ID: s.sm.id, Keep: s.sm.keep, Attends: s.attends.Load(),
		Acked: s.sm.acked, H: s.handled.h(), Done: slices.Clone(s.handled.done),
	}
	if s.claims != nil {
		st.Claims = fmt.Sprintf("%+v", *s.claims)
	}
	for i := range s.queue.Len() {
		e := s.queue.At(i)
		st.Queue = append(st.Queue, fmt.Sprint(e.kind, e.self, string(e.tail)))
	}
	return st
}

func same(a, b state) bool { return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b) }

// What a client has on its wire is in the journal: a process that dies now has it all.
func TestHC9JournalIsAheadOfTheWire(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, nil, keeping(t, dir, journal.Options{}))
	ann := newMobile(w, "ann", func() *peertest.Client { return w.dial(w.plain) })
	guest := newMobile(w, "", func() *peertest.Client { return w.dialWS("?room=x") })
	if got := stateOf(newWorld(t, nil, keeping(t, left(t, dir), journal.Options{})).session(guest.JID)); !got.Guest || got.Room != "x" || got.ID != guest.ID {
		t.Errorf("the guest was told of %+v", got)
	}
	for i := range 5 {
		say(ann, ann.JID, "a"+strconv.Itoa(i))
		ann.Await("<message", "id='a"+strconv.Itoa(i)+"'")
		got := stateOf(newWorld(t, nil, keeping(t, left(t, dir), journal.Options{})).session(ann.JID))
		if len(got.Queue) != i+1 || got.H != uint32(i+1) {
			t.Errorf("after message %d: %+v", i, got)
		}
	}
	ann.Ask()
	ann.Await("<a ", "h='5'")
	ann.Send("<a xmlns='urn:xmpp:sm:3' h='3'/>")
	ann.Ping()
	got := stateOf(newWorld(t, nil, keeping(t, left(t, dir), journal.Options{})).session(ann.JID))
	if len(got.Queue) != 3 || got.H != 6 || got.Acked != 3 {
		t.Errorf("after <a/>: %+v", got)
	}
	ann.Send("</stream:stream>")
	ann.Await("</stream:stream>")
	if w := newWorld(t, nil, keeping(t, left(t, dir), journal.Options{})); w.router.Find(wire.Addr(ann.JID)) != nil {
		t.Error("a session that has ended is back")
	}
}

// passing delivers what it gets to a session, and then looks at what a process would leave that is killed now.
type passing struct {
	w    *world
	to   wire.Addr
	dir  string
	dead []string
}

func (p *passing) Handle(b *wire.Batch, from route.Sender, _ wire.Addr, pk *wire.Packet) {
	p.w.router.Deliver(b, p.to, pk.Stanza(from.Addr()))
	flushed := make(chan struct{})
	go func() { p.w.srv.journal.Flush(); close(flushed) }() // somebody else has something to say
	select {
	case <-flushed:
	case <-time.After(50 * time.Millisecond):
	}
	p.dead = append(p.dead, left(p.w.t, p.dir))
}

// A stanza's effects and its count are there together or not at all.
func TestHC9KilledBetweenEffectAndCount(t *testing.T) {
	dir := t.TempDir()
	p := &passing{dir: dir}
	w := newWorld(t, nil, keeping(t, dir, journal.Options{}), func(w *world) { w.router.Serve("pass.x.net", p) })
	p.w = w
	ann := newMobile(w, "ann", func() *peertest.Client { return w.dial(w.plain) })
	bob := newMobile(w, "bob", func() *peertest.Client { return w.dial(w.plain) })
	p.to = wire.Addr(bob.JID)
	const count = 3
	for i := range count {
		say(ann, "pass.x.net", strconv.Itoa(i))
		bob.Await("<message", "id='"+strconv.Itoa(i)+"'")
	}
	for i, dead := range append(p.dead, left(t, dir)) {
		w := newWorld(t, nil, keeping(t, dead, journal.Options{}))
		h, queue := stateOf(w.session(ann.JID)).H, stateOf(w.session(bob.JID)).Queue
		if int(h) != i || len(queue) != i {
			t.Errorf("killed during stanza %d: %d are counted, %d are delivered", i, h, len(queue))
		}
	}
}

// deaf takes packets and does nothing, or holds their acknowledgement back.
type deaf struct {
	holds    func() bool
	releases []func()
	got      []string
}

func (d *deaf) Handle(_ *wire.Batch, from route.Sender, _ wire.Addr, p *wire.Packet) {
	d.got = append(d.got, string(p.ID()))
	if d.holds() {
		d.releases = append(d.releases, from.Hold())
	}
}

func packet(t rapid.TB, text string) *wire.Packet {
	scanner := wire.Scanner{Limits: wire.AfterAuth}
	_, p, err := scanner.Next([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p.Clone()
}

// Whatever a session goes through, what the journal says of it is what it is: files are replaced, and processes are killed
// and go on, at any time.
func TestHC9RestoredSessionIsTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "journal")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		var s *Session
		var j *journal.Journal
		var d *deaf
		start := func(dir string) {
			w := newServer(t, nil)
			if j, err = journal.Open(dir, journal.Options{Size: 1}); err != nil {
				rt.Fatal(err)
			}
			d = &deaf{holds: func() bool { return rapid.Bool().Draw(rt, "hold") }}
			w.router.Serve("deaf.x.net", d)
			w.srv.Journal(j)
			if err := j.Start(); err != nil {
				rt.Fatal(err)
			}
			if s == nil {
				s = &Session{
					srv: w.srv, addr: "ann@x.net/a", source: netip.MustParseAddr("2001:db8::1"), room: "r", prefix: "t",
					claims: &token.Claims{Issuer: "i", Room: token.Any, Features: map[string]bool{"x": true}, Expires: time.Unix(2e9, 0).UTC()},
				}
				if e := w.srv.add(s); e != nil {
					rt.Fatal(e)
				}
				s.enable(nil, packet(rt, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>"))
				return
			}
			was := stateOf(s)
			s = w.router.Find("ann@x.net/a").(*Session)
			if is := stateOf(s); !same(is, was) {
				rt.Fatalf("was %+v\nis  %+v", was, is)
			}
		}
		start(dir)
		defer func() { j.Close() }()
		shared := []byte(" from='bob@x.net/b' type='chat'><body>to many</body></message>")
		number := 0
		rt.Repeat(map[string]func(*rapid.T){
			"deliver": func(rt *rapid.T) {
				kind := wire.Kind(rapid.IntRange(int(wire.Message), int(wire.IQ)).Draw(rt, "kind"))
				st := wire.Stanza{Kind: kind, Tail: fmt.Appendf(nil, " from='bob@x.net/%d'/>", rapid.IntRange(0, 2).Draw(rt, "from"))}
				if rapid.Bool().Draw(rt, "shared") {
					st = wire.Stanza{Kind: wire.Message, Tail: shared}
				}
				s.Deliver(nil, wire.Addr(rapid.SampledFrom([]string{"", "ann@x.net/a", "ann@x.net"}).Draw(rt, "to")), st)
			},
			"acknowledge": func(rt *rapid.T) {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.queue.sent = s.queue.Len()
				if err := s.ackLocked(s.sm.acked + uint32(rapid.IntRange(0, s.queue.Len()).Draw(rt, "n"))); err != nil {
					rt.Fatal(err)
				}
				s.queue.sent = rapid.IntRange(0, s.queue.Len()).Draw(rt, "written")
			},
			"coalesce": func(*rapid.T) { s.overflow() },
			"stanza": func(rt *rapid.T) {
				number++
				var l link
				if err := s.stanza(&l, packet(rt, fmt.Sprintf("<message xmlns='jabber:client' to='deaf.x.net' id='%d'/>", number))); err != nil {
					rt.Fatal(err)
				}
			},
			"directed presence": func(rt *rapid.T) {
				var l link
				s.stanza(&l, packet(rt, "<presence xmlns='jabber:client' to='bob@x.net'/>"))
			},
			"release": func(rt *rapid.T) {
				if n := len(d.releases); n > 0 {
					i := rapid.IntRange(0, n-1).Draw(rt, "which")
					d.releases[i]()
					d.releases = slices.Delete(d.releases, i, i+1)
				}
			},
			"kill": func(rt *rapid.T) {
				j.Flush()
				dead := left(t, dir)
				j.Close()
				os.RemoveAll(dir)
				dir = dead
				start(dir)
			},
		})
	})
}

// Stanzas that were handled when the process was killed, though an earlier one was not, are not handled again when the client
// sends them all.
func TestHC9HandledOnceBehindAHeldOne(t *testing.T) {
	dir := t.TempDir()
	d := &deaf{}
	d.holds = func() bool { return slices.Contains([]string{"2", "5"}, d.got[len(d.got)-1]) }
	serve := func(dir string) *world {
		return newWorld(t, nil, keeping(t, dir, journal.Options{}), func(w *world) { w.router.Serve("deaf.x.net", d) })
	}
	w := serve(dir)
	dial := func() *peertest.Client { return w.dial(w.plain) }
	ann := newMobile(w, "ann", dial)
	for i := range 8 {
		ann.Say("<message xmlns='jabber:client' to='deaf.x.net' id='" + strconv.Itoa(i) + "'/>")
	}
	ann.Ask()
	ann.Take(ann.Await("<a ", "h='2'"))
	if len(ann.Unacked) != 6 {
		t.Fatalf("%d stanzas are not counted", len(ann.Unacked))
	}
	w = serve(left(t, dir))
	d.got, d.holds = nil, func() bool { return false }
	ann.Redial = dial
	ann.Move(true)
	ann.Say("<message xmlns='jabber:client' to='deaf.x.net' id='8'/>")
	ann.Say("<message xmlns='jabber:client' to='deaf.x.net' id='3'/>") // as a stanza before, but later
	ann.Settle(0)
	if got := strings.Join(d.got, " "); got != "2 5 8 3" {
		t.Errorf("handled: %s", got)
	}
}

// A client that does not send again what was handled is not taken for one that does.
func TestHC9OtherStanzaIsHandled(t *testing.T) {
	dir := t.TempDir()
	d := &deaf{}
	d.holds = func() bool { return d.got[len(d.got)-1] == "0" }
	serve := func(dir string) *world {
		return newWorld(t, nil, keeping(t, dir, journal.Options{}), func(w *world) { w.router.Serve("deaf.x.net", d) })
	}
	w := serve(dir)
	ann := newMobile(w, "ann", func() *peertest.Client { return w.dial(w.plain) })
	for i := range 3 {
		ann.Say("<message xmlns='jabber:client' to='deaf.x.net' id='" + strconv.Itoa(i) + "'/>")
	}
	ann.Ping()
	w = serve(left(t, dir))
	d.got, d.holds = nil, func() bool { return false }
	ann.Unacked = nil
	ann.Redial = func() *peertest.Client { return w.dial(w.plain) }
	ann.Move(true)
	for i := range 4 {
		ann.Say("<message xmlns='jabber:client' to='deaf.x.net' id='n" + strconv.Itoa(i) + "'/>")
	}
	ann.Settle(0)
	if got := strings.Join(d.got, " "); got != "n0 n1 n2 n3" {
		t.Errorf("handled: %s", got)
	}
}

func TestRestoredSessionIsGivenUp(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, func(c *Config) { c.KeepAccount = time.Hour }, keeping(t, dir, journal.Options{}))
	ann := newMobile(w, "ann", func() *peertest.Client { return w.dial(w.plain) })
	ann.Ping()
	w = newWorld(t, func(c *Config) { c.KeepAccount = time.Minute }, keeping(t, left(t, dir), journal.Options{}))
	s := w.session(ann.JID)
	if _, away := w.srv.Sessions(); away != 1 || w.srv.users["ann@x.net"] != 1 {
		t.Errorf("%d sessions are away, %d of the account", away, w.srv.users["ann@x.net"])
	}
	s.sweep(time.Now().Add(59 * time.Second))
	if w.router.Find(s.addr) == nil {
		t.Error("it was not kept for as long as it may be")
	}
	s.sweep(time.Now().Add(61 * time.Second))
	if w.router.Find(s.addr) != nil || len(w.srv.resumes) > 0 || w.srv.users["ann@x.net"] > 0 {
		t.Error("it was kept for longer than it may be")
	}
}

// witness is a session that is told something.
type witness struct {
	*Session
	told func()
}

func (w *witness) Deliver(*wire.Batch, wire.Addr, wire.Stanza) { w.told() }

// A process that is killed while it ends a session has told others so: the client cannot come back, and the next process
// ends the session once more.
func TestHC9KilledWhileASessionEnds(t *testing.T) {
	dir, then, told := t.TempDir(), "", 0
	serve := func(dir string, tell func(w *world)) *world {
		w := newWorld(t, nil, keeping(t, dir, journal.Options{}))
		w.router.Bind(&witness{&Session{srv: w.srv, addr: "bob@x.net/b"}, func() { tell(w) }})
		return w
	}
	w := serve(dir, func(w *world) { // the message has come back; that the session has ended is not written yet
		w.srv.journal.Flush()
		then = left(t, dir)
	})
	ann := newMobile(w, "ann", func() *peertest.Client { return w.dial(w.plain) })
	ann.Ping()
	w.session(ann.JID).Deliver(nil, "", wire.Stanza{Kind: wire.Message, Tail: []byte(" from='bob@x.net/b' id='unread'><body>x</body></message>")})
	w.session(ann.JID).end(errAway, false)
	if then == "" {
		t.Fatal("nothing came back")
	}
	w = serve(then, func(*world) { told++ })
	s := w.session(ann.JID)
	if len(w.srv.resumes) > 0 {
		t.Error("the client may come back to a session that has ended")
	}
	s.sweep(time.Now())
	if w.router.Find(s.addr) != nil || len(w.srv.users) > 0 || told != 1 {
		t.Errorf("the session is %v, of the account there are %v, %d messages came back", w.router.Find(s.addr), w.srv.users, told)
	}
}

func TestNotRestored(t *testing.T) {
	for name, change := range map[string]func(*identity){
		"another domain":    func(i *identity) { i.Addr = "ann@y.net/a" },
		"no resource":       func(i *identity) { i.Addr = "ann@x.net" },
		"no account":        func(i *identity) { i.Addr = "x.net/a" },
		"not canonical":     func(i *identity) { i.Addr = "Ann@x.net/a" },
		"no id":             func(i *identity) { i.ID = "" },
		"no time":           func(i *identity) { i.Keep = 0 },
		"taken address":     func(i *identity) { i.ID = "other" },
		"taken id":          func(i *identity) { i.Addr = "ann@x.net/b" },
		"none of the above": nil,
	} {
		t.Run(name, func(t *testing.T) {
			w := newServer(t, nil)
			who := identity{Addr: "ann@x.net/a", ID: "id", Keep: time.Minute}
			if strings.HasPrefix(name, "taken") && !w.srv.restore(whoIs(w.srv, who), time.Now()) {
				t.Fatal("the first one is not restored")
			}
			if change != nil {
				change(&who)
			}
			if got := w.srv.restore(whoIs(w.srv, who), time.Now()); got != (change == nil) {
				t.Errorf("restored: %v", got)
			}
		})
	}
}

func whoIs(srv *Server, i identity) *Session {
	return &Session{srv: srv, addr: i.Addr, sm: &resumption{id: i.ID, keep: i.Keep}}
}

// TestHC9CoalescedBehindAnAcknowledgement: what was on the wire stays, though the count of what is acknowledged is written
// later than what happened behind it.
func TestHC9CoalescedBehindAnAcknowledgement(t *testing.T) {
	w := newServer(t, nil)
	dir := t.TempDir()
	j, err := journal.Open(dir, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.srv.Journal(j)
	if err := j.Start(); err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	s := &Session{srv: w.srv, addr: "ann@x.net/a"}
	if e := w.srv.add(s); e != nil {
		t.Fatal(e)
	}
	s.enable(nil, packet(t, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>"))
	push := func(kind wire.Kind, text string) {
		s.Deliver(nil, "", wire.Stanza{Kind: kind, Tail: []byte(" from='bob@x.net/b'>" + text + "</" + kind.String() + ">")})
	}
	push(wire.Message, "acknowledged")
	push(wire.Presence, "on the wire")
	push(wire.Presence, "dropped")
	push(wire.Presence, "latest")
	s.mu.Lock()
	s.queue.sent = 2
	err = s.ackLocked(1)
	s.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	s.overflow()
	was := stateOf(s)
	if len(was.Queue) != 2 || was.Acked != 1 {
		t.Fatalf("%+v", was)
	}
	j.Flush()
	next := newServer(t, nil)
	k, err := journal.Open(left(t, dir), journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	next.srv.Journal(k)
	if err := k.Start(); err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if is := stateOf(next.router.Find("ann@x.net/a").(*Session)); !same(is, was) {
		t.Errorf("was %+v\nis  %+v", was, is)
	}
}

// TestRestoredClaims: a token is valid as long after a restart as before it.
func TestRestoredClaims(t *testing.T) {
	now := time.Now().Round(0)
	claims := &token.Claims{Room: "r", Expires: now, Leeway: 30 * time.Second}
	s := &Session{addr: "ann@x.net/a", claims: claims, sm: &resumption{id: "id", keep: time.Minute}, ref: 1}
	srv := &Server{}
	if err := srv.Replay(s.appendSession(nil, nil)); err != nil {
		t.Fatal(err)
	}
	got := srv.restored.sessions[1].claims
	if err := got.Current(now.Add(29 * time.Second)); err != nil || got.Room != "r" {
		t.Errorf("%+v: %v", got, err)
	}
	if got.Current(now.Add(31*time.Second)) == nil {
		t.Error("it never expires")
	}
}

// FuzzReplay gives a server any records, in the frame that each is behind its length. What comes of it can be written and
// read again.
func FuzzReplay(f *testing.F) {
	w := newServer(f, nil)
	s := &Session{srv: w.srv, addr: "ann@x.net/a", sm: &resumption{id: "id", keep: time.Minute}, ref: 1}
	s.handled.done = []stanzaMark{{3, 4}}
	s.queue.push(entry{tail: []byte("/>"), kind: wire.Presence, self: true})
	var seed []byte
	put := func(record []byte) { seed = append(append(seed, byte(len(record))), record...) }
	w.srv.sessions[s] = struct{}{}
	w.srv.Snapshot(put)
	f.Add(seed)
	for _, record := range [][]byte{{sayPush, 1, byte(wire.IQ), '>'}, {sayCounts, 1, 1, 3}, {sayCoalesce, 1, 0}, {sayCounts, 1, 1, 4}, {sayDone, 1, 9, 9}, {sayAttends, 1}, {sayLeave, 1}} {
		put(record)
	}
	f.Add(slices.Clone(seed))
	put([]byte{sayEnd, 1})
	f.Add(seed)
	f.Add([]byte{2, sayEnd, 1, 4, sayCounts, 7, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		srv := &Server{}
		for len(b) > 0 {
			n := min(int(b[0]), len(b)-1)
			if srv.Replay(b[1:1+n]) != nil {
				return
			}
			b = b[1+n:]
		}
		again := &Server{sessions: make(map[*Session]struct{})}
		for _, s := range srv.restored.sessions {
			again.sessions[s] = struct{}{}
		}
		twice := &Server{}
		again.Snapshot(func(record []byte) {
			if err := twice.Replay(record); err != nil {
				t.Fatalf("%q: %v", record, err)
			}
		})
		if len(twice.restored.sessions) != len(srv.restored.sessions) {
			t.Fatalf("%d sessions became %d", len(srv.restored.sessions), len(twice.restored.sessions))
		}
		for ref, s := range srv.restored.sessions {
			if a, b := stateOf(s), stateOf(twice.restored.sessions[ref]); !same(a, b) {
				t.Fatalf("%+v became %+v", a, b)
			}
		}
	})
}
