//go:build !linux

package udp

import (
	"errors"
	"net"
	"syscall"
)

type call struct{}

func (*call) prepare(*waiting) {}

func open(b *bound, _ bool) link { return &plain{bound: b} }

// share refuses: how several sockets share a port, and which gets what, differs from system to system.
func share(string, string, syscall.RawConn) error {
	return errors.New("several readers need Linux")
}

// enlarge asks for buffers. What came of it cannot be read back everywhere, so only a refusal is reported.
func enlarge(conn *net.UDPConn, size int) []Shortage {
	var short []Shortage
	if conn.SetReadBuffer(size) != nil {
		short = append(short, Shortage{"receive", size, 0})
	}
	if conn.SetWriteBuffer(size) != nil {
		short = append(short, Shortage{"send", size, 0})
	}
	return short
}
