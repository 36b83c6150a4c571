package acme

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"

	"go.uber.org/goleak"
)

// What certmagic leaves: one limiter for each authority and address as long as the process lives, and the keeper of a lock, which looks
// every five seconds whether it is still there.
func TestMain(m *testing.M) {
	const magic = "github.com/caddyserver/certmagic."
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(magic+"(*RingBufferRateLimiter).loop"), goleak.IgnoreAnyFunction(magic+"keepLockfileFresh"))
}

// pair is what a client has said that there is.
type pair struct {
	domain     string
	chain, key []byte
}

// serve answers an authority over HTTP with what a client answers, which comes later.
func serve(t *testing.T) (address string, be func(http.Handler)) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handler := make(chan http.Handler, 1)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := <-handler
		handler <- h
		h.ServeHTTP(w, r)
	})}
	done := make(chan struct{})
	go func() { s.Serve(l); close(done) }()
	t.Cleanup(func() { s.Close(); <-done })
	return l.Addr().String(), func(h http.Handler) { handler <- h }
}

// A certificate is renewed before it ends, and is another one.
func TestRenewal(t *testing.T) {
	web, be := serve(t)
	ca := peertest.Pebble(t, peertest.PebbleOptions{HTTP: web, Validity: 24 * time.Second})
	host, port, _ := net.SplitHostPort(web)
	got := make(chan pair, 10)
	cfg := Config{
		Domains: []string{"meet.test"}, Directory: ca.Directory, Roots: ca.Roots, Folder: t.TempDir(), HTTPHost: host, Log: slog.New(slog.DiscardHandler),
		Changed:  func(domain string, chain, key []byte) { got <- pair{domain, chain, key} },
		renewals: 100 * time.Millisecond,
	}
	p, _ := net.LookupPort("tcp", port)
	cfg.HTTPPort = uint16(p)
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	be(c.Handler(http.NotFoundHandler()))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := c.Certificate(&tls.ClientHelloInfo{ServerName: "meet.test"}); err == nil {
		t.Error("there is a certificate before it was asked for")
	}
	if err := c.Manage(ctx); err != nil {
		t.Fatal(err)
	}
	var last []byte
	for end := time.After(2 * time.Minute); ; {
		select {
		case p := <-got:
			if p.domain != "meet.test" {
				t.Fatalf("for %q", p.domain)
			}
			if _, err := tls.X509KeyPair(p.chain, p.key); err != nil {
				t.Fatal(err)
			}
			block, _ := pem.Decode(p.chain)
			if leaf, err := x509.ParseCertificate(block.Bytes); err != nil || leaf.VerifyHostname("meet.test") != nil {
				t.Fatal(leaf, err)
			}
			if last == nil {
				last = p.chain
				continue
			}
			if bytes.Equal(last, p.chain) {
				continue // it was put into the cache
			}
			// The new one is shown. It may take a moment until it is.
			for until := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
				shown, err := c.Certificate(&tls.ClientHelloInfo{ServerName: "meet.test"})
				if first, _ := pem.Decode(last); err == nil && !bytes.Equal(shown.Certificate[0], first.Bytes) {
					return
				}
				if time.Now().After(until) {
					t.Fatalf("the old one is still shown: %v", err)
				}
			}
		case <-end:
			t.Fatal("nothing was renewed")
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := Config{Domains: []string{"a.example"}, Folder: t.TempDir(), HTTPPort: 80, Log: slog.New(slog.DiscardHandler)}
	for want, change := range map[string]func(*Config){
		"no listener":          func(c *Config) { c.HTTPPort = 0 },
		"no such file":         func(c *Config) { c.Roots = "/nowhere" },
		"holds no certificate": func(c *Config) { c.Roots = empty },
	} {
		cfg := good
		change(&cfg)
		if c, err := Open(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v %v, want %q", c, err, want)
		}
	}
}

func TestCheck(t *testing.T) {
	for directory, ok := range map[string]bool{"": true, LetsEncrypt: true, "https://127.0.0.1:14000/dir": true, "http://ca.example/dir": false, "ca.example": false, ":": false} {
		if err := Check(directory); (err == nil) != ok {
			t.Errorf("%q: %v", directory, err)
		}
	}
}

// What the authority does not ask goes on to the server, and what it asks without having been asked for anything too.
func TestOtherRequestsPass(t *testing.T) {
	c, err := Open(Config{Domains: []string{"a.example"}, Folder: t.TempDir(), HTTPPort: 80, TLSPort: 443, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	h := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ours") }))
	for _, path := range []string{"/", "/.well-known/host-meta", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/../../etc/passwd", "/.well-known/acme-challenge/" + strings.Repeat("x", 1000)} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "http://a.example"+path, nil))
		if got := w.Body.String(); got != "ours" {
			t.Errorf("%s: %q", path, got)
		}
	}
	for _, name := range []string{"a.example", "b.example", ""} {
		if cert, err := c.Certificate(&tls.ClientHelloInfo{ServerName: name, SupportedProtos: []string{Protocol}}); err == nil {
			t.Errorf("%q is given %v", name, cert.Leaf)
		}
	}
}
