package federation

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

// invitations: a room invites somebody of the other server, who declines and is invited again, and comes (XEP-0045 §7.8.2). Into a
// room for members only the invitation opens the door.
func invitations(t *testing.T, server *peertest.Parley, p *peer) {
	ann, romeo := login(t, server.XMPP, open, "ann"), p.login(t, "good", "romeo")
	for _, c := range []*peertest.Client{ann, romeo} {
		c.Send("<presence/>")
		within(t, c, patience, "<presence")
	}
	for _, domain := range []string{open, p.domain("good")} {
		host, guest := ann, romeo
		if domain != open {
			host, guest = romeo, ann
		}
		room := "i" + fmt.Sprint(time.Now().UnixNano()) + "@muc." + domain
		create(t, host, room, "host")
		host.Send("<iq to='" + room + "' type='set' id='m'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>" +
			"<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_membersonly'><value>1</value></field></x></query></iq>")
		within(t, host, patience, "<iq", "id='m'", "type='result'")
		bare, _, _ := strings.Cut(guest.JID, "/")
		invite := "<message to='" + room + "' id='i'><x xmlns='http://jabber.org/protocol/muc#user'><invite to='" + bare + "'><reason>Come</reason></invite></x></message>"
		host.Send(invite)
		got := within(t, guest, patience, "<message", "from='"+room+"'", "<invite ", "<reason>Come</reason>")
		_, invited, _ := strings.Cut(got, "<invite")
		guest.Send("<message to='" + room + "'><x xmlns='http://jabber.org/protocol/muc#user'><decline to='" + peertest.Attr(invited, "from") + "'><reason>Later</reason></decline></x></message>")
		within(t, host, patience, "<message", "from='"+room+"'", "<decline ", "<reason>Later</reason>")
		host.Send(invite)
		within(t, guest, patience, "<message", "from='"+room+"'", "<invite ")
		enter(t, guest, room, "guest")
		within(t, host, patience, "<presence", "from='"+room+"/guest'", "affiliation='member'")
	}
}
