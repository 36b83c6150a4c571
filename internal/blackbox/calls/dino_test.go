package calls

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"image"
	"image/color"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/internal/peertest/desk"
	"parley/internal/peertest/jitsipeer"
)

// inside is set in the process that has networks of its own.
const inside = "PARLEY_DINO_INSIDE"

// Dino, as Debian has it, calls a room and shows the meeting's video, under Xvfb, without camera. It needs the right to make
// namespaces: the server is in a network of its own, at the other end of a cable from Dino's, since ICE takes no candidates of
// loopback; and Dino, which cannot be told of ports and certificates, has its own /etc/hosts and list of authorities. With
// DINO_SHOT=FILE the last picture of the screen is kept.
func TestDinoCallsARoom(t *testing.T) {
	if os.Getenv("DINO") == "" {
		t.Skip("make dino runs this test")
	}
	for _, program := range []string{"dino-im", "Xvfb", "pulseaudio", "dbus-run-session", "xdotool", "import", "sqlite3", "unshare", "nsenter", "ip", "mount"} {
		peertest.Need(t, program)
	}
	if os.Getenv(inside) == "" {
		cmd := exec.Command("unshare", "-n", "-m", "sh", "-c", `ip link set lo up && exec "$0" -test.run='^TestDinoCallsARoom$' -test.v`, os.Args[0])
		cmd.Env = append(os.Environ(), inside+"=1", "PARLEY_BINARY="+peertest.Built(t))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Logf("%s", out)
		return
	}
	d := newDesk(t)
	ann := peertest.Dial(t, d.server.XMPP, domain)
	ann.StartTLS(tls.VersionTLS13)
	ann.Login("ann", secret)
	ann.Bind("other")
	ann.Send("<iq xmlns='jabber:client' type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
	ann.Await("id='r'", "type='result'")
	ann.Send("<presence xmlns='jabber:client' type='subscribe' to='room@call." + domain + "'/>")
	ann.Await("subscription='to'")
	ann.Send("<presence xmlns='jabber:client'><priority>-1</priority></presence>")
	ctx, stop := context.WithTimeout(t.Context(), desk.Patience)
	defer stop()
	bob, err := jitsipeer.Join(ctx, jitsipeer.Options{
		URL: "ws://" + d.server.HTTP + "/xmpp-websocket", Room: "room", Nick: "bob", Domain: domain, NoChannel: true,
		Audio: &jitsipeer.Audio{Level: 20}, Video: &jitsipeer.Video{Codec: jitsipeer.VP8, Grey: true, Heights: []int{360}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer bob.Leave()
	// Dino itself does not always find the sound, without which it does not call, and does not always draw the first picture: then
	// it is started again, as people would.
	for attempt := range 5 {
		if begun := time.Now(); d.call(ann, bob) {
			t.Logf("the picture is there in attempt %d, %.1f s after Dino's start", attempt+1, time.Since(begun).Seconds())
			return
		}
	}
	t.Fatal("no picture")
}

// call has Dino log in, call the room by its button, and reports that the picture of who is there is in its window.
func (d *dinoDesk) call(ann *peertest.Client, bob *jitsipeer.Peer) bool {
	dino := d.Start("dino-im")
	defer dino.Kill()
	for online := false; !online; {
		e := ann.ReadWithin(desk.Patience)
		online = strings.HasPrefix(e, "<presence") && strings.Contains(e, "from='ann@"+domain+"/dino'") && !strings.Contains(e, "unavailable")
	}
	within := func(patience time.Duration, what string, ok func() bool) bool {
		held := d.Within(patience, func() bool { return !dino.Running() || ok() }) && dino.Running()
		if !held {
			d.T.Logf("no %s; Dino runs: %v", what, dino.Running())
		}
		return held
	}
	// The button is in the title bar, left of the one that searches, as soon as Dino knows that the contact can be called; its menu
	// has voice and video.
	button, menu := image.Rect(966, 15, 990, 39), image.Rect(900, 60, 1056, 160)
	dark := func(c color.RGBA) bool { return c.R < 160 && c.G < 160 && c.B < 160 }
	if !within(40*time.Second, "button", func() bool {
		d.Start("dino-im", "xmpp:room@call."+domain+"?message") // while its window is not there yet, this is lost
		return d.Within(8*time.Second, func() bool { return d.Pixels(button, "", dark) > 20 })
	}) {
		return false
	}
	calls := func() string { return d.Do("sqlite3", "-cmd", ".timeout 10000", d.db, "SELECT count(*) FROM call") }
	before := calls()
	if !within(40*time.Second, "call", func() bool {
		d.Do("xdotool", "key", "Escape", "mousemove", "978", "27", "click", "1")
		if !d.Within(10*time.Second, func() bool { return d.Pixels(menu, "", dark) > 50 }) {
			return false
		}
		d.Do("xdotool", "key", "Down", "sleep", "0.5", "key", "Return")
		return d.Within(15*time.Second, func() bool { return calls() != before })
	}) {
		return false
	}
	grey := func(v uint8) bool { return v >= 120 && v <= 136 }
	return within(40*time.Second, "caller in the room", func() bool { return slices.Contains(bob.Occupants(), "ann") }) &&
		within(40*time.Second, "picture", func() bool {
			return d.Pixels(image.Rect(0, 0, 1280, 900), os.Getenv("DINO_SHOT"), func(c color.RGBA) bool { return grey(c.R) && grey(c.G) && grey(c.B) }) > 100_000
		})
}

const domain = "meet.test"

// dinoDesk is a desk with Dino's surroundings, and a server at the other end of a cable.
type dinoDesk struct {
	*desk.Desk
	server *peertest.Parley
	db     string // of Dino
}

func newDesk(t *testing.T) *dinoDesk {
	d := &dinoDesk{Desk: desk.New(t)}
	far := filepath.Join(d.Dir, "far")
	d.Start("unshare", "-n", "sh", "-c", "echo $$ >"+far+"; exec sleep 900")
	pid := d.Says("network of the server", far)
	inFar := []string{"nsenter", "-t", pid, "-n", "--"}
	for _, line := range []string{
		"ip link add near type veth peer name far", "ip link set far netns " + pid,
		"ip addr add 10.9.9.2/24 dev near", "ip link set near up",
		strings.Join(inFar, " ") + " ip addr add 10.9.9.1/24 dev far", strings.Join(inFar, " ") + " ip link set far up",
		strings.Join(inFar, " ") + " ip link set lo up",
	} {
		d.Do(strings.Fields(line)...)
	}
	cert := d.certify()
	binary := d.Write("parley", "#!/bin/sh\nexec "+strings.Join(inFar, " ")+" '"+peertest.Built(t)+"' \"$@\"\n")
	os.Chmod(binary, 0o700)
	d.server = peertest.StartParley(t, peertest.ParleyOptions{
		Binary: binary,
		Config: fmt.Sprintf("domain = %q\nstore = \"sqlite:%s/parley.db\"\n[tls]\ncertificate = %q\nkey = %q\n[rooms]\ncreate = \"anyone\"\n", domain, d.Dir, cert, d.Dir+"/key.pem"),
		Listen: []string{"xmpp://10.9.9.1:5222", "http+insecure://10.9.9.1:8080", "media://10.9.9.1:10000", "http+admin://127.0.0.1:0"},
	})
	d.server.AddUser("ann", secret)
	authorities, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	if err != nil {
		t.Fatal(err)
	}
	own2, _ := os.ReadFile(cert)
	for file, text := range map[string]string{
		"/etc/ssl/certs/ca-certificates.crt": string(authorities) + string(own2),
		"/etc/resolv.conf":                   "",
		"/etc/hosts":                         "127.0.0.1 localhost\n10.9.9.1 " + domain + "\n",
	} {
		d.Do("mount", "--bind", d.Write("etc/"+filepath.Base(file), text), file)
	}
	d.db = d.Write("share/dino/dino.db", "")
	d.Do("sqlite3", d.db, "CREATE TABLE account (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, bare_jid TEXT NOT NULL UNIQUE, "+
		"resourcepart TEXT, password TEXT, alias TEXT, enabled INTEGER, roster_version TEXT, mam_earliest_synced INTEGER); "+
		"INSERT INTO account (bare_jid, resourcepart, password, alias, enabled) VALUES ('ann@"+domain+"', 'dino', '"+secret+"', '', 1);")
	d.Start("pulseaudio", "--daemonize=no", "--exit-idle-time=-1", "-n", "-L", "module-null-sink sink_name=null", "-L", "module-native-protocol-unix")
	d.Eventually("sound", func() bool { _, err := os.Stat(filepath.Join(d.Dir, "run/pulse/native")); return err == nil })
	return d
}

// certify makes a certificate for the server, and returns its file.
func (d *dinoDesk) certify() string {
	d.T.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		d.T.Fatal(err)
	}
	names := []string{domain, "muc." + domain, "call." + domain}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), DNSNames: names, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		d.T.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		d.T.Fatal(err)
	}
	if err := os.WriteFile(d.Dir+"/key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600); err != nil {
		d.T.Fatal(err)
	}
	return d.Write("etc/cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
}
