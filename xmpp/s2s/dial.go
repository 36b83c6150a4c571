package s2s

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

// Resolver looks up names. It is what a *net.Resolver is.
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Bounds of one attempt to reach a server (hardening.md HS4, HF17).
const (
	mostTargets   = 5
	mostRecords   = 10
	lookupTimeout = 5 * time.Second
	targetTimeout = 5 * time.Second
	defaultPort   = 5269
)

var (
	errNotFound = errors.New("no such server")
	errPrivate  = fmt.Errorf("%w: its name leads to a private address", errNotFound)
)

// target is where a server may be.
type target struct {
	at     netip.AddrPort
	direct bool // connections begin with TLS (XEP-0368)
}

// connect opens a connection from a domain of ours to the server of another. A target with direct TLS is one that has shaken hands. An error
// that is errNotFound says that there is no such server, any other that it does not answer.
func (srv *Server) connect(ctx context.Context, p pair) (nc net.Conn, direct bool, err error) {
	list, err := srv.targets(ctx, p.remote)
	if err != nil {
		return nil, false, err
	}
	var all []error
	for _, t := range list {
		nc, err := srv.try(ctx, t, p)
		if err == nil {
			return nc, t.direct, nil
		}
		all = append(all, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, false, errors.Join(all...)
}

func (srv *Server) try(ctx context.Context, t target, p pair) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, targetTimeout)
	defer cancel()
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", t.at.String())
	if err != nil || !t.direct {
		return nc, err
	}
	over := tls.Client(nc, srv.clientTLS(p, true))
	if err := over.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	return over, nil
}

// targets finds where the server of a domain may be, best first (RFC 6120 §3.2, XEP-0368).
func (srv *Server) targets(ctx context.Context, domain string) ([]target, error) {
	if h, ok := srv.hosts[domain]; ok {
		at, err := netip.ParseAddrPort(h.Address)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNotFound, err)
		}
		return []target{{at, h.TLS}}, nil
	}
	if srv.resolver == nil {
		return nil, errNotFound
	}
	if ip, ok := literal(domain); ok {
		return srv.public([]netip.Addr{ip}, defaultPort, false, nil)
	}
	name := ascii(domain)
	records, err := srv.records(ctx, name)
	if err != nil {
		return nil, err
	}
	var list []target
	var trouble error
	for _, r := range records {
		ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
		addrs, err := srv.resolver.LookupNetIP(ctx, "ip", r.host)
		cancel()
		if err != nil {
			trouble = cmp.Or(trouble, err)
			continue
		}
		list, err = srv.public(addrs, r.port, r.direct, list)
		if trouble = cmp.Or(trouble, err); len(list) >= mostTargets {
			return list[:mostTargets], nil
		}
	}
	if len(list) == 0 {
		return nil, missing(trouble)
	}
	return list, nil
}

// record is a name and port under which a server may be.
type record struct {
	host     string
	port     uint16
	priority uint16
	direct   bool
}

// records reads the SRV records of both services, or stands in the domain itself where there are none (RFC 6120 §3.2.2).
func (srv *Server) records(ctx context.Context, name string) (list []record, err error) {
	found := false
	for _, service := range []string{"xmpps-server", "xmpp-server"} {
		ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
		_, answers, e := srv.resolver.LookupSRV(ctx, service, "tcp", name)
		cancel()
		if e != nil && !absent(e) {
			err = e
			continue
		}
		for _, a := range answers {
			if found = true; a.Target != "." && a.Target != "" { // the root says that the service is not there (RFC 2782)
				list = append(list, record{a.Target, a.Port, a.Priority, service == "xmpps-server"})
			}
		}
	}
	if !found {
		if err != nil {
			return nil, err // better no connection than one to who only has the address of the domain's web page
		}
		return []record{{host: name, port: defaultPort}}, nil
	}
	if len(list) == 0 {
		return nil, cmp.Or(err, fmt.Errorf("%w: it says that it does not federate", errNotFound))
	}
	// Both services count as one (XEP-0368 §4). The resolver has put records of one priority in order by their weights.
	slices.SortStableFunc(list, func(a, b record) int { return cmp.Compare(a.priority, b.priority) })
	return list[:min(len(list), mostRecords)], nil
}

// public appends targets at addresses that the world can reach, or that the configuration names. What a stranger writes into his DNS must
// not make us connect to our own network (hardening.md HS4).
func (srv *Server) public(addrs []netip.Addr, port uint16, direct bool, list []target) ([]target, error) {
	refused := false
	for _, a := range addrs {
		a = a.Unmap().WithZone("")
		if srv.private(a) {
			refused = true
			continue
		}
		list = append(list, target{netip.AddrPortFrom(a, port), direct})
	}
	if refused {
		srv.rec.Count("s2s.dial")
		if len(list) == 0 {
			return nil, errPrivate
		}
	}
	return list, nil
}

// carrierGrade is RFC 6598.
var carrierGrade = netip.MustParsePrefix("100.64.0.0/10")

// private reports that an address is none of the world's, or our own, and in no network that is listed.
func (srv *Server) private(a netip.Addr) bool {
	for _, n := range srv.cfg.Networks {
		if n.Contains(a) {
			return false
		}
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() || carrierGrade.Contains(a) || a.Is4() && (a.As4()[0] == 0 || a.As4()[0] >= 240) {
		return true
	}
	if embedded, ok := translated(a); ok && srv.private(embedded) {
		return true
	}
	own, _ := net.InterfaceAddrs()
	return slices.ContainsFunc(own, func(o net.Addr) bool {
		p, err := netip.ParsePrefix(o.String())
		return err == nil && p.Addr().Unmap() == a
	})
}

// translated returns the IPv4 address that an IPv6 address stands for: RFC 6052 §2.1, RFC 3056.
func translated(a netip.Addr) (netip.Addr, bool) {
	b := a.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(a):
		return netip.AddrFrom4([4]byte(b[12:])), true
	case netip.MustParsePrefix("2002::/16").Contains(a):
		return netip.AddrFrom4([4]byte(b[2:])), true
	}
	return netip.Addr{}, false
}

// absent reports that the DNS says that there is nothing, as against that it says nothing.
func absent(err error) bool {
	var de *net.DNSError
	return errors.As(err, &de) && de.IsNotFound
}

// missing is errNotFound if there is nothing, else the trouble itself.
func missing(trouble error) error {
	switch {
	case trouble == nil:
		return errNotFound
	case absent(trouble):
		return fmt.Errorf("%w: %w", errNotFound, trouble)
	}
	return trouble
}

// clientTLS is for connections that we open. The certificate is judged when it is known what for: see certified.
func (srv *Server) clientTLS(p pair, direct bool) *tls.Config {
	c := &tls.Config{
		ServerName: ascii(p.remote), MinVersion: tls.VersionTLS12, InsecureSkipVerify: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return srv.certificate(p.local)
		},
	}
	if direct {
		c.NextProtos = []string{"xmpp-server"} // XEP-0368 §5
	}
	return c
}

// certificate is the one that our listeners show for a domain of ours.
func (srv *Server) certificate(local string) (*tls.Certificate, error) {
	if srv.tls.GetCertificate != nil {
		return srv.tls.GetCertificate(&tls.ClientHelloInfo{ServerName: ascii(local), SupportedVersions: []uint16{tls.VersionTLS13}})
	}
	if len(srv.tls.Certificates) == 0 {
		return &tls.Certificate{}, nil
	}
	return &srv.tls.Certificates[0], nil
}
