package xmpp

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"sync"

	"parley/internal/bench"
)

// fastMechanism is what tokens are asked for and used with (XEP-0484): it needs nothing of the TLS library.
const fastMechanism = "HT-SHA-256-NONE"

// tokens remembers the token of each account at a server.
type tokens struct {
	sync.Mutex
	of map[string]string
}

// fetch logs in with the password of the i-th account and asks for a token.
func (t *tokens) fetch(ctx context.Context, s *bench.Server, i int) error {
	c, err := dial(ctx, s, i, true)
	if err != nil {
		return err
	}
	defer c.nc.Close()
	features, err := c.open()
	if err != nil {
		return err
	}
	const mech = "SCRAM-SHA-256"
	if !features.has("<mechanism>"+fastMechanism+"<") || !features.has(">"+mech+"<") {
		return fmt.Errorf("%s: %w", fastMechanism, errNotOffered)
	}
	name := s.Users.Name(i)
	x, first := mechanisms[mech].first(name, s.Users.Password)
	c.send("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='" + mech + "'><initial-response>" + base64.StdEncoding.EncodeToString([]byte(first)) + "</initial-response>" +
		agent(name) + "<request-token xmlns='urn:xmpp:fast:0' mechanism='" + fastMechanism + "'/></authenticate>")
	challenge, err := c.sasl("challenge")
	if err != nil {
		return err
	}
	final, err := x.final(challenge)
	if err != nil {
		return err
	}
	c.send("<response xmlns='urn:xmpp:sasl:2'>" + base64.StdEncoding.EncodeToString([]byte(final)) + "</response>")
	el, err := c.next()
	if err != nil {
		return err
	}
	token := string(el.between(" token='", "'"))
	if token == "" {
		token = string(el.between(` token="`, `"`))
	}
	if !el.is("success") || token == "" {
		return fmt.Errorf("wanted success with a token, got %q", el.raw)
	}
	t.Lock()
	defer t.Unlock()
	if t.of == nil {
		t.of = make(map[string]string)
	}
	t.of[name] = token
	return nil
}

// agent is the user-agent of an account's one client, with an id that looks as XEP-0388 wants it.
func agent(name string) string {
	sum := sha256.Sum256([]byte(name))
	return fmt.Sprintf("<user-agent id='%x-%x-4%03x-8%03x-%x'/>", sum[:4], sum[4:6], uint16(sum[6])<<4, uint16(sum[7])<<4, sum[8:14])
}

// login logs in with the token of the i-th account and binds, in one round trip behind the stream's start.
func (t *tokens) login(ctx context.Context, s *bench.Server, i int) (*client, error) {
	name := s.Users.Name(i)
	t.Lock()
	token := t.of[name]
	t.Unlock()
	c, err := dial(ctx, s, i, true)
	if err != nil {
		return nil, err
	}
	if err := c.loginFast(name, token); err != nil {
		c.nc.Close()
		return nil, fmt.Errorf("login of %s: %w", name, err)
	}
	return c, nil
}

func (c *client) loginFast(name, token string) error {
	if _, err := c.open(); err != nil {
		return err
	}
	mac := func(text string) []byte {
		m := hmac.New(sha256.New, []byte(token))
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	c.send("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='" + fastMechanism + "'><initial-response>" +
		base64.StdEncoding.EncodeToString(append([]byte(name+"\x00"), mac("Initiator")...)) + "</initial-response>" + agent(name) +
		"<bind xmlns='urn:xmpp:bind:0'><tag>bench</tag></bind><fast xmlns='urn:xmpp:fast:0'/></authenticate>")
	el, err := c.next()
	if err != nil {
		return err
	}
	data, err := base64.StdEncoding.DecodeString(string(el.between("<additional-data>", "<")))
	if err != nil || !el.is("success") || subtle.ConstantTimeCompare(data, mac("Responder")) != 1 {
		return fmt.Errorf("wanted success, got %q", el.raw)
	}
	c.jid = string(el.between("<authorization-identifier>", "<"))
	if el, err = c.next(); err == nil && !el.is("stream:features") {
		err = fmt.Errorf("wanted the stream's features, got %q", el.raw)
	}
	return err
}
