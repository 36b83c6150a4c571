package peertest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"parley/xmpp/wire"

	"mellium.im/sasl"
)

// Patience is how long a test waits for what must come.
const Patience = 30 * time.Second

// Client is an XMPP client that says what the test says, over TCP, TLS, WebSocket or BOSH. A method that gets something else
// than the test wants fails the test.
type Client struct {
	T    testing.TB
	Conn net.Conn // nil over BOSH
	Host string   // the host it logs in to
	JID  string   // its full address, once bound
	WS   bool     // elements are WebSocket messages

	r    *bufio.Reader
	scan wire.Scanner
	buf  []byte
	bosh *bosh
}

// Dial opens a TCP connection.
func Dial(t testing.TB, addr, host string) *Client {
	t.Helper()
	return DialFrom(t, "", addr, host)
}

// DialFrom is Dial from this local address, which is how limits per source tell clients on one machine apart.
func DialFrom(t testing.TB, source, addr, host string) *Client {
	t.Helper()
	d := net.Dialer{Timeout: Patience}
	if source != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(source)}
	}
	nc, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return &Client{T: t, Conn: nc, Host: host, r: bufio.NewReader(nc), scan: wire.Scanner{Limits: wire.AfterAuth}}
}

// DialTLS opens a TCP connection with TLS of exactly this version. The certificate is not checked.
func DialTLS(t testing.TB, addr, host string, version uint16) *Client {
	t.Helper()
	p := Dial(t, addr, host)
	p.Secure(version)
	return p
}

// DialWS opens a WebSocket; target is the path with its query. Headers are lines without line end.
func DialWS(t testing.TB, addr, host, target string, headers ...string) *Client {
	t.Helper()
	p := Dial(t, addr, host)
	p.WS = true
	res := p.Upgrade(target, headers...)
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("the server answers %s", res.Status)
	}
	return p
}

// Upgrade asks for a WebSocket and returns the answer.
func (p *Client) Upgrade(target string, headers ...string) *http.Response {
	p.T.Helper()
	req := "GET " + target + " HTTP/1.1\r\nHost: " + p.Conn.RemoteAddr().String() + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	if !strings.Contains(strings.Join(headers, "\r\n"), "Sec-WebSocket-Protocol") {
		req += "Sec-WebSocket-Protocol: xmpp\r\n"
	}
	for _, h := range headers {
		req += h + "\r\n"
	}
	p.Raw(req + "\r\n")
	p.Conn.SetReadDeadline(time.Now().Add(Patience))
	res, err := http.ReadResponse(p.r, nil)
	if err != nil {
		p.T.Fatal(err)
	}
	return res
}

// Secure puts TLS of exactly this version on the connection.
func (p *Client) Secure(version uint16) {
	p.T.Helper()
	tc := tls.Client(p.Conn, &tls.Config{InsecureSkipVerify: true, ServerName: p.Host, MinVersion: version, MaxVersion: version})
	if err := tc.Handshake(); err != nil {
		p.T.Fatal(err)
	}
	p.Conn, p.r = tc, bufio.NewReader(tc)
}

// SecureAs puts TLS on the connection and shows a certificate, as servers do. What it is shown is not checked.
func (p *Client) SecureAs(show ...tls.Certificate) {
	p.T.Helper()
	tc := tls.Client(p.Conn, &tls.Config{InsecureSkipVerify: true, ServerName: p.Host, MinVersion: tls.VersionTLS12, Certificates: show})
	if err := tc.Handshake(); err != nil {
		p.T.Fatal(err)
	}
	p.Conn, p.r = tc, bufio.NewReader(tc)
}

// StartTLS opens the stream and upgrades it (RFC 6120 §5).
func (p *Client) StartTLS(version uint16) {
	p.T.Helper()
	if f := p.Open(); !strings.Contains(f, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>") {
		p.T.Fatalf("no STARTTLS in %s", f)
	}
	p.Send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	p.Expect("<proceed")
	p.Secure(version)
}

// Drop ends the connection without a farewell; over BOSH nobody asks any more.
func (p *Client) Drop() {
	if p.bosh != nil {
		p.bosh.close()
		return
	}
	p.Conn.Close()
}

// Raw writes bytes.
func (p *Client) Raw(s string) {
	p.T.Helper()
	p.Conn.SetWriteDeadline(time.Now().Add(Patience))
	if _, err := io.WriteString(p.Conn, s); err != nil {
		p.T.Fatal(err)
	}
}

// Send sends elements; over WebSocket each is a message.
func (p *Client) Send(elements ...string) {
	p.T.Helper()
	for _, e := range elements {
		if p.bosh != nil {
			p.bosh.send(e)
			continue
		}
		if p.WS {
			e = string(Frame(0x81, []byte(e)))
		}
		p.Raw(e)
	}
}

// Frame returns a masked WebSocket frame; first is its first byte.
func Frame(first byte, payload []byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := [4]byte{1, 2, 3, 4}
	b = append(b, mask[:]...)
	for i, c := range payload {
		b = append(b, c^mask[i&3])
	}
	return b
}

// Read reads the next element as text; "" is the end of the connection.
func (p *Client) Read() string {
	p.T.Helper()
	return p.ReadWithin(Patience)
}

// ReadWithin is Read with another patience.
func (p *Client) ReadWithin(d time.Duration) string {
	p.T.Helper()
	if p.bosh != nil {
		e, ok := p.bosh.read(d)
		if !ok {
			p.T.Fatalf("%s: nothing came", p.JID)
		}
		return e
	}
	p.Conn.SetReadDeadline(time.Now().Add(d))
	if p.WS {
		return p.readFrame()
	}
	for {
		if b := bytes.TrimLeft(p.buf, " \n"); bytes.HasPrefix(b, []byte("<?xml")) || bytes.HasPrefix(b, []byte("<stream:stream")) {
			if n, header, err := wire.ParseHeader(p.buf, wire.AfterAuth); err == nil {
				h := string(p.buf[:n])
				p.buf = p.buf[n:]
				p.scan.Root = header.Dialback
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
			p.T.Fatalf("server sent %q: %v", p.buf, err)
		}
		chunk := make([]byte, 64<<10)
		n, err := p.r.Read(chunk)
		p.buf = append(p.buf, chunk[:n]...)
		if n == 0 && err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				p.T.Fatalf("%s: nothing came; so far %q", p.JID, p.buf)
			}
			return ""
		}
	}
}

func (p *Client) readFrame() string {
	p.T.Helper()
	var h [10]byte
	if _, err := io.ReadFull(p.r, h[:2]); err != nil {
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			p.T.Fatalf("%s: nothing came", p.JID)
		}
		return ""
	}
	n := int(h[1])
	switch n {
	case 126:
		io.ReadFull(p.r, h[:2])
		n = int(binary.BigEndian.Uint16(h[:]))
	case 127:
		io.ReadFull(p.r, h[:8])
		n = int(binary.BigEndian.Uint64(h[:]))
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(p.r, b); err != nil {
		return ""
	}
	return string(b)
}

// Expect reads the next element and wants it to hold each of the parts.
func (p *Client) Expect(parts ...string) string {
	p.T.Helper()
	got := p.Read()
	for _, want := range parts {
		if !strings.Contains(got, want) {
			p.T.Fatalf("%s: got %q, want %q", p.JID, got, want)
		}
	}
	return got
}

// Await reads until an element holds all of the parts.
func (p *Client) Await(parts ...string) string {
	p.T.Helper()
	for {
		got := p.Read()
		if got == "" {
			p.T.Fatalf("%s: the connection ended before %q came", p.JID, parts)
		}
		missing := false
		for _, want := range parts {
			missing = missing || !strings.Contains(got, want)
		}
		if !missing {
			return got
		}
	}
}

// ExpectEnd wants the stream error, unless it is "", and the end of the stream.
func (p *Client) ExpectEnd(condition string) {
	p.T.Helper()
	if condition != "" {
		p.Expect("stream:error", "<"+condition+" ")
	}
	if p.WS {
		p.Expect("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")
		p.Read() // the close frame
	} else {
		p.Expect("</stream:stream>")
	}
	if got := p.Read(); got != "" {
		p.T.Fatalf("after the end: %q", got)
	}
}

// Header returns the start of a stream.
func (p *Client) Header() string {
	if p.WS {
		return "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='" + p.Host + "' version='1.0'/>"
	}
	return "<?xml version='1.0'?><stream:stream to='" + p.Host + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
}

// Open opens the stream and returns the features.
func (p *Client) Open() string {
	p.T.Helper()
	if p.bosh != nil {
		p.bosh.open()
		return p.Expect("<stream:features")
	}
	p.Send(p.Header())
	p.Expect("from='"+p.Host+"'", "version='1.0'")
	return p.Expect("<stream:features")
}

// Login opens the stream, logs in, as a guest if user is "", and opens the stream again. It does not bind.
func (p *Client) Login(user, password string) {
	p.T.Helper()
	p.Open()
	p.Authenticate(user, password)
	p.Open()
}

// Authenticate logs in on an open stream.
func (p *Client) Authenticate(user, password string) {
	p.T.Helper()
	if user == "" {
		p.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
		p.Expect("<success")
		return
	}
	p.scram(user, password)
}

// scram logs in by SCRAM-SHA-256 with another project's client.
func (p *Client) scram(user, password string) {
	p.T.Helper()
	n := sasl.NewClient(sasl.ScramSha256, sasl.Credentials(func() ([]byte, []byte, []byte) { return []byte(user), []byte(password), nil }))
	_, first, err := n.Step(nil)
	if err != nil {
		p.T.Fatal(err)
	}
	p.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>" + base64.StdEncoding.EncodeToString(first) + "</auth>")
	_, proof, err := n.Step(p.content(p.Expect("<challenge")))
	if err != nil {
		p.T.Fatal(err)
	}
	p.Send("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + base64.StdEncoding.EncodeToString(proof) + "</response>")
	if more, _, err := n.Step(p.content(p.Expect("<success"))); err != nil || more {
		p.T.Fatal("the server's signature is wrong: ", err)
	}
}

func (p *Client) content(element string) []byte {
	p.T.Helper()
	_, s, _ := strings.Cut(element, ">")
	s, _, _ = strings.Cut(s, "<")
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		p.T.Fatalf("%s: %v", element, err)
	}
	return b
}

// Bind binds a resource, one of the server's choice if it is "", and returns the client.
func (p *Client) Bind(resource string) *Client {
	p.T.Helper()
	inner := ""
	if resource != "" {
		inner = "<resource>" + resource + "</resource>"
	}
	p.Send("<iq xmlns='jabber:client' type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>" + inner + "</bind></iq>")
	got := p.Expect("type='result'", "<jid>")
	p.JID = got[strings.Index(got, "<jid>")+5 : strings.Index(got, "</jid>")]
	return p
}

// Ping asks the server for a sign of life and reads until it comes.
func (p *Client) Ping() {
	p.T.Helper()
	p.Send("<iq xmlns='jabber:client' type='get' to='" + p.Host + "' id='ping-test'><ping xmlns='urn:xmpp:ping'/></iq>")
	p.Await("id='ping-test'", "type='result'")
}

// Attr returns the value of the first attribute of this name in the text of an element.
func Attr(element, name string) string {
	_, s, _ := strings.Cut(element, " "+name+"='")
	s, _, ok := strings.Cut(s, "'")
	if !ok {
		return ""
	}
	return s
}

// CloseCode reads frames until the close frame of a WebSocket and returns its code; 0 means that there was none.
func (p *Client) CloseCode() uint16 {
	p.T.Helper()
	p.Conn.SetReadDeadline(time.Now().Add(Patience))
	for {
		first, err := p.r.Peek(4)
		if err != nil {
			return 0
		}
		if first[0] == 0x88 {
			return binary.BigEndian.Uint16(first[2:])
		}
		if p.readFrame() == "" {
			return 0
		}
	}
}
