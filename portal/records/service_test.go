package records

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/event"
	"parley/internal/peertest"
	"parley/internal/store"
	"parley/internal/store/sqlstore"
)

// patienceOfTests is how long something may take on a machine that has much else to do.
const patienceOfTests = 60 * time.Second

// eventually waits for something.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(patienceOfTests); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%s: it has not come to that", what)
		}
	}
}

func open(t testing.TB, url string) store.Store {
	t.Helper()
	s, err := sqlstore.Open(context.Background(), url, sqlstore.Options{Patience: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func serve(t testing.TB, folder string, s Store, change ...func(*Config)) *Service {
	t.Helper()
	cfg := Defaults()
	for _, c := range change {
		c(&cfg)
	}
	r, err := New(cfg, Options{Folder: folder, Node: "node", Store: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(context.Background()) })
	return r
}

func join(s *Service, users ...string) {
	for _, u := range users {
		s.Joined(Member{Room: here, Key: u, Door: "jitsi", User: u, Talk: TalkBoth})
	}
}

func sessions(t testing.TB, s store.Store) map[string]store.TalkSession {
	t.Helper()
	list, err := s.TalkSessions(context.Background(), store.TalkQuery{Limit: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	byUser := make(map[string]store.TalkSession)
	for _, one := range list {
		if _, twice := byUser[one.User]; twice {
			t.Errorf("%s is there twice", one.User)
		}
		byUser[one.User] = one
	}
	return byUser
}

// The database is killed in a call: the call goes on, at once, and the records come when it is back, once.
func TestRecordsWaitForTheDatabase(t *testing.T) {
	pg := peertest.OwnPostgres(t)
	db := open(t, pg.Database(t))
	s := serve(t, t.TempDir(), db)
	join(s, "a", "b")
	eventually(t, "both are stored", func() bool { return len(sessions(t, db)) == 2 })
	pg.Kill(t)
	start := time.Now()
	s.Linked(here, "a")
	s.Linked(here, "b")
	join(s, "c")
	for range 1000 {
		s.Quality(here, "a", "b", store.TalkQuality{})
	}
	s.Left(here, "c", false)
	s.Left(here, "b", true)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("the call waited %v for a database that is away", took)
	}
	eventually(t, "records wait on the disk", func() bool { return s.Waiting() > 100_000 })
	time.Sleep(time.Second) // some tries fail
	pg.Start(t)
	eventually(t, "everything is delivered", func() bool { return s.Waiting() == 0 })
	all := sessions(t, db)
	if len(all) != 3 || all["b"].Left.IsZero() || !all["b"].TimeOut || all["c"].Left.IsZero() || !all["a"].Left.IsZero() {
		t.Errorf("%+v", all)
	}
	subs, err := db.TalkSubs(context.Background(), []string{all["a"].ID, all["b"].ID, all["c"].ID})
	if err != nil || len(subs) != 6 {
		t.Errorf("%d sub-sessions: %v", len(subs), err)
	}
	day, err := db.TalkDay(context.Background(), time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil || len(day.Qualities) != 1000 {
		t.Errorf("%d reports: %v", len(day.Qualities), err)
	}
}

// gatekeeper is a store that can be away, and says that it is away also after it has committed.
type gatekeeper struct {
	store.Store
	mu    sync.Mutex
	away  bool
	liar  bool
	calls int
}

func (g *gatekeeper) set(away, liar bool) { g.mu.Lock(); g.away, g.liar = away, liar; g.mu.Unlock() }

func (g *gatekeeper) KeepTalks(ctx context.Context, r store.TalkRecords) error {
	g.mu.Lock()
	away, liar := g.away, g.liar
	g.calls++
	g.mu.Unlock()
	if away {
		return errors.New("away")
	}
	if err := g.Store.KeepTalks(ctx, r); err != nil {
		return err
	}
	if liar {
		return errors.New("the connection was lost behind the commit")
	}
	return nil
}

func sqlite(t testing.TB) store.Store {
	return open(t, "sqlite:"+filepath.Join(t.TempDir(), "parley.db"))
}

// What a process that was killed has left on the disk is delivered by the next one, and its half line is left out.
func TestTheNextProcessDeliversWhatIsLeft(t *testing.T) {
	db := &gatekeeper{Store: sqlite(t), away: true}
	folder := t.TempDir()
	s := serve(t, folder, db)
	join(s, "a", "b", "c")
	eventually(t, "it is on the disk", func() bool {
		return strings.Count(read(t, folder), `{"session"`) == 3 && strings.Count(read(t, folder), `{"sub"`) == 6
	})
	// As a process does that is killed: another folder with the same files, in the middle of a line.
	copied := t.TempDir()
	if err := os.WriteFile(filepath.Join(copied, "000000000007.jsonl"), []byte(read(t, folder)+`{"session":{"ID":"hal`), 0o600); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(copied, "alive"), nil, 0o600)
	os.Chtimes(filepath.Join(copied, "alive"), time.Now(), time.Now().Add(-time.Minute))
	db.set(false, true)
	next := serve(t, copied, db) // delivers it, and is told that it could not
	eventually(t, "some were delivered", func() bool { return len(sessions(t, db)) == 3 })
	if next.Waiting() == 0 {
		t.Fatal("it believes what it was not told")
	}
	db.set(false, false)
	eventually(t, "all are delivered", func() bool { return next.Waiting() == 0 })
	all := sessions(t, db)
	subs, _ := db.TalkSubs(context.Background(), []string{all["a"].ID, all["b"].ID, all["c"].ID})
	if len(all) != 3 || len(subs) != 6 {
		t.Errorf("%d sessions, %d sub-sessions", len(all), len(subs))
	}
}

func read(t testing.TB, folder string) (text string) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(folder, "*.jsonl"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // it was delivered
		}
		text += string(b)
	}
	return text
}

// A spool that is full drops reports before sessions, and says so; it never grows beyond its limit.
func TestAFullSpoolDropsReportsFirst(t *testing.T) {
	reg := prometheus.NewRegistry()
	db := &gatekeeper{Store: sqlite(t), away: true}
	folder := t.TempDir()
	cfg := Defaults()
	cfg.Spool, cfg.Pairs = 1<<20, 2
	s, err := New(cfg, Options{Folder: folder, Node: "node", Store: db, Recorder: event.New(quiet, reg, false)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(context.Background())
	join(s, "a", "b")
	text := strings.Repeat("x", 250)
	for range 20 {
		for range 400 {
			s.Quality(here, "a", "b", store.TalkQuality{SendCodec: text, RecvCodec: text})
		}
		eventually(t, "they are written", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.inbox) == 0 })
	}
	if n := s.Waiting(); n > 3<<18 || n < 3<<18-4096 {
		t.Errorf("%d bytes of reports wait", n)
	}
	for i := range 100 {
		join(s, fmt.Sprint("late", i))
	}
	eventually(t, "sessions are written", func() bool { return strings.Count(read(t, folder), `{"session"`) == 102 })
	for i := range 3000 {
		join(s, fmt.Sprint("later", i))
	}
	eventually(t, "they are dropped", func() bool { return dropped(t, reg) > 6000 })
	if n := s.Waiting(); n > 1<<20 {
		t.Errorf("%d bytes wait", n)
	}
	db.set(false, false)
	eventually(t, "what was kept is delivered", func() bool { return s.Waiting() == 0 })
	if n := len(sessions(t, db.Store)); n < 102 {
		t.Errorf("%d sessions", n)
	}
}

func dropped(t testing.TB, reg *prometheus.Registry) float64 {
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if m.Label[0].GetValue() == "records.drop" {
				return m.Counter.GetValue()
			}
		}
	}
	return 0
}

// One record that the store refuses for ever keeps no other one back.
func TestARecordThatCannotBeStoredIsLeftOut(t *testing.T) {
	db := sqlite(t)
	folder := t.TempDir()
	bad := entry{Session: &store.TalkSession{ID: "x", Name: "a\x00b"}}
	text := string(bad.line())
	for _, user := range []string{"a", "b", "c"} {
		good := entry{Session: &store.TalkSession{ID: user, User: user, Node: "other", Created: noon, Joined: noon}}
		text += string(good.line()) + "nonsense\n" + string(bad.line())
	}
	if err := os.WriteFile(filepath.Join(folder, "000000000001.jsonl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, folder, db)
	if n := len(sessions(t, db)); n != 3 || s.Waiting() != 0 {
		t.Errorf("%d sessions, %d bytes wait", n, s.Waiting())
	}
}

// A server that stops ends its calls; the next one finds nothing open.
func TestStoppingEndsCalls(t *testing.T) {
	db := sqlite(t)
	folder := t.TempDir()
	s := serve(t, folder, db)
	join(s, "a", "b")
	s.Book.Failed(here, "jitsi", "full")
	s.Close(context.Background())
	if all := sessions(t, db); len(all) != 2 || all["a"].Left.IsZero() || all["b"].Left.IsZero() {
		t.Errorf("%+v", all)
	}
	if left, err := db.OpenTalks(context.Background(), "node"); err != nil || left.Len() != 0 {
		t.Errorf("%+v %v", left, err)
	}
	if day, err := db.TalkDay(context.Background(), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)); err != nil || len(day.Notes) != 1 {
		t.Errorf("%+v %v", day, err)
	}
	join(s, "late") // says nothing, does nothing
}

func FuzzSpool(f *testing.F) {
	good := entry{Session: &store.TalkSession{ID: "a", Created: noon, Joined: noon}}
	f.Add(good.line())
	f.Add([]byte(`{"sub":{"ID":"x"}}` + "\n{}\n" + `{"note":null}`))
	f.Add([]byte("\n\n\x00{\"session\":{\"ID\":"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, _ := parse(text)
		for i := range list {
			again, damaged := parse(list[i].line())
			if damaged != 0 || len(again) != 1 {
				t.Fatalf("%q is read once and not again", list[i].line())
			}
		}
	})
}
