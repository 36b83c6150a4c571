package records

import (
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/peertest"
	"parley/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(peertest.Stopping(m)) }

// shelf is a Book whose clock stands still, with what it has written: the latest of each record.
type shelf struct {
	testing.TB
	*Book
	clock    time.Time
	lines    []entry
	sessions map[string]store.TalkSession // by user
	subs     map[string]store.TalkSub     // as "from to"
	users    map[string]string            // of sessions
}

// atlas knows two countries.
type atlas struct{}

func (atlas) Country(a netip.Addr) string {
	return map[string]string{"192.0.2.7": "DE", "198.51.100.1": "US"}[a.String()]
}

var noon = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

func newShelf(t testing.TB, change ...func(*Config)) *shelf {
	cfg := Defaults()
	for _, c := range change {
		c(&cfg)
	}
	if err := cfg.Check(); err != nil {
		t.Fatal(err)
	}
	s := &shelf{TB: t, clock: noon}
	s.Book = newBook(cfg, "node", atlas{}, func() time.Time { return s.clock }, func(e entry) { s.lines = append(s.lines, e) })
	return s
}

func (s *shelf) pass(d time.Duration) { s.clock = s.clock.Add(d) }

func (s *shelf) read() *shelf {
	s.sessions, s.subs, s.users = make(map[string]store.TalkSession), make(map[string]store.TalkSub), make(map[string]string)
	for _, e := range s.lines {
		if e.Session != nil {
			s.sessions[e.Session.User], s.users[e.Session.ID] = *e.Session, e.Session.User
		}
	}
	for _, e := range s.lines {
		if e.Sub != nil {
			s.subs[s.users[e.Sub.Session]+" "+e.Sub.RemoteUser] = *e.Sub
		}
	}
	return s
}

const here = "r@muc.localhost"

func (s *shelf) join(door string, users ...string) {
	for _, u := range users {
		s.Joined(Member{Room: here, Key: u, Door: door, User: u, Name: strings.ToUpper(u), Talk: TalkBoth, IP: netip.MustParseAddr("192.0.2.7"), Joined: s.clock})
	}
}

func (s *shelf) want(pair string, status int, way string, seconds int64) {
	s.Helper()
	p, ok := s.read().subs[pair]
	if !ok || p.Status != status || p.Connect != way || p.Seconds != seconds {
		s.Errorf("%s: %+v, want status %d, %q, %d s", pair, p, status, way, seconds)
	}
}

// Three who talk have six sub-sessions, whatever door each came by; who met nobody has none.
func TestR19EachOrderedPairHasASubSessionOverAllDoors(t *testing.T) {
	s := newShelf(t)
	s.join("jitsi", "a")
	s.join("roomserver", "b")
	s.join("xmpp", "c")
	s.Joined(Member{Room: "other@muc.localhost", Key: "d", User: "d", Door: "jitsi"})
	want := []string{"a b", "a c", "b a", "b c", "c a", "c b"}
	if got := slices.Sorted(maps.Keys(s.read().subs)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	ids := make(map[string]bool)
	for pair, p := range s.subs {
		ids[p.ID] = true
		if len(p.ID) != 26 || p.Status != store.SubOpen || p.RemoteIP != "192.0.2.7" || p.RemoteName != strings.ToUpper(p.RemoteUser) || !p.Begun.Equal(noon) || !p.Connected.IsZero() {
			t.Errorf("%s: %+v", pair, p)
		}
	}
	if len(ids) != 6 {
		t.Errorf("%d ids of six", len(ids))
	}
	s.pass(time.Minute)
	s.Left(here, "a", false)
	a := s.read().sessions["a"]
	if list := strings.Split(a.Subs, ","); len(list) != 2 || !ids[list[0]] || !ids[list[1]] || !a.Left.Equal(s.clock) || a.TimeOut {
		t.Errorf("%+v", a)
	}
	s.Left("other@muc.localhost", "d", true)
	if d := s.read().sessions["d"]; d.Subs != "" || !d.TimeOut {
		t.Errorf("%+v", d)
	}
}

// Where somebody was, and the ICE server of a pair, is in the records, of a process that took the call up as well.
func TestR23CountriesAreKept(t *testing.T) {
	s := newShelf(t)
	s.join("roomserver", "a")
	s.Joined(Member{Room: here, Key: "b", User: "b", Door: "roomserver", IP: netip.MustParseAddr("::ffff:192.0.2.8"), Pairs: true})
	s.join("jitsi", "c")
	s.Paired(here, "a", "b", "1", "2", netip.MustParseAddr("198.51.100.1"))
	s.read()
	for user, want := range map[string]string{"a": "DE", "b": "", "c": "DE"} {
		if got := s.sessions[user].Country; got != want {
			t.Errorf("%s is in %q, not %q", user, got, want)
		}
	}
	for pair, want := range map[string][2]string{"a b": {"", "US"}, "b a": {"DE", "US"}, "a c": {"DE", ""}} {
		if p := s.subs[pair]; [2]string{p.RemoteIn, p.ICEIn} != want {
			t.Errorf("%s: in %q, ICE in %q, not %q", pair, p.RemoteIn, p.ICEIn, want)
		}
	}
	next := newShelf(t) // which has no file of countries any more
	next.in, next.clock = nil, s.clock
	next.resume(store.TalkRecords{Sessions: []store.TalkSession{s.sessions["a"]}})
	next.join("roomserver", "a")
	if a := next.read().sessions["a"]; a.ID != s.sessions["a"].ID || a.Country != "DE" {
		t.Errorf("%+v", a)
	}
}

// 61 seconds at 3 cents a minute cost 6, for both; who was never connected pays nothing.
func TestR12R21BillingBeginsWhenConnected(t *testing.T) {
	s := newShelf(t, func(c *Config) {
		c.Rate = []Rate{{App: "free"}, {Connect: "SFU", Cents: 9}, {Talk: "both", Cents: 3}}
	})
	s.join("roomserver", "a", "b", "c")
	s.pass(10 * time.Second)
	s.Connected(here, "a", "b", "STUN")
	s.Connected(here, "b", "a", "none of these")
	s.pass(61 * time.Second)
	s.Left(here, "a", false)
	for _, pair := range []string{"a b", "b a"} {
		if p := s.read().subs[pair]; p.Cost != 6 || p.Seconds != 61 || p.Finished.Sub(p.Connected) != 61*time.Second || p.Begun.Equal(p.Connected) {
			t.Errorf("%s: %+v", pair, p)
		}
	}
	s.want("a b", store.SubTalked, Direct, 61)
	s.want("b a", store.SubTalked, Unknown, 61)
	if p := s.subs["b a"]; p.Claimed != "none of these" {
		t.Errorf("%+v", p)
	}
	s.want("c a", store.SubNever, "", 0)
	s.Left(here, "b", true)
	s.want("c b", store.SubNeverTimeout, "", 0)
	if s.subs["c b"].Cost != 0 {
		t.Error("never connected, and it costs something")
	}
	s.Joined(Member{Room: "x", Key: "e", User: "e", App: "free"})
	s.Joined(Member{Room: "x", Key: "f", User: "f"})
	s.Linked("x", "e")
	s.Linked("x", "f")
	s.pass(60 * time.Second)
	s.Left("x", "f", true)
	s.want("f e", store.SubTalkedTill, Bridged, 60)
	if s.subs["f e"].Cost != 9 || s.subs["e f"].Cost != 0 {
		t.Errorf("%d and %d cents", s.subs["f e"].Cost, s.subs["e f"].Cost)
	}
}

// What the server knows of the way counts more than what clients say.
func TestTheWayIsWhatBridgeAndRelaySay(t *testing.T) {
	s := newShelf(t)
	s.join("jitsi", "a", "b")
	s.Linked(here, "a")
	s.want("a b", store.SubOpen, "", 0)
	if !s.Direct() {
		t.Error("two without a bridge may talk without it")
	}
	s.pass(time.Second)
	s.Linked(here, "b")
	s.want("a b", store.SubOpen, Bridged, 0)
	s.Sends(here, "a", false)
	s.want("b a", store.SubOpen, Bridged, 0)
	s.Sends(here, "b", false) // nothing comes to the bridge any more: they talk without it
	s.want("a b", store.SubOpen, Direct, 0)
	s.RelayUsed("b")
	s.want("a b", store.SubOpen, Relayed, 0)
	s.Connected(here, "a", "b", "STUN")
	s.want("a b", store.SubOpen, Relayed, 0)
	s.Gate(here, 1) // a third one comes
	if s.Direct() {
		t.Error("three talk by the bridge")
	}
	s.join("xmpp", "c")
	s.Linked(here, "c")
	for _, pair := range []string{"a b", "b a", "a c", "c b"} {
		s.want(pair, store.SubOpen, Bridged, 0)
	}
	s.Left(here, "a", false)
	if s.read().sessions["a"].Gate != 1 || s.sessions["c"].Gate != 1 {
		t.Errorf("%+v", s.sessions)
	}
}

// A door that names the sub-sessions of its members does so alone; the new ones of who comes back replace the old.
func TestADoorMayNameItsOwnSubSessions(t *testing.T) {
	s := newShelf(t)
	ice := netip.MustParseAddr("198.51.100.1")
	for _, u := range []string{"a", "b"} {
		s.Joined(Member{Room: here, Key: u, ID: "SESSION" + u, User: u, Door: "roomserver", Pairs: true})
	}
	if len(s.read().subs) != 0 {
		t.Fatalf("%v", s.subs)
	}
	s.join("xmpp", "c")
	s.Paired(here, "a", "b", "AB1", "BA1", ice)
	s.Connected(here, "a", "b", "TURN")
	s.pass(90 * time.Second)
	s.Paired(here, "a", "b", "AB2", "BA2", ice)
	byID := make(map[string]store.TalkSub)
	for _, e := range s.lines {
		if e.Sub != nil {
			byID[e.Sub.ID] = *e.Sub
		}
	}
	if p := byID["AB1"]; p.Status != store.SubTalkedTill || p.Seconds != 90 || p.ICE != "198.51.100.1" || p.Session != "SESSIONa" {
		t.Errorf("%+v", p)
	}
	if p := byID["BA1"]; p.Status != store.SubNeverTimeout {
		t.Errorf("%+v", p)
	}
	if p := byID["AB2"]; p.Status != store.SubOpen || len(s.read().subs) != 6 {
		t.Errorf("%+v, %d pairs", p, len(s.subs))
	}
	if id, ok := s.Sub(here, "b", "a"); !ok || id != "BA2" {
		t.Errorf("%s %v", id, ok)
	}
	s.Left(here, "a", false)
	if got := s.read().sessions["a"].Subs; !strings.Contains(got, "AB1") || !strings.Contains(got, "AB2") || strings.Count(got, ",") != 2 {
		t.Errorf("%q", got)
	}
}

// A crowd makes no squares.
func TestPairsOfACrowdAreNotRecorded(t *testing.T) {
	s := newShelf(t, func(c *Config) { c.Pairs = 3 })
	for i := range 10 {
		s.join("jitsi", fmt.Sprint("u", i))
	}
	if n := len(s.read().subs); n != 6 || len(s.sessions) != 10 {
		t.Errorf("%d pairs of %d members", n, len(s.sessions))
	}
}

// What a client calls itself is made fit for the store.
func TestTextsOfClientsAreCut(t *testing.T) {
	s := newShelf(t)
	s.Joined(Member{Room: here, Key: "a", User: "a", Name: strings.Repeat("ü", 1000), OS: "a\x00b\xff", Talk: 99, IP: netip.MustParseAddr("::ffff:192.0.2.1")})
	got := s.read().sessions["a"]
	if len(got.Name) != 256 || got.OS != "ab\uFFFD" || got.Talk != TalkBoth || got.IP != "192.0.2.1" || got.ID == "" {
		t.Errorf("%+v", got)
	}
	for _, f := range []func(){ // of who is not there
		func() { s.Left(here, "x", false) }, func() { s.Linked("x", "a") }, func() { s.Connected(here, "a", "x", "") }, func() { s.Gate("x", 1) },
		func() { s.Paired(here, "a", "a", "1", "2", netip.Addr{}) }, func() { s.Quality(here, "a", "x", store.TalkQuality{}) }, func() { s.Verdict(here, "x", "", 0, 0, 0) },
	} {
		n := len(s.lines)
		f()
		if len(s.lines) != n {
			t.Errorf("%+v", s.lines[n])
		}
	}
}

func TestFailedJoinsAreCounted(t *testing.T) {
	s := newShelf(t)
	for i := range 5000 {
		s.Book.Failed(fmt.Sprint("room", i), "jitsi", "token")
	}
	for range 3 {
		s.Book.Failed(here, "xmpp", "full")
	}
	s.tick()
	var sum, lines, full int64
	for _, e := range s.lines {
		sum, lines = sum+e.Note.Count, lines+1
		if e.Note.Cause == "full" {
			full += e.Note.Count
		}
	}
	if sum != 5003 || full != 3 || lines > failures+200 {
		t.Errorf("%d in %d lines, %d of full", sum, lines, full)
	}
	s.tick()
	if int64(len(s.lines)) != lines {
		t.Error("counted twice")
	}
}

// A process that finds the same members again goes on with the records of the one before; who is not found has left when that one
// was last alive.
func TestCallsOfTheProcessBeforeGoOn(t *testing.T) {
	s := newShelf(t, func(c *Config) { c.Rate = []Rate{{Cents: 1}} })
	s.join("jitsi", "a", "b", "c")
	for _, u := range []string{"a", "b", "c"} {
		s.Linked(here, u)
	}
	s.pass(time.Minute)
	s.Left(here, "c", false)
	before := s.read()
	var left store.TalkRecords
	for _, one := range before.sessions {
		if one.Left.IsZero() {
			left.Sessions = append(left.Sessions, one)
		}
	}
	for _, p := range before.subs {
		if s.users[p.Session] != "c" {
			left.Subs = append(left.Subs, p)
		}
	}
	next := newShelf(t, func(c *Config) { c.Rate = []Rate{{Cents: 1}} })
	next.clock = noon.Add(3 * time.Minute)
	next.resume(left)
	next.Joined(Member{Room: here, Key: "a", Door: "jitsi", User: "a", Joined: noon})
	next.pass(time.Second)
	next.settle(noon.Add(90 * time.Second))
	got := next.read()
	if one := got.sessions["a"]; one.ID != before.sessions["a"].ID || !one.Left.IsZero() || one.IP != "192.0.2.7" {
		t.Errorf("%+v", one)
	}
	if one := got.sessions["b"]; one.ID != before.sessions["b"].ID || !one.Left.Equal(noon.Add(90*time.Second)) || !one.TimeOut || strings.Count(one.Subs, ",") != 1 {
		t.Errorf("%+v", one)
	}
	next.want("b a", store.SubTalkedTill, Bridged, 90)
	next.want("a b", store.SubTalkedTill, Bridged, 90)
	if got.subs["a b"].Cost != 2 || got.subs["a b"].ID != before.subs["a b"].ID {
		t.Errorf("%+v", got.subs["a b"])
	}
	next.Left(here, "a", false)
	if one := next.read().sessions["a"]; strings.Count(one.Subs, ",") != 1 {
		t.Errorf("%+v", one)
	}

	both := newShelf(t)
	both.clock = noon.Add(3 * time.Minute)
	both.resume(left)
	both.Joined(Member{Room: here, Key: "b", Door: "jitsi", User: "b", Joined: noon})
	both.Joined(Member{Room: here, Key: "a", Door: "jitsi", User: "a", Joined: noon})
	both.settle(noon)
	both.pass(time.Minute)
	both.Left(here, "a", false)
	both.want("a b", store.SubTalked, Bridged, 240)
}

var quiet = slog.New(slog.DiscardHandler)
