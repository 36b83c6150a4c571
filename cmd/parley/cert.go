package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"sync/atomic"
	"time"

	"parley/internal/acme"
	"parley/internal/config"
)

// certificate is what TLS listeners show. It is read again when its files change.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	current           atomic.Pointer[tls.Certificate]
	authority         *acme.Client  // gives better ones; nil: none does
	now               chan struct{} // asks the watcher to look at once

	seen    [2]time.Time // when the files were changed; belongs to the watcher, once it runs
	trouble string       // the last error; as seen
}

// newCertificate reads the certificate that the configuration names, or the one that the server made itself.
func newCertificate(cfg config.Config, data *dataDir, listeners []*bound, log *slog.Logger) (*certificate, error) {
	if cfg.TLS.ACME {
		return acmeCertificate(cfg, data, listeners, log)
	}
	certFile, keyFile := cfg.TLS.Certificate, cfg.TLS.Key
	if certFile == "" {
		certFile, keyFile = data.file("certificate.pem"), data.file("key.pem")
		if err := selfMade(certFile, keyFile, cfg.Domain); err != nil {
			return nil, fmt.Errorf("self-made certificate: %w", err)
		}
	}
	return openCertificate(certFile, keyFile, log)
}

// openCertificate reads a certificate.
func openCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, now: make(chan struct{}, 1)}
	if _, err := c.reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// reload reads the files if they have changed. If they are bad the old certificate stays.
func (c *certificate) reload() (changed bool, err error) {
	var now [2]time.Time
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return false, fmt.Errorf("certificate: %w", err)
		}
		now[i] = info.ModTime()
	}
	if now == c.seen {
		return false, nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return false, fmt.Errorf("certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	c.current.Store(&pair)
	c.seen = now
	return true, nil
}

// watch looks for changes until ctx ends.
func (c *certificate) watch(ctx context.Context) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-c.now:
		}
		changed, err := c.reload()
		switch {
		case err != nil && err.Error() != c.trouble:
			c.log.Error("the certificate cannot be read again, the old one stays", "err", err)
		case changed:
			c.log.Info("certificate read", "file", c.certFile)
		}
		c.trouble = ""
		if err != nil {
			c.trouble = err.Error()
		}
	}
}

// lookNow makes the watcher look at once.
func (c *certificate) lookNow() {
	select {
	case c.now <- struct{}{}:
	default:
	}
}

// config is for all listeners. Renegotiation and TLS below 1.2 do not exist here (hardening HC5).
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: c.choose,
	}
}

// choose is what a handshake shows: what the authority gave for the name, or asks for, else the certificate of the files.
func (c *certificate) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c.authority != nil {
		if cert, err := c.authority.Certificate(hello); err == nil {
			return cert, nil
		}
	}
	return c.current.Load(), nil
}

const (
	selfMadeFor   = 825 * 24 * time.Hour // what clients accept at most
	selfMadeRenew = 30 * 24 * time.Hour  // before its end
)

// selfMade makes a certificate for a domain unless there is one already that still is good.
func selfMade(certFile, keyFile, domain string) error {
	if pair, err := tls.LoadX509KeyPair(certFile, keyFile); err == nil {
		if pair.Leaf.VerifyHostname(domain) == nil && time.Until(pair.Leaf.NotAfter) > selfMadeRenew {
			return nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: domain},
		DNSNames:    []string{domain, "*." + domain},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(selfMadeFor),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true, // so that it can be trusted by itself
	}
	if domain != "localhost" {
		template.DNSNames = append(template.DNSNames, "localhost")
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writeFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600); err != nil {
		return err
	}
	return writeFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}
