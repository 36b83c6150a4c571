package xmpp

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"parley/internal/bench"
)

// patience is how long a server may take to answer.
const patience = 60 * time.Second

// client is a connection to a server. While it logs in, one goroutine asks and reads; after listen, a goroutine of its
// own reads and hands what comes to the handler of the moment.
type client struct {
	nc     net.Conn
	buf    []byte // read and not used: buf[:fill], used up to used
	used   int
	fill   int
	split  splitter
	jid    string // as bound
	domain string

	counts bool   // the server keeps what is not acknowledged (XEP-0198)
	heard  uint32 // stanzas that came since then; of the goroutine that reads

	on      atomic.Pointer[handler]
	closing atomic.Bool
	over    chan struct{} // closed when the reading goroutine has ended
}

// handler is told each element, and, when all that had come is worked off, that this is so: the moment to write.
type handler struct {
	element func(el *element)
	done    func()
}

// source is the loopback address that the i-th connection comes from: one address has 28,000 ports, fewer than what
// logins use up in the minute that the kernel keeps them. A server that is not at loopback is called from where the
// kernel wants.
func source(i int, server string) net.Addr {
	if a, err := netip.ParseAddrPort(server); err != nil || !a.Addr().IsLoopback() {
		return nil
	}
	return &net.TCPAddr{IP: net.IPv4(127, 0, byte(1+i/200%200), byte(1+i%200))}
}

// dial connects; nothing is sent yet but the TLS handshake.
func dial(ctx context.Context, s *bench.Server, i int, secure bool) (*client, error) {
	addr := s.Plain
	if secure {
		addr = s.TLS
	}
	d := net.Dialer{Timeout: patience, LocalAddr: source(i, addr)}
	nc, err := d.DialContext(ctx, "tcp4", addr)
	if err != nil {
		return nil, err
	}
	nc.SetDeadline(time.Now().Add(patience))
	if secure {
		// The servers shall do the same work: OpenSSL has no hybrid key exchange before 3.5.
		tc := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, ServerName: s.Domain, MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519}})
		if err := tc.HandshakeContext(ctx); err != nil {
			nc.Close()
			return nil, err
		}
		nc = tc
	}
	return &client{nc: nc, buf: make([]byte, 2<<10), domain: s.Domain, over: make(chan struct{})}, nil
}

var errNotOffered = errors.New("the server does not offer it")

// born counts sessions. It begins where the number keeps its length, so that all stanzas are of the same size.
var born atomic.Int64

func init() { born.Store(100_000) }

// login makes the i-th session: it connects, logs in as the i-th account and binds. No two sessions have the same
// resource, so that nobody gets the last words to another.
func login(ctx context.Context, s *bench.Server, i int, secure bool, mech string) (*client, error) {
	c, err := dial(ctx, s, i, secure)
	if err != nil {
		return nil, err
	}
	if err := c.login(s, i, mech); err != nil {
		c.nc.Close()
		return nil, fmt.Errorf("login of %s: %w", s.Users.Name(i), err)
	}
	c.nc.SetDeadline(time.Time{})
	return c, nil
}

func (c *client) login(s *bench.Server, i int, mech string) error {
	features, err := c.open()
	if err != nil {
		return err
	}
	if !features.has(">" + mech + "<") {
		return fmt.Errorf("%s: %w", mech, errNotOffered)
	}
	x, first := mechanisms[mech].first(s.Users.Name(i), s.Users.Password)
	c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='" + mech + "'>" + base64.StdEncoding.EncodeToString([]byte(first)) + "</auth>")
	challenge, err := c.sasl("challenge")
	if err != nil {
		return err
	}
	final, err := x.final(challenge)
	if err != nil {
		return err
	}
	c.send("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + base64.StdEncoding.EncodeToString([]byte(final)) + "</response>")
	success, err := c.sasl("success")
	if err != nil {
		return err
	}
	if err := x.verify(success); err != nil {
		return err
	}
	if _, err := c.open(); err != nil {
		return err
	}
	c.send("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>b" + strconv.FormatInt(born.Add(1), 10) + "</resource></bind></iq>")
	el, err := c.next()
	if err != nil {
		return err
	}
	c.jid = string(el.between("<jid>", "</jid>"))
	if c.jid == "" {
		return fmt.Errorf("bind: %q", el.raw)
	}
	return nil
}

// open opens the stream and returns the features.
func (c *client) open() (element, error) {
	c.send("<?xml version='1.0'?><stream:stream to='" + c.domain + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>")
	el, err := c.next()
	if err != nil {
		return el, err
	}
	if !el.is("stream:stream") {
		return el, fmt.Errorf("wanted the stream's start, got %q", el.raw)
	}
	if el, err = c.next(); err == nil && !el.is("stream:features") {
		err = fmt.Errorf("wanted the stream's features, got %q", el.raw)
	}
	return el, err
}

func (c *client) sasl(want string) (string, error) {
	el, err := c.next()
	if err != nil {
		return "", err
	}
	if !el.is(want) {
		return "", fmt.Errorf("wanted %s, got %q", want, el.raw)
	}
	b, err := base64.StdEncoding.DecodeString(string(el.between(">", "<")))
	return string(b), err
}

// send writes; the error is left to the reader, who learns of the end of the connection as well.
func (c *client) send(text string) { c.write([]byte(text)) }

func (c *client) write(b []byte) { c.nc.Write(b) }

// next reads the next element. Only the goroutine that reads calls it.
func (c *client) next() (element, error) {
	for {
		n, el, err := c.split.next(c.buf[c.used:c.fill])
		c.used += n
		if err != errMore {
			return el, err
		}
		if err := c.read(); err != nil {
			return element{}, err
		}
	}
}

// read reads what is there. Elements that were returned are gone.
func (c *client) read() error {
	if c.used > 0 {
		c.fill = copy(c.buf, c.buf[c.used:c.fill])
		c.used = 0
	}
	if c.fill == len(c.buf) {
		c.buf = append(c.buf, make([]byte, len(c.buf))...)
	}
	n, err := c.nc.Read(c.buf[c.fill:])
	c.fill += n
	if n > 0 {
		return nil
	}
	return err
}

// iq sends an IQ to the address, the server itself if empty, and waits for its result. Only before listen.
func (c *client) iq(to, typ, payload string) error {
	addr := ""
	if to != "" {
		addr = " to='" + to + "'"
	}
	c.send("<iq" + addr + " type='" + typ + "' id='ask'>" + payload + "</iq>")
	return c.await(func(el *element) (bool, error) {
		if !el.is("iq") || string(el.attr("id")) != "ask" {
			return false, nil
		}
		if string(el.attr("type")) != "result" {
			return false, fmt.Errorf("answered by %q", el.raw)
		}
		return true, nil
	})
}

// await reads until the function has seen what it wants.
func (c *client) await(f func(el *element) (bool, error)) error {
	c.nc.SetReadDeadline(time.Now().Add(patience))
	defer c.nc.SetReadDeadline(time.Time{})
	for {
		el, err := c.next()
		if err != nil {
			return err
		}
		if c.answered(&el) {
			continue
		}
		if ok, err := f(&el); ok || err != nil {
			return err
		}
	}
}

const nsResumption = "urn:xmpp:sm:3"

// enable asks the server to keep the session when its connection breaks (XEP-0198 §3). Only before listen.
func (c *client) enable() error {
	c.send("<enable xmlns='" + nsResumption + "' resume='true'/>")
	return c.await(func(el *element) (bool, error) {
		if el.is("failed") {
			return false, fmt.Errorf("resumption: %q", el.raw)
		}
		if !el.is("enabled") {
			return false, nil
		}
		if may := string(el.attr("resume")); may != "true" && may != "1" {
			return false, fmt.Errorf("resumption: %q", el.raw)
		}
		c.counts = true
		return true, nil
	})
}

// counted counts a stanza, or answers the server's request for the count (XEP-0198 §4).
func (c *client) counted(el *element) (done bool) {
	if el.is("r") {
		c.send("<a xmlns='" + nsResumption + "' h='" + strconv.FormatUint(uint64(c.heard), 10) + "'/>")
		return true
	}
	if el.is("message") || el.is("presence") || el.is("iq") {
		c.heard++
	}
	return false
}

// answered answers a server that asks for the count of stanzas, or whether we are there (XEP-0199), as some do in rooms
// and after silence.
func (c *client) answered(el *element) bool {
	if c.counts && c.counted(el) {
		return true
	}
	if !el.is("iq") || string(el.attr("type")) != "get" {
		return false
	}
	to := ""
	if from := el.attr("from"); from != nil {
		to = " to='" + string(from) + "'"
	}
	c.send("<iq type='result' id='" + string(el.attr("id")) + "'" + to + "/>")
	return true
}

var quiet = &handler{element: func(*element) {}, done: func() {}}

// listen starts the reading goroutine. Fail is told of an end of the connection that nobody here wanted.
func (c *client) listen(h *handler, fail func(error)) {
	c.handle(h)
	go func() {
		defer close(c.over)
		for {
			n, el, err := c.split.next(c.buf[c.used:c.fill])
			c.used += n
			switch err {
			case nil:
				if !c.answered(&el) {
					c.on.Load().element(&el)
				}
				continue
			case errMore:
				c.on.Load().done()
				err = c.read()
			}
			if err != nil {
				if !c.closing.Load() {
					fail(fmt.Errorf("%s: the connection ended: %w", c.jid, err))
				}
				return
			}
		}
	}()
}

// handle sets who is told what comes from now on.
func (c *client) handle(h *handler) {
	if h.done == nil {
		h.done = func() {}
	}
	c.on.Store(h)
}

// close ends the stream as RFC 6120 §4.4 wants and does not wait for the server.
func (c *client) close() {
	c.closing.Store(true)
	c.nc.SetDeadline(time.Now().Add(time.Second))
	c.send("</stream:stream>")
	c.nc.Close()
}
