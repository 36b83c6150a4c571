package doctor

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"parley/internal/config"
)

// expires is how long before its end a certificate is a fault: what renews certificates by itself does it earlier.
const expires = 14 * 24 * time.Hour

// certificate looks at what TLS listeners will show.
func (e *examination) certificate() {
	certFile, keyFile := e.Config.TLS.Certificate, e.Config.TLS.Key
	own := certFile == "" && !e.Config.TLS.ACME
	if e.Config.TLS.ACME {
		certFile = e.certificateFile()
		if keyFile = certFile; !exists(certFile) {
			e.add(OK, "certificate", "the server will get one")
			return
		}
	}
	if own {
		certFile, keyFile = filepath.Join(e.Data, "certificate.pem"), filepath.Join(e.Data, "key.pem")
		if _, err := os.Stat(certFile); errors.Is(err, fs.ErrNotExist) {
			e.add(OK, "certificate", "the server will make its own")
			return
		}
	}
	info, err := os.Stat(keyFile)
	if err == nil && info.Mode().Perm()&0o007 != 0 && !own {
		e.add(Fault, "certificate", fmt.Sprintf("everybody on this machine may read the key %s: chmod 640 %s", keyFile, keyFile))
	}
	chain, err := readChain(certFile)
	if err != nil {
		e.add(Fault, "certificate", fmt.Sprintf("%v; write the PEM file of the certificate and its chain into tls.certificate", err))
		return
	}
	if _, err := tls.LoadX509KeyPair(certFile, keyFile); err != nil {
		what := err.Error()
		if strings.Contains(what, "private key does not match") {
			what = fmt.Sprintf("the key %s does not belong to the certificate %s: name the pair that was issued together", keyFile, certFile)
		}
		e.add(Fault, "certificate", what)
		return
	}
	leaf, whole := chain[0], true
	if e.Config.TLS.ACME && bytes.Equal(leaf.RawIssuer, leaf.RawSubject) {
		e.add(Fault, "certificate", fmt.Sprintf("the authority has given none yet, and clients do not trust the one that is in use meanwhile: the server's log says why; port 80 or 443 of %s has to lead to the listener http:// or https://", e.Config.Domain))
		return
	}
	left := leaf.NotAfter.Sub(e.Now)
	days := int(left.Hours() / 24)
	switch {
	case e.Now.Before(leaf.NotBefore):
		e.add(Fault, "certificate", fmt.Sprintf("%s is good only from %s on: is the clock right?", certFile, leaf.NotBefore.UTC().Format(time.DateTime)))
	case left <= 0:
		e.add(Fault, "certificate", fmt.Sprintf("%s expired on %s: renew it; the server reads it by itself", certFile, leaf.NotAfter.UTC().Format(time.DateOnly)))
	case left < expires && !own:
		e.add(Fault, "certificate", fmt.Sprintf("%s expires on %s, in %d days: renew it, and see why that did not happen by itself", certFile, leaf.NotAfter.UTC().Format(time.DateOnly), days))
	}
	wanted := e.served()
	if files := e.Config.FilesHost(); files != "" {
		wanted = append(wanted, files)
	}
	if e.Config.TLS.ACME {
		wanted = wanted[:1] // the others have certificates of their own
	}
	for _, name := range wanted {
		if leaf.VerifyHostname(name) != nil {
			whole = false
			e.add(e.weight(name), "certificate", fmt.Sprintf("%s is for %s, not for %s: get one %s", certFile, strings.Join(leaf.DNSNames, ", "), name, e.lacking(name)))
		}
	}
	if !whole {
		return
	}
	if own && slices.ContainsFunc(e.Config.Listen, func(l config.Listener) bool { return !l.Loopback() }) {
		e.add(Note, "certificate", "self-made: browsers and clients will refuse it; write tls.certificate and tls.key, or have the server get one (tls.acme)")
		return
	}
	e.add(OK, "certificate", fmt.Sprintf("for %s until %s, for %d days", strings.Join(wanted, ", "), leaf.NotAfter.UTC().Format(time.DateOnly), days))
	if !own {
		e.chain(certFile, chain)
	}
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// certificateFile is the one that listeners show.
func (e *examination) certificateFile() string {
	switch {
	case e.Config.TLS.ACME:
		return filepath.Join(e.Data, "acme.pem")
	case e.Config.TLS.Certificate != "":
		return e.Config.TLS.Certificate
	}
	return filepath.Join(e.Data, "certificate.pem")
}

// served are the domains that others ask for: people the first, other servers, where they reach us, all.
func (e *examination) served() []string {
	if len(e.listens("s2s"))+len(e.listens("s2ss")) > 0 {
		return e.Config.Domains()
	}
	return []string{e.Config.Domain}
}

// lacking says which certificate to get where a name is missing, and what happens without it.
func (e *examination) lacking(name string) string {
	switch name {
	case e.Config.Domain:
		return "for the domain"
	case e.Config.RoomsDomain():
		return "that names both, or other servers do not trust the rooms"
	case e.Config.FilesHost():
		return "that names both, or nobody can fetch what people upload (upload.url)"
	}
	return "that names it too, or other servers do not trust what is there"
}

// chain looks whether a certificate leads to an authority that is trusted.
func (e *examination) chain(file string, chain []*x509.Certificate) {
	leaf := chain[0]
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	at := e.Now
	if at.After(leaf.NotAfter) || at.Before(leaf.NotBefore) {
		at = leaf.NotBefore // of its time it is said elsewhere
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: e.Roots, Intermediates: between, CurrentTime: at})
	var unknown x509.UnknownAuthorityError
	switch {
	case err == nil:
	case bytes.Equal(leaf.RawIssuer, leaf.RawSubject):
		e.add(Note, "certificate", fmt.Sprintf("%s is signed by itself: browsers and clients have to be told to trust it", file))
	case errors.As(err, &unknown) && len(chain) == 1 && len(leaf.IssuingCertificateURL) > 0:
		e.add(Fault, "certificate", fmt.Sprintf("%s holds no chain: put the certificate of %s behind it (its authority has it at %s)", file, leaf.Issuer, leaf.IssuingCertificateURL[0]))
	case errors.As(err, &unknown):
		e.add(Note, "certificate", fmt.Sprintf("%s leads to %s, which this machine does not trust: an authority of your own, or is a certificate of the chain missing?", file, chain[len(chain)-1].Issuer))
	default:
		e.add(Fault, "certificate", fmt.Sprintf("%s: %v", file, err))
	}
}

// readChain returns the certificates of a PEM file, at least one.
func readChain(name string) (chain []*x509.Certificate, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("%s holds no certificate", name)
	}
	return chain, nil
}
