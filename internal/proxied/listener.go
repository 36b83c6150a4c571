package proxied

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	patience = 5 * time.Second // for a header
	most     = 1024            // connections whose header is waited for
)

// Events is told of what is refused: connections of balancers without a header.
type Events interface {
	Reject(name, source string, attrs ...any)
}

// Listen wraps a TCP listener. A connection from one of the balancers is accepted when its header has come, and has the address that
// is in it as its remote one. Close waits for everything that Listen has started.
func Listen(l net.Listener, balancers []netip.Prefix, events Events) net.Listener {
	p := &listener{Listener: l, balancers: balancers, events: events, ready: make(chan net.Conn), failed: make(chan error), free: make(chan struct{}, most)}
	p.open, p.end = context.WithCancel(context.Background())
	p.group.Go(p.run)
	return p
}

type listener struct {
	net.Listener
	balancers []netip.Prefix
	events    Events
	ready     chan net.Conn
	failed    chan error    // what Accept said, for who asks next
	free      chan struct{} // places for those whose header is waited for
	open      context.Context
	end       func()
	group     sync.WaitGroup
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case err := <-l.failed:
		return nil, err
	case <-l.open.Done():
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.end()
	err := l.Listener.Close()
	l.group.Wait()
	return err
}

func (l *listener) run() {
	for {
		c, err := l.Listener.Accept()
		if err != nil { // such as too many open files, which passes: who accepts knows what to do
			select {
			case l.failed <- err:
				continue
			case <-l.open.Done():
				return
			}
		}
		from := addr(c)
		tcp, ok := c.(*net.TCPConn)
		if !ok || !l.balancer(from) {
			l.hand(c)
			continue
		}
		select {
		case l.free <- struct{}{}:
		default:
			l.events.Reject("proxy.busy", from.String())
			c.Close()
			continue
		}
		l.group.Go(func() {
			defer func() { <-l.free }()
			l.header(tcp, from)
		})
	}
}

func (l *listener) balancer(a netip.Addr) bool {
	for _, p := range l.balancers {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// header takes the header of a balancer's connection.
func (l *listener) header(c *net.TCPConn, from netip.Addr) {
	unwatch := context.AfterFunc(l.open, func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(patience))
	client, err := readHeader(c)
	if err != nil {
		if unwatch() {
			l.events.Reject("proxy.header", from.String(), "err", err.Error())
		}
		c.Close()
		return
	}
	c.SetReadDeadline(time.Time{})
	if !unwatch() {
		return
	}
	if !client.IsValid() {
		l.hand(c)
		return
	}
	l.hand(&conn{c, net.TCPAddrFromAddrPort(client)})
}

// hand gives a connection to who accepts.
func (l *listener) hand(c net.Conn) {
	select {
	case l.ready <- c:
	case <-l.open.Done():
		c.Close()
	}
}

// conn is a connection of a client behind a balancer.
type conn struct {
	*net.TCPConn
	client net.Addr
}

// RemoteAddr is the client's address.
func (c *conn) RemoteAddr() net.Addr { return c.client }

func addr(c net.Conn) netip.Addr {
	ap, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	return ap.Addr().Unmap()
}
