package token

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley/internal/event"
)

const (
	maxToken = 8 << 10 // bytes of a token
	maxKid   = 256     // bytes of the header kid
)

// Options are what a Checker needs besides its configuration.
type Options struct {
	// Domains are the names that the claim sub may hold for rooms of the server itself.
	Domains []string
	// Development accepts weak secrets. The caller vouches that nothing listens beyond loopback.
	Development bool
	// Allow is asked for every address before a key server is dialled; nil refuses what is not public, except what the
	// administrator wrote as an address into the URL.
	Allow func(netip.AddrPort) error
	// Recorder counts refusals and failures of key servers; may be nil.
	Recorder *event.Recorder
}

// Checker checks tokens. It is safe for concurrent use; Close ends what it fetches.
type Checker struct {
	cfg     Config
	issuers map[string]*issuer
	domains []string
	rec     *event.Recorder

	revoked *Used  // here, since the start
	used    *Used  // the same, where there is no ledger
	ledger  Ledger // nil: nothing is remembered across restarts
	writes  sync.WaitGroup
}

type issuer struct {
	Issuer
	static []key
	remote *cache // nil if all keys are static
}

// New returns a checker, or an error where the configuration could let strangers in: a secret that can be guessed, a
// key that is too weak, a file that is missing. Keys that are fetched are fetched later; that they cannot be is no error.
func New(cfg Config, o Options) (*Checker, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	c := &Checker{cfg: cfg, issuers: make(map[string]*issuer), rec: o.Recorder, revoked: NewUsed(mostSpent), used: NewUsed(mostSpent)}
	for _, d := range o.Domains {
		c.domains = append(c.domains, strings.ToLower(strings.TrimSuffix(d, ".")))
	}
	for _, i := range cfg.Issuers {
		is, err := c.newIssuer(i, o)
		if err != nil {
			return nil, fmt.Errorf("token: issuer %q: %w", i.Name, err)
		}
		c.issuers[i.Name] = is
	}
	for _, is := range c.issuers {
		if is.remote != nil {
			is.remote.warm()
		}
	}
	return c, nil
}

func (c *Checker) newIssuer(cfg Issuer, o Options) (*issuer, error) {
	is := &issuer{Issuer: cfg}
	for _, s := range cfg.Secrets {
		if err := checkSecret(s, o.Development); err != nil {
			return nil, err
		}
		is.static = append(is.static, secretKey(s))
	}
	for _, name := range cfg.PublicKeys {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		k, err := parsePEM("", data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		is.static = append(is.static, k)
	}
	if len(is.static) > maxKeys {
		return nil, fmt.Errorf("%d keys, at most %d are accepted", len(is.static), maxKeys)
	}
	place := cfg.JWKS + cfg.KeyServer // one of them is empty
	if place == "" {
		return is, nil
	}
	if cfg.JWKS != "" && !strings.Contains(cfg.JWKS, "://") {
		is.remote = newCache(fileSet(cfg.JWKS), cfg.Refresh, true, nil)
	} else {
		u, err := keyURL(place)
		if err != nil {
			return nil, err
		}
		allow := o.Allow
		if allow == nil && !cfg.Private {
			allow = publicExcept(u.Hostname())
		} else if allow == nil {
			allow = func(netip.AddrPort) error { return nil }
		}
		f := newFetcher(u, allow)
		load := f.key
		if cfg.JWKS != "" {
			load = f.set
		}
		is.remote = newCache(load, cfg.Refresh, cfg.JWKS != "", cfg.KeyIDs)
	}
	is.remote.failed = func(err error) {
		name := "dep.timeout"
		if errors.Is(err, errBlocked) {
			name = "ssrf.block"
		}
		c.rec.Reject(name, place, "err", err.Error())
	}
	return is, nil
}

// Accepts reports whether any token is accepted at all. A nil Checker accepts none.
func (c *Checker) Accepts() bool { return c != nil && len(c.issuers) > 0 }

// Close ends the fetching of keys, and waits for it and for what is being written to the ledger.
func (c *Checker) Close() error {
	c.writes.Wait()
	for _, is := range c.issuers {
		if is.remote != nil {
			is.remote.close()
		}
	}
	return nil
}

// Check returns what the token says, or an *Error. Source is who brought it, for the log. It may wait up to 5 s, or
// until ctx ends, for keys that are not there yet.
func (c *Checker) Check(ctx context.Context, raw, source string) (Claims, error) {
	claims, refusal := c.check(ctx, raw)
	if refusal != nil {
		c.rec.Reject(refusal.Event(), source, "code", refusal.Code, "err", refusal.Error())
		return Claims{}, refusal
	}
	return claims, nil
}

func (c *Checker) check(ctx context.Context, raw string) (Claims, *Error) {
	t, refusal := takeApart(raw)
	if refusal != nil {
		return Claims{}, refusal
	}
	alg, kid, refusal := readHeader(t.header)
	if refusal != nil {
		return Claims{}, refusal
	}
	is, refusal := c.issuer(t.payload)
	if refusal != nil {
		return Claims{}, refusal
	}
	if refusal := is.verify(ctx, alg, kid, t.signed, t.signature); refusal != nil {
		return Claims{}, refusal
	}
	var claims Claims
	for _, s := range c.steps(&claims, is, t.payload, time.Now()) {
		if refusal := s.check(); refusal != nil {
			return Claims{}, refusal
		}
	}
	if refusal := c.unspent(ctx, &claims); refusal != nil {
		return Claims{}, refusal
	}
	return claims, nil
}

// apart is a token taken apart, and not believed yet.
type apart struct {
	header, payload object
	signed          string // header and payload as they came
	signature       []byte
}

func takeApart(raw string) (t apart, refusal *Error) {
	if len(raw) > maxToken {
		return t, errSize.because("%d bytes", len(raw))
	}
	if strings.Count(raw, ".") != 2 {
		return t, errShape
	}
	t.signed = raw[:strings.LastIndexByte(raw, '.')]
	head, body, _ := strings.Cut(t.signed, ".")
	if t.header, refusal = readSegment(head); refusal != nil {
		return t, refusal
	}
	if t.payload, refusal = readSegment(body); refusal != nil {
		return t, refusal
	}
	var err error
	if t.signature, err = decodeSegment(raw[len(t.signed)+1:]); err != nil {
		return t, errShape.because("signature: %v", err)
	}
	return t, nil
}

// issuer returns whom the token says that it is from.
func (c *Checker) issuer(payload object) (*issuer, *Error) {
	name, err := payload.text("iss", maxName)
	if err != nil {
		return nil, errClaim.because("%v", err)
	}
	is := c.issuers[name]
	if is == nil {
		return nil, errIssuer.because("iss %.64q", name)
	}
	return is, nil
}

func readSegment(s string) (object, *Error) {
	data, err := decodeSegment(s)
	if err != nil {
		return nil, errShape.because("%v", err)
	}
	o, err := parseObject(data)
	if err != nil {
		return nil, errShape.because("%v", err)
	}
	return o, nil
}

// readHeader reads the header (RFC 7515 §4.1). The algorithm is only looked up in a list here; whether it is right is
// the key's matter.
func readHeader(o object) (alg, kid string, refusal *Error) {
	for _, name := range []string{"jku", "jwk", "x5u", "x5c"} {
		if _, ok := o[name]; ok {
			return "", "", errKid.because("the header brings %s", name)
		}
	}
	for _, name := range []string{"crit", "b64", "enc", "zip"} {
		if _, ok := o[name]; ok {
			return "", "", errHeader.because("the header holds %s", name)
		}
	}
	if typ, err := o.text("typ", 16); err != nil || typ != "" && !strings.EqualFold(typ, "JWT") && !strings.EqualFold(typ, "at+jwt") {
		return "", "", errHeader.because("typ %.16q", typ)
	}
	alg, err := o.text("alg", 16)
	if err != nil || !slices.Contains(algorithms, alg) {
		return "", "", errAlg.because("alg %.16q", alg)
	}
	kid, err = o.text("kid", maxKid)
	if _, there := o["kid"]; err != nil || there && kid == "" {
		return "", "", errKid.because("kid is empty, too long or no text")
	}
	for _, b := range []byte(kid) {
		if b <= ' ' || b > '~' {
			return "", "", errKid.because("kid holds other than visible ASCII")
		}
	}
	return alg, kid, nil
}

// verify checks the signature. A kid chooses among the keys that have one; keys without one are always tried.
func (is *issuer) verify(ctx context.Context, alg, kid, signed string, signature []byte) *Error {
	keys := is.static
	if is.remote != nil {
		keys = slices.Concat(is.remote.find(ctx, kid), keys)
	}
	fits, known := false, kid == "" || is.remote == nil
	for i := range keys {
		k := &keys[i]
		known = known || k.id == kid
		if !k.allows(alg) {
			continue
		}
		fits = true
		if jwt.GetSigningMethod(alg).Verify(signed, signature, k.material) == nil {
			return nil
		}
	}
	switch {
	case !known || len(keys) == 0:
		return errKid.because("kid %.64q", kid)
	case !fits:
		return errAlg.because("no key of the issuer is for %s", alg)
	}
	return errSignature
}
