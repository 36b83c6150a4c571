package s2s

import (
	"context"
	"strings"
	"testing"
	"time"

	"parley/internal/limit"
)

// TestHS5OpenedAndIdle: a stream that does not get anywhere ends.
func TestHS5OpenedAndIdle(t *testing.T) {
	ca := newAuthority(t)
	a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca, func(c *Config) { c.LoginTimeout, c.HandshakeTimeout = 300*time.Millisecond, 200*time.Millisecond })})
	silent := dialPeer(t, a)
	open := dialPeer(t, a)
	open.secure("b.example", "a.example")
	half := dialPeer(t, a)
	half.open("b.example", "a.example")
	half.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	half.expect("<proceed")
	silent.expect("<stream:stream")
	silent.ends("connection-timeout")
	open.ends("connection-timeout")
	if got := half.read(); got != "" {
		t.Error(got)
	}
	// One that got somewhere stays.
	p := trusted(t, a, ca, "b.example")
	time.Sleep(400 * time.Millisecond)
	p.say("<iq from='b.example' to='a.example' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
	eventually(t, "the stream has ended", func() bool { _, n := a.srv.Streams(); return n == 1 })
}

// TestHS5Sizes: small before the other server has shown who it is, large after.
func TestHS5Sizes(t *testing.T) {
	ca := newAuthority(t)
	a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca)})
	ann := a.person("ann")
	p := dialPeer(t, a)
	p.secure("b.example", "a.example")
	p.say("<db:verify from='b.example' to='a.example' id='" + strings.Repeat("x", 11_000) + "'/>")
	p.ends("policy-violation")
	p = trusted(t, a, ca, "b.example")
	message := func(size int) string {
		const head, tail = "<message from='b@b.example/y' to='ann@a.example/x'><body>", "</body></message>"
		return head + strings.Repeat("x", size-len(head)-len(tail)) + tail
	}
	p.say(message(524_288))
	ann.hears("xxx")
	p.say("<message from='b@b.example/y' to='ann@a.example/x' id='1'/>")
	ann.hears("id='1'")
	p.say(message(524_289))
	if got := p.await("<stream:error>", "<policy-violation "); !strings.Contains(got, "524288") {
		t.Error(got)
	}
	ann.hearsNothing()
}

// TestHS5Flood: a server that says too much waits, and others do not.
func TestHS5Flood(t *testing.T) {
	ca := newAuthority(t)
	a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca, func(c *Config) { c.Peer.Stanzas = limit.Rate{PerSecond: 100, Burst: 50} })})
	ann := a.person("ann")
	flood, calm := trusted(t, a, ca, "b.example"), trusted(t, a, ca, "c.example")
	begun := time.Now()
	flood.say(strings.Repeat("<message from='b@b.example/y' to='ann@a.example/x'/>", 100))
	for range 50 {
		ann.hears("b@b.example")
	}
	calm.say("<message from='c@c.example/y' to='ann@a.example/x'/>")
	for n := 0; n < 50; {
		got := ann.hears()
		if strings.Contains(got, "c@c.example") {
			if n > 40 {
				t.Errorf("it waits behind %d of the flood", n)
			}
			continue
		}
		n++
	}
	// Half a second is due: what is over the rate waits for its own turn, not for the turns of all before it as well.
	if took := time.Since(begun); took < 300*time.Millisecond || took > 5*time.Second {
		t.Errorf("the flood took %v", took)
	}
	if a.counted("limit.s2s") == 0 {
		t.Error("not counted")
	}
}

// TestHS5WhiteSpace: keep-alives are fine, a flood of them is not.
func TestHS5WhiteSpace(t *testing.T) {
	ca := newAuthority(t)
	a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca)})
	p := trusted(t, a, ca, "b.example")
	for range 40 {
		p.say(" ")
		time.Sleep(time.Millisecond)
	}
	p.ends("policy-violation")
}

// TestHS5BlockedAtRunTime: a domain that is blocked is cut off, and stays out.
func TestHS5BlockedAtRunTime(t *testing.T) {
	ca := newAuthority(t)
	a, b := neighbours(t, setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca)}, setting{cert: ca.issue(t, []string{"b.example"}), config: of(ca)})
	ann, bob := a.person("ann"), b.person("bob")
	ann.says("<message to='bob@b.example/x' id='1'/>")
	bob.hears("id='1'")
	p, q := trusted(t, a, ca, "muc.b.example"), trusted(t, a, ca, "c.example")
	bob.says("<presence to='r@muc.a.example/bob'/>")
	<-a.rooms.got
	a.srv.SetLists(nil, []string{"b.example"})
	p.ends("policy-violation")
	eventually(t, "streams stay", func() bool { ours, theirs := a.srv.Streams(); return ours == 0 && theirs == 1 })
	if who := a.isGone(); who != bob.addr {
		t.Errorf("%s is gone", who)
	}
	ann.says("<message to='bob@b.example/x' id='2'/>")
	about(ann, "id='2'", "<not-allowed ")
	bob.says("<message to='ann@a.example/x' id='3'/>")
	about(bob, "id='3'", "type='error'")
	q.say("<message from='x@c.example/y' to='ann@a.example/x' id='4'/>")
	ann.hears("id='4'")
	a.srv.SetLists([]string{"b.example"}, nil)
	q.ends("policy-violation")
	ann.says("<message to='bob@b.example/x' id='5'/>")
	about(bob, "id='5'")
}

// about waits for what has an id, and what else it must hold. Before it may come back what nobody had acknowledged when a stream
// was cut.
func about(x *person, id string, parts ...string) {
	x.t.Helper()
	for {
		got := x.hears()
		if !strings.Contains(got, id) {
			continue
		}
		for _, part := range parts {
			if !strings.Contains(got, part) {
				x.t.Errorf("%s got %s, want %q", x.addr, got, part)
			}
		}
		return
	}
}

// TestHS5Connections: of one source that are not authenticated, and of one domain that are.
func TestHS5Connections(t *testing.T) {
	ca := newAuthority(t)
	a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca, func(c *Config) { c.OpenPerSource, c.StreamsPerDomain = 3, 2 })})
	first, second := trusted(t, a, ca, "b.example"), trusted(t, a, ca, "b.example")
	p := dialPeer(t, a)
	p.secure("b.example", "a.example", ca.issue(t, []string{"b.example"}))
	p.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>")
	p.expect("<failure", "<temporary-auth-failure/>")
	dialPeer(t, a).open("c.example", "a.example")
	dialPeer(t, a).open("c.example", "a.example")
	if got := dialPeer(t, a).read(); got != "" {
		t.Error(got)
	}
	p.nc.Close()
	first.nc.Close()
	eventually(t, "streams stay", func() bool { _, n := a.srv.Streams(); return n == 3 })
	trusted(t, a, ca, "b.example")
	second.say("<iq from='b.example' to='a.example' type='result' id='1'/>")
}

// TestHF12FullProcess: near the limits of the process no new stream is taken, and the other server is told.
func TestHF12FullProcess(t *testing.T) {
	ca := newAuthority(t)
	a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca), full: func() bool { return true }})
	p := dialPeer(t, a)
	p.expect("<stream:stream", "from='a.example'")
	p.ends("resource-constraint")
}

// TestCloseSaysGoodbye: what waits is written, then streams end with system-shutdown.
func TestCloseSaysGoodbye(t *testing.T) {
	ca := newAuthority(t)
	a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca)})
	b := newSpot(t, ca.issue(t, []string{"b.example"}))
	a.knows("b.example", b.addr())
	ann := a.person("ann")
	ann.says("<message to='bob@b.example/y' id='1'/>")
	p := b.enabled("b.example")
	p.expect("id='1'")
	in := trusted(t, a, ca, "b.example")
	ann.says("<message to='bob@b.example/y' id='2'/>")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := a.srv.Close(ctx); err != nil {
		t.Error(err)
	}
	p.await("id='2'")
	p.ends("system-shutdown")
	in.ends("system-shutdown")
}
