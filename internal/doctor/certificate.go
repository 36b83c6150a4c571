package doctor

import (
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
	own := certFile == ""
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
	leaf, err := readCertificate(certFile)
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
	switch left := leaf.NotAfter.Sub(e.Now); {
	case e.Now.Before(leaf.NotBefore):
		e.add(Fault, "certificate", fmt.Sprintf("%s is good only from %s on: is the clock right?", certFile, leaf.NotBefore.UTC().Format(time.DateTime)))
	case left <= 0:
		e.add(Fault, "certificate", fmt.Sprintf("%s expired on %s: renew it; the server reads it by itself", certFile, leaf.NotAfter.UTC().Format(time.DateOnly)))
	case left < expires && !own:
		e.add(Fault, "certificate", fmt.Sprintf("%s expires on %s: renew it, and see why that did not happen by itself", certFile, leaf.NotAfter.UTC().Format(time.DateOnly)))
	}
	if err := leaf.VerifyHostname(e.Config.Domain); err != nil {
		e.add(Fault, "certificate", fmt.Sprintf("%s is for %s, not for %s: get one for the domain", certFile, strings.Join(leaf.DNSNames, ", "), e.Config.Domain))
		return
	}
	public := slices.ContainsFunc(e.Config.Listen, func(l config.Listener) bool { return !l.Loopback() })
	if own && public {
		e.add(Note, "certificate", "self-made: browsers and clients will refuse it; write tls.certificate and tls.key")
		return
	}
	e.add(OK, "certificate", fmt.Sprintf("for %s until %s", e.Config.Domain, leaf.NotAfter.UTC().Format(time.DateOnly)))
}

// readCertificate returns the first certificate of a PEM file.
func readCertificate(name string) (*x509.Certificate, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
	return nil, fmt.Errorf("%s holds no certificate", name)
}
