// Package acme has the binary get its certificates from Let's Encrypt's authority for tests, and use them everywhere.
package acme

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/internal/config"
	"parley/internal/doctor"
	"parley/internal/peertest"
)

const domain = "meet.test"

// patience is how long getting two certificates may take, and until the bridge has read one.
const patience = 90 * time.Second

func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// settings are those of a server that asks an authority.
func settings(ca *peertest.PebbleServer) string {
	return "domain = " + strconv.Quote(domain) + "\n[tls]\nacme = true\nemail = \"admin@meet.test\"\nca = " + strconv.Quote(ca.Directory) + "\nca_roots = " + strconv.Quote(ca.Roots) + "\n"
}

// shown is the certificate that a listener shows for a name.
func shown(t testing.TB, scheme, address, name string) (*x509.Certificate, error) {
	t.Helper()
	l, err := config.ParseListener(scheme + "://" + address)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := doctor.Show(t.Context(), l, name)
	if err != nil {
		return nil, err
	}
	return chain[0], nil
}

// good says why a listener's certificate is not one of the authority for the name.
func good(t testing.TB, trusted *x509.CertPool, scheme, address, name string) error {
	t.Helper()
	l, err := config.ParseListener(scheme + "://" + address)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := doctor.Show(t.Context(), l, name)
	if err != nil {
		return err
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err = chain[0].Verify(x509.VerifyOptions{Roots: trusted, Intermediates: between, DNSName: name})
	return err
}

func eventually(t testing.TB, what string, ok func() error) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

func TestCertificatesFromAnAuthority(t *testing.T) {
	for way, scheme := range map[string]string{"http-01": "http", "tls-alpn-01": "https"} {
		t.Run(way, func(t *testing.T) {
			web := free(t)
			options := peertest.PebbleOptions{HTTP: web}
			if scheme == "https" {
				options = peertest.PebbleOptions{TLS: web}
			}
			ca := peertest.Pebble(t, options)
			with := "[[component]]\ndomain = \"irc." + domain + "\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n"
			listen := []string{"xmpp://127.0.0.1:0", "xmpps://127.0.0.1:0", "s2s://127.0.0.1:0", scheme + "://" + web, "http+admin://127.0.0.1:0", "turns://127.0.0.1:0", "media://127.0.0.1:0", "component://127.0.0.1:0"}
			file := `listen = ["` + strings.Join(listen, `", "`) + "\"]\n" + settings(ca) + with // for commands, which know no other listeners
			p := peertest.StartParley(t, peertest.ParleyOptions{Config: file, Listen: listen})
			trusted := ca.Authority()
			p.AddUser("ann", "secret")
			ann := peertest.Dial(t, p.XMPP, domain)
			ann.Login("ann", "secret")
			ann.Bind("x")

			listeners := map[string]string{"xmpp": p.XMPP, "xmpps": p.XMPPS, "s2s": p.S2S, "turns": p.TURNS}
			if scheme == "https" {
				listeners["https"] = p.HTTPS
			}
			pid := p.PID
			for kind, address := range listeners {
				eventually(t, kind, func() error { return good(t, trusted, kind, address, domain) })
			}
			for _, name := range []string{"muc.", "call.", "irc."} {
				eventually(t, name, func() error { return good(t, trusted, "s2s", p.S2S, name+domain) })
			}
			ann.Ping() // who was there stays
			if !p.Running() || p.PID != pid {
				t.Error("the server was started again")
			}
			for _, want := range []string{"asking the authority for a certificate", "the authority has given a certificate"} {
				if !strings.Contains(p.Log(), want) {
					t.Errorf("the log is without %q", want)
				}
			}
			out, err := p.Command("", append([]string{"doctor"}, p.Args()...)...)
			if !strings.Contains(out, "certificate for meet.test until") {
				t.Errorf("doctor: %v\n%s", err, out)
			}

			before, err := shown(t, "xmpps", p.XMPPS, domain)
			if err != nil {
				t.Fatal(err)
			}
			ca.Stop()
			p.Restart()
			after, err := shown(t, "xmpps", p.XMPPS, domain)
			if err != nil || !after.Equal(before) {
				t.Errorf("after a restart there is another certificate: %v", err)
			}
			eventually(t, "rooms after a restart", func() error { return good(t, trusted, "s2s", p.S2S, "muc."+domain) })
		})
	}
}

// An authority that is away, or that does not find us, keeps nobody from logging in.
func TestServerStartsWithoutItsAuthority(t *testing.T) {
	for name, stop := range map[string]bool{"away": true, "it does not find us": false} {
		t.Run(name, func(t *testing.T) {
			ca := peertest.Pebble(t, peertest.PebbleOptions{})
			if stop {
				ca.Stop()
			}
			p := peertest.StartParley(t, peertest.ParleyOptions{Config: settings(ca), Listen: []string{"xmpp://127.0.0.1:0", "xmpps://127.0.0.1:0", "http://127.0.0.1:0"}})
			c, err := shown(t, "xmpps", p.XMPPS, domain)
			if err != nil || c.Issuer.String() != c.Subject.String() || c.VerifyHostname(domain) != nil {
				t.Errorf("%v %v", c, err)
			}
			eventually(t, "the log says nothing", func() error {
				if strings.Contains(p.Log(), "the authority gives no certificate") && strings.Contains(p.Log(), "port 80 has to lead to the HTTP listener") {
					return nil
				}
				return io.EOF
			})
			out, err := p.Command("", append([]string{"doctor"}, p.Args()...)...)
			if err == nil || !strings.Contains(out, "the authority has given none yet") {
				t.Errorf("doctor: %v\n%s", err, out)
			}
		})
	}
}

// Who asks for the authority's handshake without being it gets nothing, and nobody else is hurt.
func TestHandshakeOfAStranger(t *testing.T) {
	ca := peertest.Pebble(t, peertest.PebbleOptions{})
	p := peertest.StartParley(t, peertest.ParleyOptions{Config: settings(ca), Listen: []string{"https://127.0.0.1:0"}})
	for _, name := range []string{domain, "other.test", ""} {
		c, err := tls.Dial("tcp", p.HTTPS, &tls.Config{ServerName: name, NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true})
		if err != nil {
			continue
		}
		if leaf := c.ConnectionState().PeerCertificates[0]; leaf.Issuer.String() != leaf.Subject.String() || len(leaf.Extensions) > 6 {
			t.Errorf("%q is shown %v", name, leaf.Subject)
		}
		c.Close()
	}
	c, err := tls.Dial("tcp", p.HTTPS, &tls.Config{ServerName: domain, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /.well-known/acme-challenge/x HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", domain)
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || !strings.Contains(line, " 404 ") {
		t.Errorf("%q %v", line, err)
	}
}
