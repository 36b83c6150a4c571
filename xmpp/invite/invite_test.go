package invite

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"parley/internal/store"
	"parley/internal/store/sqlstore"
	"parley/internal/token"
	"parley/xmpp/command"
	"parley/xmpp/form"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// person executes commands.
type person struct {
	route.Sender
	addr wire.Addr
}

func (p person) Addr() wire.Addr       { return p.addr }
func (p person) Source() netip.Addr    { return netip.Addr{} }
func (p person) Claims() *token.Claims { return nil }

// friends notes who becomes friends.
type friends struct {
	made []string
	err  error
}

func (f *friends) Befriend(_ context.Context, one, other wire.Addr) error {
	f.made = append(f.made, string(one)+" "+string(other))
	return f.err
}

type world struct {
	t *testing.T
	*Service
	db   store.Store
	made *friends
}

func begin(t *testing.T, change func(*Config)) *world {
	t.Helper()
	ctx := context.Background()
	db, err := sqlstore.Open(ctx, "sqlite:"+t.TempDir()+"/x.db", sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	for _, name := range []string{"boss", "ann", "dr&ö"} {
		if err := db.CreateAccount(ctx, store.Account{Addr: name + "@x.net"}); err != nil {
			t.Fatal(err)
		}
	}
	cfg := Defaults()
	if change != nil {
		change(&cfg)
	}
	if err := cfg.Check(); err != nil {
		t.Fatal(err)
	}
	f := &friends{}
	s := New(cfg, "x.net", []wire.Addr{"boss@x.net"}, db, f, func(token string) string { return "https://x.net/invite/" + token }, nil)
	return &world{t, s, db, f}
}

// ask executes a command as somebody; form is what is filled in.
func (w *world) ask(who, node string, a form.Answers) (out command.Outcome, why *wire.Error) {
	w.t.Helper()
	for _, c := range w.Commands() {
		if c.Node == node {
			if !c.May(wire.Addr(who)) {
				w.t.Fatalf("%s may not %s", who, node)
			}
			return c.Do(context.Background(), &command.Execution{By: person{addr: wire.Addr(who + "/r")}, Answers: a})
		}
	}
	w.t.Fatalf("there is no %s", node)
	return
}

// invites makes an invitation and returns its link and its token.
func (w *world) invites(who, node string, a form.Answers) (uri, token string) {
	w.t.Helper()
	out, why := w.ask(who, node, a)
	if why != nil {
		w.t.Fatal(why)
	}
	got, _ := form.Read(wire.ParseElem(out.Form), formResult)
	uri = got.One("uri")
	_, token, _ = strings.Cut(uri, "preauth=")
	token = strings.TrimSuffix(token, ";ibr=y")
	if len(token) < 20 || got.One("landing-url") != "https://x.net/invite/"+token {
		w.t.Errorf("%q", got)
	}
	if until, err := time.Parse(time.RFC3339, got.One("expire")); err != nil || time.Until(until) < w.cfg.Lifetime-time.Minute {
		w.t.Errorf("%q", got)
	}
	return strings.Replace(uri, token, "TOKEN", 1), token
}

func TestLinks(t *testing.T) {
	w := begin(t, nil)
	for _, c := range []struct {
		who, node string
		a         form.Answers
		want      string
	}{
		{"ann@x.net", nodeInvite, nil, "xmpp:ann@x.net?roster;preauth=TOKEN"},
		{"dr&ö@x.net", nodeInvite, nil, "xmpp:dr&%C3%B6@x.net?roster;preauth=TOKEN"},
		{"boss@x.net", nodeInvite, nil, "xmpp:boss@x.net?roster;preauth=TOKEN;ibr=y"},
		{"boss@x.net", nodeCreate, nil, "xmpp:x.net?register;preauth=TOKEN"},
		{"boss@x.net", nodeCreate, form.Answers{"username": {"Juliet"}, "roster-subscription": {"1"}}, "xmpp:juliet@x.net?register;preauth=TOKEN"},
	} {
		if uri, _ := w.invites(c.who, c.node, c.a); uri != c.want {
			t.Errorf("%s, want %s", uri, c.want)
		}
	}
	for _, c := range []struct {
		a    form.Answers
		want string
	}{
		{form.Answers{"username": {"juliet"}}, "conflict"},
		{form.Answers{"username": {"ann"}}, "conflict"},
		{form.Answers{"username": {"a@b"}}, "bad-request"},
		{form.Answers{"username": {"a/b"}}, "bad-request"},
		{form.Answers{"roster-subscription": {"maybe"}}, "bad-request"},
	} {
		if _, why := w.ask("boss@x.net", nodeCreate, c.a); why == nil || string(why.Condition) != c.want {
			t.Errorf("%q: %v, want %s", c.a, why, c.want)
		}
	}
	if _, why := w.ask("gone@x.net", nodeInvite, nil); why == nil || why.Condition != "forbidden" {
		t.Errorf("somebody without an account: %v", why)
	}
}

func TestWhoMayInvite(t *testing.T) {
	for _, c := range []struct {
		contacts              bool
		accounts              string
		annInvites            bool
		bossCreates, annMakes bool
	}{{true, "admins", true, true, false}, {false, "everybody", false, true, true}, {true, "nobody", true, false, false}} {
		w := begin(t, func(cfg *Config) { cfg.Contacts, cfg.Accounts = c.contacts, c.accounts })
		list := w.Commands()
		if list[0].May("ann@x.net") != c.annInvites || list[1].May("boss@x.net") != c.bossCreates || list[1].May("ann@x.net") != c.annMakes || w.Accounts() != c.bossCreates {
			t.Errorf("%+v", c)
		}
	}
	if w := New(Defaults(), "x.net", nil, nil, nil, nil, nil); w.Accounts() {
		t.Error("without administrators")
	}
	for _, cfg := range []Config{{}, {Accounts: "some", Lifetime: time.Hour, Open: 1}, {Accounts: "admins", Open: 1}, {Accounts: "admins", Lifetime: time.Hour}} {
		if cfg.Check() == nil {
			t.Errorf("%+v is good", cfg)
		}
	}
}

func TestGrants(t *testing.T) {
	w := begin(t, nil)
	ctx := context.Background()
	_, token := w.invites("ann@x.net", nodeInvite, nil)
	_, other := w.invites("boss@x.net", nodeCreate, form.Answers{"username": {"juliet"}, "roster-subscription": {"1"}})
	_, mute := w.invites("boss@x.net", nodeCreate, nil)
	for _, c := range []struct {
		name, account, token string
		want                 bool
	}{
		{"of somebody else", "boss@x.net", token, false},
		{"unknown", "ann@x.net", "x", false},
		{"empty", "ann@x.net", "", false},
		{"long", "ann@x.net", strings.Repeat("x", 1<<16), false},
		{"in small letters", "ann@x.net", strings.ToLower(token), false},
		{"for an account", "boss@x.net", other, false},
		{"without friendship", "boss@x.net", mute, false},
		{"hers", "ann@x.net", token, true},
		{"used", "ann@x.net", token, false},
	} {
		if got := w.Grants(ctx, wire.Addr(c.account), c.token); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestRegister(t *testing.T) {
	w := begin(t, nil)
	ctx := context.Background()
	_, contact := w.invites("ann@x.net", nodeInvite, nil)
	if _, err := w.Invitation(ctx, contact); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an invitation for contacts makes accounts: %v", err)
	}
	_, token := w.invites("boss@x.net", nodeCreate, form.Answers{"username": {"juliet"}, "roster-subscription": {"true"}})
	if kept, err := w.Kept(ctx, "juliet@x.net"); !kept || err != nil {
		t.Errorf("the name is free: %v", err)
	}
	if kept, err := w.Kept(ctx, "boss@x.net"); !kept || err != nil {
		t.Errorf("the administrator's name is free: %v", err)
	}
	if kept, err := w.Kept(ctx, "romeo@x.net"); kept || err != nil {
		t.Errorf("another name is kept: %v", err)
	}
	page, err := w.Page(ctx, token)
	if err != nil || page.URI != "xmpp:juliet@x.net?register;preauth="+token || !page.Contact || !page.Account || page.Name != "juliet@x.net" || page.Inviter != "boss@x.net" {
		t.Errorf("%+v %v", page, err)
	}
	i, err := w.Invitation(ctx, token)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Service.Register(ctx, i, store.Account{Addr: "ann@x.net"}); !errors.Is(err, store.ErrExists) || len(w.made.made) > 0 {
		t.Errorf("an account that is there: %v", err)
	}
	w.made.err = errors.New("no") // the account is there all the same
	if err := w.Service.Register(ctx, i, store.Account{Addr: "juliet@x.net"}); err != nil {
		t.Fatal(err)
	}
	if strings.Join(w.made.made, ",") != "boss@x.net juliet@x.net" {
		t.Errorf("friends: %q", w.made.made)
	}
	if err := w.Service.Register(ctx, i, store.Account{Addr: "second@x.net"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("used twice: %v", err)
	}
	if _, err := w.Page(ctx, token); err == nil {
		t.Error("its page is still there")
	}
}

func TestExpired(t *testing.T) {
	w := begin(t, nil)
	ctx := context.Background()
	past := time.Now().Add(-time.Hour)
	i := store.Invite{Digest: digest("old"), Inviter: "boss@x.net", Register: true, Subscribe: true, Created: past, Expires: past.Add(time.Minute)}
	if err := w.db.AddInvite(ctx, i, 9); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Invitation(ctx, "old"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	if _, err := w.Page(ctx, "old"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	if w.Grants(ctx, "boss@x.net", "old") {
		t.Error("it grants something")
	}
	// Who showed it before it expired may finish (XEP-0445 §4).
	if err := w.Service.Register(ctx, i, store.Account{Addr: "late@x.net"}); err != nil {
		t.Error(err)
	}
}

func TestOpenInvitationsAreBounded(t *testing.T) {
	w := begin(t, func(cfg *Config) { cfg.Open = 3 })
	for range 3 {
		w.invites("ann@x.net", nodeInvite, nil)
	}
	if _, why := w.ask("ann@x.net", nodeInvite, nil); why == nil || why.Condition != "resource-constraint" {
		t.Errorf("%v", why)
	}
	w.invites("boss@x.net", nodeInvite, nil)
}
