package hook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"parley/internal/outside"
	"parley/internal/store"
)

// Headers of Standard Webhooks 1.0.0.
const (
	headerID        = "Webhook-Id"
	headerTimestamp = "Webhook-Timestamp"
	headerSignature = "Webhook-Signature"
)

// agent sends messages. It follows no redirect, uses no proxy, keeps no cookie, and looks at each address when it is dialled.
type agent struct {
	client    *http.Client
	transport *http.Transport
}

func newAgent(cfg Config) *agent {
	dialer := &net.Dialer{Timeout: cfg.Timeout}
	if !cfg.Private {
		dialer.Control = outside.Control
	}
	t := &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: cfg.Timeout, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		MaxIdleConns: runners, MaxIdleConnsPerHost: 1, MaxConnsPerHost: 4, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
	}
	return &agent{transport: t, client: &http.Client{
		Transport: t, Timeout: cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (a *agent) close() { a.transport.CloseIdleConnections() }

// send delivers a message, or says why that was not done.
func (a *agent) send(ctx context.Context, h store.Hook, d store.Delivery, now time.Time) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(d.Body))
	if err != nil {
		return errors.New("the address cannot be asked")
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Parley")
	at := strconv.FormatInt(now.Unix(), 10)
	r.Header.Set(headerID, d.ID)
	r.Header.Set(headerTimestamp, at)
	r.Header.Set(headerSignature, Sign(h.Secret, d.ID, at, d.Body))
	res, err := a.client.Do(r)
	if err != nil {
		if errors.Is(err, outside.ErrBlocked) {
			return outside.ErrBlocked
		}
		if e := (*url.Error)(nil); errors.As(err, &e) {
			return e.Err // without the address, which may hold a secret
		}
		return err
	}
	defer res.Body.Close()
	io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection can be used again
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("it answers %d", res.StatusCode)
	}
	return nil
}

// Sign returns the signature of a message: version 1 is HMAC-SHA256 of id, time in seconds and body.
func Sign(secret []byte, id, at string, body []byte) string {
	m := hmac.New(sha256.New, secret)
	io.WriteString(m, id+"."+at+".")
	m.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// secretPrefix is before the base64 of a secret, as Standard Webhooks writes it.
const secretPrefix = "whsec_"

// NewSecret returns a secret of 256 random bits, and how it is written for the application.
func NewSecret() (secret []byte, text string) {
	secret = make([]byte, 32)
	rand.Read(secret)
	return secret, secretPrefix + base64.StdEncoding.EncodeToString(secret)
}

// isInner reports a host that is written as an address that is not public, or that is this machine's name for itself.
func isInner(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return !outside.Public(a)
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
