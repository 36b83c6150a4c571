package c2s

import (
	"fmt"
	"testing"

	"parley/xmpp/wire"
)

// held returns how many stanzas were queued and not written.
func (s *Session) held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.Len() - s.queue.sent
}

func TestCanWait(t *testing.T) {
	const typing = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
	for _, c := range []struct {
		kind wire.Kind
		tail string
		want bool
	}{
		{wire.Presence, " from='a@b/c'/>", true},
		{wire.Presence, " from='a@b/c' type='unavailable'/>", true},
		{wire.Presence, ` from='a@b/c' type="unavailable"><status>gone</status></presence>`, true},
		{wire.Presence, " from='a@b' type='subscribe'/>", false},
		{wire.Presence, " from='a@b' type='error'><error/></presence>", false},
		{wire.Presence, " from='r@b/me'><x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x></presence>", false},
		{wire.Message, " from='a@b/c'>" + typing + "</message>", true},
		{wire.Message, " from='a@b/c'>" + typing + "<thread>1</thread><no-store xmlns='urn:xmpp:hints'/></message>", true},
		{wire.Message, " from='a@b/c' type='groupchat'><active xmlns='http://jabber.org/protocol/chatstates'/><occupant-id xmlns='urn:xmpp:occupant-id:0' id='x'/><stanza-id xmlns='urn:xmpp:sid:0' id='1' by='r'/></message>", true},
		{wire.Message, " from='a@b/c'>" + typing + "<body>x</body></message>", false},
		{wire.Message, " from='a@b/c'>" + typing + "<subject/></message>", false},
		{wire.Message, " from='a@b/c'>" + typing + "<encrypted xmlns='eu.siacs.conversations.axolotl'/></message>", false},
		{wire.Message, " from='a@b/c'>" + typing + "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/></message>", false},
		{wire.Message, " from='a@b/c' type='error'>" + typing + "<error/></message>", false},
		{wire.Message, " from='a@b/c'><no-store xmlns='urn:xmpp:hints'/></message>", false},
		{wire.Message, " from='a@b/c'/>", false},
		{wire.Message, " from='a@b'><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='x'>" + typing + "</message></forwarded></received></message>", true},
		{wire.Message, " from='a@b'><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='x'><body>x</body>" + typing + "</message></forwarded></received></message>", false},
		{wire.IQ, " from='a@b/c' type='get'><ping xmlns='urn:xmpp:ping'/></iq>", false},
	} {
		if got := canWait(c.kind, []byte(c.tail)); got != c.want {
			t.Errorf("%v%s: %v", c.kind, c.tail, got)
		}
	}
}

func TestInactiveClientSeesTheLastOfEachWhenItLooks(t *testing.T) {
	w := newWorld(t, nil)
	p := w.client("ann", "a")
	s := w.session(p.JID)
	p.Send("<inactive xmlns='urn:xmpp:csi:0'/>")
	p.Ping()
	put := func(kind wire.Kind, tail string) {
		s.Deliver(nil, "", wire.Stanza{Kind: kind, Tail: []byte(tail)})
	}
	for i := range 1000 {
		for _, who := range []string{"x", "y"} {
			put(wire.Presence, fmt.Sprintf(" from='r@muc.x.net/%s'><status>%d</status></presence>", who, i))
		}
		put(wire.Message, fmt.Sprintf(" from='bob@x.net/b' id='c%d'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>", i))
		if n := s.held(); n > squeezed+3 {
			t.Fatalf("%d stanzas of three kinds wait", n)
		}
	}
	put(wire.Presence, " from='bob@x.net' type='subscribe'/>")
	p.Expect("<status>999</status>", "muc.x.net/x")
	p.Expect("<status>999</status>", "muc.x.net/y")
	p.Expect("id='c999'")
	p.Expect("subscribe")

	put(wire.Presence, " from='r@muc.x.net/x'><status>first</status></presence>")
	put(wire.Presence, " from='r@muc.x.net/x'><status>last</status></presence>")
	p.Send("<active xmlns='urn:xmpp:csi:0'/>")
	p.Expect("<status>last</status>")
	put(wire.Presence, " from='r@muc.x.net/x'><status>active</status></presence>")
	p.Expect("<status>active</status>")
}

func TestHC4InactiveClientIsNotCutOffForWhatItDoesNotWantToSee(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.QueueStanzas = 40 })
	p := w.client("ann", "a")
	s := w.session(p.JID)
	p.Send("<inactive xmlns='urn:xmpp:csi:0'/>")
	p.Ping()
	for i := range 200 { // of many, so that nothing replaces anything
		s.Deliver(nil, "", wire.Stanza{Kind: wire.Presence, Tail: []byte(fmt.Sprintf(" from='r@muc.x.net/%d'/>", i))})
		if n := s.held(); n > 40 {
			t.Fatalf("%d stanzas wait", n)
		}
		if i%20 == 19 {
			p.Await(fmt.Sprintf("r@muc.x.net/%d'", i-i%20))
		}
	}
	p.Ping()
}
