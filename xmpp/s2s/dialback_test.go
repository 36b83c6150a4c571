package s2s

import (
	"fmt"
	"strings"
	"testing"
)

// TestDialbackKeys has the examples of XEP-0185 §3 and XEP-0220 §2.2.2.
func TestDialbackKeys(t *testing.T) {
	for _, c := range []struct{ secret, receiving, originating, id, want string }{
		{"s3cr3tf0rd14lb4ck", "xmpp.example.com", "example.org", "D60000229F", "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643"},
		{"d14lb4ck43v3r", "capulet.example", "montague.example", "417GAF25", "225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d"},
	} {
		if got := dialbackKey(dialbackSecret([]byte(c.secret)), c.receiving, c.originating, c.id); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// TestHS3Authority: as the server of a domain we confirm the keys that we made, and no others.
func TestHS3Authority(t *testing.T) {
	ca := newAuthority(t)
	a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca)})
	p := dialPeer(t, a)
	p.secure("b.example", "a.example") // nobody has shown who they are, nor need they
	key := dialbackKey(a.srv.secret, "b.example", "a.example", "1&2")
	for _, c := range []struct{ from, to, id, key, want string }{
		{"b.example", "a.example", "1&amp;2", key, "type='valid'"},
		{"b.example", "a.example", "1&amp;2", " " + key + "\n", "type='valid'"},
		{"b.example", "a.example", "1&amp;3", key, "type='invalid'"},
		{"c.example", "a.example", "1&amp;2", key, "type='invalid'"},
		{"b.example", "muc.a.example", "1&amp;2", key, "type='invalid'"},
		{"b.example", "a.example", "1&amp;2", key[:63], "type='invalid'"},
		{"b.example", "a.example", "1&amp;2", strings.ToUpper(key), "type='invalid'"},
		{"b.example", "a.example", "1&amp;2", "", "type='invalid'"},
		{"b.example", "c.example", "1&amp;2", key, "<item-not-found "},
	} {
		p.say(fmt.Sprintf("<db:verify from='%s' to='%s' id='%s'>%s</db:verify>", c.from, c.to, c.id, c.key))
		p.expect("<db:verify", "from='"+c.to+"'", "to='"+c.from+"'", "id='"+c.id+"'", c.want)
	}
	if a.counted("s2s.dialback") != 6 {
		t.Error(a.counted("s2s.dialback"))
	}
	p.say("<verify xmlns='jabber:server:dialback' from='b.example' to='a.example' id='1&amp;2'>" + key + "</verify>") // without the prefix
	p.expect("type='valid'")
	p.say("<db:verify from='b.example' id='1'/>")
	p.ends("improper-addressing")
}

// TestHS3Claims: who claims a domain is believed when the domain's server confirms the key.
func TestHS3Claims(t *testing.T) {
	ca := newAuthority(t)
	a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca)})
	b := newSpot(t, (*authority)(nil).issue(t, []string{"b.example"}))
	a.knows("b.example", b.addr())
	a.knows("nowhere.example", "127.0.0.1:1")
	a.srv.SetLists(nil, []string{"blocked.example"})
	ann := a.person("ann")
	claim := func(from, to, key string) *peer {
		p := dialPeer(t, a)
		p.secure(from, "a.example")
		p.say("<db:result from='" + from + "' to='" + to + "'>" + key + "</db:result>")
		return p
	}
	for _, c := range []struct{ answer, want string }{
		{"type='valid'/>", "type='valid'"},
		{"type='invalid'/>", "type='invalid'"},
		{"type='error'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:verify>", "<remote-server-not-found "},
	} {
		p := claim("b.example", "a.example", "the key")
		q, _ := b.accept("b.example", "")
		asked := q.expect("<db:verify", "from='a.example'", "to='b.example'", ">the key<")
		_, id, _ := strings.Cut(asked, "id='")
		id, _, _ = strings.Cut(id, "'")
		// An answer about another stream, or of another domain, is none.
		q.say("<db:verify from='b.example' to='a.example' id='other' type='valid'/><db:verify from='c.example' to='a.example' id='" + id + "' type='valid'/>")
		q.say("<db:verify from='b.example' to='a.example' id='" + id + "' " + c.answer)
		p.expect("<db:result", "from='a.example'", "to='b.example'", c.want)
		p.say("<message from='bob@b.example/y' to='ann@a.example/x' id='1'/>")
		if strings.Contains(c.want, "'valid'") {
			ann.hears("id='1'")
		} else {
			p.ends("not-authorized")
		}
		q.await("</stream:stream>")
	}
	p := claim("b.example", "a.example", "the key")
	q, _ := b.accept("b.example", "")
	q.expect("<db:verify")
	q.nc.Close()
	p.expect("<db:result", "type='error'", "<remote-connection-failed ")
	for _, c := range []struct{ from, to, want string }{
		{"nowhere.example", "a.example", "<remote-connection-failed "},
		{"unknown.example", "a.example", "<remote-server-not-found "},
		{"b.example", "c.example", "<item-not-found "},
	} {
		claim(c.from, c.to, "key").expect("<db:result", "type='error'", c.want)
	}
	p = claim("b.example", "c.example", "key")
	p.expect("<item-not-found ")
	p.say("<db:result from='blocked.example' to='a.example'>key</db:result>")
	p.expect("<not-acceptable ")
	p.say("<db:result from='muc.a.example' to='a.example'>key</db:result>")
	p.expect("<not-acceptable ")
	// An answer to what nobody asked makes nobody trusted.
	p.say("<db:result from='b.example' to='a.example' type='valid'/><message from='bob@b.example/y' to='ann@a.example/x' id='2'/>")
	p.ends("not-authorized")
	ann.hearsNothing()
}

// TestHS3Storm: keys of one source that are being checked are bounded, others are refused at once.
func TestHS3Storm(t *testing.T) {
	ca := newAuthority(t)
	a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca, func(c *Config) { c.ChecksPerSource = 3 })})
	silent := newSpot(t, ca.issue(t, []string{"b.example"})) // takes connections, and says nothing
	p := dialPeer(t, a)
	p.secure("b0.example", "a.example")
	for i := range 10 {
		a.knows(fmt.Sprintf("b%d.example", i), silent.addr())
	}
	for i := range 10 {
		p.say(fmt.Sprintf("<db:result from='b%d.example' to='a.example'>key</db:result>", i))
	}
	for i := 3; i < 10; i++ {
		p.expect("<db:result", fmt.Sprintf("to='b%d.example'", i), "<resource-constraint ")
	}
	if n := a.counted("s2s.dialback"); n != 7 {
		t.Error(n)
	}
	p.nc.Close()
}

// TestSeveralDomains: a peer may speak for several domains over one stream, as each is shown (XEP-0220 §2.6); a
// certificate for a domain needs no call back.
func TestSeveralDomains(t *testing.T) {
	ca := newAuthority(t)
	a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca, demanding)})
	ann := a.person("ann")
	p := dialPeer(t, a)
	p.secure("b.example", "a.example", ca.issue(t, []string{"b.example", "muc.b.example"}))
	if f := p.external("b.example", "a.example"); !strings.Contains(f, "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>") || !strings.Contains(f, "<sm xmlns='urn:xmpp:sm:3'/>") {
		t.Error(f)
	}
	p.say("<db:result from='muc.b.example' to='a.example'>any key</db:result>")
	p.expect("<db:result", "from='a.example'", "to='muc.b.example'", "type='valid'")
	p.say("<db:result from='c.example' to='a.example'>any key</db:result>")
	p.expect("<db:result", "to='c.example'", "type='error'", "<not-authorized ")
	for _, domain := range []string{"b.example", "muc.b.example"} {
		p.say("<message from='x@" + domain + "/y' to='ann@a.example/x' id='" + domain + "'/>")
		ann.hears("id='" + domain + "'")
	}
	p.say("<message from='x@c.example/y' to='ann@a.example/x'/>")
	p.ends("invalid-from")
}

// TestBidi: XEP-0288. Stanzas go back over the stream only if that was asked for, and only between domains that it was
// authenticated for.
func TestBidi(t *testing.T) {
	ca := newAuthority(t)
	a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca)})
	b := newSpot(t, ca.issue(t, []string{"b.example"}))
	a.knows("b.example", b.addr())
	ann := a.person("ann")
	p := dialPeer(t, a)
	if f := p.secure("b.example", "a.example", ca.issue(t, []string{"b.example", "muc.b.example"})); !strings.Contains(f, "<bidi xmlns='urn:xmpp:features:bidi'/>") {
		t.Fatal(f)
	}
	p.say("<bidi xmlns='urn:xmpp:bidi'/>")
	p.external("b.example", "a.example")
	p.say("<message from='bob@b.example/y' to='ann@a.example/x' id='0'/>")
	ann.hears("id='0'") // what is said now comes when the stream carries both ways
	ann.says("<message to='bob@b.example/y' id='1'/>")
	p.expect("<message to='bob@b.example/y' from='ann@a.example/x' id='1'/>")
	ann.says("<message to='r@muc.b.example' id='2'/>") // not shown yet
	other := b.established("muc.b.example", "")
	other.expect("id='2'")
	// Without bidi what goes there takes a stream of our own.
	d := newSpot(t, ca.issue(t, []string{"d.example"}))
	a.knows("d.example", d.addr())
	trusted(t, a, ca, "d.example").say("<message from='dora@d.example/y' to='ann@a.example/x' id='3'/>")
	ann.hears("id='3'")
	ann.says("<message to='dora@d.example/y' id='4'/>")
	d.established("d.example", "").expect("id='4'")
	// Over a stream that we opened nobody speaks unless we asked for that.
	c := newSpot(t, ca.issue(t, []string{"c.example"}))
	a.knows("c.example", c.addr())
	ann.says("<message to='carl@c.example/y' id='4'/>")
	q := c.established("c.example", "")
	q.await("id='4'")
	q.say("<message from='carl@c.example/y' to='ann@a.example/x' id='5'/>")
	q.ends("not-authorized")
	ann.hearsNothing()
}
