package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"time"

	"parley/internal/event"
	"parley/internal/limit"
	"parley/internal/store"
	"parley/internal/token"
	"parley/xmpp/wire"
)

// Config says how people may log in to one virtual host.
type Config struct {
	Guests        bool `help:"people without account or token may enter as guests"`
	Plain         bool `help:"offer PLAIN, over TLS"`
	PlainInsecure bool `help:"offer PLAIN and OAUTHBEARER without TLS to clients on loopback addresses, for development"`
	MechanismHash bool `help:"protect the list of mechanisms in SCRAM (XEP-0474)"`

	Tries       int           `help:"tries in one stream; 0 is any number"`
	UserRate    limit.Rate    `help:"tries of one user from one source"`
	StrangeRate limit.Rate    `help:"tries of one user from all sources together from which the user has not logged in before"`
	SourceRate  limit.Rate    `help:"failed tries of one source for all users together"`
	MaxDelay    time.Duration `help:"the longest delay before a refusal is answered; it doubles with each failure, from 1s"`

	TokenLife  time.Duration `help:"how long a client may log in with a token that it asked for, in place of its password (XEP-0484); 0: none are given out"`
	TokenRenew time.Duration `help:"age from which on such a token is replaced when it is used"`
}

// DefaultConfig is a host with accounts and guests, and the limits of hardening.md §1.
func DefaultConfig() Config {
	return Config{
		Guests: true, Plain: true, MechanismHash: true, Tries: 3,
		UserRate:    limit.Rate{PerSecond: 10.0 / 60, Burst: 10},
		StrangeRate: limit.Rate{PerSecond: 30.0 / 60, Burst: 30},
		SourceRate:  limit.Rate{PerSecond: 60.0 / 60, Burst: 100},
		MaxDelay:    30 * time.Second,
		TokenLife:   21 * 24 * time.Hour,
		TokenRenew:  24 * time.Hour,
	}
}

// Accounts is what login needs of the store.
type Accounts interface {
	// Account returns the account with its credentials, or store.ErrNotFound.
	Account(ctx context.Context, addr string) (store.Account, error)
}

// Server authenticates the clients of one virtual host. It is safe for concurrent use.
type Server struct {
	cfg      Config
	domain   wire.Addr
	hashes   []scramHash // those of SCRAM that are offered
	secret   []byte
	accounts Accounts
	tokens   *token.Checker
	fast     store.FastTokens // nil: none are given out
	guard    *guard
	rec      *event.Recorder

	// For tests: the server's part of a nonce, and a count of the costly steps.
	nonce func() string
	work  func(kind string, n int)
}

const minSecret = 32 // bytes

// New returns the server of a domain. Secret, of at least 32 bytes, is the server's own; it must stay the same across
// restarts, else the salts that unknown users are shown would change where those of real users do not. Accounts is nil
// on a host without accounts, tokens is nil where none are accepted, rec may be nil.
func New(cfg Config, domain wire.Addr, secret []byte, accounts Accounts, tokens *token.Checker, rec *event.Recorder) (*Server, error) {
	if a, err := wire.ParseAddr(string(domain)); err != nil || a != domain || a.Domain() != string(a) {
		return nil, fmt.Errorf("auth: %q is not a domain in canonical form", domain)
	}
	if len(secret) < minSecret {
		return nil, fmt.Errorf("auth: the server secret has %d bytes, and needs %d", len(secret), minSecret)
	}
	return &Server{
		cfg: cfg, hashes: hashes, domain: domain, secret: secret, accounts: accounts, tokens: tokens, rec: rec,
		guard: newGuard(cfg.UserRate, cfg.StrangeRate, cfg.SourceRate, cfg.MaxDelay), nonce: newNonce,
	}, nil
}

// Fast has the tokens of XEP-0484 kept in a store. It is called before the first stream.
func (s *Server) Fast(tokens store.FastTokens) { s.fast = tokens }

// Identity is who logged in.
type Identity struct {
	Addr      wire.Addr // bare address
	Anonymous bool      // a guest: Addr is made up and has no account
	Mechanism string
	Bound     bool          // the exchange was bound to the TLS connection
	Claims    *token.Claims // of the token, nil if there was none
}

// address returns the bare address of a user name at this host, or "" if there can be no such user.
func (s *Server) address(name string) wire.Addr {
	addr, err := wire.ParseAddr(name + "@" + string(s.domain))
	if err != nil || addr.Domain() != string(s.domain) || addr.Local() == "" || !addr.IsBare() {
		return ""
	}
	return addr
}

// user is somebody who tries to log in with a name.
type user struct {
	addr    wire.Addr // "" if there can be no such user
	name    string    // the address, or the name as it came
	key     userKey
	account store.Account
	found   bool
}

// admit says who it is that tries to log in, if the limits allow another try.
func (s *Server) admit(ch *Channel, name string) (user, error) {
	u := user{addr: s.address(name), name: name}
	if u.addr != "" {
		u.name = string(u.addr)
	}
	copy(u.key[:], s.mac(sha256.New, s.secret, "user\x00", u.name))
	if delay, ok := s.guard.admit(ch.Source, u.key, time.Now()); !ok {
		f := errTooMany.of(u.hashed(), nil)
		f.Delay = delay
		return u, f
	}
	return u, nil
}

// find looks up who tries to log in. An unknown user is no error: the exchange goes on to its end with a credential that
// nobody can have.
func (s *Server) find(ctx context.Context, ch *Channel, name string) (user, error) {
	u, err := s.admit(ch, name)
	if err != nil || u.addr == "" {
		return u, err
	}
	s.did("store", 1)
	account, err := s.accounts.Account(ctx, string(u.addr))
	switch {
	case err == nil:
		u.account, u.found = account, true
	case !errors.Is(err, store.ErrNotFound):
		s.guard.undo(ch.Source, u.key, time.Now())
		return u, errStore.of(u.hashed(), err)
	}
	return u, nil
}

// hashed is the user for the log: the same name looks the same, and cannot be read.
func (u *user) hashed() string { return hex.EncodeToString(u.key[:4]) }

// wrong ends a try whose password was wrong.
func (s *Server) wrong(ch *Channel, u *user) error {
	f := errCredentials.of(u.hashed(), nil)
	f.Delay = s.guard.failed(ch.Source, u.key, time.Now())
	return f
}

// right ends a try whose password was right. Only here is it told that an account is disabled.
func (s *Server) right(ch *Channel, u *user) error {
	s.guard.succeeded(ch.Source, u.key, time.Now())
	if u.account.Disabled {
		return errDisabled.of(u.hashed(), nil)
	}
	return nil
}

// mac is HMAC. Everything that depends on whether a user exists goes through here, so that tests can count it.
func (s *Server) mac(h func() hash.Hash, key []byte, parts ...string) []byte {
	s.did("hmac", 1)
	m := hmac.New(h, key)
	for _, p := range parts {
		m.Write([]byte(p))
	}
	return m.Sum(nil)
}

func (s *Server) did(kind string, n int) {
	if s.work != nil {
		s.work(kind, n)
	}
}
