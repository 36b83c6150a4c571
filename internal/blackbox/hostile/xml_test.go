package hostile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

// doors are the transports that carry XML.
var doors = map[string]func(t testing.TB) *peertest.Client{
	"TCP":       func(t testing.TB) *peertest.Client { return dial(t) },
	"TLS":       func(t testing.TB) *peertest.Client { return dialTLS(t) },
	"WebSocket": func(t testing.TB) *peertest.Client { return dialWS(t, "") },
}

// violation is input that ends the stream.
type violation struct {
	row, name string
	input     string
	condition string
	event     string // that is counted
}

const restricted, malformed, policy = "restricted-xml", "not-well-formed", "policy-violation"

func message(inner string) string {
	return "<message xmlns='jabber:client' to='%s' type='chat'><body>" + inner + "</body></message>"
}

func nested(depth int) string {
	return strings.Repeat("<a>", depth) + strings.Repeat("</a>", depth)
}

func attributes(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " "+format, i)
	}
	return b.String()
}

var violations = []violation{
	{"HX1", "comment", message("a<!-- b -->c"), restricted, "xml.restricted"},
	{"HX1", "comment between stanzas", "<!-- x --><message xmlns='jabber:client' to='%s'/>", restricted, "xml.restricted"},
	{"HX1", "processing instruction", message("<?php x ?>"), restricted, "xml.restricted"},
	{"HX1", "second declaration", "<?xml version='1.0'?><message xmlns='jabber:client' to='%s'/>", restricted, "xml.restricted"},
	{"HX1", "DOCTYPE", "<!DOCTYPE x [<!ENTITY a 'aaaa'>]><message xmlns='jabber:client' to='%s'/>", restricted, "xml.restricted"},
	{"HX1", "DOCTYPE inside", message("<!DOCTYPE x>"), restricted, "xml.restricted"},
	{"HX1", "entity reference", message("&a;"), "", "xml."},
	{"HX1", "entity reference in an attribute", message("<x y='&lol9;'/>"), "", "xml."},
	{"HX3", "stanza over the limit", message(strings.Repeat("x", 262_144)), policy, "limit.stanza"},
	{"HX3", "start tag over the limit", "<message xmlns='jabber:client' to='%s' " + strings.Repeat(" ", 262_144), policy, "limit.stanza"},
	{"HX4", "depth", message(nested(40)), policy, "limit.xml"},
	{"HX4", "children", message(strings.Repeat("<a/>", 5000)), policy, "limit.xml"},
	{"HX4", "attributes", message("<a" + attributes(65, "a%d=''") + "/>"), policy, "limit.xml"},
	{"HX4", "namespace declarations", message("<a" + attributes(33, "xmlns:a%d='x'") + "/>"), policy, "limit.xml"},
	{"HX4", "name", message("<" + strings.Repeat("a", 300) + "/>"), policy, "limit.xml"},
	{"HX4", "attribute value", message("<a b='" + strings.Repeat("x", 33_000) + "'/>"), policy, "limit.xml"},
	{"HX5", "duplicate attribute", message("<a b='1' b='2'/>"), malformed, "xml.malformed"},
	{"HX5", "duplicate attribute by two prefixes", message("<a xmlns:x='u' xmlns:y='u' x:b='1' y:b='2'/>"), malformed, "xml.malformed"},
	{"HX5", "undeclared prefix", message("<x:a/>"), "bad-namespace-prefix", "xml.malformed"},
	{"HX5", "undeclared prefix of an attribute", message("<a x:b=''/>"), "bad-namespace-prefix", "xml.malformed"},
	{"HX5", "xml bound to something else", message("<a xmlns:xml='u'/>"), malformed, "xml.malformed"},
	{"HX5", "xmlns bound", message("<a xmlns:xmlns='u'/>"), malformed, "xml.malformed"},
	{"HX5", "prefix bound to nothing", message("<a xmlns:x=''/>"), malformed, "xml.malformed"},
	{"HX5", "empty prefix", message("<:a/>"), malformed, "xml.malformed"},
	{"HX5", "empty local part", message("<a: xmlns:a='u'/>"), malformed, "xml.malformed"},
	{"HX5", "two colons", message("<a:b:c xmlns:a='u'/>"), malformed, "xml.malformed"},
	{"HX5", "no space between attributes", message("<a b='1'c='2'/>"), malformed, "xml.malformed"},
	{"HX5", "illegal name", message("<1a/>"), malformed, "xml.malformed"},
	{"HX5", "wrong end tag", message("<a></b>"), malformed, "xml.malformed"},
	{"HX5", "< in an attribute", message("<a b='<'/>"), malformed, "xml.malformed"},
	{"HX5", "]]> in text", message("a]]>b"), malformed, "xml.malformed"},
	{"HX6", "bad UTF-8", message("\xff"), malformed, "xml.encoding"},
	{"HX6", "overlong UTF-8", message("\xc0\xaf"), malformed, "xml.encoding"},
	{"HX6", "truncated UTF-8", message("\xe2\x82"), malformed, "xml.encoding"},
	{"HX6", "surrogate", message("\xed\xa0\x80"), malformed, "xml.encoding"},
	{"HX6", "NUL", message("a\x00b"), malformed, "xml.encoding"},
	{"HX6", "control character", message("a\x08b"), malformed, "xml.encoding"},
	{"HX6", "U+FFFF", message("\xef\xbf\xbf"), malformed, "xml.encoding"},
	{"HX6", "reference to a surrogate", message("&#xD800;"), malformed, "xml.encoding"},
	{"HX6", "reference out of range", message("&#x110000;"), malformed, "xml.encoding"},
	{"HX6", "reference to NUL", message("&#0;"), malformed, "xml.encoding"},
	{"HX6", "bad UTF-8 in a name", message("<\xff/>"), malformed, "xml."},
	{"HX7", "element of the streams namespace", "<stream:features xmlns:stream='http://etherx.jabber.org/streams'/>", "unsupported-stanza-type", "xml.sequence"},
	{"HX7", "unknown element", "<presents xmlns='jabber:client' to='%s'/>", "unsupported-stanza-type", "xml.sequence"},
	{"HX7", "stanza of another namespace", "<message xmlns='jabber:server' to='%s'/>", "invalid-namespace", "xml.sequence"},
	{"HX7", "text between stanzas", "text<message xmlns='jabber:client' to='%s'/>", "bad-format", "xml.sequence"},
	{"HX12", "from of somebody else", "<message xmlns='jabber:client' to='%s' from='bob@localhost/x'/>", "invalid-from", "addr.spoof"},
	{"HX12", "from of the server", "<message xmlns='jabber:client' to='%s' from='localhost'/>", "invalid-from", "addr.spoof"},
}

// TestHXViolationsEndTheStream sends each violation over each transport. The witness, another user's session, must get
// what was sent before and nothing of the violating stanza.
func TestHXViolationsEndTheStream(t *testing.T) {
	for door, open := range doors {
		witness := user(t, dial(t), "bob")
		for i, v := range violations {
			t.Run(v.row+" "+v.name+" over "+door, func(t *testing.T) {
				p := user(t, open(t), "ann")
				before := counted(t, v.event)
				mark := fmt.Sprintf("before-%d", i)
				p.Send("<message xmlns='jabber:client' to='" + witness.JID + "' id='" + mark + "' type='chat'/>")
				witness.T = t
				witness.Await("id='" + mark + "'")
				p.Send(strings.Replace(v.input, "%s", witness.JID, 1))
				got := p.Expect("stream:error")
				if v.condition != "" && !strings.Contains(got, "<"+v.condition+" ") {
					t.Errorf("got %s, want %s", got, v.condition)
				}
				if v.row == "HX3" && !strings.Contains(got, "262144") && !strings.Contains(got, "262,144") {
					t.Errorf("the text does not name the limit: %s", got)
				}
				p.ExpectEnd("")
				if after := counted(t, v.event); after < before+1 {
					t.Errorf("%s counted %v, then %v", v.event, before, after)
				}
				witness.Ping() // Await would have seen nothing else: see sees
			})
		}
		sees(t, witness)
	}
}

// sees wants the next thing that the witness gets to be its own message: nothing was routed to it since the last ping.
func sees(t *testing.T, witness *peertest.Client) {
	t.Helper()
	witness.T = t
	witness.Send("<message xmlns='jabber:client' to='" + witness.JID + "' id='own'/>")
	witness.Expect("id='own'")
}

// TestHX3SizeBeforeLogin: the limit before login is lower.
func TestHX3SizeBeforeLogin(t *testing.T) {
	for door, open := range doors {
		t.Run(door, func(t *testing.T) {
			p := open(t)
			p.Open()
			p.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'" + strings.Repeat(" ", 10_100) + "/>")
			if got := p.Expect("stream:error", "<policy-violation "); !strings.Contains(got, "10000") && !strings.Contains(got, "10,000") {
				t.Errorf("the text does not name the limit: %s", got)
			}
			p.ExpectEnd("")
		})
	}
}

func TestHX2CompressionIsNotOffered(t *testing.T) {
	for door, open := range doors {
		t.Run(door, func(t *testing.T) {
			p := open(t)
			if f := p.Open(); strings.Contains(f, "compression") {
				t.Errorf("compression is offered: %s", f)
			}
			p.Send("<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>")
			p.Expect("<failure xmlns='http://jabber.org/protocol/compress'><setup-failed/></failure>")
		})
	}
	p := dialWS(t, "", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
	p.Raw(string(peertest.Frame(0xC1, []byte("compressed")))) // RSV1: not negotiated
	if got := p.Read(); strings.Contains(got, "<open") {
		t.Errorf("a compressed frame is taken: %q", got)
	}
}

func TestHX7AfterTheEnd(t *testing.T) {
	witness := user(t, dial(t), "bob")
	p := user(t, dial(t), "ann")
	p.Send("<message to='" + witness.JID + "' id='before'/></stream:stream><message to='" + witness.JID + "' id='after'/>")
	p.ExpectEnd("")
	witness.Expect("id='before'")
	sees(t, witness)
}

func TestHX9CutAtEveryByte(t *testing.T) {
	for door, open := range doors {
		t.Run(door, func(t *testing.T) {
			witness := user(t, dial(t), "bob")
			p := user(t, open(t), "ann")
			stanza := "<message xmlns='jabber:client' to='" + witness.JID + "' id='é&lt;1'><body xml:lang=\"de\">ä &amp; <![CDATA[<x>]]> 𝄞</body><x xmlns:y='z' y:a='1'/></message>"
			p.Send(stanza)
			whole := unmarked(witness.Read())
			bytes := stanza
			if p.WS {
				bytes = string(peertest.Frame(0x81, []byte(stanza)))
			}
			for i := range len(bytes) {
				p.Raw(bytes[i : i+1])
			}
			if got := unmarked(witness.Read()); got != whole {
				t.Errorf("byte by byte: %s\nas one: %s", got, whole)
			}
		})
	}
}

func TestHX10StreamHeader(t *testing.T) {
	for name, c := range map[string]struct{ header, condition string }{
		"unknown host":  {"<stream:stream to='elsewhere.net' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", "host-unknown"},
		"no host":       {"<stream:stream version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", "improper-addressing"},
		"old version":   {"<stream:stream to='localhost' version='0.9' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", "unsupported-version"},
		"no version":    {"<stream:stream to='localhost' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", "unsupported-version"},
		"wrong content": {"<stream:stream to='localhost' version='1.0' xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>", "invalid-namespace"},
		"wrong stream":  {"<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='urn:x'>", "invalid-namespace"},
		"encoding":      {"<?xml version='1.0' encoding='ISO-8859-1'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", "unsupported-encoding"},
		"HTTP":          {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "bad-format"},
	} {
		t.Run(name, func(t *testing.T) {
			p := dial(t)
			p.Send(c.header)
			p.Expect("<stream:stream", "from='localhost'")
			p.ExpectEnd(c.condition)
		})
	}
	p := dialWS(t, "")
	p.Send("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='elsewhere.net' version='1.0'/>")
	p.Expect("<open")
	p.ExpectEnd("host-unknown")
}

func TestHX11WhiteSpaceFlood(t *testing.T) {
	p := user(t, dial(t), "ann")
	before := counted(t, "limit.rate")
	for range 200 {
		if _, err := p.Conn.Write([]byte(" ")); err != nil {
			break
		}
		time.Sleep(time.Millisecond) // one packet each
	}
	p.ExpectEnd("policy-violation")
	if counted(t, "limit.rate") <= before {
		t.Error("not counted")
	}
}

func TestHX13MalformedAddress(t *testing.T) {
	p := user(t, dial(t), "ann")
	for i, to := range []string{"@localhost", "a@", "a@b@c", "localhost/", "a@local host", "a\u2028b@localhost", strings.Repeat("x", 1024) + "@localhost",
		"a@localhost/" + strings.Repeat("x", 1024), "a&quot;b@localhost", "\u202ea@localhost", "a@-", "a@[::1"} {
		id := fmt.Sprint("m", i)
		p.Send("<message to='" + to + "' id='" + id + "'/>")
		p.Expect("<message", "type='error'", "id='"+id+"'", "type='modify'", "<jid-malformed ")
	}
	p.Ping()
}

func TestHX14BadIQ(t *testing.T) {
	p := user(t, dial(t), "ann")
	for i, c := range []struct{ iq, condition string }{
		{"<iq type='get' to='localhost' id='%s'><x xmlns='urn:unknown'/></iq>", "service-unavailable"},
		{"<iq type='set' id='%s'><x xmlns='urn:unknown'/></iq>", "service-unavailable"},
		{"<iq type='get' to='muc.localhost' id='%s'><x xmlns='urn:unknown'/></iq>", "service-unavailable"},
		{"<iq type='get' to='localhost' id='%s'/>", "bad-request"},
		{"<iq type='get' to='localhost' id='%s'><a xmlns='x'/><b xmlns='x'/></iq>", "bad-request"},
		{"<iq to='localhost' id='%s'><a xmlns='x'/></iq>", "bad-request"},
		{"<iq type='push' to='localhost' id='%s'><a xmlns='x'/></iq>", "bad-request"},
	} {
		id := fmt.Sprint("q", i)
		p.Send(fmt.Sprintf(c.iq, id))
		p.Expect("<iq", "type='error'", "id='"+id+"'", "<"+c.condition+" ")
	}
	p.Send("<iq type='get' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
	p.Expect("<iq", "type='error'", "<bad-request ")
	p.Ping()
}

func TestHX15UnexpectedResult(t *testing.T) {
	p := user(t, dial(t), "ann")
	for _, to := range []string{"localhost", "muc.localhost", "room@muc.localhost/focus", "focus.localhost", "nobody@localhost/x", "nobody@localhost"} {
		p.Send("<iq type='result' to='"+to+"' id='x'/>", "<iq type='error' to='"+to+"' id='x'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
	}
	p.Send("<message to='" + p.JID + "' id='own'/>")
	p.Expect("id='own'") // nothing came back
}
