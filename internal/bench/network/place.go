package network

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync"

	"parley/internal/netem"
)

// place is where a server and its members are, and what lies between them.
type place struct {
	ctx    context.Context
	driver *netem.Driver
	stop   context.CancelFunc
	done   sync.WaitGroup
	binary string // of members that are processes
	script string // of members that are browsers
	kind   string // of the server

	router *netem.Router // nil: everything on loopback
	home   *netem.Host   // of the server
	near   *netem.Host   // of those without a path
	server *server

	members []*handle
	relays  []*netem.Relay
	doors   []net.Listener // to the server's signalling
}

// Addresses of the hosts: the server, those without a path, then those who have one.
func address(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 78, 0, byte(n + 1)}) }

// newPlace starts the server of a build; with a relay, if that has a rate.
func newPlace(ctx context.Context, o *Options, b build, dir string, seed uint64, relay netem.Bitrate) (p *place, err error) {
	ctx, stop := context.WithCancel(ctx)
	p = &place{ctx: ctx, stop: stop, binary: o.self, script: o.Chromium, kind: b.kind}
	if p.driver, err = netem.NewDriver(); err != nil {
		stop()
		return nil, err
	}
	p.done.Go(func() { p.driver.Run(ctx) })
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
			p = nil
		}
	}()
	if o.TUN {
		p.router = netem.NewRouter(p.driver)
		if p.home, err = p.router.Host(address(0)); err != nil {
			return p, err
		}
		if p.near, err = p.router.Host(address(1)); err != nil {
			return p, err
		}
		p.router.Connect(p.near, p.home, netem.Ways{Up: netem.NewPath(nil, netem.Line{}, seed), Down: netem.NewPath(nil, netem.Line{}, seed)})
	}
	if p.server, err = kinds[b.kind].start(ctx, b.path, dir, p.home, relay); err != nil {
		return p, err
	}
	if o.TUN {
		err = p.door(p.near)
	}
	return p, err
}

// sender starts a member that has no path.
func (p *place) sender(spec memberSpec) (*handle, error) { return p.start(p.near, spec) }

// behind starts a member behind a path; n counts those who have one.
func (p *place) behind(n int, spec memberSpec, w netem.Ways) (*handle, error) {
	if p.router == nil {
		w.Classify = p.server.repairs.udp
		r, err := netem.NewRelay(p.driver, p.server.media, w)
		if err != nil {
			return nil, err
		}
		p.relays = append(p.relays, r)
		spec.Reach = r.Addr()
		return p.start(nil, spec)
	}
	host, err := p.host(n, w)
	if err != nil {
		return nil, err
	}
	if err := p.door(host); err != nil {
		return nil, err
	}
	return p.start(host, spec)
}

// host makes a host behind a path.
func (p *place) host(n int, w netem.Ways) (*netem.Host, error) {
	host, err := p.router.Host(address(2 + n))
	if err != nil {
		return nil, err
	}
	w.Classify = p.server.repairs.ip
	p.router.Connect(host, p.home, w)
	return host, nil
}

// start starts a member and lets it join.
func (p *place) start(host *netem.Host, spec memberSpec) (h *handle, err error) {
	if host == nil {
		h = inside(p.ctx)
		spec.Loopback = true
	} else if h, err = outside(host.Namespace, p.program(spec)); err != nil {
		return nil, err
	}
	h.nick = spec.Nick
	context.AfterFunc(p.ctx, h.abandon)
	p.members = append(p.members, h)
	spec.Kind, spec.URL, spec.Domain = p.kind, p.server.url, p.server.domain
	_, err = h.ask(order{Do: "join", Spec: spec})
	return h, err
}

// program is what a member runs as.
func (p *place) program(spec memberSpec) *exec.Cmd {
	if !spec.Browser {
		return exec.Command(p.binary, "bench", "network-member")
	}
	cmd := exec.Command("node", p.script)
	cmd.Env = append(os.Environ(), "PARLEY_PAGE=http://"+p.server.signalling.String())
	return cmd
}

// door lets a host's members reach the signalling at the address that it has on the server's host, beside the path.
func (p *place) door(host *netem.Host) error {
	l, err := host.Listen(p.server.signalling.String())
	if err != nil {
		return err
	}
	p.doors = append(p.doors, l)
	p.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.done.Go(func() { p.through(c) })
		}
	})
	return nil
}

// through carries a connection of signalling.
func (p *place) through(c net.Conn) {
	defer c.Close()
	s, err := p.home.Dial(p.ctx, p.server.signalling.String())
	if err != nil {
		return
	}
	defer s.Close()
	defer context.AfterFunc(p.ctx, func() { c.Close(); s.Close() })()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		io.Copy(s, c)
		s.Close()
	}()
	io.Copy(c, s)
	c.Close()
	<-ended
}

// close ends everybody and everything, and waits for it.
func (p *place) close() error {
	var all []error
	var wait sync.WaitGroup
	errs := make([]error, len(p.members))
	for i, h := range p.members {
		wait.Go(func() { errs[i] = h.end() })
	}
	wait.Wait()
	for _, l := range p.doors {
		l.Close()
	}
	if p.server != nil {
		all = append(all, p.server.stop())
	}
	p.stop()
	for _, r := range p.relays {
		r.Close()
	}
	if p.router != nil {
		p.router.Close()
	}
	p.done.Wait()
	return errors.Join(append(all, errs...)...)
}
