package calls

import (
	"strings"
	"testing"
	"time"

	"parley/internal/peertest/callpeer"
	"parley/jingle"
)

// A client that is accepted and never sends anything is not waited for: it gets an end, and its occupant leaves.
func TestCallWithoutMediaEnds(t *testing.T) {
	room := fresh("room")
	bob := member(t, room, "bob")
	ann := callpeer.New(login(t, "carl"), callpeer.Options{Name: "carl"})
	ann.Peer, ann.SID = at(room)+"/meeting", fresh("call")
	offer := &jingle.Jingle{Action: jingle.SessionInitiate, Initiator: ann.JID, Contents: []jingle.Content{{
		Creator: jingle.Initiator, Name: "audio", Senders: jingle.Both,
		Description: &jingle.Description{Media: "audio", RTCPMux: true, PayloadTypes: []jingle.PayloadType{{ID: 96, Name: "opus", ClockRate: 48000, Channels: 2}}},
		Transport: &jingle.Transport{Ufrag: "aaaa", Password: "rmFZXbZzKTCbDCSCrxeXQmcb", Fingerprints: []jingle.Fingerprint{{Hash: "sha-256", Setup: jingle.ActPass,
			Value: "AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89"}}},
	}}}
	begun := time.Now()
	ann.Request(offer)
	ann.Conn.SetReadDeadline(time.Now().Add(2 * time.Minute))
	for got := ""; !strings.Contains(got, "action='session-accept'"); got = ann.ReadWithin(patience) {
	}
	for got := ""; !strings.Contains(got, "action='session-terminate'"); got = ann.ReadWithin(2 * time.Minute) {
	}
	t.Logf("ended after %v", time.Since(begun))
	eventually(t, "end of the occupant", func() bool {
		for _, nick := range bob.Occupants() {
			if nick == "carl" {
				return false
			}
		}
		return true
	})
}
