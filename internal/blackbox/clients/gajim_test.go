package clients

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/internal/peertest/desk"
)

// TestGajim: Debian's Gajim, with its windows, logs in, finds a contact and what that one wrote in the archive, talks, opens a room,
// and sends a file. It needs the right to make namespaces, for a list of authorities in which ours is. What each step means is in
// testdata/gajim.py.
func TestGajim(t *testing.T) {
	if !peertest.Required("gajim") {
		t.Skip("PARLEY_PEERS does not name gajim") // it takes root and half a minute
	}
	python := peertest.NeedPython(t, "gajim")
	d := desk.New(t, "gajim", "unshare", "setpriv", "mount")
	server := peertest.StartParley(t, peertest.ParleyOptions{Listen: []string{"xmpp://127.0.0.1:0", "https://127.0.0.1:0", "http+admin://127.0.0.1:0"}})
	for _, user := range []string{"ann", "bob"} {
		server.AddUser(user, user+"-password")
	}
	enter := func(user string) *peertest.Client {
		c := peertest.Dial(t, server.XMPP, "localhost")
		c.StartTLS(tls.VersionTLS13)
		c.Login(user, user+"-password")
		c.Bind("desk")
		c.Send("<iq xmlns='jabber:client' type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>", "<presence xmlns='jabber:client'/>")
		c.Ping()
		return c
	}
	ann, bob := enter("ann"), enter("bob")
	ann.Send("<presence xmlns='jabber:client' type='subscribe' to='bob@localhost'/>")
	bob.Await("<presence", "type='subscribe'")
	bob.Send("<presence xmlns='jabber:client' type='subscribed' to='ann@localhost'/>")
	ann.Await("<iq", "subscription='to'")
	write := func(to, kind, text string) {
		bob.Send("<message xmlns='jabber:client' to='" + to + "' type='" + kind + "'><body>" + text + "</body></message>")
	}
	write("ann@localhost", "chat", "found in the archive")
	ann.Await("<body>found in the archive</body>") // it waits for nobody
	ann.Send("<presence xmlns='jabber:client' type='unavailable'/>")
	ann.Ping()
	ann.Drop()

	home := homeOf(t)
	picture := filepath.Join(home, "rose.png")
	content := "\x89PNG\r\n\x1a\n" + strings.Repeat("rose", 10_000)
	certificate, err := os.ReadFile(server.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	authorities, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	if err != nil {
		t.Fatal(err)
	}
	own := d.Write("authorities", string(authorities)+string(certificate))
	script, err := os.ReadFile("testdata/gajim.py")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"rose.png": content, "gajim.py": string(script)} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d.Do("mkdir", "-p", home+"/run", home+"/tmp")
	d.Do("chown", "-R", "nobody", home)
	d.Do("chmod", "700", home+"/run")
	host, port, err := net.SplitHostPort(server.XMPP)
	if err != nil {
		t.Fatal(err)
	}
	gajim := d.Start("unshare", "-m", "sh", "-c", `mount --bind "$0" /etc/ssl/certs/ca-certificates.crt && cd / && exec "$@"`, own,
		"env", "-u", "DBUS_SESSION_BUS_ADDRESS", "HOME="+home, "XDG_RUNTIME_DIR="+home+"/run", "XDG_DATA_HOME="+home+"/data", "XDG_CONFIG_HOME="+home+"/config", "XDG_CACHE_HOME="+home+"/cache",
		"setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
		"dbus-run-session", "--", python, home+"/gajim.py", host, port, "localhost", picture)

	reads := func(text string) (body string) {
		for until := time.Now().Add(desk.Patience); time.Now().Before(until); {
			e := bob.ReadWithin(desk.Patience)
			_, body, _ = strings.Cut(e, "<body>")
			body, _, _ = strings.Cut(body, "</body>")
			if strings.HasPrefix(e, "<message") && strings.Contains(body, text) {
				return body
			}
		}
		t.Fatalf("Gajim does not write %q; it runs: %v", text, gajim.Running())
		return ""
	}
	said := time.Now()
	d.Eventually("start of Gajim", func() bool {
		if time.Since(said) > 10*time.Second { // who says nothing for long is gone for the server
			bob.Raw(" ")
			said = time.Now()
		}
		return strings.Contains(d.Said(), `"archive"`)
	})
	reads("an answer")
	write("ann@localhost", "chat", "I read it")
	reads("come")
	bob.Send("<presence xmlns='jabber:client' to='coven@muc.localhost/bob'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	reads("words in the room")
	write("coven@muc.localhost", "groupchat", "an answer in the room")
	fetches(t, server, reads("/upload/"), content)
	write("ann@localhost", "chat", "I have it")
	d.Eventually("end of Gajim", func() bool { return !gajim.Running() })
	var steps []string
	for line := range strings.Lines(d.Said()) {
		if _, step, ok := strings.Cut(strings.TrimSpace(line), `{"step": "`); ok {
			steps = append(steps, strings.TrimSuffix(step, `"}`))
		}
	}
	if got := fmt.Sprint(steps); got != "[login roster archive chat room upload done]" {
		t.Errorf("steps %s", got)
	}
}
