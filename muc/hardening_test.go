package muc

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/internal/limit"
	"parley/internal/token"
	"parley/xmpp/wire"
)

const join = "<x xmlns='" + NSMUC + "'/>"

func refusedWith(typ, condition string) []string {
	return []string{"type='error'", "type='" + typ + "'><" + condition + " "}
}

func TestHM1WrappersAreOrdinaryContent(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo, juliet := w.client("romeo@x/1"), w.client("juliet@x/1")
		romeo.join("r", "romeo")
		juliet.join("r", "juliet")
		forged := "<received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message from='juliet@x' to='x'><body>I owe you</body></message></forwarded></received>"
		romeo.send("<message to='r@muc.x/juliet' type='chat'>%s</message>", forged)
		got := juliet.want("carbons")
		if !strings.HasPrefix(got, "<message to='juliet@x/1' from='r@muc.x/romeo'") || !strings.Contains(got, forged) {
			t.Errorf("juliet got %s", got)
		}
		romeo.send("<iq to='r@muc.x/juliet' type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='mallory@x'/></query></iq>")
		if got := juliet.want("jabber:iq:roster"); !strings.Contains(got, "from='r@muc.x/romeo'") {
			t.Errorf("a roster push is passed on as %s", got)
		}
	})
}

func TestHM2ForgedIdentityIsTakenOut(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo, juliet := w.client("romeo@x/1"), w.client("juliet@x/1")
		romeo.join("r", "romeo")
		juliet.join("r", "juliet")
		romeo.take()
		forged := "<delay xmlns='urn:xmpp:delay' stamp='1599-01-01T00:00:00Z'/><stanza-id xmlns='urn:xmpp:sid:0' by='r@muc.x' id='forged'/>" +
			"<occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/><x xmlns='" + NSUser + "'><status code='301'/></x><hats xmlns='urn:xmpp:hats:0'/>"
		kept := "<nick xmlns='http://jabber.org/protocol/nick'>kept</nick>"
		juliet.send("<message to='r@muc.x' type='groupchat' id='1'>%s<body>Hi</body>%s%s</message>", forged, forged, "<stanza-id xmlns='urn:xmpp:sid:0' by='other@x' id='kept'/>")
		got := romeo.want("<body>Hi</body>", "by='other@x' id='kept'")
		for _, bad := range []string{"forged", "1599", "301", "hats"} {
			if strings.Contains(got, bad) {
				t.Errorf("%s is left in %s", bad, got)
			}
		}
		if strings.Count(got, "<stanza-id xmlns='urn:xmpp:sid:0' by='r@muc.x'") != 1 || strings.Count(got, "<occupant-id") != 1 {
			t.Errorf("the room's own ids are not there once: %s", got)
		}
		juliet.send("<presence to='r@muc.x/juliet'>%s%s<identity><user><id>boss</id></user></identity></presence>", forged, kept)
		got = romeo.want("from='r@muc.x/juliet'", "kept")
		for _, bad := range []string{"forged", "301", "boss"} {
			if strings.Contains(got, bad) {
				t.Errorf("%s is left in %s", bad, got)
			}
		}
	})
}

func TestHM4JoinErrors(t *testing.T) {
	tight := func(c *Config) { c.Limits.Occupants = 2 }
	for _, c := range []struct {
		name, typ, condition string
		setUp                func(w *world, owner *client)
		who                  string
		claims               *token.Claims
		room, nick           string
		change               func(*Config)
	}{
		{name: "wrong password", typ: "auth", condition: "not-authorized", setUp: func(w *world, owner *client) {
			owner.configure("r", cfgProtected, "1", cfgSecret, "cauldron")
		}},
		{name: "banned", typ: "auth", condition: "forbidden", setUp: func(w *world, owner *client) {
			owner.admin("r", "<item affiliation='outcast' jid='tybalt@x'/>")
		}},
		{name: "banned domain", typ: "auth", condition: "forbidden", who: "a@guest.x/1", setUp: func(w *world, owner *client) {
			owner.admin("r", "<item affiliation='outcast' jid='guest.x'/>")
		}},
		{name: "members only", typ: "auth", condition: "registration-required", setUp: func(w *world, owner *client) {
			owner.configure("r", cfgMembers, "1")
		}},
		{name: "full", typ: "wait", condition: "service-unavailable", change: tight, setUp: func(w *world, owner *client) {
			w.client("nurse@x/1").join("r", "nurse")
		}},
		{name: "nickname in use", typ: "cancel", condition: "conflict", nick: "Owner"},
		{name: "locked", typ: "cancel", condition: "item-not-found", change: func(c *Config) { c.Limits.Unlocked = false }},
		{name: "guests create nothing", typ: "cancel", condition: "not-allowed", who: "a@guest.x/1", room: "new", change: func(c *Config) { c.Limits.Create = Accounts }},
		{name: "token for another room", typ: "cancel", condition: "not-allowed", claims: &token.Claims{Room: "other", Tenant: token.Any}},
		{name: "no nickname", typ: "modify", condition: "jid-malformed", nick: "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				owner := w.client("owner@x/1")
				owner.join("r", "owner")
				if c.setUp != nil {
					c.setUp(w, owner)
				}
				owner.take()
				if c.who == "" {
					c.who = "tybalt@x/1"
				}
				tybalt := w.client(c.who)
				tybalt.claims = c.claims
				to := "r@muc.x/tybalt"
				switch {
				case c.room != "":
					to = c.room + "@muc.x/tybalt"
				case c.nick == "-":
					to = "r@muc.x"
				case c.nick != "":
					to = "r@muc.x/" + c.nick
				}
				before := w.count("room.deny") + w.count(token.CodeScope)
				tybalt.send("<presence to='%s'>%s</presence>", to, join)
				got := tybalt.want(refusedWith(c.typ, c.condition)...)
				if c.claims != nil && !strings.Contains(got, token.CodeScope) {
					t.Errorf("the code is missing: %s", got)
				}
				if c.name != "no nickname" && w.count("room.deny")+w.count(token.CodeScope) != before+1 {
					t.Error("it was not counted")
				}
				if got := owner.take(); len(got) > 0 {
					t.Errorf("the owner got %s", got)
				}
				if w.s.index.in(tybalt.addr, "r@muc.x") {
					t.Error("the attempt was not given back")
				}
			}, func(config *Config) {
				if c.change != nil {
					c.change(config)
				}
			})
		})
	}
}

func TestHM5OnlyThePrivilegedChangeThings(t *testing.T) {
	iq := func(ns, payload string) string {
		return "<iq to='r@muc.x' type='set' id='1'><query xmlns='" + ns + "'>" + payload + "</query></iq>"
	}
	config := iq(NSOwner, "<x xmlns='"+NSData+"' type='submit'><field var='"+cfgSecret+"'><value>mine</value></field></x>")
	for _, c := range []struct {
		name, who, stanza string
		typ, condition    string
	}{
		{"kick by a participant", "participant", iq(NSAdmin, "<item nick='visitor' role='none'/>"), "auth", "forbidden"},
		{"kick from outside", "stranger", iq(NSAdmin, "<item nick='visitor' role='none'/>"), "auth", "forbidden"},
		{"kick of an owner by an admin", "admin", iq(NSAdmin, "<item nick='owner' role='none'/>"), "cancel", "not-allowed"},
		{"kick of an admin by an admin", "admin", iq(NSAdmin, "<item nick='second' role='none'/>"), "cancel", "not-allowed"},
		{"kick of an admin by a moderator", "moderator", iq(NSAdmin, "<item nick='admin' role='none'/>"), "cancel", "not-allowed"},
		{"voice taken by a visitor", "visitor", iq(NSAdmin, "<item nick='participant' role='visitor'/>"), "auth", "forbidden"},
		{"moderator made by a moderator", "moderator", iq(NSAdmin, "<item nick='visitor' role='moderator'/>"), "auth", "forbidden"},
		{"ban by a moderator", "moderator", iq(NSAdmin, "<item affiliation='outcast' jid='visitor@x'/>"), "auth", "forbidden"},
		{"ban of an admin by an admin", "admin", iq(NSAdmin, "<item affiliation='outcast' jid='second@x'/>"), "cancel", "not-allowed"},
		{"owner made by an admin", "admin", iq(NSAdmin, "<item affiliation='owner' jid='admin@x'/>"), "cancel", "not-allowed"},
		{"one bad item spoils all", "admin", iq(NSAdmin, "<item affiliation='member' jid='new@x'/><item affiliation='admin' jid='visitor@x'/>"), "cancel", "not-allowed"},
		{"ban of oneself", "admin", iq(NSAdmin, "<item affiliation='outcast' jid='admin@x'/>"), "cancel", "conflict"},
		{"the last owner steps down", "owner", iq(NSAdmin, "<item affiliation='none' jid='owner@x'/>"), "cancel", "conflict"},
		{"list by a participant", "participant", "<iq to='r@muc.x' type='get' id='1'><query xmlns='" + NSAdmin + "'><item affiliation='outcast'/></query></iq>", "auth", "forbidden"},
		{"owner list by an admin", "admin", "<iq to='r@muc.x' type='get' id='1'><query xmlns='" + NSAdmin + "'><item affiliation='owner'/></query></iq>", "auth", "forbidden"},
		{"configuration by an admin", "admin", config, "auth", "forbidden"},
		{"configuration seen by an admin", "admin", "<iq to='r@muc.x' type='get' id='1'><query xmlns='" + NSOwner + "'/></iq>", "auth", "forbidden"},
		{"destruction by an admin", "admin", iq(NSOwner, "<destroy/>"), "auth", "forbidden"},
		{"subject by a participant", "participant", "<message to='r@muc.x' type='groupchat'><subject>mine</subject></message>", "auth", "forbidden"},
		{"voice approved by a visitor", "visitor", "<message to='r@muc.x'><x xmlns='" + NSData + "' type='submit'><field var='FORM_TYPE'><value>" + NSRequest +
			"</value></field><field var='muc#roomnick'><value>visitor</value></field><field var='muc#request_allow'><value>1</value></field></x></message>", "auth", "forbidden"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				all := make(map[string]*client)
				enter := func(name string) {
					all[name] = w.client(name + "@x/1")
					all[name].join("r", name)
				}
				enter("owner")
				owner := all["owner"]
				owner.configure("r", cfgModerated, "1", cfgProtected, "0", cfgPublic, "1")
				for _, name := range []string{"admin", "second", "moderator", "participant", "visitor"} {
					enter(name)
				}
				all["stranger"] = w.client("stranger@x/1")
				owner.admin("r", "<item affiliation='admin' jid='admin@x'/><item affiliation='admin' jid='second@x'/>")
				owner.admin("r", "<item nick='moderator' role='moderator'/><item nick='participant' role='participant'/>")
				for _, a := range all {
					a.take()
				}
				all[c.who].send("%s", c.stanza)
				got := all[c.who].take()
				if len(got) != 1 || !holds(got[0], refusedWith(c.typ, c.condition)) {
					t.Errorf("the answer is %q", got)
				}
				if w.count("room.priv") != 1 {
					t.Errorf("counted %d times", w.count("room.priv"))
				}
				for name, a := range all {
					if got := a.take(); len(got) > 0 {
						t.Errorf("%s got %q", name, got)
					}
				}
			})
		})
	}
}

func TestHM7HiddenRoomsLookAsNotExisting(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		owner, stranger := w.client("owner@x/1"), w.client("stranger@guest.x/1")
		owner.join("hidden", "owner")
		owner.join("public", "owner")
		owner.configure("public", cfgPublic, "1", cfgName, "A &amp; B")
		probes := []string{
			"<iq to='%s@muc.x' type='get' id='1'><query xmlns='" + NSDiscoInfo + "'/></iq>",
			"<iq to='%s@muc.x' type='get' id='1'><query xmlns='" + NSDiscoItems + "'/></iq>",
			"<iq to='%s@muc.x' type='get' id='1'><query xmlns='" + NSOwner + "'/></iq>",
			"<iq to='%s@muc.x' type='get' id='1'><query xmlns='" + NSAdmin + "'><item affiliation='owner'/></query></iq>",
			"<iq to='%s@muc.x' type='get' id='1'><query xmlns='" + NSRegister + "'/></iq>",
			"<iq to='%s@muc.x' type='get' id='1'><ping xmlns='" + NSPing + "'/></iq>",
			"<iq to='%s@muc.x/owner' type='get' id='1'><ping xmlns='" + NSPing + "'/></iq>",
			"<iq to='%s@muc.x/owner' type='get' id='1'><vCard xmlns='vcard-temp'/></iq>",
			"<message to='%s@muc.x' type='groupchat' id='1'><body>Hi</body></message>",
			"<message to='%s@muc.x/owner' type='chat' id='1'><body>Hi</body></message>",
			"<message to='%s@muc.x' id='1'><x xmlns='" + NSUser + "'><decline to='owner@x'/></x></message>",
			"<presence to='%s@muc.x/me' id='1'/>",
			"<presence to='%s@muc.x/me' id='1' type='unavailable'/>",
			"<presence to='%s@muc.x/owner' id='1' type='probe'/>",
		}
		for _, probe := range probes {
			owner.take()
			stranger.send(probe, "hidden")
			hidden := strings.ReplaceAll(strings.Join(stranger.take(), "\n"), "hidden@", "room@")
			stranger.send(probe, "absent")
			absent := strings.ReplaceAll(strings.Join(stranger.take(), "\n"), "absent@", "room@")
			if hidden != absent {
				t.Errorf("%s: a hidden room answers\n%s\none that is not there\n%s", probe, hidden, absent)
			}
			if got := owner.take(); len(got) > 0 {
				t.Errorf("%s: the owner got %s", probe, got)
			}
		}
		stranger.send("<iq to='muc.x' type='get' id='1'><query xmlns='" + NSDiscoItems + "'/></iq>")
		if got := stranger.want("type='result'"); strings.Contains(got, "hidden") || !strings.Contains(got, "<item jid='public@muc.x' name='A &amp; B'/>") {
			t.Errorf("the list is %s", got)
		}
	})
}

func TestHM7GuessesAreLimited(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		owner, stranger, other := w.client("owner@x/1"), w.client("stranger@x/1"), w.client("other@x/1")
		other.source = other.source.Next()
		owner.join("public", "owner")
		owner.configure("public", cfgPublic, "1")
		info := "<iq to='%s@muc.x' type='get' id='1'><query xmlns='" + NSDiscoInfo + "'/></iq>"
		for i := range 4 {
			stranger.send(info, fmt.Sprintf("guess%d", i))
		}
		stranger.take()
		stranger.send(info, "public")
		stranger.want(refusedWith("wait", "resource-constraint")...)
		if w.count("room.enum") == 0 {
			t.Error("it was not counted")
		}
		owner.send("<message to='public@muc.x' type='groupchat'><body>Hi</body></message>") // of the same source, but inside
		owner.want("<body>Hi</body>")
		other.send(info, "public")
		other.want("type='result'")
		w.pass(time.Minute)
		stranger.send(info, "public")
		stranger.want("type='result'")
	}, func(c *Config) { c.Limits.Guesses = limit.Rate{PerSecond: 0.1, Burst: 3} })
}

func TestHM8JoinsAreAdmittedAtARate(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		owner := w.client("owner@x/1")
		owner.join("r", "owner")
		var all []*client
		for i := range 40 {
			c := w.client(fmt.Sprintf("c%d@x/1", i))
			all = append(all, c)
			c.post("<presence to='r@muc.x/c%d'>%s</presence>", i, join)
			c.post("<message to='r@muc.x' type='groupchat' id='%d'><body>Hi</body></message>", i)
		}
		w.settle()
		inside, busy, out := 0, 0, 0
		tally := func() {
			inside, busy, out = 0, 0, 0
			for i, c := range all {
				got := strings.Join(c.take(), "\n")
				switch {
				case strings.Contains(got, "code='110'"):
					inside++
					if !strings.Contains(got, "<body>Hi</body>") {
						t.Errorf("c%d does not hear its own words, which it said behind its join: %s", i, got)
					}
				case strings.Contains(got, "resource-constraint"):
					busy++
				default:
					out++
				}
			}
		}
		tally()
		if inside != 4 || out != 20 || busy != 16 {
			t.Errorf("%d came in, %d wait, %d were refused", inside, out, busy)
		}
		if w.count("limit.room") == 0 {
			t.Error("it was not counted")
		}
		w.pass(5 * time.Second)
		tally()
		if inside != 20 {
			t.Errorf("%d of 20 came in later", inside)
		}
		if n := w.s.Stats().Occupants; n != 25 {
			t.Errorf("%d occupants", n)
		}
	}, func(c *Config) {
		c.Limits.Admission = limit.Rate{PerSecond: 10, Burst: 5}
		c.Limits.Queue = 20
	})
}

func TestHM8AGhostDoesNotEnter(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		owner, late := w.client("owner@x/1"), w.client("late@x/1")
		owner.join("r", "owner")
		late.send("<presence to='r@muc.x/late'>%s</presence>", join)
		late.gone() // while it waits
		w.pass(time.Minute)
		if n := w.s.Stats().Occupants; n != 1 {
			t.Errorf("%d occupants", n)
		}
		if w.s.index.in("late@x/1", "r@muc.x") {
			t.Error("the attempt was not given back")
		}
	}, func(c *Config) { c.Limits.Admission = limit.Rate{PerSecond: 1, Burst: 1} })
}

func TestHM8NicknamesChangeOnceIn5Seconds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		owner, juliet := w.client("owner@x/1"), w.client("juliet@x/1")
		owner.join("r", "owner")
		juliet.join("r", "juliet")
		juliet.send("<presence to='r@muc.x/capulet'/>")
		juliet.want("from='r@muc.x/capulet'", "110")
		owner.take()
		juliet.send("<presence to='r@muc.x/montague'/>")
		juliet.want(refusedWith("cancel", "not-acceptable")...)
		if got := owner.take(); len(got) > 0 {
			t.Errorf("the owner got %s", got)
		}
		w.pass(6 * time.Second)
		juliet.send("<presence to='r@muc.x/montague'/>")
		juliet.want("from='r@muc.x/montague'", "110")
	})
}

func TestHM8PresenceIsBounded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		owner, juliet := w.client("owner@x/1"), w.client("juliet@x/1")
		owner.join("r", "owner")
		juliet.join("r", "juliet")
		owner.take()
		for name, children := range map[string]string{
			"too many bytes":    "<SourceInfo>" + strings.Repeat("x", 9000) + "</SourceInfo>",
			"too many elements": strings.Repeat("<a/>", 1000),
		} {
			juliet.send("<presence to='r@muc.x/juliet'>%s</presence>", children)
			if got := juliet.take(); len(got) != 1 || !holds(got[0], refusedWith("modify", "policy-violation")) {
				t.Errorf("%s: %q", name, got)
			}
		}
		if got := owner.take(); len(got) > 0 || w.count("limit.room") != 2 {
			t.Errorf("the owner got %s, counted %d", got, w.count("limit.room"))
		}
		juliet.send("<message to='r@muc.x' type='groupchat'><body>still here</body></message>")
		owner.want("still here")
	})
}

func TestHM8PresenceFloodsAreCoalesced(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var all []*client
		for i := range 10 {
			c := w.client(fmt.Sprintf("c%d@x/1", i))
			all = append(all, c)
			c.join("r", fmt.Sprintf("c%d", i))
		}
		w.pass(time.Second)
		for _, c := range all {
			c.take()
		}
		for i := range 100 {
			all[0].post("<presence to='r@muc.x/c0'><status>%d</status></presence>", i)
		}
		w.pass(time.Second)
		for _, c := range all {
			if got := c.take(); len(got) != 1 || !holds(got[0], []string{"<status>99</status>"}) {
				t.Fatalf("%s got %d stanzas", c.addr, len(got))
			}
		}
		// What is said comes behind the presence in which it was said.
		all[0].send("<presence to='r@muc.x/c0'><status>new</status></presence>")
		all[0].send("<message to='r@muc.x' type='groupchat'><body>Hi</body></message>")
		got := all[1].take()
		if len(got) != 2 || !strings.Contains(got[0], "new") || !strings.Contains(got[1], "Hi") {
			t.Errorf("c1 got %q", got)
		}
	}, func(c *Config) { c.Limits.CoalesceAbove = 5 })
}

func TestHM9StrangersAndGoneNicknames(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		owner, juliet, stranger := w.client("owner@x/1"), w.client("juliet@x/1"), w.client("stranger@x/1")
		owner.join("r", "owner")
		owner.configure("r", cfgPublic, "1")
		juliet.join("r", "juliet")
		stranger.send("<message to='r@muc.x' type='groupchat' id='1'><body>Hi</body></message>")
		stranger.want(refusedWith("cancel", "not-acceptable")...)
		stranger.send("<message to='r@muc.x/owner' type='chat' id='1'><body>Hi</body></message>")
		stranger.want(refusedWith("cancel", "not-acceptable")...)
		juliet.gone()
		owner.take()
		owner.send("<message to='r@muc.x/juliet' type='chat' id='1'><body>Hi</body></message>")
		owner.want(refusedWith("cancel", "item-not-found")...)
		owner.send("<iq to='r@muc.x/juliet' type='get' id='1'><query xmlns='" + NSDiscoInfo + "'/></iq>")
		owner.want(refusedWith("cancel", "item-not-found")...)
	})
}

func TestHM10LookAlikesAndMarkup(t *testing.T) {
	for _, c := range []struct{ name, nick string }{
		{"other case", "ALICE"}, {"Cyrillic", "аlice"}, {"zero width", "ali\u200bce"}, {"spaces", "a l i c e"}, {"full width", "ａｌｉｃｅ"},
		{"digit for a letter", "a1ice"}, {"combining mark", "alic\u0301e"}, {"right-to-left override", "\u202Ealice"}, {"nothing to see", "\u2800\u3164"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				alice, mallory := w.client("alice@x/1"), w.client("mallory@x/1")
				alice.join("r", "alice")
				to, err := wire.ParseAddr("r@muc.x/" + c.nick)
				if err != nil {
					return // does not get past the router
				}
				mallory.send("<presence to='%s'>%s</presence>", to, join)
				mallory.wantNot("code='110'")
				if got := alice.take(); len(got) > 2 {
					t.Errorf("alice got %s", got)
				}
			})
		})
	}
	t.Run("markup is text", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			alice, bob := w.client("alice@x/1"), w.client("bob@x/1")
			alice.join("r", "alice")
			bob.send("<presence to='r@muc.x/&lt;b&gt;bob&lt;/b&gt;'>%s</presence>", join)
			alice.want("from='r@muc.x/&lt;b&gt;bob&lt;/b&gt;'")
			alice.configure("r", cfgName, "&lt;script&gt;")
			alice.send("<message to='r@muc.x' type='groupchat'><subject>&lt;img src=x&gt;</subject></message>")
			bob.want("<subject>&lt;img src=x&gt;</subject>")
			bob.send("<iq to='r@muc.x' type='get' id='1'><query xmlns='" + NSDiscoInfo + "'/></iq>")
			bob.want("name='&lt;script&gt;'", "<value>&lt;img src=x&gt;</value>")
		})
	})
}

func TestHM11NobodyIsTheFocus(t *testing.T) {
	for _, nick := range []string{"focus", "Focus", "fоcus", "f0cus", "focus\u200d"} {
		inWorld(t, func(t *testing.T, w *world) {
			alice, mallory := w.client("alice@x/1"), w.client("mallory@x/1")
			alice.join("r", "alice")
			alice.take()
			to, err := wire.ParseAddr("r@muc.x/" + nick)
			if err != nil {
				return
			}
			mallory.send("<presence to='%s'>%s</presence>", to, join)
			mallory.want(refusedWith("auth", "forbidden")...)
			mallory.join("r", "mallory")
			mallory.send("<presence to='%s'/>", to)
			mallory.want(refusedWith("auth", "forbidden")...)
			if w.count("spoof.service") != 2 {
				t.Errorf("%s: counted %d", nick, w.count("spoof.service"))
			}
		})
	}
	t.Run("nor throws it out", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			alice := w.client("alice@x/1")
			m := w.meet(alice, FirstOwns)
			alice.join("r", "alice")
			alice.admin("r", "<item nick='focus' role='none'/>")
			alice.want(refusedWith("cancel", "not-allowed")...)
			alice.admin("r", "<item affiliation='outcast' nick='focus'/>")
			alice.want("type='error'")
			alice.admin("r", "<item affiliation='outcast' jid='focus@auth.x'/>")
			alice.take()
			m.Seat.Tell("alice", []byte("<body>I am</body>"))
			w.settle()
			alice.want("from='r@muc.x/focus'", "I am")
			// An address is not enough: the focus speaks through its seat only.
			mallory := w.client("focus@auth.x/focus")
			mallory.send("<presence to='r@muc.x/focus' type='unavailable'/>")
			mallory.send("<presence to='r@muc.x/other'>%s</presence>", join)
			mallory.want(refusedWith("auth", "forbidden")...)
			mallory.send("<message to='r@muc.x' type='groupchat'><body>Hi</body></message>")
			alice.wantNot("Hi")
		})
	})
}

// meet sends a conference request for r@muc.x.
func (w *world) meet(c *client, rule OwnerRule) Meeting {
	w.t.Helper()
	var m Meeting
	w.s.Conference(c, "r@muc.x", rule, func(got Meeting, err *wire.Error) {
		if err != nil {
			w.t.Error(err)
		}
		m = got
	})
	w.settle()
	return m
}

func TestHM12GhostsAreRemovedWithStatus333(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		owner, juliet, nurse := w.client("owner@x/1"), w.client("juliet@x/1"), w.client("nurse@x/1")
		owner.join("r", "owner")
		juliet.join("r", "juliet")
		nurse.join("r", "nurse")
		nurse.send("<iq to='r@muc.x/juliet' type='get' id='7'><query xmlns='" + NSDiscoInfo + "'/></iq>")
		juliet.gone()
		owner.want("from='r@muc.x/juliet'", "type='unavailable'", "code='333'")
		nurse.want("from='r@muc.x/juliet'", "id='7'", "recipient-unavailable")
		if w.count("room.ghost") != 1 {
			t.Error("it was not counted")
		}
		// A bounced message tells too, but only on oneself.
		owner.send("<message to='r@muc.x/nurse' type='error'><error type='cancel'><item-not-found xmlns='" + wire.NSStanzas + "'/></error></message>")
		nurse.wantNot("from='r@muc.x/nurse'")
		owner.send("<iq to='r@muc.x/owner' type='get' id='1'><ping xmlns='" + NSPing + "'/></iq>")
		owner.want("not-acceptable") // it is out itself
	})
}

func TestNickOfAConferenceIsFixed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ann := w.client("ann@guest.x/1")
		w.meet(ann, FirstOwns)
		ann.send("<presence to='r@muc.x/not plain'>%s</presence>", join)
		ann.want(refusedWith("cancel", "not-allowed")...)
		ann.join("r", "0f3a9c1e")
		ann.send("<presence to='r@muc.x/other'/>")
		ann.want(refusedWith("cancel", "not-allowed")...)
	})
}
