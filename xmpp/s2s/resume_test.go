package s2s

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/peertest/way"
)

// resumable accepts a stream that may be resumed.
func (s *spot) resumable(domain, id string) *peer {
	s.t.Helper()
	p := s.established(domain, offersCounts)
	p.expect("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	p.say("<enabled xmlns='urn:xmpp:sm:3' resume='true' id='" + id + "'/>")
	return p
}

// unhurried is a configuration for tests whose peers answer late on a busy machine.
func unhurried(c *Config) {
	c.Patience, c.AnswerTimeout, c.DialTimeout, c.LoginTimeout = time.Minute, 30*time.Second, 30*time.Second, 30*time.Second
}

// TestResumedAsInitiator: what the other server has handled is not sent again, the rest is, requests too; and the stream may be cut once
// more.
func TestResumedAsInitiator(t *testing.T) {
	a, b, ann := facing(t, unhurried)
	ann.says("<message to='bob@b.example/y' id='1'/>")
	p := b.resumable("b.example", "some&amp;id")
	p.expect("id='1'")
	for i := 2; i <= 5; i++ {
		ann.says(fmt.Sprintf("<iq to='bob@b.example/y' type='set' id='%d'><x xmlns='y'/></iq>", i))
		p.await(fmt.Sprintf("id='%d'", i))
	}
	for _, h := range []int{2, 3} {
		p.nc.Close()
		eventually(t, "the stream stays", func() bool { ours, _ := a.srv.Streams(); return ours == 0 })
		if h == 2 {
			ann.says("<message to='bob@b.example/y' id='6'/>")
		}
		p = b.established("b.example", offersCounts)
		p.expect("<resume xmlns='urn:xmpp:sm:3'", " h='0'", " previd='some&amp;id'")
		p.say(fmt.Sprintf("<resumed xmlns='urn:xmpp:sm:3' previd='some&amp;id' h='%d'/>", h))
		for i := h + 1; i <= 6; i++ {
			if got := p.read(); !strings.Contains(got, fmt.Sprintf("id='%d'", i)) {
				t.Fatalf("%s where %d was due", got, i)
			}
		}
		p.expect("<r ")
	}
	p.say("<a xmlns='urn:xmpp:sm:3' h='6'/>")
	eventually(t, "what was counted stays", func() bool { return a.waiting() == 0 })
	ann.hearsNothing()
}

// TestResumptionRefused: with a count, what was not handled is certain; without one, it is sent as after any loss.
func TestResumptionRefused(t *testing.T) {
	for _, count := range []string{"", " h='2'"} {
		t.Run(count, func(t *testing.T) {
			_, b, ann := facing(t, unhurried)
			ann.says("<message to='bob@b.example/y' id='1'/>")
			p := b.resumable("b.example", "x")
			p.expect("id='1'")
			ann.says("<message to='bob@b.example/y' id='2'/>")
			p.await("id='2'")
			ann.says("<iq to='bob@b.example/y' type='get' id='3'><x xmlns='y'/></iq>")
			p.await("id='3'")
			p.nc.Close()
			p = b.established("b.example", offersCounts)
			p.expect("<resume ")
			p.say("<failed xmlns='urn:xmpp:sm:3'" + count + "><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")
			p.expect("<enable ", "resume='true'")
			p.say("<enabled xmlns='urn:xmpp:sm:3'/>")
			if count == "" {
				ann.hears("id='3'", "type='error'", "<remote-server-timeout ")
				p.expect("id='1'")
				p.expect("id='2'")
			} else {
				p.expect("id='3'")
			}
			ann.hearsNothing()
		})
	}
}

// TestResumedWrong: who claims to have handled more than was sent is not believed, and gets what waits over another stream.
func TestResumedWrong(t *testing.T) {
	for answer, condition := range map[string]string{
		"<resumed xmlns='urn:xmpp:sm:3' previd='x' h='2'/>": "undefined-condition",
		"<resumed xmlns='urn:xmpp:sm:3' previd='x'/>":       "bad-format",
		"<resumed xmlns='urn:xmpp:sm:3' previd='y' h='1'/>": "bad-format",
	} {
		t.Run(answer, func(t *testing.T) {
			_, b, ann := facing(t, unhurried)
			ann.says("<message to='bob@b.example/y' id='1'/>")
			p := b.resumable("b.example", "x")
			p.expect("id='1'")
			p.nc.Close()
			p = b.established("b.example", offersCounts)
			p.expect("<resume ")
			p.say(answer)
			p.ends(condition)
			p = b.established("b.example", offersCounts)
			if got := p.read(); strings.Contains(got, "<resume ") {
				p.say("<failed xmlns='urn:xmpp:sm:3'/>")
				p.expect("<enable ")
			}
			p.say("<failed xmlns='urn:xmpp:sm:3'/>")
			p.expect("id='1'")
			ann.hearsNothing()
		})
	}
}

// TestHungStreamIsResumed: what is silent is taken for cut, and not closed with an error, which would be its end.
func TestHungStreamIsResumed(t *testing.T) {
	a, b, ann := facing(t)
	ann.says("<message to='bob@b.example/y' id='1'/>")
	p := b.resumable("b.example", "x")
	p.expect("id='1'")
	p.expect("<r ")
	if got := p.read(); got != "" {
		t.Fatalf("%s before the end of the connection", got)
	}
	p = b.established("b.example", offersCounts)
	p.expect("<resume ")
	p.say("<resumed xmlns='urn:xmpp:sm:3' previd='x' h='1'/>")
	eventually(t, "what was counted stays", func() bool { return a.waiting() == 0 })
	ann.hearsNothing()
}

// back is a peer that the place takes for a domain, over a stream that goes both ways.
func back(t testing.TB, at *place, ca *authority, domain string) *peer {
	t.Helper()
	p := dialPeer(t, at)
	p.secure(domain, at.domain, ca.issue(t, []string{domain}))
	p.say("<bidi xmlns='urn:xmpp:bidi'/>")
	p.external(domain, at.domain)
	return p
}

// enable has a peer ask for a stream that can be resumed.
func (p *peer) enable() (id string) {
	p.t.Helper()
	p.say("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	got := p.await("<enabled ", " resume='true'", " max='30'")
	_, id, _ = strings.Cut(got, " id='")
	id, _, _ = strings.Cut(id, "'")
	return id
}

func (p *peer) resume(id string, h int) {
	p.t.Helper()
	p.say(fmt.Sprintf("<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%d'/>", id, h))
}

// TestResumedAsReceiver: the other server comes back, before or after we have noticed that it was gone, and hears what we have handled
// and what it has not.
func TestResumedAsReceiver(t *testing.T) {
	for _, noticed := range []bool{true, false} {
		t.Run(fmt.Sprint(noticed), func(t *testing.T) {
			a, ca := alone(t, unhurried)
			ann := a.person("ann")
			p := back(t, a, ca, "b.example")
			id := p.enable()
			for i := 1; i <= 3; i++ {
				p.say(fmt.Sprintf("<message from='bob@b.example/y' to='ann@a.example/x' id='in%d'/>", i))
				ann.hears(fmt.Sprintf("id='in%d'", i))
			}
			for i := 1; i <= 3; i++ {
				ann.says(fmt.Sprintf("<iq to='bob@b.example/y' type='set' id='%d'><x xmlns='y'/></iq>", i))
				p.await(fmt.Sprintf("id='%d'", i))
			}
			if noticed {
				p.nc.Close()
				eventually(t, "the stream stays", func() bool { _, theirs := a.srv.Streams(); return theirs == 0 })
			}
			ann.says("<message to='bob@b.example/y' id='4'/>")
			p = back(t, a, ca, "b.example")
			p.resume(id, 1)
			p.expect("<resumed ", " previd='"+id+"'", " h='3'")
			for i := 2; i <= 4; i++ {
				if got := p.read(); !strings.Contains(got, fmt.Sprintf("id='%d'", i)) {
					t.Fatalf("%s where %d was due", got, i)
				}
			}
			p.expect("<r ")
			p.say("<message from='bob@b.example/y' to='ann@a.example/x' id='in4'/><a xmlns='urn:xmpp:sm:3' h='4'/><r xmlns='urn:xmpp:sm:3'/>")
			ann.hears("id='in4'")
			p.expect("<a ", "h='4'")
			eventually(t, "what was counted stays", func() bool { return a.waiting() == 0 })
			// It may be cut once more.
			p.nc.Close()
			p = back(t, a, ca, "b.example")
			p.resume(id, 4)
			p.expect("<resumed ", " h='4'")
			ann.hearsNothing()
		})
	}
}

// TestResumptionIsRefused: an id is good for the domain that it was given to, for a stream that broke, and for a while.
func TestResumptionIsRefused(t *testing.T) {
	a, ca := alone(t, unhurried)
	ann := a.person("ann")
	p := back(t, a, ca, "b.example")
	id := p.enable()
	p.say("<message from='bob@b.example/y' to='ann@a.example/x' id='in'/>")
	ann.hears("id='in'")
	ann.says("<message to='bob@b.example/y' id='1'/>")
	p.await("id='1'")

	stranger := back(t, a, ca, "c.example")
	stranger.resume(id, 0)
	if got := stranger.expect("<failed ", "<item-not-found "); strings.Contains(got, " h=") {
		t.Error(got)
	}
	unproved := dialPeer(t, a)
	unproved.secure("b.example", "a.example")
	unproved.resume(id, 0)
	unproved.expect("<failed ", "<unexpected-request ")
	p.say("<r xmlns='urn:xmpp:sm:3'/>") // nobody has ended it
	p.await("<a ", "h='1'")

	p.nc.Close()
	eventually(t, "the stream stays", func() bool { return a.srv.resumableAs(id).cut != nil })
	thief := back(t, a, ca, "c.example")
	thief.resume(id, 0)
	if got := thief.expect("<failed ", "<item-not-found "); strings.Contains(got, " h=") {
		t.Error(got)
	}
	oneWay := trusted(t, a, ca, "b.example")
	oneWay.resume(id, 0)
	oneWay.expect("<failed ", "<item-not-found ")
	wrong := back(t, a, ca, "b.example")
	wrong.resume(id, 2)
	wrong.ends("undefined-condition")
	malformed := back(t, a, ca, "b.example")
	malformed.say("<resume xmlns='urn:xmpp:sm:3' previd='" + id + "'/>")
	malformed.ends("bad-format")

	// Too late: it hears what was handled, and what waits for it comes as after any loss.
	a.srv.sweepCuts(time.Now().Add(a.srv.window()))
	late := back(t, a, ca, "b.example")
	late.expect("id='1'")
	other := back(t, a, ca, "b.example")
	other.resume(id, 0)
	other.expect("<failed ", " h='1'", "<item-not-found ")
	other.resume(id, 0)
	if got := other.expect("<failed ", "<item-not-found "); strings.Contains(got, " h=") {
		t.Error(got)
	}

	// One that was closed is not resumed.
	id = other.enable()
	other.say("</stream:stream>")
	other.await("</stream:stream>")
	eventually(t, "the stream stays", func() bool { return a.srv.resumableAs(id) == resumable{} })
}

// TestNotResumed: a peer that comes back and begins anew gets what waited, once it has shown that.
func TestNotResumed(t *testing.T) {
	a, ca := alone(t, unhurried)
	ann := a.person("ann")
	p := back(t, a, ca, "b.example")
	p.enable()
	ann.says("<message to='bob@b.example/y' id='1'/>")
	p.await("id='1'")
	p.nc.Close()
	eventually(t, "the stream stays", func() bool { _, theirs := a.srv.Streams(); return theirs == 0 })
	ann.says("<message to='bob@b.example/y' id='2'/>")
	p = back(t, a, ca, "b.example")
	p.say("<message from='bob@b.example/y' to='ann@a.example/x' id='in'/>")
	ann.hears("id='in'")
	p.expect("id='1'")
	p.expect("id='2'")
}

// TestHR9ResumptionWaits: a stanza whose handling waits for a commit is handled when the stream is resumed, and not before.
func TestHR9ResumptionWaits(t *testing.T) {
	a, ca := alone(t, unhurried)
	a.rooms.hold = true
	p := trusted(t, a, ca, "b.example")
	id := p.enable()
	p.say("<message from='bob@b.example/y' to='r@muc.a.example' type='groupchat'/><r xmlns='urn:xmpp:sm:3'/>")
	p.expect("<a ", "h='0'")
	p.nc.Close()
	p = trusted(t, a, ca, "b.example")
	p.resume(id, 0)
	p.nc.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := p.nc.Read(make([]byte, 100)); n > 0 || err == nil {
		t.Fatal("it was answered before the commit")
	}
	// TLS connections do not survive that deadline: the peer comes once more.
	p.nc.Close()
	a.rooms.mu.Lock()
	releases := a.rooms.releases
	a.rooms.mu.Unlock()
	releases[0]()
	p = trusted(t, a, ca, "b.example")
	p.resume(id, 0)
	p.expect("<resumed ", "h='1'")
}

// TestHS5CutsAreBounded: a domain that leaves many streams behind cannot resume them all.
func TestHS5CutsAreBounded(t *testing.T) {
	a, ca := alone(t, unhurried)
	cert := ca.issue(t, []string{"b.example"})
	for range mostCuts + 5 {
		p := dialPeer(t, a)
		p.secure("b.example", "a.example", cert)
		p.external("b.example", "a.example")
		p.say("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
		p.await("<enabled ")
		p.nc.Close()
	}
	eventually(t, "streams stay", func() bool { _, theirs := a.srv.Streams(); return theirs == 0 })
	a.srv.mu.Lock()
	n := len(a.srv.resumable)
	a.srv.mu.Unlock()
	if n != mostCuts || a.counted("limit.s2s") != 5 {
		t.Errorf("%d are kept, %v refused", n, a.counted("limit.s2s"))
	}
}

// TestNothingLostNothingTwice: two servers talk both ways while what is between them is cut again and again, and everything
// arrives once, in order.
func TestNothingLostNothingTwice(t *testing.T) {
	ca := newAuthority(t)
	config := of(ca, unhurried, func(c *Config) { c.Peer.Stanzas.PerSecond = 1e6 })
	a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: config})
	b := newPlace(t, "b.example", setting{cert: ca.issue(t, []string{"b.example"}), config: config})
	there, here := way.To(t, b.addr()), way.To(t, a.addr())
	a.knows("b.example", there.Addr())
	b.knows("a.example", here.Addr())
	ann, bob := a.person("ann"), b.person("bob")
	ann.says("<message to='bob@b.example/x' id='first'/>")
	bob.hears("id='first'")
	bob.says("<message to='ann@a.example/x' id='first'/>")
	ann.hears("id='first'")
	const most, cuts = 3000, 6 // stanzas each way, and how often they are cut
	var group sync.WaitGroup
	for _, pair := range []struct{ from, to *person }{{ann, bob}, {bob, ann}} {
		group.Go(func() {
			for i := range most {
				kind := "<message to='" + string(pair.to.addr) + "' id='%d'/>"
				if i%3 == 0 {
					kind = "<iq to='" + string(pair.to.addr) + "' type='set' id='%d'><x xmlns='y'/></iq>"
				}
				pair.from.says(fmt.Sprintf(kind, i))
				if i%(most/cuts) == most/cuts-1 {
					there.Cut()
					here.Cut()
				}
			}
		})
	}
	group.Wait()
	for _, x := range []*person{ann, bob} {
		for i := range most {
			x.hears(fmt.Sprintf("id='%d'", i), "id='")
		}
	}
	ann.hearsNothing()
	bob.hearsNothing()
}
