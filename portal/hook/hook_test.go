package hook

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"parley/internal/event"
	"parley/internal/outside"
	"parley/internal/store"
	"parley/internal/store/sqlstore"
	"parley/internal/token"
	"parley/jingle/focus"
	"parley/muc"
	"parley/xmpp/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// got is a message as it came.
type got struct {
	id, at, signature string
	body              []byte
	kind              string
	data              map[string]any
}

// sink is an application that takes messages.
type sink struct {
	*httptest.Server
	mu     sync.Mutex
	answer func(n int) int // status for the nth request; nil: 204
	asked  int
	taken  []got // those that were answered 2xx
}

func newSink(t *testing.T) *sink {
	k := new(sink)
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		g := got{id: r.Header.Get("webhook-id"), at: r.Header.Get("webhook-timestamp"), signature: r.Header.Get("webhook-signature"), body: body}
		var e struct {
			Type string
			Data map[string]any
		}
		if err := json.Unmarshal(body, &e); err != nil || r.Method != "POST" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %v", r.Method, body, err)
		}
		g.kind, g.data = e.Type, e.Data
		k.mu.Lock()
		k.asked++
		status := http.StatusNoContent
		if k.answer != nil {
			status = k.answer(k.asked)
		}
		if status/100 == 2 {
			k.taken = append(k.taken, g)
		}
		k.mu.Unlock()
		if status == http.StatusFound {
			w.Header().Set("Location", k.URL+"/elsewhere")
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(k.Close)
	return k
}

func (k *sink) said() (asked int, taken []got) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.asked, append([]got(nil), k.taken...)
}

// wait returns what the sink has taken when it is so many.
func (k *sink) wait(t *testing.T, n int) []got {
	t.Helper()
	var list []got
	until(t, fmt.Sprintf("%d messages", n), func() bool { _, list = k.said(); return len(list) >= n })
	return list
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("in vain: " + what)
		}
	}
}

type world struct {
	*testing.T
	store store.Store
	count func(string) float64
	cfg   Config
	rec   *event.Recorder
	log   *strings.Builder
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, cfg: Defaults(), log: new(strings.Builder)}
	w.cfg.Private, w.cfg.Retry = true, 5*time.Millisecond
	var err error
	if w.store, err = sqlstore.Open(context.Background(), "sqlite:"+filepath.Join(t.TempDir(), "parley.db"), sqlstore.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	if err := w.store.AddApp(context.Background(), store.App{Name: "shop"}); err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	w.rec = event.New(slog.New(slog.NewTextHandler(w.log, nil)), reg, false)
	w.count = func(name string) (sum float64) {
		families, _ := reg.Gather()
		for _, f := range families {
			for _, m := range f.Metric {
				if m.Label[0].GetValue() == name {
					sum += m.Counter.GetValue()
				}
			}
		}
		return sum
	}
	return w
}

var secret = []byte("0123456789abcdef0123456789abcdef")

// hook adds one.
func (w *world) hook(id, url string, events ...string) store.Hook {
	w.Helper()
	h := store.Hook{ID: id, App: "shop", URL: url, Events: events, Secret: secret}
	if err := w.store.AddHook(context.Background(), h, 9); err != nil {
		w.Fatal(err)
	}
	return h
}

// open makes a service that does not run yet.
func (w *world) open() *Service {
	w.Helper()
	s, err := New(w.cfg, w.store, "n1", func(*muc.Occupant) string { return "xmpp" }, w.rec, slog.New(slog.DiscardHandler))
	if err != nil {
		w.Fatal(err)
	}
	if err := s.Open(context.Background()); err != nil {
		w.Fatal(err)
	}
	return s
}

// run runs it until the test ends, or stop is called.
func (w *world) run(s *Service) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
		if err := s.Close(context.Background()); err != nil {
			w.Error(err)
		}
	})
	w.Cleanup(stop)
	return stop
}

// What happens arrives, signed, at who wants to know, and at nobody else.
func TestApplicationsAreTold(t *testing.T) {
	w := newWorld(t)
	all, some := newSink(t), newSink(t)
	w.hook("all", all.URL+"/x?key=s3cret", Types...)
	w.hook("some", some.URL, CallEnded)
	s := w.open()
	w.run(s)
	began := time.Unix(1e9, 0)
	in := muc.Occupant{Room: "r@muc.x", Nick: "<ann>", ID: "o1", Guest: true, Claims: &token.Claims{User: token.User{ID: "u1", Name: "Ann"}}}
	for _, e := range []muc.Event{
		muc.RoomCreated{Room: "r@muc.x"}, muc.OccupantJoined{Occupant: in}, muc.OccupantChanged{Occupant: in},
		muc.OccupantLeft{Room: "r@muc.x", Nick: "focus", Why: muc.LeftClosed}, muc.OccupantLeft{Room: "r@muc.x", Nick: "<ann>", ID: "o1", Why: muc.LeftKicked},
	} {
		s.Observe(e)
	}
	s.Call(focus.CallEvent{Room: "r@muc.x", Meeting: "m1", Began: began, Most: 2, Gate: focus.P2P})
	s.Call(focus.CallEvent{Room: "r@muc.x", Meeting: "m1", Began: began, Ended: began.Add(90 * time.Second), Most: 3, Gate: focus.SFU})
	s.Observe(muc.RoomDestroyed{Room: "r@muc.x"})
	list := all.wait(t, 6)
	kinds, ids := "", make(map[string]bool)
	for _, g := range list {
		kinds += g.kind + " "
		ids[g.id] = true
		if want := Sign(secret, g.id, g.at, g.body); g.signature != want {
			t.Errorf("signature %s, want %s", g.signature, want)
		}
		if g.data["room"] != "r" || g.data["address"] != "r@muc.x" {
			t.Errorf("%s", g.body)
		}
	}
	if want := "room.created member.joined member.left call.started call.ended room.ended "; kinds != want || len(ids) != 6 {
		t.Fatalf("%s, want %s; %d ids", kinds, want, len(ids))
	}
	joined, left, ended := list[1].data, list[2].data, list[4].data
	if who, _ := joined["user"].(map[string]any); joined["nick"] != "<ann>" || joined["id"] != "o1" || joined["door"] != "xmpp" || joined["guest"] != true || who["id"] != "u1" || who["name"] != "Ann" {
		t.Errorf("%v", joined)
	}
	if left["id"] != "o1" || left["reason"] != "kicked" {
		t.Errorf("%v", left)
	}
	if ended["meeting"] != "m1" || ended["seconds"] != 90.0 || ended["members"] != 3.0 || ended["gate"] != "sfu" {
		t.Errorf("%v", ended)
	}
	one := some.wait(t, 1)
	if asked, _ := some.said(); asked != 1 || one[0].kind != CallEnded || one[0].id != list[4].id {
		t.Errorf("%d %+v", asked, one)
	}
	until(t, "everything is done", func() bool {
		hooks, err := w.store.ListHooks(context.Background(), "")
		return err == nil && hooks[0].Waiting+hooks[1].Waiting == 0
	})
}

// The signature is that of Standard Webhooks: this is the example of its specification's libraries.
func TestSignatureIsThatOfTheStandard(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	if got := Sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`)); got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Error(got)
	}
	_, text := NewSecret()
	if raw, ok := strings.CutPrefix(text, "whsec_"); !ok || len(raw) != 44 {
		t.Errorf("%d characters", len(text))
	}
}

// A failure, whatever it is, is tried again with the same id, and what comes behind it is not lost.
func TestFailuresAreTriedAgain(t *testing.T) {
	w := newWorld(t)
	k := newSink(t)
	k.answer = func(n int) int { return []int{500, 404, 302, 204}[min(n-1, 3)] }
	w.hook("h", k.URL, RoomCreated)
	s := w.open()
	w.run(s)
	for i := range 3 {
		s.Observe(muc.RoomCreated{Room: wireAddr(i)})
	}
	seen := make(map[any]bool)
	for _, g := range k.wait(t, 3) {
		seen[g.data["room"]] = true
	}
	if asked, taken := k.said(); len(seen) != 3 || asked != 6 || len(taken) != 3 {
		t.Errorf("%v arrived, %d were tried, %d taken", seen, asked, len(taken))
	}
	if n := w.count("hook.fail"); n != 3 {
		t.Errorf("%v failures counted", n)
	}
}

// What is tried for too long is given up, and said so.
func TestTriesEnd(t *testing.T) {
	w := newWorld(t)
	w.cfg.Keep = time.Second
	k := newSink(t)
	k.answer = func(int) int { return 500 }
	w.hook("h", k.URL, RoomCreated)
	s := w.open()
	w.run(s)
	s.Observe(muc.RoomCreated{Room: "r@muc.x"})
	until(t, "it is given up", func() bool { return w.count("hook.drop") == 1 })
	until(t, "nothing waits", func() bool {
		hooks, err := w.store.ListHooks(context.Background(), "")
		return err == nil && hooks[0].Waiting == 0
	})
	if asked, taken := k.said(); asked < 1 || len(taken) > 0 {
		t.Errorf("tried %d times", asked)
	}
}

// What was stored by a process that did not deliver it is delivered by the next one; and what a process has taken and not
// finished, too.
func TestTheNextProcessGoesOn(t *testing.T) {
	w := newWorld(t)
	k := newSink(t)
	w.hook("h", k.URL, RoomCreated)
	s := w.open()
	for i := range 25 {
		s.Observe(muc.RoomCreated{Room: wireAddr(i)})
	}
	if err := s.Close(context.Background()); err != nil { // stored, and not delivered
		t.Fatal(err)
	}
	now := time.Now()
	if list, err := w.store.TakeDeliveries(context.Background(), "h", "n1", now, now.Add(time.Hour), 10); err != nil || len(list) != 10 {
		t.Fatal(list, err) // and then it dies
	}
	w.run(w.open())
	seen := make(map[any]bool)
	for _, g := range k.wait(t, 25) {
		seen[g.data["room"]] = true
	}
	if len(seen) != 25 {
		t.Errorf("%d arrived", len(seen))
	}
}

// A hook that does not answer takes nothing from the others.
func TestASlowApplicationDelaysNobodyElse(t *testing.T) {
	w := newWorld(t)
	hold := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	defer slow.Close()
	defer close(hold)
	k := newSink(t)
	w.hook("a", slow.URL, RoomCreated)
	w.hook("b", k.URL, RoomCreated)
	s := w.open()
	stop := w.run(s)
	for i := range 20 {
		s.Observe(muc.RoomCreated{Room: wireAddr(i)})
	}
	k.wait(t, 20)
	stop()
}

// Of what waits for an application that is away there is an end, and of what waits for the store.
func TestQueuesAreBounded(t *testing.T) {
	w := newWorld(t)
	w.cfg.Waiting = 5
	w.hook("h", "http://127.0.0.1:9/", RoomCreated)
	s := w.open()
	for i := range 8 {
		s.Observe(muc.RoomCreated{Room: wireAddr(i)})
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if hooks, err := w.store.ListHooks(context.Background(), ""); err != nil || hooks[0].Waiting != 5 || w.count("hook.drop") != 3 {
		t.Errorf("%+v %v, %v dropped", hooks, err, w.count("hook.drop"))
	}
	for i := range mostPending + 7 {
		s.Observe(muc.RoomCreated{Room: wireAddr(i)})
	}
	s.mu.Lock()
	n := len(s.pending)
	s.mu.Unlock()
	if n != mostPending || w.count("hook.drop") != 3+7 {
		t.Errorf("%d wait in memory, %v dropped", n, w.count("hook.drop"))
	}
}

// A name that leads inside is refused when it is dialled, and nothing of the address gets into the log.
func TestSSRFOnlyPublicAddressesAreDialled(t *testing.T) {
	w := newWorld(t)
	w.cfg.Private = false
	k := newSink(t)
	w.hook("h", strings.Replace(k.URL, "127.0.0.1", "localhost", 1)+"/?key=s3cret", RoomCreated) // as if it had passed CheckURL
	s := w.open()
	stop := w.run(s)
	s.Observe(muc.RoomCreated{Room: "r@muc.x"})
	until(t, "it fails", func() bool { return w.count("hook.fail") >= 1 })
	if asked, _ := k.said(); asked != 0 {
		t.Errorf("asked %d times", asked)
	}
	stop()
	if strings.Contains(w.log.String(), "s3cret") || !strings.Contains(w.log.String(), outside.ErrBlocked.Error()) {
		t.Error(w.log.String())
	}
}

func TestAddressesOfHooks(t *testing.T) {
	strict, loose := &Service{cfg: Defaults()}, &Service{cfg: Config{Private: true}}
	for text, want := range map[string][2]bool{ // accepted by default, and with private addresses
		"https://shop.example/x?y=z": {true, true}, "https://8.8.8.8:8443/": {true, true}, "http://shop.example/": {false, true}, "https://127.0.0.1/": {false, true},
		"https://10.1.2.3/": {false, true}, "https://[::1]/": {false, true}, "https://[::ffff:192.168.0.1]/": {false, true}, "https://localhost/": {false, true}, "https://x.localhost./": {false, true},
		"https://169.254.169.254/latest": {false, true}, "https://[64:ff9b::7f00:1]/": {false, true}, "https://ann:pw@shop.example/": {false, false}, "https://shop.example/#x": {false, false},
		"ftp://shop.example/": {false, false}, "https:///x": {false, false}, "https://": {false, false}, "": {false, false}, "shop.example": {false, false}, "javascript:alert(1)": {false, false},
		"https://shop.example/a b": {false, false}, "https://shop.example/\n": {false, false}, "https:shop.example": {false, false}, "https://shop.example/" + strings.Repeat("a", 2048): {false, false},
	} {
		if got := [2]bool{strict.CheckURL(text) == nil, loose.CheckURL(text) == nil}; got != want {
			t.Errorf("%.80q: %v, want %v", text, got, want)
		}
	}
	if outside.Public(netip.MustParseAddr("127.0.0.1")) {
		t.Error("loopback is public")
	}
}

// While the store is away, what happens waits, and is told afterwards.
func TestTheStoreMayBeAway(t *testing.T) {
	w := newWorld(t)
	k := newSink(t)
	w.hook("h", k.URL, RoomCreated)
	flaky := &flaky{Hooks: w.store}
	s, err := New(w.cfg, flaky, "n1", func(*muc.Occupant) string { return "" }, w.rec, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Open(context.Background()); err != nil {
		t.Fatal(err)
	}
	flaky.set(true)
	w.run(s)
	for i := range 3 {
		s.Observe(muc.RoomCreated{Room: wireAddr(i)})
	}
	until(t, "the store is missed", func() bool { return w.count("hook.store") > 1 })
	flaky.set(false)
	if list := k.wait(t, 3); len(list) != 3 {
		t.Errorf("%d arrived", len(list))
	}
}

type flaky struct {
	store.Hooks
	mu   sync.Mutex
	away bool
}

func (f *flaky) set(away bool) {
	f.mu.Lock()
	f.away = away
	f.mu.Unlock()
}

func (f *flaky) AddDeliveries(ctx context.Context, list []store.Delivery, most int) (int, error) {
	f.mu.Lock()
	away := f.away
	f.mu.Unlock()
	if away {
		return 0, errors.New("away")
	}
	return f.Hooks.AddDeliveries(ctx, list, most)
}

func wireAddr(i int) wire.Addr { return wire.Addr(fmt.Sprintf("r%d@muc.x", i)) }

// Nothing is made of what nobody wants to know.
func BenchmarkObserveWithoutHooks(b *testing.B) {
	s := &Service{}
	s.hooks.Store(new([]store.Hook))
	e := muc.Event(muc.OccupantJoined{})
	b.ReportAllocs()
	for b.Loop() {
		s.Observe(e)
	}
}
