package auth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"parley/internal/store"
)

// Fast is what a client says of the token that it logs in with (XEP-0484 §3.4).
type Fast struct {
	Client     string // the id of its user-agent (XEP-0388 §2.3)
	Count      int64  // 0 if it sends none
	Invalidate bool   // the token is not to be used again
}

// FastToken is what a client may log in with the next time.
type FastToken struct {
	Text    string // "" is none
	Expires time.Time
}

const (
	hashedPrefix = "HT-SHA-256-"
	seedSize     = 16  // bytes
	mostClients  = 50  // of one account that hold tokens
	longestID    = 128 // bytes of the id of a user-agent
)

// hashedBindings are the types of channel binding by the end of the mechanism's name (draft-schmaus-kitten-sasl-ht §2).
var hashedBindings = []struct{ suffix, binding string }{
	{"EXPR", "tls-exporter"}, {"UNIQ", "tls-unique"}, {"ENDP", "tls-server-end-point"},
}

// Extensible reports that the extensible profile (XEP-0388) may be offered: it is for streams that nobody can read.
func (st *Stream) Extensible() bool { return st.confidential() && len(st.mechanisms) > 0 }

// Claims says whom the stream's header named as the client, in canonical form. Who asks to act as somebody else, in any
// later exchange of this stream, is refused (XEP-0388 §5.4).
func (st *Stream) Claims(from string) { st.from = from }

// FastMechanisms are those that a token can be used with here (XEP-0484 §3.1). They are offered beside the others and
// are not among them.
func (st *Stream) FastMechanisms() []string {
	if st.server.fast == nil || st.server.accounts == nil || st.server.cfg.TokenLife <= 0 || !st.confidential() {
		return nil
	}
	var list []string
	for _, h := range hashedBindings {
		if _, ok := st.channel.binding(h.binding); ok {
			list = append(list, hashedPrefix+h.suffix)
		}
	}
	return append(list, hashedPrefix+"NONE")
}

// BeginFast is Begin for a client that has a token.
func (st *Stream) BeginFast(mechanism string, f Fast) (*Exchange, error) {
	x, err := st.next(mechanism)
	switch {
	case err != nil:
		return nil, err
	case !slices.Contains(st.FastMechanisms(), mechanism):
		return nil, x.fail(errMechanism)
	case f.Client == "" || len(f.Client) > longestID || f.Count < 0:
		return nil, x.fail(malformed("a token needs the id of the user-agent, and counts from 1"))
	}
	st.current = x
	x.steps = &hashed{x: x, fast: f}
	return x, nil
}

// hashed is a mechanism of the HT family (draft-schmaus-kitten-sasl-ht):
//
//	initiator  user NUL HMAC(token, "Initiator" channel-binding)
//	responder  HMAC(token, "Responder" channel-binding)
type hashed struct {
	x    *Exchange
	fast Fast
}

func (h *hashed) step(ctx context.Context, response []byte) ([]byte, bool, error) {
	name, proof, ok := bytes.Cut(response, []byte{0})
	if !ok || len(name) == 0 || len(name) > longestName || !utf8.Valid(name) || len(proof) != sha256.Size {
		return nil, false, malformed("response is not user name, NUL and hash")
	}
	st := h.x.stream
	s, ch := st.server, &st.channel
	binding, err := h.binding(ch)
	if err != nil {
		return nil, false, err
	}
	u, err := s.admit(ch, string(name))
	if err != nil {
		return nil, false, err
	}
	// Who has a token has an account that may log in: the store sees to that.
	client := s.client(&u, h.fast.Client)
	s.did("store", 1)
	kept, err := s.fast.FastTokens(ctx, u.name, client)
	if err != nil {
		s.guard.undo(ch.Source, u.key, time.Now())
		return nil, false, errStore.of(u.hashed(), err)
	}
	t, text := h.match(&u, client, kept, binding, proof)
	switch {
	case t == nil || u.addr == "":
		return nil, false, s.wrong(ch, &u)
	case !time.Now().Before(t.Expires):
		s.guard.undo(ch.Source, u.key, time.Now())
		return nil, false, errExpired.of(u.hashed(), nil)
	}
	if err := h.use(ctx, t); err != nil {
		s.guard.undo(ch.Source, u.key, time.Now())
		if errors.Is(err, store.ErrNotFound) {
			return nil, false, errReplay.of(u.hashed(), nil)
		}
		return nil, false, errStore.of(u.hashed(), err)
	}
	if err := s.right(ch, &u); err != nil {
		return nil, false, err
	}
	h.x.renews = !h.fast.Invalidate && time.Since(t.Issued) >= s.cfg.TokenRenew
	h.x.login(Identity{Addr: u.addr, Bound: len(binding) > 0})
	return s.mac(sha256.New, []byte(text), "Responder", binding), true, nil
}

// binding returns the channel's data for the mechanism.
func (h *hashed) binding(ch *Channel) (string, error) {
	for _, b := range hashedBindings {
		if h.x.mechanism != hashedPrefix+b.suffix {
			continue
		}
		binding, ok := ch.binding(b.binding)
		if !ok {
			return "", errBindingType
		}
		data, err := binding.Data()
		if err != nil || len(data) == 0 {
			return "", errBinding.of("", err)
		}
		return string(data), nil
	}
	return "", nil
}

// match finds the token that the proof was made with. It does the same work whether there are tokens or none, and
// whichever it is.
func (h *hashed) match(u *user, client string, kept []store.FastToken, binding string, proof []byte) (found *store.FastToken, text string) {
	s := h.x.stream.server
	for i := range 2 {
		t := &store.FastToken{Mechanism: h.x.mechanism, Seed: make([]byte, seedSize)}
		real := i < len(kept)
		if real {
			t = &kept[i]
		}
		candidate := s.fastText(u.name, client, t)
		want := s.mac(sha256.New, []byte(candidate), "Initiator", binding)
		if subtle.ConstantTimeCompare(want, proof) == 1 && real && t.Mechanism == h.x.mechanism {
			found, text = t, candidate
		}
	}
	return found, text
}

// use has the store note what follows from the use of a token. Nothing follows from the second use of a token that is not
// counted.
func (h *hashed) use(ctx context.Context, t *store.FastToken) error {
	s := h.x.stream.server
	if t.Fresh || h.fast.Count != 0 {
		if err := s.fast.UseFastToken(ctx, *t, h.fast.Count); err != nil {
			return err
		}
	}
	if h.fast.Invalidate {
		return s.fast.DropFastTokens(ctx, t.Addr, t.Client)
	}
	return nil
}

// client is what the store knows an installation of a client by. It does not tell the id, which no other entity may learn.
func (s *Server) client(u *user, id string) string {
	return hex.EncodeToString(s.mac(sha256.New, s.secret, "client\x00", u.name, "\x00", id)[:16])
}

// Device is what the store knows the client of a login by, from the id of its user-agent (XEP-0388 §2.3); "" if it has not said one.
func (s *Server) Device(id Identity, client string) string {
	if client == "" || len(client) > longestID || id.Anonymous || id.Claims != nil {
		return ""
	}
	return s.client(&user{name: string(id.Addr)}, client)
}

// fastText makes a token of what the store has of it and of the server's secret.
func (s *Server) fastText(addr, client string, t *store.FastToken) string {
	sum := s.mac(sha256.New, s.secret, "fast\x00", addr, "\x00", client, "\x00", t.Mechanism, "\x00", string(t.Seed))
	return base64.RawURLEncoding.EncodeToString(sum)
}

// Token returns a new token for the client that has logged in with this exchange, when it is committed. Mechanism is what
// the client asks a token for, "" if it does not ask; it may be due for one all the same (XEP-0484 §3.5). Without an error
// and without text, there is none for it.
func (x *Exchange) Token(ctx context.Context, client, mechanism string) (FastToken, error) {
	id := x.Identity()
	if mechanism == "" && x.renews {
		mechanism = x.mechanism
	}
	st := x.stream
	if id.Addr == "" || id.Anonymous || id.Claims != nil || client == "" || len(client) > longestID || !slices.Contains(st.FastMechanisms(), mechanism) {
		return FastToken{}, nil
	}
	s := st.server
	now := time.Now()
	t := store.FastToken{
		Addr: string(id.Addr), Client: s.client(&user{name: string(id.Addr)}, client), Fresh: true, Mechanism: mechanism,
		Seed: make([]byte, seedSize), Issued: now, Expires: now.Add(s.cfg.TokenLife),
	}
	rand.Read(t.Seed)
	if err := s.fast.AddFastToken(ctx, t, mostClients); err != nil {
		s.rec.Hurt("auth.store", st.channel.Source.String(), "err", err.Error())
		return FastToken{}, err
	}
	return FastToken{Text: s.fastText(t.Addr, t.Client, &t), Expires: t.Expires}, nil
}

// Resource returns the part of a full address that is made for a client (XEP-0386 §4.3.1): the same each time for the
// same installation and tag, and not to be guessed from them.
func (s *Server) Resource(id Identity, client, tag string) string {
	if client == "" || id.Anonymous {
		return strings.ToLower(rand.Text()[:12])
	}
	return hex.EncodeToString(s.mac(sha256.New, s.secret, "resource\x00", string(id.Addr), "\x00", client, "\x00", tag)[:8])
}
