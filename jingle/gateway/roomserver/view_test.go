package roomserver

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/jingle"
	"parley/jingle/focus"
	"parley/muc"
	"parley/xmpp/wire"
)

// mesh stands for the focus and the bridge.
type mesh struct {
	h     *house
	lines map[wire.Addr]focus.Caller
	log   []string
	fault *wire.Error
}

func (f *mesh) note(format string, args ...any) {
	f.h.mu.Lock()
	defer f.h.mu.Unlock()
	f.log = append(f.log, fmt.Sprintf(format, args...))
}

// said takes what the focus was told since it was asked last.
func (f *mesh) said() (list []string) {
	synctest.Wait()
	f.h.mu.Lock()
	defer f.h.mu.Unlock()
	list, f.log = f.log, nil
	return list
}

func (f *mesh) Mesh(o muc.Sender, room wire.Addr, sends bool, to focus.Caller, done func(*wire.Error)) {
	f.note("mesh %s sends=%t", f.nick(o.Addr()), sends)
	f.h.mu.Lock()
	f.lines[o.Addr()] = to
	fault := f.fault
	f.h.mu.Unlock()
	done(fault)
}

func (f *mesh) Unmesh(_, o wire.Addr) {
	f.note("unmesh %s", f.nick(o))
	f.h.mu.Lock()
	defer f.h.mu.Unlock()
	delete(f.lines, o)
}
func (f *mesh) Agree(_, o wire.Addr, j *jingle.Jingle) {
	f.note("%s answers %s %s", f.nick(o), j.SID, contents(j))
}
func (f *mesh) Trickle(_, o wire.Addr, list []jingle.Content) {
	f.note("%s trickles %s %s", f.nick(o), list[0].Name, list[0].Transport.Candidates[0].IP)
}
func (f *mesh) Fed(_, o wire.Addr, j *jingle.Jingle) {
	if j.Action == jingle.TransportInfo {
		f.note("%s trickles in %s", f.nick(o), j.SID)
		return
	}
	f.note("%s says %s in %s %s", f.nick(o), j.Action, j.SID, contents(j))
}

func contents(j *jingle.Jingle) (out string) {
	for _, c := range j.Contents {
		out += c.Name + ":" + string(c.Senders) + " "
	}
	return strings.TrimSpace(out)
}

// nick is the nickname of an occupant.
func (f *mesh) nick(o wire.Addr) string {
	f.h.mu.Lock()
	defer f.h.mu.Unlock()
	for at, s := range f.h.nicks {
		if s.Addr() == o {
			return at.Resource()
		}
	}
	return "?"
}

// line is the focus's way to a member; nil: there is none.
func (f *mesh) line(nick string) focus.Caller {
	f.h.mu.Lock()
	defer f.h.mu.Unlock()
	if s := f.h.nicks[wire.Addr("22@muc.x.net/"+nick)]; s != nil {
		return f.lines[s.Addr()]
	}
	return nil
}

// session is one that shows a member somebody.
func session(whose, sid string, senders jingle.Senders) *jingle.Jingle {
	j := &jingle.Jingle{SID: sid, Action: jingle.SessionInitiate, Groups: []jingle.Group{{Semantics: "BUNDLE", Contents: []string{"audio", "video"}}}}
	for i, media := range []string{"audio", "video"} {
		types := []jingle.PayloadType{{ID: 111, Name: "opus", ClockRate: 48000, Channels: 2}}
		if media == "video" {
			types = []jingle.PayloadType{{ID: 100, Name: "VP8", ClockRate: 90000}}
		}
		j.Contents = append(j.Contents, jingle.Content{Creator: jingle.Initiator, Name: media, Senders: senders,
			Description: &jingle.Description{Media: media, RTCPMux: true, PayloadTypes: types,
				Sources: []jingle.Source{{SSRC: uint32(i + 1), Parameters: []jingle.Parameter{{Name: "cname", Value: whose}, {Name: "msid", Value: whose + " " + whose + "-" + media}}}}},
			Transport: &jingle.Transport{Ufrag: "brdg", Password: "rmFZXbZzKTCbDCSCrxeXQmcb", RTCPMux: true,
				Fingerprints: []jingle.Fingerprint{{Hash: "sha-256", Value: strings.TrimSuffix(strings.Repeat("AB:", 32), ":"), Setup: jingle.ActPass}}}})
	}
	return j
}

// offer is the session description in a relayOffer.
func (c *client) offer(m message) string {
	c.t.Helper()
	var d struct{ Type, SDP string }
	if err := json.Unmarshal([]byte(m["msg"].(string)), &d); err != nil || d.Type != "offer" {
		c.t.Fatal(err, m)
	}
	if m["rtcConfig"] == nil || m["subSessionId"] == "" {
		c.t.Errorf("got %v", m)
	}
	return d.SDP
}

// reply is what a client answers to an offer, as a message.
func reply(t *testing.T, offer, remote, ufrag string) string {
	t.Helper()
	text := strings.NewReplacer("a=ice-ufrag:brdg", "a=ice-ufrag:"+ufrag, "actpass", "active", "a=sendonly", "a=recvonly").Replace(offer)
	msg, err := json.Marshal(map[string]string{"type": "answer", "sdp": text})
	if err != nil {
		t.Fatal(err)
	}
	quoted, _ := json.Marshal(string(msg))
	return `{"cmd":"answer","remoteUid":"` + remote + `","msg":` + string(quoted) + `}`
}

// bridged runs a test of a door behind which there is a bridge.
func bridged(t *testing.T, change func(*Config), f func(t *testing.T, h *house, b *mesh)) {
	t.Helper()
	bubble(t, change, func(t *testing.T, h *house) {
		b := &mesh{h: h, lines: make(map[wire.Addr]focus.Caller)}
		h.service.parts.Focus, h.mesh = b, b
		f(t, h, b)
	})
}

// come has somebody of another protocol show presence to everybody.
func (h *house) come(nick, inner string) {
	h.shows(nick, ">"+inner+"</presence>")
}

func (h *house) shows(nick, rest string) {
	h.mu.Lock()
	var list []muc.Sender
	for _, s := range h.nicks {
		list = append(list, s)
	}
	h.mu.Unlock()
	for _, s := range list {
		s.Deliver(nil, "", wire.Stanza{Kind: wire.Presence, Tail: []byte(" from='22@muc.x.net/" + nick + "'" + rest)})
	}
	synctest.Wait()
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the focus is told %q, not %q", got, want)
	}
}

func TestR24_TheGateFollowsTheMembers(t *testing.T) {
	bridged(t, nil, func(t *testing.T, h *house, b *mesh) {
		u0, u9 := h.pair()
		same(t, b.said())
		u5 := h.client("u5")
		u5.say(`{"cmd":"join","talkType":3}`)
		u5.is(u5.one("respJoin"), map[string]any{"gate": 1})
		for _, c := range []*client{u0, u9} {
			list := c.all("notifyGate", "notifyNewPeer")
			c.is(list[0], map[string]any{"gate": 1, "roomId": "22"})
			c.is(list[1], map[string]any{"uid": "u5"})
		}
		same(t, b.said(), "mesh u0 sends=true", "mesh u9 sends=true", "mesh client_0 sends=false")
		// Offers of clients go nowhere, and neither do answers and candidates to those.
		u0.say(`{"cmd":"offer","remoteUid":"u5","msg":"{}"}`)
		u0.is(u0.one("respOffer"), map[string]any{"result": 0})
		u0.say(`{"cmd":"answer","remoteUid":"u5","msg":"{}"}`)
		u0.is(u0.one("respAnswer"), map[string]any{"result": 0})
		u0.say(`{"cmd":"candidate","remoteUid":"u5","msg":"{\"candidate\":\"x\"}"}`)
		u0.is(u0.one("respCandidate"), map[string]any{"result": 0})
		u5.none()
		same(t, b.said())
		// One goes: for a while nothing changes.
		u5.say(`{"cmd":"leave"}`)
		u5.one("respLeave")
		u0.is(u0.one("relayLeave"), map[string]any{"gate": 1})
		u9.one("relayLeave")
		same(t, b.said(), "unmesh client_0")
		time.Sleep(29 * time.Second)
		u0.none()
		u0.say(`{"cmd":"keepLive"}`)
		u9.say(`{"cmd":"keepLive"}`)
		u0.one("respKeepLive")
		u9.one("respKeepLive")
		time.Sleep(2 * time.Second)
		list := u0.all("notifyGate", "notifyNewPeer") // who was there first offers
		u0.is(list[0], map[string]any{"gate": 0})
		u0.is(list[1], map[string]any{"uid": "u9"})
		u9.is(u9.one("notifyGate"), map[string]any{"gate": 0})
		same(t, b.said(), "unmesh u0", "unmesh u9")
		u0.say(`{"cmd":"offer","remoteUid":"u9","msg":"{}"}`)
		u0.one("respOffer")
		u9.one("relayOffer")
	})
}

func TestR24_WhoComesBackInTimeKeepsTheGateOpen(t *testing.T) {
	bridged(t, nil, func(t *testing.T, h *house, b *mesh) {
		u0, u9 := h.pair()
		u5 := h.join("u5")
		u5.say(`{"cmd":"leave"}`)
		time.Sleep(20 * time.Second)
		h.join("u7")
		u0.got()
		u9.got()
		b.said()
		time.Sleep(15 * time.Second)
		same(t, b.said())
		u0.none()
	})
}

func TestR24_ADoorThatIsP2PStaysSo(t *testing.T) {
	bridged(t, func(c *Config) { c.Gate = gateNever }, func(t *testing.T, h *house, b *mesh) {
		u0, _ := h.pair()
		h.join("u5")
		u0.one("notifyNewPeer")
		h.come("bob", "<SourceInfo>{}</SourceInfo>")
		u0.none()
		same(t, b.said())
		c := h.client("u6")
		c.say(`{"cmd":"join"}`)
		c.is(c.one("respJoin"), map[string]any{"result": 1, "desc": "room is full, it up to max number:3"})
	})
}

func TestR24_TheBridgeOffersInTheNameOfEach(t *testing.T) {
	bridged(t, nil, func(t *testing.T, h *house, b *mesh) {
		u0, u9 := h.pair()
		h.join("u5")
		u0.got()
		u9.got()
		b.said()
		line := b.line("u0")
		line.Accepted(session("u9", "m", jingle.Both))
		line.Feed(session("u5", "f", jingle.InitiatorSends))
		list := u0.all("relayOffer", "relayOffer")
		u0.is(list[0], map[string]any{"uid": "u9", "uname": "u9", "remoteUid": "u0"})
		main, feed := u0.offer(list[0]), u0.offer(list[1])
		if !strings.Contains(main, "a=msid:u9 ") || !strings.Contains(main, "a=sendrecv") || !strings.Contains(feed, "a=msid:u5 ") || strings.Contains(feed, "a=sendrecv") {
			t.Errorf("%s\n%s", main, feed)
		}
		// Candidates wait for the answer; what is of another connection goes nowhere.
		candidate := func(remote, mid, ip, ufrag string) {
			u0.say(`{"cmd":"candidate","remoteUid":"` + remote + `","msg":{"candidate":"candidate:1 1 udp 1 ` + ip + ` 5000 typ host","sdpMid":"` + mid + `","sdpMLineIndex":0,"usernameFragment":"` + ufrag + `"}}`)
			u0.is(u0.one("respCandidate"), map[string]any{"result": 0})
		}
		candidate("u9", "audio1", "192.0.2.1", "mine")
		candidate("u9", "0", "192.0.2.2", "mine")
		candidate("u9", "audio1", "192.0.2.3", "othr")
		same(t, b.said())
		// An answer to an offer of before, in which the mids are others.
		u0.say(reply(t, strings.ReplaceAll(main, "audio1", "audio"), "u9", "mine"))
		u0.one("respAnswer")
		same(t, b.said())
		u0.say(reply(t, main, "u9", "mine"))
		u0.is(u0.one("respAnswer"), map[string]any{"result": 0})
		same(t, b.said(), "u0 answers m audio:both video:both", "u0 trickles audio 192.0.2.1")
		u0.say(reply(t, main, "u9", "mine")) // again
		u0.one("respAnswer")
		candidate("u9", "video1", "192.0.2.4", "")
		u0.say(reply(t, feed, "u5", "mine"))
		u0.one("respAnswer")
		candidate("u5", "audio2", "192.0.2.5", "mine")
		same(t, b.said(), "u0 trickles video 192.0.2.4", "u0 says session-accept in f audio:initiator video:initiator", "u0 trickles in f")
		u0.say(`{"cmd":"answer","remoteUid":"u5","msg":"{\"sdp\":\"v=1\"}"}`)
		u0.is(u0.one("respAnswer"), map[string]any{"result": 3})
		// Another anchor: the session of before is no more.
		line.Feed(&jingle.Jingle{Action: jingle.SessionTerminate, SID: "f"})
		line.Accepted(session("u5", "m2", jingle.Both))
		again := u0.one("relayOffer")
		u0.is(again, map[string]any{"uid": "u5"})
		u0.say(reply(t, main, "u9", "mine"))
		u0.one("respAnswer")
		same(t, b.said())
		u0.say(reply(t, u0.offer(again), "u5", "mine"))
		u0.one("respAnswer")
		same(t, b.said(), "u0 answers m2 audio:both video:both")
	})
}

func TestR24_WhoHasLostTheBridgeIsGivenItAgain(t *testing.T) {
	bridged(t, nil, func(t *testing.T, h *house, b *mesh) {
		u0, _ := h.pair()
		h.join("u5")
		u0.got()
		b.said()
		old := b.line("u0")
		old.Ended(&jingle.Reason{Condition: jingle.ConnectivityError})
		same(t, b.said(), "unmesh u0")
		old.Accepted(session("u9", "old", jingle.Both)) // what comes late is of nobody
		time.Sleep(redialFirst + time.Millisecond)
		same(t, b.said(), "mesh u0 sends=true")
		u0.none()
		// It does not come: each try waits longer.
		h.mu.Lock()
		b.fault = &wire.Error{Condition: "service-unavailable"}
		h.mu.Unlock()
		b.line("u0").Ended(&jingle.Reason{Condition: jingle.ConnectivityError})
		for i := range 2 {
			b.said()
			time.Sleep(2*redialFirst<<i - 20*time.Millisecond)
			same(t, b.said())
			time.Sleep(30 * time.Millisecond)
			same(t, b.said(), "mesh u0 sends=true", "unmesh u0")
		}
		u0.say(`{"cmd":"leave"}`)
		u0.one("respLeave")
		b.said()
		time.Sleep(time.Minute)
		for _, s := range b.said() {
			if strings.HasPrefix(s, "mesh u0") {
				t.Error("who has left tries on")
			}
		}
	})
}

func TestR26_AWayToTheBridgeThatBreaksIsMadeAnew(t *testing.T) {
	bridged(t, nil, func(t *testing.T, h *house, b *mesh) {
		u0, _ := h.pair()
		h.join("u5")
		u0.got()
		b.said()
		b.line("u0").Accepted(session("u9", "m", jingle.Both))
		offer := u0.offer(u0.one("relayOffer"))
		reset := func() {
			u0.say(`{"cmd":"offer","remoteUid":"u9","isIceReset":true,"msg":"{}"}`)
			u0.is(u0.one("respOffer"), map[string]any{"result": 0})
		}
		reset() // of a connection that is no more: it has not answered
		same(t, b.said())
		u0.say(reply(t, offer, "u9", "mine"))
		u0.one("respAnswer")
		b.said()
		for range 3 {
			reset()
		}
		same(t, b.said(), "unmesh u0")
		time.Sleep(redialFirst + time.Millisecond)
		same(t, b.said(), "mesh u0 sends=true")
	})
}

func TestR24_WhoComesBackIsOfferedAgain(t *testing.T) {
	bridged(t, nil, func(t *testing.T, h *house, b *mesh) {
		u0, _ := h.pair()
		h.join("u5")
		u0.got()
		b.said()
		time.Sleep(redialFirst)
		again := h.client("u0")
		again.say(`{"cmd":"join"}`)
		again.is(again.one("respJoin"), map[string]any{"result": 0, "gate": 1})
		same(t, b.said(), "unmesh u0", "mesh u0 sends=true")
		b.line("u0").Accepted(session("u9", "m", jingle.Both))
		again.one("relayOffer")
		// Who comes again at once waits for it.
		for range 3 {
			again.say(`{"cmd":"join"}`)
		}
		same(t, b.said(), "unmesh u0")
		time.Sleep(redialLast)
		same(t, b.said(), "mesh u0 sends=true")
	})
}

// People of other protocols are members to members, as far as these can tell.
func TestR24_PeopleOfOtherProtocols(t *testing.T) {
	bridged(t, nil, func(t *testing.T, h *house, b *mesh) {
		u0 := h.join("u0")
		h.come("dino", "<show>chat</show>")                      // chats in the room, and is in no call
		h.come("focus", "<SourceInfo>{}</SourceInfo>")           // the server's own
		h.come("u0", "<SourceInfo>{}</SourceInfo>")              // itself
		h.shows("bob", " type='error'><SourceInfo/></presence>") // no presence
		u0.none()
		same(t, b.said())
		// The bridge offers before the door has seen whom: that waits.
		h.come("bob", "<nick xmlns='http://jabber.org/protocol/nick'>Bob &amp; Co</nick><SourceInfo>{\"bob-a0\":{\"muted\":false},\"bob-v0\":{\"muted\":true}}</SourceInfo>")
		list := u0.all("notifyGate", "notifyNewPeer")
		u0.is(list[1], map[string]any{"uid": "bob", "uname": "Bob & Co", "userType": 0, "talkType": 1})
		same(t, b.said(), "mesh u0 sends=true")
		b.line("u0").Feed(session("eve", "e", jingle.InitiatorSends))
		b.line("u0").Accepted(session("bob", "m", jingle.Both))
		first := u0.one("relayOffer")
		u0.is(first, map[string]any{"uid": "bob"})
		h.come("eve", "<audiomuted>false</audiomuted><videomuted>true</videomuted>")
		list = u0.all("notifyNewPeer", "relayOffer")
		u0.is(list[1], map[string]any{"uid": "eve"})
		if list[1]["subSessionId"] == first["subSessionId"] {
			t.Error("two sub-sessions with one id")
		}
		// It is told what they have on, when it is connected and when that changes.
		u0.say(`{"cmd":"peerConnected","remoteUid":"bob","connectType":"TURN"}`)
		list = u0.all("relayTurnTalkType", "respPeerConnected")
		u0.is(list[0], map[string]any{"uid": "bob", "index": 0, "enable": false})
		h.come("bob", "<SourceInfo>{\"bob-a0\":{\"muted\":true},\"bob-v0\":{\"muted\":true},\"bob-v1\":{\"muted\":false,\"videoType\":\"desktop\"},\"eve-v0\":{\"muted\":false}}</SourceInfo>")
		list = u0.all("relayTurnTalkType", "relayTurnTalkType")
		u0.is(list[0], map[string]any{"uid": "bob", "index": 1, "enable": false})
		u0.is(list[1], map[string]any{"uid": "bob", "index": 2, "enable": true})
		h.come("bob", "<SourceInfo>{\"bob-a0\":{\"muted\":true},\"bob-v1\":{\"muted\":false,\"videoType\":\"desktop\"}}</SourceInfo>")
		u0.none()
		// A client has a uid of its own; who comes later is told of all.
		c := h.client("bob")
		c.say(`{"cmd":"join"}`)
		c.is(c.one("respJoin"), map[string]any{"result": 12})
		c = h.client("u9")
		c.say(`{"cmd":"join"}`)
		m := c.one("respJoin")
		if users, _ := m["userList"].([]any); len(users) != 3 {
			t.Errorf("the list is %v", m["userList"])
		}
		u0.one("notifyNewPeer")
		h.come("client_0", "<SourceInfo>{}</SourceInfo>") // a member's occupant
		u0.none()
		c.none()
		// They go.
		h.shows("eve", " type='unavailable'/>")
		u0.is(u0.one("relayLeave"), map[string]any{"uid": "eve", "gate": 1})
		h.come("bob", "<show>away</show>") // it stays in the room, and has left the call
		u0.is(u0.one("relayLeave"), map[string]any{"uid": "bob"})
		u0.say(`{"cmd":"answer","remoteUid":"bob","msg":"{}"}`)
		u0.is(u0.one("respAnswer"), map[string]any{"result": 2})
	})
}

// One whose nickname is the uid of a member has another uid, which stays its own.
func TestR24_NamesThatTwoHave(t *testing.T) {
	bridged(t, nil, func(t *testing.T, h *house, b *mesh) {
		u0 := h.client("bob")
		u0.say(`{"cmd":"join","uname":"Robert"}`)
		u0.one("respJoin")
		h.come("bob", "<SourceInfo>{}</SourceInfo>")
		u0.is(u0.all("notifyGate", "notifyNewPeer")[1], map[string]any{"uid": "bob_2", "uname": "bob"})
		b.line("Robert").Accepted(session("bob", "m", jingle.Both))
		m := u0.one("relayOffer")
		u0.is(m, map[string]any{"uid": "bob_2", "remoteUid": "bob"})
		if text := u0.offer(m); !strings.Contains(text, "a=msid:bob_2 bob-audio") {
			t.Error(text)
		}
		h.shows("bob", " type='unavailable'/>")
		u0.is(u0.one("relayLeave"), map[string]any{"uid": "bob_2"})
	})
}

// A member tries the nickname of one who goes meanwhile.
func TestR24_WhoGoesIsGone(t *testing.T) {
	bridged(t, nil, func(t *testing.T, h *house, b *mesh) {
		u0 := h.join("u0")
		h.come("bob", "<SourceInfo>{}</SourceInfo>")
		c := h.client("u9")
		c.say(`{"cmd":"join","uname":"bob"}`)
		u0.got()
		h.mu.Lock()
		s := h.nicks["22@muc.x.net/u0"]
		h.mu.Unlock()
		s.Deliver(nil, "", wire.Stanza{Kind: wire.Presence, Tail: []byte(" from='22@muc.x.net/bob' type='unavailable'/>")})
		u0.is(u0.one("relayLeave"), map[string]any{"uid": "bob"})
	})
}

func TestStreamIDs(t *testing.T) {
	for uid, want := range map[string]string{"u9": "u9", "ü/9=": "ü/9=", "a b": "a+b", "a\u00a0b": "a%C2%A0b", "a\u2028b": "a%E2%80%A8b"} {
		if got := streamID(uid); got != want {
			t.Errorf("%q is %q, not %q", uid, got, want)
		}
	}
}
