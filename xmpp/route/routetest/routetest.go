// Package routetest has what tests of services need of the router: a session that is none.
package routetest

import (
	"net/netip"
	"testing"

	"parley/internal/token"
	"parley/xmpp/wire"
)

// Session is a route.Sender that keeps the last stanza that it is sent.
type Session struct {
	Address   wire.Addr
	Anonymous bool   // it logged in without an account
	Got       string // what came last, behind the head
}

func (s *Session) Addr() wire.Addr       { return s.Address }
func (s *Session) Guest() bool           { return s.Anonymous }
func (s *Session) Source() netip.Addr    { return netip.Addr{} }
func (s *Session) Claims() *token.Claims { return nil }
func (s *Session) Room() string          { return "" }
func (s *Session) Tenant() string        { return "" }
func (s *Session) Hold() func()          { return func() {} }
func (s *Session) Deliver(_ *wire.Batch, _ wire.Addr, st wire.Stanza) {
	s.Got = string(st.Tail)
}

// Packet reads a stanza as a client would send it.
func Packet(t testing.TB, s string) *wire.Packet {
	t.Helper()
	scan := wire.Scanner{Limits: wire.AfterAuth}
	_, p, err := scan.Next([]byte(s))
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return p
}
