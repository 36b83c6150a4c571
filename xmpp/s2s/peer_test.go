package s2s

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"parley/xmpp/wire"
)

// peer is another server that says what the test says.
type peer struct {
	t    testing.TB
	nc   net.Conn
	buf  []byte
	scan wire.Scanner
}

func newPeer(t testing.TB, nc net.Conn) *peer {
	t.Cleanup(func() { nc.Close() })
	return &peer{t: t, nc: nc, scan: wire.Scanner{Limits: Defaults().Peer.XML, Root: "db"}}
}

// dialPeer connects to a place.
func dialPeer(t testing.TB, at *place) *peer {
	t.Helper()
	nc, err := net.DialTimeout("tcp", at.addr(), patience)
	if err != nil {
		t.Fatal(err)
	}
	return newPeer(t, nc)
}

func (p *peer) say(text string) {
	p.t.Helper()
	p.nc.SetWriteDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(p.nc, text); err != nil {
		p.t.Fatal(err)
	}
}

// read returns the next element, header or end of the stream as text; "" is the end of the connection.
func (p *peer) read() string {
	p.t.Helper()
	p.nc.SetReadDeadline(time.Now().Add(patience))
	for {
		if s := strings.TrimLeft(string(p.buf), " \n"); strings.HasPrefix(s, "<?xml") || strings.HasPrefix(s, "<stream:stream") {
			if n, _, err := wire.ParseHeader(p.buf, wire.AfterAuth); err == nil {
				h := string(p.buf[:n])
				p.buf = p.buf[n:]
				return h
			}
		} else if n, pk, err := p.scan.Next(p.buf); err == nil {
			text := string(pk.Raw())
			p.buf = p.buf[n:]
			return text
		} else if err == wire.ErrClosed {
			p.buf = p.buf[n:]
			p.scan = wire.Scanner{Limits: wire.AfterAuth, Root: "db"}
			return "</stream:stream>"
		} else if err != wire.ErrIncomplete {
			p.t.Fatalf("the server sent %q: %v", p.buf, err)
		}
		chunk := make([]byte, 64<<10)
		n, err := p.nc.Read(chunk)
		p.buf = append(p.buf, chunk[:n]...)
		if n == 0 && err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				p.t.Fatalf("nothing came; so far %q", p.buf)
			}
			return ""
		}
	}
}

func (p *peer) expect(parts ...string) string {
	p.t.Helper()
	got := p.read()
	for _, part := range parts {
		if !strings.Contains(got, part) {
			p.t.Fatalf("got %q, want %q", got, part)
		}
	}
	return got
}

// await reads until an element holds all parts.
func (p *peer) await(parts ...string) string {
	p.t.Helper()
	for {
		got := p.read()
		if got == "" {
			p.t.Fatalf("the connection ended before %q", parts)
		}
		missing := false
		for _, part := range parts {
			missing = missing || !strings.Contains(got, part)
		}
		if !missing {
			return got
		}
	}
}

// ends wants a stream error and the end of the connection.
func (p *peer) ends(condition string) {
	p.t.Helper()
	p.await("<stream:error>", "<"+condition+" ")
	p.expect("</stream:stream>")
	if got := p.read(); got != "" {
		p.t.Fatalf("after the end: %q", got)
	}
}

func header(from, to, id string) string {
	h := "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'"
	for name, value := range map[string]string{"from": from, "to": to, "id": id} {
		if value != "" {
			h += " " + name + "='" + value + "'"
		}
	}
	return h + ">"
}

// open opens a stream and returns the features.
func (p *peer) open(from, to string) string {
	p.t.Helper()
	p.say(header(from, to, ""))
	p.expect("<stream:stream", "version='1.0'", "xmlns='jabber:server'", "id='")
	return p.expect("<stream:features>")
}

// secure opens a stream with STARTTLS, showing a certificate if there is one, and returns the features behind it.
func (p *peer) secure(from, to string, cert ...tls.Certificate) string {
	p.t.Helper()
	if f := p.open(from, to); !strings.Contains(f, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/>") {
		p.t.Fatalf("features %s", f)
	}
	p.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	p.expect("<proceed")
	p.tls(tls.Client(p.nc, &tls.Config{InsecureSkipVerify: true, ServerName: to, Certificates: cert}))
	return p.open(from, to)
}

func (p *peer) tls(over *tls.Conn) {
	p.t.Helper()
	over.SetDeadline(time.Now().Add(patience))
	if err := over.Handshake(); err != nil {
		p.t.Fatal(err)
	}
	p.nc, p.buf, p.scan = over, nil, wire.Scanner{Limits: Defaults().Peer.XML, Root: "db"}
}

// external logs in by certificate and opens the stream again.
func (p *peer) external(from, to string) string {
	p.t.Helper()
	p.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>")
	p.expect("<success")
	return p.open(from, to)
}

// trusted is a peer that the place takes for a domain.
func trusted(t testing.TB, at *place, ca *authority, domain string) *peer {
	t.Helper()
	p := dialPeer(t, at)
	if f := p.secure(domain, at.domain, ca.issue(t, []string{domain})); !strings.Contains(f, "<mechanism>EXTERNAL</mechanism>") {
		t.Fatalf("features %s", f)
	}
	p.external(domain, at.domain)
	return p
}

// spot is where a place finds a peer that listens.
type spot struct {
	t    testing.TB
	l    net.Listener
	cert tls.Certificate
}

func newSpot(t testing.TB, cert tls.Certificate) *spot {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &spot{t, l, cert}
}

func (s *spot) addr() string { return s.l.Addr().String() }

// accept takes a connection up to the stream behind TLS, whose features it offers, and returns the id that it gave it.
func (s *spot) accept(domain, features string) (p *peer, id string) {
	s.t.Helper()
	s.l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	nc, err := s.l.Accept()
	if err != nil {
		s.t.Fatal(err)
	}
	p = newPeer(s.t, nc)
	p.expect("<stream:stream", "to='"+domain)
	p.say(header(domain, "", "plain") + "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>")
	p.expect("<starttls")
	p.say("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	p.tls(tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{s.cert}, ClientAuth: tls.RequestClientCert}))
	p.answer(domain, "secure", features)
	return p, "secure"
}

// answer is a header and features in answer to a header.
func (p *peer) answer(domain, id, features string) {
	p.t.Helper()
	p.expect("<stream:stream")
	p.say(header(domain, "", id) + "<stream:features>" + features + "</stream:features>")
}

const offersExternal = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>"

// established accepts a stream and lets it authenticate by certificate; features come after that.
func (s *spot) established(domain, features string) *peer {
	s.t.Helper()
	p, _ := s.accept(domain, offersExternal)
	p.expect("<auth", "EXTERNAL")
	p.say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
	p.answer(domain, "known", features)
	return p
}
