// Package archive asks the binary for what was said: message archives of accounts and rooms (XEP-0313), on both stores.
package archive

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/peertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(peertest.Stopping(m)) }

// each runs a test against a server on each kind of store.
func each(t *testing.T, test func(t *testing.T, server *peertest.Parley)) {
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			o := peertest.ParleyOptions{}
			if kind == "postgres" {
				o.Config = fmt.Sprintf("store = %q\n", peertest.Postgres(t).Database(t))
			}
			test(t, peertest.StartParley(t, o))
		})
	}
}

func login(t *testing.T, server *peertest.Parley, user, resource string) *peertest.Client {
	t.Helper()
	c := peertest.DialTLS(t, server.XMPPS, "localhost", tls.VersionTLS13)
	if user == "" {
		c.Login("", "")
	} else {
		c.Login(user, user+"-password")
	}
	return c.Bind(resource)
}

// query asks an archive, one's own if to is "", and returns the messages and the answer.
func query(c *peertest.Client, to, content string) (messages []string, fin string) {
	c.T.Helper()
	if to != "" {
		to = " to='" + to + "'"
	}
	c.Send("<iq type='set' id='mam'" + to + "><query xmlns='urn:xmpp:mam:2' queryid='f27'>" + content + "</query></iq>")
	for {
		got := c.Read()
		switch {
		case got == "":
			c.T.Fatal("the connection ended")
		case strings.HasPrefix(got, "<message") && strings.Contains(got, "<result xmlns='urn:xmpp:mam:2' queryid='f27'"):
			messages = append(messages, got)
		case strings.HasPrefix(got, "<iq") && strings.Contains(got, "id='mam'"):
			return messages, got
		}
	}
}

func form(fields ...string) string {
	x := "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>"
	for i := 0; i < len(fields); i += 2 {
		x += "<field var='" + fields[i] + "'><value>" + fields[i+1] + "</value></field>"
	}
	return x + "</x>"
}

// stanzaID is the id that a message has in somebody's archive (XEP-0359).
func stanzaID(message, by string) string {
	_, rest, ok := strings.Cut(message, "<stanza-id xmlns='urn:xmpp:sid:0' by='"+by+"' id='")
	id, _, _ := strings.Cut(rest, "'")
	if !ok {
		return ""
	}
	return id
}

func bodies(messages []string) string {
	var list []string
	for _, m := range messages {
		_, rest, _ := strings.Cut(m, "<body>")
		body, _, _ := strings.Cut(rest, "</body>")
		list = append(list, body)
	}
	return strings.Join(list, " ")
}

func wants(t *testing.T, got string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(got, text) {
			t.Errorf("%q is not in %s", text, got)
		}
	}
}

// Two people talk, one of them away now and then; each finds the conversation again, also after the server was killed.
func TestHR9ArchiveOfAccounts(t *testing.T) {
	each(t, func(t *testing.T, server *peertest.Parley) {
		for _, user := range []string{"ann", "bob", "eve"} {
			server.AddUser(user, user+"-password")
		}
		ann, bob := login(t, server, "ann", "a"), login(t, server, "bob", "b")
		for _, c := range []*peertest.Client{ann, bob} {
			c.Send("<presence/>")
			c.Await("<presence", "from='"+c.JID+"'")
		}
		ann.Send("<message to='bob@localhost' type='chat' id='1'><body>one</body><stanza-id xmlns='urn:xmpp:sid:0' by='bob@localhost' id='forged'/></message>")
		first := bob.Await("<body>one")
		id := stanzaID(first, "bob@localhost")
		if id == "" || id == "forged" || strings.Contains(first, "forged") {
			t.Errorf("the id is %q: %s", id, first)
		}
		if strings.Contains(first, "by='ann@localhost'") {
			t.Errorf("bob is told of ann's archive: %s", first)
		}
		bob.Send("<message to='" + ann.JID + "' type='chat' id='2'><body>two</body></message>")
		ann.Await("<body>two")
		ann.Send("<message to='"+bob.JID+"' type='chat' id='3'><body>off the record</body><no-store xmlns='urn:xmpp:hints'/></message>",
			"<message to='"+bob.JID+"' type='chat' id='4'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
		bob.Await("<body>off the record")
		bob.Await("<composing")

		// An id that was delivered is found at once.
		messages, fin := query(bob, "", form("ids", id))
		if bodies(messages) != "one" {
			t.Errorf("bob finds %q: %s", messages, fin)
		}
		bob.Send("<presence type='unavailable'/>")
		bob.Ping()
		ann.Send("<message to='bob@localhost' type='chat' id='5'><body>three</body></message>")
		ann.Ping()

		check := func(c *peertest.Client, with string) {
			t.Helper()
			messages, fin := query(c, "", form("with", with))
			for end := time.Now().Add(peertest.Patience); len(messages) < 3 && time.Now().Before(end); time.Sleep(time.Millisecond) {
				messages, fin = query(c, "", form("with", with)) // what was sent last is acknowledged when it is archived
			}
			if got := bodies(messages); got != "one two three" {
				t.Errorf("%s finds %q", c.JID, got)
			}
			wants(t, fin, "type='result'", " complete='true'")
		}
		check(ann, "bob@localhost")
		check(bob, "ann@localhost")
		wants(t, messages[0], "from='bob@localhost'", "<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='",
			"<message xmlns='jabber:client' to='bob@localhost' from='"+ann.JID+"' ")

		// Nobody else asks: neither another account nor a guest.
		eve, guest := login(t, server, "eve", "e"), login(t, server, "", "")
		for _, c := range []struct {
			who *peertest.Client
			to  string
		}{{eve, "ann@localhost"}, {eve, "nobody@localhost"}, {guest, "localhost"}, {guest, ""}, {guest, "ann@localhost"}} {
			messages, answer := query(c.who, c.to, "")
			if len(messages) > 0 || !strings.Contains(answer, "type='error'") {
				t.Errorf("%s asks %q: %q %s", c.who.JID, c.to, messages, answer)
			}
		}
		for _, to := range []string{"", "localhost"} { // the server answers for who asks it
			messages, fin = query(eve, to, "")
			if len(messages) > 0 || !strings.Contains(fin, " complete='true'") {
				t.Errorf("eve's own archive, asked of %q: %q %s", to, messages, fin)
			}
		}
		messages, fin = query(ann, "localhost", form("with", "bob@localhost"))
		if got := bodies(messages); got != "one two three" || !strings.Contains(fin, " from='localhost'") {
			t.Errorf("of the server ann gets %q %s", got, fin)
		}

		for _, c := range []struct{ to, want string }{{"", "var='urn:xmpp:mam:2'"}, {"", "var='urn:xmpp:mam:2#extended'"}, {"ann@localhost", "var='urn:xmpp:mam:2#groupchat-field'"}, {"localhost", "var='urn:xmpp:mam:2'"}} {
			to := ""
			if c.to != "" {
				to = " to='" + c.to + "'"
			}
			ann.Send("<iq type='get' id='disco'" + to + "><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
			wants(t, ann.Await("id='disco'"), c.want)
		}

		ann.Send("<iq type='set' id='prefs'><prefs xmlns='urn:xmpp:mam:2' default='never'><always><jid>eve@localhost</jid></always></prefs></iq>")
		wants(t, ann.Await("id='prefs'"), "type='result'", "default='never'")

		server.Kill()
		server.Restart()
		ann, bob, eve = login(t, server, "ann", "a2"), login(t, server, "bob", "b2"), login(t, server, "eve", "e2")
		for _, c := range []*peertest.Client{ann, bob, eve} {
			c.Send("<presence/>")
			c.Await("<presence", "from='"+c.JID+"'")
		}
		for body, c := range map[string]*peertest.Client{"four": bob, "five": eve} {
			c.Send("<message to='ann@localhost' type='chat'><body>" + body + "</body></message>")
			got := ann.Await("<body>" + body)
			if archived := stanzaID(got, "ann@localhost") != ""; archived != (body == "five") {
				t.Errorf("archived %v: %s", archived, got)
			}
		}
		messages, _ = query(ann, "", "")
		if got := bodies(messages); got != "one two three five" {
			t.Errorf("ann finds %q", got)
		}
		messages, _ = query(bob, "", form("after-id", id))
		if got := bodies(messages); got != "two three four" {
			t.Errorf("bob finds %q behind the first", got)
		}
	})
}

// A persistent room is an archive for those who may enter; who comes by the address alone sees no real address.
func TestArchiveOfRooms(t *testing.T) {
	each(t, func(t *testing.T, server *peertest.Parley) {
		server.AddUser("ann", "ann-password")
		server.AddUser("bob", "bob-password")
		ann, bob, guest := login(t, server, "ann", "a"), login(t, server, "bob", "b"), login(t, server, "", "")
		const room = "coven@muc.localhost"
		ann.Send("<presence to='" + room + "/ann'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
		ann.Await("<subject")
		temporary, _ := query(ann, room, "")
		_, fin := query(ann, room, "")
		if len(temporary) > 0 || !strings.Contains(fin, "<service-unavailable ") {
			t.Errorf("a temporary room: %s", fin)
		}
		ann.Send("<iq to='" + room + "' type='set' id='own'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>" +
			"<field var='muc#roomconfig_persistentroom'><value>1</value></field><field var='muc#roomconfig_publicroom'><value>1</value></field></x></query></iq>")
		ann.Await("id='own'", "type='result'")
		for i := range 60 {
			ann.Send(fmt.Sprintf("<message to='%s' type='groupchat'><body>%d</body></message>", room, i))
		}
		last := ann.Await("<body>59<")
		id := stanzaID(last, room)
		ann.Send("<message to='" + room + "' type='groupchat'><subject>hags</subject></message>")
		ann.Await("<subject>hags")

		for _, c := range []*peertest.Client{ann, bob} {
			var all []string
			page := ""
			for {
				messages, fin := query(c, room, "<set xmlns='http://jabber.org/protocol/rsm'><max>25</max>"+page+"</set>")
				all = append(all, messages...)
				if strings.Contains(fin, " complete='true'") {
					break
				}
				_, rest, _ := strings.Cut(fin, "<last>")
				last, _, _ := strings.Cut(rest, "<")
				page = "<after>" + last + "</after>"
			}
			if len(all) != 61 || !strings.Contains(all[59], "<body>59<") || !strings.Contains(all[59], " id='"+id+"'") || !strings.Contains(all[60], "<subject>hags") {
				t.Fatalf("%s finds %d messages", c.JID, len(all))
			}
			wants(t, all[0], "from='"+room+"'", "<message xmlns='jabber:client' from='"+room+"/ann'")
			if real := strings.Contains(strings.Join(all, ""), "ann@localhost"); real != (c == ann) {
				t.Errorf("%s sees real addresses: %v", c.JID, real)
			}
		}
		if _, fin := query(guest, room, ""); !strings.Contains(fin, "<forbidden ") {
			t.Errorf("a guest outside: %s", fin)
		}
		ann.Send("<iq to='" + room + "' type='set' id='ban'><query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='outcast' jid='bob@localhost'/></query></iq>")
		ann.Await("id='ban'", "type='result'")
		if _, fin := query(bob, room, ""); !strings.Contains(fin, "<forbidden ") {
			t.Errorf("an outcast: %s", fin)
		}
		server.Kill()
		server.Restart()
		ann = login(t, server, "ann", "a2")
		messages, _ := query(ann, room, form("after-id", id))
		if len(messages) != 1 || !strings.Contains(messages[0], "<subject>hags") {
			t.Errorf("after a kill: %q", messages)
		}
	})
}
