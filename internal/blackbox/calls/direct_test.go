package calls

import (
	"testing"

	"parley/internal/peertest"
	"parley/internal/peertest/callpeer"
	"parley/jingle"
)

// One calls another who has two devices: both ring, one answers, the other is told; media go both ways; the end is told.
func TestOneCallsAnother(t *testing.T) {
	for name, o := range map[string]callpeer.Options{
		"as Dino does":          {Video: true},
		"as Conversations does": {Video: true, Bundle: true, Sources: true},
		"voice":                 {},
	} {
		t.Run(name, func(t *testing.T) {
			ann := callpeer.New(login(t, "ann"), o)
			bob, other := callpeer.New(login(t, "bob"), callpeer.Options{}), login(t, "bob")
			ann.Name, bob.Name = "ann", "bob"
			sid := fresh("call")
			ann.Propose(bare(bob.Client), sid)
			for _, c := range []*peertest.Client{bob.Client, other} {
				c.Await("<message", "from='"+ann.JID+"'", "<propose xmlns='urn:xmpp:jingle-message:0' id='"+sid+"'")
			}
			bob.Message(ann.JID, jingle.Message{Kind: jingle.Proceed, ID: sid})
			other.Await("<sent xmlns='urn:xmpp:carbons:2'>", "<proceed xmlns='urn:xmpp:jingle-message:0' id='"+sid+"'")
			ann.Until("<message", "from='"+bob.JID+"'", "<proceed xmlns='urn:xmpp:jingle-message:0' id='"+sid+"'")
			ann.Offer(bob.JID, sid)
			bob.Answer(ann.JID, sid)
			ann.Until("action='session-accept'")
			ann.Connected()
			bob.Connected()
			kinds := []string{"audio"}
			if o.Video {
				kinds = append(kinds, "video")
			}
			for _, kind := range kinds {
				ann.Hears(kind, "bob-"+kind[:1]+"0")
				bob.Hears(kind, "ann-"+kind[:1]+"0")
			}
			bob.HangUp(jingle.Success)
			ann.Until("action='session-terminate'", "<success/>")
			history := "<iq xmlns='jabber:client' type='set' id='history'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field><field var='with'><value>" + bare(ann.Client) + "</value></field></x><set xmlns='http://jabber.org/protocol/rsm'><max>2</max><before/></set></query></iq>"
			other.Send(history)
			other.Await("<result xmlns='urn:xmpp:mam:2'", "<propose xmlns='urn:xmpp:jingle-message:0' id='"+sid+"'")
			other.Await("<result xmlns='urn:xmpp:mam:2'", "<proceed xmlns='urn:xmpp:jingle-message:0' id='"+sid+"'")
			other.Await("id='history'", "type='result'")
		})
	}
}

// Who refuses a call, and who gives up, is heard by all devices.
func TestCallsThatComeToNothing(t *testing.T) {
	ann := callpeer.New(login(t, "carl"), callpeer.Options{})
	bob, other := callpeer.New(login(t, "dora"), callpeer.Options{}), login(t, "dora")
	sid := fresh("call")
	ann.Propose(bare(bob.Client), sid)
	bob.Until("<propose", "id='"+sid+"'")
	bob.Message(ann.JID, jingle.Message{Kind: jingle.RejectCall, ID: sid, Reason: &jingle.Reason{Condition: jingle.Busy}})
	ann.Until("from='"+bob.JID+"'", "<reject xmlns='urn:xmpp:jingle-message:0' id='"+sid+"'", "<busy/>")
	other.Await("<sent xmlns='urn:xmpp:carbons:2'>", "<reject xmlns='urn:xmpp:jingle-message:0' id='"+sid+"'")
	sid = fresh("call")
	ann.Propose(bare(bob.Client), sid)
	ann.Message(bare(bob.Client), jingle.Message{Kind: jingle.Retract, ID: sid, Reason: &jingle.Reason{Condition: jingle.Cancel}})
	for _, c := range []*peertest.Client{bob.Client, other} {
		c.Await("<propose", "id='"+sid+"'")
		c.Await("<retract xmlns='urn:xmpp:jingle-message:0' id='" + sid + "'")
	}
}
