package calls

import (
	"testing"

	"parley/internal/peertest"
	"parley/internal/peertest/callpeer"
	"parley/jingle"
)

// attendee is a client that knows conferences in which each stream has a session of its own.
func attendee(t testing.TB, account, room string, o callpeer.Options) *callpeer.Phone {
	t.Helper()
	o.Attends = true
	p := phone(t, account, o)
	p.Initiate(at(room), fresh("call"))
	if p.Ended != nil {
		t.Fatalf("the call ended: %+v", p.Ended)
	}
	return p
}

// entity is the URI of an occupant.
func entity(room, nick string) string { return "xmpp:" + room + "@muc." + server.Domain + "/" + nick }

// gets waits until sources of an occupant come in a session that says so, and returns it.
func gets(p *callpeer.Phone, room, nick string, sources ...string) *callpeer.Brought {
	p.T.Helper()
	var b *callpeer.Brought
	for _, source := range sources {
		b = p.Gets(entity(room, nick), source)
	}
	return b
}

// Two clients by XEP-0521 and one by the Jitsi dialect are in a room: all get the streams of all, each in a session that says whose
// it is. Who leaves, mutes or comes late is noticed.
func TestConferenceBringsEachStream(t *testing.T) {
	for name, o := range map[string]callpeer.Options{
		"one transport": {Video: true, Bundle: true, Sources: true},
		"two":           {Video: true},
	} {
		t.Run(name, func(t *testing.T) {
			room := fresh("room")
			bob := member(t, room, "bob")
			ann := attendee(t, "ann", room, o)
			first := gets(ann, room, "bob", "bob-a0", "bob-v0")
			carl := attendee(t, "carl", room, o) // who comes late
			gets(carl, room, "bob", "bob-a0", "bob-v0")
			gets(carl, room, "ann", "ann-a0", "ann-v0")
			fromCarl := gets(ann, room, "carl", "carl-a0", "carl-v0")
			get(t, bob, "ann-a0", "ann-v0", "carl-a0", "carl-v0")
			if first.Name != "bob" || len(first.Media) != 2 {
				t.Errorf("the stream of bob is %+v", first)
			}
			for who, p := range map[string]*callpeer.Phone{"ann": ann, "carl": carl} {
				if list := p.Streams(); len(list) != 2 {
					t.Errorf("%s is brought %d streams", who, len(list))
				}
				for _, b := range p.Streams() {
					for _, kind := range []string{"audio", "video"} {
						h := b.Heard(kind)
						if len(h.Sources) != 1 || len(h.SSRCs) != 1 || h.Back+h.Cold+h.Gaps > 0 {
							t.Errorf("%s gets of %s: %s %+v", who, b.Entity, kind, h)
						}
					}
				}
				if h := p.Heard("audio"); h.Packets > 0 {
					t.Errorf("%s gets %d packets in the session that it only sends in", who, h.Packets)
				}
			}
			ann.Attending("voice of carl", func() bool { return !fromCarl.Muted["audio"] })
			carl.Request(&jingle.Jingle{Action: jingle.SessionInfo, Info: &jingle.Info{Kind: jingle.Mute, Creator: jingle.Initiator, Name: "audio"}})
			ann.Attending("word that carl is silent", func() bool { return fromCarl.Muted["audio"] && !fromCarl.Muted["video"] })
			carl.HangUp(jingle.Success)
			ann.Attending("end of carl's stream", func() bool { return fromCarl.Ended != nil })
			if first.Ended != nil {
				t.Errorf("the stream of bob ended with %+v", first.Ended)
			}
			bob.Leave()
			ann.Attending("end of bob's stream", func() bool { return first.Ended != nil })
			if n := len(ann.Streams()); n != 0 {
				t.Errorf("%d streams of nobody", n)
			}
		})
	}
}

// When the bridge dies, all sessions end in words, and whoever calls again has everything again.
func TestConferenceAfterTheBridgeDied(t *testing.T) {
	room := fresh("room")
	o := callpeer.Options{Video: true, Bundle: true, Sources: true}
	bob := member(t, room, "bob")
	ann := attendee(t, "ann", room, o)
	first := gets(ann, room, "bob", "bob-a0")
	server.KillBridge()
	ann.Attending("end of the sessions", func() bool { return ann.Ended != nil && first.Ended != nil })
	for ann.Ended != nil { // until the next bridge is there
		ann.Attending("pause", func() bool { return true })
		ann.Initiate(at(room), fresh("call"))
	}
	gets(ann, room, "bob", "bob-a0", "bob-v0")
	get(t, bob, "ann-a0", "ann-v0")
}

// A client that calls one way and does not know such conferences is brought nothing; one that calls both ways gets one stream of each
// medium, whatever it knows.
func TestWhoIsBroughtNothing(t *testing.T) {
	room := fresh("room")
	bob := member(t, room, "bob")
	carl := phone(t, "carl", callpeer.Options{OneWay: true})
	carl.Initiate(at(room), fresh("call"))
	get(t, bob, "carl-a0")
	ann := attendee(t, "ann", room, callpeer.Options{})
	gets(ann, room, "bob", "bob-a0") // as long has the other one had
	gets(ann, room, "carl", "carl-a0")
	carl.Attending("nothing", func() bool { return true })
	if n := len(carl.Streams()); n != 0 || carl.Heard("audio").Packets != 0 {
		t.Errorf("it is brought %d streams, and %+v", n, carl.Heard("audio"))
	}
	// Another session of who attends already brings what it sends; one in which it would get something is another call of the same client.
	again := callpeer.New(ann.Client, callpeer.Options{Name: "ann"})
	again.Initiate(at(room), fresh("call"))
	if again.Ended == nil || again.Ended.Condition != jingle.Busy {
		t.Errorf("the second session ended with %+v", again.Ended)
	}
	gets(ann, room, "bob", "bob-a0")
}

// A room says that it is such a conference, where it is called and at its own address; its owners configure it by the command that
// XEP-0521 names, and others do not.
func TestConferenceIsFoundAndConfigured(t *testing.T) {
	owner, stranger := login(t, "dora"), login(t, "bob")
	room := fresh("room")
	address := room + "@muc." + server.Domain
	owner.Send("<presence xmlns='jabber:client' to='" + address + "/dora'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	owner.Await("<presence", "'110'")
	for n, to := range []string{at(room), at(room) + "/meeting", address} {
		id := "d" + string(rune('0'+n))
		owner.Send("<iq xmlns='jabber:client' type='get' id='" + id + "' to='" + to + "'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
		owner.Await("id='"+id+"'", "category='conference' type='audio-video'", "<feature var='urn:xmpp:jingle:av-conferences:0'/>", "<feature var='urn:xmpp:coin:1'/>")
	}
	command := func(who *peertest.Client, to, id, inner string) {
		who.Send("<iq xmlns='jabber:client' type='set' id='" + id + "' to='" + to + "'><command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:av-conferences:config'>" + inner + "</command></iq>")
	}
	command(owner, at(room), "c1", "")
	owner.Await("id='c1'", "status='executing'", "<x xmlns='jabber:x:data'", "muc#roomconfig_moderatedroom")
	form := "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_moderatedroom'><value>1</value></field></x>"
	command(stranger, at(room), "c2", form)
	stranger.Await("id='c2'", "type='error'")
	command(owner, address, "c3", form)
	owner.Await("id='c3'", "status='completed'")
	owner.Send("<iq xmlns='jabber:client' type='get' id='d9' to='" + address + "'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
	owner.Await("id='d9'", "<feature var='muc_moderated'/>")
}
