package xmpp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/bench"
)

// Messages of 200 bytes go from sessions of the server to another server, which is played here: it takes the server at its word
// (dialback that is not checked), reads, and answers pings over the same stream to who knows XEP-0288. As in messages, what has arrived lets the sender send as many.

// sink is the other server.
type sink struct {
	b     *bout
	l     net.Listener
	tls   *tls.Config
	pairs []*pair
	group sync.WaitGroup

	mu    sync.Mutex // guards conns
	conns []net.Conn
}

func (b *bout) newSink() (*sink, error) {
	cert, err := bench.Certificate()
	if err != nil {
		return nil, err
	}
	var l net.Listener
	free, stop := b.until(patience, func() bool { // another run may have the port
		l, err = net.Listen("tcp4", net.JoinHostPort(bench.Elsewhere, "5269"))
		return err == nil
	})
	if stop != nil || !free {
		return nil, errors.Join(stop, err)
	}
	return &sink{b: b, l: l, tls: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519}}}, nil
}

func (s *sink) run() {
	s.group.Go(func() {
		for {
			nc, err := s.l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, nc)
			s.mu.Unlock()
			s.group.Go(func() {
				defer nc.Close()
				if err := s.serve(nc); !errors.Is(err, errEnd) && !errors.Is(err, net.ErrClosed) {
					s.b.fail(fmt.Errorf("the stream to another server: %w", err))
				}
			})
		}
	})
}

func (s *sink) close() {
	s.l.Close()
	s.mu.Lock()
	for _, nc := range s.conns {
		nc.Close()
	}
	s.mu.Unlock()
	s.group.Wait()
}

// serve reads one connection until it ends, and says why.
func (s *sink) serve(nc net.Conn) error {
	secure := false
	c := &client{nc: nc, buf: make([]byte, 16<<10)}
	touched := make(map[*pair]struct{})
	for {
		n, el, err := c.split.next(c.buf[c.used:c.fill])
		c.used += n
		switch {
		case err == errMore:
			for p := range touched {
				p.flush()
			}
			clear(touched)
			if err := c.read(); err != nil {
				return err
			}
		case err != nil:
			return err
		case el.is("message"):
			p, err := s.pairOf(&el)
			if err != nil {
				return err
			}
			p.element(&el)
			touched[p] = struct{}{}
		case el.is("stream:stream"):
			s.greet(c, &el, secure)
		case el.is("starttls"):
			c.send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
			over := tls.Server(nc, s.tls)
			if err := over.Handshake(); err != nil {
				return err
			}
			c, secure = &client{nc: over, buf: make([]byte, 64<<10)}, true
		case el.is("db:result"):
			c.send("<db:result from='" + bench.Elsewhere + "' to='" + string(el.attr("from")) + "' type='valid'/>")
		case el.is("iq") && string(el.attr("type")) == "get":
			c.send("<iq from='" + bench.Elsewhere + "' to='" + string(el.attr("from")) + "' type='result' id='" + string(el.attr("id")) + "'/>")
		}
	}
}

func (s *sink) greet(c *client, el *element, secure bool) {
	features := "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>"
	if secure {
		features = "<bidi xmlns='urn:xmpp:features:bidi'/><dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"
	}
	c.send("<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams' id='sink' version='1.0' from='" +
		bench.Elsewhere + "' to='" + string(el.attr("from")) + "'><stream:features>" + features + "</stream:features>")
}

func (s *sink) pairOf(el *element) (*pair, error) {
	local, _, _ := strings.Cut(string(el.attr("to")), "@")
	n, err := strconv.Atoi(strings.TrimPrefix(local, "s"))
	if err != nil || n < 0 || n >= len(s.pairs) {
		return nil, fmt.Errorf("unexpected: %.300q", el.raw)
	}
	return s.pairs[n], nil
}

func (b *bout) abroad() error {
	s, err := b.newSink()
	if err != nil {
		return err
	}
	clients, err := b.sessions(b.o.Pairs, plain)
	if err != nil {
		s.l.Close()
		return err
	}
	var stop atomic.Bool
	var windows [][]byte
	for i, c := range clients {
		p := newPair(b, c, &client{jid: "s" + strconv.Itoa(i) + "@" + bench.Elsewhere + "/sink"}, &stop)
		s.pairs = append(s.pairs, p)
		b.attend(c, &handler{element: func(el *element) {
			if !el.is("presence") {
				b.fail(wrong(c, el))
			}
		}})
		windows = append(windows, p.messages(nil, b.o.Window)) // later the sink makes them
	}
	s.run()
	defer s.close()
	for i, c := range clients {
		c.write(windows[i])
	}
	sum := func(of func(p *pair) int64) (n int64) {
		for _, p := range s.pairs {
			n += of(p)
		}
		return n
	}
	count := func() int64 { return sum(func(p *pair) int64 { return p.got.Load() }) }
	if _, err := b.until(max(b.o.Patience, 30*time.Second), func() bool { return count() > 0 }); err != nil {
		return err
	}
	used, err := b.steady(count)
	if err != nil {
		return err
	}
	stop.Store(true)
	lost, err := b.settled(func() int64 { return sum(func(p *pair) int64 { return p.sent.Load() - p.got.Load() }) })
	if err != nil {
		return err
	}
	b.perSecond("to another server, 200 B", "stanzas", used, lost)
	return nil
}
