package transfer

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

const patience = 30 * time.Second

// password is everybody's, with what storage formats have to escape.
const password = `pa"ss\wörd<1>`

// login logs in with PLAIN, which every storage of passwords allows, and is present.
func login(t testing.TB, c2s, name string) *peertest.Client {
	t.Helper()
	c := peertest.Dial(t, c2s, domain)
	c.Open()
	c.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + base64.StdEncoding.EncodeToString([]byte("\x00"+name+"\x00"+password)) + "</auth>")
	within(t, c, "<success")
	c.Open()
	c.Send("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>x</resource></bind></iq>")
	within(t, c, "<iq", "id='bind'", "type='result'")
	c.JID = name + "@" + domain + "/x"
	c.Send("<iq type='set' id='sess'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>")
	within(t, c, "<iq", "id='sess'")
	c.Send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
	within(t, c, "<iq", "id='roster'")
	c.Send("<presence/>")
	within(t, c, "<presence", "from='"+c.JID+"'")
	return c
}

// within reads until an element holds all parts.
func within(t testing.TB, c *peertest.Client, parts ...string) string {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		got := strings.ReplaceAll(c.ReadWithin(time.Until(end)), `"`, "'")
		if got == "" {
			t.Fatalf("%s: the connection ended before %q came", c.JID, parts)
		}
		missing := false
		for _, part := range parts {
			missing = missing || !strings.Contains(got, part)
		}
		if !missing {
			return got
		}
	}
}

// ask sends a request and returns the answer.
func ask(t testing.TB, c *peertest.Client, typ, to, payload string) string {
	t.Helper()
	if to != "" {
		to = " to='" + to + "'"
	}
	c.Send("<iq type='" + typ + "' id='ask'" + to + ">" + payload + "</iq>")
	got := within(t, c, "<iq", "id='ask'")
	if !strings.Contains(got, "type='result'") {
		t.Fatalf("%s asks %s: %s", c.JID, payload, got)
	}
	return got
}

const (
	card  = "<vCard xmlns='vcard-temp'><FN>Ann &amp; Ä</FN><NICKNAME>annie</NICKNAME></vCard>"
	notes = "<notes xmlns='urn:example:notes'><n at='1'>buy &lt;milk&gt;</n></notes>"
	room  = "balcony@" + rooms
)

// live has people use a server: they know one another, block somebody, keep data, wait for an answer, and have a room.
func live(t testing.TB, p *peer) {
	t.Helper()
	for _, name := range []string{"ann", "bob", "cy", "dan.o-neil"} {
		p.register(name, escape(password))
	}
	ann, bob := login(t, p.c2s, "ann"), login(t, p.c2s, "bob")
	ask(t, ann, "set", "", "<query xmlns='jabber:iq:roster'><item jid='bob@old.test' name='Bob &quot;B&quot;'><group>Friends</group><group>Läufer</group></item></query>")
	ask(t, ann, "set", "", "<query xmlns='jabber:iq:roster'><item jid='zoe@far.test' name='Zoe'/></query>")
	for _, two := range [][2]*peertest.Client{{ann, bob}, {bob, ann}} {
		to := strings.TrimSuffix(two[1].JID, "/x")
		two[0].Send("<presence type='subscribe' to='" + to + "'/>")
		within(t, two[1], "<presence", "type='subscribe'", "from='"+strings.TrimSuffix(two[0].JID, "/x")+"'")
		two[1].Send("<presence type='subscribed' to='" + strings.TrimSuffix(two[0].JID, "/x") + "'/>")
		within(t, two[0], "<presence", "from='"+two[1].JID+"'")
	}
	ann.Send("<presence type='subscribe' to='cy@old.test'/>") // who is not there to answer
	within(t, ann, "<iq", "cy@old.test", "ask='subscribe'")
	ask(t, ann, "set", "", "<block xmlns='urn:xmpp:blocking'><item jid='spam@far.test'/><item jid='ads.test'/></block>")
	ask(t, ann, "set", "", "<query xmlns='jabber:iq:private'>"+notes+"</query>")
	ask(t, ann, "set", "", card)
	ann.Send("<message type='chat' to='cy@old.test' id='wait'><body>when you are &lt;back&gt;</body></message>")

	ann.Send("<presence to='" + room + "/annie'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	within(t, ann, "<presence", "from='"+room+"/annie'", "110")
	form := func(pairs ...string) string {
		s := "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>"
		for i := 0; i < len(pairs); i += 2 {
			s += "<field var='muc#roomconfig_" + pairs[i] + "'><value>" + pairs[i+1] + "</value></field>"
		}
		return "<query xmlns='http://jabber.org/protocol/muc#owner'>" + s + "</x></query>"
	}
	settings := []string{"persistentroom", "1", "publicroom", "1", "membersonly", "1", "moderatedroom", "1", "roomname", "The &lt;Balcony&gt;", "roomdesc", "Where Romeo stands", "changesubject", "1", "whois", "anyone"}
	if p.name == "ejabberd" {
		settings = append(settings, "passwordprotectedroom", "1")
	}
	settings = append(settings, "roomsecret", "rose")
	ask(t, ann, "set", room, form(settings...))
	for _, item := range []string{"affiliation='admin' jid='bob@old.test'", "affiliation='member' jid='cy@old.test'", "affiliation='outcast' jid='tybalt@far.test'"} {
		ask(t, ann, "set", room, "<query xmlns='http://jabber.org/protocol/muc#admin'><item "+item+"/></query>")
	}
	ann.Send("<message to='" + room + "' type='groupchat'><subject>Love &amp; war</subject></message>")
	within(t, ann, "<message", "<subject>Love &amp; war</subject>")
	ask(t, ann, "get", room, "<query xmlns='http://jabber.org/protocol/muc#owner'/>") // it has worked off what came before
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;").Replace(s)
}
