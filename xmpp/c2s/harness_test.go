package c2s

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/event"
	"parley/internal/peertest"
	"parley/internal/store"
	"parley/xmpp/auth"
	"parley/xmpp/im"
	"parley/xmpp/route"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// accounts has the users that tests log in as; the password is the name.
type accounts map[string][]store.Credential

func (a accounts) Account(_ context.Context, addr string) (store.Account, error) {
	c, ok := a[addr]
	if !ok {
		return store.Account{}, store.ErrNotFound
	}
	return store.Account{Addr: addr, Credentials: c}, nil
}

// drawer keeps tokens in memory, as store.FastTokens says, for one account's one client.
type drawer struct {
	mu     sync.Mutex
	tokens []store.FastToken // the fresh one first
}

func (d *drawer) FastTokens(_ context.Context, addr, client string) (list []store.FastToken, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.tokens {
		if t.Addr == addr && t.Client == client {
			list = append(list, t)
		}
	}
	return list, nil
}

func (d *drawer) AddFastToken(_ context.Context, t store.FastToken, _ int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tokens = append([]store.FastToken{t}, slices.DeleteFunc(d.tokens, func(o store.FastToken) bool { return o.Fresh })...)
	return nil
}

func (d *drawer) UseFastToken(_ context.Context, t store.FastToken, count int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range d.tokens {
		if bytes.Equal(o.Seed, t.Seed) && (count == 0 || count > o.Count) {
			o.Fresh, o.Count = false, max(count, o.Count)
			d.tokens = []store.FastToken{o}
			return nil
		}
	}
	return store.ErrNotFound
}

func (d *drawer) DropFastTokens(context.Context, string, string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tokens = nil
	return nil
}

// age makes the tokens old.
func (d *drawer) age(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.tokens {
		d.tokens[i].Issued = d.tokens[i].Issued.Add(-by)
	}
}

var testAccounts = func() accounts {
	a := make(accounts)
	for _, name := range []string{"ann", "bob"} {
		c, err := auth.NewCredentials(name)
		if err != nil {
			panic(err)
		}
		a[name+"@x.net"] = c
	}
	return a
}()

var testTLS = func() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x.net"}, DNSNames: []string{"x.net"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	cert := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil }}
}()

// world is a server with its three doors.
type world struct {
	t                *testing.T
	srv              *Server
	router           *route.Router
	host             *im.Host
	plain, tls, http string // addresses
	events           *prometheus.Registry
	drawer           *drawer
	full             atomic.Bool // what the server believes of its process
}

// newServer makes a server without doors.
func newServer(t testing.TB, change func(*Config)) *world {
	t.Helper()
	w := &world{events: prometheus.NewRegistry(), drawer: &drawer{}}
	logger := slog.New(slog.NewTextHandler(io.Discard, nil))
	rec := event.New(logger, w.events, false)
	w.router = route.New(rec)
	w.host = im.New("x.net", w.router)
	ac := auth.DefaultConfig()
	ac.MaxDelay = 0
	a, err := auth.New(ac, "x.net", bytes.Repeat([]byte("s"), 32), testAccounts, nil, rec)
	if err != nil {
		t.Fatal(err)
	}
	a.Fast(w.drawer)
	cfg := Defaults()
	cfg.Domain, cfg.TLS, cfg.Insecure = "x.net", testTLS, true
	if change != nil {
		change(&cfg)
	}
	w.srv = New(cfg, w.router, a, rec, logger, w.full.Load)
	return w
}

// newWorld starts a server; before is called when it is made and has no client yet.
func newWorld(t *testing.T, change func(*Config), before ...func(*world)) *world {
	t.Helper()
	w := newServer(t, change)
	w.t = t
	for _, f := range before {
		f(w)
	}
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l1, l2, l3 := listen(), listen(), listen()
	w.plain, w.tls, w.http = l1.Addr().String(), l2.Addr().String(), l3.Addr().String()
	go w.srv.Serve(l1, false)
	go w.srv.Serve(l2, true)
	doors := http.NewServeMux()
	doors.Handle("/xmpp-websocket", w.srv)
	doors.HandleFunc("/http-bind", w.srv.ServeBOSH)
	web := &http.Server{Handler: doors}
	go web.Serve(Listen(l3, nil))
	ctx, cancel := context.WithCancel(context.Background())
	swept := make(chan struct{})
	go func() { w.srv.Run(ctx); close(swept) }()
	t.Cleanup(func() {
		l1.Close()
		l2.Close()
		web.Close()
		cancel()
		<-swept
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := w.srv.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return w
}

// counted returns how often an event was counted.
func (w *world) counted(name string) float64 {
	families, _ := w.events.Gather()
	for _, f := range families {
		for _, m := range f.Metric {
			if m.Label[0].GetValue() == name {
				return m.Counter.GetValue()
			}
		}
	}
	return 0
}

func (w *world) dial(addr string) *peertest.Client { return peertest.Dial(w.t, addr, "x.net") }

func (w *world) dialTLS(version uint16) *peertest.Client {
	return peertest.DialTLS(w.t, w.tls, "x.net", version)
}

func (w *world) dialWS(query string) *peertest.Client {
	return peertest.DialWS(w.t, w.http, "x.net", "/xmpp-websocket"+query)
}

// client logs in over TCP; the password of a user is the name, and "" is a guest.
func (w *world) client(user, resource string) *peertest.Client {
	w.t.Helper()
	p := w.dial(w.plain)
	p.Login(user, user)
	return p.Bind(resource)
}

func newMobile(w *world, user string, dial func() *peertest.Client) *peertest.Mobile {
	w.t.Helper()
	return peertest.NewMobile(user, user, dial)
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func unb64(t testing.TB, s string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
