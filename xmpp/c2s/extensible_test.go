package c2s

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/internal/journal"
	"parley/internal/peertest"
	"parley/xmpp/im"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

const agent = "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'><software>Test</software></user-agent>"

// plain is an <authenticate/> of ann by PLAIN with more elements in it.
func plainAuth(more ...string) string {
	return "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>" + b64("\x00ann\x00ann") + "</initial-response>" +
		strings.Join(more, "") + "</authenticate>"
}

// section returns what is between two texts of s.
func section(t *testing.T, s, from, to string) string {
	t.Helper()
	_, s, ok := strings.Cut(s, from)
	s, _, ok2 := strings.Cut(s, to)
	if !ok || !ok2 {
		t.Fatalf("no %s...%s", from, to)
	}
	return s
}

// list returns the texts of all elements of a name.
func list(s, name string) (texts []string) {
	for _, part := range strings.Split(s, "<"+name+">")[1:] {
		text, _, _ := strings.Cut(part, "<")
		texts = append(texts, text)
	}
	return texts
}

func (w *world) secure() *peertest.Client { return w.dialTLS(tls.VersionTLS13) }

func TestExtensibleProfileIsOfferedUnderTLSOnly(t *testing.T) {
	w := newWorld(t, nil, func(w *world) {
		w.srv.Inline("enable", "urn:xmpp:carbons:2", func(route.Sender, wire.Elem) string { return "" })
	})
	f := w.secure().Open()
	for _, want := range []string{
		"<authentication xmlns='urn:xmpp:sasl:2'>", "<sm xmlns='urn:xmpp:sm:3'/><bind xmlns='urn:xmpp:bind:0'><inline>",
		"<feature var='urn:xmpp:csi:0'/>", "<feature var='urn:xmpp:sm:3'/>", "<feature var='urn:xmpp:carbons:2'/>", "<fast xmlns='urn:xmpp:fast:0'>",
	} {
		if !strings.Contains(f, want) {
			t.Errorf("no %s in %s", want, f)
		}
	}
	first := list(section(t, f, "<mechanisms ", "</mechanisms>"), "mechanism")
	second := list(section(t, f, "<authentication ", "<inline>"), "mechanism")
	if !slices.Equal(first, second) || len(first) < 6 {
		t.Errorf("mechanisms: %v and %v", first, second)
	}
	if fast := list(section(t, f, "<fast ", "</fast>"), "mechanism"); !slices.Equal(fast, []string{"HT-SHA-256-EXPR", "HT-SHA-256-ENDP", "HT-SHA-256-NONE"}) {
		t.Errorf("FAST: %v", fast)
	}
	p := w.dial(w.plain)
	if f := p.Open(); strings.Contains(f, "urn:xmpp:sasl:2") {
		t.Errorf("without TLS: %s", f)
	}
	p.Send(plainAuth())
	p.Expect("<failure xmlns='urn:xmpp:sasl:2'>", "<encryption-required xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
}

func TestExtensibleLoginGoesOnWithoutRestart(t *testing.T) {
	w := newWorld(t, nil)
	p := w.secure()
	p.Open()
	p.Send(plainAuth())
	got := p.Expect("<success xmlns='urn:xmpp:sasl:2'>", "<authorization-identifier>ann@x.net</authorization-identifier>")
	if strings.Contains(got, "additional-data") || strings.Contains(got, "token") {
		t.Errorf("more than was asked for: %s", got)
	}
	if f := p.Expect("<stream:features", "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>", "<max-bytes>262144<"); strings.Contains(f, "sasl") {
		t.Errorf("features: %s", f)
	}
	p.Bind("r")
	p.Ping()
	p.Send(plainAuth())
	p.ExpectEnd("policy-violation")
}

func TestHA6SecondExtensibleLoginEndsTheStream(t *testing.T) {
	w := newWorld(t, nil)
	p := w.secure()
	p.Open()
	p.Send(plainAuth())
	p.Expect("<success")
	p.Expect("<stream:features")
	p.Send(plainAuth())
	p.ExpectEnd("policy-violation")
}

// scramExtensible logs ann in by SCRAM with channel binding, and returns the server's first message.
func scramExtensible(p *peertest.Client, mechanism, gs2 string, binding []byte, more string) (serverFirst string) {
	p.T.Helper()
	sc := peertest.SCRAM{Mechanism: mechanism, User: "ann", Password: "ann", GS2: gs2, Binding: binding}
	p.Send("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='" + mechanism + "'><initial-response>" + b64(sc.First()) + "</initial-response>" + more + "</authenticate>")
	challenge, err := base64.StdEncoding.DecodeString(section(p.T.(*testing.T), p.Expect("<challenge xmlns='urn:xmpp:sasl:2'>"), ">", "<"))
	if err != nil {
		p.T.Fatal(err)
	}
	nonce, salt, n, err := sc.Challenge(string(challenge))
	if err != nil {
		p.T.Fatal(err)
	}
	p.Send("<response xmlns='urn:xmpp:sasl:2'>" + b64(sc.Final(nonce, salt, n)) + "</response>")
	data, err := base64.StdEncoding.DecodeString(section(p.T.(*testing.T), p.Expect("<success"), "<additional-data>", "<"))
	if err != nil {
		p.T.Fatal(err)
	}
	if err := sc.Verify(string(data)); err != nil {
		p.T.Fatal(err)
	}
	return string(challenge)
}

// XEP-0474 §5.1, for both profiles, beside XEP-0440.
func TestDowngradeProtectionCoversWhatTheClientSees(t *testing.T) {
	w := newWorld(t, nil)
	for profile, from := range map[string]string{"extensible": "<authentication ", "RFC 6120": "<mechanisms "} {
		p := w.secure()
		f := p.Open()
		mechanisms := list(section(t, f, from, map[string]string{"<authentication ": "<inline>", "<mechanisms ": "</mechanisms>"}[from]), "mechanism")
		slices.Sort(mechanisms)
		var types []string
		for _, part := range strings.Split(f, "<channel-binding type='")[1:] {
			name, _, _ := strings.Cut(part, "'")
			types = append(types, name)
		}
		slices.Sort(types)
		if !slices.Equal(types, []string{"tls-exporter", "tls-server-end-point"}) {
			t.Errorf("channel bindings: %v", types)
		}
		sum := sha512.Sum512([]byte(strings.Join(mechanisms, "\x1e") + "\x1f" + strings.Join(types, "\x1e")))
		state := p.Conn.(*tls.Conn).ConnectionState()
		exported, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
		if err != nil {
			t.Fatal(err)
		}
		var first string
		if profile == "extensible" {
			first = scramExtensible(p, "SCRAM-SHA-512-PLUS", "p=tls-exporter,,", exported, "")
		} else {
			sc := peertest.SCRAM{Mechanism: "SCRAM-SHA-512-PLUS", User: "ann", Password: "ann", GS2: "p=tls-exporter,,", Binding: exported}
			p.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-512-PLUS'>" + b64(sc.First()) + "</auth>")
			text, _ := base64.StdEncoding.DecodeString(section(t, p.Expect("<challenge"), ">", "<"))
			first = string(text)
		}
		if !strings.HasSuffix(first, ",h="+base64.StdEncoding.EncodeToString(sum[:])) {
			t.Errorf("%s: %s does not end with the hash of %q and %q", profile, first, mechanisms, types)
		}
	}
}

func TestBind2DoesAllAtOnce(t *testing.T) {
	asked := 0
	w := newWorld(t, nil, func(w *world) {
		w.srv.Inline("enable", "urn:xmpp:carbons:2", func(s route.Sender, e wire.Elem) string {
			asked++
			if s.Addr().Bare() != "ann@x.net" || w.router.Find(s.Addr()) == nil {
				t.Errorf("asked for %s, who is not bound", s.Addr())
			}
			return "<done xmlns='urn:test'/>"
		})
		w.srv.DescribeArchive(func(account wire.Addr) string {
			return "<metadata xmlns='urn:xmpp:mam:2' of='" + string(account) + "'/>"
		})
	})
	p := w.secure()
	p.Open()
	p.Send(plainAuth(agent, "<bind xmlns='urn:xmpp:bind:0'><tag>App</tag><enable xmlns='urn:xmpp:sm:3' resume='true'/><enable xmlns='urn:xmpp:carbons:2'/><inactive xmlns='urn:xmpp:csi:0'/><enable xmlns='urn:unknown'/></bind>"))
	got := p.Expect("<success xmlns='urn:xmpp:sasl:2'><authorization-identifier>ann@x.net/App/", "<bound xmlns='urn:xmpp:bind:0'><metadata xmlns='urn:xmpp:mam:2' of='ann@x.net'/>",
		"<enabled xmlns='urn:xmpp:sm:3' id='", "resume='true' max='300'", "<done xmlns='urn:test'/></bound></success>")
	p.JID = section(t, got, "<authorization-identifier>", "<")
	if f := p.Expect("<stream:features"); strings.Contains(f, "xmpp-bind") || strings.Contains(f, "<sm ") {
		t.Errorf("what is done is offered: %s", f)
	}
	if asked != 1 || strings.Contains(got, "d4565fa7") {
		t.Errorf("asked %d times: %s", asked, got)
	}
	// It is inactive: what can wait does.
	bob := w.client("bob", "b")
	bob.Send("<message to='" + p.JID + "'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
	bob.Ping()
	if held := w.session(p.JID).held(); held != 1 {
		t.Errorf("%d stanzas wait for an inactive client", held)
	}
	p.Send("<active xmlns='urn:xmpp:csi:0'/>")
	p.Expect("composing", "from='bob@x.net/b'")
	// It was counted, and so is what the client sends.
	p.Ping()
	p.Send("<a xmlns='urn:xmpp:sm:3' h='2'/><r xmlns='urn:xmpp:sm:3'/>")
	p.Await("<a xmlns='urn:xmpp:sm:3' h='1'/>")

	// The same installation gets the same address, and takes it over.
	q := w.secure()
	q.Open()
	q.Send(plainAuth(agent, "<bind xmlns='urn:xmpp:bind:0'><tag>App</tag></bind>"))
	q.Expect("<authorization-identifier>" + p.JID + "<")
	p.ExpectEnd("conflict")
	q.Expect("<stream:features")
	q.Ping()
}

func TestBind2MakesAnAddressOfAnything(t *testing.T) {
	w := newWorld(t, nil)
	for tag, want := range map[string]string{
		"": "ann@x.net/", "<tag/>": "ann@x.net/", "<tag>a b</tag>": "ann@x.net/a b/", "<tag>x&amp;y</tag>": "ann@x.net/x&amp;y/",
		"<tag>a\u0007b</tag>": "", "<tag>" + strings.Repeat("x", 65) + "</tag>": "ann@x.net/", "<tag>a/b</tag>": "ann@x.net/a/b/", "<tag>\u2028</tag>": "ann@x.net/",
	} {
		p := w.secure()
		p.Open()
		p.Send(plainAuth("<bind xmlns='urn:xmpp:bind:0'>" + tag + "</bind>"))
		if want == "" {
			p.ExpectEnd("not-well-formed")
			continue
		}
		jid := section(t, p.Expect("<bound xmlns='urn:xmpp:bind:0'>"), "<authorization-identifier>", "<")
		if !strings.HasPrefix(jid, want) || len(jid) < len(want)+10 || want == "ann@x.net/" && strings.Count(jid, "/") != 1 {
			t.Errorf("%q: %q", tag, jid)
		}
		p.Expect("<stream:features")
		p.Ping()
	}
	guest := w.secure()
	guest.Open()
	guest.Send("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='ANONYMOUS'>" + agent + "<bind xmlns='urn:xmpp:bind:0'><tag>App</tag></bind></authenticate>")
	if got := guest.Expect("<bound "); strings.Contains(got, "/App/") {
		t.Errorf("a guest chose: %s", got)
	}
}

func TestBind2TellsWhyNotAndGoesOn(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.SessionsPerUser = 1 })
	first := w.client("ann", "a")
	p := w.secure()
	p.Open()
	p.Send(plainAuth("<bind xmlns='urn:xmpp:bind:0'/>"))
	p.Expect("<authorization-identifier>ann@x.net<", "<failed xmlns='urn:xmpp:bind:0'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>")
	p.Expect("<stream:features", "xmpp-bind")
	first.Send("</stream:stream>")
	first.ExpectEnd("")
	p.Bind("b")
	p.Ping()
}

// eager sends a message to each session as soon as it is known.
type eager struct{ *im.Host }

func (e eager) Bound(s route.Sender) {
	e.Host.Bound(s)
	s.Deliver(nil, "", wire.Stanza{Kind: wire.Message, Tail: []byte(" from='bob@x.net/b'><body>early</body></message>")})
	time.Sleep(20 * time.Millisecond) // for who would write it
}

// Stanzas that arrive while the client is being bound come after it heard of it, and are counted.
func TestNothingComesBeforeTheClientIsBound(t *testing.T) {
	w := newWorld(t, nil, func(w *world) { w.router.SetAccounts(eager{w.host}) })
	p := w.secure()
	p.Open()
	p.Send(plainAuth())
	p.Expect("<success")
	p.Expect("<stream:features")
	p.Bind("r")
	p.Expect("early")

	p = w.secure()
	p.Open()
	p.Send(plainAuth("<bind xmlns='urn:xmpp:bind:0'><enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>"))
	p.Expect("<success", "<enabled ")
	p.Expect("<stream:features")
	p.Expect("early")
	p.Send("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	p.Ping()
}

func TestInlineResumption(t *testing.T) {
	w := newWorld(t, nil)
	p := w.secure()
	p.Open()
	p.Send(plainAuth("<bind xmlns='urn:xmpp:bind:0'><enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>"))
	got := p.Expect("<enabled ")
	id, jid := peertest.Attr(got[strings.Index(got, "<enabled "):], "id"), section(t, got, "<authorization-identifier>", "<")
	p.Expect("<stream:features")
	p.Send("<presence/>")
	p.Ping()
	p.Conn.Close()
	bob := w.client("bob", "b")
	bob.Send("<message to='" + jid + "'><body>missed</body></message>")
	bob.Ping()

	q := w.secure()
	q.Open()
	q.Send(plainAuth("<resume xmlns='urn:xmpp:sm:3' h='1' previd='"+id+"'/>", "<bind xmlns='urn:xmpp:bind:0'/>"))
	got = q.Expect("<authorization-identifier>"+jid+"<", "<resumed xmlns='urn:xmpp:sm:3' previd='"+id+"' h='2'/></success>")
	if strings.Contains(got, "bound") {
		t.Errorf("bound as well: %s", got)
	}
	q.Await("missed") // and no features before it
	q.Ping()

	for _, c := range []struct{ resume, want string }{
		{"<resume xmlns='urn:xmpp:sm:3' h='1' previd='unknown'/>", "<failed xmlns='urn:xmpp:sm:3'><item-not-found"},
	} {
		r := w.secure()
		r.Open()
		r.Send(plainAuth(c.resume, "<bind xmlns='urn:xmpp:bind:0'/>"))
		r.Expect(c.want, "<bound xmlns='urn:xmpp:bind:0'>")
		r.Expect("<stream:features")
		r.Ping()
	}
	high := w.secure()
	high.Open()
	high.Send(plainAuth("<resume xmlns='urn:xmpp:sm:3' h='4000' previd='" + id + "'/>"))
	high.Expect("handled-count-too-high")
	q.Ping() // it has its connection still
}

func TestExtensibleLoginFails(t *testing.T) {
	w := newWorld(t, nil)
	for name, c := range map[string]struct{ send, want string }{
		"wrong password":       {"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>" + b64("\x00ann\x00bob") + "</initial-response><bind xmlns='urn:xmpp:bind:0'/></authenticate>", "<not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"},
		"unknown mechanism":    {"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='MAGIC'/>", "<invalid-mechanism "},
		"bad base64":           {"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>*</initial-response></authenticate>", "<incorrect-encoding "},
		"equals sign":          {"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>=</initial-response></authenticate>", "<incorrect-encoding "},
		"token without fast":   {"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='HT-SHA-256-NONE'/>", "<invalid-mechanism "},
		"fast without a count": {"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='HT-SHA-256-NONE'><fast xmlns='urn:xmpp:fast:0' count='0'/></authenticate>", "<malformed-request "},
		"fast, count -1":       {"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='HT-SHA-256-NONE'>" + agent + "<fast xmlns='urn:xmpp:fast:0' count='-1'/></authenticate>", "<malformed-request "},
		"fast without client":  {"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='HT-SHA-256-NONE'><fast xmlns='urn:xmpp:fast:0'/></authenticate>", "<malformed-request "},
	} {
		p := w.secure()
		p.Open()
		p.Send(c.send)
		if got := p.Expect("<failure xmlns='urn:xmpp:sasl:2'>", c.want); strings.Contains(got, "bound") {
			t.Errorf("%s: %s", name, got)
		}
		p.Send(plainAuth()) // the stream goes on
		p.Expect("<success")
	}
	p := w.secure()
	p.Open()
	p.Send("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-256'/>")
	p.Expect("<challenge xmlns='urn:xmpp:sasl:2'></challenge>")
	p.Send("<abort xmlns='urn:xmpp:sasl:2'/>")
	p.Expect("<aborted xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
	p.Send("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-256'/>")
	p.Expect("<challenge ")
	p.Send("<presence/>") // XEP-0388 §2.4: nothing else may come now
	p.ExpectEnd("not-authorized")
	p = w.secure()
	p.Open()
	for range 3 {
		p.Send("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>" + b64("\x00nobody\x00x") + "</initial-response></authenticate>")
		p.Expect("<failure xmlns='urn:xmpp:sasl:2'>")
	}
	p.ExpectEnd("policy-violation")
}

// fastAuth logs in with a token.
func fastAuth(mechanism, token, binding, fast string, more ...string) string {
	m := hmac.New(sha256.New, []byte(token))
	m.Write([]byte("Initiator" + binding))
	return "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='" + mechanism + "'><initial-response>" + b64("ann\x00"+string(m.Sum(nil))) + "</initial-response>" +
		agent + "<fast xmlns='urn:xmpp:fast:0'" + fast + "/>" + strings.Join(more, "") + "</authenticate>"
}

func exporter(p *peertest.Client) string {
	state := p.Conn.(*tls.Conn).ConnectionState()
	b, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if err != nil {
		p.T.Fatal(err)
	}
	return string(b)
}

func TestFastTokenInPlaceOfThePassword(t *testing.T) {
	w := newWorld(t, nil)
	p := w.secure()
	p.Open()
	p.Send(plainAuth(agent, "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-EXPR'/>"))
	got := p.Expect("<success", "<token xmlns='urn:xmpp:fast:0' token='")
	token := peertest.Attr(got, "token")
	if until, err := time.Parse(time.RFC3339, peertest.Attr(got, "expiry")); err != nil || time.Until(until) < 20*24*time.Hour {
		t.Errorf("expires %v %v", until, err)
	}
	p.Conn.Close()

	p = w.secure()
	p.Open()
	p.Send(fastAuth("HT-SHA-256-EXPR", token, exporter(p), " count='1'", "<bind xmlns='urn:xmpp:bind:0'/>"))
	got = p.Expect("<success", "<bound ")
	m := hmac.New(sha256.New, []byte(token))
	m.Write([]byte("Responder" + exporter(p)))
	if section(t, got, "<additional-data>", "<") != b64(string(m.Sum(nil))) || strings.Contains(got, "<token") {
		t.Errorf("success: %s", got)
	}
	p.Expect("<stream:features")
	p.Ping()

	stolen := w.secure()
	stolen.Open()
	stolen.Send(fastAuth("HT-SHA-256-EXPR", token, exporter(p), "")) // of the other connection
	stolen.Expect("<not-authorized ")
	stolen.Send(fastAuth("HT-SHA-256-EXPR", token, exporter(stolen), " count='1'"))
	stolen.Expect("<not-authorized ")

	w.drawer.age(25 * time.Hour)
	p = w.secure()
	p.Open()
	p.Send(fastAuth("HT-SHA-256-EXPR", token, exporter(p), ""))
	next := peertest.Attr(p.Expect("<success", "<token "), "token")
	p.Expect("<stream:features")
	p = w.secure()
	p.Open()
	p.Send(fastAuth("HT-SHA-256-EXPR", next, exporter(p), " invalidate='true'"))
	p.Expect("<success")
	p = w.secure()
	p.Open()
	for _, gone := range []string{token, next} {
		p.Send(fastAuth("HT-SHA-256-EXPR", gone, exporter(p), ""))
		p.Expect("<not-authorized ")
	}
}

// What came while the client was being bound is in the journal too, in front of what comes later.
func TestHF1SessionBoundInlineOutlivesTheProcess(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, nil, func(w *world) { w.router.SetAccounts(eager{w.host}) }, keeping(t, dir, journal.Options{}))
	p := w.secure()
	p.Open()
	p.Send(plainAuth("<bind xmlns='urn:xmpp:bind:0'><enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>"))
	got := p.Expect("<enabled ")
	id, jid := peertest.Attr(got[strings.Index(got, "<enabled "):], "id"), section(t, got, "<authorization-identifier>", "<")
	p.Await("early")
	w.session(jid).Deliver(nil, "", wire.Stanza{Kind: wire.Message, Tail: []byte(" from='bob@x.net/b'><body>later</body></message>")})
	p.Await("later")

	next := newWorld(t, nil, keeping(t, left(t, dir), journal.Options{}))
	q := next.secure()
	q.Open()
	q.Send(plainAuth("<resume xmlns='urn:xmpp:sm:3' h='0' previd='" + id + "'/>"))
	q.Expect("<resumed xmlns='urn:xmpp:sm:3' previd='" + id + "' h='0'/>")
	q.Expect("early")
	q.Expect("later")
}
