package c2s

import (
	"crypto/tls"
	"net"
)

// Listen wraps a listener so that the connections it accepts hold no memory while nothing comes in, also when an HTTP
// server upgrades them to WebSocket. With a TLS configuration the connections are TLS.
func Listen(l net.Listener, config *tls.Config) net.Listener { return &listener{l, config} }

type listener struct {
	net.Listener
	config *tls.Config
}

func (l *listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c, err := newConn(nc)
	if err != nil {
		nc.Close()
		return nil, err
	}
	if l.config == nil {
		return c, nil
	}
	return c.startTLS(l.config), nil
}

// startTLS puts TLS on top of the connection.
func (c *conn) startTLS(config *tls.Config) *tls.Conn {
	c.records = true
	return tls.Server(c, config)
}
