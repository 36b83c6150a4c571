package hostile

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"parley/internal/peertest"
)

const nsMUC = "http://jabber.org/protocol/muc"

var roomNumber atomic.Uint32

// newRoom returns the address of a room that is not there.
func newRoom() string { return fmt.Sprintf("hostile-%d@muc.localhost", roomNumber.Add(1)) }

func guest(t testing.TB) *peertest.Client {
	t.Helper()
	return user(t, dial(t), "")
}

// joining is the presence that asks to enter; more goes into its payload.
func joining(room, nick, more string) string {
	return "<presence to='" + room + "/" + nick + "' id='join'><x xmlns='" + nsMUC + "'>" + more + "</x></presence>"
}

// comeIn enters a room and reads what a newcomer gets, up to the subject. It returns the newcomer's own presence.
func comeIn(t testing.TB, p *peertest.Client, room, nick string) (self string) {
	t.Helper()
	p.T = t
	p.Send(joining(room, nick, ""))
	self = p.Await("<presence", "from='"+room+"/"+nick+"'", "<status code='110'/>")
	p.Await("<message", "from='"+room, "<subject")
	return self
}

// open creates a room, with these fields and values in its configuration.
func open(t testing.TB, owner *peertest.Client, fields ...string) (room string) {
	t.Helper()
	room = newRoom()
	comeIn(t, owner, room, "owner")
	configure(t, owner, room, fields...)
	return room
}

func form(fields ...string) string {
	f := "<query xmlns='" + nsMUC + "#owner'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>" + nsMUC + "#roomconfig</value></field>"
	for i := 0; i < len(fields); i += 2 {
		f += "<field var='muc#roomconfig_" + fields[i] + "'><value>" + fields[i+1] + "</value></field>"
	}
	return f + "</x></query>"
}

func configure(t testing.TB, owner *peertest.Client, room string, fields ...string) {
	t.Helper()
	if got := ask(t, owner, "set", room, form(fields...)); !strings.Contains(startTag(got), "type='result'") {
		t.Fatalf("the configuration is answered %s", got)
	}
}

// grade gives somebody an affiliation.
func grade(t testing.TB, owner *peertest.Client, room, affiliation, jid string) {
	t.Helper()
	if got := ask(t, owner, "set", room, item("affiliation", affiliation, "jid", jid)); !strings.Contains(startTag(got), "type='result'") {
		t.Fatalf("%s for %s is answered %s", affiliation, jid, got)
	}
}

func item(name, value, by, whom string) string {
	return "<query xmlns='" + nsMUC + "#admin'><item " + name + "='" + value + "' " + by + "='" + whom + "'/></query>"
}

// bare is the address without resource.
func bare(p *peertest.Client) string {
	b, _, _ := strings.Cut(p.JID, "/")
	return b
}

// startTag is the element's own start tag.
func startTag(e string) string {
	s, _, _ := strings.Cut(e, ">")
	return s + ">"
}

// account logs somebody new in.
func account(t testing.TB) *peertest.Client {
	t.Helper()
	name := fmt.Sprintf("account%d", accounts.Add(1))
	server.AddUser(name, name+"-password")
	return user(t, dial(t), name)
}

var accounts, questions atomic.Uint32

// ask sends a request and returns the answer.
func ask(t testing.TB, p *peertest.Client, kind, to, payload string) string {
	t.Helper()
	_, answer := meanwhile(t, p, kind, to, payload)
	return answer
}

// meanwhile sends a request and returns what came before its answer, and the answer. A room works off what it gets in
// order, so a request to it is a barrier: what it was going to say to the asker about anything before has come.
func meanwhile(t testing.TB, p *peertest.Client, kind, to, payload string) (before []string, answer string) {
	t.Helper()
	p.T = t
	id := fmt.Sprintf("ask-%d", questions.Add(1))
	p.Send("<iq type='" + kind + "' to='" + to + "' id='" + id + "'>" + payload + "</iq>")
	for {
		e := p.Read()
		if e == "" {
			t.Fatalf("the connection ended instead of an answer to %s", payload)
		}
		tag := startTag(e)
		if strings.HasPrefix(tag, "<iq") && peertest.Attr(tag, "id") == id && (peertest.Attr(tag, "type") == "result" || peertest.Attr(tag, "type") == "error") {
			return before, e
		}
		before = append(before, e)
	}
}

// heard returns what somebody in a room has been sent until now.
func heard(t testing.TB, p *peertest.Client, room string) []string {
	t.Helper()
	before, _ := meanwhile(t, p, "get", room, "<ping xmlns='urn:xmpp:ping'/>")
	return before
}

// of leaves what came from one room. From the rooms of tests before, members that are no longer connected may still be leaving.
func of(room string, came []string) []string {
	return slices.DeleteFunc(came, func(e string) bool {
		from, _, _ := strings.Cut(peertest.Attr(startTag(e), "from"), "/")
		return from != room
	})
}

// wantError wants an error stanza with exactly this type and condition.
func wantError(t testing.TB, got, typ, condition string) {
	t.Helper()
	if !strings.Contains(startTag(got), "type='error'") || !strings.Contains(got, "type='"+typ+"'><"+condition+" ") {
		t.Errorf("got %s, want %s (%s)", got, condition, typ)
	}
}

// nothingOf wants that nothing of what came holds one of the texts.
func nothingOf(t testing.TB, who string, came []string, texts ...string) {
	t.Helper()
	for _, e := range came {
		for _, text := range texts {
			if strings.Contains(e, text) {
				t.Errorf("%s got %s", who, e)
			}
		}
	}
}

func TestHM4Joining(t *testing.T) {
	ann := user(t, dial(t), "ann")
	// refused tries to enter and wants the error, the count, and that the owner hears nothing.
	refused := func(t *testing.T, p *peertest.Client, room, nick, more, typ, condition string) {
		t.Helper()
		before := counted(t, "room.deny")
		p.T = t
		p.Send(joining(room, nick, more))
		wantError(t, p.Await("<presence", "id='join'"), typ, condition)
		if counted(t, "room.deny") != before+1 {
			t.Errorf("%s is not counted", condition)
		}
		nothingOf(t, "the owner", of(room, heard(t, ann, room)), "<presence")
		p.Send("<message to='" + room + "' type='groupchat' id='m'><body>through the wall</body></message>")
		if got := p.Await("<message", "id='m'"); !strings.Contains(startTag(got), "type='error'") {
			t.Errorf("who is outside speaks: %s", got)
		}
		nothingOf(t, "the owner", heard(t, ann, room), "through the wall")
	}
	t.Run("password", func(t *testing.T) {
		room := open(t, ann, "passwordprotectedroom", "1", "roomsecret", "cauldronburn")
		bob := user(t, dial(t), "bob")
		for _, more := range []string{"", "<password/>", "<password>cauldron</password>", "<password>cauldronburn </password>", "<password>wrong</password><password>cauldronburn</password>",
			"<password xmlns='urn:other'>cauldronburn</password>"} {
			refused(t, bob, room, "bob", more, "auth", "not-authorized")
		}
		bob.Send(joining(room, "bob", "<password>cauldronburn</password>"))
		bob.Await("from='"+room+"/bob'", "code='110'")
	})
	t.Run("banned", func(t *testing.T) {
		room := open(t, ann)
		grade(t, ann, room, "outcast", "bob@localhost")
		refused(t, user(t, dial(t), "bob"), room, "bob", "", "auth", "forbidden")
	})
	t.Run("members only", func(t *testing.T) {
		room := open(t, ann, "membersonly", "1")
		bob, carl := user(t, dial(t), "bob"), user(t, dial(t), "carl")
		refused(t, bob, room, "bob", "", "auth", "registration-required")
		refused(t, guest(t), room, "guest", "", "auth", "registration-required")
		grade(t, ann, room, "member", bare(carl))
		comeIn(t, carl, room, "carl")
	})
	t.Run("full", func(t *testing.T) {
		room := open(t, ann, "maxusers", "2")
		bob := user(t, dial(t), "bob")
		comeIn(t, bob, room, "bob")
		heard(t, ann, room)
		carl := user(t, dial(t), "carl")
		refused(t, carl, room, "carl", "", "wait", "service-unavailable")
		bob.Send("<presence to='" + room + "/bob' type='unavailable'/>")
		ann.Await("type='unavailable'", "from='"+room+"/bob'")
		comeIn(t, carl, room, "carl")
	})
	t.Run("nickname in use", func(t *testing.T) {
		room := open(t, ann)
		for _, nick := range []string{"owner", "OWNER", "Owner", "ｏｗｎｅｒ"} {
			refused(t, user(t, dial(t), "bob"), room, nick, "", "cancel", "conflict")
		}
	})
	t.Run("locked", func(t *testing.T) {
		room := newRoom()
		comeIn(t, ann, room, "owner")
		refused(t, user(t, dial(t), "bob"), room, "bob", "", "cancel", "item-not-found")
	})
	t.Run("no nickname", func(t *testing.T) {
		room := open(t, ann)
		bob := user(t, dial(t), "bob")
		bob.Send("<presence to='" + room + "' id='join'><x xmlns='" + nsMUC + "'/></presence>")
		wantError(t, bob.Await("id='join'"), "modify", "jid-malformed")
		nothingOf(t, "the owner", of(room, heard(t, ann, room)), "<presence")
	})
}

// TestHM5Privileges has everybody ask for everything that is not theirs. The room is the same afterwards.
func TestHM5Privileges(t *testing.T) {
	ann := user(t, dial(t), "ann")
	room := open(t, ann, "passwordprotectedroom", "1", "roomsecret", "cauldronburn", "changesubject", "0", "moderatedroom", "1")
	configForm := func() string {
		return ask(t, ann, "get", room, "<query xmlns='"+nsMUC+"#owner'/>")
	}
	people := map[string]*peertest.Client{
		"a visitor": guest(t), "a member": user(t, dial(t), "bob"), "an admin": user(t, dial(t), "carl"), "a stranger": guest(t),
		"another owner": account(t),
	}
	grade(t, ann, room, "member", "bob@localhost")
	grade(t, ann, room, "admin", "carl@localhost")
	dora := bare(people["another owner"])
	grade(t, ann, room, "owner", dora)
	nicks := map[string]string{"a visitor": "visitor", "a member": "bob", "an admin": "carl", "another owner": "other"}
	for who, nick := range nicks {
		p := people[who]
		p.Send(joining(room, nick, "<password>cauldronburn</password>"))
		p.Await("from='"+room+"/"+nick+"'", "code='110'")
		p.Await("<message", "<subject")
	}
	admin := func(attr, value, by, whom string) [2]string {
		return [2]string{"set", item(attr, value, by, whom)}
	}
	var (
		readConfig  = [2]string{"get", "<query xmlns='" + nsMUC + "#owner'/>"}
		config      = [2]string{"set", form("roomsecret", "mine")}
		destroy     = [2]string{"set", "<query xmlns='" + nsMUC + "#owner'><destroy><reason>boom</reason></destroy></query>"}
		owners      = [2]string{"get", "<query xmlns='" + nsMUC + "#admin'><item affiliation='owner'/></query>"}
		outcasts    = [2]string{"get", "<query xmlns='" + nsMUC + "#admin'><item affiliation='outcast'/></query>"}
		moderators  = [2]string{"get", "<query xmlns='" + nsMUC + "#admin'><item role='moderator'/></query>"}
		kickOwner   = admin("role", "none", "nick", "owner")
		muteOwner   = admin("role", "visitor", "nick", "owner")
		kickMember  = admin("role", "none", "nick", "bob")
		kickVisitor = admin("role", "none", "nick", "visitor")
		raiseSelf   = func(jid string) [2]string { return admin("affiliation", "owner", "jid", jid) }
		banOwner    = admin("affiliation", "outcast", "jid", "ann@localhost")
		lowerOwner  = admin("affiliation", "none", "jid", "ann@localhost")
		makeAdmin   = admin("affiliation", "admin", "jid", "bob@localhost")
		voice       = admin("role", "participant", "nick", "visitor")
		moderate    = admin("role", "moderator", "nick", "visitor")
		smuggled    = [2]string{"set", "<query xmlns='" + nsMUC + "#admin'><item nick='visitor' role='visitor'/><item nick='owner' role='none'/></query>"}
		register    = [2]string{"set", "<query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'><field var='muc#register_roomnick'><value>owner</value></field></x></query>"}
	)
	for who, wants := range map[string]map[string][][2]string{
		"a visitor": {
			"forbidden":   {readConfig, config, destroy, owners, outcasts, moderators, kickOwner, muteOwner, kickMember, raiseSelf(bare(people["a visitor"])), banOwner, lowerOwner, makeAdmin, voice, moderate, smuggled},
			"not-allowed": {register},
		},
		"a member": {
			"forbidden": {readConfig, config, destroy, owners, outcasts, moderators, kickOwner, muteOwner, kickVisitor, raiseSelf("bob@localhost"), banOwner, lowerOwner, makeAdmin, voice, moderate, smuggled},
			"conflict":  {register},
		},
		"an admin": {
			"forbidden":   {readConfig, config, destroy, owners},
			"not-allowed": {kickOwner, muteOwner, raiseSelf("carl@localhost"), banOwner, lowerOwner, makeAdmin, smuggled},
			"conflict":    {register, admin("affiliation", "outcast", "jid", "carl@localhost")},
		},
		"another owner": {
			"not-allowed": {kickOwner, banOwner},
		},
	} {
		p := people[who]
		for condition, requests := range wants {
			for _, r := range requests {
				before := counted(t, "room.")
				got := ask(t, p, r[0], room, r[1])
				if !strings.Contains(startTag(got), "type='error'") || !strings.Contains(got, "<"+condition+" ") {
					t.Errorf("%s, %s: %s, want %s", who, r[1], got, condition)
				}
				if counted(t, "room.") == before {
					t.Errorf("%s, %s: not counted", who, r[1])
				}
				if strings.Contains(got, "cauldronburn") {
					t.Errorf("%s sees the password", who)
				}
			}
		}
	}
	// To a stranger the room is not there.
	for _, r := range [][2]string{readConfig, config, destroy, owners, moderators, kickOwner, banOwner, raiseSelf(bare(people["a stranger"])), register} {
		wantError(t, ask(t, people["a stranger"], r[0], room, r[1]), "cancel", "item-not-found")
	}
	for _, who := range []string{"a visitor", "a member"} {
		p := people[who]
		p.Send("<message to='" + room + "' type='groupchat' id='s'><subject>mine now</subject></message>")
		wantError(t, p.Await("<message", "id='s'"), "auth", "forbidden")
	}
	people["a visitor"].Send("<message to='" + room + "' type='groupchat' id='v'><body>without voice</body></message>")
	wantError(t, people["a visitor"].Await("<message", "id='v'"), "auth", "forbidden")

	nothingOf(t, "the owner", heard(t, ann, room), "without voice", "mine now", "type='unavailable'", "destroy")
	if got := configForm(); !strings.Contains(got, "<value>cauldronburn</value>") {
		t.Errorf("the configuration is another one: %s", got)
	}
	for affiliation, want := range map[string][]string{"owner": {"ann@localhost", dora}, "admin": {"carl@localhost"}, "member": {"bob@localhost"}, "outcast": nil} {
		got := ask(t, ann, "get", room, "<query xmlns='"+nsMUC+"#admin'><item affiliation='"+affiliation+"'/></query>")
		if strings.Count(got, "<item ") != len(want) {
			t.Errorf("the list %s is %s", affiliation, got)
		}
		for _, jid := range want {
			if !strings.Contains(got, "jid='"+jid+"'") {
				t.Errorf("%s is missing in %s", jid, got)
			}
		}
	}
	// The last owner stays.
	grade(t, ann, room, "member", dora)
	for _, affiliation := range []string{"none", "member", "admin", "outcast"} {
		wantError(t, ask(t, ann, "set", room, item("affiliation", affiliation, "jid", "ann@localhost")), "cancel", "conflict")
	}
}

func TestHM9OutsideAndGone(t *testing.T) {
	ann, bob, carl := user(t, dial(t), "ann"), user(t, dial(t), "bob"), user(t, dial(t), "carl")
	room := open(t, ann, "publicroom", "1")
	for _, message := range []string{
		"<message to='%s' type='groupchat' id='x'><body>from outside</body></message>",
		"<message to='%s' type='groupchat' id='x'><subject>from outside</subject></message>",
		"<message to='%s/owner' type='chat' id='x'><body>from outside</body></message>",
		"<message to='%s/owner' id='x'><body>from outside</body></message>",
		"<message to='%s' id='x'><body>from outside</body></message>",
		"<message to='%s' id='x'><x xmlns='" + nsMUC + "#user'><invite to='carl@localhost'><reason>from outside</reason></invite></x></message>",
		"<iq to='%s/owner' type='set' id='x'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='from outside'/></iq>",
	} {
		bob.Send(fmt.Sprintf(message, room))
		wantError(t, bob.Await("id='x'"), "cancel", "not-acceptable")
	}
	bob.Send("<presence to='" + room + "/bob'/>") // without asking to enter
	bob.Await("type='unavailable'", "code='110'", "code='333'")
	nothingOf(t, "the owner", heard(t, ann, room), "from outside", "bob")
	carl.Ping()
	comeIn(t, bob, room, "bob")
	bob.Send("<presence to='" + room + "/bob' type='unavailable'/>")
	ann.Await("type='unavailable'", "from='"+room+"/bob'")
	for _, stanza := range []string{
		"<message to='%s/bob' type='chat' id='y'><body>anybody there?</body></message>",
		"<message to='%s/nobody' type='chat' id='y'><body>anybody there?</body></message>",
		"<iq to='%s/bob' type='get' id='y'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
	} {
		ann.Send(fmt.Sprintf(stanza, room))
		wantError(t, ann.Await("id='y'", "type='error'"), "cancel", "item-not-found")
	}
	bob.Await("type='unavailable'", "code='110'")
	before, _ := meanwhile(t, bob, "get", "localhost", "<ping xmlns='urn:xmpp:ping'/>")
	nothingOf(t, "who has left", before, "anybody there?")
}

// TestHM5PrivateMessagesAreOff: where nobody may send private messages, no kind of message is one.
func TestHM5PrivateMessagesAreOff(t *testing.T) {
	ann, mallory := user(t, dial(t), "ann"), guest(t)
	room := open(t, ann, "moderatedroom", "1", "allowpm", "none")
	comeIn(t, mallory, room, "mallory")
	for _, typ := range []string{"chat", "normal", "headline", "groupchat", "error"} {
		mallory.Send("<message to='" + room + "/owner' type='" + typ + "' id='pm'><body>psst</body><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
	}
	heard(t, mallory, room)
	nothingOf(t, "the owner", heard(t, ann, room), "psst")
}
