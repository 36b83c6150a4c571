package admin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/internal/store"
	"parley/internal/store/sqlstore"
	"parley/xmpp/command"
	"parley/xmpp/form"
	"parley/xmpp/wire"
)

// office stands for the rest of the server, and notes what it is asked for.
type office struct {
	present []Present
	said    []string
}

func (o *office) Present(account wire.Addr) (list []Present) {
	for _, p := range o.present {
		if account == "" || p.Addr.Bare() == account {
			list = append(list, p)
		}
	}
	return list
}
func (o *office) Revoke(account wire.Addr) { o.said = append(o.said, "revoke "+string(account)) }
func (o *office) End(addr wire.Addr)       { o.said = append(o.said, "end "+string(addr)) }
func (o *office) Send(_ *wire.Batch, to wire.Addr, st wire.Stanza) {
	o.said = append(o.said, "to "+string(to)+st.Kind.String()+string(st.Tail))
}

// took returns what was noted.
func (o *office) took() string {
	s := strings.Join(o.said, "\n")
	o.said = nil
	return s
}

type world struct {
	t *testing.T
	s *Service
	*office
	store store.Store
}

func begin(t *testing.T) *world {
	t.Helper()
	db, err := sqlstore.Open(context.Background(), "sqlite:"+t.TempDir()+"/x.db", sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	w := &world{t: t, office: &office{}, store: db}
	for _, name := range []string{"boss", "ann", "bob"} {
		w.ok("add-user", "accountjid="+name+"@x.net", "password=secret", "password-verify=secret")
	}
	return w
}

// do executes a command with these fields and returns what comes of it.
func (w *world) do(node string, fields ...string) (out command.Outcome, why *wire.Error) {
	w.t.Helper()
	if w.s == nil {
		w.again()
	}
	for _, c := range w.s.Commands() {
		if c.Node != NS+"#"+node {
			continue
		}
		a := make(form.Answers)
		for _, f := range fields {
			name, value, _ := strings.Cut(f, "=")
			a[name] = append(a[name], value)
		}
		x := &command.Execution{Answers: a}
		for _, stage := range c.Stages {
			if why := stage.Form(context.Background(), x, form.New(nil, "form", stage.Type)); why != nil {
				w.t.Fatalf("%s: %v", node, why)
			}
		}
		if out, why = c.Do(context.Background(), x); why == nil && out.Then != nil {
			out.Then(&wire.Batch{})
		}
		return out, why
	}
	w.t.Fatalf("there is no command %s", node)
	return
}

// again is the service of a server that starts.
func (w *world) again() {
	s, err := New(context.Background(), "x.net", []wire.Addr{"boss@x.net"}, w.store, w.office, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.s = s
}

func (w *world) ok(node string, fields ...string) string {
	w.t.Helper()
	out, why := w.do(node, fields...)
	if why != nil {
		w.t.Fatalf("%s %q: %v", node, fields, why)
	}
	return string(out.Form)
}

func (w *world) fails(condition, node string, fields ...string) {
	w.t.Helper()
	if out, why := w.do(node, fields...); why == nil || string(why.Condition) != condition {
		w.t.Errorf("%s %q: %s %v, want %s", node, fields, out.Form, why, condition)
	}
}

func TestWhoIsAnAdministrator(t *testing.T) {
	w := begin(t)
	for _, c := range w.s.Commands() {
		if !c.May("boss@x.net") || c.May("ann@x.net") || c.May("") {
			t.Errorf("%s", c.Node)
		}
	}
}

func TestAccounts(t *testing.T) {
	w := begin(t)
	ctx := context.Background()
	w.fails("conflict", "add-user", "accountjid=ann@x.net", "password=secret", "password-verify=secret")
	for _, fields := range [][]string{
		{"accountjid=carl@x.net", "password=one", "password-verify=two"},
		{"accountjid=carl@x.net", "password=", "password-verify="},
		{"accountjid=carl@x.net"},
		{"accountjid=carl@y.net", "password=one"},
		{"accountjid=x.net", "password=one"},
		{"accountjid=carl@x.net/r", "password=one"},
		{"accountjid=a@b@c", "password=one"},
		{"password=one"},
	} {
		w.fails("bad-request", "add-user", fields...)
	}
	w.ok("add-user", "accountjid=Carl@x.net", "password=one") // clients that do not ask twice
	before, err := w.store.Account(ctx, "carl@x.net")
	if err != nil {
		t.Fatal(err)
	}
	w.took()

	w.ok("change-user-password", "accountjid=carl@x.net", "password=two")
	after, _ := w.store.Account(ctx, "carl@x.net")
	if slices.Equal(before.Credentials[0].StoredKey, after.Credentials[0].StoredKey) || w.took() != "revoke carl@x.net" {
		t.Error("the password is the old one, or its sessions go on")
	}
	w.fails("item-not-found", "change-user-password", "accountjid=nobody@x.net", "password=two")

	w.ok("disable-user", "accountjids=ann@x.net", "accountjids=carl@x.net")
	if got := w.took(); got != "revoke ann@x.net\nrevoke carl@x.net" {
		t.Error(got)
	}
	if got := w.ok("get-disabled-users-list"); !strings.Contains(got, "<value>ann@x.net</value><value>carl@x.net</value>") {
		t.Error(got)
	}
	if got := w.ok("get-disabled-users-num"); !strings.Contains(got, "<field var='disabledusersnum' type='text-single' label='Number of disabled users'><value>2</value>") {
		t.Error(got)
	}
	w.ok("reenable-user", "accountjids=ann@x.net", "accountjids=carl@x.net")
	if got := w.ok("get-disabled-users-num"); !strings.Contains(got, "<value>0</value>") {
		t.Error(got)
	}

	w.ok("delete-user", "accountjids=carl@x.net")
	if _, err := w.store.Account(ctx, "carl@x.net"); !errors.Is(err, store.ErrNotFound) || w.took() != "revoke carl@x.net" {
		t.Errorf("deleted: %v", err)
	}
	for _, node := range []string{"delete-user", "disable-user"} {
		w.fails("not-allowed", node, "accountjids=boss@x.net")
		w.fails("item-not-found", node, "accountjids=nobody@x.net")
		w.fails("bad-request", node)
		w.fails("bad-request", node, "accountjids=ann@y.net")
	}
	var many []string
	for i := range mostAtOnce + 1 {
		many = append(many, fmt.Sprintf("accountjids=u%d@x.net", i))
	}
	w.fails("bad-request", "delete-user", many...)
	if got := w.ok("get-registered-users-list", "max_items=100"); !strings.Contains(got, "<value>ann@x.net</value><value>bob@x.net</value><value>boss@x.net</value></field>") {
		t.Error(got)
	}
	out, why := w.do("get-registered-users-list", "max_items=2")
	if why != nil || !strings.Contains(string(out.Form), "<value>ann@x.net</value><value>bob@x.net</value></field>") || out.Note != "3 users, of whom the first 2 are listed" {
		t.Errorf("%+v %v", out, why)
	}
	w.fails("bad-request", "get-registered-users-list", "max_items=many")
	if got := w.ok("get-registered-users-num"); !strings.Contains(got, "<value>3</value>") {
		t.Error(got)
	}
}

func TestSessions(t *testing.T) {
	w := begin(t)
	source := netip.MustParseAddr("192.0.2.7")
	w.present = []Present{{"ann@x.net/a", source}, {"ann@x.net/b", source}, {"bob@x.net/b", netip.MustParseAddr("2001:db8::1")}}
	if got := w.ok("get-online-users-num"); !strings.Contains(got, "<value>2</value>") {
		t.Error(got)
	}
	if got := w.ok("get-online-users-list"); !strings.Contains(got, "<value>ann@x.net</value><value>bob@x.net</value></field>") {
		t.Error(got)
	}
	w.ok("end-user-session", "accountjids=ann@x.net/a", "accountjids=bob@x.net")
	if got := w.took(); got != "end ann@x.net/a\nend bob@x.net" {
		t.Error(got)
	}
	w.fails("bad-request", "end-user-session")
	w.fails("bad-request", "end-user-session", "accountjids=x.net")
	w.fails("bad-request", "end-user-session", "accountjids=ann@y.net")

	ctx := context.Background()
	if err := w.store.ChangeRoster(ctx, "ann@x.net", store.RosterChange{Version: 1, Put: []store.Contact{
		{Addr: "zoe@y.net", Listed: true, To: true}, {Addr: "bob@x.net", Listed: true, Name: "B<ob", To: true, From: true, Groups: []string{"F&F"}}, {Addr: "eve@y.net"},
	}}); err != nil {
		t.Fatal(err)
	}
	want := "<query xmlns='jabber:iq:roster'><item jid='bob@x.net' name='B&lt;ob' subscription='both'><group>F&amp;F</group></item><item jid='zoe@y.net' subscription='to'></item></query></x>"
	if got := w.ok("get-user-roster", "accountjids=ann@x.net"); !strings.HasSuffix(got, want) {
		t.Error(got)
	}
	w.fails("bad-request", "get-user-roster", "accountjids=ann@x.net", "accountjids=bob@x.net")
	w.fails("item-not-found", "get-user-roster", "accountjids=nobody@x.net")
	if got := w.ok("user-stats", "accountjid=ann@x.net"); !strings.Contains(got, "<value>192.0.2.7</value></field>") ||
		!strings.Contains(got, "<field var='rostersize' type='text-single' label='Contacts'><value>2</value>") || !strings.Contains(got, "<value>a</value><value>b</value>") {
		t.Error(got)
	}
	w.fails("item-not-found", "user-stats", "accountjid=nobody@x.net")

	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	if err := w.store.SetLastActivity(ctx, "boss@x.net", at, ""); err != nil {
		t.Fatal(err)
	}
	if got := w.ok("get-user-lastlogin", "accountjids=boss@x.net"); !strings.Contains(got, "<value>2026-05-04T03:02:01Z</value>") {
		t.Error(got)
	}
	if got := w.ok("get-user-lastlogin", "accountjids=ann@x.net"); !strings.Contains(got, "<value>"+time.Now().UTC().Format("2006-01-02")) && !strings.Contains(got, "T00:0") {
		t.Error(got)
	}
	w.present = nil
	if got := w.ok("get-user-lastlogin", "accountjids=ann@x.net"); !strings.Contains(got, "<value>unknown</value>") {
		t.Error(got)
	}
	w.fails("item-not-found", "get-user-lastlogin", "accountjids=nobody@x.net")
}

func TestAnnouncements(t *testing.T) {
	w := begin(t)
	w.present = []Present{{Addr: "ann@x.net/a"}, {Addr: "ann@x.net/b"}}
	w.ok("announce", "announcement=a < b", "announcement=c")
	tail := func(to, body string) string {
		return "to " + to + "message from='x.net' type='headline'><body>" + body + "</body></message>"
	}
	if got := w.took(); got != tail("ann@x.net/a", "a &lt; b&#10;c")+"\n"+tail("ann@x.net/b", "a &lt; b&#10;c") {
		t.Error(got)
	}
	for _, node := range []string{"announce", "set-motd", "edit-motd"} {
		field := map[bool]string{true: "announcement", false: "motd"}[node == "announce"]
		w.fails("bad-request", node)
		w.fails("bad-request", node, field+"=\n")
		w.fails("bad-request", node, field+"="+strings.Repeat("x", longestText+1))
	}
	w.fails("item-not-found", "delete-motd")

	w.ok("set-motd", "motd=hello")
	if got := w.took(); got != tail("ann@x.net/a", "hello")+"\n"+tail("ann@x.net/b", "hello") {
		t.Errorf("those who are there: %s", got)
	}
	w.s.Greet(&wire.Batch{}, "ann@x.net/c")
	w.s.Greet(&wire.Batch{}, "bob@x.net/b")
	w.s.Greet(&wire.Batch{}, "bob@x.net/b")
	if got := w.took(); got != tail("bob@x.net/b", "hello") {
		t.Errorf("those who come: %s", got)
	}
	w.ok("edit-motd", "motd=hello all")
	w.again() // the server starts anew
	w.s.Greet(&wire.Batch{}, "bob@x.net/b")
	w.s.Greet(&wire.Batch{}, "boss@x.net/b")
	w.s.Greet(&wire.Batch{}, "gone@x.net/b")
	if got := w.took(); got != tail("boss@x.net/b", "hello all") {
		t.Errorf("after a correction: %s", got)
	}
	w.ok("delete-motd")
	w.again()
	w.s.Greet(&wire.Batch{}, "bob@x.net/b")
	if got := w.took(); got != "" {
		t.Errorf("after its end: %s", got)
	}
}

func TestSeenIsBounded(t *testing.T) {
	var s seen
	at := time.Now()
	for i := range mostSeen + 1 {
		s.add(wire.Addr(fmt.Sprint(i)), at)
	}
	if len(s.all) > mostSeen {
		t.Errorf("%d", len(s.all))
	}
}
