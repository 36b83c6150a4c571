package calls

import (
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/internal/peertest/callpeer"
	"parley/internal/peertest/jitsipeer"
	"parley/jingle"
)

// at is the address at which a room is called.
func at(room string) string { return room + "@call." + server.Domain }

// phone is a client of an account that calls as one of that name.
func phone(t testing.TB, account string, o callpeer.Options) *callpeer.Phone {
	t.Helper()
	o.Name = account
	return callpeer.New(login(t, account), o)
}

// get waits until frames come on at a member of sources that are a phone's.
func get(t testing.TB, p *jitsipeer.Peer, sources ...string) {
	t.Helper()
	for _, source := range sources {
		n := p.Received(source).Packets
		eventually(t, source+" at "+p.Endpoint(), func() bool { return p.Received(source).Packets > n+5 })
	}
}

// An ordinary client calls a room where others meet by the Jitsi dialect: it hears and sees them, and they it; when it hangs up it
// leaves.
func TestCallARoom(t *testing.T) {
	for name, o := range map[string]callpeer.Options{
		"as Dino does":          {Video: true},
		"as Conversations does": {Video: true, Bundle: true, Sources: true, Levels: true},
		"voice":                 {},
	} {
		for kind, change := range map[string]func(*jitsipeer.Options){"signalled": func(*jitsipeer.Options) {}, "rewritten": func(o *jitsipeer.Options) { o.Rewriting = true }} {
			t.Run(name+", "+kind, func(t *testing.T) {
				room := fresh("room")
				bob := member(t, room, "bob", change)
				ann := phone(t, "ann", o)
				ann.Call(at(room), fresh("call"))
				if ann.Ended != nil {
					t.Fatalf("the call ended: %+v", ann.Ended)
				}
				ann.Connected()
				ann.Hears("audio", "bob-a0")
				get(t, bob, "ann-a0")
				if o.Video {
					ann.Hears("video", "bob-v0")
					get(t, bob, "ann-v0")
				}
				for _, kind := range []string{"audio", "video"} {
					if h := ann.Heard(kind); len(h.SSRCs) > 1 || len(h.Types) > 1 || h.Back > 0 || h.Cold > 0 || h.Gaps > 0 || h.Packets > 0 != (kind == "audio" || o.Video) {
						t.Errorf("%s: %+v", kind, h)
					}
				}
				if s := bob.Received("ann-v0"); s.Foreign+s.Faults > 0 {
					t.Errorf("bob gets ann's video with faults: %+v", s)
				}
				ann.HangUp(jingle.Success)
				_, err := bob.Events.Await(t.Context(), 0, func(e jitsipeer.Event) bool { return e.Kind == jitsipeer.Left && e.Endpoint == "ann" })
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// Two ordinary clients meet in a room without anybody else, called at its own address and at that for calls.
func TestCallersMeet(t *testing.T) {
	room := fresh("room")
	ann, bob := phone(t, "ann", callpeer.Options{Video: true}), phone(t, "bob", callpeer.Options{Video: true, Bundle: true, Sources: true})
	ann.Call(at(room), fresh("call"))
	bob.Call(room+"@muc."+server.Domain, fresh("call"))
	for _, kind := range []string{"audio", "video"} {
		ann.Hears(kind, "bob-"+kind[:1]+"0")
		bob.Hears(kind, "ann-"+kind[:1]+"0")
	}
	ann.HangUp(jingle.Success)
}

// The picture follows who speaks, in one stream.
func TestPictureFollowsTheSpeaker(t *testing.T) {
	room := fresh("room")
	bob, carl := member(t, room, "bob"), member(t, room, "carl")
	ann := phone(t, "ann", callpeer.Options{Video: true})
	ann.Call(at(room), fresh("call"))
	for _, speaker := range []*jitsipeer.Peer{bob, carl, bob} {
		bob.Level(127)
		carl.Level(127)
		speaker.Level(20)
		eventually(t, "picture of "+speaker.Endpoint(), func() bool { return ann.Heard("video").Latest == speaker.Source('v', 0) })
		eventually(t, "voice of "+speaker.Endpoint(), func() bool { return ann.Heard("audio").Latest == speaker.Source('a', 0) })
	}
	for _, kind := range []string{"audio", "video"} {
		if h := ann.Heard(kind); len(h.SSRCs) != 1 || h.Back > 0 || h.Cold > 0 || h.Gaps > 0 {
			t.Errorf("%s: %+v", kind, h)
		}
	}
	get(t, carl, "ann-a0", "ann-v0")
}

// The address of a room is a contact: it lets people subscribe, is present when they come, and says that it can be called.
func TestRoomIsAContact(t *testing.T) {
	c := login(t, "ann")
	contact := at(fresh("room"))
	c.Send("<iq xmlns='jabber:client' type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
	c.Await("id='r'", "type='result'")
	c.Send("<presence xmlns='jabber:client' type='subscribe' to='" + contact + "'/>")
	available := func(c *peertest.Client) string {
		return c.Await("<presence", "from='"+contact+"/", "http://jabber.org/protocol/caps")
	}
	subscribed := false
	for !subscribed {
		got := c.Read()
		subscribed = strings.Contains(got, "jabber:iq:roster") && strings.Contains(got, contact) && strings.Contains(got, "subscription='to'")
	}
	presence := available(c)
	again := login2(t, "ann")
	if available(again) == "" {
		t.Error("no presence at the next login")
	}
	full, node, ver := peertest.Attr(presence, "from"), peertest.Attr(presence, "node"), peertest.Attr(presence, "ver")
	again.Send("<iq xmlns='jabber:client' type='get' id='d' to='" + full + "'><query xmlns='http://jabber.org/protocol/disco#info' node='" + node + "#" + ver + "'/></iq>")
	info := again.Await("id='d'", "type='result'")
	for _, feature := range []string{"urn:xmpp:jingle:1", "urn:xmpp:jingle:apps:rtp:1", "urn:xmpp:jingle:apps:rtp:audio", "urn:xmpp:jingle:apps:rtp:video", "urn:xmpp:jingle:transports:ice-udp:1", "urn:xmpp:jingle:apps:dtls:0", "urn:xmpp:jingle-message:0"} {
		if !strings.Contains(info, "<feature var='"+feature+"'/>") {
			t.Errorf("no %s in %s", feature, info)
		}
	}
}

// login2 is login that leaves what comes to be read.
func login2(t testing.TB, name string) *peertest.Client {
	t.Helper()
	c := peertest.Dial(t, server.XMPP, server.Domain)
	c.Login(name, secret)
	c.Bind(fresh("phone"))
	c.Send("<presence xmlns='jabber:client'/>")
	return c
}

// What a room does not let in is told in Jingle's words, and so is that somebody is sent out.
func TestRulesOfTheRoomHold(t *testing.T) {
	owner := login(t, "dora")
	room := fresh("room")
	address := room + "@muc." + server.Domain
	owner.Send("<presence xmlns='jabber:client' to='" + address + "/dora'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	owner.Await("<presence", "'110'")
	configure := func(fields string) {
		owner.Send("<iq xmlns='jabber:client' type='set' id='c' to='" + address + "'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>" + fields + "</x></query></iq>")
		owner.Await("id='c'", "type='result'")
	}
	field := func(name, value string) string {
		return "<field var='" + name + "'><value>" + value + "</value></field>"
	}
	refused := func(who string, condition jingle.Condition) {
		t.Helper()
		p := phone(t, who, callpeer.Options{})
		p.Call(at(room), fresh("call"))
		if p.Ended == nil || p.Ended.Condition != condition || p.Ended.Text == "" {
			t.Errorf("the call ended with %+v, not %s", p.Ended, condition)
		}
	}
	configure(field("muc#roomconfig_passwordprotectedroom", "1") + field("muc#roomconfig_roomsecret", "sesame"))
	refused("ann", jingle.Decline)
	configure(field("muc#roomconfig_passwordprotectedroom", "0") + field("muc#roomconfig_roomsecret", "") + field("muc#roomconfig_membersonly", "1"))
	refused("ann", jingle.Decline)
	owner.Send("<iq xmlns='jabber:client' type='set' id='m' to='" + address + "'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='member' jid='ann@" + server.Domain + "'/></query></iq>")
	owner.Await("id='m'", "type='result'")
	ann := phone(t, "ann", callpeer.Options{})
	ann.Call(at(room), fresh("call"))
	if ann.Ended != nil {
		t.Fatalf("a member's call ended: %+v", ann.Ended)
	}
	owner.Await("<presence", "from='"+address+"/ann'")
	owner.Send("<iq xmlns='jabber:client' type='set' id='k' to='" + address + "'><query xmlns='http://jabber.org/protocol/muc#admin'><item role='none' nick='ann'/></query></iq>")
	ann.Until("action='session-terminate'", "<decline/>")
	owner.Await("<presence", "from='"+address+"/ann'", "type='unavailable'", "'307'")
	ann = phone(t, "ann", callpeer.Options{})
	ann.Call(at(room), fresh("call"))
	owner.Send("<iq xmlns='jabber:client' type='set' id='d' to='" + address + "'><query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query></iq>")
	ann.Until("action='session-terminate'", "<success/>")
}

// Whoever is gone without a word leaves when the media have stopped.
func TestCallerWhoIsGoneLeaves(t *testing.T) {
	room := fresh("room")
	bob := member(t, room, "bob")
	ann := phone(t, "ann", callpeer.Options{})
	ann.Call(at(room), fresh("call"))
	get(t, bob, "ann-a0")
	ann.Vanish()
	deadline := time.After(2 * time.Minute)
	left := make(chan error, 1)
	go func() {
		_, err := bob.Events.Await(t.Context(), 0, func(e jitsipeer.Event) bool { return e.Kind == jitsipeer.Left && e.Endpoint == "ann" })
		left <- err
	}()
	select {
	case err := <-left:
		if err != nil {
			t.Error(err)
		}
	case <-deadline:
		t.Error("ann is still there")
	}
}

// Somebody in a meeting invites a person by the address: all of their devices ring, and whichever answers is in the meeting. The
// invitation has the password with it.
func TestMeetingCallsAPerson(t *testing.T) {
	for name, o := range map[string]callpeer.Options{"signals nothing": {}, "signals sources": {Sources: true}} {
		t.Run(name, func(t *testing.T) {
			room := fresh("room")
			bob := member(t, room, "bob")
			lock := "<iq xmlns='jabber:client' type='set' id='lock' to='" + bob.Room() + "'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>" +
				"<field var='muc#roomconfig_passwordprotectedroom'><value>1</value></field><field var='muc#roomconfig_roomsecret'><value>sesame</value></field></x></query></iq>"
			if _, err := bob.IQ(t.Context(), "set", bob.Room(), lock[strings.Index(lock, "<query"):strings.Index(lock, "</iq>")]); err != nil {
				t.Fatal(err)
			}
			ann, other := phone(t, "ann", o), login(t, "ann")
			invite := func() string {
				t.Helper()
				if err := bob.Send("<message xmlns='jabber:client' to='" + bob.Room() + "'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='" + bare(other) + "'/></x></message>"); err != nil {
					t.Fatal(err)
				}
				other.Await("<message", "from='"+at(room)+"/meeting'", "<propose xmlns='urn:xmpp:jingle-message:0'", "media='video'")
				other.Await("<message", "from='"+bob.Room()+"'", "<invite ")
				got := ann.Until("<message", "from='"+at(room)+"/meeting'", "<propose xmlns='urn:xmpp:jingle-message:0'")
				return peertest.Attr(got[strings.Index(got, "<propose"):], "id")
			}
			sid := invite()
			ann.Message(at(room)+"/meeting", jingle.Message{Kind: jingle.RejectCall, ID: sid, Reason: &jingle.Reason{Condition: jingle.Busy}})
			other.Await("<reject", "id='"+sid+"'")
			sid = invite()
			ann.Message(at(room)+"/meeting", jingle.Message{Kind: jingle.Proceed, ID: sid})
			ann.Answer(at(room)+"/meeting", sid)
			ann.Connected()
			ann.Hears("audio", "bob-a0")
			ann.Hears("video", "bob-v0")
			get(t, bob, "ann-a0", "ann-v0")
			ann.HangUp(jingle.Success)
			_, err := bob.Events.Await(t.Context(), 0, func(e jitsipeer.Event) bool { return e.Kind == jitsipeer.Left && e.Endpoint == "ann" })
			if err != nil {
				t.Error(err)
			}
		})
	}
}
