package conform

import (
	"strings"
	"time"
)

const (
	nsInfo  = "http://jabber.org/protocol/disco#info"
	nsItems = "http://jabber.org/protocol/disco#items"
	info    = "<query xmlns='" + nsInfo + "'/>"
	items   = "<query xmlns='" + nsItems + "'/>"
)

// queries are what server and accounts are asked.
var queries = []row{
	{"XEP-0030 §3.1", "what the server is and can", "", func(s *scene) {
		got := s.client("ann").get("localhost", info, "from='localhost'", "<identity category='server' type='im'")
		for _, ns := range []string{nsInfo, nsItems, "urn:xmpp:ping", "jabber:iq:version", "urn:xmpp:time", nsCarbons, nsBlock, "urn:xmpp:extdisco:2", "msgoffline", "vcard-temp"} {
			wants(s, got, "<feature var='"+ns+"'/>")
		}
	}},
	{"XEP-0030 §4.1", "what stands beside the server", "", func(s *scene) {
		c := s.client("ann")
		c.get("localhost", items, "<item jid='muc.localhost'")
		c.get("muc.localhost", info, "<identity category='conference' type='text'", "<feature var='http://jabber.org/protocol/muc'/>")
	}},
	{"XEP-0030 §8", "an account tells itself and its contacts only", "", func(s *scene) {
		ann, bob, eve := s.client("ann").present(), s.client("bob").present(), s.client("eve")
		befriend(ann, bob)
		for _, c := range []*client{ann, bob} {
			c.get(ann.account, info, "<identity category='account' type='registered'")
		}
		eve.refused("get", ann.account, info, "service-unavailable")
		eve.refused("get", fresh("nobody")+"@localhost", info, "service-unavailable") // the same: §8
		ann.refused("get", "localhost", "<query xmlns='"+nsInfo+"' node='nobody-knows'/>", "item-not-found")
	}},
	{"XEP-0115 §6.3", "the server's capabilities stand in its features", "", func(s *scene) {
		f := s.newcomer("ann")
		f.Authenticate(f.user, password)
		caps := "<c" + between(s, f.Open(), "<c xmlns='http://jabber.org/protocol/caps'", ">")
		wants(s, caps, "hash='sha-1'")
		f.Bind("home")
		f.get("localhost", "<query xmlns='"+nsInfo+"' node='"+attr(s, caps, "node")+"#"+attr(s, caps, "ver")+"'/>", "<identity category='server'")
	}},
	{"XEP-0049 §3", "private XML", "", func(s *scene) {
		ann, eve := s.client("ann"), s.client("eve")
		const q = "<query xmlns='jabber:iq:private'>"
		ann.get("", q+"<prefs xmlns='urn:x:mine'/></query>", "<prefs xmlns='urn:x:mine'/>") // nothing yet
		ann.set("", q+"<prefs xmlns='urn:x:mine'><nick>Hamlet</nick></prefs></query>")
		s.again(ann, "phone").get("", q+"<prefs xmlns='urn:x:mine'/></query>", "<nick>Hamlet</nick>")
		eve.refused("get", ann.account, q+"<prefs xmlns='urn:x:mine'/></query>")
	}},
	{"XEP-0092 §2", "the software's name and version", "", func(s *scene) {
		s.client("ann").get("localhost", "<query xmlns='jabber:iq:version'/>", "<name>", "<version>")
	}},
	{"XEP-0202 §3", "the server's clock", "", func(s *scene) {
		got := s.client("ann").get("localhost", "<time xmlns='urn:xmpp:time'/>", "<tzo>")
		at, err := time.Parse(time.RFC3339, between(s, got, "<utc>", "</utc>"))
		if err != nil || time.Since(at).Abs() > time.Minute {
			s.Errorf("%v %v", at, err)
		}
	}},
	{"XEP-0199 §4.2", "pings", "", func(s *scene) {
		ann, bob := s.client("ann"), s.client("bob")
		for _, to := range []string{"", "localhost", ann.account} {
			ann.get(to, nsPing)
		}
		bob.say("<iq type='get' to='" + ann.JID + "' id='p'>" + nsPing + "</iq>") // §4.3: end to end
		wants(s, ann.gets("<iq", "id='p'"), "from='"+bob.JID+"'")
		ann.say("<iq type='result' to='" + bob.JID + "' id='p'/>")
		bob.gets("<iq", "id='p'", "type='result'", "from='"+ann.JID+"'")
	}},
	{"XEP-0215 §3.2", "services of STUN and TURN, with credentials", "", func(s *scene) {
		for _, ns := range []string{"urn:xmpp:extdisco:2", "urn:xmpp:extdisco:1"} {
			got := s.client("ann").get("localhost", "<services xmlns='"+ns+"'/>", "type='turn'", "type='stun'")
			for _, name := range []string{"host", "port", "username", "password", "expires"} {
				attr(s, got, name)
			}
		}
	}},
	{"XEP-0215 §3.4", "one kind of them", "", func(s *scene) {
		if got := s.client("ann").get("localhost", "<services xmlns='urn:xmpp:extdisco:2' type='stun'/>", "type='stun'"); strings.Contains(got, "type='turn'") {
			s.Error(got)
		}
	}},
	{"XEP-0077 §3.1", "registration: a name is taken once", "", func(s *scene) {
		f := s.dial()
		wants(s, f.Open(), "<register xmlns='http://jabber.org/features/iq-register'")
		c := &client{Client: f}
		c.get("localhost", "<query xmlns='jabber:iq:register'/>", "<username", "<password")
		user := fresh("ann")
		register(f, user)
		c.refused("set", "localhost", "<query xmlns='jabber:iq:register'><username>"+user+"</username><password>x</password></query>", "conflict")
		c.refused("set", "localhost", "<query xmlns='jabber:iq:register'><username>"+fresh("b")+"</username></query>", "not-acceptable")
	}},
	{"XEP-0077 §3.3", "the password is changed", "", func(s *scene) {
		c := s.client("ann")
		c.set("localhost", "<query xmlns='jabber:iq:register'><username>"+c.user+"</username><password>another one</password></query>")
		c.get("", nsPing)
		again := s.dial()
		again.Open()
		m := peerSCRAM(c.user, password)
		wants(s, m.Run(again), "<failure")
		again.Authenticate(c.user, "another one")
	}},
	{"XEP-0077 §3.2", "an account is removed", "", func(s *scene) {
		c := s.client("ann")
		c.set("", "<query xmlns='jabber:iq:register'><remove/></query>")
		c.gets("<stream:error", "<not-authorized ")
		again := s.dial()
		again.Open()
		m := peerSCRAM(c.user, password)
		wants(s, m.Run(again), "<failure")
	}},
}
