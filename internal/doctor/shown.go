package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"parley/internal/config"
)

// shown looks at the certificate that each listener of the server that runs shows.
func (e *examination) shown(ctx context.Context) {
	if e.PID == 0 || e.Show == nil {
		return
	}
	same := 0
	var wanted *x509.Certificate
	if chain, err := readChain(e.certificateFile()); err == nil {
		wanted = chain[0]
	}
	for _, l := range e.Config.Listen {
		if l.Port == 0 || !l.TLS() && l.Scheme != "xmpp" && l.Scheme != "s2s" || l.Scheme == "turns" && e.Bridge == 0 {
			continue
		}
		names := []string{e.Config.Domain}
		switch l.Scheme {
		case "s2s", "s2ss":
			names = e.served()
		case "https":
			if files := e.Config.FilesHost(); files != "" {
				names = append(names, files)
			}
		}
		for _, name := range names {
			if e.shows(ctx, l, name, wanted) {
				same++
			}
		}
	}
	if same > 0 {
		e.add(OK, "tls", fmt.Sprintf("%d certificates are shown as they should be", same))
	}
}

// shows reports that a listener shows the right certificate for a name, or says what is wrong.
func (e *examination) shows(ctx context.Context, l config.Listener, name string, wanted *x509.Certificate) bool {
	chain, err := e.Show(ctx, l, name)
	switch {
	case err != nil:
		e.add(Fault, "tls", fmt.Sprintf("%s: %v", l, err))
	case !e.Now.Before(chain[0].NotAfter):
		e.add(Fault, "tls", fmt.Sprintf("%s shows a certificate that expired on %s", l, chain[0].NotAfter.UTC().Format(time.DateOnly)))
	case chain[0].VerifyHostname(name) != nil:
		e.add(e.weight(name), "tls", fmt.Sprintf("%s shows a certificate for %s, not for %s", l, strings.Join(chain[0].DNSNames, ", "), name))
	case wanted != nil && name == e.Config.Domain && !chain[0].Equal(wanted):
		e.add(Fault, "tls", fmt.Sprintf("%s shows another certificate than that of %s (it is good until %s): the server reads it within ten seconds, or says in its log why not", l, e.certificateFile(), chain[0].NotAfter.UTC().Format(time.DateOnly)))
	default:
		return true
	}
	return false
}

// Show connects to a listener of this machine and returns the certificates that it shows for a domain.
func Show(ctx context.Context, l config.Listener, domain string) ([]*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if a, err := netip.ParseAddr(l.Host); l.Host == "" || err == nil && a.IsUnspecified() {
		l.Host = "localhost"
	}
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", l.Address())
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	until, _ := ctx.Deadline()
	nc.SetDeadline(until)
	if !l.TLS() {
		if err := startTLS(nc, l.Scheme == "s2s", domain); err != nil {
			return nil, err
		}
	}
	over := tls.Client(nc, &tls.Config{ServerName: domain, InsecureSkipVerify: true}) // what is shown is judged by the caller
	if err := over.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	chain := over.ConnectionState().PeerCertificates
	if len(chain) == 0 {
		return nil, errors.New("no certificate is shown")
	}
	return chain, nil
}

// startTLS asks for TLS (RFC 6120 §5.4.2). The answers are searched, not parsed: nothing of them is used.
func startTLS(nc net.Conn, server bool, domain string) error {
	ns := "jabber:client"
	if server {
		ns = "jabber:server"
	}
	fmt.Fprintf(nc, "<?xml version='1.0'?><stream:stream xmlns='%s' xmlns:stream='http://etherx.jabber.org/streams' to='%s' version='1.0'>", ns, domain)
	if err := until(nc, "</stream:features>", "starttls"); err != nil {
		return err
	}
	io.WriteString(nc, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
	return until(nc, ">", "<proceed")
}

// until reads up to an end, and wants something in it.
func until(nc net.Conn, end, want string) error {
	var got []byte
	for b := make([]byte, 1); len(got) < 16<<10; {
		if _, err := nc.Read(b); err != nil {
			return fmt.Errorf("no answer to STARTTLS: %w", err)
		}
		if got = append(got, b[0]); strings.HasSuffix(string(got), end) {
			if !strings.Contains(string(got), want) {
				return errors.New("STARTTLS is not offered")
			}
			return nil
		}
	}
	return errors.New("no answer to STARTTLS")
}
