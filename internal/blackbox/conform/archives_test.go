package conform

import (
	"fmt"
	"strings"
)

const (
	nsMAM     = "urn:xmpp:mam:2"
	nsRetract = "urn:xmpp:message-retract:1"
)

func form(kind string, fields ...string) string {
	x := "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>" + kind + "</value></field>"
	for i := 0; i < len(fields); i += 2 {
		x += "<field var='" + fields[i] + "'><value>" + fields[i+1] + "</value></field>"
	}
	return x + "</x>"
}

// finds asks an archive, one's own if to is "", and returns the messages and the end.
func (c *client) finds(to, content string) (messages []string, fin string) {
	c.T.Helper()
	id := fresh("mam")
	fin = c.set(to, "<query xmlns='"+nsMAM+"' queryid='"+id+"'>"+content+"</query>", "<fin xmlns='"+nsMAM+"'")
	var others []string
	for _, e := range c.unread {
		if strings.Contains(e, "<result xmlns='"+nsMAM+"' queryid='"+id+"'") {
			messages = append(messages, e)
		} else {
			others = append(others, e)
		}
	}
	c.unread = others
	return messages, fin
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

// talk has bob say words to ann, who gets them; it returns the ids in ann's archive.
func talk(ann, bob *client, words ...string) (ids []string) {
	ann.T.Helper()
	for _, w := range words {
		bob.say("<message to='" + ann.account + "' type='chat'><body>" + w + "</body></message>")
		ids = append(ids, attr(ann.T, between(ann.T, ann.gets("<message", "<body>"+w+"</body>"), "<stanza-id", ">"), "id"))
	}
	return ids
}

// archives are about what was said before.
var archives = []row{
	{"XEP-0313 §4.1", "what was said is found again, by the ids that were told", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob").present()
		ann.get("", info, "<feature var='"+nsMAM+"'/>", "<feature var='"+nsMAM+"#extended'/>")
		ids := talk(ann, bob, "one", "two", "three")
		messages, fin := ann.finds("", "")
		if got := bodies(messages); got != "one two three" {
			s.Fatalf("found %q", got)
		}
		for i, m := range messages {
			wants(s, m, " id='"+ids[i]+"'", "<forwarded xmlns='urn:xmpp:forward:0'>", "<delay xmlns='urn:xmpp:delay'")
		}
		wants(s, fin, "complete='true'", "<first>"+ids[0]+"</first>", "<last>"+ids[2]+"</last>")
		messages, _ = bob.finds("", "") // §5: both sides
		if got := bodies(messages); got != "one two three" {
			s.Errorf("who said it finds %q", got)
		}
	}},
	{"XEP-0313 §4.1.1", "filters", "", func(s *scene) {
		ann, bob, eve := s.client("ann").present(), s.client("bob").present(), s.client("eve").present()
		ids := talk(ann, bob, "one")
		ids = append(ids, talk(ann, eve, "two")...)
		ids = append(ids, talk(ann, bob, "three")...)
		for _, c := range []struct{ name, value, want string }{
			{"with", bob.account, "one three"}, {"with", eve.JID, "two"}, {"start", "2000-01-01T00:00:00Z", "one two three"}, {"end", "2000-01-01T00:00:00Z", ""},
			{"after-id", ids[0], "two three"}, {"before-id", ids[2], "one two"}, {"ids", ids[1], "two"},
		} {
			messages, _ := ann.finds("", form(nsMAM, c.name, c.value))
			if got := bodies(messages); got != c.want {
				s.Errorf("%s %s: found %q, want %q", c.name, c.value, got, c.want)
			}
		}
		ann.get("", "<query xmlns='"+nsMAM+"'/>", "var='with'", "var='start'", "var='after-id'") // §4.1.5
	}},
	{"XEP-0313 §4.2", "nobody else's", "", func(s *scene) {
		ann, bob, eve := s.client("ann").present(), s.client("bob").present(), s.client("eve")
		talk(ann, bob, "one")
		eve.refused("set", ann.account, "<query xmlns='"+nsMAM+"'/>")
		eve.refused("get", ann.account, "<metadata xmlns='"+nsMAM+"'/>")
	}},
	{"XEP-0313 §4.1.4", "an id that is not there", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob").present()
		talk(ann, bob, "one")
		ann.refused("set", "", "<query xmlns='"+nsMAM+"'>"+form(nsMAM, "after-id", "nobodys")+"</query>", "item-not-found")
	}},
	{"XEP-0313 §7", "where an archive begins and ends", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob").present()
		ids := talk(ann, bob, "one", "two")
		got := ann.get("", "<metadata xmlns='"+nsMAM+"'/>")
		wants(s, got, "<start id='"+ids[0]+"'", "<end id='"+ids[1]+"'")
	}},
	{"XEP-0313 §5", "a room's archive", "", func(s *scene) {
		ann, bob, eve := s.client("ann"), s.client("bob"), s.client("eve")
		room := s.room()
		ann.join(room, "ann", "")
		ann.configure(room, "muc#roomconfig_persistentroom", "1", "muc#roomconfig_publicroom", "1")
		ann.get(room, info, "<feature var='"+nsMAM+"'/>")
		var ids []string
		for _, w := range []string{"one", "two"} {
			ann.say("<message to='" + room + "' type='groupchat'><body>" + w + "</body></message>")
			ids = append(ids, attr(s, between(s, ann.gets("<message", "<body>"+w+"<"), "<stanza-id", ">"), "id"))
		}
		bob.join(room, "bob", "<history maxstanzas='0'/>")
		messages, _ := bob.finds(room, form(nsMAM, "after-id", ids[0]))
		if got := bodies(messages); got != "two" {
			s.Fatalf("found %q", got)
		}
		wants(s, messages[0], "from='"+room+"'", "from='"+room+"/ann'")
		ann.set(room, "<query xmlns='"+nsAdmin+"'><item affiliation='outcast' jid='"+eve.account+"'/></query>")
		eve.refused("set", room, "<query xmlns='"+nsMAM+"'/>", "forbidden")
	}},
	{"XEP-0059 §2.2", "pages, forwards and backwards", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob").present()
		var words []string
		for i := range 7 {
			words = append(words, fmt.Sprint("w", i))
		}
		talk(ann, bob, words...)
		var all []string
		for page, fin := "", ""; !strings.Contains(fin, "complete='true'"); page = "<after>" + between(s, fin, "<last>", "</last>") + "</after>" {
			var messages []string
			messages, fin = ann.finds("", "<set xmlns='http://jabber.org/protocol/rsm'><max>3</max>"+page+"</set>")
			all = append(all, messages...)
			if len(messages) > 3 || len(all) > 7 {
				s.Fatalf("pages of %d, %d in all", len(messages), len(all))
			}
		}
		if got := bodies(all); got != strings.Join(words, " ") {
			s.Errorf("forwards %q", got)
		}
		messages, fin := ann.finds("", "<set xmlns='http://jabber.org/protocol/rsm'><max>3</max><before/></set>") // §2.5: the last page
		if got := bodies(messages); got != "w4 w5 w6" {
			s.Errorf("the last page is %q", got)
		}
		messages, _ = ann.finds("", "<set xmlns='http://jabber.org/protocol/rsm'><max>3</max><before>"+between(s, between(s, fin, "<first", "/first>"), ">", "<")+"</before></set>")
		if got := bodies(messages); got != "w1 w2 w3" {
			s.Errorf("the page before it is %q", got)
		}
		messages, fin = ann.finds("", "<set xmlns='http://jabber.org/protocol/rsm'><max>0</max></set>") // §2.6
		if wants(s, fin, "<count>7</count>"); len(messages) > 0 {
			s.Errorf("asked for the number, got %q", messages)
		}
	}},
	{"XEP-0424 §5", "that something is taken back is kept, of whoever does so", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob").present()
		ann.get("", info, "<feature var='"+nsRetract+"'/>")
		talk(ann, bob, "one")
		bob.say("<message to='" + ann.account + "' type='chat' id='back'><retract xmlns='" + nsRetract + "' id='o1'/></message>") // no body and no hint
		ann.gets("<message", "id='back'", "<stanza-id")
		messages, _ := ann.finds("", "")
		if len(messages) != 2 {
			s.Fatalf("found %q", messages)
		}
		wants(s, messages[1], "<retract xmlns='"+nsRetract+"' id='o1'/>")
		room := s.room()
		ann.join(room, "ann", "")
		ann.configure(room, "muc#roomconfig_persistentroom", "1")
		ann.get(room, info, "<feature var='"+nsRetract+"'/>")
		id := ann.speak(room, "two")
		ann.say("<message to='" + room + "' type='groupchat' id='back2'><retract xmlns='" + nsRetract + "' id='" + id + "'/></message>")
		ann.gets("<message", "id='back2'", "<occupant-id")
		messages, _ = ann.finds(room, form(nsMAM, "after-id", id))
		if len(messages) != 1 {
			s.Fatalf("found %q", messages)
		}
		wants(s, messages[0], "<retract xmlns='"+nsRetract+"' id='"+id+"'/>")
	}},
	{"XEP-0441 §3", "whom an archive keeps", "", func(s *scene) {
		ann, bob, eve := s.client("ann").present(), s.client("bob").present(), s.client("eve").present()
		ann.get("", "<prefs xmlns='"+nsMAM+"'/>", "default='")
		ann.set("", "<prefs xmlns='"+nsMAM+"' default='never'><always><jid>"+eve.account+"</jid></always><never/></prefs>", "default='never'", "<jid>"+eve.account+"</jid>")
		bob.say("<message to='" + ann.account + "' type='chat'><body>one</body></message>")
		ann.gets("<body>one<")
		talk(ann, eve, "two")
		messages, _ := ann.finds("", "")
		if got := bodies(messages); got != "two" {
			s.Errorf("found %q", got)
		}
	}},
}
