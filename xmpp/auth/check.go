package auth

import (
	"context"
	"net/netip"
	"strings"
	"unicode/utf8"

	"parley/xmpp/wire"
)

// Password checks the password of an account, called by its name or bare address, outside of SASL, for doors that are no XMPP stream. The limits are those of all
// other tries, taken together. Every error is a *Failure, recorded already: "not-authorized", "account-disabled" or
// "temporary-auth-failure". The caller waits for its Delay and, as all of SASL, has made sure that nobody else reads what is sent.
func (s *Server) Password(ctx context.Context, source netip.Addr, name, password string) (wire.Addr, error) {
	st := &Stream{server: s, channel: Channel{Source: source}}
	x := &Exchange{stream: st, mechanism: "password"}
	if s.accounts == nil || name == "" || len(name) > longestName || len(password) > longestName || !utf8.ValidString(name) {
		return "", x.fail(errCredentials)
	}
	u, err := s.find(ctx, &st.channel, strings.TrimSuffix(name, "@"+string(s.domain)))
	if err != nil {
		return "", x.fail(err)
	}
	if !s.verify(&u, password) {
		return "", x.fail(s.wrong(&st.channel, &u))
	}
	if err := s.right(&st.channel, &u); err != nil {
		return "", x.fail(err)
	}
	return u.addr, nil
}
