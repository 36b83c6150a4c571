package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"parley/internal/config"
	"parley/internal/doctor"
)

// bound are the sockets of one listener.
type bound struct {
	config.Listener
	at     netip.AddrPort // what was bound, with the port that the system chose
	stream net.Listener   // nil: bound by the bridge process
	packet net.PacketConn // turn only
}

func (b *bound) close() {
	if b.stream != nil {
		b.stream.Close()
	}
	if b.packet != nil {
		b.packet.Close()
	}
}

// listen binds all listeners, or none.
func listen(list []config.Listener) (all []*bound, err error) {
	for _, l := range list {
		b, e := bind(l)
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		all = append(all, b)
	}
	if err != nil {
		for _, b := range all {
			b.close()
		}
		return nil, err
	}
	return all, nil
}

// bind binds one listener. For turn, UDP and TCP get the same port.
func bind(l config.Listener) (*bound, error) {
	for try := 0; ; try++ {
		stream, err := net.Listen("tcp", l.Address())
		if err != nil {
			return nil, unbound(l, "tcp", err)
		}
		b := &bound{Listener: l, stream: stream, at: stream.Addr().(*net.TCPAddr).AddrPort()}
		if l.Scheme != "turn" {
			return b, nil
		}
		b.packet, err = net.ListenPacket("udp", net.JoinHostPort(l.Host, fmt.Sprint(b.at.Port())))
		if err == nil {
			socketBuffers(b.packet)
			return b, nil
		}
		stream.Close()
		if l.Port != 0 || try == 20 {
			return nil, unbound(l, "udp", err)
		}
	}
}

// socketBuffers asks for buffers that survive a burst of media; the system may give less.
func socketBuffers(c net.PacketConn) {
	if udp, ok := c.(*net.UDPConn); ok {
		udp.SetReadBuffer(8 << 20)
		udp.SetWriteBuffer(8 << 20)
	}
}

// unbound says what to do about a listener that could not be bound.
func unbound(l config.Listener, network string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		who := "another process"
		if h := doctor.Holder(network, l.Host, l.Port); h != "" {
			who = h
		}
		return fmt.Errorf("%s: %s port %d is taken by %s; stop it, or change listen in the configuration", l, network, l.Port, who)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s: ports below 1024 need a right: start through systemd with AmbientCapabilities=CAP_NET_BIND_SERVICE, run setcap cap_net_bind_service=+ep %s, or choose a higher port", l, os.Args[0])
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s: this machine does not have the address %s; leave the host out to listen on every address", l, l.Host)
	}
	return fmt.Errorf("%s: %w", l, err)
}

// patient is a listener that outlives a lack of file descriptors or memory: it waits and accepts again. Only its end
// is an error.
type patient struct {
	net.Listener
	short func() // is told of each failure
}

const longestWait = time.Second

// Accept implements net.Listener.
func (p *patient) Accept() (net.Conn, error) {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, longestWait) {
		c, err := p.Listener.Accept()
		if err == nil || !passing(err) {
			return c, err
		}
		p.short()
		time.Sleep(wait)
	}
}

// passing reports that an error of accept(2) says nothing against the listener.
func passing(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EPERM, syscall.EPROTO} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
