package token

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// step checks one claim and notes what it says.
type step struct {
	claim    string
	ofIssuer bool // it depends on what the issuer is allowed
	check    func() *Error
}

// steps are the checks of a token whose signature is right, in their order.
func (c *Checker) steps(claims *Claims, is *issuer, o object, now time.Time) []step {
	claims.Issuer, claims.Accounts, claims.Leeway = is.Name, is.Accounts, c.cfg.Leeway
	text := func(name string, to *string) func() *Error {
		return func() *Error {
			s, err := o.text(name, maxName)
			if err != nil {
				return errClaim.because("%v", err)
			}
			*to = s
			return nil
		}
	}
	return []step{
		{"exp", false, func() *Error { return c.readExpiry(claims, o, now) }},
		{"nbf", false, func() *Error { return c.readPast("nbf", &claims.NotBefore, o, now) }},
		{"iat", false, func() *Error { return c.readPast("iat", &claims.IssuedAt, o, now) }},
		{"aud", true, func() *Error { return readAudience(claims, is, o) }},
		{"jti", false, text("jti", &claims.ID)},
		{"door", false, text("door", &claims.Door)},
		{"once", false, func() *Error { return readOnce(claims, o) }},
		{"room", true, func() *Error { return readRoom(claims, is, o) }},
		{"sub", true, func() *Error { return c.readTenant(claims, is, o) }},
		{"context", false, func() *Error {
			if err := claims.readContext(o); err != nil {
				return errClaim.because("%v", err)
			}
			return nil
		}},
	}
}

// readExpiry checks exp (RFC 7519 §4.1.4). A token without an end is refused, and so is one whose end is further away than tokens
// may live, whatever its iat says.
func (c *Checker) readExpiry(claims *Claims, o object, now time.Time) *Error {
	exp, ok, err := o.date("exp")
	if err != nil {
		return errClaim.because("%v", err)
	}
	if !ok {
		return errNoExpiry
	}
	claims.Expires = exp
	if claims.Current(now) != nil {
		return errExpired
	}
	if exp.After(now.Add(c.cfg.MaxLifetime + c.cfg.Leeway)) {
		return errFar
	}
	return nil
}

// readPast checks nbf or iat (RFC 7519 §4.1.5–6), which must not lie in the future.
func (c *Checker) readPast(name string, to *time.Time, o object, now time.Time) *Error {
	t, _, err := o.date(name)
	if err != nil {
		return errClaim.because("%v", err)
	}
	*to = t
	if t.After(now.Add(c.cfg.Leeway)) {
		return errEarly.because("%s", name)
	}
	return nil
}

// readAudience checks aud (RFC 7519 §4.1.3).
func readAudience(claims *Claims, is *issuer, o object) *Error {
	audience, err := audienceOf(o)
	if err != nil {
		return errClaim.because("%v", err)
	}
	claims.Audience = audience
	if !slices.Contains(is.Audiences, Any) && !slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(is.Audiences, a) }) {
		return errAudience
	}
	return nil
}

func audienceOf(o object) ([]string, error) {
	list, ok := o["aud"].([]any)
	if !ok {
		s, err := o.text("aud", maxName)
		if err != nil || s == "" {
			return nil, err
		}
		return []string{s}, nil
	}
	var audience []string
	for _, v := range list {
		s, ok := v.(string)
		if !ok {
			return nil, errors.New("aud is not a list of strings")
		}
		if err := checkText("aud", s, maxName); err != nil {
			return nil, err
		}
		audience = append(audience, s)
	}
	return audience, nil
}

// readOnce reads our claim once: such a token needs an id, without which it could not be told from its copies.
func readOnce(claims *Claims, o object) *Error {
	once, err := o.flag("once")
	if err != nil {
		return errClaim.because("%v", err)
	}
	if claims.Once = once; once && claims.ID == "" {
		return errNoID
	}
	return nil
}

// readRoom and readTenant check room and sub, which say where the token leads.
func readRoom(claims *Claims, is *issuer, o object) *Error {
	room, err := o.text("room", maxRoom)
	if err != nil {
		return errClaim.because("%v", err)
	}
	if _, there := o["room"]; !there && is.RoomOptional {
		room = Any
	}
	if room == "" {
		return errRoom.because("no room")
	}
	claims.Room = room
	return nil
}

func (c *Checker) readTenant(claims *Claims, is *issuer, o object) *Error {
	sub, err := o.text("sub", maxRoom)
	if err != nil {
		return errClaim.because("%v", err)
	}
	if is.AnySubject {
		claims.Tenant = Any
		return nil
	}
	if sub == "" {
		return errTenant.because("no sub")
	}
	if !slices.Contains(c.domains, strings.ToLower(strings.TrimSuffix(sub, "."))) {
		claims.Tenant = sub
	}
	return nil
}
