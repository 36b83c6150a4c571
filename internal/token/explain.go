package token

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"
)

// Finding is what came of one check of a token.
type Finding struct {
	Check string // "form", "header", "iss", "signature", "use", or the claim
	OK    bool
	Says  string // what the token says there, cut; "" if nothing
	Code  string // why it is refused, for programs
	Text  string // why it is refused, for people
}

// Want is what a token is to open. What is empty is not asked.
type Want struct {
	Room   string
	Tenant string // with Room
	Door   string
}

// Explain says of every check of a token how it ends: where Check stops at the first refusal, Explain goes on as far as there is
// something to look at. The first refusal in the list is that of Check, if there is one. Nothing is counted or logged. What it
// says of a token is for who has the token: it reveals no more than presenting it would.
func (c *Checker) Explain(ctx context.Context, raw string, want Want) []Finding {
	var list []Finding
	note := func(check, says string, refusal *Error) bool {
		f := Finding{Check: check, OK: refusal == nil, Says: cut(says)}
		if refusal != nil {
			f.Code, f.Text = refusal.Code, refusal.Text
			if refusal.cause != "" {
				f.Text += ": " + refusal.cause
			}
		}
		list = append(list, f)
		return f.OK
	}
	t, refusal := takeApart(raw)
	if !note("form", "", refusal) {
		return list
	}
	alg, kid, refusal := readHeader(t.header)
	says := func(o object, name string) string {
		if v, there := o[name]; there {
			text, _ := json.Marshal(v)
			return strings.Trim(string(text), `"`)
		}
		return ""
	}
	header := note("header", strings.TrimSpace(says(t.header, "alg")+" "+says(t.header, "kid")), refusal)
	is, refusal := c.issuer(t.payload)
	known := note("iss", says(t.payload, "iss"), refusal)
	switch {
	case header && known:
		note("signature", "", is.verify(ctx, alg, kid, t.signed, t.signature))
	case known:
		note("signature", "", errSignature.because("it is not looked at under such a header"))
	default:
		note("signature", "", errSignature.because("there is no key to check it with"))
		is = new(issuer)
	}
	var claims Claims
	now := time.Now()
	for _, s := range c.steps(&claims, is, t.payload, now) {
		if s.ofIssuer && !known {
			continue // what its issuer may say is not known
		}
		said := says(t.payload, s.claim)
		if at, ok, err := t.payload.date(s.claim); ok && err == nil {
			said = at.UTC().Format(time.RFC3339)
		}
		note(s.claim, said, s.check())
	}
	if known && claims.ID != "" {
		note("use", "", c.unspent(ctx, &claims))
	}
	if want.Door != "" {
		note("door "+want.Door, claims.Door, asError(claims.AllowsDoor(want.Door)))
	}
	if want.Room != "" && known {
		note("room "+want.Room, claims.Room, asError(claims.Allows(want.Room, want.Tenant)))
	}
	return list
}

func asError(err error) *Error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e
	}
	return nil
}

// cut bounds what is shown of a claim.
func cut(s string) string {
	const most = 256
	if len(s) <= most {
		return s
	}
	for s = s[:most]; !utf8.ValidString(s); {
		s = s[:len(s)-1]
	}
	return s + "…"
}
