package s2s

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"parley/xmpp/wire"
)

const offersCounts = "<sm xmlns='urn:xmpp:sm:3'/>"

// enabled accepts a stream that counts.
func (s *spot) enabled(domain string) *peer {
	s.t.Helper()
	p := s.established(domain, offersCounts)
	p.expect("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	p.say("<enabled xmlns='urn:xmpp:sm:3'/>")
	return p
}

// TestAcknowledgedByCounts: what the other server has counted is forgotten, and the rest is sent once more when the stream is
// lost, in order, before what came later; requests are answered instead, and nothing is sent a third time.
func TestAcknowledgedByCounts(t *testing.T) {
	a, b, ann := facing(t)
	p := func() *peer { // the first stanza is what the stream is opened for
		go ann.says("<message to='bob@b.example/y' id='1'/>")
		return b.enabled("b.example")
	}()
	p.expect("id='1'")
	p.expect("<r xmlns='urn:xmpp:sm:3'/>")
	for _, stanza := range []string{
		"<message to='bob@b.example/y' id='2'/>", "<message to='bob@b.example/y' id='3'/>",
		"<iq to='bob@b.example/y' type='set' id='4'><x xmlns='y'/></iq>", "<iq to='bob@b.example/y' type='result' id='5'/>",
		"<presence to='bob@b.example/y' id='6'/>",
	} {
		ann.says(stanza)
	}
	for i := 2; i <= 6; i++ {
		p.expect(fmt.Sprintf("id='%d'", i))
	}
	p.say("<a xmlns='urn:xmpp:sm:3' h='2'/>")
	eventually(t, "what was counted stays", func() bool { return a.waiting() == 4 })
	p.nc.Close()
	ann.hears("id='4'", "type='error'", "<remote-server-timeout ", "from='bob@b.example/y'")
	ann.says("<message to='bob@b.example/y' id='7'/>")
	p = b.enabled("b.example")
	for _, id := range []string{"3", "5", "6", "7"} {
		if got := p.read(); !strings.Contains(got, "id='"+id+"'") {
			t.Fatalf("%s where %s was due", got, id)
		}
	}
	p.nc.Close()
	ann.hears("id='3'", "<remote-server-timeout ")
	ann.hears("id='6'", "<remote-server-timeout ")
	p = b.enabled("b.example")
	p.expect("id='7'")
	p.expect("<r xmlns='urn:xmpp:sm:3'/>")
	p.say("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	eventually(t, "what was counted stays", func() bool { return a.waiting() == 0 })
	ann.hearsNothing()
	p.say("<a xmlns='urn:xmpp:sm:3' h='2'/>")
	p.ends("undefined-condition")
}

// TestCountsBeginLater: what was written before the other server began to count has arrived with its first count.
func TestCountsBeginLater(t *testing.T) {
	a, ca := alone(t)
	ann := a.person("ann")
	p := dialPeer(t, a)
	p.secure("b.example", "a.example", ca.issue(t, []string{"b.example"}))
	p.say("<bidi xmlns='urn:xmpp:bidi'/>")
	p.external("b.example", "a.example")
	p.say("<message from='bob@b.example/y' to='ann@a.example/x' id='0'/>")
	ann.hears("id='0'") // what is said now comes when the stream carries both ways
	ann.says("<message to='bob@b.example/y' id='1'/>")
	p.expect("id='1'")
	p.say("<enable xmlns='urn:xmpp:sm:3'/>")
	p.await("<enabled ")
	ann.says("<message to='bob@b.example/y' id='2'/>")
	p.await("id='2'")
	for h, left := range []int{1, 0} {
		p.say(fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", h))
		eventually(t, "what was counted stays", func() bool { return a.waiting() == left })
	}
}

// TestOrderAfterALoss: what was written comes before what was not, and that before what was said since.
func TestOrderAfterALoss(t *testing.T) {
	srv := lonely(t, (*authority)(nil).issue(t, []string{"a.example"}))
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	s := newStream(srv, ours, true)
	message := func(id string) entry {
		return entry{kind: wire.Message, to: "bob@b.example", tail: []byte(" from='ann@a.example/x' id='" + id + "'/>")}
	}
	o := &outbound{srv: srv, pair: pair{"a.example", "b.example"}, stream: s, connecting: true, waiting: []entry{message("4"), message("5")}}
	list := []entry{message("1"), message("2"), message("of another"), message("3")}
	for i := range list {
		list[i].o = o
	}
	list[2].o = &outbound{}
	o.lost(s.number, list, 2)
	var got []string
	for _, e := range o.waiting {
		got = append(got, string(e.packet().ID())+" "+fmt.Sprint(e.again))
	}
	if text := strings.Join(got, ", "); text != "1 true, 2 true, 3 false, 4 false, 5 false" {
		t.Error(text)
	}
}

// waiting is how many stanzas the streams have that are not acknowledged.
func (p *place) waiting() (n int) {
	for _, s := range p.srv.all() {
		s.mu.Lock()
		n += s.queue.Len()
		s.mu.Unlock()
	}
	return n
}

// TestAcknowledgedByPings: the same with a server that does not count, by its answers to pings.
func TestAcknowledgedByPings(t *testing.T) {
	a, ca := alone(t)
	b := newSpot(t, ca.issue(t, []string{"b.example"}))
	a.knows("b.example", b.addr())
	ann := a.person("ann")
	ann.says("<message to='bob@b.example/y' id='1'/>")
	p := b.established("b.example", "")
	p.expect("id='1'")
	ping := p.expect("<iq", "type='get'", "from='a.example'", "to='b.example'", "<ping xmlns='urn:xmpp:ping'/>")
	ann.says("<message to='bob@b.example/y' id='2'/>")
	p.expect("id='2'")
	back := trusted(t, a, ca, "b.example")
	_, id, _ := strings.Cut(ping, "id='")
	id, _, _ = strings.Cut(id, "'")
	// Only the server itself answers for the server, and only for what was written.
	for _, forged := range []string{
		"<iq from='bob@b.example/y' to='a.example' type='result' id='" + id + "'/>",
		"<iq from='b.example' to='ann@a.example/x' type='result' id='" + id + "'/>",
		"<iq from='b.example' to='a.example' type='result' id='" + id + "7'/>",
		"<iq from='b.example' to='a.example' type='result' id='" + strings.TrimSuffix(id, "1") + "9'/>",
	} {
		back.say(forged)
	}
	ann.hears("type='result'", "id='"+id+"'") // to her it is a stanza as any
	trusted(t, a, ca, "c.example").say("<iq from='c.example' to='a.example' type='result' id='" + id + "'/><message from='c.example' to='ann@a.example/x' id='behind'/>")
	ann.hears("id='behind'")
	if n := a.waiting(); n != 2 {
		t.Fatalf("%d wait", n)
	}
	back.say("<iq from='b.example' to='a.example' type='error' id='" + id + "'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
	eventually(t, "what was answered stays", func() bool { return a.waiting() == 1 })
	p.nc.Close()
	p = b.established("b.example", "")
	p.expect("id='2'")
}

// TestMuteServer: one that does not answer pings, since it has no way back, is served all the same.
func TestMuteServer(t *testing.T) {
	a, b, ann := facing(t, func(c *Config) { c.DialTimeout, c.AnswerTimeout = 300*time.Millisecond, 100*time.Millisecond })
	ann.says("<message to='bob@b.example/y' id='1'/>")
	p := b.established("b.example", "")
	p.expect("id='1'")
	eventually(t, "it is waited for", func() bool { return a.waiting() == 0 })
	ann.says("<message to='bob@b.example/y' id='2'/>")
	p.await("id='2'")
	p.nc.Close()
	eventually(t, "the stream stays", func() bool { ours, _ := a.srv.Streams(); return ours == 0 })
	ann.says("<message to='bob@b.example/y' id='3'/>")
	b.established("b.example", "").expect("id='3'") // nothing twice
}

// TestServerGoneAndBack: a server that was there is waited for, and gets what was said meanwhile.
func TestServerGoneAndBack(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(t, []string{"b.example"})
	a, b := neighbours(t, setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca)}, setting{cert: cert, config: of(ca)})
	ann, bob := a.person("ann"), b.person("bob")
	ann.says("<message to='bob@b.example/x' id='0'/>")
	bob.hears("id='0'")
	eventually(t, "it is not acknowledged", func() bool { return a.waiting() == 0 })
	b.kill()
	eventually(t, "the stream stays", func() bool { ours, _ := a.srv.Streams(); return ours == 0 })
	for i := 1; i <= 100; i++ {
		ann.says(fmt.Sprintf("<message to='bob@b.example/x' id='%d'/>", i))
	}
	time.Sleep(300 * time.Millisecond)
	ann.hearsNothing()
	again := newPlace(t, "b.example", setting{cert: cert, config: of(ca), address: b.addr()})
	again.knows("a.example", a.addr())
	bob = again.person("bob")
	for i := 1; i <= 100; i++ {
		bob.hears(fmt.Sprintf("id='%d'", i))
	}
	ann.hearsNothing()
}

// TestServerStaysAway: what waits for it goes back when there is no patience any more.
func TestServerStaysAway(t *testing.T) {
	ca := newAuthority(t)
	short := func(c *Config) { c.Patience = 300 * time.Millisecond }
	a, b := neighbours(t, setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca, short)}, setting{cert: ca.issue(t, []string{"b.example"}), config: of(ca)})
	ann, bob := a.person("ann"), b.person("bob")
	ann.says("<message to='bob@b.example/x' id='0'/>")
	bob.hears("id='0'")
	eventually(t, "it is not acknowledged", func() bool { return a.waiting() == 0 })
	b.kill()
	eventually(t, "the stream stays", func() bool { ours, _ := a.srv.Streams(); return ours == 0 })
	ann.says("<message to='bob@b.example/x' id='1'/>")
	ann.hears("id='1'", "type='error'", "<remote-server-timeout ")
}

// TestHungServer: a server that takes connections and says nothing any more is noticed.
func TestHungServer(t *testing.T) {
	_, b, ann := facing(t, func(c *Config) { c.ProbeInterval = 200 * time.Millisecond })
	ann.says("<message to='bob@b.example/y' id='1'/>")
	p := b.enabled("b.example")
	p.expect("id='1'")
	p.expect("<r ")
	p.say("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	p.expect("<r ") // it is asked again, and does not answer
	p.ends("connection-timeout")
}

// TestHR9AcknowledgementWaits: what a room has to write down is acknowledged when it is.
func TestHR9AcknowledgementWaits(t *testing.T) {
	a, ca := alone(t)
	a.rooms.hold = true
	p := trusted(t, a, ca, "b.example")
	p.say("<r xmlns='urn:xmpp:sm:3'/>")
	p.ends("unsupported-stanza-type")
	p = trusted(t, a, ca, "b.example")
	message := "<message from='bob@b.example/y' to='r@muc.a.example' type='groupchat'/>"
	p.say(message + "<enable xmlns='urn:xmpp:sm:3' resume='true'/>" + message + message + "<r xmlns='urn:xmpp:sm:3'/>")
	p.expect("<enabled xmlns='urn:xmpp:sm:3'", " id='", " resume='true'")
	p.expect("<a xmlns='urn:xmpp:sm:3' h='0'/>")
	a.rooms.mu.Lock()
	releases := a.rooms.releases
	a.rooms.mu.Unlock()
	releases[2]()
	releases[0]() // from before the counting
	p.say("<r xmlns='urn:xmpp:sm:3'/>")
	p.expect("h='0'")
	releases[1]()
	p.expect("<a xmlns='urn:xmpp:sm:3' h='2'/>") // without being asked again
	p.say("<enable xmlns='urn:xmpp:sm:3'/>")
	p.expect("<failed ", "<unexpected-request ")
	p.say("<resume xmlns='urn:xmpp:sm:3' h='0' previd='x'/>")
	p.expect("<failed ", "<unexpected-request ")
	p.say("<a xmlns='urn:xmpp:sm:3' h='one'/>")
	p.ends("bad-format")
}

// TestHS5QueueIsBounded: what does not fit goes back.
func TestHS5QueueIsBounded(t *testing.T) {
	a, ca := alone(t, func(c *Config) { c.QueueStanzas, c.QueueBytes = 100, 10_000 })
	silent := newSpot(t, ca.issue(t, []string{"b.example"}))
	a.knows("b.example", silent.addr())
	ann := a.person("ann")
	for i := range 101 {
		ann.says(fmt.Sprintf("<message to='bob@b.example/y' id='%d'/>", i))
	}
	ann.hears("id='100'", "<resource-constraint ")
	// The same when there is a stream, and the other server does not acknowledge.
	b := newSpot(t, ca.issue(t, []string{"c.example"}))
	a.knows("c.example", b.addr())
	ann.says("<message to='carl@c.example/y' id='200'/>")
	p := b.enabled("c.example")
	p.expect("id='200'")
	body := "<body>" + strings.Repeat("x", 5000) + "</body>"
	for i := 201; i <= 204; i++ {
		ann.says(fmt.Sprintf("<message to='carl@c.example/y' id='%d'>%s</message>", i, body))
	}
	for i := 203; i <= 204; i++ {
		ann.hears(fmt.Sprintf("id='%d'", i), "<resource-constraint ")
	}
	if n := a.counted("limit.s2s"); n != 3 {
		t.Error(n)
	}
}

// TestPeopleOfAServerThatIsGone: hardening.md HM12 for other servers: a room is told who cannot be there any more.
func TestPeopleOfAServerThatIsGone(t *testing.T) {
	ca := newAuthority(t)
	short := func(c *Config) { c.Patience = 300 * time.Millisecond }
	a, b := neighbours(t, setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca, short)}, setting{cert: ca.issue(t, []string{"b.example"}), config: of(ca)})
	bob, carl, dora := b.person("bob"), b.person("carl"), b.person("dora")
	for _, x := range []*person{bob, carl, dora} {
		x.says("<presence to='r@muc.a.example/" + x.addr.Local() + "'/>")
		<-a.rooms.got
	}
	carl.says("<presence to='r@muc.a.example/carl' type='unavailable'/>")
	<-a.rooms.got
	// Dora is thrown out: the room says so to her.
	a.router.Deliver(nil, dora.addr, wire.Stanza{Kind: wire.Presence, Tail: []byte(" from='r@muc.a.example/dora' type='unavailable'><x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x></presence>")})
	dora.hears("unavailable")
	b.kill()
	if who := a.isGone(); who != "bob@b.example/x" {
		t.Errorf("%s is gone", who)
	}
	select {
	case who := <-a.rooms.gone:
		t.Errorf("%s is gone too", who)
	case <-time.After(100 * time.Millisecond):
	}
}

func (p *place) isGone() wire.Addr {
	p.t.Helper()
	select {
	case who := <-p.rooms.gone:
		return who
	case <-time.After(patience):
		p.t.Fatal("nobody is gone")
	}
	return ""
}

// TestPeopleWhoDidNotComeBack: a server that was killed and is back has lost its sessions, and says nothing. Who is there
// again stays.
func TestPeopleWhoDidNotComeBack(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(t, []string{"b.example"})
	a, b := neighbours(t, setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca)}, setting{cert: cert, config: of(ca)})
	for _, name := range []string{"bob", "carl"} {
		b.person(name).says("<presence to='r@muc.a.example/" + name + "'/>")
		<-a.rooms.got
	}
	b.kill()
	again := newPlace(t, "b.example", setting{cert: cert, config: of(ca), address: b.addr()})
	again.knows("a.example", a.addr())
	carl := again.person("carl")
	if who := a.isGone(); who != "bob@b.example/x" {
		t.Errorf("%s is gone", who)
	}
	carl.hears("<message ", "type='groupchat'", "from='r@muc.a.example'", "<no-store ")
	if n := a.srv.find(pair{"muc.a.example", "b.example"}).attending.Load(); n != 1 {
		t.Errorf("%d attend", n)
	}
	select {
	case text := <-a.rooms.got:
		t.Errorf("the room hears of it: %s", text)
	default:
	}
}

// TestRestoredPeopleAreAsked: a room that was rebuilt remembers people, who may have left meanwhile.
func TestRestoredPeopleAreAsked(t *testing.T) {
	ca := newAuthority(t)
	a, b := neighbours(t, setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca)}, setting{cert: ca.issue(t, []string{"b.example"}), config: of(ca)})
	carl := b.person("carl")
	a.srv.SetLists(nil, []string{"c.example"})
	for who, want := range map[wire.Addr]bool{"bob@b.example/x": true, carl.addr: true, "x@c.example/y": false, "ann@a.example/x": false} {
		if got := a.srv.Attends(who, "muc.a.example"); got != want {
			t.Errorf("%s: %v", who, got)
		}
	}
	if who := a.isGone(); who != "bob@b.example/x" {
		t.Errorf("%s is gone", who)
	}
	carl.hears("<message ", "from='muc.a.example'")
}

// TestPeopleOfAServerThatHangs: a server whose people are in rooms is asked often.
func TestPeopleOfAServerThatHangs(t *testing.T) {
	a, ca := alone(t, func(c *Config) { c.Patience = 300 * time.Millisecond })
	b := newSpot(t, ca.issue(t, []string{"b.example"}))
	a.knows("b.example", b.addr())
	p := trusted(t, a, ca, "b.example")
	p.say("<presence from='bob@b.example/y' to='r@muc.a.example/bob'/>")
	<-a.rooms.got
	begun := time.Now()
	q := b.enabled("b.example") // which is opened to look after him
	q.await("<r ")
	b.l.Close()
	q.ends("connection-timeout")
	if who := a.isGone(); who != "bob@b.example/y" {
		t.Errorf("%s is gone", who)
	}
	c := &a.srv.cfg
	if took, most := time.Since(begun), 2*(c.AttendInterval+c.AnswerTimeout+c.Patience)+longestPause; took > most {
		t.Errorf("it took %v", took)
	}
	// With the defaults that is less than a minute.
	d := Defaults()
	if most := d.AttendInterval + d.AnswerTimeout + d.Patience + longestPause + targetTimeout; most > time.Minute {
		t.Errorf("%v", most)
	}
}

// TestPingsUnderLoad: a server that does not count is asked once a second, and sooner when much waits for its answer.
func TestPingsUnderLoad(t *testing.T) {
	srv := lonely(t, (*authority)(nil).issue(t, []string{"a.example"}))
	srv.cfg.QueueStanzas = 80
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	s := newStream(srv, ours, true)
	s.hush()
	srv.attach(pair{"a.example", "b.example"}, s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quiet = 0
	s.ack.askedAt = time.Now().Add(time.Hour) // a moment ago, whatever the machine does meanwhile
	say := func(n int) string {
		for range n {
			s.queue.push(entry{o: s.outbounds[0], to: "bob@b.example/y", kind: wire.Message, tail: []byte(" from='ann@a.example/x'/>")})
		}
		return string(s.takeLocked(nil))
	}
	if got := say(10); strings.Contains(got, "<ping ") {
		t.Errorf("asked at once: %s", got)
	}
	if got := say(1); !strings.Contains(got, "<ping ") {
		t.Errorf("not asked: %s", got)
	}
	if got := say(50); strings.Contains(got, "<ping ") {
		t.Errorf("asked again before it has answered: %s", got)
	}
}
