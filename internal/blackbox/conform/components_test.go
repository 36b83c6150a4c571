package conform

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"

	"parley/internal/peertest"
)

const componentSecret = "a secret of sixteen or more"

// componentNames are the cases' components. Each has one on each transport, since there is one stream per component.
var componentNames = []string{"proves", "speaks", "away"}

func componentConfig() (config string) {
	for _, name := range componentNames {
		for _, transport := range transports {
			config += fmt.Sprintf("[[component]]\ndomain = \"%s-%s.localhost\"\nsecret = %q\n", name, transport, componentSecret)
		}
	}
	return config
}

// component connects as a component, with this secret.
func (s *scene) component(name, secret string) *peertest.Client {
	s.Helper()
	domain := name + "-" + s.transport + ".localhost"
	c := peertest.Dial(s, s.server.Component, domain)
	c.Raw("<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='" + domain + "'>")
	id := attr(s, c.Expect("<stream:stream", "from='"+domain+"'"), "id")
	sum := sha1.Sum([]byte(id + secret))
	c.Raw("<handshake>" + hex.EncodeToString(sum[:]) + "</handshake>")
	return c
}

// components are programs that serve domains of their own; the transport is that of the person who speaks with them.
var components = []row{
	{"XEP-0114 §3", "a component proves that it knows the secret", "", func(s *scene) {
		s.component("proves", componentSecret+"!").ExpectEnd("not-authorized")
		c := s.component("proves", componentSecret)
		c.Expect("<handshake/>")
		s.client("ann").get("localhost", items, "<item jid='"+c.Host+"'")
	}},
	{"XEP-0114 §3", "a component speaks for all addresses of its domain, and for no other", "", func(s *scene) {
		ann, c := s.client("ann").present(), s.component("speaks", componentSecret)
		c.Expect("<handshake/>")
		bot := "friend@" + c.Host + "/x"
		ann.say("<message to='" + bot + "' type='chat' id='there'><body>hi</body></message>")
		c.Await("<message", "id='there'", "from='"+ann.JID+"'", "to='"+bot+"'")
		c.Raw("<message from='" + bot + "' to='" + ann.JID + "' type='chat' id='back'><body>ho</body></message>")
		ann.gets("<message", "id='back'", "from='"+bot+"'")
		ann.say("<iq type='get' id='asked' to='" + c.Host + "'>" + nsPing + "</iq>")
		c.Await("<iq", "id='asked'", "from='"+ann.JID+"'")
		c.Raw("<iq type='result' id='asked' from='" + c.Host + "' to='" + ann.JID + "'/>")
		ann.gets("<iq", "id='asked'", "type='result'")
		c.Raw("<message from='" + ann.JID + "' to='" + ann.account + "' type='chat'><body>forged</body></message>")
		c.Await("<stream:error", "<invalid-from ")
	}},
	{"XEP-0114 §3", "who asks a component that is away is told so", "", func(s *scene) {
		ann := s.client("ann")
		ann.refused("get", "away-"+s.transport+".localhost", nsPing, "remote-server-timeout")
		c := s.component("away", componentSecret)
		c.Expect("<handshake/>")
		c.Raw("</stream:stream>")
		c.Await("</stream:stream>")
		ann.refused("get", "away-"+s.transport+".localhost", nsPing, "remote-server-timeout")
	}},
}
