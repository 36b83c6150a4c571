package netem

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Router forwards IPv4 packets between hosts, each of which is a network namespace with one TUN device that ends here. What
// has no path is dropped and counted. The hosts share one network of 16 bits, so that they need no routes.
type Router struct {
	Strays atomic.Uint64 // packets without path: other hosts, IPv6, multicast

	driver *Driver
	done   sync.WaitGroup

	mu    sync.RWMutex // guards what follows
	hosts map[netip.Addr]*Host
	ways  map[way]path
}

type way struct{ from, to netip.Addr }

type path struct {
	*Path
	classify func([]byte) int
	to       *Host
}

// Host is a namespace on a router.
type Host struct {
	*Namespace
	Addr netip.Addr
	tun  *os.File
}

// MTU of the hosts' devices.
const MTU = 1500

// NewRouter returns a router without hosts. The driver must run.
func NewRouter(d *Driver) *Router {
	return &Router{driver: d, hosts: make(map[netip.Addr]*Host), ways: make(map[way]path)}
}

// Host makes a host with an address. It takes root.
func (r *Router) Host(a netip.Addr) (*Host, error) {
	if !a.Is4() {
		return nil, fmt.Errorf("netem: %v is no IPv4 address", a)
	}
	n, err := NewNamespace()
	if err != nil {
		return nil, err
	}
	h := &Host{Namespace: n, Addr: a}
	if err := n.Do(func() error { return h.open() }); err != nil {
		n.Close()
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hosts[a] != nil {
		return nil, errors.Join(fmt.Errorf("netem: there is a host %v", a), h.tun.Close(), n.Close())
	}
	r.hosts[a] = h
	r.done.Go(func() { r.read(h) })
	return h, nil
}

// open makes the device, in the host's namespace.
func (h *Host) open() error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: "/dev/net/tun", Err: err}
	}
	const name = "net0"
	err = configure(name,
		func(_ int, r *unix.Ifreq) error {
			r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			return unix.IoctlIfreq(fd, unix.TUNSETIFF, r)
		},
		func(s int, r *unix.Ifreq) error {
			a := h.Addr.As4()
			r.SetInet4Addr(a[:])
			return unix.IoctlIfreq(s, unix.SIOCSIFADDR, r)
		},
		func(s int, r *unix.Ifreq) error {
			r.SetInet4Addr([]byte{255, 255, 0, 0})
			return unix.IoctlIfreq(s, unix.SIOCSIFNETMASK, r)
		},
		func(s int, r *unix.Ifreq) error {
			r.SetUint32(MTU)
			return unix.IoctlIfreq(s, unix.SIOCSIFMTU, r)
		})
	if err == nil {
		err = up(name)
	}
	if err != nil {
		unix.Close(fd)
		return err
	}
	h.tun = os.NewFile(uintptr(fd), "/dev/net/tun")
	return nil
}

// Connect lays the two directions of a path between a client and a server. Classify sees whole IP packets.
func (r *Router) Connect(client, server *Host, w Ways) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ways[way{client.Addr, server.Addr}] = path{w.Up, w.Classify, server}
	r.ways[way{server.Addr, client.Addr}] = path{w.Down, w.Classify, client}
}

func (r *Router) read(h *Host) {
	b := make([]byte, 1<<16)
	for {
		n, err := h.tun.Read(b)
		if err != nil {
			return
		}
		p, ok := r.path(h, b[:n])
		if !ok {
			r.Strays.Add(1)
			continue
		}
		class := 0
		if p.classify != nil {
			class = p.classify(b[:n])
		}
		r.driver.Send(p.Path, b[:n], 0, class, p.to)
	}
}

func (r *Router) path(h *Host, b []byte) (p path, ok bool) {
	if len(b) < 20 || b[0]>>4 != 4 || [4]byte(b[12:16]) != h.Addr.As4() {
		return p, false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	p, ok = r.ways[way{h.Addr, netip.AddrFrom4([4]byte(b[16:20]))}]
	return p, ok
}

// Deliver gives a packet to the host's kernel.
func (h *Host) Deliver(b []byte) { h.tun.Write(b) }

// Close ends the router and lets go of its hosts.
func (r *Router) Close() {
	r.mu.Lock()
	for _, h := range r.hosts {
		h.tun.Close()
		h.Namespace.Close()
	}
	r.mu.Unlock()
	r.done.Wait()
}
