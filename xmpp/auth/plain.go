package auth

import (
	"bytes"
	"context"
	"crypto/pbkdf2"
	"crypto/subtle"
	"unicode/utf8"
)

// plain is PLAIN (RFC 4616): [authzid] NUL authcid NUL passwd.
type plain struct{ x *Exchange }

const longestName = 1023 // bytes of each part

func (p *plain) step(ctx context.Context, response []byte) ([]byte, bool, error) {
	parts := bytes.Split(response, []byte{0})
	if len(parts) != 3 || len(parts[1]) == 0 || len(parts[2]) == 0 || !utf8.Valid(response) {
		return nil, false, malformed("response is not authzid, NUL, user name, NUL, password")
	}
	for _, part := range parts {
		if len(part) > longestName {
			return nil, false, malformed("a part of the response is too long")
		}
	}
	s, ch := p.x.stream.server, &p.x.stream.channel
	if err := p.x.stream.mayBe(string(parts[0]), string(parts[1])); err != nil {
		return nil, false, err
	}
	u, err := s.find(ctx, ch, string(parts[1]))
	if err != nil {
		return nil, false, err
	}
	if !s.verify(&u, string(parts[2])) {
		return nil, false, s.wrong(ch, &u)
	}
	if err := s.right(ch, &u); err != nil {
		return nil, false, err
	}
	p.x.login(Identity{Addr: u.addr})
	return nil, true, nil
}

// mayBe reports whether the user may act as authzid: as nobody but themselves (RFC 6120 §6.3.8).
func (st *Stream) mayBe(authzid, name string) error {
	if authzid == "" {
		return nil
	}
	s := st.server
	addr := s.address(name)
	if addr == "" || s.canonical(authzid) != string(addr) || st.from != "" && st.from != string(addr) {
		return errAuthzid
	}
	return nil
}

// verify checks a password against what SCRAM keeps, at the same cost whether there is such a user or not.
func (s *Server) verify(u *user, password string) bool {
	prepared, err := prepare(password)
	if err != nil {
		prepared = password // no account can have it: let it cost the same and fail
	}
	h := hashes[plainHash]
	for _, other := range hashes {
		if !u.has(h.name) && u.has(other.name) { // an account from elsewhere, without the usual credential
			h = other
		}
	}
	c, real := s.credential(u, &h)
	s.did("pbkdf2", c.Iterations)
	salted, kerr := pbkdf2.Key(h.new, prepared, c.Salt, c.Iterations, h.size)
	if kerr != nil {
		return false
	}
	clientKey := s.mac(h.new, salted, "Client Key")
	return subtle.ConstantTimeCompare(h.sum(clientKey), c.StoredKey) == 1 && real && err == nil
}
