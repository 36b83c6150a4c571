package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Signer mints tokens with one key.
type Signer struct {
	kid    string
	domain string
	method jwt.SigningMethod
	key    any
}

// NewSigner returns a signer with a private key, or with a secret as []byte (HS256). Kid goes into the header unless it
// is empty; domain is what the claim sub says for rooms of the server itself.
func NewSigner(kid string, private any, domain string) (*Signer, error) {
	s := &Signer{kid: kid, domain: domain, key: private}
	switch k := private.(type) {
	case []byte:
		if len(k) == 0 {
			return nil, fmt.Errorf("token: the secret is empty")
		}
		s.method = jwt.SigningMethodHS256
	case *rsa.PrivateKey:
		s.method = jwt.SigningMethodRS256
	case *ecdsa.PrivateKey:
		public, err := publicKey(kid, &k.PublicKey)
		if err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
		s.method = jwt.GetSigningMethod(public.algs[0])
	case ed25519.PrivateKey:
		s.method = jwt.SigningMethodEdDSA
	default:
		return nil, fmt.Errorf("token: cannot sign with a %T", private)
	}
	return s, nil
}

// Sign returns the token that says what the claims say, now. Without an id it gets a random one of 128 bits, without
// IssuedAt the time now. Expires must be set. Accounts is not part of a token.
func (s *Signer) Sign(c Claims) (string, error) {
	if c.Expires.IsZero() {
		return "", fmt.Errorf("token: no time of expiry")
	}
	if c.ID == "" {
		var id [16]byte
		rand.Read(id[:])
		c.ID = base64.RawURLEncoding.EncodeToString(id[:])
	}
	if c.IssuedAt.IsZero() {
		c.IssuedAt = time.Now()
	}
	if c.Tenant == "" {
		c.Tenant = s.domain
	}
	user := jwt.MapClaims{"moderator": c.Moderator}
	for name, value := range map[string]string{"id": c.User.ID, "name": c.User.Name, "email": c.User.Email, "avatar": c.User.Avatar} {
		if value != "" {
			user[name] = value
		}
	}
	if c.User.HiddenFromRecorder {
		user["hidden-from-recorder"] = true
	}
	context := jwt.MapClaims{"user": user}
	if c.Group != "" {
		context["group"] = c.Group
	}
	if len(c.Features) > 0 {
		context["features"] = c.Features
	}
	claims := jwt.MapClaims{
		"iss": c.Issuer, "exp": c.Expires.Unix(), "iat": c.IssuedAt.Unix(), "jti": c.ID,
		"moderator": c.Moderator, "context": context,
	}
	for name, value := range map[string]string{"sub": c.Tenant, "room": c.Room, "door": c.Door} {
		if value != "" {
			claims[name] = value
		}
	}
	if c.Once {
		claims["once"] = true
	}
	if len(c.Audience) == 1 {
		claims["aud"] = c.Audience[0]
	} else if len(c.Audience) > 1 {
		claims["aud"] = c.Audience
	}
	if !c.NotBefore.IsZero() {
		claims["nbf"] = c.NotBefore.Unix()
	}
	t := jwt.NewWithClaims(s.method, claims)
	if s.kid != "" {
		t.Header["kid"] = s.kid
	}
	raw, err := t.SignedString(s.key)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	return raw, nil
}
