package calls

import (
	"strconv"
	"testing"

	"parley/internal/peertest"
	"parley/internal/peertest/callpeer"
)

// The process is killed while the focus has a session with a participant of a Muji conference: after that the client, which resumes
// its stream, is told that the session has ended, and is called anew.
func TestMujiAfterTheServerWasKilled(t *testing.T) {
	shared := server
	t.Cleanup(func() { server = shared })
	server = peertest.StartParley(t, peertest.ParleyOptions{Args: []string{"--limits=off"}})
	server.AddUser("ann", secret)

	dial := func() *peertest.Client {
		c := peertest.Dial(t, server.XMPP, server.Domain)
		c.Login("ann", secret)
		return c
	}
	room := fresh("room")
	c := dial()
	c.Bind(fresh("phone"))
	c.Send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	id := peertest.Attr(c.Expect("<enabled", "resume='true'"), "id")
	ann := callpeer.NewParty(c, room+"@muc."+server.Domain, "m_ann", callpeer.Options{Video: true, Name: "ann"})
	opens(ann)
	ann.Join()
	member(t, room, "jim")
	meets(ann, focusAt(), "jim")
	before := ann.CallWith(focusAt())

	server.Kill()
	server.Start()
	jid := c.JID
	c = dial()
	c.JID = jid
	c.Send("<resume xmlns='urn:xmpp:sm:3' h='" + strconv.Itoa(ann.Stanzas) + "' previd='" + id + "'/>")
	c.Expect("<resumed", "previd='"+id+"'")
	ann.Continues(c)
	ann.Until("end of the session", func() bool { return before.Ended != nil })
	ann.Until("another session", func() bool { return ann.CallWith(focusAt()) != nil })
}
