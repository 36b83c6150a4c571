package transfer

import (
	"crypto/tls"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"parley/internal/peertest"

	"mellium.im/sasl"
)

func TestFromProsody(t *testing.T) {
	for _, authentication := range []string{"internal_plain", "internal_hashed"} {
		t.Run(authentication, func(t *testing.T) {
			p := prosody(t, authentication)
			live(t, p)
			p.stop()
			hashed := authentication == "internal_hashed"
			moved(t, p, []string{"prosody", filepath.Join(p.dir, "data")}, hashed)
			t.Run("by its configuration", func(t *testing.T) {
				data := t.TempDir()
				out := imports(t, data, []string{"prosody", filepath.Join(p.dir, "prosody.cfg.lua"), "--dry-run"})
				if !strings.Contains(out, "4 accounts") {
					t.Error(out)
				}
			})
		})
	}
}

func TestFromEjabberd(t *testing.T) {
	for _, format := range []string{"plain", "scram"} {
		t.Run(format, func(t *testing.T) {
			p := ejabberd(t, format)
			live(t, p)
			moved(t, p, []string{"ejabberd", p.dump()}, format == "scram")
		})
	}
}

// imports runs the command and returns what it says.
func imports(t *testing.T, data string, args []string) string {
	t.Helper()
	out, err := exec.Command(peertest.Built(t), append(append([]string{"import"}, args...), "--data", data, "--domain", domain)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// moved takes over what another server has, and sees that people find it here. Hashed says that there are keys of SCRAM-SHA-1 only.
func moved(t *testing.T, p *peer, args []string, hashed bool) {
	t.Helper()
	data := t.TempDir()
	wants := []string{"4 accounts", "5 contacts", "2 blocked addresses", "1 private entries", "1 messages that wait", "1 rooms", "4 affiliations"}
	dry := imports(t, data, append(args, "--dry-run"))
	if entries, _ := os.ReadDir(data); len(entries) > 0 || !strings.Contains(dry, "This is what would be done") {
		t.Errorf("a dry run leaves %v: %s", entries, dry)
	}
	first := imports(t, data, args)
	for _, want := range wants {
		for what, said := range map[string]string{"dry run": dry, "run": first} {
			if !strings.Contains(said, " "+want+"\n") {
				t.Errorf("%s: %q is missing: %s", what, want, said)
			}
		}
	}
	if second := imports(t, data, args); !strings.Contains(second, "Nothing is changed") || !strings.Contains(second, "5 accounts and rooms that are here already") {
		t.Errorf("the second run: %s", second)
	}

	s := peertest.StartParley(t, peertest.ParleyOptions{Data: data, Config: "domain = \"" + domain + "\"\n", Listen: []string{"xmpp://127.0.0.1:0", "xmpps://127.0.0.1:0", "http+admin://127.0.0.1:0"}})
	if out, err := exec.Command(peertest.Built(t), "import", args[0], args[1], "--domain", domain, "--data", data).CombinedOutput(); err == nil || !strings.Contains(string(out), "stop it first") {
		t.Errorf("an import beside a server that runs: %v %s", err, out)
	}
	ann, bob := arrive(t, s, "ann"), arrive(t, s, "bob")
	loginPlain(t, s, "dan.o-neil")

	roster := ask(t, ann, "get", "", "<query xmlns='jabber:iq:roster'/>")
	for _, want := range []string{"jid='bob@old.test'", "Bob &#34;B&#34;", "<group>Friends</group>", "<group>Läufer</group>", "jid='zoe@far.test'", "jid='cy@old.test'"} {
		if !strings.Contains(strings.ReplaceAll(strings.ReplaceAll(roster, "&quot;", "&#34;"), `"`, "'"), want) {
			t.Errorf("the roster is without %s: %s", want, roster)
		}
	}
	for jid, want := range map[string]string{"bob@old.test": "subscription='both'", "cy@old.test": "ask='subscribe'", "zoe@far.test": "subscription='none'"} {
		item := roster[strings.Index(roster, "jid='"+jid):]
		start := roster[strings.LastIndex(roster[:strings.Index(roster, "jid='"+jid)], "<item"):]
		if whole := start[:strings.Index(start, ">")]; !strings.Contains(whole, want) {
			t.Errorf("%s: %s (%s)", jid, whole, item[:20])
		}
	}
	bob.Send("<presence/>")
	ann.Send("<presence/>")
	within(t, ann, "<presence", "from='bob@old.test/x'")

	blocked := ask(t, ann, "get", "", "<blocklist xmlns='urn:xmpp:blocking'/>")
	if !strings.Contains(blocked, "jid='spam@far.test'") || !strings.Contains(blocked, "jid='ads.test'") {
		t.Error(blocked)
	}
	if got := ask(t, ann, "get", "", "<query xmlns='jabber:iq:private'><notes xmlns='urn:example:notes'/></query>"); !strings.Contains(got, "buy &lt;milk&gt;</n>") {
		t.Error(got)
	}
	if p.name == "ejabberd" {
		if got := ask(t, bob, "get", "ann@old.test", "<vCard xmlns='vcard-temp'/>"); !strings.Contains(got, "<FN>Ann &amp; Ä</FN>") {
			t.Error(got)
		}
	} else if got := ask(t, bob, "get", "ann@old.test", "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:vcard4'/></pubsub>"); !strings.Contains(got, "<text>Ann &amp; Ä</text>") {
		t.Error(got) // Prosody keeps every vCard in its new form
	}

	cy := arrive(t, s, "cy")
	cy.Send("<presence/>")
	got := []string{within(t, cy, "from='ann@old.test"), within(t, cy, "from='ann@old.test")}
	if all := strings.Join(got, ""); !strings.Contains(all, "type='subscribe'") || !strings.Contains(all, "<body>when you are &lt;back&gt;</body>") || !strings.Contains(all, "urn:xmpp:delay") {
		t.Errorf("waits for cy: %s", all)
	}

	inRoom(t, ann, bob)
	if mechanisms := offered(t, s); hashed == strings.Contains(mechanisms, "SCRAM-SHA-256") || !strings.Contains(mechanisms, ">SCRAM-SHA-1<") {
		t.Errorf("hashed %v, and offered is %s", hashed, mechanisms)
	}
}

// inRoom looks at the room: its settings, its people, what it is about.
func inRoom(t *testing.T, ann, bob *peertest.Client) {
	t.Helper()
	info := ask(t, ann, "get", room, "<query xmlns='http://jabber.org/protocol/disco#info'/>")
	for _, want := range []string{"muc_persistent", "muc_membersonly", "muc_moderated", "muc_nonanonymous", "muc_passwordprotected", "muc_public", "The &lt;Balcony&gt;", "Where Romeo stands"} {
		if !strings.Contains(info, want) {
			t.Errorf("the room is without %s: %s", want, info)
		}
	}
	for affiliation, jid := range map[string]string{"owner": "ann@old.test", "admin": "bob@old.test", "member": "cy@old.test", "outcast": "tybalt@far.test"} {
		got := ask(t, ann, "get", room, "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='"+affiliation+"'/></query>")
		if !strings.Contains(got, "jid='"+jid+"'") || strings.Count(got, "<item") != 1 {
			t.Errorf("%s: %s", affiliation, got)
		}
	}
	bob.Send("<presence to='" + room + "/bobby'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	within(t, bob, "<presence", "type='error'", "not-authorized")
	bob.Send("<presence to='" + room + "/bobby'><x xmlns='http://jabber.org/protocol/muc'><password>rose</password></x></presence>")
	within(t, bob, "<presence", "from='"+room+"/bobby'", "'110'")
	within(t, bob, "<message", "from='"+room+"/annie'", "<subject>Love &amp; war</subject>")
}

// offered are the mechanisms of a stream with TLS.
func offered(t *testing.T, s *peertest.Parley) string {
	t.Helper()
	return peertest.DialTLS(t, s.XMPPS, domain, tls.VersionTLS13).Open()
}

// arrive logs in with SCRAM-SHA-1, without which a password that was hashed elsewhere could not be checked.
func arrive(t *testing.T, s *peertest.Parley, name string) *peertest.Client {
	t.Helper()
	c := peertest.DialTLS(t, s.XMPPS, domain, tls.VersionTLS13)
	c.Open()
	n := sasl.NewClient(sasl.ScramSha1, sasl.Credentials(func() ([]byte, []byte, []byte) { return []byte(name), []byte(password), nil }))
	_, first, err := n.Step(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>" + base64.StdEncoding.EncodeToString(first) + "</auth>")
	_, proof, err := n.Step(content(t, within(t, c, "<challenge")))
	if err != nil {
		t.Fatal(err)
	}
	c.Send("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + base64.StdEncoding.EncodeToString(proof) + "</response>")
	if more, _, err := n.Step(content(t, within(t, c, "<success"))); err != nil || more {
		t.Fatal("the server's signature is wrong: ", err)
	}
	c.Open()
	return c.Bind("x")
}

// loginPlain logs in with the password itself.
func loginPlain(t *testing.T, s *peertest.Parley, name string) {
	t.Helper()
	for secret, want := range map[string]string{password: "<success", password + "x": "<failure"} {
		c := peertest.DialTLS(t, s.XMPPS, domain, tls.VersionTLS13)
		c.Open()
		c.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + base64.StdEncoding.EncodeToString([]byte("\x00"+name+"\x00"+secret)) + "</auth>")
		within(t, c, want)
	}
}

func content(t *testing.T, element string) []byte {
	t.Helper()
	_, s, _ := strings.Cut(element, ">")
	s, _, _ = strings.Cut(s, "<")
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatalf("%s: %v", element, err)
	}
	return b
}
