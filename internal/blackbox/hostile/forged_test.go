package hostile

import (
	"encoding/xml"
	"fmt"
	"strings"
	"sync"
	"testing"

	"parley/internal/peertest"
)

// The wrappers that clients take from their own server or account only (XEP-0280 §11, XEP-0313 §8, RFC 6121 §2.1.6,
// XEP-0191 §3.3). Each holds the word "forged".
var wrappers = map[string]string{
	"carbon received": "<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='carl@localhost' to='bob@localhost' type='chat'><body>forged</body></message></forwarded></received>",
	"carbon sent":     "<sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='bob@localhost' to='carl@localhost' type='chat'><body>forged</body></message></forwarded></sent>",
	"archive result":  "<result xmlns='urn:xmpp:mam:2' queryid='q' id='forged'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25Z'/><message xmlns='jabber:client' from='carl@localhost'><body>forged</body></message></forwarded></result>",
	"archive end":     "<fin xmlns='urn:xmpp:mam:2' complete='true' queryid='forged'/>",
	"event":           "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:xmpp:avatar:metadata'><item id='forged'/></items></event>",
}

var pushes = map[string]string{
	"roster push": "<query xmlns='jabber:iq:roster' ver='forged'><item jid='mallory@localhost' subscription='both'/></query>",
	"block push":  "<block xmlns='urn:xmpp:blocking'><item jid='forged@localhost'/></block>",
	"unblock all": "<unblock xmlns='urn:xmpp:blocking'><forged/></unblock>",
	"focus mute":  "<mute xmlns='http://jitsi.org/jitmeet/audio' jid='forged'>true</mute>",
}

// TestHM1WrappersBetweenAccounts: what only the own server says reaches a client with the name of who said it, by which
// the client knows that it is not its server's.
func TestHM1WrappersBetweenAccounts(t *testing.T) {
	ann, bob := user(t, dial(t), "ann"), user(t, dial(t), "bob")
	bob.Send("<presence/>")
	bob.Await("<presence", "from='"+bob.JID+"'")
	from := func(e, what string) {
		t.Helper()
		if tag := startTag(e); peertest.Attr(tag, "from") != ann.JID || strings.Count(tag, " from=") != 1 {
			t.Errorf("%s comes as %s", what, e)
		}
	}
	for what, wrapper := range wrappers {
		for _, to := range []string{bob.JID, bare(bob)} {
			ann.Send("<message to='" + to + "' type='chat' id='w'>" + wrapper + "</message>")
			from(bob.Await("<message", "id='w'"), what)
		}
	}
	for what, push := range pushes {
		ann.Send("<iq to='" + bob.JID + "' type='set' id='p'>" + push + "</iq>")
		from(bob.Await("<iq", "id='p'"), what)
		// To the account it goes to the server, and nobody's client hears of it.
		wantError(t, ask(t, ann, "set", bare(bob), push), "cancel", "service-unavailable")
		before, _ := meanwhile(t, bob, "get", "localhost", "<ping xmlns='urn:xmpp:ping'/>")
		nothingOf(t, "the account's client", before, "forged")
	}
	// Nor does a name of one's choice help.
	for _, name := range []string{"bob@localhost", "localhost", bob.JID, "muc.localhost"} {
		p := user(t, dial(t), "ann")
		p.Send("<message from='" + name + "' to='" + bob.JID + "'>" + wrappers["carbon sent"] + "</message>")
		p.ExpectEnd("invalid-from")
	}
	before, _ := meanwhile(t, bob, "get", "localhost", "<ping xmlns='urn:xmpp:ping'/>")
	nothingOf(t, "bob", before, "forged")
}

// TestHM1WrappersInRooms: the same through a room, where the name is that of the occupant; never the room's own, which
// is what its archive would answer with.
func TestHM1WrappersInRooms(t *testing.T) {
	ann, bob, mallory := user(t, dial(t), "ann"), user(t, dial(t), "bob"), guest(t)
	room := open(t, ann)
	comeIn(t, bob, room, "bob")
	comeIn(t, mallory, room, "mallory")
	from := func(e, what string) {
		t.Helper()
		if tag := startTag(e); peertest.Attr(tag, "from") != room+"/mallory" || strings.Count(tag, " from=") != 1 {
			t.Errorf("%s comes as %s", what, e)
		}
	}
	for what, wrapper := range wrappers {
		mallory.Send("<message to='"+room+"' type='groupchat' id='g'>"+wrapper+"<body>Hi</body></message>",
			"<message to='"+room+"/bob' type='chat' id='c'>"+wrapper+"</message>")
		from(bob.Await("<message", "id='g'"), what)
		from(bob.Await("<message", "id='c'"), what)
	}
	for what, push := range pushes {
		mallory.Send("<iq to='" + room + "/bob' type='set' id='p'>" + push + "</iq>")
		from(bob.Await("<iq", "id='p'"), what)
	}
	// What a newcomer is given of them is the occupant's, too.
	late := guest(t)
	late.Send(joining(room, "late", ""))
	for replayed := 0; ; {
		e := late.Read()
		if strings.Contains(e, "<subject") {
			if replayed != len(wrappers) {
				t.Errorf("%d of %d messages were replayed", replayed, len(wrappers))
			}
			break
		}
		if strings.HasPrefix(e, "<message") {
			from(e, "the history")
			replayed++
		}
	}
	// An answer is taken from who was asked, and once.
	bob.Send("<iq to='" + room + "/owner' type='get' id='q'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
	asked := ann.Await("<iq", "type='get'")
	id := peertest.Attr(startTag(asked), "id")
	for _, to := range []string{room + "/bob", room, "bob@localhost"} {
		mallory.Send("<iq to='" + to + "' type='result' id='" + id + "'><forged/></iq>")
		mallory.Send("<iq to='" + to + "' type='error' id='" + id + "'><forged/></iq>")
	}
	heard(t, mallory, room)
	nothingOf(t, "bob", heard(t, bob, room), "forged")
	ann.Send("<iq to='" + room + "/bob' type='result' id='" + id + "'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
	if got := bob.Await("<iq", "id='q'"); peertest.Attr(startTag(got), "from") != room+"/owner" || !strings.Contains(startTag(got), "type='result'") {
		t.Errorf("the true answer comes as %s", got)
	}
	ann.Send("<iq to='" + room + "/bob' type='result' id='" + id + "'><again/></iq>")
	heard(t, ann, room)
	nothingOf(t, "bob", heard(t, bob, room), "<again")
}

// identities is what only a room may write, in several spellings. Each holds the word "forged".
func identities(room string) string {
	return "<delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25Z' from='forged'/>" +
		"<x xmlns='jabber:x:delay' stamp='20100710T23:08:25' from='forged'/>" +
		"<stanza-id xmlns='urn:xmpp:sid:0' by='" + room + "' id='forged'/>" +
		"<stanza-id xmlns='urn:xmpp:sid:0' by='" + strings.ToUpper(room) + "' id='forged'/>" +
		"<s:stanza-id xmlns:s='urn:xmpp:sid:0' by='" + room + "' id='forged'/>" +
		"<stanza-id by=\"&#x" + fmt.Sprintf("%x", room[0]) + ";" + room[1:] + "\" xmlns=\"urn:xmpp:sid:0\" id='forged'></stanza-id>" +
		"<occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>" +
		"<o:occupant-id xmlns:o='urn:xmpp:occupant-id:0' id='forged'/>" +
		"<x xmlns='" + nsMUC + "#user'><item affiliation='owner' role='moderator' jid='forged@localhost'/><status code='110'/><status code='301'/></x>" +
		"<m:x xmlns:m='" + nsMUC + "#user'><m:item affiliation='owner' role='moderator' nick='forged'/></m:x>" +
		"<hats xmlns='urn:xmpp:hats:0'><hat uri='forged' title='forged'/></hats>"
}

// parsed is what an independent parser reads in a stanza that a room has sent.
type parsed struct {
	From     string `xml:"from,attr"`
	Type     string `xml:"type,attr"`
	Children []struct {
		XMLName xml.Name
		By      string `xml:"by,attr"`
		Items   []struct {
			Affiliation string `xml:"affiliation,attr"`
		} `xml:"item"`
		Status []struct {
			Code string `xml:"code,attr"`
		} `xml:"status"`
	} `xml:",any"`
}

func (p *parsed) count(space, local string) (n int) {
	for _, c := range p.Children {
		if c.XMLName.Space == space && c.XMLName.Local == local {
			n++
		}
	}
	return n
}

func parse(t testing.TB, e string) *parsed {
	t.Helper()
	p := new(parsed)
	if err := xml.Unmarshal([]byte(e), p); err != nil {
		t.Fatalf("%s: %v", e, err)
	}
	return p
}

// TestHM2ForgedIdentity: all copies of what the room writes itself are taken out of what an occupant sends, whatever the
// stanza, and the room's own are added once. The rest stays.
func TestHM2ForgedIdentity(t *testing.T) {
	ann, bob, mallory := user(t, dial(t), "ann"), user(t, dial(t), "bob"), guest(t)
	room := open(t, ann, "changesubject", "1")
	comeIn(t, bob, room, "bob")
	comeIn(t, mallory, room, "mallory")
	forged := identities(room)
	const kept = "<kept xmlns='urn:test' a='1'>&amp;</kept>"
	clean := func(t *testing.T, e string) *parsed {
		t.Helper()
		if strings.Contains(e, "forged") || strings.Contains(e, "2010") {
			t.Errorf("got %s", e)
		}
		if !strings.Contains(e, kept) {
			t.Errorf("the rest is missing in %s", e)
		}
		p := parse(t, e)
		if p.From != room+"/mallory" || p.count("urn:xmpp:occupant-id:0", "occupant-id") != 1 {
			t.Errorf("got %s", e)
		}
		return p
	}
	t.Run("message", func(t *testing.T) {
		for _, extra := range []string{"<body>Hi</body>", "<subject>Hi</subject>", "<body>Hi</body><subject>Hi</subject>"} {
			mallory.Send("<message to='" + room + "' type='groupchat' id='m'>" + forged + extra + kept + forged + "</message>")
			p := clean(t, bob.Await("<message", "id='m'"))
			if p.count("urn:xmpp:sid:0", "stanza-id") != 1 || p.count(nsMUC+"#user", "x") != 0 || p.Type != "groupchat" {
				t.Errorf("got %+v", p)
			}
		}
	})
	t.Run("private message", func(t *testing.T) {
		mallory.Send("<message to='" + room + "/bob' type='chat' id='p'>" + forged + "<body>Hi</body>" + kept + forged + "</message>")
		p := clean(t, bob.Await("<message", "id='p'"))
		if p.count(nsMUC+"#user", "x") != 1 || p.count("urn:xmpp:sid:0", "stanza-id") != 0 {
			t.Errorf("got %+v", p)
		}
	})
	t.Run("history", func(t *testing.T) {
		late := guest(t)
		late.Send(joining(room, "late", ""))
		p := clean(t, late.Await("<message", "id='m'", "<body>"))
		if p.count("urn:xmpp:delay", "delay") != 1 || p.count("urn:xmpp:sid:0", "stanza-id") != 1 {
			t.Errorf("got %+v", p)
		}
	})
	presence := func(t *testing.T, kind string, codes ...string) {
		t.Helper()
		mallory.Send("<presence to='" + room + "/mallory'" + kind + ">" + forged + kept + "<identity><user><id>forged</id></user></identity>" + forged + "</presence>")
		p := clean(t, bob.Await("<presence", kept))
		for _, c := range p.Children {
			if c.XMLName.Local != "x" {
				continue
			}
			if len(c.Items) != 1 || c.Items[0].Affiliation != "none" || len(c.Status) != len(codes) {
				t.Errorf("the room says %+v of him", c)
			}
		}
		if p.count(nsMUC+"#user", "x") != 1 {
			t.Errorf("got %+v", p)
		}
	}
	t.Run("presence", func(t *testing.T) { presence(t, "") })
	t.Run("goodbye", func(t *testing.T) { presence(t, " type='unavailable'") })
	t.Run("entering", func(t *testing.T) {
		mallory.Send("<presence to='" + room + "/mallory'>" + forged + "<x xmlns='" + nsMUC + "'/>" + kept + forged + "</presence>")
		p := clean(t, bob.Await("<presence", kept))
		if p.count(nsMUC+"#user", "x") != 1 || p.count(nsMUC, "x") != 0 {
			t.Errorf("got %+v", p)
		}
	})
}

// TestHM10NamesThatDeceive: nobody enters under a name that looks like a moderator's, and markup stays text.
func TestHM10NamesThatDeceive(t *testing.T) {
	ann := user(t, dial(t), "ann")
	room := newRoom()
	comeIn(t, ann, room, "alice")
	configure(t, ann, room, "changesubject", "1")
	bob := user(t, dial(t), "bob")
	for what, nick := range map[string]string{
		"other case": "ALICE", "Cyrillic": "аlice", "zero width": "ali\u200bce", "joiner": "ali\u200dce", "soft hyphen": "al\u00adice", "spaces": "a l i c e",
		"full width": "ａｌｉｃｅ", "digit for a letter": "a1ice", "combining mark": "alic\u0301e", "right-to-left override": "\u202Ealice", "space behind": "alice ",
		"mathematical": "𝐚𝐥𝐢𝐜𝐞", "nothing to see": "\u2800\u3164", "underscore": "al_ice",
	} {
		bob.Send("<presence to='" + room + "/" + nick + "' id='join'><x xmlns='" + nsMUC + "'/></presence>")
		if got := bob.Await("<presence", "id='join'"); !strings.Contains(startTag(got), "type='error'") {
			t.Errorf("%s: %s", what, got)
			bob.Send("<presence to='" + room + "/" + nick + "' type='unavailable'/>")
		}
		nothingOf(t, "the moderator", of(room, heard(t, ann, room)), "<presence")
	}
	comeIn(t, bob, room, "bob")
	for _, nick := range []string{"аlice", "ALICE", "al.ice"} { // nor does one become so later
		bob.Send("<presence to='" + room + "/" + nick + "' id='rename'/>")
		wantError(t, bob.Await("<presence", "id='rename'"), "cancel", "conflict")
	}
	heard(t, ann, room)

	const markup = "<script>alert('\"1\"')</script>&amp;\u202E]]>"
	var escaped strings.Builder
	xml.EscapeText(&escaped, []byte(markup))
	carl := user(t, dial(t), "carl")
	nick := "&lt;b onclick=&quot;x&quot;>carl&lt;/b>"
	carl.Send("<presence to=\"" + room + "/" + nick + "\" id='join'><x xmlns='" + nsMUC + "'/></presence>")
	if p := parse(t, ann.Await("<presence", "carl")); p.From != room+"/<b onclick=\"x\">carl</b>" {
		t.Errorf("the nickname has become %q", p.From)
	}
	carl.Send("<message to='" + room + "' type='groupchat' id='s'><subject>" + escaped.String() + "</subject></message>")
	subject := func(who, e string) {
		t.Helper()
		var m struct {
			Subject string `xml:"subject"`
		}
		if err := xml.Unmarshal([]byte(e), &m); err != nil || m.Subject != markup {
			t.Errorf("%s reads the subject %q: %v", who, m.Subject, err)
		}
	}
	subject("the owner", ann.Await("<message", "<subject"))
	late := guest(t)
	late.Send(joining(room, "late", ""))
	subject("a newcomer", late.Await("<message", "<subject"))
	configure(t, ann, room, "roomname", escaped.String(), "publicroom", "1")
	for _, query := range []string{room + " info", "muc.localhost items"} {
		to, what, _ := strings.Cut(query, " ")
		got := ask(t, late, "get", to, "<query xmlns='http://jabber.org/protocol/disco#"+what+"'/>")
		var q struct {
			Names []struct {
				Name string `xml:"name,attr"`
			} `xml:"query>identity"`
			Items []struct {
				Name string `xml:"name,attr"`
			} `xml:"query>item"`
		}
		if err := xml.Unmarshal([]byte(got), &q); err != nil {
			t.Fatal(err)
		}
		found := false
		for _, n := range append(q.Names, q.Items...) {
			found = found || n.Name == markup
		}
		if !found {
			t.Errorf("%s does not hold the name: %s", query, got)
		}
	}
}

var focusAccount sync.Once

// TestHM11ServiceRoles: the names of the service make nobody its part.
func TestHM11ServiceRoles(t *testing.T) {
	ann, mallory := user(t, dial(t), "ann"), user(t, dial(t), "carl")
	room := newRoom()
	conference := "<conference xmlns='http://jitsi.org/protocol/focus' room='" + room + "' machine-uid='m'/>"
	if got := ask(t, ann, "set", "focus.localhost", conference); !strings.Contains(got, "ready='true'") {
		t.Fatalf("the conference request is answered %s", got)
	}
	comeIn(t, ann, room, "annendpoint")
	isFocus := func(e string) bool {
		return strings.Contains(e, "from='"+room+"/focus'") && strings.Contains(e, "conference-properties") && !strings.Contains(e, "forged")
	}
	before := counted(t, "spoof.service")
	n := 0.0
	for _, nick := range []string{"focus", "Focus", "fоcus", "f0cus", "ｆｏｃｕｓ", "fo\u00adcus", "f o c u s"} {
		mallory.Send("<presence to='" + room + "/" + nick + "' id='join'><x xmlns='" + nsMUC + "'/></presence>")
		got := mallory.Await("<presence", "id='join'")
		if strings.Contains(got, "<jid-malformed ") && nick[0] == 'f' { // PRECIS knows it already
			continue
		}
		n++
		wantError(t, got, "auth", "forbidden")
	}
	comeIn(t, mallory, room, "mallory")
	n++
	mallory.Send("<presence to='" + room + "/focus' id='rename'/>")
	wantError(t, mallory.Await("<presence", "id='rename'"), "auth", "forbidden")
	if got := counted(t, "spoof.service") - before; got != n {
		t.Errorf("%v of %v were counted", got, n)
	}
	nothingOf(t, "ann", heard(t, ann, room), "focus")

	// With a resource of that name, and its payload, one is what one was.
	focusAccount.Do(func() { server.AddUser("focus", "focus-password") })
	named := dial(t)
	login(t, named, "focus")
	named.Bind("focus")
	if got := comeIn(t, named, room, "named"); !strings.Contains(got, "role='participant'") {
		t.Errorf("focus@localhost/focus enters as %s", got)
	}
	mallory.Send("<presence to='" + room + "/mallory'><conference-properties xmlns='http://jitsi.org/protocol/focus'><property key='forged' value='1'/></conference-properties><bot type='jibri'/><x xmlns='" + nsMUC + "#user'><item role='moderator' affiliation='owner'/></x></presence>")
	if p := parse(t, ann.Await("<presence", "from='"+room+"/mallory'")); p.From != room+"/mallory" || p.count(nsMUC+"#user", "x") != 1 {
		t.Errorf("mallory appears as %+v", p)
	}
	for _, payload := range []string{
		"<mute xmlns='http://jitsi.org/jitmeet/audio' jid='" + room + "/annendpoint'>true</mute>",
		"<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' initiator='" + room + "/focus' sid='forged'/>",
	} {
		mallory.Send("<iq to='" + room + "/annendpoint' type='set' id='as-focus'>" + payload + "</iq>")
		if got := ann.Await("<iq", "id='as-focus'"); peertest.Attr(startTag(got), "from") != room+"/mallory" {
			t.Errorf("it comes as %s", got)
		}
		mallory.Send("<iq to='" + ann.JID + "' type='set' id='direct'>" + payload + "</iq>")
		if got := ann.Await("<iq", "id='direct'"); peertest.Attr(startTag(got), "from") != mallory.JID {
			t.Errorf("it comes as %s", got)
		}
	}
	// Service namespaces that no client may use, towards every door of the service.
	for _, to := range []string{"focus.localhost", room, room + "/focus", "localhost", "muc.localhost"} {
		for _, payload := range []string{
			"<conference-modify xmlns='http://jitsi.org/protocol/colibri2' meeting-id='m' name='" + room + "' create='true'/>",
			"<force-shutdown xmlns='http://jitsi.org/protocol/colibri2'/>", "<graceful-shutdown xmlns='http://jitsi.org/protocol/colibri'/>",
			"<jibri xmlns='http://jitsi.org/protocol/jibri' action='start' streamid='x'/>", "<command xmlns='http://jabber.org/protocol/commands' node='shutdown' action='execute'/>",
		} {
			if got := ask(t, mallory, "set", to, payload); !strings.Contains(startTag(got), "type='error'") {
				t.Errorf("%s answers %s with %s", to, payload, got)
			}
		}
	}
	// Not even the owner puts the focus out, nor does somebody in its name.
	for _, payload := range []string{item("role", "none", "nick", "focus"), item("role", "visitor", "nick", "focus"), item("affiliation", "outcast", "nick", "focus")} {
		if got := ask(t, ann, "set", room, payload); !strings.Contains(startTag(got), "type='error'") {
			t.Errorf("%s is answered %s", payload, got)
		}
	}
	mallory.Send("<presence to='" + room + "/focus' type='unavailable'/>")
	mallory.Await("type='unavailable'", "from='"+room+"/mallory'") // he meant himself
	late := guest(t)
	if got := ask(t, late, "set", "focus.localhost", conference); !strings.Contains(got, "ready='true'") {
		t.Fatalf("the conference request is answered %s", got)
	}
	late.Send(joining(room, "late", ""))
	found := false
	for e := late.Read(); !strings.Contains(e, "<subject"); e = late.Read() {
		found = found || isFocus(e)
	}
	if !found {
		t.Error("the focus has left the room")
	}
}

// TestHM11NobodySummonsTheFocus: who may not enter a room does not bring the focus into it either.
func TestHM11NobodySummonsTheFocus(t *testing.T) {
	ann := user(t, dial(t), "ann")
	request := func(room string) string {
		return "<conference xmlns='http://jitsi.org/protocol/focus' room='" + room + "' machine-uid='m'/>"
	}
	t.Run("banned", func(t *testing.T) {
		room, bob := open(t, ann), user(t, dial(t), "bob")
		grade(t, ann, room, "outcast", "bob@localhost")
		heard(t, ann, room)
		if got := ask(t, bob, "set", "focus.localhost", request(room)); strings.Contains(got, "ready='true'") {
			t.Errorf("answered %s", got)
		}
		nothingOf(t, "the owner", heard(t, ann, room), "/focus'")
	})
	t.Run("not a member", func(t *testing.T) {
		room := open(t, ann, "membersonly", "1")
		heard(t, ann, room)
		got := ask(t, guest(t), "set", "focus.localhost", request(room))
		if strings.Contains(got, "meetingId") {
			t.Errorf("answered %s", got)
		}
		nothingOf(t, "the owner", heard(t, ann, room), "/focus'")
	})
	t.Run("locked", func(t *testing.T) {
		room := newRoom()
		comeIn(t, ann, room, "owner")
		if got := ask(t, guest(t), "set", "focus.localhost", request(room)); strings.Contains(got, "ready='true'") {
			t.Errorf("answered %s", got)
		}
		nothingOf(t, "the owner", heard(t, ann, room), "/focus'")
	})
}
