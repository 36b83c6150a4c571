package register

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"parley/internal/limit"
	"parley/internal/store"
	"parley/xmpp/route/routetest"
	"parley/xmpp/wire"
)

// people keeps accounts in memory.
type people struct {
	all  map[string]store.Account
	down bool
}

func (p *people) CreateAccount(_ context.Context, a store.Account) error {
	if p.down {
		return errors.New("database is down")
	}
	if _, ok := p.all[a.Addr]; ok {
		return store.ErrExists
	}
	p.all[a.Addr] = a
	return nil
}

func (p *people) SetCredentials(_ context.Context, addr string, c []store.Credential) error {
	a, ok := p.all[addr]
	if !ok {
		return store.ErrNotFound
	}
	a.Credentials = c
	p.all[addr] = a
	return nil
}

func (p *people) DeleteAccount(_ context.Context, addr string) error {
	if _, ok := p.all[addr]; !ok {
		return store.ErrNotFound
	}
	delete(p.all, addr)
	return nil
}

// revoked notes whose sessions were ended.
type revoked []string

func (r *revoked) RevokeOthers(account, except wire.Addr) {
	*r = append(*r, string(account)+" but "+string(except))
}

var home = netip.MustParseAddr("192.0.2.1")

func service(cfg Config) (*Service, *people, *revoked) {
	p, r := &people{all: make(map[string]store.Account)}, &revoked{}
	now := func(_ wire.Addr, work func(*wire.Batch)) bool { work(&wire.Batch{}); return true }
	return New(cfg, "x.net", p, r, now, nil), p, r
}

// set is a registration with this content.
func set(content string) string {
	return "<iq type='set' id='1'><query xmlns='jabber:iq:register'>" + content + "</query></iq>"
}

func person(name, password string) string {
	return "<username>" + name + "</username><password>" + password + "</password>"
}

func TestRegister(t *testing.T) {
	s, p, _ := service(Config{Open: true})
	for _, c := range []struct{ send, want string }{
		{"<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>", "type='result'><query xmlns='jabber:iq:register'><instructions>"},
		{set(person("Ann", "secret")), " from='x.net' id='1' type='result'/>"},
		{set(person("ann", "other")), "<conflict "},
		{set(person("", "secret")), "<not-acceptable "},
		{set("<username>bob</username>"), "<not-acceptable "},
		{set(person("a@b", "secret")), "<not-acceptable "},
		{set(person("a/b", "secret")), "<not-acceptable "},
		{set(person("a b", "secret")), "<not-acceptable "},
		{set(person("bob", "&#9;")), "<not-acceptable "},
		{set("<remove/>"), "<unexpected-request "},
	} {
		got := string(s.Register(context.Background(), home, nil, routetest.Packet(t, c.send)).Tail)
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.send, got, c.want)
		}
	}
	if a := p.all["ann@x.net"]; len(p.all) != 1 || len(a.Credentials) != 3 || a.Created.IsZero() {
		t.Errorf("accounts: %+v", p.all)
	}
	p.down = true
	if got := string(s.Register(context.Background(), home, nil, routetest.Packet(t, set(person("bob", "secret")))).Tail); !strings.Contains(got, "<internal-server-error ") || strings.Contains(got, "database") {
		t.Errorf("the store is away: %s", got)
	}
	closed, p, _ := service(Config{Change: true})
	if got := string(closed.Register(context.Background(), home, nil, routetest.Packet(t, set(person("bob", "secret")))).Tail); !strings.Contains(got, "<not-allowed ") || len(p.all) > 0 {
		t.Errorf("turned off: %s", got)
	}
}

func TestHC2RegistrationsOfOneSourceAreFew(t *testing.T) {
	s, p, _ := service(Config{Open: true, Rate: limit.Rate{PerSecond: 0.001, Burst: 3}})
	count := func(source string) (made int) {
		for i := range 10 {
			got := s.Register(context.Background(), netip.MustParseAddr(source), nil, routetest.Packet(t, set(person(source[len(source)-1:]+string(rune('a'+i)), "secret"))))
			if strings.Contains(string(got.Tail), "type='result'") {
				made++
			} else if !strings.Contains(string(got.Tail), "<resource-constraint ") {
				t.Errorf("refused with %s", got.Tail)
			}
		}
		return made
	}
	if n := count("192.0.2.1"); n != 3 {
		t.Errorf("%d accounts of one source", n)
	}
	if n := count("192.0.2.2"); n != 3 {
		t.Errorf("%d accounts of another", n)
	}
	if len(p.all) != 6 {
		t.Errorf("%d accounts", len(p.all))
	}
}

func TestChangeAndRemove(t *testing.T) {
	s, p, r := service(Config{Change: true})
	p.all["ann@x.net"], p.all["bob@x.net"] = store.Account{}, store.Account{}
	ann := &routetest.Session{Address: "ann@x.net/a"}
	ask := func(from *routetest.Session, send, want string) {
		t.Helper()
		from.Got = ""
		s.Handle(&wire.Batch{}, from, routetest.Packet(t, send))
		if !strings.Contains(from.Got, want) {
			t.Errorf("%s: %q, want %q", send, from.Got, want)
		}
	}
	ask(ann, "<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>", "<registered/><username>ann</username>")
	ask(ann, set(person("bob", "mine now")), "<not-allowed ")
	ask(ann, set(person("ann", "")), "<bad-request ")
	ask(ann, set("<password>x</password>"), "<bad-request ")
	if len(*r) > 0 || len(p.all["bob@x.net"].Credentials) > 0 {
		t.Errorf("changed: %v %v", *r, p.all)
	}
	ask(ann, set(person("Ann", "new")), "type='result'")
	if len(p.all["ann@x.net"].Credentials) != 3 || len(*r) != 1 || (*r)[0] != "ann@x.net but ann@x.net/a" {
		t.Errorf("not changed: %v %v", *r, p.all)
	}
	ask(&routetest.Session{Address: "uuid@x.net/g", Anonymous: true}, set("<remove/>"), "<forbidden ")
	ask(ann, set("<remove/>"), "type='result'")
	if _, there := p.all["ann@x.net"]; there || len(p.all) != 1 || len(*r) != 2 || (*r)[1] != "ann@x.net but " {
		t.Errorf("not removed: %v %v", *r, p.all)
	}
	ask(ann, set("<remove/>"), "<item-not-found ")
	off, _, _ := service(Config{Open: true})
	off.Handle(&wire.Batch{}, ann, routetest.Packet(t, set("<remove/>")))
	if !strings.Contains(ann.Got, "<not-allowed ") {
		t.Errorf("turned off: %s", ann.Got)
	}
	busy, _, _ := service(Config{Change: true})
	busy.do = func(wire.Addr, func(*wire.Batch)) bool { return false }
	busy.Handle(&wire.Batch{}, ann, routetest.Packet(t, set("<remove/>")))
	if !strings.Contains(ann.Got, "<resource-constraint ") {
		t.Errorf("busy: %s", ann.Got)
	}
}

// open are invitations in memory, by token.
type open struct {
	p    *people
	all  map[string]store.Invite
	kept map[wire.Addr]bool
}

func (o *open) Accounts() bool { return true }

func (o *open) Invitation(_ context.Context, token string) (store.Invite, error) {
	if i, ok := o.all[token]; ok {
		return i, nil
	}
	return store.Invite{}, store.ErrNotFound
}

func (o *open) Register(ctx context.Context, i store.Invite, a store.Account) error {
	if _, ok := o.all[i.Digest]; !ok {
		return store.ErrNotFound
	}
	err := o.p.CreateAccount(ctx, a)
	if err == nil {
		delete(o.all, i.Digest)
	}
	return err
}

func (o *open) Kept(_ context.Context, a wire.Addr) (bool, error) { return o.kept[a], nil }

// XEP-0445: while registration is not open, an invitation opens it, once.
func TestInvited(t *testing.T) {
	s, p, _ := service(Config{})
	if s.Invites() {
		t.Error("there are no invitations")
	}
	s.Invite(&open{p: p, all: map[string]store.Invite{"any": {Digest: "any"}, "named": {Digest: "named", Name: "juliet@x.net"}}, kept: map[wire.Addr]bool{"juliet@x.net": true}})
	ctx := context.Background()
	show := func(token, want string) *store.Invite {
		t.Helper()
		answer, i := s.Preauth(ctx, home, routetest.Packet(t, "<iq type='set' id='1'><preauth xmlns='urn:xmpp:pars:0' token='"+token+"'/></iq>"))
		if !strings.Contains(string(answer.Tail), want) {
			t.Errorf("%s: %s", token, answer.Tail)
		}
		return i
	}
	ask := func(i *store.Invite, send, want string) {
		t.Helper()
		if got := string(s.Register(ctx, home, i, routetest.Packet(t, send)).Tail); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", send, got, want)
		}
	}
	const get = "<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>"
	if i := show("none", "<item-not-found "); i != nil {
		t.Error("an invitation of nobody")
	}
	ask(nil, get, "<not-allowed ")
	ask(nil, set(person("romeo", "secret")), "accounts are made with an invitation")
	any, named := show("any", "type='result'"), show("named", "type='result'")
	ask(any, get, "<username/>")
	ask(named, get, "<username>juliet</username>")
	ask(any, set(person("juliet", "secret")), "<conflict ")
	ask(named, set(person("romeo", "secret")), "<not-acceptable ")
	ask(named, set(person("Juliet", "secret")), "type='result'")
	ask(named, set(person("juliet", "secret")), "<item-not-found ")
	ask(any, set(person("juliet", "secret")), "<conflict ")
	ask(any, set(person("romeo", "secret")), "type='result'")
	ask(any, set(person("benvolio", "secret")), "<item-not-found ")
	if len(p.all) != 2 {
		t.Errorf("accounts: %v", p.all)
	}
}

func TestHC2GuessesOfTokensAreFew(t *testing.T) {
	s, p, _ := service(Config{Rate: limit.Rate{PerSecond: 0.001, Burst: 3}})
	s.Invite(&open{p: p})
	var answers []string
	for range 5 {
		answer, _ := s.Preauth(context.Background(), home, routetest.Packet(t, "<iq type='set' id='1'><preauth xmlns='urn:xmpp:pars:0' token='x'/></iq>"))
		answers = append(answers, string(answer.Tail))
	}
	if !strings.Contains(answers[2], "<item-not-found ") || !strings.Contains(answers[3], "<resource-constraint ") {
		t.Errorf("%q", answers)
	}
}
