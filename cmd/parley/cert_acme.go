package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"

	"parley/internal/acme"
	"parley/internal/config"
)

// acmeFile holds the domain's certificate and its key as they are in use: the authority's, or one that we made ourselves
// until there is one. It is one file, so that who watches it, the bridge too, never sees half of a pair.
const acmeFile = "acme.pem"

// acmeCertificate opens the certificate of a server that gets its certificates from an authority.
func acmeCertificate(cfg config.Config, data *dataDir, listeners []*bound, log *slog.Logger) (*certificate, error) {
	file := data.file(acmeFile)
	if pair, err := tls.LoadX509KeyPair(file, file); err != nil || pair.Leaf.VerifyHostname(cfg.Domain) != nil || time.Now().After(pair.Leaf.NotAfter) {
		if err := standIn(file, data, cfg.Domain); err != nil {
			return nil, err
		}
	}
	c, err := openCertificate(file, file, log)
	if err != nil {
		return nil, err
	}
	settings := acme.Config{
		Domains: cfg.CertifiedNames(), Directory: cfg.TLS.CA, Roots: cfg.TLS.CARoots, Email: cfg.TLS.Email,
		Folder: data.file("acme"), Log: log,
	}
	for _, l := range listeners {
		switch {
		case l.Scheme == "http" && !l.Admin && (settings.HTTPPort == 0 || l.Port == 80):
			settings.HTTPHost, settings.HTTPPort = l.Host, l.at.Port()
		case l.Scheme == "https" && (settings.TLSPort == 0 || l.Port == 443):
			settings.TLSHost, settings.TLSPort = l.Host, l.at.Port()
		}
	}
	settings.Changed = func(domain string, chain, key []byte) {
		if domain == cfg.Domain {
			c.replace(slices.Concat(chain, key))
		}
	}
	c.authority, err = acme.Open(settings)
	return c, err
}

// standIn writes a certificate of our own where that of the authority will be.
func standIn(file string, data *dataDir, domain string) error {
	certFile, keyFile := data.file("certificate.pem"), data.file("key.pem")
	if err := selfMade(certFile, keyFile, domain); err != nil {
		return err
	}
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	return writeFile(file, slices.Concat(cert, key), 0o600)
}

// replace writes the pair into the file that is watched.
func (c *certificate) replace(pair []byte) {
	have, err := os.ReadFile(c.certFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.log.Error("the certificate cannot be read again", "err", err)
	}
	if bytes.Equal(have, pair) {
		return
	}
	if err := writeFile(c.certFile, pair, 0o600); err != nil {
		c.log.Error("the new certificate cannot be written; the bridge and the next start have the old one", "err", err)
		return
	}
	c.lookNow()
}
