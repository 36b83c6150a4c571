package desk

import (
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
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

// Domain is what Dino's server serves.
const Domain = "meet.test"

// apart is set in the process that has networks of its own.
const apart = "PARLEY_DESK_APART"

// isolated reports that this process has networks and mounts of its own. One that has not runs the test again in one that has, and
// passes or fails with it. That needs the right to make namespaces.
func isolated(t *testing.T) bool {
	t.Helper()
	if os.Getenv(apart) != "" {
		return true
	}
	cmd := exec.Command(peertest.Need(t, "unshare"), "-n", "-m", "sh", "-c", `ip link set lo up && exec "$0" "$@"`, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=8m")
	cmd.Env = append(os.Environ(), apart+"=1", "PARLEY_BINARY="+peertest.Built(t))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	return false
}

// IsApart reports that NewDino has started this process, in which a test has a server of its own.
func IsApart() bool { return os.Getenv(apart) != "" }

// Dino is a desk with what Dino wants around it, and a server with the account ann@meet.test, which is Dino's, and others. The
// server is in a network of its own, at the other end of a cable, since ICE takes no candidates of loopback; and Dino, which cannot
// be told of ports and certificates, has its own /etc/hosts and list of authorities.
type Dino struct {
	*Desk
	Server *peertest.Parley
	db     string // of Dino
}

// NewDino makes the desk, in a process that is apart: there the test runs again, and where it began nil is returned, when it has passed.
// Password is that of all accounts. A test that PARLEY_PEERS does not ask for is skipped.
func NewDino(t *testing.T, password string, others ...string) *Dino {
	t.Helper()
	if !peertest.Required("dino") {
		t.Skip("PARLEY_PEERS does not name dino") // it takes root and some seconds
	}
	if !isolated(t) {
		return nil
	}
	d := &Dino{Desk: New(t, "dino-im", "xdotool", "sqlite3", "xclip", "nsenter", "ip", "mount")}
	far := filepath.Join(d.Dir, "far")
	d.Start("unshare", "-n", "sh", "-c", "echo $$ >"+far+"; exec sleep 900")
	pid := d.Says("network of the server", far)
	inFar := []string{"nsenter", "-t", pid, "-n", "--"}
	for _, line := range []string{
		"ip link add near type veth peer name far", "ip link set far netns " + pid,
		"ip addr add 10.9.9.2/24 dev near", "ip link set near up", "ip route add default via 10.9.9.1", // without one GLib says that there is no network
		strings.Join(inFar, " ") + " ip addr add 10.9.9.1/24 dev far", strings.Join(inFar, " ") + " ip link set far up",
		strings.Join(inFar, " ") + " ip link set lo up",
	} {
		d.Do(strings.Fields(line)...)
	}
	cert := d.certify()
	binary := d.Write("parley", "#!/bin/sh\nexec "+strings.Join(inFar, " ")+" '"+peertest.Built(t)+"' \"$@\"\n")
	os.Chmod(binary, 0o700)
	d.Server = peertest.StartParley(t, peertest.ParleyOptions{
		Binary: binary,
		Config: fmt.Sprintf("domain = %q\nstore = \"sqlite:%s/parley.db\"\n[tls]\ncertificate = %q\nkey = %q\n[rooms]\ncreate = \"anyone\"\n", Domain, d.Dir, cert, d.Dir+"/key.pem"),
		Listen: []string{"xmpp://10.9.9.1:5222", "https://10.9.9.1:443", "http+insecure://10.9.9.1:8080", "media://10.9.9.1:10000", "http+admin://127.0.0.1:0"},
	})
	d.Server.Certificate = cert
	for _, name := range append(others, "ann") {
		d.Server.AddUser(name, password)
	}
	authorities, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{
		"/etc/ssl/certs/ca-certificates.crt": string(authorities) + string(own),
		"/etc/resolv.conf":                   "",
		"/etc/hosts":                         "127.0.0.1 localhost\n10.9.9.1 " + Domain + "\n",
	} {
		d.Do("mount", "--bind", d.Write("etc/"+filepath.Base(file), text), file)
	}
	d.db = d.Write("share/dino/dino.db", "")
	d.Do("sqlite3", d.db, "CREATE TABLE account (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, bare_jid TEXT NOT NULL UNIQUE, "+
		"resourcepart TEXT, password TEXT, alias TEXT, enabled INTEGER, roster_version TEXT, mam_earliest_synced INTEGER); "+
		"INSERT INTO account (bare_jid, resourcepart, password, alias, enabled) VALUES ('ann@"+Domain+"', 'dino', '"+password+"', '', 1);")
	return d
}

// Sound gives Dino sound that nobody hears, for calls.
func (d *Dino) Sound() {
	d.T.Helper()
	peertest.Need(d.T, "pulseaudio")
	d.Start("pulseaudio", "--daemonize=no", "--exit-idle-time=-1", "-n", "-L", "module-null-sink sink_name=null", "-L", "module-native-protocol-unix")
	d.Eventually("sound", func() bool { _, err := os.Stat(filepath.Join(d.Dir, "run/pulse/native")); return err == nil })
}

// Enter logs another account in, encrypted, and has it ask for its contacts.
func (d *Dino) Enter(name, password string) *peertest.Client {
	d.T.Helper()
	c := peertest.Dial(d.T, d.Server.XMPP, Domain)
	c.StartTLS(tls.VersionTLS13)
	c.Login(name, password)
	c.Bind("other")
	c.Send("<iq xmlns='jabber:client' type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
	c.Await("id='r'", "type='result'")
	return c
}

// Query asks Dino's database, and returns what it says as text.
func (d *Dino) Query(question string) string {
	d.T.Helper()
	return strings.TrimSpace(d.Do("sqlite3", "-cmd", ".timeout 10000", d.db, question))
}

// Dark counts the pixels of a part of the screen that are as dark as what is written.
func (d *Dino) Dark(part image.Rectangle) int {
	d.T.Helper()
	return d.Pixels(part, "", func(c color.RGBA) bool { return c.R < 160 && c.G < 160 && c.B < 160 })
}

// certify makes a certificate for the server, and returns its file.
func (d *Dino) certify() string {
	d.T.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		d.T.Fatal(err)
	}
	names := []string{Domain, "muc." + Domain, "call." + Domain, "upload." + Domain}
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
