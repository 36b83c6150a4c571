package s2s

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"parley/xmpp/wire"
)

// Step is one thing of what lies between us and another server.
type Step struct {
	Name string
	Took time.Duration
	Text string // what was found
	Err  error  // what went wrong
	Hard bool   // what went wrong ends the probe
}

// Probe goes the way to the server of a domain step by step, and tells of each. It uses no stream of the server, leaves none behind
// and takes over nothing of what goes over the others: it asks for no bidi, since what came over it would be lost.
func (srv *Server) Probe(ctx context.Context, local, remote string, told func(Step)) (ok bool) {
	p := probe{srv: srv, pair: pair{local, remote}, told: told, began: time.Now()}
	return p.run(ctx)
}

type probe struct {
	srv   *Server
	pair  pair
	told  func(Step)
	began time.Time // of the step
}

// step tells of a step; what comes after it begins now.
func (p *probe) step(name, text string, err error, hard bool) {
	now := time.Now()
	p.told(Step{Name: name, Took: now.Sub(p.began), Text: text, Err: err, Hard: hard})
	p.began = now
}

func (p *probe) run(ctx context.Context) bool {
	if !p.srv.admits(p.pair.remote) {
		p.step("policy", "", errUnlisted, true)
		return false
	}
	list, err := p.srv.targets(ctx, p.pair.remote)
	if err != nil {
		p.step("resolve", "", err, true)
		return false
	}
	p.step("resolve", whereAll(list), nil, false)
	nc, t := p.connect(ctx, list)
	if nc == nil {
		return false
	}
	s := newStream(p.srv, nc, true)
	s.local, s.remote = p.pair.local, p.pair.remote
	s.until, _ = ctx.Deadline()
	s.deadline(s.until)
	defer s.fail(wire.ErrClosed)
	s.keep = context.AfterFunc(ctx, func() { s.stop(ctx.Err()) })
	defer s.keep()
	return p.talk(s, t)
}

// connect tries the targets in their order.
func (p *probe) connect(ctx context.Context, list []target) (net.Conn, target) {
	for i, t := range list {
		nc, err := p.srv.try(ctx, t, p.pair)
		if err == nil {
			p.step("connect", where(t), nil, false)
			return nc, t
		}
		p.step("connect", where(t), err, i == len(list)-1)
	}
	return nil, target{}
}

// talk opens the stream and proves who we are.
func (p *probe) talk(s *stream, t target) bool {
	o, err := s.openSecure()
	over, _ := s.nc.(*tls.Conn)
	if err != nil {
		p.step("tls", "", err, true)
		return false
	}
	how := "STARTTLS"
	if t.direct {
		how = "direct TLS"
	}
	state := over.ConnectionState()
	p.step("tls", fmt.Sprintf("%s, %s, %s", how, tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite)), nil, false)

	text := ""
	if chain := state.PeerCertificates; len(chain) > 0 {
		c := chain[0]
		text = fmt.Sprintf("for %s, by %s, good until %s (%d days)", strings.Join(slices.Concat(c.DNSNames, extraNames(s)), ", "), c.Issuer, c.NotAfter.UTC().Format(time.DateOnly), int(time.Until(c.NotAfter).Hours()/24))
	}
	err = s.certified(s.remote)
	needed := p.srv.cfg.Certificates == Valid
	p.step("certificate", text, err, needed)
	if err != nil && needed {
		return false
	}

	var offers []string
	for _, f := range []struct {
		there bool
		name  string
	}{{o.external, "EXTERNAL"}, {o.dialback, "dialback"}, {o.bidi, "bidi"}, {o.counts, "acknowledgements"}} {
		if f.there {
			offers = append(offers, f.name)
		}
	}
	p.step("offers", strings.Join(offers, ", "), nil, false)

	o.bidi = false
	if how, _, err = s.prove(o, nil); err != nil {
		p.step("proof", "", err, true)
		return false
	}
	p.step("proof", "taken for "+p.pair.local+" by "+how, nil, false)
	return true
}

// extraNames are those names of the peer's certificate that are no DNS names.
func extraNames(s *stream) (list []string) {
	over, ok := s.nc.(*tls.Conn)
	if !ok || len(over.ConnectionState().PeerCertificates) == 0 {
		return nil
	}
	others, err := otherNames(over.ConnectionState().PeerCertificates[0])
	if err != nil {
		return nil
	}
	return slices.Concat(others.services, others.addresses)
}

func where(t target) string {
	if t.direct {
		return t.at.String() + " (direct TLS)"
	}
	return t.at.String() + " (STARTTLS)"
}

func whereAll(list []target) string {
	var all []string
	for _, t := range list {
		all = append(all, where(t))
	}
	return strings.Join(all, ", ")
}

// pingMark begins the ids of pings of Ping, behind the server's token.
const pingMark = "ping."

// Ping asks the server of a domain for an answer, over the streams that stanzas take, and waits for it. Any answer of the other server
// is one, also that it does not know what a ping is.
func (srv *Server) Ping(ctx context.Context, local, remote string) error {
	if _, ours := srv.local[local]; !ours {
		return fmt.Errorf("s2s: %s is no domain of ours", local)
	}
	if to, err := wire.ParseAddr(remote); err != nil || string(to) != remote || to.Domain() != remote {
		return fmt.Errorf("s2s: %q is not a domain name in lower case", remote)
	}
	id := srv.token + pingMark + rand.Text()
	answer := make(chan error, 1)
	srv.pings.Store(id, answer)
	defer srv.pings.Delete(id)
	tail := wire.AppendAttr(nil, "from", local)
	tail = wire.AppendAttr(tail, "id", id)
	tail = append(tail, " type='get'><ping xmlns='urn:xmpp:ping'/></iq>"...)
	srv.Deliver(nil, wire.Addr(remote), wire.Stanza{Kind: wire.IQ, Tail: tail})
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return errors.New("s2s: no answer came in time")
	}
}

// pinged gives the answer to a ping of Ping: nil, or why it was not delivered. It reports that it was one.
func (srv *Server) pinged(id []byte, why error) bool {
	if rest, ours := bytes.CutPrefix(id, []byte(srv.token)); !ours || !bytes.HasPrefix(rest, []byte(pingMark)) {
		return false
	}
	if answer, ok := srv.pings.Load(string(id)); ok {
		select {
		case answer.(chan error) <- why:
		default:
		}
	}
	return true
}

// Explain says what an administrator can do about an error of a probe; "" if nothing is known.
func Explain(err error) string {
	var noName *net.DNSError
	var closed tls.AlertError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.Is(err, errPrivate):
		return "if that server is meant, write its network into federation.networks"
	case errors.As(err, &noName) && !noName.IsNotFound:
		return "the DNS server does not answer: look at /etc/resolv.conf"
	case errors.Is(err, errUnlisted):
		return "see federation.allow and federation.block"
	case errors.Is(err, errNotFound):
		return "there is neither an SRV record _xmpp-server._tcp or _xmpps-server._tcp nor an address: is the name right?"
	case errors.Is(err, errPlain), errors.Is(err, errStarted):
		return "we do not federate without encryption: its administrator has to set up TLS"
	case errors.Is(err, errNoProof):
		return "it wants a certificate for our domain that it trusts: get one of a public authority (tls.acme)"
	case errors.Is(err, errNotTaken):
		return "it asks the server that the DNS gives for our domain: that has to run, with the data folder that is looked at here, and port 5269 has to be open"
	case errors.As(err, &unknown):
		return `whoever wants certificates does not trust it: federation.roots may name its authority, and with federation.certificates = "dialback" it need not be trusted`
	case errors.As(err, &closed):
		return "it does not agree on TLS with us: 1.2 is the least that we speak"
	}
	return ""
}
