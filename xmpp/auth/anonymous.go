package auth

import (
	"context"
	"unicode/utf8"

	"github.com/google/uuid"

	"parley/internal/token"
	"parley/xmpp/wire"
)

// anonymous is ANONYMOUS (RFC 4505). Who brought a token with the connection is checked here, before <success/>, and is
// a guest with claims; a token that is refused is never overlooked, even where guests need none.
type anonymous struct{ x *Exchange }

const longestTrace = 255 // characters, RFC 4505 §3

func (a *anonymous) step(ctx context.Context, response []byte) ([]byte, bool, error) {
	if !utf8.Valid(response) || utf8.RuneCount(response) > longestTrace {
		return nil, false, malformed("trace information is too long or not UTF-8")
	}
	st := a.x.stream
	var claims *token.Claims
	switch {
	case st.channel.Token != "" && st.server.tokens.Accepts():
		var err error
		if claims, err = a.x.check(ctx, st.channel.Token, errOutOfBand); err != nil {
			return nil, false, err
		}
	case !st.server.cfg.Guests:
		return nil, false, errNeedsToken
	}
	a.x.login(st.server.guest(claims))
	return nil, true, nil
}

// guest makes up an address: a version 4 UUID in lower case, whose first eight characters Jitsi clients take as their
// endpoint id.
func (s *Server) guest(claims *token.Claims) Identity {
	return Identity{Addr: wire.Addr(uuid.NewString()) + "@" + s.domain, Anonymous: true, Claims: claims}
}
