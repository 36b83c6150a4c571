package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// service is a kind of listener that the DNS leads to (RFC 6120 §3.2, XEP-0368).
type service struct {
	name     string // of its SRV records
	scheme   string // of its listeners
	fallback uint16 // port that is tried at the domain's address where there is no record; 0: none is
	secure   string // the service with direct TLS, or without it
	who      string // is looking
}

var services = []service{
	{"xmpp-client", "xmpp", 5222, "xmpps-client", "clients"},
	{"xmpps-client", "xmpps", 0, "xmpp-client", "clients"},
	{"xmpp-server", "s2s", 5269, "xmpps-server", "other servers"},
	{"xmpps-server", "s2ss", 0, "xmpp-server", "other servers"},
}

// records looks whether the DNS leads to the listeners: to those for clients at the domain, to those for servers at the
// other domains too.
func (e *examination) records(ctx context.Context) {
	if e.Config.Domain == "localhost" || e.Config.Development() || e.SRV == nil {
		return
	}
	for _, s := range services {
		e.service(ctx, s, e.Config.Domain)
	}
	for _, domain := range e.Config.Domains()[1:] {
		for _, s := range services[2:] {
			e.service(ctx, s, domain)
		}
	}
}

// weight is how bad it is that a name of ours does not work: the server is of use without the domain of calls, and what a
// component serves may be for people of this server alone.
func (e *examination) weight(name string) string {
	switch name {
	case e.Config.Domain, e.Config.RoomsDomain(), e.Config.FilesHost():
		return Fault
	}
	return Note
}

// listens are the ports of a scheme that others than this machine reach.
func (e *examination) listens(scheme string) (ports []uint16) {
	for _, l := range e.Config.Listen {
		if l.Scheme == scheme && !l.Admin && !l.Loopback() {
			ports = append(ports, l.Port)
		}
	}
	return ports
}

// lookup returns the records of a service but those that say that it is not there (RFC 2782, a target of ".").
func (e *examination) lookup(ctx context.Context, service, domain string) ([]*net.SRV, error) {
	found, err := e.SRV(ctx, service, domain)
	return slices.DeleteFunc(found, func(r *net.SRV) bool { return r.Target == "." || r.Target == "" }), err
}

// service looks at the records of one service of one domain.
func (e *examination) service(ctx context.Context, s service, domain string) {
	ports := e.listens(s.scheme)
	name := "_" + s.name + "._tcp." + domain
	found, err := e.lookup(ctx, s.name, domain)
	if err != nil && !notFound(err) {
		e.add(Note, "dns", fmt.Sprintf("%s could not be looked up: %v", name, err))
		return
	}
	switch {
	case len(found) == 0 && len(ports) == 0:
		return
	case len(found) == 0:
		e.unrecorded(ctx, s, domain, ports)
		return
	case len(ports) == 0:
		e.add(Fault, "dns", fmt.Sprintf("%s leads %s to %s, but there is no %s:// listener: add one, or remove the record", name, s.who, targets(found), s.scheme))
		return
	}
	for _, r := range found {
		e.target(ctx, s, name, r, ports)
	}
}

// unrecorded says what is missing where a service has listeners and no record.
func (e *examination) unrecorded(ctx context.Context, s service, domain string, ports []uint16) {
	record := fmt.Sprintf("_%s._tcp.%s. IN SRV 0 5 %d %s.", s.name, domain, ports[0], e.Config.Domain)
	if s.fallback == 0 {
		if len(e.listens(strings.TrimSuffix(s.scheme, "s"))) == 0 {
			e.add(e.weight(domain), "dns", fmt.Sprintf("%s do not find the %s:// listener: add the record %s", s.who, s.scheme, record))
			return
		}
		e.add(Note, "dns", fmt.Sprintf("%s do not find the %s:// listener, and use the other one: to be found in networks that break STARTTLS, add the record %s", s.who, s.scheme, record))
		return
	}
	// With direct TLS recorded, nobody looks at the domain's own address any more.
	direct, err := e.lookup(ctx, s.secure, domain)
	switch {
	case err == nil && len(direct) > 0:
		e.add(Note, "dns", fmt.Sprintf("only the record of %s leads %s here: those that know STARTTLS only need the record %s", s.secure, s.who, record))
		return
	case !slices.Contains(ports, s.fallback):
		e.add(e.weight(domain), "dns", fmt.Sprintf("without a record %s try port %d of %s, where nothing listens: add the record %s", s.who, s.fallback, domain, record))
		return
	}
	addrs, err := e.Resolve(ctx, domain)
	switch {
	case err != nil && notFound(err) && domain != e.Config.Domain: // of the domain itself it is said elsewhere
		e.add(e.weight(domain), "dns", fmt.Sprintf("%s do not find %s: add the record %s, or an A or AAAA record that points here", s.who, domain, record))
	case err != nil && domain != e.Config.Domain:
		e.add(Note, "dns", fmt.Sprintf("%s could not be looked up: %v", domain, err))
	case err == nil && domain != e.Config.Domain && !slices.ContainsFunc(addrs, e.here):
		e.add(Fault, "dns", fmt.Sprintf("%s points to %s, which is not this machine: correct it, or add the record %s", domain, list(addrs), record))
	case err == nil:
		e.add(OK, "dns", fmt.Sprintf("%s find %s at port %d of its address", s.who, domain, s.fallback))
	}
}

// target looks where one record leads.
func (e *examination) target(ctx context.Context, s service, name string, r *net.SRV, ports []uint16) {
	host := strings.TrimSuffix(r.Target, ".")
	addrs, err := e.Resolve(ctx, host)
	switch {
	case err != nil && notFound(err):
		e.add(Fault, "dns", fmt.Sprintf("%s leads to %s, which has no address: add an A or AAAA record for it, or correct the record", name, host))
	case err != nil:
		e.add(Note, "dns", fmt.Sprintf("%s could not be looked up: %v", host, err))
	case !slices.ContainsFunc(addrs, e.here):
		e.add(Fault, "dns", fmt.Sprintf("%s leads to %s (%s), which is not this machine: correct it, or write the outer address into advertise", name, host, list(addrs)))
	case slices.Contains(ports, r.Port):
		e.add(OK, "dns", fmt.Sprintf("%s leads to %s port %d", name, host, r.Port))
	case slices.ContainsFunc(addrs, func(a netip.Addr) bool { return slices.Contains(e.Addresses, a.Unmap()) }):
		e.add(Fault, "dns", fmt.Sprintf("%s leads to port %d, where no %s:// listener is: correct it to port %d", name, r.Port, s.scheme, ports[0]))
	default:
		e.add(Note, "dns", fmt.Sprintf("%s leads to port %d, and the %s:// listener is at port %d: something in between has to forward it", name, r.Port, s.scheme, ports[0]))
	}
}

// here reports that an address is this machine's, or one that leads to it.
func (e *examination) here(a netip.Addr) bool {
	a = a.Unmap()
	return slices.Contains(e.Advertised, a) || slices.Contains(e.Addresses, a)
}

func notFound(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

func targets(found []*net.SRV) string {
	r := slices.MinFunc(found, func(a, b *net.SRV) int { return cmp.Compare(a.Priority, b.Priority) })
	return fmt.Sprintf("%s port %d", strings.TrimSuffix(r.Target, "."), r.Port)
}

func list(addrs []netip.Addr) string {
	var all []string
	for _, a := range addrs {
		all = append(all, a.Unmap().String())
	}
	return strings.Join(all, ", ")
}
