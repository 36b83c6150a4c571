// Package acme gets certificates from an authority that speaks ACME (RFC 8555) and renews them, one for each domain. The
// authority sees that a domain is ours by an HTTP request (http-01, RFC 8555 §8.3) or by a TLS handshake (tls-alpn-01, RFC 8737),
// both answered by the listeners that the server has anyway. The protocol is certmagic's; what is ours is where files lie,
// what is logged, and that nothing is asked of anybody before Manage.
package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// Protocol is what the authority names in the handshake of tls-alpn-01 (RFC 8737 §6.2). Listeners that are asked in this way have to
// offer it.
const Protocol = "acme-tls/1"

// LetsEncrypt is the directory of the authority that is asked if no other is named.
const LetsEncrypt = certmagic.LetsEncryptProductionCA

// Config says what for, and of whom.
type Config struct {
	Domains   []string // the first is shown to who names none
	Directory string   // URL of the authority's directory; empty: LetsEncrypt
	Roots     string   // PEM file of authorities that the directory's own certificate is from; empty: the system's
	Email     string   // where the authority writes to; may be empty
	Folder    string   // where keys and certificates are kept

	HTTPHost, TLSHost string // addresses of the listeners that answer
	HTTPPort, TLSPort uint16 // of these; 0: there is none

	Log *slog.Logger
	// Changed is called when there is a certificate for a domain that was not there before, with its chain and its key
	// in PEM. It may be nil.
	Changed func(domain string, chain, key []byte)

	renewals time.Duration // how often it is looked whether one has to be renewed; 0: ten minutes
}

// Client keeps certificates. It is safe for concurrent use.
type Client struct {
	cfg    Config
	cache  *certmagic.Cache
	magic  *certmagic.Config
	issuer *certmagic.ACMEIssuer
}

// Open returns a client that does nothing yet.
func Open(cfg Config) (*Client, error) {
	if cfg.HTTPPort == 0 && cfg.TLSPort == 0 {
		return nil, errors.New("acme: no listener could answer the authority")
	}
	c := &Client{cfg: cfg}
	quiet := zap.NewNop() // what is worth knowing comes as events
	storage := &certmagic.FileStorage{Path: cfg.Folder}
	c.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return c.magic, nil },
		RenewCheckInterval: cfg.renewals, Logger: quiet,
	})
	c.magic = certmagic.New(c.cache, certmagic.Config{
		Storage: storage, Logger: quiet,
		OnEvent: c.event, ShouldEmitFunc: func(name string) bool { return name != "tls_get_certificate" },
	})
	template := certmagic.ACMEIssuer{
		CA: cfg.Directory, Email: cfg.Email, Agreed: true, Logger: quiet,
		DisableHTTPChallenge: cfg.HTTPPort == 0, AltHTTPPort: int(cfg.HTTPPort),
		DisableTLSALPNChallenge: cfg.TLSPort == 0, AltTLSALPNPort: int(cfg.TLSPort),
		ListenHost: cfg.HTTPHost,
	}
	if template.CA == "" {
		template.CA = LetsEncrypt
	}
	if cfg.HTTPPort == 0 {
		template.ListenHost = cfg.TLSHost
	}
	if cfg.Roots != "" {
		text, err := os.ReadFile(cfg.Roots)
		if err != nil {
			c.cache.Stop()
			return nil, fmt.Errorf("acme: %w", err)
		}
		template.TrustedRoots = x509.NewCertPool()
		if !template.TrustedRoots.AppendCertsFromPEM(text) {
			c.cache.Stop()
			return nil, fmt.Errorf("acme: %s holds no certificate", cfg.Roots)
		}
	}
	c.issuer = certmagic.NewACMEIssuer(c.magic, template)
	c.magic.Issuers = []certmagic.Issuer{c.issuer}
	return c, nil
}

// Manage takes up the certificates that are kept, gets those that are missing, and renews them all in time, in the background until
// ctx ends. What fails is tried again after a minute, then ever more rarely, down to once in six hours.
func (c *Client) Manage(ctx context.Context) error { return c.magic.ManageAsync(ctx, c.cfg.Domains) }

// Close waits for what goes on.
func (c *Client) Close() { c.cache.Stop() }

// Certificate returns the certificate for the name of a handshake, or the first domain's, or the answer to the authority if it is
// the one who shakes hands. It returns an error if there is none yet.
func (c *Client) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	if slices.Equal(hello.SupportedProtos, []string{Protocol}) {
		if hello.Conn == nil || !slices.Contains(c.cfg.Domains, name) {
			return nil, errors.New("acme: not a domain of ours")
		}
		return c.magic.GetCertificate(hello)
	}
	var latest *certmagic.Certificate
	for _, name := range []string{name, c.cfg.Domains[0]} {
		for _, cert := range c.cache.AllMatchingCertificates(name) {
			if latest == nil || cert.Leaf.NotAfter.After(latest.Leaf.NotAfter) {
				latest = &cert
			}
		}
		if latest != nil {
			return &latest.Certificate, nil
		}
	}
	return nil, errors.New("acme: there is no certificate yet")
}

// Handler answers the authority's requests and gives all others to next.
func (c *Client) Handler(next http.Handler) http.Handler { return c.issuer.HTTPChallengeHandler(next) }

// event is called by certmagic, from any goroutine.
func (c *Client) event(ctx context.Context, name string, data map[string]any) error {
	domain, _ := data["identifier"].(string)
	renewal, _ := data["renewal"].(bool)
	switch name {
	case "cert_obtaining":
		c.cfg.Log.Info("asking the authority for a certificate", "domain", domain, "authority", c.issuer.CA)
	case "cert_obtained":
		c.cfg.Log.Info("the authority has given a certificate", "domain", domain, "renewal", renewal)
		c.changed(ctx, domain)
	case "cert_failed":
		err, _ := data["error"].(error)
		c.cfg.Log.Error("the authority gives no certificate, which is tried again; what is there stays in use", "domain", domain, "authority", c.issuer.CA, "ways", c.ways(), "err", err)
	case "cached_managed_cert":
		for _, domain := range names(data["sans"]) {
			c.changed(ctx, domain)
		}
	case "cert_ocsp_revoked":
		c.cfg.Log.Error("the authority has revoked a certificate", "domain", domain)
	}
	return nil
}

// ways says where the authority has to reach us.
func (c *Client) ways() string {
	var all []string
	if c.cfg.HTTPPort != 0 {
		all = append(all, fmt.Sprintf("port 80 has to lead to the HTTP listener at port %d", c.cfg.HTTPPort))
	}
	if c.cfg.TLSPort != 0 {
		all = append(all, fmt.Sprintf("port 443 has to lead to the HTTPS listener at port %d", c.cfg.TLSPort))
	}
	return strings.Join(all, ", or ")
}

func names(v any) []string {
	list, _ := v.([]string)
	return list
}

// changed hands a certificate on.
func (c *Client) changed(ctx context.Context, domain string) {
	if c.cfg.Changed == nil || !slices.Contains(c.cfg.Domains, domain) {
		return
	}
	chain, err := c.magic.Storage.Load(ctx, certmagic.StorageKeys.SiteCert(c.issuer.IssuerKey(), domain))
	if err == nil {
		var key []byte
		if key, err = c.magic.Storage.Load(ctx, certmagic.StorageKeys.SitePrivateKey(c.issuer.IssuerKey(), domain)); err == nil {
			c.cfg.Changed(domain, chain, key)
			return
		}
	}
	c.cfg.Log.Error("a certificate cannot be read again", "domain", domain, "err", err)
}

// Check says what is wrong with the address of a directory.
func Check(directory string) error {
	if directory == "" {
		return nil
	}
	u, err := url.Parse(directory)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%q is not the https:// address of an ACME directory", directory)
	}
	return nil
}
