package s2s

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/event"
	"parley/internal/token"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// authority is a certificate authority of the tests' own.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // PEM
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, file: filepath.Join(t.TempDir(), "authority.pem")}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// issue makes a certificate for names; change may alter it. Without an authority it is self-signed.
func (a *authority) issue(t testing.TB, names []string, change ...func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, f := range change {
		f(template)
	}
	parent, signer := template, key
	if a != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
}

// otherName is a name that package x509 does not write.
type otherName struct {
	id    asn1.ObjectIdentifier
	tag   int
	value string
}

// withNames writes the subject alternative name by hand: DNS names and other names.
func withNames(t testing.TB, dns []string, others ...otherName) func(*x509.Certificate) {
	t.Helper()
	marshal := func(v any) []byte {
		b, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var list []byte
	for _, n := range dns {
		list = append(list, marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte(n)})...)
	}
	for _, o := range others {
		text := marshal(asn1.RawValue{Class: asn1.ClassUniversal, Tag: o.tag, Bytes: []byte(o.value)})
		value := marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: text})
		list = append(list, marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: append(marshal(o.id), value...)})...)
	}
	der := marshal(asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSequence, IsCompound: true, Bytes: list})
	return func(c *x509.Certificate) {
		c.DNSNames = nil
		c.ExtraExtensions = []pkix.Extension{{Id: oidAltName, Value: der}}
	}
}

// place is a server with its router, on a port of loopback.
type place struct {
	t        testing.TB
	domain   string
	srv      *Server
	router   *route.Router
	desk     *desk
	rooms    *hall
	listener net.Listener
	counts   *prometheus.Registry
	book     *directory
	done     []func()
	closed   bool
}

// setting changes how a place is made.
type setting struct {
	cert    tls.Certificate
	secret  string
	config  func(*Config)
	address string // where to listen; "" chooses
	direct  bool
	full    func() bool
}

// quick is a configuration whose times fit a test.
func quick() Config {
	c := Defaults()
	c.DialTimeout, c.LoginTimeout, c.HandshakeTimeout = 5*time.Second, 5*time.Second, 5*time.Second
	c.Networks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	c.AttendInterval, c.AnswerTimeout, c.Patience = 200*time.Millisecond, 500*time.Millisecond, 2*time.Second
	return c
}

func newPlace(t testing.TB, domain string, s setting) *place {
	t.Helper()
	p := &place{t: t, domain: domain, counts: prometheus.NewRegistry(), book: &directory{at: make(map[string]string), direct: s.direct}}
	rec := event.New(slog.New(slog.DiscardHandler), p.counts, false)
	p.router = route.New(rec)
	p.desk = &desk{domain: wire.Addr(domain), router: p.router}
	p.rooms = &hall{gone: make(chan wire.Addr, 100), got: make(chan string, 1000)}
	p.router.SetAccounts(p.desk)
	p.router.Serve(domain, p.desk)
	p.router.Serve("muc."+domain, p.rooms)
	cfg := quick()
	if s.config != nil {
		s.config(&cfg)
	}
	if s.secret == "" {
		s.secret = "secret of " + domain
	}
	shown := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{s.cert}}
	var err error
	p.srv, err = New(cfg, Parts{
		Domains: []string{domain, "muc." + domain}, Router: p.router, TLS: shown, Secret: []byte(s.secret),
		Resolver: p.book, Recorder: rec, Log: slog.New(slog.DiscardHandler), Full: s.full,
	})
	if err != nil {
		t.Fatal(err)
	}
	p.router.SetRemote(p.srv)
	if s.address == "" {
		s.address = "127.0.0.1:0"
	}
	for until := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if p.listener, err = net.Listen("tcp", s.address); err == nil {
			break
		}
		if time.Now().After(until) {
			t.Fatal(err)
		}
	}
	var group sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	group.Go(func() { p.srv.Serve(p.listener, s.direct) })
	group.Go(func() { p.srv.Run(ctx) })
	p.done = append(p.done, func() {
		p.listener.Close()
		cancel()
		closing, stop := context.WithTimeout(context.Background(), patience)
		defer stop()
		if err := p.srv.Close(closing); err != nil {
			t.Error(err)
		}
		group.Wait()
	})
	t.Cleanup(p.close)
	return p
}

func (p *place) addr() string { return p.listener.Addr().String() }

func (p *place) close() {
	if !p.closed {
		p.closed = true
		for _, f := range p.done {
			f()
		}
	}
}

// kill ends the place as a crash does: connections break, nobody is told.
func (p *place) kill() {
	p.listener.Close()
	for _, s := range p.srv.all() {
		if tc, ok := s.tcp.(*net.TCPConn); ok {
			tc.SetLinger(0)
		}
		s.tcp.Close()
	}
	p.close()
}

// knows tells the place where another domain is.
func (p *place) knows(domain, addr string) *place {
	p.book.mu.Lock()
	defer p.book.mu.Unlock()
	p.book.at[domain], p.book.at["muc."+domain] = addr, addr
	return p
}

// directory is the DNS of a place: where the servers of domains are, on loopback.
type directory struct {
	mu     sync.Mutex
	at     map[string]string // address by domain
	direct bool              // they all begin with TLS
}

func (d *directory) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, err := netip.ParseAddrPort(d.at[name])
	if err != nil || (service == "xmpps-server") != d.direct {
		return "", nil, errNoName
	}
	return "", []*net.SRV{{Target: at.Addr().String(), Port: at.Port()}}, nil
}

func (d *directory) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	a, err := netip.ParseAddr(host)
	if err != nil {
		return nil, errNoName
	}
	return []netip.Addr{a}, nil
}

// counted is how often an event was counted.
func (p *place) counted(name string) (n float64) {
	p.t.Helper()
	families, err := p.counts.Gather()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetValue() == name {
					n += m.GetCounter().GetValue()
				}
			}
		}
	}
	return n
}

// desk stands for the accounts of a domain: it answers pings, and says that others are not there.
type desk struct {
	route.Accounts
	domain wire.Addr
	router *route.Router
}

func (d *desk) Bound(route.Sender)                           {}
func (d *desk) Unbound(*wire.Batch, route.Sender, bool)      {}
func (d *desk) Self(*wire.Batch, route.Sender, *wire.Packet) {}
func (d *desk) Presence(*wire.Batch, route.Sender, wire.Addr, *wire.Packet) bool {
	return true
}
func (d *desk) Between(*wire.Batch, route.Sender, wire.Addr, *wire.Packet) {}
func (d *desk) ToService(*wire.Batch, route.Sender, wire.Addr, *wire.Packet) bool {
	return true
}
func (d *desk) FromService(*wire.Batch, wire.Addr, wire.Stanza) bool  { return true }
func (d *desk) Undelivered(*wire.Batch, wire.Addr, *wire.Packet) bool { return false }

func (d *desk) Handle(b *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) {
	switch {
	case p.Kind == wire.IQ && to == d.domain && p.ChildIs("ping", "urn:xmpp:ping"):
		s.Deliver(b, "", p.Result(to, nil))
	case p.Kind != wire.Presence:
		route.Refuse(b, s, p, to, errUnheardOf)
	}
}

var errUnheardOf = &wire.Error{Type: "cancel", Condition: "service-unavailable", Text: "nobody is there"}

// hall stands for rooms: it notes what comes and who is gone.
type hall struct {
	gone chan wire.Addr
	got  chan string
	hold bool

	mu       sync.Mutex
	releases []func()
}

func (h *hall) Gone(a wire.Addr) { h.gone <- a }

func (h *hall) Handle(_ *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) {
	if h.hold {
		h.mu.Lock()
		h.releases = append(h.releases, s.Hold())
		h.mu.Unlock()
	}
	if p.ChildIs("ping", "urn:xmpp:ping") {
		s.Deliver(nil, "", p.Result(to, nil))
		return
	}
	h.got <- string(p.Raw())
}

// person is a session.
type person struct {
	t     testing.TB
	at    *place
	addr  wire.Addr
	guest bool
	got   chan string
}

func (p *place) person(name string) *person {
	x := &person{t: p.t, at: p, addr: wire.Addr(name + "@" + p.domain + "/x"), got: make(chan string, 10_000)}
	if p.router.Bind(x) != nil {
		p.t.Fatal("the address is taken")
	}
	return x
}

func (x *person) Addr() wire.Addr       { return x.addr }
func (x *person) Guest() bool           { return x.guest }
func (x *person) Source() netip.Addr    { return netip.Addr{} }
func (x *person) Claims() *token.Claims { return nil }
func (x *person) Room() string          { return "" }
func (x *person) Tenant() string        { return "" }
func (x *person) Hold() func()          { return func() {} }
func (x *person) Deliver(_ *wire.Batch, to wire.Addr, s wire.Stanza) {
	if to == "" {
		to = x.addr
	}
	x.got <- string(append(wire.AppendStart(nil, s.Kind, "", to), s.Tail...))
}

// says has the session send a stanza.
func (x *person) says(stanza string) {
	x.t.Helper()
	p := scan([]byte(stanza))
	if p == nil {
		x.t.Fatalf("%s is no stanza", stanza)
	}
	var b wire.Batch
	x.at.router.Route(&b, x, p)
	b.Flush()
}

// hears wants the next stanza to hold the parts, in any order.
func (x *person) hears(parts ...string) string {
	x.t.Helper()
	select {
	case got := <-x.got:
		for _, part := range parts {
			if !strings.Contains(got, part) {
				x.t.Fatalf("%s got %s, want %q", x.addr, got, part)
			}
		}
		return got
	case <-time.After(patience):
		x.t.Fatalf("%s got nothing, want %q", x.addr, parts)
	}
	return ""
}

// hearsNothing waits a moment.
func (x *person) hearsNothing() {
	x.t.Helper()
	select {
	case got := <-x.got:
		x.t.Fatalf("%s got %s", x.addr, got)
	case <-time.After(50 * time.Millisecond):
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal(what)
		}
	}
}
