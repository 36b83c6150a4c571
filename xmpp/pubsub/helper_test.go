package pubsub

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/store"
	"parley/internal/store/sqlstore"
	"parley/internal/token"
	"parley/xmpp/im"
	"parley/xmpp/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server's accounts, as the service needs them, with a real store. Work waits until settle works it off, in order.
type world struct {
	t     testing.TB
	s     *Service
	store store.Store

	mu    sync.Mutex // guards queue
	queue []func()

	rosters  map[wire.Addr]map[wire.Addr]im.Standing
	sessions map[wire.Addr]*session // by full address
	inbox    map[wire.Addr][]string // what went to addresses without a session
	full     bool                   // no account takes more work
	sent     int
	silent   bool // count what is sent, and no more
}

const domain = "capulet.lit"

func newWorld(t testing.TB, limits Limits, accounts ...string) *world {
	t.Helper()
	kept, err := sqlstore.Open(context.Background(), "sqlite:"+filepath.Join(t.TempDir(), "db"), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kept.Close() })
	w := &world{
		t: t, store: kept, rosters: make(map[wire.Addr]map[wire.Addr]im.Standing),
		sessions: make(map[wire.Addr]*session), inbox: make(map[wire.Addr][]string),
	}
	for _, a := range accounts {
		if err := kept.CreateAccount(context.Background(), store.Account{Addr: a, Created: time.Unix(0, 0)}); err != nil {
			t.Fatal(err)
		}
	}
	w.s = New(domain, w, kept, limits, nil)
	return w
}

// shakespeare is the world of XEP-0163 §2: juliet, with the nurse and romeo (of another server) who see her presence, and a
// stranger.
func shakespeare(t testing.TB) *world {
	w := newWorld(t, DefaultLimits, "juliet@capulet.lit", "nurse@capulet.lit", "paris@capulet.lit")
	w.both("juliet@capulet.lit", "nurse@capulet.lit", "Servants")
	w.both("juliet@capulet.lit", "romeo@montague.lit", "Friends")
	return w
}

// both makes two accounts see one another's presence.
func (w *world) both(a, b wire.Addr, groups ...string) {
	for _, p := range [][2]wire.Addr{{a, b}, {b, a}} {
		if w.rosters[p[0]] == nil {
			w.rosters[p[0]] = make(map[wire.Addr]im.Standing)
		}
		w.rosters[p[0]][p[1]] = im.Standing{Subscription: "both", Groups: groups}
	}
}

func (w *world) Do(_ wire.Addr, work func(*wire.Batch)) bool {
	if w.full {
		return false
	}
	w.later(func() { work(&wire.Batch{}) })
	return true
}

func (w *world) later(work func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, work)
}

func (w *world) next() (work func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) > 0 {
		work, w.queue = w.queue[0], w.queue[1:]
	}
	return work
}

// settle works off what waits, and what comes of it.
func (w *world) settle() {
	for work := w.next(); work != nil; work = w.next() {
		work()
	}
}

func (w *world) Exists(ctx context.Context, account wire.Addr) (bool, error) {
	_, err := w.store.Account(ctx, string(account))
	if err == store.ErrNotFound {
		return false, nil
	}
	return err == nil, err
}

func (w *world) Standing(_ context.Context, account, contact wire.Addr) (im.Standing, error) {
	if account == contact.Bare() {
		return im.Standing{Own: true, Subscription: "both"}, nil
	}
	if s, ok := w.rosters[account][contact.Bare()]; ok {
		return s, nil
	}
	return im.Standing{Subscription: "none"}, nil
}

func (w *world) Subscribers(_ context.Context, account wire.Addr) (list []wire.Addr, _ error) {
	for a, s := range w.rosters[account] {
		if s.Sees() && !s.Blocked {
			list = append(list, a)
		}
	}
	slices.Sort(list)
	return list, nil
}

func (w *world) Resources(account wire.Addr) (list []im.Resource) {
	for full, s := range w.sessions {
		if full.Bare() == account && s.presence != nil {
			list = append(list, im.Resource{Addr: full, Presence: s.presence})
		}
	}
	slices.SortFunc(list, func(a, b im.Resource) int { return strings.Compare(string(a.Addr), string(b.Addr)) })
	return list
}

func (w *world) Send(b *wire.Batch, _, to wire.Addr, st wire.Stanza) {
	w.sent++
	if w.silent {
		return
	}
	if s := w.sessions[to]; s != nil {
		s.Deliver(b, "", st)
		return
	}
	w.inbox[to] = append(w.inbox[to], shown("", st))
}

// shown is a stanza as text, with made-up ids and times left out.
func shown(to wire.Addr, st wire.Stanza) string {
	text := string(append(wire.AppendStart(nil, st.Kind, "", to), st.Tail...))
	text = madeID.ReplaceAllString(text, "'*'")
	return madeStamp.ReplaceAllString(text, "stamp='*'")
}

var (
	madeID    = regexp.MustCompile(`'(caps-)?[A-Z2-7]{26}'`)
	madeStamp = regexp.MustCompile(`stamp='[^']*'`)
)

// session is a client of an account, or a resource of somebody of another server.
type session struct {
	w        *world
	addr     wire.Addr
	guest    bool
	features []string
	presence []byte // tail
	got      []string
	held     int
	mute     bool   // does not say what it can do
	asked    int    // how often it was asked
	lies     string // the verification string that it gives instead of its own
}

func (s *session) Addr() wire.Addr       { return s.addr }
func (s *session) Guest() bool           { return s.guest }
func (s *session) Source() netip.Addr    { return netip.Addr{} }
func (s *session) Claims() *token.Claims { return nil }
func (s *session) Room() string          { return "" }
func (s *session) Tenant() string        { return "" }

func (s *session) Hold() func() {
	s.held++
	return func() { s.held-- }
}

var infoID = regexp.MustCompile(` id='(caps-[^']*)' type='get'><query xmlns='` + regexp.QuoteMeta(NSInfo) + `' node='([^']*)'`)

func (s *session) Deliver(_ *wire.Batch, _ wire.Addr, st wire.Stanza) {
	if m := infoID.FindStringSubmatch(string(st.Tail)); m != nil {
		s.asked++
		if !s.mute {
			s.w.later(func() { s.w.s.Reply(nil, s, "", parse(s.w.t, s.info(m[1]))) })
		}
		return
	}
	s.got = append(s.got, shown("", st))
}

// info is the answer of a client about itself.
func (s *session) info(id string) string {
	out := "<iq type='result' id='" + id + "'><query xmlns='" + NSInfo + "'><identity category='client' type='pc' name='Exodus 0.9.1'/>"
	for _, f := range s.features {
		out += "<feature var='" + f + "'/>"
	}
	return out + "</query></iq>"
}

// ver is the verification string of the client (XEP-0115 §5.1), made here once more so that it checks the service's.
func (s *session) ver() string {
	if s.lies != "" {
		return s.lies
	}
	features := slices.Clone(s.features)
	slices.Sort(features)
	text := "client/pc//Exodus 0.9.1<"
	for _, f := range features {
		text += f + "<"
	}
	return verOf(text)
}

func verOf(text string) string {
	h := sha1.Sum([]byte(text))
	return base64.StdEncoding.EncodeToString(h[:])
}

func parse(t testing.TB, text string) *wire.Packet {
	t.Helper()
	scanner := wire.Scanner{Limits: wire.AfterAuth}
	_, p, err := scanner.Next([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p.Clone()
}

// login binds a session that shows itself and asks for events about these nodes.
func (w *world) login(full wire.Addr, nodes ...string) *session {
	s := &session{w: w, addr: full, features: []string{NSInfo}}
	for _, n := range nodes {
		s.features = append(s.features, n+notify)
	}
	if full.Domain() == domain {
		w.sessions[full] = s
		w.s.Bound(s)
		w.settle()
	} else {
		w.sessions[full] = s
	}
	s.available()
	return s
}

// available sends presence with capabilities.
func (s *session) available() {
	s.show("<presence><c xmlns='" + NSCaps + "' hash='sha-1' node='http://exodus.example' ver='" + s.ver() + "'/></presence>")
}

// show sends available presence: to the accounts that see it.
func (s *session) show(text string) {
	p := s.w.s.Stamp(s, parse(s.w.t, text))
	s.presence = p.Stanza(s.addr).Tail
	s.spread(true)
	s.w.settle()
}

func (s *session) spread(available bool) {
	if s.addr.Domain() == domain {
		s.w.s.Presence(nil, s.addr.Bare(), s.addr, available, s.presence)
	}
	for account := range s.w.rosters {
		if s.w.rosters[account][s.addr.Bare()].Subscription == "both" {
			s.w.s.Presence(nil, account, s.addr, available, s.presence)
		}
	}
}

// leave ends the session.
func (s *session) leave() {
	s.presence = nil
	delete(s.w.sessions, s.addr)
	s.spread(false)
	if s.addr.Domain() == domain {
		s.w.s.Unbound(s)
	}
	s.w.settle()
}

// iq sends a request to an account, "" for its own without an address, and returns the answer.
func (s *session) iq(typ string, to wire.Addr, payload string) string {
	s.w.t.Helper()
	attr := ""
	if to != "" {
		attr = " to='" + string(to) + "'"
	}
	before := s.take()
	s.raw(to, "<iq type='"+typ+"' id='1'"+attr+">"+payload+"</iq>")
	after := s.take()
	for i, st := range after {
		if strings.HasPrefix(st, "<iq ") {
			s.got = append(before, slices.Delete(after, i, i+1)...)
			return st
		}
	}
	s.w.t.Fatalf("%s %s has no answer, but %q", typ, payload, after)
	return ""
}

// raw has the service take a request.
func (s *session) raw(to wire.Addr, text string) {
	p := parse(s.w.t, text)
	local, ns := p.Child()
	account := to
	if to == "" {
		account = s.addr.Bare()
	}
	switch {
	case string(ns) == NSInfo || string(ns) == NSItems:
		s.w.s.Disco(nil, s, account, p)
	case string(local) == "query" && string(ns) == "jabber:iq:private":
		s.w.s.Private(nil, s, p)
	case account == s.addr.Bare() || account.Local() == "":
		s.w.s.Own(nil, s, p)
	default:
		s.w.s.Contact(nil, s, account, p)
	}
	clear(p.Raw()) // it lives only during the call
	s.w.settle()
	if s.held != 0 {
		s.w.t.Errorf("%d acknowledgements are held", s.held)
	}
}

// take returns what the session has got.
func (s *session) take() []string {
	got := s.got
	s.got = nil
	return got
}

// ok sends a request that must succeed and returns the answer's payload.
func (s *session) ok(typ string, to wire.Addr, payload string) string {
	s.w.t.Helper()
	answer := s.iq(typ, to, payload)
	if !strings.Contains(answer, " type='result'") {
		s.w.t.Fatalf("%s %s\nwas answered %s", typ, payload, answer)
	}
	_, rest, _ := strings.Cut(answer, ">")
	return strings.TrimSuffix(rest, "</iq>")
}

// refused sends a request that must be refused with a condition of RFC 6120 and one of XEP-0060 or "".
func (s *session) refused(typ string, to wire.Addr, payload, errorType, condition, app string) {
	s.w.t.Helper()
	answer := s.iq(typ, to, payload)
	want := "<error type='" + errorType + "'><" + condition + " xmlns='" + wire.NSStanzas + "'/>"
	if !strings.Contains(answer, want) || app != "" && !strings.Contains(answer, "<"+app+" xmlns='"+NSErrors+"'") {
		s.w.t.Errorf("%s %s\nwas answered %s\nwant %s and %q", typ, payload, answer, want, app)
	}
}

// got checks what a session got since the last time.
func expect(t testing.TB, s *session, want ...string) {
	t.Helper()
	same(t, string(s.addr), s.take(), want)
}

func same(t testing.TB, who string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s got\n  %s\nwant\n  %s", who, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// Payloads and requests.

func publishing(node, id, payload string) string {
	attr := ""
	if id != "" {
		attr = " id='" + id + "'"
	}
	return "<pubsub xmlns='" + NS + "'><publish node='" + node + "'><item" + attr + ">" + payload + "</item></publish></pubsub>"
}

// with adds publish-options to a request; fields are name, value, name, value...
func with(request string, fields ...string) string {
	return strings.TrimSuffix(request, "</pubsub>") + "<publish-options>" + form(NS+"#publish-options", fields...) + "</publish-options></pubsub>"
}

func form(formType string, fields ...string) string {
	out := "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>" + formType + "</value></field>"
	for i := 0; i < len(fields); i += 2 {
		out += "<field var='" + fields[i] + "'><value>" + fields[i+1] + "</value></field>"
	}
	return out + "</x>"
}

func asking(node, more string) string {
	return "<pubsub xmlns='" + NS + "'><items node='" + node + "'" + more + "</pubsub>"
}

func owning(inner string) string { return "<pubsub xmlns='" + NSOwner + "'>" + inner + "</pubsub>" }

func configuring(node string, fields ...string) string {
	return owning("<configure node='" + node + "'>" + form(nsConfig, fields...) + "</configure>")
}

// eventOf is a notification as it is shown.
func eventOf(from, inner string) string {
	return "<message from='" + from + "' id='*' type='headline'><event xmlns='" + NSEvent + "'>" + inner + "</event></message>"
}

// lastOne is an event about an item that was there before.
func lastOne(from, inner string) string {
	return strings.TrimSuffix(eventOf(from, inner), "</message>") + "<delay xmlns='urn:xmpp:delay' stamp='*'/></message>"
}

const (
	juliet  = "juliet@capulet.lit"
	nurse   = "nurse@capulet.lit"
	tune    = "http://jabber.org/protocol/tune"
	aTune   = "<tune xmlns='http://jabber.org/protocol/tune'><title>Introduction (Allegro vigoroso)</title></tune>"
	another = "<tune xmlns='http://jabber.org/protocol/tune'><title>Finale</title></tune>"
)
