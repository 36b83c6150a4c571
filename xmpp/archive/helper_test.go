package archive

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/store"
	"parley/internal/store/sqlstore"
	"parley/internal/token"
	"parley/xmpp/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a service on a store of its own, with accounts that work off what they are given at once.
type world struct {
	t     *testing.T
	s     *Service
	store store.Store
	full  bool                             // accounts take no more work
	knows map[wire.Addr]map[wire.Addr]bool // rosters
}

func newWorld(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	st, err := sqlstore.Open(context.Background(), "sqlite:"+filepath.Join(t.TempDir(), "parley.db"), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	w := &world{t: t, store: st, knows: make(map[wire.Addr]map[wire.Addr]bool)}
	for _, account := range []string{"romeo@x.net", "juliet@x.net", "nurse@x.net"} {
		if err := st.CreateAccount(context.Background(), store.Account{Addr: account, Created: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	w.start(st, change...)
	return w
}

// start starts a service on the store, as a process does.
func (w *world) start(st Store, change ...func(*Config)) {
	w.t.Helper()
	config := DefaultConfig()
	for _, f := range change {
		f(&config)
	}
	s, err := New(context.Background(), config, st, w, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.s = s
}

func (w *world) Do(_ wire.Addr, work func(b *wire.Batch)) bool {
	if !w.full {
		work(nil)
	}
	return !w.full
}

func (w *world) Knows(_ context.Context, account, contact wire.Addr) (bool, error) {
	return w.knows[account][contact], nil
}

// say archives a message between two addresses, those with an account at x.net, and returns its ids when it is committed.
func (w *world) say(from, to, format string, args ...any) (sender, recipient string) {
	w.t.Helper()
	sender, recipient, err := w.trySay(from, to, fmt.Sprintf(format, args...))
	if err != nil {
		w.t.Fatal(err)
	}
	return sender, recipient
}

func (w *world) trySay(from, to, children string) (sender, recipient string, err error) {
	m := Kept{From: wire.Addr(from), To: wire.Addr(to), Stanza: stanza(w.t, from, children)}
	if m.From.Domain() == "x.net" {
		m.Sender = m.From.Bare()
	}
	if m.To.Domain() == "x.net" {
		m.Recipient = m.To.Bare()
	}
	done := make(chan error, 2)
	sender, recipient = w.s.Keep(m, func(err error) { done <- err })
	return sender, recipient, <-done
}

func stanza(t testing.TB, from, children string) wire.Stanza {
	return packet(t, "<message type='chat'>"+children+"</message>").Stanza(wire.Addr(from))
}

func packet(t testing.TB, xml string) *wire.Packet {
	t.Helper()
	scanner := wire.Scanner{Limits: wire.AfterAuth}
	_, p, err := scanner.Next([]byte(xml))
	if err != nil {
		t.Fatalf("%v: %s", err, xml)
	}
	return p
}

// client is a session.
type client struct {
	w     *world
	addr  wire.Addr
	guest bool
	got   []string
}

func (c *client) Addr() wire.Addr       { return c.addr }
func (c *client) Guest() bool           { return c.guest }
func (c *client) Source() netip.Addr    { return netip.Addr{} }
func (c *client) Claims() *token.Claims { return nil }
func (c *client) Room() string          { return "" }
func (c *client) Tenant() string        { return "" }
func (c *client) Hold() func()          { return func() {} }

func (c *client) Deliver(_ *wire.Batch, to wire.Addr, s wire.Stanza) {
	if to == "" {
		to = c.addr
	}
	raw := string(append(wire.AppendStart(nil, s.Kind, "", to), s.Tail...))
	scanner := wire.Scanner{Limits: wire.AfterAuth}
	if n, _, err := scanner.Next([]byte(raw)); err != nil || n != len(raw) {
		c.w.t.Errorf("%s was sent what is no stanza: %v: %s", c.addr, err, raw)
	}
	c.got = append(c.got, raw)
}

// ask sends a request with a payload and returns the messages that come, and the answer to the IQ.
func (c *client) ask(typ, payload string) (messages []string, answer string) {
	c.w.t.Helper()
	c.got = nil
	c.w.s.Handle(nil, c, packet(c.w.t, "<iq type='"+typ+"' id='q'>"+payload+"</iq>"))
	if len(c.got) == 0 {
		c.w.t.Fatalf("no answer to %s", payload)
	}
	last := len(c.got) - 1
	for _, m := range c.got[:last] {
		if !strings.HasPrefix(m, "<message ") {
			c.w.t.Errorf("an answer is not the last stanza: %s", m)
		}
	}
	return c.got[:last], c.got[last]
}

// find asks for messages by a form's fields, pairs of name and value, and the content of a result set, and returns the
// bodies of what comes.
func (c *client) find(set string, fields ...string) (bodies []string, fin string) {
	c.w.t.Helper()
	messages, fin := c.ask("set", "<query xmlns='urn:xmpp:mam:2' queryid='f&apos;27'>"+formOf(fields...)+set+"</query>")
	for _, m := range messages {
		_, rest, _ := strings.Cut(m, "<body>")
		body, _, _ := strings.Cut(rest, "</body>")
		bodies = append(bodies, body)
	}
	return bodies, fin
}

func formOf(fields ...string) string {
	form := "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>"
	for i := 0; i < len(fields); i += 2 {
		form += "<field var='" + fields[i] + "'>"
		for _, value := range strings.Fields(fields[i+1]) {
			form += "<value>" + value + "</value>"
		}
		form += "</field>"
	}
	return form + "</x>"
}

func rsm(content string) string {
	return "<set xmlns='http://jabber.org/protocol/rsm'>" + content + "</set>"
}

// holds checks that an answer has each of the texts.
func holds(t *testing.T, answer string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(answer, text) {
			t.Errorf("%q is not in %s", text, answer)
		}
	}
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}
