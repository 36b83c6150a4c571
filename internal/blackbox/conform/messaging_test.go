package conform

import (
	"strings"

	"parley/internal/peertest"
)

const (
	nsRoster  = "jabber:iq:roster"
	nsCarbons = "urn:xmpp:carbons:2"
	nsBlock   = "urn:xmpp:blocking"
)

func item(inside string) string { return "<query xmlns='" + nsRoster + "'>" + inside + "</query>" }

// messaging is about contacts, presence and messages between people.
var messaging = []row{
	{"RFC 6121 §2.3", "a contact is added, and all sessions are told", "", func(s *scene) {
		a, b := s.client("ann"), (*client)(nil)
		b = s.again(a, "phone")
		for _, c := range []*client{a, b} {
			c.get("", item(""), "<query xmlns='"+nsRoster+"'") // §2.2: who asked is interested
		}
		a.set("", item("<item jid='bob@example.org' name='Bob'><group>Friends</group></item>"))
		for _, c := range []*client{a, b} {
			wants(s, c.gets("<iq", "type='set'", "jid='bob@example.org'"), "name='Bob'", "subscription='none'", "<group>Friends</group>")
		}
		wants(s, b.get("", item("")), "jid='bob@example.org'", "<group>Friends</group>")
	}},
	{"RFC 6121 §2.5", "a contact is removed", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob").present()
		ann.get("", item(""))
		bob.get("", item(""))
		befriend(ann, bob)
		ann.set("", item("<item jid='"+bob.account+"' subscription='remove'/>"))
		ann.gets("<iq", "type='set'", "jid='"+bob.account+"'", "subscription='remove'")
		bob.gets("<presence", "type='unsubscribe'", "from='"+ann.account+"'")
		bob.gets("<presence", "type='unsubscribed'", "from='"+ann.account+"'")
		bob.gets("<presence", "type='unavailable'", "from='"+ann.JID+"'")
		wants(s, bob.get("", item("")), "jid='"+ann.account+"'", "subscription='none'")
		ann.refused("set", "", item("<item jid='"+bob.account+"' subscription='remove'/>"), "item-not-found")
	}},
	{"RFC 6121 §2.3.3", "a roster that is not one's own", "", func(s *scene) {
		ann, eve := s.client("ann"), s.client("eve")
		eve.refused("set", ann.account, item("<item jid='eve@example.org'/>"))
		ann.refused("set", "", item("<item jid='a@example.org'/><item jid='b@example.org'/>"), "bad-request")
	}},
	{"RFC 6121 §3.1", "a subscription is asked for and granted", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob").present()
		ann.get("", item(""))
		bob.get("", item(""))
		ann.say("<presence type='subscribe' to='" + bob.account + "' id='1'><status>please</status></presence>")
		wants(s, ann.gets("<iq", "type='set'", "jid='"+bob.account+"'"), "subscription='none'", "ask='subscribe'")
		wants(s, bob.gets("<presence", "type='subscribe'"), "from='"+ann.account+"'", "<status>please</status>")
		bob.say("<presence type='subscribed' to='" + ann.account + "'/>")
		ann.gets("<presence", "type='subscribed'", "from='"+bob.account+"'")
		if push := ann.gets("<iq", "type='set'", "subscription='to'"); strings.Contains(push, "ask=") {
			s.Errorf("still asked: %s", push)
		}
		bob.gets("<iq", "type='set'", "subscription='from'")
		ann.gets("<presence", "from='"+bob.JID+"'")
	}},
	{"RFC 6121 §3.1.3", "a request waits for who is away", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob")
		ann.say("<presence type='subscribe' to='" + bob.account + "'/>")
		ann.get("", item("")) // interested in the answer
		bob.say("<presence/>")
		bob.gets("<presence", "type='subscribe'", "from='"+ann.account+"'")
		bob.say("<presence type='unsubscribed' to='" + ann.account + "'/>") // §3.2.2: refused
		ann.gets("<presence", "type='unsubscribed'", "from='"+bob.account+"'")
	}},
	{"RFC 6121 §3.4", "a subscription is granted before it is asked for", "", func(s *scene) {
		f := s.newcomer("ann")
		f.Authenticate(f.user, password)
		wants(s, f.Open(), "<sub xmlns='urn:xmpp:features:pre-approval'")
		ann, bob := s.client("ann").present(), s.client("bob").present()
		ann.get("", item(""))
		bob.get("", item(""))
		bob.say("<presence type='subscribed' to='" + ann.account + "'/>")
		bob.gets("<iq", "type='set'", "jid='"+ann.account+"'", "approved='true'")
		ann.say("<presence type='subscribe' to='" + bob.account + "'/>")
		ann.gets("<presence", "type='subscribed'", "from='"+bob.account+"'")
	}},
	{"RFC 6121 §4.2", "who comes is seen, and sees who is there", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob").present()
		befriend(ann, bob)
		phone := s.again(bob, "phone")
		phone.say("<presence><show>xa</show><priority>3</priority></presence>")
		wants(s, ann.gets("<presence", "from='"+phone.JID+"'"), "<show>xa</show>", "<priority>3</priority>")
		phone.gets("<presence", "from='"+ann.JID+"'")
		phone.gets("<presence", "from='"+bob.JID+"'") // one's own other session
	}},
	{"RFC 6121 §4.5", "who goes is seen going", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob").present()
		befriend(ann, bob)
		bob.say("<presence type='unavailable'><status>lunch</status></presence>")
		wants(s, ann.gets("<presence", "from='"+bob.JID+"'", "type='unavailable'"), "<status>lunch</status>")
		ann.lacks(bob, "<presence", "type='available'")
	}},
	{"RFC 6121 §4.5.2", "a lost connection too", "tcp", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob").present()
		befriend(ann, bob)
		bob.Drop()
		ann.gets("<presence", "from='"+bob.JID+"'", "type='unavailable'")
	}},
	{"RFC 6121 §4.6", "directed presence, taken back at the end", "", func(s *scene) {
		ann, bob, eve := s.client("ann").present(), s.client("bob").present(), s.client("eve").present()
		ann.say("<presence to='" + bob.JID + "'><show>chat</show></presence>")
		bob.gets("<presence", "from='"+ann.JID+"'", "<show>chat")
		ann.say("<presence type='unavailable'/>")
		bob.gets("<presence", "from='"+ann.JID+"'", "type='unavailable'")
		eve.lacks(ann, "<presence", "from='"+ann.JID+"'")
	}},
	{"RFC 6121 §8.5.2.1.1", "chat to an account goes to who is there, not below zero", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob")
		silent := s.again(ann, "silent")
		silent.say("<presence><priority>-1</priority></presence>")
		silent.gets("<presence", "from='"+silent.JID+"'")
		bob.say("<message to='" + ann.account + "' type='chat' id='1'><body>hi</body></message>")
		ann.gets("<message", "id='1'")
		silent.lacks(bob, "id='1'")
	}},
	{"RFC 6121 §8.5.3.2.1", "chat to a session that is gone goes to the account", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob")
		bob.say("<message to='" + ann.account + "/gone' type='chat' id='1'><body>hi</body></message>")
		ann.gets("<message", "id='1'")
		bob.refused("get", ann.account+"/gone", nsPing, "service-unavailable")
	}},
	{"RFC 6121 §8.5.2.1.3", "requests to an account are the server's", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob")
		bob.refused("get", ann.account, "<query xmlns='urn:x:nobody-knows'/>", "service-unavailable")
		ann.lacks(bob, "urn:x:nobody-knows")
	}},
	{"XEP-0012 §3", "how long an account has been away", "", func(s *scene) {
		const last = "<query xmlns='jabber:iq:last'/>"
		ann, bob, eve := s.client("ann").present(), s.client("bob").present(), s.client("eve")
		befriend(ann, bob)
		ann.say("<presence type='unavailable'><status>gone</status></presence>")
		bob.gets("<presence", "from='"+ann.JID+"'", "type='unavailable'")
		wants(s, bob.get(ann.account, last), " seconds='", ">gone</query>")
		eve.refused("get", ann.account, last, "forbidden")
		bob.get("localhost", last, " seconds='") // §5: how long the server runs
	}},
	{"XEP-0160 §3", "messages wait for who is away", "", func(s *scene) {
		ann, bob := s.client("ann"), s.client("bob")
		bob.stores("<message to='"+ann.account+"' type='chat' id='3'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
			"<message to='"+ann.account+"' type='headline' id='4'><body>news</body></message>",
			"<message to='"+ann.account+"' type='chat' id='1'><body>one</body></message>",
			"<message to='"+ann.account+"' id='2'><body>two</body></message>")
		silent := s.again(ann, "silent")
		silent.say("<presence><priority>-1</priority></presence>") // RFC 6121 §8.5.2.2: not to those
		silent.gets("<presence", "from='"+silent.JID+"'")
		silent.lacks(bob, "id='1'")
		ann.say("<presence/>")
		for _, id := range []string{"1", "2"} {
			wants(s, ann.gets("<message", "id='"+id+"'"), "<delay xmlns='urn:xmpp:delay'", " stamp='") // XEP-0203 §4
		}
		ann.lacks(bob, "id='3'")
		ann.lacks(bob, "id='4'")
	}},
	{"XEP-0203 §4", "what waited says since when", "", func(s *scene) {
		ann, bob := s.client("ann"), s.client("bob")
		bob.stores("<message to='" + ann.account + "' type='chat' id='1'><body>one</body></message>")
		ann.say("<presence/>")
		stamp := attr(s, ann.gets("id='1'", "<delay xmlns='urn:xmpp:delay'", "from='"), "stamp")
		if len(stamp) < 20 || stamp[10] != 'T' || !strings.HasSuffix(stamp, "Z") { // XEP-0082
			s.Errorf("stamp %s", stamp)
		}
	}},
	{"XEP-0184 §5", "receipts pass", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob").present()
		ann.say("<message to='" + bob.account + "' type='chat' id='r1'><body>hi</body><request xmlns='urn:xmpp:receipts'/></message>")
		bob.gets("<message", "id='r1'", "<request xmlns='urn:xmpp:receipts'/>")
		bob.say("<message to='" + ann.JID + "' type='chat' id='r2'><received xmlns='urn:xmpp:receipts' id='r1'/></message>")
		ann.gets("<message", "<received xmlns='urn:xmpp:receipts' id='r1'/>")
	}},
	{"XEP-0191 §3.3", "who is blocked says nothing and is told nothing", "", func(s *scene) {
		ann, eve := s.client("ann").present(), s.client("eve").present()
		phone := s.again(ann, "phone").present()
		befriend(ann, eve)
		for _, c := range []*client{ann, phone} {
			c.get("", "<blocklist xmlns='"+nsBlock+"'/>")
		}
		ann.set("", "<block xmlns='"+nsBlock+"'><item jid='"+eve.account+"'/></block>")
		eve.gets("<presence", "from='"+ann.JID+"'", "type='unavailable'") // §3.3: as if it had gone
		phone.gets("<iq", "type='set'", "<block xmlns='"+nsBlock+"'", eve.account)
		ann.get("", "<blocklist xmlns='"+nsBlock+"'/>", "jid='"+eve.account+"'")
		eve.say("<message to='" + ann.account + "' type='chat' id='1'><body>hi</body></message>")
		eve.gets("<message", "id='1'", "type='error'", "<service-unavailable ")
		eve.refused("get", ann.JID, nsPing, "service-unavailable")
		ann.say("<message to='" + eve.account + "' type='chat' id='2'><body>hi</body></message>")
		ann.gets("<message", "id='2'", "type='error'", "<not-acceptable ", "urn:xmpp:blocking:errors")
	}},
	{"XEP-0191 §3.4", "and again, when the block is lifted", "", func(s *scene) {
		ann, eve := s.client("ann").present(), s.client("eve").present()
		befriend(ann, eve)
		ann.set("", "<block xmlns='"+nsBlock+"'><item jid='"+eve.account+"'/></block>")
		eve.gets("<presence", "from='"+ann.JID+"'", "type='unavailable'")
		ann.set("", "<unblock xmlns='"+nsBlock+"'><item jid='"+eve.account+"'/></unblock>")
		eve.gets("<presence", "from='"+ann.JID+"'")
		eve.say("<message to='" + ann.account + "' type='chat' id='1'><body>hi</body></message>")
		ann.gets("<message", "id='1'")
	}},
	{"XEP-0280 §6", "copies of what comes", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob").present()
		phone := s.again(ann, "phone").present()
		phone.set("", "<enable xmlns='"+nsCarbons+"'/>")
		bob.say("<message to='" + ann.JID + "' type='chat' id='1'><body>hi</body></message>")
		ann.gets("<message", "id='1'")
		got := phone.gets("<received xmlns='"+nsCarbons+"'", "id='1'")
		wants(s, got, "<forwarded xmlns='urn:xmpp:forward:0'", "<body>hi</body>", "from='"+ann.account+"'") // §11: from the account alone
		ann.lacks(bob, "<received xmlns='"+nsCarbons+"'")                                                   // not enabled
	}},
	{"XEP-0280 §7", "copies of what goes", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob").present()
		phone := s.again(ann, "phone").present()
		phone.set("", "<enable xmlns='"+nsCarbons+"'/>")
		ann.say("<message to='" + bob.account + "' type='chat' id='1'><body>hi</body></message>")
		wants(s, phone.gets("<sent xmlns='"+nsCarbons+"'", "id='1'"), "from='"+ann.account+"'", "to='"+bob.account+"'")
		phone.set("", "<disable xmlns='"+nsCarbons+"'/>")
		ann.say("<message to='" + bob.account + "' type='chat' id='2'><body>hi</body></message>")
		bob.gets("id='2'")
		phone.lacks(ann, "<sent xmlns='"+nsCarbons+"'")
	}},
	{"XEP-0280 §6.1", "what is not copied", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob").present()
		phone := s.again(ann, "phone").present()
		phone.set("", "<enable xmlns='"+nsCarbons+"'/>")
		bob.say("<message to='"+ann.JID+"' type='chat' id='1'><body>hi</body><private xmlns='"+nsCarbons+"'/><no-copy xmlns='urn:xmpp:hints'/></message>",
			"<message to='"+ann.JID+"' type='headline' id='2'><body>hi</body></message>")
		ann.gets("id='1'")
		ann.gets("id='2'")
		bob.say("<message to='" + ann.JID + "' type='chat' id='3'><body>hi</body></message>")
		phone.gets("<received", "id='3'")
		phone.lacks(bob, "<received")
	}},
	{"XEP-0334 §4.2", "what is not to be stored", "", func(s *scene) {
		ann, bob := s.client("ann"), s.client("bob")
		bob.stores("<message to='"+ann.account+"' type='chat' id='1'><body>hi</body><no-store xmlns='urn:xmpp:hints'/></message>",
			"<message to='"+ann.account+"' type='chat' id='2'><body>hi</body></message>")
		ann.say("<presence/>")
		ann.gets("id='2'")
		ann.lacks(bob, "id='1'")
		messages, _ := bob.finds("", "")
		if len(messages) != 1 || !strings.Contains(messages[0], "id='2'") {
			s.Errorf("archived: %q", messages)
		}
	}},
	{"XEP-0353 §3", "a call is proposed, taken and told to one's other sessions", "", func(s *scene) {
		const jmi = "urn:xmpp:jingle-message:0"
		ann, bob := s.client("ann").present(), s.client("bob").present()
		phone := s.again(bob, "phone").present()
		for _, c := range []*client{bob, phone} {
			c.set("", "<enable xmlns='"+nsCarbons+"'/>")
		}
		ann.say("<message to='" + bob.account + "' type='chat' id='p'><propose xmlns='" + jmi + "' id='call'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></propose><store xmlns='urn:xmpp:hints'/></message>")
		for _, c := range []*client{bob, phone} {
			c.gets("<message", "<propose xmlns='"+jmi+"' id='call'>")
		}
		phone.say("<message to='" + ann.JID + "' type='chat'><proceed xmlns='" + jmi + "' id='call'/><store xmlns='urn:xmpp:hints'/></message>")
		ann.gets("<message", "<proceed xmlns='"+jmi+"' id='call'/>", "from='"+phone.JID+"'")
		bob.gets("<sent xmlns='"+nsCarbons+"'", "<proceed")
	}},
	{"XEP-0359 §3", "ids that only the server gives", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob")
		bob.say("<message to='" + ann.account + "' type='chat' id='1'><body>hi</body><origin-id xmlns='urn:xmpp:sid:0' id='o'/><stanza-id xmlns='urn:xmpp:sid:0' by='" + ann.account + "' id='forged'/></message>")
		got := ann.gets("<message", "id='1'")
		wants(s, got, "<stanza-id xmlns='urn:xmpp:sid:0' by='"+ann.account+"'", "<origin-id xmlns='urn:xmpp:sid:0' id='o'/>")
		if strings.Contains(got, "forged") {
			s.Errorf("somebody else's word: %s", got)
		}
		ann.get(ann.account, "<query xmlns='"+nsInfo+"'/>", "var='urn:xmpp:sid:0'")
	}},
	{"XEP-0249 §2", "an invitation passes", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob").present()
		ann.say("<message to='" + bob.account + "' id='1'><x xmlns='jabber:x:conference' jid='room@muc.localhost' reason='why not'/></message>")
		bob.gets("<message", "from='"+ann.JID+"'", "<x xmlns='jabber:x:conference' jid='room@muc.localhost' reason='why not'/>")
	}},
	{"XEP-0237 §2", "a roster that has not changed is not sent again", "", func(s *scene) {
		f := s.newcomer("ann")
		f.Authenticate(f.user, password)
		wants(s, f.Open(), "<ver xmlns='urn:xmpp:features:rosterver'")
		c := s.client("ann")
		c.set("", item("<item jid='bob@example.org'/>"))
		ver := peertest.Attr(c.get("", "<query xmlns='"+nsRoster+"' ver=''/>", "jid='bob@example.org'"), "ver")
		if got := c.get("", "<query xmlns='"+nsRoster+"' ver='"+ver+"'/>"); strings.Contains(got, "<query") {
			s.Errorf("sent again: %s", got)
		}
		c.set("", item("<item jid='carl@example.org'/>"))
		if push := c.gets("<iq", "type='set'", "carl@example.org"); peertest.Attr(push, "ver") == ver || peertest.Attr(push, "ver") == "" {
			s.Errorf("the push has no new version: %s", push)
		}
	}},
}
