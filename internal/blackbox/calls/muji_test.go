package calls

import (
	"strings"
	"testing"

	"parley/internal/peertest"
	"parley/internal/peertest/callpeer"
	"parley/internal/peertest/jitsipeer"
)

// open is the configuration of a room in which everybody may know the others' addresses.
const open = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>" +
	"<field var='muc#roomconfig_whois'><value>anyone</value></field><field var='{urn:parley:muc:0}realaddresses'><value>1</value></field></x></query>"

// focusAt is the address at which rooms list the focus.
func focusAt() string { return "focus@auth." + server.Domain + "/focus" }

// party is a client of an account that takes part in Muji.
func party(t testing.TB, account, room string) *callpeer.Party {
	t.Helper()
	return callpeer.NewParty(login(t, account), room+"@muc."+server.Domain, "m_"+account, callpeer.Options{Video: true, Name: account})
}

// opens makes a room, as its first occupant.
func opens(p *callpeer.Party) {
	p.T.Helper()
	p.Enter()
	p.Send("<iq xmlns='jabber:client' type='set' id='open' to='" + p.Room + "'>" + open + "</iq>")
	p.Await("id='open'", "type='result'")
}

// meets waits until a session with somebody goes on, in which there is what a source sends, and nothing else.
func meets(p *callpeer.Party, addr, name string) {
	p.T.Helper()
	p.Until("session with "+addr, func() bool { return p.CallWith(addr) != nil })
	for _, kind := range []string{"audio", "video"} {
		source := name + "-" + kind[:1] + "0"
		p.Until(source, func() bool { c := p.CallWith(addr); return c != nil && c.Heard(kind).Sources[source] > 5 })
		if h := p.CallWith(addr).Heard(kind); len(h.SSRCs) != 1 || len(h.Sources) != 1 || addr == focusAt() && h.Back+h.Cold > 0 {
			p.T.Errorf("%s gets from %s: %s %+v", p.JID, addr, kind, h)
		}
	}
}

// Two clients in the Muji conference of a room talk to each other. When somebody comes by the Jitsi dialect the focus joins them, and
// they meet: each of them gets in its session with the focus what that one sends, and not what the other Muji client sends. When
// nobody is left for whom the focus stands its sessions end, and the other one goes on.
func TestMujiMeetsTheConference(t *testing.T) {
	t.Run("who speaks Muji comes first", func(t *testing.T) {
		room := fresh("room")
		ann, carl := party(t, "ann", room), party(t, "carl", room)
		opens(ann)
		carl.Enter()
		ann.Join()
		carl.Join()
		both(t, ann, carl)
		jim := member(t, room, "jim")
		ended(t, ann, carl, jim)
	})
	t.Run("who speaks Muji comes later", func(t *testing.T) {
		room := fresh("room")
		jim := member(t, room, "jim")
		if _, err := jim.IQ(t.Context(), "set", jim.Room(), open); err != nil {
			t.Fatal(err)
		}
		ann, carl := party(t, "ann", room), party(t, "carl", room)
		ann.Enter()
		ann.Join()
		meets(ann, focusAt(), "jim")
		carl.Enter()
		carl.Join()
		both(t, ann, carl)
		ended(t, ann, carl, jim)
	})
}

// both waits until two Muji clients hear each other.
func both(t *testing.T, ann, carl *callpeer.Party) {
	t.Helper()
	carl.Until("session with ann", func() bool {
		ann.Turn()
		return ann.CallWith(carl.JID) != nil && carl.CallWith(ann.JID) != nil
	})
	meets(ann, carl.JID, "carl")
	meets(carl, ann.JID, "ann")
}

// ended has both meet a Jitsi client, which leaves then.
func ended(t *testing.T, ann, carl *callpeer.Party, jim *jitsipeer.Peer) {
	t.Helper()
	for _, p := range []*callpeer.Party{ann, carl} {
		meets(p, focusAt(), "jim")
	}
	get(t, jim, "ann-a0", "ann-v0", "carl-a0", "carl-v0")
	for _, p := range []*callpeer.Party{ann, carl} {
		meets(p, focusAt(), "jim")
	}
	jim.Leave()
	for _, p := range []*callpeer.Party{ann, carl} {
		p.Until("end of the session with the focus", func() bool { return p.Sessions() == 1 && !p.Shown("focus") })
	}
	ann.CallWith(carl.JID).Hears("audio", "carl-a0")
}

// When the bridge dies the sessions with the focus end, and others begin when there is another bridge.
func TestMujiAfterTheBridgeDied(t *testing.T) {
	room := fresh("room")
	ann := party(t, "ann", room)
	opens(ann)
	ann.Join()
	jim := member(t, room, "jim")
	meets(ann, focusAt(), "jim")
	before := ann.CallWith(focusAt())
	server.KillBridge()
	ann.Until("end of the session", func() bool { return before.Ended != nil })
	meets(ann, focusAt(), "jim")
	get(t, jim, "ann-a0", "ann-v0")
}

// A participant takes its part away: its session with the focus ends. Who is none is refused.
func TestMujiParticipantStops(t *testing.T) {
	room := fresh("room")
	ann := party(t, "ann", room)
	opens(ann)
	ann.Join()
	jim := member(t, room, "jim")
	meets(ann, focusAt(), "jim")
	get(t, jim, "ann-a0")
	ann.Withdraw()
	ann.Until("end of the session", func() bool { return ann.Sessions() == 0 })
	if _, err := jim.Events.Await(t.Context(), 0, func(e jitsipeer.Event) bool { return e.Kind == jitsipeer.Left && e.Endpoint == "ann" }); err != nil {
		t.Error(err)
	}
	ann.Until("end of the focus's part", func() bool { return !ann.Shown("focus") })
	other := login(t, "carl")
	other.Send("<iq xmlns='jabber:client' type='set' id='no' to='" + focusAt() + "'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='no'>" +
		"<content creator='initiator' name='audio'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'><payload-type id='111' name='opus' clockrate='48000' channels='2'/></description>" +
		"<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'/></content><muji xmlns='urn:xmpp:jingle:muji:0' room='" + ann.Room + "'/></jingle></iq>")
	if got := other.Await("id='no'"); !strings.Contains(got, "service-unavailable") || peertest.Attr(got, "type") != "error" {
		t.Error(got)
	}
}
