//go:build !linux

package netem

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"sync/atomic"
)

var errSystem = errors.New("netem: network namespaces take Linux")

// Namespace is of Linux alone.
type Namespace struct{}

// Listen fails.
func (n *Namespace) Listen(string) (net.Listener, error) { return nil, errSystem }

// Dial fails.
func (n *Namespace) Dial(context.Context, string) (net.Conn, error) { return nil, errSystem }

// Start fails.
func (n *Namespace) Start(*exec.Cmd) (<-chan error, error) { return nil, errSystem }

// Host is of Linux alone.
type Host struct {
	*Namespace
	Addr netip.Addr
}

// Router is of Linux alone.
type Router struct{ Strays atomic.Uint64 }

// NewRouter returns a router that can have no hosts.
func NewRouter(*Driver) *Router { return new(Router) }

// Host fails.
func (r *Router) Host(netip.Addr) (*Host, error) { return nil, errSystem }

// Connect does nothing.
func (r *Router) Connect(_, _ *Host, _ Ways) {}

// Close does nothing.
func (r *Router) Close() {}
