package link

import (
	"errors"
	"net"
)

// trusted refuses the other end of a connection that anyone could have opened (hardening HB12): that of a Unix socket must
// be of our own user, and plain TCP is no way to a bridge. TLS connections are checked by their configuration.
func trusted(nc net.Conn) error {
	switch nc := nc.(type) {
	case *net.UnixConn:
		return sameOwner(nc)
	case *net.TCPConn:
		return errors.New("link: plain TCP")
	}
	return nil
}
