package federation

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/internal/peertest"
)

const outside = "outside.test" // the domain of a server that the test plays

// outsider is a stream from another server, up to the features behind TLS. It shows a certificate, unless that has no file.
func outsider(t testing.TB, server *peertest.Parley, from, to string, show files) (p *peertest.Client, features string) {
	t.Helper()
	p = peertest.Dial(t, server.S2S, to)
	if f := begin(p, from); !strings.Contains(f, "<starttls") {
		t.Fatalf("features %s", f)
	}
	p.Send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	p.Expect("<proceed")
	var list []tls.Certificate
	if show.cert != "" {
		pair, err := tls.LoadX509KeyPair(show.cert, show.key)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, pair)
	}
	p.SecureAs(list...)
	return p, begin(p, from)
}

// begin opens a stream between servers and returns the features.
func begin(p *peertest.Client, from string) string {
	p.T.Helper()
	p.Raw("<?xml version='1.0'?><stream:stream from='" + from + "' to='" + p.Host + "' version='1.0' xmlns='jabber:server' xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams'>")
	p.Expect("<stream:stream", "from='"+p.Host+"'")
	return p.Expect("<stream:features")
}

const external = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>"

// known is an outsider that the server takes for its domain, over a stream that goes both ways.
func known(t testing.TB, server *peertest.Parley, from, to string) *peertest.Client {
	t.Helper()
	p, _ := outsider(t, server, from, to, certify(t, from, from))
	p.Send("<bidi xmlns='urn:xmpp:bidi'/>", external)
	p.Expect("<success")
	begin(p, from)
	asks(p, from)
	return p
}

// asks has an outsider ask the server whether it is there.
func asks(p *peertest.Client, from string) {
	p.T.Helper()
	id := fmt.Sprint("ask", time.Now().UnixNano())
	p.Send("<iq type='get' id='" + id + "' from='" + from + "' to='" + p.Host + "'><ping xmlns='urn:xmpp:ping'/></iq>")
	p.Await("<iq", "id='"+id+"'", "type='result'")
}

// ends wants a stream error, after whatever the server had to say, and the end of the stream.
func ends(p *peertest.Client, condition string) {
	p.T.Helper()
	p.Await("<stream:error", "<"+condition+" ")
	p.ExpectEnd("")
}

// counted waits until an event was counted as often.
func counted(t testing.TB, server *peertest.Parley, event string, least float64) {
	t.Helper()
	eventually(t, 30*time.Second, event+" is not counted", func() bool {
		return server.Metric("parley_reject_total", `event="`+event+`"`) >= least
	})
}

// alone is one of our servers that finds nobody, except where a test says.
func alone(t testing.TB, federation string) *peertest.Parley {
	t.Helper()
	makeAuthority(t)
	clear(at)
	place(t, open)
	return ours(t, open, federation, true)
}

func TestHS1Spoof(t *testing.T) {
	server := alone(t, "")
	ann := login(t, server.XMPP, open, "ann")
	honest := known(t, server, "honest.test", open)
	for name, c := range map[string]struct{ from, to, condition string }{
		"another domain":    {"bob@honest.test/x", ann.JID, "invalid-from"},
		"our own domain":    {ann.JID, ann.JID, "invalid-from"},
		"a room of ours":    {"r@muc." + open + "/x", ann.JID, "invalid-from"},
		"a domain above":    {"bob@test/x", ann.JID, "invalid-from"},
		"a domain below":    {"bob@muc." + outside + "/x", ann.JID, "invalid-from"},
		"nobody":            {"", ann.JID, "improper-addressing"},
		"a host not served": {"bob@" + outside + "/x", "ann@elsewhere.test/x", "host-unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			p := known(t, server, outside, open)
			p.Send("<message from='" + c.from + "' to='" + c.to + "' type='chat'><body>spoofed</body></message>")
			ends(p, c.condition)
		})
	}
	counted(t, server, "s2s.spoof", 7)
	honest.Send("<message from='bob@honest.test/x' to='" + ann.JID + "' type='chat'><body>honest</body></message>")
	if got := ann.Await("<message"); !strings.Contains(got, "honest") {
		t.Error(got)
	}
}

func TestHS2Certificates(t *testing.T) {
	server := alone(t, `certificates = "valid"`)
	for _, kind := range []string{"expired", "wrong", "alone", "none"} {
		t.Run(kind, func(t *testing.T) {
			var show files
			switch kind {
			case "none":
			case "wrong":
				show = certify(t, kind, "other.test")
			default:
				show = certify(t, kind, outside)
			}
			p, features := outsider(t, server, outside, open, show)
			if strings.Contains(features, "EXTERNAL") {
				t.Error(features)
			}
			p.Send("<db:result from='" + outside + "' to='" + open + "'>abc</db:result>")
			p.Expect("<db:result", "type='error'", "<not-authorized ")
			for range 2 {
				p.Send(external)
				p.Expect("<failure", "<not-authorized/>")
			}
			p.Send(external)
			p.Expect("<failure")
			p.ExpectEnd("policy-violation")
		})
	}
	counted(t, server, "s2s.cert", 4)
	known(t, server, outside, open)
}

func TestHS3Dialback(t *testing.T) {
	makeAuthority(t)
	clear(at)
	place(t, open)
	deaf, err := net.Listen("tcp", "127.0.0.1:0") // says nothing to who asks it
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	at[outside] = deaf.Addr().String()
	server := ours(t, open, "", true)
	p, _ := outsider(t, server, outside, open, files{})
	verify := func(of string) {
		p.Send("<db:verify from='" + outside + "' to='" + of + "' id='some stream'>" + strings.Repeat("ab", 32) + "</db:verify>")
	}
	verify(open)
	p.Expect("<db:verify", "type='invalid'", "id='some stream'")
	verify("elsewhere.test")
	p.Expect("<db:verify", "type='error'", "<item-not-found ")
	p.Send("<db:result from='" + outside + "' to='" + open + "' type='valid'/>") // an answer to nothing
	for range 15 {
		p.Send("<db:result from='" + outside + "' to='" + open + "'>abc</db:result>")
	}
	for range 5 { // ten are being checked
		p.Expect("<db:result", "type='error'", "<resource-constraint ")
	}
	p.Send("<message from='bob@" + outside + "/x' to='ann@" + open + "'><body>unproved</body></message>")
	p.ExpectEnd("not-authorized")
	counted(t, server, "s2s.dialback", 7)
	login(t, server.XMPP, open, "ann")
}

func TestHS5FloodSizesAndSilence(t *testing.T) {
	server := alone(t, "login_timeout = \"2s\"\nhandshake_timeout = \"2s\"")
	silent := peertest.Dial(t, server.S2S, open)
	idle, _ := outsider(t, server, outside, open, files{})
	ann, bob := login(t, server.XMPP, open, "ann"), login(t, server.XMPP, open, "bob")
	room := "flood@muc." + open
	create(t, ann, room, "ann")
	p := known(t, server, outside, "muc."+open)
	p.Send("<presence from='eve@" + outside + "/x' to='" + room + "/eve'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	p.Await("<presence", "from='"+room+"/eve'", "'110'")
	go p.Conn.Write(bytes.Repeat([]byte("<message from='eve@"+outside+"/x' to='"+room+"' type='groupchat'><body>flood</body></message>"), 5000))
	within(t, ann, patience, "flood")
	counted(t, server, "limit.s2s", 1)
	for i := range 20 { // who is not in the room notices nothing
		bob.Send(fmt.Sprintf("<message to='%s' type='chat' id='q%d'><body>are you there?</body></message>", bob.JID, i))
		within(t, bob, patience, fmt.Sprintf("id='q%d'", i))
	}
	p.Conn.Close()

	large := known(t, server, outside, open)
	go large.Conn.Write([]byte("<message from='eve@" + outside + "/x' to='" + bob.JID + "'><body>" + strings.Repeat("x", 524_288) + "</body></message>"))
	large.Await("<stream:error", "<policy-violation ", "524288")
	silent.Expect("<stream:stream")
	silent.ExpectEnd("connection-timeout")
	idle.ExpectEnd("connection-timeout")
	bob.Ping()
}

// TestHS5HF14Lists: domains are blocked at run time, and a configuration that is bad changes nothing.
func TestHS5HF14Lists(t *testing.T) {
	server := alone(t, "")
	file := filepath.Join(server.Data, "test.toml")
	was, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	reload := func(line string) {
		t.Helper()
		next := strings.Replace(string(was), "[federation]\n", "[federation]\n"+line+"\n", 1)
		if err := os.WriteFile(file, []byte(next), 0o600); err != nil {
			t.Fatal(err)
		}
		server.Signal(syscall.SIGHUP)
	}
	p, other := known(t, server, outside, open), known(t, server, "honest.test", open)
	reload(`block = ["Not a domain", "` + outside + `"]`)
	eventually(t, 30*time.Second, "the configuration is not refused", func() bool { return strings.Contains(server.Log(), "config.reject") })
	asks(p, outside)
	reload(`block = ["` + outside + `"]`)
	ends(p, "policy-violation")
	asks(other, "honest.test")
	again := peertest.Dial(t, server.S2S, open)
	again.Raw("<stream:stream from='" + outside + "' to='" + open + "' version='1.0' xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>")
	again.Expect("<stream:stream")
	again.ExpectEnd("policy-violation")
}

// TestHF11CertificateReplaced: who connects after it was replaced is shown the new one, and streams that are there go on.
func TestHF11CertificateReplaced(t *testing.T) {
	server := alone(t, "")
	p := known(t, server, outside, open)
	shown := func(p *peertest.Client) []byte { return p.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Raw }
	before := shown(p)
	fresh := certify(t, open, open, "muc."+open)
	for from, to := range map[string]string{fresh.cert: tlsFile(t, server, "certificate"), fresh.key: tlsFile(t, server, "key")} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server.Signal(syscall.SIGHUP)
	eventually(t, 30*time.Second, "the old certificate is shown", func() bool {
		next, _ := outsider(t, server, outside, open, files{})
		defer next.Conn.Close()
		return !bytes.Equal(shown(next), before)
	})
	asks(p, outside)
	known(t, server, "honest.test", open)
}

// tlsFile is the file that the configuration names.
func tlsFile(t testing.TB, server *peertest.Parley, key string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(server.Data, "test.toml"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, key+" = "); ok {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	t.Fatalf("no %s in %s", key, text)
	return ""
}
