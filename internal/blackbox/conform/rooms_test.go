package conform

import (
	"fmt"
	"strings"
)

const (
	nsMUC   = "http://jabber.org/protocol/muc"
	nsUser  = nsMUC + "#user"
	nsAdmin = nsMUC + "#admin"
	nsMaker = nsMUC + "#owner"
)

// room returns the address of a room that is not there yet.
func (s *scene) room() string { return fresh("room") + "@muc.localhost" }

// join enters a room and waits for the subject, behind which nothing of the past comes.
func (c *client) join(room, nick, inside string) (self string) {
	c.T.Helper()
	c.say("<presence to='" + room + "/" + nick + "'><x xmlns='" + nsMUC + "'>" + inside + "</x></presence>")
	self = c.gets("<presence", "from='"+room+"/"+nick+"'", "<status code='110'/>")
	c.gets("<message", "type='groupchat'", "<subject")
	return self
}

// speak says something to all and returns the room's id of it.
func (c *client) speak(room, body string) (id string) {
	c.T.Helper()
	c.say("<message to='" + room + "' type='groupchat'><body>" + body + "</body></message>")
	return attr(c.T, between(c.T, c.gets("<message", "<body>"+body+"<"), "<stanza-id", ">"), "id")
}

// configure opens a new room, or changes one; pairs of field and value.
func (c *client) configure(room string, fields ...string) {
	c.T.Helper()
	c.set(room, "<query xmlns='"+nsMaker+"'>"+form(nsMUC+"#roomconfig", fields...)+"</query>")
}

// pair is a room with its owner and somebody else in it.
func (s *scene) pair(fields ...string) (room string, ann, bob *client) {
	s.Helper()
	room, ann, bob = s.room(), s.client("ann"), s.client("bob")
	ann.join(room, "ann", "")
	ann.configure(room, fields...)
	bob.join(room, "bob", "")
	ann.gets("<presence", "from='"+room+"/bob'")
	return room, ann, bob
}

func affiliate(jid, affiliation string) string {
	return "<query xmlns='" + nsAdmin + "'><item affiliation='" + affiliation + "' jid='" + jid + "'><reason>so</reason></item></query>"
}

func rank(nick, role string) string {
	return "<query xmlns='" + nsAdmin + "'><item role='" + role + "' nick='" + nick + "'><reason>so</reason></item></query>"
}

// rooms are about rooms for many.
var rooms = []row{
	{"XEP-0045 §10.1", "a room is made, and is closed until its owner opens it", "", func(s *scene) {
		room, ann, bob := s.room(), s.client("ann"), s.client("bob")
		wants(s, ann.join(room, "ann", ""), "<status code='201'/>", "affiliation='owner'", "role='moderator'")
		bob.say("<presence to='" + room + "/bob'><x xmlns='" + nsMUC + "'/></presence>")
		wants(s, bob.gets("<presence", "type='error'"), "<item-not-found ")
		ann.configure(room)
		wants(s, bob.join(room, "bob", ""), "affiliation='none'", "role='participant'")
	}},
	{"XEP-0045 §7.2.3", "who enters sees all, and all see who enters", "", func(s *scene) {
		room, ann, bob := s.pair()
		carl := s.client("carl")
		carl.say("<presence to='" + room + "/carl'><x xmlns='" + nsMUC + "'/></presence>")
		var order []string // §7.1: the others, oneself, the subject
		for len(order) < 4 {
			e := carl.next()
			switch {
			case strings.HasPrefix(e, "<presence"):
				order = append(order, strings.TrimPrefix(attr(s, e, "from"), room+"/"))
			case strings.Contains(e, "<subject"):
				order = append(order, "subject")
			}
		}
		if got := strings.Join(order, " "); got != "ann bob carl subject" && got != "bob ann carl subject" {
			s.Errorf("in the order %s", got)
		}
		for _, c := range []*client{ann, bob} {
			wants(s, c.gets("<presence", "from='"+room+"/carl'"), "<x xmlns='"+nsUser+"'>", "role='participant'")
		}
	}},
	{"XEP-0045 §7.2.8", "a nickname is one person's", "", func(s *scene) {
		room, _, _ := s.pair()
		eve := s.client("eve")
		eve.say("<presence to='" + room + "/bob'><x xmlns='" + nsMUC + "'/></presence>")
		wants(s, eve.gets("<presence", "type='error'", "from='"+room+"/bob'"), "<conflict ")
	}},
	{"XEP-0045 §7.2.5", "a password", "", func(s *scene) {
		room, ann, eve := s.room(), s.client("ann"), s.client("eve")
		ann.join(room, "ann", "")
		ann.configure(room, "muc#roomconfig_passwordprotectedroom", "1", "muc#roomconfig_roomsecret", "cauldronburn")
		ann.get(room, info, "<feature var='muc_passwordprotected'/>")
		eve.say("<presence to='" + room + "/eve'><x xmlns='" + nsMUC + "'/></presence>")
		wants(s, eve.gets("<presence", "type='error'"), "<not-authorized ")
		eve.join(room, "eve", "<password>cauldronburn</password>")
	}},
	{"XEP-0045 §7.2.6", "for members only", "", func(s *scene) {
		room, ann, bob := s.pair("muc#roomconfig_membersonly", "0")
		eve := s.client("eve")
		ann.set(room, affiliate(bob.account, "member"))
		ann.configure(room, "muc#roomconfig_membersonly", "1")
		eve.say("<presence to='" + room + "/eve'><x xmlns='" + nsMUC + "'/></presence>")
		wants(s, eve.gets("<presence", "type='error'"), "<registration-required ")
		bob.say("<message to='" + room + "' type='groupchat' id='1'><body>still here</body></message>")
		ann.gets("id='1'")
	}},
	{"XEP-0045 §7.2.13", "as much of the past as is asked for", "", func(s *scene) {
		room, ann, _ := s.pair()
		for i := range 4 {
			ann.say(fmt.Sprintf("<message to='%s' type='groupchat'><body>word %d</body></message>", room, i))
		}
		ann.gets("<body>word 3<")
		carl := s.client("carl")
		carl.join(room, "carl", "<history maxstanzas='2'/>")
		var seen []string
		for _, e := range carl.unread {
			if strings.Contains(e, "<body>") {
				wants(s, e, "<delay xmlns='urn:xmpp:delay'", "from='"+room+"/ann'")
				seen = append(seen, e)
			}
		}
		if got := bodies(seen); got != "word 2 word 3" {
			s.Errorf("told of %q", got)
		}
	}},
	{"XEP-0045 §7.4", "what is said to all comes to all, also back", "", func(s *scene) {
		room, ann, bob := s.pair("muc#roomconfig_publicroom", "1")
		ann.say("<message to='" + room + "' type='groupchat' id='1'><body>hi</body></message>")
		for _, c := range []*client{ann, bob} {
			wants(s, c.gets("<message", "id='1'"), "from='"+room+"/ann'", "type='groupchat'", "to='"+c.JID+"'")
		}
		eve := s.client("eve")
		eve.say("<message to='" + room + "' type='groupchat' id='2'><body>hi</body></message>")
		wants(s, eve.gets("<message", "id='2'"), "type='error'", "<not-acceptable ")
	}},
	{"XEP-0045 §7.5", "what is said to one", "", func(s *scene) {
		room, ann, bob := s.pair()
		ann.say("<message to='" + room + "/bob' type='chat' id='1'><body>psst</body><x xmlns='" + nsUser + "'/></message>")
		wants(s, bob.gets("<message", "id='1'"), "from='"+room+"/ann'", "type='chat'")
		ann.say("<message to='" + room + "/nobody' type='chat' id='2'><body>psst</body></message>")
		wants(s, ann.gets("<message", "id='2'"), "type='error'", "<item-not-found ")
	}},
	{"XEP-0045 §7.6", "another nickname", "", func(s *scene) {
		room, ann, bob := s.pair()
		bob.say("<presence to='" + room + "/robert'/>")
		for _, c := range []*client{ann, bob} {
			wants(s, c.gets("<presence", "from='"+room+"/bob'", "type='unavailable'"), "<status code='303'/>", "nick='robert'")
			c.gets("<presence", "from='"+room+"/robert'")
		}
		ann.say("<presence to='" + room + "/robert'/>")
		wants(s, ann.gets("<presence", "type='error'"), "<conflict ")
	}},
	{"XEP-0045 §7.7", "presence in the room", "", func(s *scene) {
		room, ann, bob := s.pair()
		bob.say("<presence to='" + room + "/bob'><show>xa</show><status>away</status></presence>")
		wants(s, ann.gets("<presence", "from='"+room+"/bob'", "<show>xa"), "<status>away</status>", "<x xmlns='"+nsUser+"'>")
	}},
	{"XEP-0045 §7.8.2", "an invitation by way of the room", "", func(s *scene) {
		room, ann, _ := s.pair()
		eve := s.client("eve").present()
		ann.say("<message to='" + room + "'><x xmlns='" + nsUser + "'><invite to='" + eve.account + "'><reason>come</reason></invite></x></message>")
		wants(s, eve.gets("<message", "<invite "), "from='"+room+"'", "<reason>come</reason>", "from='"+room+"/ann'")
	}},
	{"XEP-0045 §7.10", "a nickname is reserved", "", func(s *scene) {
		room, ann, bob := s.pair()
		const q = "<query xmlns='jabber:iq:register'"
		ann.set(room, affiliate(bob.account, "member"))
		wants(s, bob.get(room, q+"/>"), "jabber:x:data", "muc#register_roomnick")
		bob.set(room, q+">"+form(nsMUC+"#register", "muc#register_roomnick", "bob")+"</query>")
		bob.say("<presence to='" + room + "/bob' type='unavailable'/>")
		ann.gets("<presence", "from='"+room+"/bob'", "type='unavailable'")
		eve := s.client("eve")
		eve.say("<presence to='" + room + "/bob'><x xmlns='" + nsMUC + "'/></presence>")
		wants(s, eve.gets("<presence", "type='error'"), "<conflict ")
		bob.get(room, "<query xmlns='"+nsInfo+"' node='x-roomuser-item'/>", "name='bob'") // §6.6
	}},
	{"XEP-0045 §7.13", "a voice is asked for and given", "", func(s *scene) {
		room, ann, bob := s.pair("muc#roomconfig_moderatedroom", "1")
		bob.say("<message to='" + room + "' type='groupchat' id='1'><body>hi</body></message>")
		wants(s, bob.gets("<message", "id='1'"), "type='error'", "<forbidden ")
		bob.say("<message to='" + room + "'>" + form(nsMUC+"#request", "muc#role", "participant") + "</message>")
		wants(s, ann.gets("<message", nsMUC+"#request"), "<value>bob</value>", "muc#request_allow")
		ann.set(room, rank("bob", "participant"))
		bob.gets("<presence", "from='"+room+"/bob'", "role='participant'")
		bob.say("<message to='" + room + "' type='groupchat' id='2'><body>hi</body></message>")
		ann.gets("<message", "id='2'", "<body>hi")
	}},
	{"XEP-0045 §7.14", "who leaves is seen leaving", "", func(s *scene) {
		room, ann, bob := s.pair()
		bob.say("<presence to='" + room + "/bob' type='unavailable'><status>bye</status></presence>")
		wants(s, ann.gets("<presence", "from='"+room+"/bob'", "type='unavailable'"), "<status>bye</status>", "role='none'")
		wants(s, bob.gets("<presence", "from='"+room+"/bob'", "type='unavailable'"), "<status code='110'/>")
	}},
	{"XEP-0045 §8.1", "the subject", "", func(s *scene) {
		room, ann, bob := s.pair()
		ann.say("<message to='" + room + "' type='groupchat'><subject>Fire</subject></message>")
		wants(s, bob.gets("<message", "<subject>Fire</subject>"), "from='"+room+"/ann'")
		eve := s.client("eve")
		eve.say("<presence to='" + room + "/eve'><x xmlns='" + nsMUC + "'/></presence>")
		eve.gets("<message", "<subject>Fire</subject>")
		bob.say("<message to='" + room + "' type='groupchat' id='1'><subject>Water</subject></message>")
		wants(s, bob.gets("<message", "id='1'"), "type='error'", "<forbidden ")
	}},
	{"XEP-0045 §8.2", "a moderator sends somebody out", "", func(s *scene) {
		room, ann, bob := s.pair()
		bob.refused("set", room, rank("ann", "none"), "forbidden")
		ann.set(room, rank("bob", "none"))
		for _, c := range []*client{ann, bob} {
			wants(s, c.gets("<presence", "from='"+room+"/bob'", "type='unavailable'"), "<status code='307'/>", "<reason>so</reason>", "role='none'")
		}
		bob.join(room, "bob", "")
	}},
	{"XEP-0045 §9.1", "an admin bans somebody", "", func(s *scene) {
		room, ann, bob := s.pair()
		ann.set(room, affiliate(bob.account, "outcast"))
		for _, c := range []*client{ann, bob} {
			wants(s, c.gets("<presence", "from='"+room+"/bob'", "type='unavailable'"), "<status code='301'/>", "affiliation='outcast'")
		}
		bob.say("<presence to='" + room + "/bob'><x xmlns='" + nsMUC + "'/></presence>")
		wants(s, bob.gets("<presence", "type='error'"), "<forbidden ")
		ann.get(room, "<query xmlns='"+nsAdmin+"'><item affiliation='outcast'/></query>", "jid='"+bob.account+"'", "<reason>so</reason>")
		ann.set(room, affiliate(bob.account, "none"))
		bob.join(room, "bob", "")
	}},
	{"XEP-0045 §9.5", "the lists", "", func(s *scene) {
		room, ann, bob := s.pair()
		ann.set(room, affiliate("someone@example.org", "member"))
		ann.get(room, "<query xmlns='"+nsAdmin+"'><item affiliation='member'/></query>", "jid='someone@example.org'")
		bob.refused("get", room, "<query xmlns='"+nsAdmin+"'><item affiliation='outcast'/></query>", "forbidden")
	}},
	{"XEP-0045 §10.6", "there is always an owner", "", func(s *scene) {
		room, ann, bob := s.pair()
		ann.refused("set", room, affiliate(ann.account, "admin"), "conflict")
		ann.set(room, affiliate(bob.account, "owner"))
		wants(s, bob.gets("<presence", "from='"+room+"/bob'", "affiliation='owner'"), "role='moderator'")
		ann.set(room, affiliate(ann.account, "none"))
	}},
	{"XEP-0045 §10.2", "a change of the configuration is told to all", "", func(s *scene) {
		room, ann, bob := s.pair()
		ann.get(room, "<query xmlns='"+nsMaker+"'/>", "muc#roomconfig_roomname", "muc#roomconfig_membersonly", "muc#roomconfig_whois")
		ann.configure(room, "muc#roomconfig_roomname", "A dark cave")
		bob.gets("<message", "from='"+room+"'", "<status code='104'/>")
		bob.get(room, info, "name='A dark cave'", nsMUC+"#roominfo") // XEP-0128
		bob.refused("get", room, "<query xmlns='"+nsMaker+"'/>", "forbidden")
	}},
	{"XEP-0045 §10.9", "a room is destroyed", "", func(s *scene) {
		room, ann, bob := s.pair()
		bob.refused("set", room, "<query xmlns='"+nsMaker+"'><destroy/></query>", "forbidden")
		ann.set(room, "<query xmlns='"+nsMaker+"'><destroy jid='other@muc.localhost'><reason>moved</reason></destroy></query>")
		wants(s, bob.gets("<presence", "from='"+room+"/bob'", "type='unavailable'"), "<destroy jid='other@muc.localhost'>", "<reason>moved</reason>")
		bob.refused("get", room, info, "item-not-found")
	}},
	{"XEP-0045 §6.3", "which rooms there are", "", func(s *scene) {
		room, ann, _ := s.pair("muc#roomconfig_publicroom", "1", "muc#roomconfig_roomname", "Seen")
		hidden := s.room()
		ann.join(hidden, "ann", "")
		ann.configure(hidden, "muc#roomconfig_publicroom", "0")
		var all string
		for page := ""; ; {
			got := ann.get("muc.localhost", "<query xmlns='"+nsItems+"'><set xmlns='http://jabber.org/protocol/rsm'><max>50</max>"+page+"</set></query>")
			all += got
			_, last, ok := strings.Cut(got, "<last>")
			if !ok || !strings.Contains(got, "<item ") {
				break
			}
			last, _, _ = strings.Cut(last, "<")
			page = "<after>" + last + "</after>"
		}
		wants(s, all, "jid='"+room+"'")
		if strings.Contains(all, hidden) {
			s.Error("a hidden room is listed")
		}
	}},
	{"XEP-0045 §13", "who may know whom", "", func(s *scene) {
		room, ann, bob := s.pair("muc#roomconfig_whois", "moderators")
		wants(s, bob.join(room, "bob", ""), "<item ")
		if got := peerItem(bob, room, "ann"); strings.Contains(got, ann.account) {
			s.Errorf("told to everybody: %s", got)
		}
		bob.say("<presence to='" + room + "/bob'><show>dnd</show></presence>")
		wants(s, ann.gets("<presence", "from='"+room+"/bob'", "<show>dnd"), "jid='"+bob.JID+"'") // a moderator knows
		ann.configure(room, "muc#roomconfig_whois", "anyone")
		bob.gets("<message", "<status code='172'/>")
		carl := s.client("carl")
		wants(s, carl.join(room, "carl", ""), "<status code='100'/>")
	}},
	{"XEP-0425 §3", "a moderator takes a message back, and nobody else does", "", func(s *scene) {
		room, ann, bob := s.pair("muc#roomconfig_persistentroom", "1")
		ann.get(room, info, "<feature var='urn:xmpp:message-moderate:1'/>")
		id := bob.speak(room, "magic potions")
		moderate := "<moderate xmlns='urn:xmpp:message-moderate:1' id='" + id + "'><retract xmlns='" + nsRetract + "'/><reason>rude</reason></moderate>"
		bob.refused("set", room, moderate, "forbidden")
		ann.set(room, moderate)
		for _, c := range []*client{ann, bob} {
			wants(s, c.gets("<message", "from='"+room+"'", "<retract xmlns='"+nsRetract+"' id='"+id+"'>"), "type='groupchat'", "by='"+room+"/ann'", "<occupant-id ", "<reason>rude</reason>")
		}
	}},
	{"XEP-0425 §4", "what was taken back is not told again, by the archive or by the history", "", func(s *scene) {
		room, ann, bob := s.pair("muc#roomconfig_persistentroom", "1", "muc#roomconfig_publicroom", "1")
		id := bob.speak(room, "magic potions")
		ann.set(room, "<moderate xmlns='urn:xmpp:message-moderate:1' id='"+id+"'><retract xmlns='"+nsRetract+"'/><reason>rude</reason></moderate>")
		eve := s.client("eve")
		messages, _ := eve.finds(room, "")
		if len(messages) != 2 {
			s.Fatalf("%d messages: %q", len(messages), messages)
		}
		wants(s, messages[0], " id='"+id+"'><forwarded", "from='"+room+"/bob'", "<retracted xmlns='"+nsRetract+"'", "<moderated xmlns='urn:xmpp:message-moderate:1' by='"+room+"/ann'>", "<reason>rude</reason>", "<occupant-id ")
		wants(s, messages[1], "from='"+room+"'", "<retract xmlns='"+nsRetract+"' id='"+id+"'>") // XEP-0424 §5: who was away learns of it
		eve.join(room, "eve", "<history maxstanzas='20'/>")
		eve.gets("<message", "from='"+room+"/bob'", "<retracted ", "id='"+id+"'")
		eve.lacks(ann, "potions")
		if all := strings.Join(messages, ""); strings.Contains(all, "potions") {
			s.Errorf("found %s", all)
		}
	}},
	{"XEP-0410 §3.1", "am I still there?", "", func(s *scene) {
		room, _, bob := s.pair()
		bob.get(room, info, "<feature var='http://jabber.org/protocol/muc#self-ping-optimization'/>")
		bob.get(room+"/bob", nsPing)
		s.client("eve").refused("get", room+"/bob", nsPing, "not-acceptable")
	}},
	{"XEP-0421 §3", "an id of an occupant, beyond the nickname", "", func(s *scene) {
		room, ann, bob := s.pair()
		ann.get(room, info, "<feature var='urn:xmpp:occupant-id:0'/>")
		const tag = "<occupant-id xmlns='urn:xmpp:occupant-id:0'"
		bob.say("<message to='" + room + "' type='groupchat' id='1'><body>hi</body><occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/></message>")
		first := between(s, ann.gets("<message", "id='1'", "<body>"), tag, ">")
		bob.say("<presence to='" + room + "/robert'/>")
		if got := between(s, ann.gets("<presence", "from='"+room+"/robert'"), tag, ">"); got != first || strings.Contains(got, "forged") {
			s.Errorf("first %s, then %s", first, got)
		}
	}},
	{"XEP-0359 §3", "ids that only the room gives", "", func(s *scene) {
		room, ann, bob := s.pair()
		bob.say("<message to='" + room + "' type='groupchat' id='1'><body>hi</body><stanza-id xmlns='urn:xmpp:sid:0' by='" + room + "' id='forged'/></message>")
		got := ann.gets("<message", "id='1'")
		wants(s, got, "<stanza-id xmlns='urn:xmpp:sid:0' by='"+room+"'")
		if strings.Contains(got, "forged") {
			s.Error(got)
		}
	}},
}

// peerItem is the last presence of an occupant that somebody has seen.
func peerItem(c *client, room, nick string) string {
	c.T.Helper()
	return c.gets("<presence", "from='"+room+"/"+nick+"'")
}
