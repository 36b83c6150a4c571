package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"parley/bridge/api"
	"parley/internal/event"
)

// The test binary is also the front and the bridge that the tests start and kill.
const roleKey = "LINK_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleKey) {
	case "bridge":
		os.Exit(exit(bridgeProcess()))
	case "front":
		os.Exit(exit(frontProcess()))
	case "die":
		os.Exit(3)
	case "refuse":
		TakeStarter().Refuse(errors.New("port 7 is taken by a hat"))
		os.Exit(1)
	case "babble":
		fmt.Fprint(TakeStarter().pipe, "I am up")
		os.Exit(1)
	case "mute":
		signal.Ignore(syscall.SIGTERM)
		time.Sleep(time.Hour)
	}
	goleak.VerifyTestMain(m)
}

func exit(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// bridgeProcess is a bridge of a toy core: "bridge DIR GRACE".
func bridgeProcess() error {
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	grace, err := time.ParseDuration(os.Args[2])
	if err != nil {
		return err
	}
	id := "bridge-" + strconv.Itoa(os.Getpid())
	home, err := Open(os.Args[1], id)
	if err != nil {
		return err
	}
	defer home.Close()
	setup, _ := json.Marshal(os.Args[1:])
	if err := home.Announce(setup); err != nil {
		return err
	}
	TakeStarter().Up(setup)
	err = NewServer(newToy(), ServerConfig{Bridge: id, Version: "test", Grace: grace}).Run(ctx, home.Listener())
	if errors.Is(err, ErrAlone) {
		return nil
	}
	return err
}

// frontProcess is a front that wishes for conferences: "front DIR GRACE [ID=VERSION...]". It says on its output what it is
// told.
func frontProcess() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	child := testChild(os.Args[1], os.Args[2], "bridge")
	child.Log = log
	client := NewClient(ClientConfig{Dial: Dial(os.Args[1]), Log: log})
	for _, wish := range os.Args[3:] {
		id, version, _ := strings.Cut(wish, "=")
		v, _ := strconv.ParseUint(version, 10, 64)
		client.Apply(conference(id, v, "a", "b"))
	}
	var group sync.WaitGroup
	group.Go(func() { client.Run(ctx, func(e api.Event) { fmt.Println(describe(e)) }) })
	err := child.Run(ctx)
	group.Wait()
	return err
}

// describe makes one line of an event.
func describe(e api.Event) string {
	switch {
	case e.Hello != nil:
		return fmt.Sprintf("hello %s %v", e.Hello.Bridge, e.Hello.Conferences)
	case e.Transport != nil:
		return fmt.Sprintf("transport %s/%s %d", e.Transport.Conference, e.Transport.Endpoint, e.Transport.Session)
	case e.State != nil:
		return fmt.Sprintf("state %s/%s %s", e.State.Conference, e.State.Endpoint, e.State.State)
	case e.Speaker != nil:
		return fmt.Sprintf("speaker %s %v", e.Speaker.Conference, e.Speaker.Recent)
	case e.Stress != nil:
		return fmt.Sprintf("stress %v %v", e.Stress.Stress, e.Stress.Draining)
	}
	return "nothing"
}

// testChild is a child whose program is this test binary.
func testChild(dir, grace, role string) *Child {
	env := append(os.Environ(), roleKey+"="+role)
	fits := func(setup json.RawMessage) bool {
		var args []string
		return json.Unmarshal(setup, &args) == nil && slices.Equal(args, []string{dir, grace})
	}
	return &Child{Data: dir, Path: os.Args[0], Args: []string{dir, grace}, Env: env, Stderr: os.Stderr, Fits: fits}
}

func conference(id string, version uint64, endpoints ...string) api.Conference {
	c := api.Conference{ID: id, Version: version, Room: id + "@muc.localhost"}
	for _, ep := range endpoints {
		c.Endpoints = append(c.Endpoints, api.Endpoint{ID: ep, Session: 1})
	}
	return c
}

// toy is a core that remembers, and tells a transport for each endpoint that is new to it.
type toy struct {
	mu      sync.Mutex
	tell    func(api.Event)
	have    map[string]api.Conference
	applied []api.Conference // all of them
	drained bool
	gate    chan struct{} // if set, Apply waits for it
	lost    chan struct{} // if set, Snapshot waits for it
}

func newToy() *toy { return &toy{have: make(map[string]api.Conference)} }

func (b *toy) Events(tell func(api.Event)) { b.tell = tell }

func (b *toy) Drain() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drained = true
}

func (b *toy) Apply(c api.Conference) {
	if b.gate != nil {
		<-b.gate
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.applied = append(b.applied, c)
	old, ok := b.have[c.ID]
	if ok && c.Version < old.Version {
		return
	}
	if len(c.Endpoints) == 0 {
		delete(b.have, c.ID)
		return
	}
	b.have[c.ID] = c
	had := make(map[string]int)
	for _, ep := range old.Endpoints {
		had[ep.ID] = ep.Session
	}
	for _, ep := range c.Endpoints {
		if had[ep.ID] != ep.Session {
			b.tell(api.Event{Transport: &api.Transport{Conference: c.ID, Endpoint: ep.ID, Session: ep.Session, Ufrag: "u", Pwd: "p", Setup: "actpass"}})
		}
	}
}

func (b *toy) Snapshot() map[string]uint64 {
	b.mu.Lock()
	lost := b.lost
	b.mu.Unlock()
	if lost != nil {
		<-lost
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make(map[string]uint64)
	for id, c := range b.have {
		all[id] = c.Version
	}
	return all
}

// versions returns those of a conference that were applied, in order.
func (b *toy) versions(id string) (list []uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.applied {
		if c.ID == id {
			list = append(list, c.Version)
		}
	}
	return list
}

func (b *toy) is(want map[string]uint64) bool { return maps.Equal(b.Snapshot(), want) }

// eventually waits for what other goroutines or processes do.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// counters are what a Recorder has counted.
type counters struct {
	*event.Recorder
	reg *prometheus.Registry
}

func newCounters() *counters {
	reg := prometheus.NewRegistry()
	return &counters{event.New(slog.New(slog.DiscardHandler), reg, false), reg}
}

func (c *counters) of(name string) (n float64) {
	families, _ := c.reg.Gather()
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == name {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

// pipes is a network without sockets, for tests with a false clock.
type pipes struct {
	in   chan net.Conn
	done chan struct{}
	once sync.Once
}

func newPipes() *pipes { return &pipes{in: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.in <- theirs:
		return ours, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case nc := <-p.in:
		return nc, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// told collects events as lines.
type told struct {
	mu    sync.Mutex
	lines []string
}

func (t *told) event(e api.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, describe(e))
}

func (t *told) count(line string) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.lines {
		if l == line {
			n++
		}
	}
	return n
}

func (t *told) all() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.lines...)
}
