package roomserver

import (
	"time"

	"parley/internal/token"
)

// trust notes the token that a member has now, and watches its end.
func (m *member) trust(claims *token.Claims, raw string) {
	if claims == nil {
		return
	}
	m.claims = claims
	m.tokens = append(m.tokens, digestOf(raw))
	if len(m.tokens) > 2 {
		m.tokens = m.tokens[1:]
	}
	if m.expires != nil {
		m.expires.Stop()
	}
	m.expires = time.AfterFunc(time.Until(claims.Expires)-m.room.service.cfg.TokenPrompt, func() { m.room.Post(func() { m.prompt(claims) }) })
}

// prompt asks a member for another token than the one that is about to expire, and has it out of the room if none comes.
func (m *member) prompt(claims *token.Claims) {
	if m.gone || m.claims != claims {
		return
	}
	cmd := "systemPromptToken"
	if m.room.service.cfg.LegacyTokenCmd {
		cmd = cmdUpdateToken
	}
	m.conn.Send(newFrame("req", cmd).text("appId", m.appID).text("roomId", m.roomID).text("uid", m.uid).end())
	m.expires = time.AfterFunc(time.Until(claims.Expires)+m.room.service.cfg.TokenGrace, func() {
		m.room.Post(func() {
			if m.claims == claims {
				m.kicked("token is expire")
			}
		})
	})
}

// renew takes another token of a member.
func (s *Service) renew(c *conn, at *place, q *Message) {
	claims, f := s.check(c, q.Token, at.room.addr)
	at.room.Do(func() {
		m := at.member
		switch {
		case m.gone || m.conn != c || q.UID != "" && q.UID != m.uid:
			f = fail(resultNoUID)
		case f == nil && claims != nil && m.claims != nil && (claims.User.ID != m.claims.User.ID || claims.Issuer != m.claims.Issuer):
			f = fail(resultNotAllowed)
		}
		if f != nil {
			s.refuse(c, q, f)
			return
		}
		in := 0
		if claims != nil {
			m.trust(claims, q.Token)
			in = int(time.Until(claims.Expires) / time.Second)
		}
		c.Send(response("respUpdateToken", resultOK, texts[resultOK]).number("expireIn", in).end())
	})
}
