package doctor

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/internal/config"
)

// show listens like a listener of a scheme and shows a pair of files.
func show(t *testing.T, scheme, certFile, keyFile string) config.Listener {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	at := config.Listener{Scheme: scheme, Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).AddrPort().Port()}
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				if !at.TLS() {
					r := bufio.NewReader(nc)
					r.ReadString('>') // the declaration
					r.ReadString('>')
					io.WriteString(nc, "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' id='x' version='1.0'><stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>")
					r.ReadString('>')
					io.WriteString(nc, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
				}
				tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{pair}}).Handshake()
			}()
		}
	}()
	return at
}

func TestCertificateThatListenersShow(t *testing.T) {
	p := healthy(t)
	dir := t.TempDir()
	long, short := p.Now.Add(60*24*time.Hour), p.Now.Add(-time.Hour)
	before := p.Now.Add(-48 * time.Hour)
	write := func(name string, names []string, to time.Time) [2]string {
		c, k := pair(t, dir, name, names, before, to)
		return [2]string{c, k}
	}
	good := [2]string{p.Config.TLS.Certificate, p.Config.TLS.Key}
	for name, c := range map[string]struct {
		files [2]string
		want  string
	}{
		"the configured one": {good, "ok 1 certificates are shown as they should be"},
		"an older one":       {write("older", []string{domain}, long), "shows another certificate than that of " + good[0]},
		"an expired one":     {write("expired", []string{domain}, short), "shows a certificate that expired on"},
		"another server's":   {write("other", []string{"other.example"}, long), "shows a certificate for other.example, not for meet.example"},
	} {
		for _, scheme := range []string{"xmpp", "xmpps", "s2s", "s2ss", "https", "turns"} {
			t.Run(name+" "+scheme, func(t *testing.T) {
				e := &examination{Patient: p}
				e.Show, e.PID, e.Bridge = Show, os.Getpid(), os.Getpid()
				e.Config.Listen = []config.Listener{show(t, scheme, c.files[0], c.files[1]), {Scheme: "http", Port: 1}, {Scheme: "turn", Port: 1}}
				e.shown(t.Context())
				if got := said(e.found, "tls"); len(got) != 1 || !strings.Contains(got[0], c.want) {
					t.Errorf("%q, want %q", got, c.want)
				}
			})
		}
	}
	t.Run("nobody", func(t *testing.T) {
		e := &examination{Patient: p}
		e.Show, e.PID = Show, os.Getpid()
		l := hold(t) // accepts, and says nothing
		l.Host = "127.0.0.1"
		e.Config.Listen = []config.Listener{{Scheme: "xmpps", Host: "127.0.0.1", Port: freePort(t)}}
		e.shown(t.Context())
		if got := said(e.found, "tls"); len(got) != 1 || !strings.Contains(got[0], "refused") {
			t.Errorf("%q", got)
		}
	})
}

// family makes an authority and a certificate below an intermediate one, as public authorities have them.
func family(t *testing.T, change func(leaf *x509.Certificate)) (root *x509.Certificate, chain []*x509.Certificate, key *ecdsa.PrivateKey) {
	t.Helper()
	var parent *x509.Certificate
	var signer *ecdsa.PrivateKey
	for i, name := range []string{"root", "between", domain} {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(60 * 24 * time.Hour),
			BasicConstraintsValid: true, IsCA: i < 2,
		}
		if i == 2 {
			c.DNSNames, c.IssuingCertificateURL = []string{domain}, []string{"http://ca.example/between.crt"}
			if change != nil {
				change(c)
			}
		}
		if parent == nil {
			parent, signer = c, key
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		if parent, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
		signer = key
		if chain = append([]*x509.Certificate{parent}, chain...); i == 0 {
			root = parent
		}
	}
	return root, chain[:2], key
}

func TestChain(t *testing.T) {
	for name, c := range map[string]struct {
		trusted bool
		length  int
		change  func(*x509.Certificate)
		want    string // "" is nothing
	}{
		"whole":                   {true, 2, nil, ""},
		"without what is between": {true, 1, nil, "fault FILE holds no chain: put the certificate of CN=between behind it (its authority has it at http://ca.example/between.crt)"},
		"authority of our own":    {false, 2, nil, "note FILE leads to CN=root, which this machine does not trust"},
		"for clients only": {true, 2, func(l *x509.Certificate) { l.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} },
			"fault FILE: x509: certificate specifies an incompatible key usage"},
	} {
		t.Run(name, func(t *testing.T) {
			root, chain, _ := family(t, c.change)
			file := filepath.Join(t.TempDir(), "chain.pem")
			text := ""
			for _, x := range chain[:c.length] {
				text += string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: x.Raw}))
			}
			write(t, file, text, 0o600)
			read, err := readChain(file)
			if err != nil || len(read) != c.length {
				t.Fatal(read, err)
			}
			e := &examination{Patient: healthy(t)}
			if e.Roots = x509.NewCertPool(); c.trusted {
				e.Roots.AddCert(root)
			}
			e.chain(file, read)
			got := fmt.Sprint(said(e.found, "certificate"))
			if c.want == "" && got != "[]" || !strings.Contains(got, strings.ReplaceAll(c.want, "FILE", file)) {
				t.Errorf("%s, want %q", got, c.want)
			}
		})
	}
}

func TestCertificateForAllNames(t *testing.T) {
	for name, c := range map[string]struct {
		names []string // of the certificate
		wants []string
	}{
		"all of them": {[]string{domain, "*." + domain}, []string{"ok for meet.example, muc.meet.example, call.meet.example, files.meet.example until"}},
		"not the rooms": {[]string{domain, "call." + domain, "files." + domain}, []string{
			"fault FILE is for meet.example, call.meet.example, files.meet.example, not for muc.meet.example: get one that names both"}},
		"not the calls": {[]string{domain, "muc." + domain, "files." + domain}, []string{
			"note FILE is for meet.example, muc.meet.example, files.meet.example, not for call.meet.example: get one that names it too"}},
		"not the files": {[]string{domain, "muc." + domain, "call." + domain}, []string{
			"fault FILE is for meet.example, muc.meet.example, call.meet.example, not for files.meet.example: get one that names both, or nobody can fetch"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := healthy(t)
			p.Config.TLS.Certificate, p.Config.TLS.Key = pair(t, t.TempDir(), "names", c.names, p.Now.Add(-time.Hour), p.Now.Add(60*24*time.Hour))
			p.Config.Listen = []config.Listener{{Scheme: "s2s", Port: freePort(t)}, {Scheme: "media", Port: freePort(t)}, {Scheme: "https", Port: 8443}}
			p.Config.Upload.URL = "https://files." + domain + ":8443"
			e := &examination{Patient: p}
			e.certificate()
			got := said(e.found, "certificate")
			if len(got) == 0 || !strings.HasPrefix(got[0], strings.ReplaceAll(c.wants[0], "FILE", p.Config.TLS.Certificate)) || strings.HasPrefix(c.wants[0], "ok") == (len(got) == 1) {
				t.Errorf("%q, want %q", got, c.wants)
			}
		})
	}
}

func TestEveryNameIsShown(t *testing.T) {
	p := healthy(t)
	certFile, keyFile := pair(t, t.TempDir(), "some", []string{domain, "muc." + domain}, p.Now.Add(-time.Hour), p.Now.Add(60*24*time.Hour))
	p.Config.TLS.Certificate, p.Config.TLS.Key = certFile, keyFile
	e := &examination{Patient: p}
	e.Show, e.PID = Show, os.Getpid()
	web := show(t, "https", certFile, keyFile)
	all := show(t, "s2s", certFile, keyFile)
	all.Host = "" // every address
	e.Config.Listen = []config.Listener{all, show(t, "xmpps", certFile, keyFile), web, {Scheme: "media", Port: 1}}
	e.Config.Upload.URL = fmt.Sprintf("https://files.%s:%d", domain, web.Port)
	e.shown(t.Context())
	got := strings.Join(said(e.found, "tls"), "\n")
	for _, want := range []string{"note s2s://:", "not for call.meet.example", "fault https://", "not for files.meet.example", "ok 4 certificates"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nwithout %q", got, want)
		}
	}
}

func TestNameOfFilesLeadsHere(t *testing.T) {
	e := &examination{Patient: healthy(t)}
	z := zone{addrs: map[string]string{domain: "198.51.100.1"}}
	z.ask(&e.Patient)
	e.Config.Listen = []config.Listener{{Scheme: "https", Port: 443}}
	e.Config.Upload.URL = "https://files." + domain
	e.domain(t.Context())
	if got := said(e.found, "domain"); len(got) != 2 || !strings.HasPrefix(got[0], "ok meet.example") || !strings.HasPrefix(got[1], "fault files.meet.example has no address") {
		t.Errorf("%q", got)
	}
}
