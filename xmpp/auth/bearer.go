package auth

import (
	"context"
	"errors"
	"strings"

	"parley/internal/store"
	"parley/internal/token"
	"parley/xmpp/wire"
)

// bearer is OAUTHBEARER (RFC 7628) with our token:
//
//	gs2-header %x01 "auth=Bearer " token %x01 %x01
//
// A token makes a guest who has a name, not an account: the address is made up as for ANONYMOUS, so it can never be an
// account's. Only where the issuer is trusted to name accounts, and context.user.id is the name or bare address of one
// that exists here, is the identity that account. The claim sub is the tenant and never a user.
type bearer struct {
	x       *Exchange
	refused error // told to the client, who has yet to acknowledge
}

const kvsep = "\x01"

func (b *bearer) step(ctx context.Context, response []byte) ([]byte, bool, error) {
	if b.refused != nil {
		return nil, false, b.refused // whatever the client answers (RFC 7628 §3.2.3)
	}
	authzid, raw, err := parseBearer(string(response))
	if err != nil {
		return nil, false, err
	}
	claims, err := b.x.check(ctx, raw, errToken)
	if err != nil {
		b.refused = err
		return []byte(`{"status":"invalid_token"}`), false, nil
	}
	s := b.x.stream.server
	id, err := s.bearerIdentity(ctx, claims)
	if err != nil {
		return nil, false, err
	}
	if from := b.x.stream.from; authzid != "" && (s.canonical(authzid) != string(id.Addr) || from != "" && from != string(id.Addr)) {
		return nil, false, errAuthzid
	}
	b.x.login(id)
	return nil, true, nil
}

func (s *Server) bearerIdentity(ctx context.Context, claims *token.Claims) (Identity, error) {
	if !claims.Accounts || claims.User.ID == "" || s.accounts == nil {
		return s.guest(claims), nil
	}
	addr := s.address(claims.User.ID)
	if addr == "" {
		if a, err := wire.ParseAddr(claims.User.ID); err == nil && a.IsBare() && a.Local() != "" && a.Domain() == string(s.domain) {
			addr = a
		}
	}
	if addr == "" {
		return s.guest(claims), nil
	}
	account, err := s.accounts.Account(ctx, string(addr))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return s.guest(claims), nil
	case err != nil:
		return Identity{}, errStore.of("", err)
	case account.Disabled:
		return Identity{}, errDisabled
	}
	return Identity{Addr: addr, Claims: claims}, nil
}

func parseBearer(s string) (authzid, raw string, err error) {
	header, pairs, ok := strings.Cut(s, kvsep)
	flag, rest, comma := strings.Cut(header, ",")
	authz, empty, comma2 := strings.Cut(rest, ",")
	if !ok || !comma || !comma2 || empty != "" || flag != "n" && flag != "y" {
		return "", "", malformed("response has no GS2 header")
	}
	if authzid, err = parseAuthzid(authz); err != nil {
		return "", "", err
	}
	pairs, ok = strings.CutSuffix(pairs, kvsep+kvsep)
	if !ok {
		return "", "", malformed("response does not end as it must")
	}
	found := false
	for pair := range strings.SplitSeq(pairs, kvsep) {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return "", "", malformed("response is not a list of keys and values")
		}
		if key != "auth" {
			continue // host and port say nothing here
		}
		scheme, t, ok := strings.Cut(value, " ")
		if found || !ok || !strings.EqualFold(scheme, "Bearer") || t == "" {
			return "", "", malformed("response has not one bearer token")
		}
		found, raw = true, t
	}
	if !found {
		return "", "", malformed("response has no token")
	}
	return authzid, raw, nil
}

// canonical returns an address in canonical form, or "" if it is none.
func (s *Server) canonical(addr string) string {
	a, err := wire.ParseAddr(addr)
	if err != nil {
		return ""
	}
	return string(a)
}
