// Package proxied is listeners behind load balancers that say by the PROXY protocol, version 2, whose connections they hand on. It is
// believed of the configured balancers alone; a connection from elsewhere is one of a client.
//
// Exactly the header is read, so that the connection stays one with a descriptor, which can be waited for without a buffer and handed
// to another process. Version 1 is not spoken.
package proxied

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
)

// A header is the signature, a byte of version and command, one of family and transport, the length of the rest in two, and the rest:
// addresses, then what else there may be (TLV), which means nothing here.
//
//	 0                         12  13  14     16
//	+---------------------------+---+---+------+-----------------------------------+
//	| 0D0A0D0A000D0A515549540A  |2 C|F T| len  | source, destination, ports ...    |
//	+---------------------------+---+---+------+-----------------------------------+
const (
	signature  = "\r\n\r\n\x00\r\nQUIT\n"
	fixed      = 16
	longest    = 2 << 10 // of the rest
	versionTwo = 2 << 4
	local      = 0 // the balancer's own connection, such as a check
	handed     = 1
	tcp4       = 1<<4 | 1
	tcp6       = 2<<4 | 1
)

// errHeader says that a balancer did not begin with a header.
var errHeader = errors.New("no header of the PROXY protocol, version 2")

// readHeader reads a header and nothing behind it. The address is the client's, or not valid where the connection is the
// balancer's own or it does not say.
func readHeader(r io.Reader) (netip.AddrPort, error) {
	var none netip.AddrPort
	var b [fixed]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return none, err
	}
	n := int(binary.BigEndian.Uint16(b[14:]))
	command := b[12] &^ versionTwo
	if string(b[:12]) != signature || b[12]&0xf0 != versionTwo || command > handed || n > longest {
		return none, errHeader
	}
	rest := make([]byte, n)
	if _, err := io.ReadFull(r, rest); err != nil {
		return none, err
	}
	size := 0
	switch {
	case command == local:
		return none, nil
	case b[13] == tcp4:
		size = 4
	case b[13] == tcp6:
		size = 16
	case b[13]>>4 == 0:
		return none, nil // it does not say
	}
	if size == 0 || n < 2*size+4 {
		return none, errHeader
	}
	a, _ := netip.AddrFromSlice(rest[:size])
	if a = a.Unmap(); a.IsUnspecified() || a.IsMulticast() {
		return none, errHeader
	}
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(rest[2*size:])), nil
}
