package kill

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/peertest"
)

const call = "call@muc.localhost"

// caller is a member of a conference in the Jitsi dialect, without media: its answers are such a client's.
type caller struct {
	*dweller
	nick     string
	sid      string // of the session that it has accepted, or is about to
	sessions int    // that it was offered
	settled  bool   // nothing is to be heard of anybody's presence
	knows    map[string]bool
	results  map[string]bool
	asked    int
	here     map[string]bool // nicks
}

func newCaller(t testing.TB, at *home, d door, nick string) *caller {
	t.Helper()
	v := &caller{dweller: newDweller(t, at, d, "guest"), nick: nick, knows: make(map[string]bool), results: make(map[string]bool), here: make(map[string]bool)}
	v.on = v.take
	v.state = func() string {
		return fmt.Sprint(v.nick, " has ", v.results, " of session ", v.sid, ", sees ", v.here, " and knows ", v.knows)
	}
	return v
}

// ours is the name of a source in what the focus sends. Whoever is slow to say what it can do is sent the compact form.
var ours = regexp.MustCompile(`(?:name='|"n":"|&quot;n&quot;:&quot;)([0-9a-f]{8}-[av][0-9])`)

func (v *caller) take(e string) {
	start := startTag(e)
	from, id, typ := peertest.Attr(start, "from"), peertest.Attr(start, "id"), peertest.Attr(start, "type")
	switch {
	case typ == "error":
		v.t.Errorf("%s: %s", v.nick, e)
	case strings.HasPrefix(e, "<presence"):
		nick := strings.TrimPrefix(from, call+"/")
		if v.settled {
			v.t.Errorf("%s is told %s", v.nick, e)
		}
		v.here[nick] = typ != "unavailable"
	case strings.HasPrefix(e, "<message"):
	case typ == "result":
		if v.results[id] {
			v.t.Errorf("%s has two results of %s", v.nick, id)
		}
		v.results[id] = true
	case strings.Contains(e, "disco#info"):
		v.result(from, id, "<query xmlns='http://jabber.org/protocol/disco#info'><feature var='urn:xmpp:jingle:apps:rtp:audio'/><feature var='urn:xmpp:jingle:apps:rtp:video'/><feature var='urn:ietf:rfc:4588'/></query>")
	default:
		v.jingle(e, from, id)
	}
}

func (v *caller) jingle(e, from, id string) {
	_, element, _ := strings.Cut(e, "<jingle")
	action, sid := peertest.Attr(element, "action"), peertest.Attr(element, "sid")
	v.result(from, id, "")
	if action != "session-initiate" && sid != v.sid {
		v.t.Errorf("%s: %s of session %q, it has %q", v.nick, action, sid, v.sid)
	}
	names := make(map[string]bool) // a source and its retransmission have one
	for _, m := range ours.FindAllStringSubmatch(e, -1) {
		names[m[1]] = true
	}
	switch action {
	case "session-initiate":
		v.sid = sid
		v.sessions++
		v.knows = names
		v.request("accept"+sid, "session-accept", acceptance(v.nick))
	case "source-add", "source-remove":
		for name := range names {
			if v.knows[name] == (action == "source-add") {
				v.t.Errorf("%s: %s of %s, which it knows: %v", v.nick, action, name, v.knows[name])
			}
			v.knows[name] = action == "source-add"
		}
	default:
		v.t.Errorf("%s: %s", v.nick, e)
	}
}

func (v *caller) result(to, id, payload string) {
	v.send("<iq xmlns='jabber:client' type='result' id='" + id + "' to='" + to + "'>" + payload + "</iq>")
	v.ask()
}

func (v *caller) request(id, action, contents string) {
	v.send(fmt.Sprintf("<iq xmlns='jabber:client' type='set' id='%s' to='%s/focus'><jingle xmlns='urn:xmpp:jingle:1' action='%s' sid='%s'>%s</jingle></iq>",
		id, call, action, v.sid, contents))
	v.ask()
}

func number(nick string) uint32 {
	var n uint32
	fmt.Sscanf(nick, "%x", &n)
	return n
}

// acceptance is what a client accepts, with a microphone and a camera.
func acceptance(nick string) string {
	transport := "<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='abcd' pwd='0123456789012345678901'><fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256' setup='active'>" +
		strings.TrimSuffix(strings.Repeat("AB:", 32), ":") + "</fingerprint></transport>"
	return "<content creator='initiator' name='audio' senders='both'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>" +
		"<payload-type id='111' name='opus' clockrate='48000' channels='2'/>" + mediaSource(nick+"-a0", number(nick)) + "</description>" + transport + "</content>" +
		"<content creator='initiator' name='video' senders='both'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>" +
		"<payload-type id='100' name='VP8' clockrate='90000'/>" + mediaSource(nick+"-v0", number(nick)+1) + "</description>" + transport + "</content>" +
		"<group xmlns='urn:xmpp:jingle:apps:grouping:0' semantics='BUNDLE'><content name='audio'/><content name='video'/></group>"
}

func mediaSource(name string, ssrc uint32) string {
	return fmt.Sprintf("<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='%d' name='%s'><parameter name='msid' value='%s stream'/></source>", ssrc, name, name)
}

// enter enters the conference and accepts the session with the bridge.
func (v *caller) enter(others int) {
	v.join()
	v.until("in the call", func() bool { return v.here[v.nick] && (others == 0 || v.results["accept"+v.sid]) })
}

func (v *caller) join() {
	v.send("<iq xmlns='jabber:client' type='set' id='conf' to='focus.localhost'><conference xmlns='http://jitsi.org/protocol/focus' room='" + call + "' machine-uid='" + v.nick + "'/></iq>")
	v.ask()
	v.until("answered", func() bool { return v.results["conf"] })
	v.send("<presence xmlns='jabber:client' to='" + call + "/" + v.nick + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	v.ask()
}

// share adds and removes a screen a number of times.
func (v *caller) share(times int) {
	screen := "<content creator='initiator' name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>" +
		mediaSource(v.nick+"-v1", number(v.nick)+2) + "</description></content>"
	for range times {
		for _, action := range []string{"source-add", "source-remove"} {
			v.asked++
			id := fmt.Sprint(action, v.asked)
			v.request(id, action, screen)
			v.until(action+" answered", func() bool { return v.results[id] && len(v.unacked) == 0 })
		}
	}
}

// knowsAll reports that the client knows what the others send, and nothing else.
func (v *caller) knowsAll(all []*caller) bool {
	for _, o := range all {
		for kind, want := range map[string]bool{"-a0": true, "-v0": true, "-v1": false} {
			if v.knows[o.nick+kind] != (want && o != v) {
				return false
			}
		}
	}
	return true
}

// TestHF8KilledServerKeepsItsConferences kills the server beside its bridge while members of a conference share their screens
// and others come. Nobody who has accepted is offered another session, or told anything twice or not at all.
func TestHF8KilledServerKeepsItsConferences(t *testing.T) {
	at := newHome(t, peertest.ParleyOptions{Args: []string{"--limits=off"}})
	var all []*caller
	for i, d := range []door{websocket, starttls, websocket} {
		v := newCaller(t, at, d, fmt.Sprintf("%08x", 0xa0000000+16*i))
		v.enter(i)
		all = append(all, v)
	}
	bridge := at.server.Bridge()
	sids := make(map[string]string)
	for round := range deaths() {
		for _, v := range all {
			v.until("in the call and shown all", func() bool { return v.results["accept"+v.sid] && v.knowsAll(all) && len(v.unacked) == 0 })
			if was := sids[v.nick]; was != "" && (was != v.sid || v.sessions != 1) {
				t.Errorf("%s had the session %s and has %s, of %d", v.nick, was, v.sid, v.sessions)
			}
			sids[v.nick] = v.sid
		}
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
		killed := make(chan struct{})
		var group sync.WaitGroup
		for _, v := range all {
			v.settled = round%2 == 0
			group.Go(func() {
				v.share(20)
				<-killed
				v.share(1)
			})
		}
		if round%2 == 1 { // somebody comes
			v := newCaller(t, at, direct, fmt.Sprintf("%08x", 0xb0000000+16*round))
			group.Go(func() { v.enter(len(all)) })
			all = append(all, v)
		}
		time.Sleep(rand.N(150 * time.Millisecond))
		at.kill()
		if round%5 == 3 {
			time.Sleep(rand.N(100 * time.Millisecond))
			at.kill()
		}
		close(killed)
		group.Wait()
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
		for _, v := range all {
			v.settled = false
		}
	}
	if now := at.server.Bridge(); now != bridge || bridge == 0 {
		t.Errorf("the bridge was %d and is %d", bridge, now)
	}
}
