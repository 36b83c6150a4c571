package c2s

import (
	"bufio"
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
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/event"
	"parley/internal/store"
	"parley/xmpp/auth"
	"parley/xmpp/im"
	"parley/xmpp/route"
	"parley/xmpp/wire"

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
	full             atomic.Bool // what the server believes of its process
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, events: prometheus.NewRegistry()}
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
	cfg := Defaults()
	cfg.Domain, cfg.TLS, cfg.Insecure = "x.net", testTLS, true
	if change != nil {
		change(&cfg)
	}
	w.srv = New(cfg, w.router, a, rec, logger, w.full.Load)
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
	web := &http.Server{Handler: w.srv}
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

// peer is a client that says what the test says.
type peer struct {
	t    *testing.T
	nc   net.Conn
	r    *bufio.Reader
	scan wire.Scanner
	buf  []byte
	ws   bool
	host string
	jid  string
}

const patience = 5 * time.Second

func (w *world) dial(addr string) *peer {
	w.t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { nc.Close() })
	p := &peer{t: w.t, nc: nc, r: bufio.NewReader(nc), scan: wire.Scanner{Limits: wire.AfterAuth}, host: "x.net"}
	return p
}

func (w *world) dialTLS(version uint16) *peer {
	p := w.dial(w.tls)
	p.secure(version)
	return p
}

func (p *peer) secure(version uint16) {
	p.t.Helper()
	tc := tls.Client(p.nc, &tls.Config{InsecureSkipVerify: true, ServerName: "x.net", MinVersion: version, MaxVersion: version})
	if err := tc.Handshake(); err != nil {
		p.t.Fatal(err)
	}
	p.nc, p.r = tc, bufio.NewReader(tc)
}

// dialWS opens a WebSocket.
func (w *world) dialWS(query string) *peer {
	w.t.Helper()
	p := w.dial(w.http)
	p.ws = true
	p.raw("GET /xmpp-websocket" + query + " HTTP/1.1\r\nHost: x.net\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	res, err := http.ReadResponse(p.r, nil)
	if err != nil || res.StatusCode != 101 {
		w.t.Fatalf("%v %v", res, err)
	}
	return p
}

func (p *peer) raw(s string) {
	p.t.Helper()
	p.nc.SetWriteDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(p.nc, s); err != nil {
		p.t.Fatal(err)
	}
}

// send sends elements; over WebSocket each is a message.
func (p *peer) send(elements ...string) {
	p.t.Helper()
	for _, e := range elements {
		if p.ws {
			e = string(clientFrame(0x81, []byte(e)))
		}
		p.raw(e)
	}
}

// read reads the next element as text; "" is the end of the connection.
func (p *peer) read() string {
	p.t.Helper()
	p.nc.SetReadDeadline(time.Now().Add(patience))
	if p.ws {
		return p.readFrame()
	}
	for {
		if b := bytes.TrimLeft(p.buf, " \n"); bytes.HasPrefix(b, []byte("<?xml")) || bytes.HasPrefix(b, []byte("<stream:stream")) {
			if n, _, err := wire.ParseHeader(p.buf, wire.AfterAuth); err == nil {
				h := string(p.buf[:n])
				p.buf = p.buf[n:]
				return h
			}
		} else if n, pk, err := p.scan.Next(p.buf); err == nil {
			out := string(pk.Raw())
			p.buf = p.buf[n:]
			return out
		} else if err == wire.ErrClosed {
			p.buf = p.buf[n:]
			p.scan = wire.Scanner{Limits: wire.AfterAuth}
			return "</stream:stream>"
		} else if err != wire.ErrIncomplete {
			p.t.Fatalf("server sent %q: %v", p.buf, err)
		}
		chunk := make([]byte, 64<<10)
		n, err := p.r.Read(chunk)
		p.buf = append(p.buf, chunk[:n]...)
		if n == 0 && err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				p.t.Fatalf("%s: nothing came; so far %q", p.jid, p.buf)
			}
			return ""
		}
	}
}

func (p *peer) readFrame() string {
	p.t.Helper()
	var h [10]byte
	if _, err := io.ReadFull(p.r, h[:2]); err != nil {
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			p.t.Fatalf("%s: nothing came", p.jid)
		}
		return ""
	}
	n := int(h[1])
	switch n {
	case 126:
		io.ReadFull(p.r, h[:2])
		n = int(h[0])<<8 | int(h[1])
	case 127:
		io.ReadFull(p.r, h[:8])
		n = int(h[5])<<16 | int(h[6])<<8 | int(h[7])
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(p.r, b); err != nil {
		return ""
	}
	return string(b)
}

// expect reads the next element and wants it to hold each of the parts.
func (p *peer) expect(parts ...string) string {
	p.t.Helper()
	got := p.read()
	for _, want := range parts {
		if !strings.Contains(got, want) {
			p.t.Fatalf("%s: got %q, want %q", p.jid, got, want)
		}
	}
	return got
}

// expectEnd wants the stream error and the end of the stream.
func (p *peer) expectEnd(condition string) {
	p.t.Helper()
	if condition != "" {
		p.expect("stream:error", "<"+condition+" ")
	}
	if p.ws {
		p.expect("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")
		p.read() // the close frame
	} else {
		p.expect("</stream:stream>")
	}
	if got := p.read(); got != "" {
		p.t.Fatalf("after the end: %q", got)
	}
}

func (p *peer) header() string {
	if p.ws {
		return "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='" + p.host + "' version='1.0'/>"
	}
	return "<?xml version='1.0'?><stream:stream to='" + p.host + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
}

// open opens the stream and returns the features.
func (p *peer) open() string {
	p.t.Helper()
	p.send(p.header())
	p.expect("from='x.net'", "version='1.0'")
	return p.expect("<stream:features")
}

// login logs in and opens the stream again; user "" is a guest. It does not bind.
func (p *peer) login(user string) {
	p.t.Helper()
	p.open()
	if user == "" {
		p.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
	} else {
		// The first step by hand, the proof by sasl's client, see scramLogin.
		scramLogin(p, user)
	}
	if user == "" {
		p.expect("<success")
	}
	p.open()
}

// bind binds and returns the peer.
func (p *peer) bind(resource string) *peer {
	p.t.Helper()
	inner := ""
	if resource != "" {
		inner = "<resource>" + resource + "</resource>"
	}
	p.send("<iq xmlns='jabber:client' type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>" + inner + "</bind></iq>")
	got := p.expect("type='result'", "<jid>")
	p.jid = got[strings.Index(got, "<jid>")+5 : strings.Index(got, "</jid>")]
	return p
}

func (w *world) client(user, resource string) *peer {
	w.t.Helper()
	p := w.dial(w.plain)
	p.login(user)
	return p.bind(resource)
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
