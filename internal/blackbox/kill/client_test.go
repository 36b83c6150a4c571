package kill

import (
	"crypto/tls"
	"encoding/xml"
	"fmt"
	"strings"
	"testing"

	"parley/internal/peertest"
)

// door is a way to the server.
type door int

const (
	plain door = iota
	starttls
	direct
	websocket
)

// connect opens a connection through a door.
func (w *world) connect(t testing.TB, d door) *peertest.Client {
	t.Helper()
	switch d {
	case starttls:
		c := peertest.Dial(t, w.server.XMPP, "localhost")
		c.StartTLS(tls.VersionTLS13)
		return c
	case direct:
		return peertest.DialTLS(t, w.server.XMPPS, "localhost", tls.VersionTLS12)
	case websocket:
		return peertest.DialWS(t, w.server.HTTP, "localhost", "/xmpp-websocket")
	}
	return peertest.Dial(t, w.server.XMPP, "localhost")
}

// login logs in through a door and binds; the password of a user is the name, and "guest" has neither.
func (w *world) login(t testing.TB, d door, user, resource string) *peertest.Client {
	t.Helper()
	c := w.connect(t, d)
	name := user
	if user == "guest" {
		name = ""
	}
	c.Login(name, name)
	return c.Bind(resource)
}

// join is the presence that enters a room.
func join(room, nick string, most int) string {
	return fmt.Sprintf("<presence xmlns='jabber:client' to='%s/%s'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='%d'/></x></presence>", room, nick, most)
}

// entered reads on until the room has sent everything that a newcomer gets (XEP-0045 §7.2): the subject is the last. It
// returns the ids of the history's messages, the text of the subject, and whether the room is new.
func entered(t testing.TB, c *peertest.Client, room string) (ids []string, subject string, created bool) {
	t.Helper()
	for {
		e := c.Read()
		start := startTag(e)
		switch {
		case e == "":
			t.Fatal("the connection ended while entering ", room)
		case !strings.HasPrefix(peertest.Attr(start, "from"), room):
		case strings.Contains(start, "type='error'"):
			t.Fatalf("%s is closed: %s", room, e)
		case strings.HasPrefix(e, "<presence") && strings.Contains(e, "code='201'"):
			return nil, "", true
		case !strings.HasPrefix(e, "<message"):
		case strings.Contains(e, "<subject") && !strings.Contains(e, "<body"):
			return ids, inner(e, "subject"), false
		case strings.Contains(e, "<delay"):
			ids = append(ids, peertest.Attr(start, "id"))
		}
	}
}

// request sends an IQ and reads on until its answer, which must not be an error.
func request(t testing.TB, c *peertest.Client, kind, id, to, payload string) string {
	t.Helper()
	c.Send(fmt.Sprintf("<iq xmlns='jabber:client' type='%s' id='%s' to='%s'>%s</iq>", kind, id, to, payload))
	answer := c.Await("<iq", "id='"+id+"'")
	if !strings.Contains(startTag(answer), "type='result'") {
		t.Fatalf("%s is refused: %s", payload, answer)
	}
	return answer
}

// configure submits a configuration.
func configure(t testing.TB, c *peertest.Client, id, room string, fields ...string) {
	t.Helper()
	form := "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>" +
		"<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>"
	for i := 0; i < len(fields); i += 2 {
		form += "<field var='" + fields[i] + "'><value>" + fields[i+1] + "</value></field>"
	}
	request(t, c, "set", id, room, form+"</x></query>")
}

// startTag is the element's own start tag.
func startTag(e string) string {
	i := strings.IndexByte(e, '>')
	return e[:i+1]
}

// inner is the text of the first child of that name.
func inner(e, name string) string {
	_, s, _ := strings.Cut(e, "<"+name)
	_, s, ok := strings.Cut(s, ">")
	s, _, end := strings.Cut(s, "</"+name+">")
	if !ok || !end {
		return ""
	}
	return s
}

// form is what the test reads of a configuration form, and of a list of affiliations.
type form struct {
	Fields []struct {
		Var   string `xml:"var,attr"`
		Value string `xml:"value"`
	} `xml:"query>x>field"`
	Items []struct {
		JID         string `xml:"jid,attr"`
		Affiliation string `xml:"affiliation,attr"`
	} `xml:"query>item"`
}

func parse(t testing.TB, e string) (f form) {
	t.Helper()
	if err := xml.Unmarshal([]byte(e), &f); err != nil {
		t.Fatalf("%s: %v", e, err)
	}
	return f
}
