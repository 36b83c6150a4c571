package auth

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"golang.org/x/crypto/pbkdf2"

	"parley/internal/event"
	"parley/internal/store"
	"parley/internal/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const domain = "meet.example"

var (
	secret = []byte("0123456789abcdef0123456789abcdef")
	alice  = netip.MustParseAddr("192.0.2.1")
)

// people keeps accounts in memory.
type people struct {
	mu   sync.Mutex
	all  map[string]store.Account
	down bool
}

func (p *people) Account(_ context.Context, addr string) (store.Account, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return store.Account{}, errors.New("database is down")
	}
	a, ok := p.all[addr]
	if !ok {
		return store.Account{}, store.ErrNotFound
	}
	return a, nil
}

var made sync.Map // credentials by password: deriving them is slow, by design

func credentials(t testing.TB, password string) []store.Credential {
	t.Helper()
	if c, ok := made.Load(password); ok {
		return c.([]store.Credential)
	}
	c, err := NewCredentials(password)
	if err != nil {
		t.Fatal(err)
	}
	made.Store(password, c)
	return c
}

// accounts makes one account per local part.
func accounts(t testing.TB, passwords map[string]string) *people {
	p := &people{all: make(map[string]store.Account)}
	for local, password := range passwords {
		addr := local + "@" + domain
		p.all[addr] = store.Account{Addr: addr, Credentials: credentials(t, password)}
	}
	return p
}

func server(t testing.TB, cfg Config, p Accounts, tokens *token.Checker, rec *event.Recorder) *Server {
	t.Helper()
	s, err := New(cfg, domain, secret, p, tokens, rec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// alices is a server where alice has the password pencil.
func alices(t testing.TB) *Server {
	return server(t, DefaultConfig(), accounts(t, map[string]string{"alice": "pencil"}), nil, nil)
}

// recorder returns a recorder with its log and a way to read its counters.
func recorder() (*event.Recorder, *bytes.Buffer, func(name string) float64) {
	var log bytes.Buffer
	reg := prometheus.NewRegistry()
	r := event.New(slog.New(slog.NewTextHandler(&log, nil)), reg, false)
	return r, &log, func(name string) float64 {
		families, _ := reg.Gather()
		for _, f := range families {
			for _, m := range f.Metric {
				if m.Label[0].GetValue() == name {
					return m.Counter.GetValue()
				}
			}
		}
		return 0
	}
}

var tlsChannel = Channel{Source: alice, Secure: true}

// bound is a channel with made-up binding data.
func bound(source netip.Addr) Channel {
	return Channel{Source: source, Secure: true, Bindings: []Binding{
		{"tls-exporter", func() ([]byte, error) { return []byte("exported"), nil }},
		{"tls-server-end-point", func() ([]byte, error) { return []byte("hash"), nil }},
	}}
}

// client is a SCRAM client written from RFC 5802 and for nothing but these tests: it can be told to do wrong.
type client struct {
	hash           scramHash
	user, password string // user as it stands in n=
	gs2            string // "n,,"
	binding        string // data behind the GS2 header in c=
	ext            string // ",x=…" in client-first
	finalExt       string // ",x=…" in client-final

	first, serverFirst string
	serverKey          []byte
	final              string
}

const cnonce = "fyko+d2lbbFgONRv9qkxdawL"

func newClient(name, user, password string) *client {
	base, _ := strings.CutSuffix(name, "-PLUS")
	for _, h := range hashes {
		if h.name == base {
			return &client{hash: h, user: user, password: password, gs2: "n,,"}
		}
	}
	panic("no hash for " + name)
}

func (c *client) start() []byte {
	c.first = "n=" + c.user + ",r=" + cnonce + c.ext
	return []byte(c.gs2 + c.first)
}

func (c *client) mac(key []byte, text string) []byte {
	m := hmac.New(c.hash.new, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// answer computes client-final.
func (c *client) answer(serverFirst []byte) []byte {
	c.serverFirst = string(serverFirst)
	attrs := make(map[string]string)
	for _, a := range strings.Split(c.serverFirst, ",") {
		k, v, _ := strings.Cut(a, "=")
		attrs[k] = v
	}
	salt, _ := base64.StdEncoding.DecodeString(attrs["s"])
	n, _ := strconv.Atoi(attrs["i"])
	salted := pbkdf2.Key([]byte(c.password), salt, n, c.hash.size, c.hash.new)
	clientKey := c.mac(salted, "Client Key")
	c.serverKey = c.mac(salted, "Server Key")
	c.final = "c=" + base64.StdEncoding.EncodeToString([]byte(c.gs2+c.binding)) + ",r=" + attrs["r"] + c.finalExt
	signature := c.mac(c.hash.sum(clientKey), c.first+","+c.serverFirst+","+c.final)
	for i := range signature {
		signature[i] ^= clientKey[i]
	}
	return []byte(c.final + ",p=" + base64.StdEncoding.EncodeToString(signature))
}

// verify checks server-final.
func (c *client) verify(t testing.TB, serverFinal []byte) {
	t.Helper()
	want := "v=" + base64.StdEncoding.EncodeToString(c.mac(c.serverKey, c.first+","+c.serverFirst+","+c.final))
	if string(serverFinal) != want {
		t.Errorf("server-final %q, want %q", serverFinal, want)
	}
}

// run runs the exchange to its end and returns the failure, or nil.
func (c *client) run(t testing.TB, st *Stream, mechanism string) (*Exchange, *Failure) {
	t.Helper()
	x, err := st.Begin(mechanism)
	if err != nil {
		return x, asFailure(err)
	}
	challenge, done, err := x.Step(context.Background(), c.start())
	if done {
		t.Fatal("done after client-first")
	}
	if err != nil {
		return x, asFailure(err)
	}
	data, done, err := x.Step(context.Background(), c.answer(challenge))
	if err != nil {
		return x, asFailure(err)
	}
	if !done {
		t.Fatal("neither done nor failed")
	}
	c.verify(t, data)
	return x, nil
}

// plainLogin tries PLAIN in a stream of its own.
func plainLogin(s *Server, ch Channel, response string) (Identity, *Failure) {
	x, err := s.Stream(ch).Begin("PLAIN")
	if err == nil {
		_, _, err = x.Step(context.Background(), []byte(response))
	}
	if err != nil {
		return Identity{}, asFailure(err)
	}
	return x.Identity(), nil
}

func wantFailure(t testing.TB, f *Failure, condition, event string) {
	t.Helper()
	if f == nil {
		t.Fatalf("no failure, want %s", condition)
		return
	}
	if f.Condition != condition || f.Event != event {
		t.Fatalf("failed with %s (%s), want %s (%s): %v", f.Condition, f.Event, condition, event, f)
	}
}

// connection makes a real TLS connection in memory and returns both its ends, and the server's certificate.
func connection(t testing.TB, version uint16) (client, server tls.ConnectionState, leaf *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{domain},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	a, b := net.Pipe()
	srv := tls.Server(b, &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: version, MaxVersion: version,
		SessionTicketsDisabled: true,
	})
	cl := tls.Client(a, &tls.Config{RootCAs: roots, ServerName: domain, MaxVersion: version})
	t.Cleanup(func() { a.Close(); b.Close() })
	result := make(chan error, 1)
	go func() { result <- srv.Handshake() }()
	if err := cl.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	return cl.ConnectionState(), srv.ConnectionState(), leaf
}

func nth(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("198.51.%d.%d", i/250, i%250+1)) }
