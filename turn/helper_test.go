package turn

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	crand "crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/pion/logging"
	pturn "github.com/pion/turn/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"parley/internal/event"
	"parley/internal/stun"
)

func TestMain(m *testing.M) {
	if os.Getenv(benchmarkServer) != "" {
		serveBenchmark()
		return
	}
	goleak.VerifyTestMain(m)
}

const (
	testSecret = "a secret of the tests, 32 bytes or more"
	testRealm  = "parley.example"
	patience   = 5 * time.Second        // for what has to come
	silence    = 150 * time.Millisecond // for what must not come
)

var loopback = netip.MustParseAddr("127.0.0.1")

// testServer serves UDP, TCP and TLS on loopback, and makes its relays there.
type testServer struct {
	*Server
	addrs map[string]netip.AddrPort // by network: "udp", "tcp", "tls"
	reg   *prometheus.Registry
}

func testConfig() Config {
	cfg := Default()
	cfg.Realm, cfg.Secret, cfg.Relays, cfg.RelayPorts = testRealm, testSecret, []Relay{{Public: loopback}}, PortRange{}
	return cfg
}

// listen binds the sockets of a test server.
func listen(t testing.TB) (l Listeners, addrs map[string]netip.AddrPort) {
	t.Helper()
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addrs = map[string]netip.AddrPort{"udp": addrPort(udp.LocalAddr()), "tcp": addrPort(tcp.Addr()), "tls": addrPort(secure.Addr())}
	config, _ := certificate()
	return Listeners{[]net.PacketConn{udp}, []net.Listener{tcp, tls.NewListener(secure, config)}}, addrs
}

// start starts a server that ends with the test.
func start(t testing.TB, edit func(*Config)) *testServer {
	t.Helper()
	l, addrs := listen(t)
	return startOn(t, l, addrs, edit)
}

func startOn(t testing.TB, l Listeners, addrs map[string]netip.AddrPort, edit func(*Config)) *testServer {
	t.Helper()
	cfg := testConfig()
	if edit != nil {
		edit(&cfg)
	}
	reg := prometheus.NewRegistry()
	s, err := New(cfg, l, event.New(slog.New(slog.NewTextHandler(io.Discard, nil)), reg, false), reg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &testServer{s, addrs, reg}
}

// certificate is a certificate of the tests for localhost and 127.0.0.1, and who believes it.
var certificate = sync.OnceValues(func() (*tls.Config, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{loopback.AsSlice()},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(crand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, pool
})

// dial connects to a server's listener from a local address, which may be empty.
func (s *testServer) dial(t testing.TB, network, from string) net.Conn {
	t.Helper()
	d := net.Dialer{Timeout: patience}
	inner := network
	if network == "tls" {
		inner = "tcp"
	}
	if from != "" && inner == "udp" {
		d.LocalAddr = &net.UDPAddr{IP: net.ParseIP(from)}
	} else if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	conn, err := d.Dial(inner, s.addrs[network].String())
	if err != nil {
		t.Fatal(err)
	}
	if network == "tls" {
		_, pool := certificate()
		conn = tls.Client(conn, &tls.Config{RootCAs: pool, ServerName: "localhost"})
	}
	t.Cleanup(func() { hangUp(conn) })
	return conn
}

// counted returns how often an event has been counted.
func (s *testServer) counted(t testing.TB, event string) int {
	t.Helper()
	return int(s.metric(t, "parley_reject_total", event))
}

// metric returns the value of a metric, of the one with a label of that value if there is one.
func (s *testServer) metric(t testing.TB, name, label string) float64 {
	t.Helper()
	families, err := s.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || len(m.GetLabel()) > 0 && m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %v: not %s", patience, what)
		}
	}
}

// client is a pion client with its relayed address.
type client struct {
	*pturn.Client
	relay net.PacketConn
}

// connect makes an allocation with a pion client.
func (s *testServer) connect(t testing.TB, network, user string) *client {
	t.Helper()
	c, err := s.tryConnect(t, network, user)
	if err != nil {
		t.Fatalf("%s over %s: %v", user, network, err)
	}
	return c
}

func (s *testServer) tryConnect(t testing.TB, network, user string) (*client, error) {
	t.Helper()
	var conn net.PacketConn
	var err error
	if network == "udp" {
		conn, err = net.ListenPacket("udp4", "127.0.0.1:0")
	} else {
		conn = pturn.NewSTUNConn(s.dial(t, network, ""))
	}
	if err != nil {
		t.Fatal(err)
	}
	username, password := Credentials(testSecret, user, time.Hour, time.Now())
	p, err := pturn.NewClient(&pturn.ClientConfig{
		TURNServerAddr: s.addrs[network].String(), Conn: conn, Username: username, Password: password,
		LoggerFactory: &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(); conn.Close() })
	relay, err := p.Allocate()
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { relay.Close() })
	return &client{p, relay}, nil
}

// expect reads one datagram from a connection and compares it.
func expect(t testing.TB, conn net.PacketConn, want string) net.Addr {
	t.Helper()
	b := make([]byte, 4096)
	conn.SetReadDeadline(time.Now().Add(patience))
	n, from, err := conn.ReadFrom(b)
	if err != nil || string(b[:n]) != want {
		t.Fatalf("got %q, %v; want %q", b[:n], err, want)
	}
	return from
}

// expectNothing reports what arrives although nothing must.
func expectNothing(t testing.TB, conn net.PacketConn) {
	t.Helper()
	b := make([]byte, 4096)
	conn.SetReadDeadline(time.Now().Add(silence))
	if n, from, err := conn.ReadFrom(b); err == nil {
		t.Fatalf("got %q from %v", b[:n], from)
	}
}

// peerSocket is a UDP socket on loopback that is no relay.
func peerSocket(t testing.TB) net.PacketConn {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// rawClient writes every message itself, so that it can be wrong in any way.
type rawClient struct {
	net.Conn
	t                  testing.TB
	stream             bool
	username, password string
	realm, nonce       string
	have               []byte // of a stream
	last               int    // bytes of the last answer
}

func (s *testServer) raw(t testing.TB, network, user string) *rawClient {
	t.Helper()
	return s.rawFrom(t, network, user, "")
}

func (s *testServer) rawFrom(t testing.TB, network, user, from string) *rawClient {
	t.Helper()
	c := &rawClient{Conn: s.dial(t, network, from), t: t, stream: network != "udp"}
	c.username, c.password = Credentials(testSecret, user, time.Hour, time.Now())
	return c
}

func (c *rawClient) key() []byte { return longTermKey(c.username, c.realm, c.password) }

func (c *rawClient) send(b []byte) {
	c.t.Helper()
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// receive returns the next message or ChannelData, nil if none comes in time or the connection ends.
func (c *rawClient) receive(wait time.Duration) []byte {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(wait))
	for {
		if n, _ := stun.Frame(c.have); c.stream && n > 0 && n <= len(c.have) {
			frame := bytes.Clone(c.have[:n])
			c.have = c.have[n:]
			return frame
		}
		b := make([]byte, 4096)
		n, err := c.Read(b)
		if err != nil {
			return nil
		}
		if !c.stream {
			return b[:n]
		}
		c.have = append(c.have, b[:n]...)
	}
}

// wantClosed reports what comes, or that the server does not close the connection in time.
func (c *rawClient) wantClosed() {
	c.t.Helper()
	began := time.Now()
	if b := c.receive(patience); b != nil || time.Since(began) >= patience {
		c.t.Errorf("got %x after %v, want the end of the connection", b, time.Since(began))
	}
}

// begin begins a message.
func begin(m stun.Method, class stun.Class, id stun.ID) []byte {
	w := stun.Write(nil, m, class, id)
	return w.Buffer()
}

// attr appends something to a message, which need not be one, and sets its length.
type attr func(b []byte) []byte

func with(t stun.Attr, v []byte) attr {
	return func(b []byte) []byte {
		b = binary.BigEndian.AppendUint16(b, uint16(t))
		b = binary.BigEndian.AppendUint16(b, uint16(len(v)))
		b = append(b, v...)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)-20))
		return b
	}
}

func with32(t stun.Attr, v uint32) attr {
	return with(t, binary.BigEndian.AppendUint32(nil, v))
}

func withPeer(a string) attr {
	return func(b []byte) []byte {
		w := stun.Write(nil, 0, 0, stun.ID(b[8:20]))
		w.Addr(stun.XORPeerAddress, netip.MustParseAddrPort(a))
		return with(stun.XORPeerAddress, w.Buffer()[24:])(b)
	}
}

var withUDP = with32(stun.RequestedTransport, udp<<24)

// write writes a message without or, with a nonce, with a proof.
func (c *rawClient) write(m stun.Method, class stun.Class, id stun.ID, attrs ...attr) []byte {
	b := begin(m, class, id)
	for _, a := range attrs {
		b = a(b)
	}
	if c.nonce == "" || class != stun.Request {
		return b
	}
	return sign(b, c.username, c.realm, c.nonce, c.key())
}

// sign appends to a message, which need not be one, what proves the user (RFC 8489 §9.2.3).
func sign(b []byte, username, realm, nonce string, key []byte) []byte {
	b = with(stun.Username, []byte(username))(b)
	b = with(stun.Realm, []byte(realm))(b)
	b = with(stun.Nonce, []byte(nonce))(b)
	at := len(b)
	b = with(stun.MessageIntegrity, make([]byte, sha1.Size))(b)
	mac := hmac.New(sha1.New, key)
	mac.Write(b[:at])
	mac.Sum(b[:at+4])
	return b
}

func newID() (id stun.ID) {
	crand.Read(id[:])
	return id
}

// ask sends bytes and returns the answer to the transaction; one without a code and class Request if none comes.
func (c *rawClient) ask(b []byte, wait time.Duration) (m stun.Message) {
	c.t.Helper()
	c.send(b)
	for end := time.Now().Add(wait); ; {
		answer := c.receive(time.Until(end))
		if answer == nil {
			return stun.Message{}
		}
		if m.Parse(answer, stun.TURN) == nil && bytes.Equal(m.ID[:], b[8:20]) {
			c.last = len(answer)
			return m
		}
	}
}

// request sends a request as a client does: when asked for a proof it repeats it with one. It returns the code of the
// answer, 0 for success, and checks that the answer is signed.
func (c *rawClient) request(m stun.Method, attrs ...attr) (code int, answer stun.Message) {
	c.t.Helper()
	for range 3 {
		answer = c.ask(c.write(m, stun.Request, newID(), attrs...), patience)
		if answer.Class != stun.Success && answer.Class != stun.Failure {
			c.t.Fatalf("method %#x is not answered", m)
		}
		if answer.Code == 401 && c.nonce != "" || answer.Code != 401 && answer.Code != 438 {
			break
		}
		c.realm, c.nonce = string(answer.Realm), string(answer.Nonce)
	}
	if answer.Code != 401 && answer.Code != 438 && !stun.NewKey(c.key()).Made(&answer) {
		c.t.Errorf("the answer %d to method %#x is not signed", answer.Code, m)
	}
	return answer.Code, answer
}

// allocate makes an allocation and returns the relayed address.
func (c *rawClient) allocate(attrs ...attr) netip.AddrPort {
	c.t.Helper()
	code, answer := c.request(stun.Allocate, append(attrs, withUDP)...)
	if code != 0 {
		c.t.Fatalf("allocate: %d", code)
	}
	return answer.Relayed
}

// must sends a request that has to succeed.
func (c *rawClient) must(m stun.Method, attrs ...attr) stun.Message {
	c.t.Helper()
	code, answer := c.request(m, attrs...)
	if code != 0 {
		c.t.Fatalf("method %#x: %d", m, code)
	}
	return answer
}

// want sends a request and compares the code.
func (c *rawClient) want(code int, m stun.Method, attrs ...attr) {
	c.t.Helper()
	if got, _ := c.request(m, attrs...); got != code {
		c.t.Errorf("method %#x: %d, want %d", m, got, code)
	}
}

// indicate sends a Send indication.
func (c *rawClient) indicate(peer net.Addr, data string) {
	c.t.Helper()
	c.send(c.write(stun.Send, stun.Indication, newID(), withPeer(peer.String()), with(stun.Data, []byte(data))))
}
