package token

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"parley/internal/outside"
)

const (
	fetchTime = 5 * time.Second
	fetchSize = 1 << 20 // bytes
	redirects = 3
)

var (
	errGone    = errors.New("no such key") // the key server does not have it (any more)
	errBlocked = outside.ErrBlocked        // the dial-time check refused
)

// fetcher gets documents from one configured place: bounded in time and size, not led to another host by a redirect, and
// with every address checked when it is dialled, so that a name that resolves to an inner address leads nowhere.
type fetcher struct {
	base   *url.URL
	client *http.Client
}

func newFetcher(base *url.URL, allow func(netip.AddrPort) error) *fetcher {
	dialer := &net.Dialer{
		Timeout: fetchTime,
		Control: func(_, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return err
			}
			return allow(ap)
		},
	}
	return &fetcher{base: base, client: &http.Client{
		Timeout: fetchTime,
		Transport: &http.Transport{ // no proxy: the check must see the address that answers
			DialContext: dialer.DialContext, DisableKeepAlives: true, TLSHandshakeTimeout: fetchTime,
			ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if req.URL.Scheme != base.Scheme || req.URL.Host != base.Host {
				return errors.New("redirect to another host")
			}
			if len(via) > redirects {
				return errors.New("too many redirects")
			}
			return nil
		},
	}}
}

func (f *fetcher) get(ctx context.Context, u *url.URL) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone:
		return nil, errGone
	default:
		return nil, fmt.Errorf("key server answers %d", resp.StatusCode)
	}
	return readBounded(resp.Body)
}

func readBounded(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, fetchSize+1))
	if err == nil && len(data) > fetchSize {
		err = fmt.Errorf("more than %d bytes", fetchSize)
	}
	return data, err
}

// set loads the JWK set at base. That it is missing says nothing about its keys.
func (f *fetcher) set(ctx context.Context, _ string) ([]key, error) {
	data, err := f.get(ctx, f.base)
	if errors.Is(err, errGone) {
		return nil, errors.New("the JWK set is missing")
	}
	if err != nil {
		return nil, err
	}
	return parseSet(data)
}

// key loads one key from a key server. The name in the URL is a hash, so whatever a kid holds stays out of the path.
func (f *fetcher) key(ctx context.Context, id string) ([]key, error) {
	sum := sha256.Sum256([]byte(id))
	u := *f.base
	u.Path = path.Join("/", u.Path, hex.EncodeToString(sum[:])+".pem")
	u.RawPath = ""
	data, err := f.get(ctx, &u)
	if err != nil {
		return nil, err
	}
	k, err := parsePEM(id, data)
	if err != nil {
		return nil, err
	}
	return []key{k}, nil
}

// fileSet loads a JWK set from a file.
func fileSet(name string) func(context.Context, string) ([]key, error) {
	return func(context.Context, string) ([]key, error) {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		data, err := readBounded(f)
		if err != nil {
			return nil, err
		}
		return parseSet(data)
	}
}

func isLoopbackName(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

// publicExcept is the default check: public addresses, and what the administrator wrote into the URL as an address.
func publicExcept(host string) func(netip.AddrPort) error {
	written, err := netip.ParseAddr(host)
	isAddr := err == nil
	return func(ap netip.AddrPort) error {
		addr := ap.Addr().Unmap().WithZone("")
		if isAddr && addr == written.Unmap().WithZone("") || strings.EqualFold(host, "localhost") && addr.IsLoopback() {
			return nil
		}
		if !outside.Public(addr) {
			return errBlocked
		}
		return nil
	}
}
