// Package federation joins the binary to Debian's Prosody and ejabberd, all on loopback: who is who by certificates and by
// dialback, messages and rooms both ways, and servers that are killed and come back.
package federation

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

const secret = "secret" // of every account

// The domains. The other servers have one for each kind of certificate.
const (
	open     = "open.test"     // ours, with a good certificate, which takes dialback
	strict   = "strict.test"   // ours, with a good certificate, which demands such
	selfMade = "selfmade.test" // ours, with the certificate that the server makes itself
)

var kinds = []string{"good", "expired", "wrong", "alone"}

// at is where servers are: by domain, an address of loopback with the port of s2s.
var at = make(map[string]string)

// ours is one of our servers.
func ours(t testing.TB, name, federation string, cert bool) *peertest.Parley {
	t.Helper()
	return oursIn(t, "", name, federation, cert)
}

// oursIn is ours with a data directory.
func oursIn(t testing.TB, data, name, federation string, cert bool) *peertest.Parley {
	t.Helper()
	config := "domain = " + strconv.Quote(name) + "\n"
	if cert {
		files := certify(t, name, name, "muc."+name, "call."+name)
		config += "[tls]\ncertificate = " + strconv.Quote(files.cert) + "\nkey = " + strconv.Quote(files.key) + "\n"
	}
	config += "[federation]\nroots = " + strconv.Quote(ca.file) + "\n" + federation + "\n"
	for domain, address := range at {
		if domain != name && domain != "muc."+name && domain != "call."+name {
			config += "[[federation.hosts]]\ndomain = " + strconv.Quote(domain) + "\naddress = " + strconv.Quote(address) + "\n"
		}
	}
	p := peertest.StartParley(t, peertest.ParleyOptions{Data: data, Config: config, Listen: []string{"xmpp://127.0.0.1:0", "s2s://" + at[name], "http://127.0.0.1:0", "http+admin://127.0.0.1:0", "media://127.0.0.1:0"}})
	for _, user := range []string{"ann", "bob"} {
		p.AddUser(user, secret)
	}
	return p
}

// place gives a domain and its rooms a port of loopback.
func place(t testing.TB, domain string) {
	t.Helper()
	at[domain] = freeAddress(t)
	at["muc."+domain], at["call."+domain] = at[domain], at[domain]
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// login is a client of an account, which is present.
func login(t testing.TB, c2s, domain, name string) *peertest.Client {
	t.Helper()
	p := peertest.Dial(t, c2s, domain)
	p.Login(name, secret)
	p.Bind("x")
	p.Send("<presence/>")
	p.Ping()
	return p
}

// arrive is login, but what comes is left to be read.
func arrive(t testing.TB, c2s, domain, name string) *peertest.Client {
	t.Helper()
	p := peertest.Dial(t, c2s, domain)
	p.Login(name, secret)
	p.Bind("x")
	p.Send("<presence/>")
	return p
}

// eventually waits for a condition.
func eventually(t testing.TB, patience time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// write writes a file of a server.
func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func port(address string) string {
	_, p, _ := net.SplitHostPort(address)
	return p
}

func quoted(list []string) string {
	var out []string
	for _, s := range list {
		out = append(out, strconv.Quote(s))
	}
	return strings.Join(out, ", ")
}
