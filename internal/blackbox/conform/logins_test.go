package conform

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"parley/internal/peertest"
)

const (
	nsSASL2 = "urn:xmpp:sasl:2"
	nsFast  = "urn:xmpp:fast:0"
	agent   = "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'><software>Test</software></user-agent>"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func peerSCRAM(user, password string) *peertest.SCRAM {
	return &peertest.SCRAM{Mechanism: "SCRAM-SHA-256", User: user, Password: password}
}

// withPassword is an <authenticate/> of SASL2.
func withPassword(user, password string, more ...string) string {
	return "<authenticate xmlns='" + nsSASL2 + "' mechanism='PLAIN'><initial-response>" + b64("\x00"+user+"\x00"+password) + "</initial-response>" +
		agent + strings.Join(more, "") + "</authenticate>"
}

const bind2 = "<bind xmlns='urn:xmpp:bind:0'><tag>Test</tag><enable xmlns='" + nsSM + "' resume='true'/><enable xmlns='" + nsCarbons + "'/></bind>"

// logins are about the newer ways to log in. They want TLS. XEP-0388 does away with the restart of the stream, and so with all
// that RFC 7395 and XEP-0206 say otherwise of logins. There is no channel binding over BOSH, whose session has many connections.
var logins = []row{
	{"XEP-0388 §2.3", "one exchange, and the stream goes on", "", func(s *scene) {
		c := &client{Client: s.secure(), user: fresh("ann")}
		f := c.Open()
		wants(s, between(s, f, "<authentication xmlns='"+nsSASL2+"'>", "</authentication>"), "<mechanism>SCRAM-SHA-256<", "<inline>", "<bind xmlns='urn:xmpp:bind:0'>", "<sm xmlns='"+nsSM+"'/>")
		register(c.Client, c.user)
		c.Send(withPassword(c.user, "wrong"))
		wants(s, c.gets("<failure xmlns='"+nsSASL2+"'>"), "<not-authorized xmlns='"+nsSASL+"'/>")
		c.Send(withPassword(c.user, password))
		wants(s, c.gets("<success xmlns='"+nsSASL2+"'>"), "<authorization-identifier>"+c.user+"@localhost<")
		wants(s, c.gets("<stream:features"), "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'") // §2.6.1: at once
		c.Bind("home").Ping()
	}},
	{"XEP-0386 §4.2", "bound in the same breath", "", func(s *scene) {
		c := s.secured("ann")
		c.Send(withPassword(c.user, password, bind2))
		got := c.gets("<success xmlns='" + nsSASL2 + "'>")
		wants(s, got, "<bound xmlns='urn:xmpp:bind:0'>", "<enabled xmlns='"+nsSM+"'", "<metadata xmlns='urn:xmpp:mam:2'")
		c.JID = between(s, got, "<authorization-identifier>", "<")
		if !strings.HasPrefix(c.JID, c.account+"/Test") {
			s.Errorf("bound to %s", c.JID)
		}
		bob := s.client("bob")
		c.say("<message to='" + bob.JID + "' type='chat' id='1'><body>hi</body></message>")
		wants(s, bob.gets("id='1'"), "from='"+c.JID+"'")
	}},
	{"XEP-0484 §3.3", "a token in place of a password", "tcp websocket", func(s *scene) {
		c := s.secured("ann")
		c.Send(withPassword(c.user, password, bind2, "<request-token xmlns='"+nsFast+"' mechanism='HT-SHA-256-EXPR'/>"))
		token := attr(s, c.gets("<success", "<token xmlns='"+nsFast+"'"), "token")
		attempt := func(token string) *client {
			again := &client{Client: s.secure()}
			wants(s, again.Open(), "<fast xmlns='"+nsFast+"'><mechanism>")
			m := hmac.New(sha256.New, []byte(token))
			m.Write(append([]byte("Initiator"), again.Exporter()...))
			again.Send("<authenticate xmlns='" + nsSASL2 + "' mechanism='HT-SHA-256-EXPR'><initial-response>" + b64(c.user+"\x00"+string(m.Sum(nil))) + "</initial-response>" +
				agent + "<fast xmlns='" + nsFast + "'/>" + bind2 + "</authenticate>")
			return again
		}
		attempt("secret-token:forged").gets("<failure xmlns='" + nsSASL2 + "'>")
		attempt(token).gets("<success", "<authorization-identifier>"+c.account+"/")
	}},
	{"XEP-0440 §2", "which channel bindings there are, and one of them used", "tcp websocket", func(s *scene) {
		c := s.secured("ann")
		again := s.secure()
		f := again.Open()
		wants(s, f, "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>", "<channel-binding type='tls-exporter'/>", "<channel-binding type='tls-server-end-point'/>", "<mechanism>SCRAM-SHA-256-PLUS<")
		m := peertest.SCRAM{Mechanism: "SCRAM-SHA-256-PLUS", User: c.user, Password: password, GS2: "p=tls-exporter,,", Binding: again.Exporter()}
		wants(s, m.Run(again), "<success")
		wrong := s.secure()
		wrong.Open()
		m = peertest.SCRAM{Mechanism: "SCRAM-SHA-256-PLUS", User: c.user, Password: password, GS2: "p=tls-exporter,,", Binding: []byte(strings.Repeat("x", 32))}
		wants(s, m.Run(wrong), "<failure")
	}},
	{"XEP-0474 §4", "what was offered is in the proof", "", func(s *scene) {
		c := s.secured("ann")
		c.Auth("SCRAM-SHA-256", "n,,n="+c.user+",r=abcdefghij")
		if got := c.Content(c.gets("<challenge")); !strings.Contains(got, ",h=") && !strings.Contains(got, ",d=") {
			s.Errorf("no hash of what was offered in %s", got)
		}
	}},
}
