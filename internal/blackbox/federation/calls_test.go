package federation

import (
	"strings"
	"testing"

	"parley/internal/peertest"
	"parley/internal/peertest/callpeer"
	"parley/jingle"
)

// calls: people of both servers call each other, with media both ways. Of our relay nobody out there is told unless we are set so.
func calls(t *testing.T, server *peertest.Parley, p *peer) {
	ann, romeo := login(t, server.XMPP, open, "ann"), p.login(t, "good", "romeo")
	for sid, pair := range map[string][2]*peertest.Client{"out": {ann, romeo}, "in": {romeo, ann}} {
		caller := callpeer.New(pair[0], callpeer.Options{Video: true, Name: "caller"})
		called := callpeer.New(pair[1], callpeer.Options{Video: true, Name: "called"})
		bare, _, _ := strings.Cut(called.JID, "/")
		caller.Propose(bare, sid)
		within(t, called.Client, patience, "<message", "from='"+caller.JID+"'", "<propose", "id='"+sid+"'")
		called.Message(caller.JID, jingle.Message{Kind: jingle.Proceed, ID: sid})
		caller.Until("<message", "from='"+called.JID+"'", "<proceed", "id='"+sid+"'")
		caller.Offer(called.JID, sid)
		called.Answer(caller.JID, sid)
		caller.Until("action='session-accept'")
		caller.Hears("video", "called-v0")
		called.Hears("audio", "caller-a0")
		caller.HangUp(jingle.Success)
		called.Until("action='session-terminate'")
	}
	// Both call a room here, which one of them has made: a member of another server may enter a meeting, not make one.
	room := "meeting@call." + open
	one, other := callpeer.New(ann, callpeer.Options{Video: true, Name: "ann"}), callpeer.New(romeo, callpeer.Options{Video: true, Name: "romeo"})
	other.Call(room, "early")
	if other.Ended == nil || other.Ended.Condition != jingle.Decline {
		t.Errorf("romeo's call of a room that is not there ended with %+v", other.Ended)
	}
	one.Call(room, "ann")
	other.Call(room, "romeo")
	if one.Ended != nil || other.Ended != nil {
		t.Fatalf("the calls ended: %+v, %+v", one.Ended, other.Ended)
	}
	one.Hears("video", "romeo-v0")
	other.Hears("audio", "ann-a0")
	other.HangUp(jingle.Success)
	one.HangUp(jingle.Success)
	romeo.Send("<iq to='" + open + "' type='get' id='relay'><services xmlns='urn:xmpp:extdisco:2'/></iq>")
	if got := within(t, romeo, patience, "<iq", "id='relay'", "type='result'"); strings.Contains(got, "username") {
		t.Errorf("credentials for somebody of another server: %s", got)
	}
}
