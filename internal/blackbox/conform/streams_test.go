package conform

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"

	"parley/internal/peertest"
)

const (
	nsSASL    = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsStanzas = "urn:ietf:params:xml:ns:xmpp-stanzas"
	nsSM      = "urn:xmpp:sm:3"
	nsPing    = "<ping xmlns='urn:xmpp:ping'/>"
)

// streams are about streams and what every stanza has.
var streams = []row{
	{"RFC 6120 §4.3", "features before and after login", "", func(s *scene) {
		c := &client{Client: s.dial(), user: fresh("ann")}
		before := c.Open()
		wants(s, before, "<mechanisms xmlns='"+nsSASL+"'>", "<mechanism>SCRAM-SHA-256<")
		if strings.Contains(before, "xmpp-bind") {
			s.Errorf("binding before login: %s", before)
		}
		register(c.Client, c.user)
		c.Authenticate(c.user, password)
		after := c.Open()
		wants(s, after, "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'", "<sm xmlns='"+nsSM+"'")
		if strings.Contains(after, "<mechanism>") {
			s.Errorf("login after login: %s", after)
		}
	}},
	{"RFC 6120 §4.4", "a stream is closed from both sides", "", func(s *scene) {
		s.client("ann").leave()
	}},
	{"RFC 6120 §4.9.3.13", "what is not well-formed ends the stream", "", func(s *scene) {
		if s.transport == "bosh" { // XEP-0124 §17.2: whose request it is cannot be known
			wants(s, s.post("<body xmlns='http://jabber.org/protocol/httpbind' rid='1' to='localhost'><message></body></message>"), "type='terminate'", "condition='bad-request'")
			return
		}
		c := s.client("ann")
		c.Send("<message xmlns='jabber:client' to='x@localhost'><body></message></body>")
		wants(s, c.gets("<stream:error"), "<not-well-formed ")
	}},
	{"RFC 6120 §5.4", "STARTTLS", "tcp", func(s *scene) {
		c := &client{Client: peertest.Dial(s, s.server.XMPP, s.server.Domain), user: fresh("ann")}
		wants(s, c.Open(), "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>")
		c.Send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
		c.Expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'")
		c.Secure(tls.VersionTLS13)
		c.Open()
		register(c.Client, c.user)
		c.Authenticate(c.user, password)
		c.Open()
		c.Bind("home").Ping()
	}},
	{"RFC 7590 §3.1", "nothing older than TLS 1.2", "tcp", func(s *scene) {
		for version, want := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
			c, err := tls.Dial("tcp", s.server.XMPPS, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", MinVersion: version, MaxVersion: version})
			if (err == nil) != want {
				s.Errorf("%s: %v", tls.VersionName(version), err)
			}
			if err == nil {
				c.Close()
			}
		}
	}},
	{"RFC 6120 §6.4.5", "a wrong password, and a mechanism that is not there", "", func(s *scene) {
		c := s.newcomer("ann")
		m := peertest.SCRAM{Mechanism: "SCRAM-SHA-256", User: c.user, Password: "wrong"}
		wants(s, m.Run(c.Client), "<failure xmlns='"+nsSASL+"'><not-authorized")
		c.Send("<auth xmlns='" + nsSASL + "' mechanism='X-NONE'/>")
		c.Expect("<failure xmlns='"+nsSASL+"'>", "<invalid-mechanism")
		c.Authenticate(c.user, password)
	}},
	{"RFC 6120 §6.4.4", "a login may be given up", "", func(s *scene) {
		c := s.newcomer("ann")
		c.Auth("SCRAM-SHA-256", "n,,n="+c.user+",r=abcdefgh")
		c.Expect("<challenge")
		c.Send("<abort xmlns='" + nsSASL + "'/>")
		c.Expect("<failure xmlns='"+nsSASL+"'>", "<aborted")
		c.Authenticate(c.user, password)
	}},
	{"RFC 4505 §2", "guests log in without an account, and have nothing that is kept", "", func(s *scene) {
		guest, other := s.guest(), s.guest()
		if guest.account == other.account {
			s.Errorf("both are %s", guest.account)
		}
		guest.refused("set", "", "<query xmlns='"+nsMAM+"'/>")
		other.say("<message to='" + guest.JID + "' id='1'><body>hi</body></message>") // guests reach rooms only
		wants(s, other.gets("<message", "id='1'"), "type='error'", "<forbidden ")
		wants(s, other.join(s.room(), "me", ""), "affiliation='owner'")
	}},
	{"RFC 6120 §7.6", "the server chooses a resource", "", func(s *scene) {
		c := s.newcomer("ann")
		c.Authenticate(c.user, password)
		c.Open()
		c.Bind("")
		if resource, ok := strings.CutPrefix(c.JID, c.account+"/"); !ok || resource == "" {
			s.Errorf("bound to %s", c.JID)
		}
	}},
	{"RFC 6120 §7.7.2.2", "a resource is bound by one session", "", func(s *scene) {
		old := s.client("ann")
		young := s.again(old, "home")
		if young.JID == old.JID { // else it has another resource, and both go on
			wants(s, old.gets("<stream:error"), "<conflict ")
		} else {
			old.get("", nsPing)
		}
		young.get("", nsPing)
	}},
	{"RFC 6120 §8.1.2.1", "the server says whom a stanza comes from", "", func(s *scene) {
		ann, bob := s.client("ann"), s.client("bob")
		ann.say("<message to='" + bob.JID + "' id='1'><body>hi</body></message>")
		wants(s, bob.gets("<message", "id='1'"), "from='"+ann.JID+"'")
		ann.say("<message from='" + bob.JID + "' to='" + bob.JID + "' id='2'><body>hi</body></message>")
		if got := ann.gets(""); !strings.Contains(got, "<invalid-from ") { // a stream error, RFC 6120 §4.9.3.9
			s.Errorf("a forged address: %s", got)
		}
		bob.lacks(bob, "id='2'")
	}},
	{"RFC 6120 §8.2.3", "each request has one answer, with its id", "", func(s *scene) {
		c := s.client("ann")
		c.refused("get", "", "<query xmlns='urn:x:nobody-knows'/>", "service-unavailable")
		c.refused("set", "localhost", "<query xmlns='urn:x:nobody-knows'/>", "service-unavailable")
		c.say("<iq type='get' id='two'><a xmlns='urn:x'/><b xmlns='urn:x'/></iq>")
		wants(s, c.gets("id='two'"), "type='error'", "<bad-request ")
		c.say("<iq type='result' to='localhost' id='late'/>") // not answered
		c.lacks(c, "id='late'")
	}},
	{"RFC 6120 §10.5.4", "an account that is not there", "", func(s *scene) {
		c := s.client("ann")
		to := fresh("nobody") + "@localhost"
		c.refused("get", to, nsPing, "service-unavailable")
		c.say("<message to='" + to + "' id='1'><body>hi</body></message>")
		wants(s, c.gets("<message", "id='1'"), "type='error'", "<service-unavailable xmlns='"+nsStanzas+"'")
	}},
	{"RFC 6120 §10.4", "a domain that is nobody's", "", func(s *scene) {
		c := s.client("ann")
		c.refused("get", "unknown.invalid", nsPing, "remote-server-not-found")
	}},
	{"RFC 7395 §3.3.3", "what is no message of the framing", "websocket", func(s *scene) {
		c := &client{Client: s.dial()}
		c.Send("<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>")
		for { // the stream ends, with or without a word
			if got := c.Read(); got == "" {
				break
			} else if strings.Contains(got, "<stream:features") {
				s.Fatalf("a stream of RFC 6120 is served: %s", got)
			}
		}
	}},
	{"RFC 7395 §3.1", "the subprotocol is named", "websocket", func(s *scene) {
		c := peertest.Dial(s, s.server.HTTP, "localhost")
		if res := c.Upgrade("/xmpp-websocket"); res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Sec-WebSocket-Protocol") != "xmpp" {
			s.Errorf("%s %v", res.Status, res.Header)
		}
	}},
	{"XEP-0124 §7", "what a session is told", "bosh", func(s *scene) {
		got := s.post("<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' rid='1' to='localhost' wait='5' hold='1' ver='1.6' xmpp:version='1.0'/>")
		for _, name := range []string{"sid", "wait", "requests", "inactivity", "polling", "hold", "ver"} {
			attr(s, got, name)
		}
		wants(s, got, "wait='5'", "hold='1'", "<stream:features")
	}},
	{"XEP-0124 §17.2", "a session that is not there", "bosh", func(s *scene) {
		wants(s, s.post("<body xmlns='http://jabber.org/protocol/httpbind' rid='2' sid='nobodys'/>"), "type='terminate'", "condition='item-not-found'")
	}},
	{"XEP-0206 §8", "pages elsewhere, where they are allowed", "bosh", func(s *scene) {
		for origin, want := range map[string]string{"http://127.0.0.1:1": "200", "https://evil.example": "403"} { // this machine's own are
			req, err := http.NewRequest("POST", "http://"+s.server.HTTP+"/http-bind", strings.NewReader("<body xmlns='http://jabber.org/protocol/httpbind' rid='1' to='localhost' wait='1' hold='1'/>"))
			if err != nil {
				s.Fatal(err)
			}
			req.Header.Set("Origin", origin)
			req.Header.Set("Sec-Fetch-Site", "cross-site")
			web := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
			res, err := web.Do(req)
			if err != nil {
				s.Fatal(err)
			}
			res.Body.Close()
			if !strings.HasPrefix(res.Status, want) || (res.Header.Get("Access-Control-Allow-Origin") == origin) != (want == "200") {
				s.Errorf("%s: %s %v", origin, res.Status, res.Header)
			}
		}
	}},
	{"XEP-0206 §5", "a restart behind login", "bosh", func(s *scene) {
		c := s.newcomer("ann")
		c.Authenticate(c.user, password)
		wants(s, c.Open(), "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'")
	}},
	{"XEP-0138 §3", "compression is not offered", "", func(s *scene) {
		c := &client{Client: s.dial()}
		if f := c.Open(); strings.Contains(f, "compress") {
			s.Error(f)
		}
	}},
	{"XEP-0368 §2", "TLS from the start, with the protocol's name", "tcp", func(s *scene) {
		c, err := tls.Dial("tcp", s.server.XMPPS, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{"xmpp-client"}})
		if err != nil {
			s.Fatal(err)
		}
		defer c.Close()
		if got := c.ConnectionState().NegotiatedProtocol; got != "xmpp-client" {
			s.Errorf("ALPN says %q", got)
		}
	}},
	{"XEP-0478 §2", "limits are told", "", func(s *scene) {
		c := &client{Client: s.dial()}
		limits := between(s, c.Open(), "<limits xmlns='urn:xmpp:stream-limits:0'>", "</limits>")
		wants(s, limits, "<max-bytes>", "<idle-seconds>")
	}},
	{"XEP-0156 §3", "how to connect, over HTTP", "", func(s *scene) {
		for _, path := range []string{"/.well-known/host-meta", "/.well-known/host-meta.json"} {
			res, err := http.Get("http://" + s.server.HTTP + path)
			if err != nil {
				s.Fatal(err)
			}
			text, _ := io.ReadAll(res.Body)
			res.Body.Close()
			http.DefaultClient.CloseIdleConnections()
			wants(s, string(text), "urn:xmpp:alt-connections:websocket", "urn:xmpp:alt-connections:xbosh", "/xmpp-websocket", "/http-bind")
			if res.Header.Get("Access-Control-Allow-Origin") != "*" {
				s.Errorf("%s: pages elsewhere may not read it: %v", path, res.Header)
			}
		}
	}},
	{"XEP-0198 §4", "both sides count", "", func(s *scene) {
		c := s.client("ann")
		c.Send("<enable xmlns='" + nsSM + "'/>")
		c.gets("<enabled xmlns='" + nsSM + "'")
		for i := range 3 {
			c.say(fmt.Sprintf("<message to='%s' id='m%d'><body>%d</body></message>", c.JID, i, i))
		}
		c.gets("<message", "id='m2'")
		c.Send("<r xmlns='" + nsSM + "'/>")
		c.gets("<a xmlns='"+nsSM+"'", "h='3'")
	}},
	{"XEP-0198 §5", "resumption brings what was lost", "", func(s *scene) {
		ann, bob := s.client("ann"), s.client("bob")
		ann.Send("<enable xmlns='" + nsSM + "' resume='true'/>")
		id := attr(s, ann.gets("<enabled xmlns='"+nsSM+"'", "resume='true'"), "id")
		bob.say("<message to='" + ann.JID + "' id='1'><body>1</body></message>")
		ann.gets("<message", "id='1'")
		ann.Drop()
		bob.say("<message to='" + ann.JID + "' id='2'><body>2</body></message>")
		bob.get("", nsPing)
		again := &client{Client: s.dial(), user: ann.user, account: ann.account}
		again.Login(ann.user, password)
		again.Send("<resume xmlns='" + nsSM + "' h='1' previd='" + id + "'/>")
		again.gets("<resumed xmlns='"+nsSM+"'", "h='0'", "previd='"+id+"'")
		again.gets("<message", "id='2'")
		again.JID = ann.JID
		again.lacks(bob, "id='1'")
	}},
	{"XEP-0198 §5", "a session that is not there", "", func(s *scene) {
		c := s.newcomer("ann")
		c.Authenticate(c.user, password)
		c.Open()
		c.Send("<resume xmlns='" + nsSM + "' h='1' previd='nobodys'/>")
		wants(s, c.gets("<failed xmlns='"+nsSM+"'"), "<item-not-found xmlns='"+nsStanzas+"'")
		c.Bind("home").Ping()
	}},
	{"XEP-0352 §5", "presence waits for who does not look", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob").present()
		befriend(ann, bob)
		ann.Send("<inactive xmlns='urn:xmpp:csi:0'/>")
		ann.get("", nsPing) // from here on nobody looks
		bob.say("<presence><show>away</show></presence>", "<presence><show>dnd</show></presence>")
		bob.get("", item("")) // answered after both have been given to ann's account,
		ann.get("", item("")) // and this after they have reached ann's session, which must see it: what waits comes along
		ann.Send("<active xmlns='urn:xmpp:csi:0'/>")
		ann.gets("<presence", "from='"+bob.JID+"'", "<show>dnd")
		ann.lacks(bob, "<show>away") // only the last of each contact
	}},
	{"XEP-0352 §5", "a message does not wait", "", func(s *scene) {
		ann, bob := s.client("ann").present(), s.client("bob")
		ann.Send("<inactive xmlns='urn:xmpp:csi:0'/>")
		ann.get("", nsPing)
		bob.say("<message to='" + ann.JID + "' type='chat' id='1'><body>look</body></message>")
		ann.gets("<message", "id='1'")
	}},
}

// post asks the BOSH door directly.
func (s *scene) post(body string) string {
	s.Helper()
	web := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	res, err := web.Post("http://"+s.server.HTTP+"/http-bind", "text/xml; charset=utf-8", strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.Fatal(err)
	}
	return string(text)
}
