package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"parley/bridge/api"
	"parley/internal/peertest/need"
)

// served runs a server until the test ends.
func served(t *testing.T, core Core, cfg ServerConfig, l net.Listener) *Server {
	t.Helper()
	s := NewServer(core, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		if err := s.Run(ctx, l); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); group.Wait() })
	return s
}

// socket is a server on a real socket.
func socket(t *testing.T, core Core, cfg ServerConfig) (dir string) {
	t.Helper()
	dir = t.TempDir()
	h, err := Open(dir, "b")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	served(t, core, cfg, h.Listener())
	return dir
}

func dialed(t *testing.T, dir string) *conn {
	t.Helper()
	nc, err := Dial(dir)(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return &conn{Conn: nc}
}

// greeted is a front that has read the Hello.
func greeted(t *testing.T, dir, id string, wishes map[string]uint64) (*conn, *api.Hello) {
	t.Helper()
	c := dialed(t, dir)
	if err := c.write(message{Front: &front{Protocol: protocol, ID: id, Conferences: wishes}}); err != nil {
		t.Fatal(err)
	}
	m, err := c.read(10 * time.Second)
	if err != nil || m.Event == nil || m.Event.Hello == nil {
		t.Fatalf("%+v %v", m, err)
	}
	return c, m.Event.Hello
}

// applyAndWait returns the events up to the acknowledgement.
func applyAndWait(t *testing.T, c *conn, wish api.Conference) (have uint64) {
	t.Helper()
	if err := c.write(message{Apply: &wish}); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := c.read(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if m.Applied != nil {
			if m.Applied.ID != wish.ID {
				t.Fatalf("acknowledged %s", m.Applied.ID)
			}
			return m.Applied.Version
		}
	}
}

func TestHB12Rubbish(t *testing.T) {
	core, counts := newToy(), newCounters()
	dir := socket(t, core, ServerConfig{Events: counts.Recorder})
	owner, _ := greeted(t, dir, "front", nil)
	applyAndWait(t, owner, conference("c", 1, "a"))
	n := 0.0
	for name, b := range rubbish {
		t.Run("HB12 "+name, func(t *testing.T) {
			c := dialed(t, dir)
			c.Write(b)
			c.SetReadDeadline(time.Now().Add(3 * time.Second)) // before the 5 s of a greeting that does not come
			if text, err := io.ReadAll(c.Conn); len(text) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("answered %q, %v", text, err)
			}
			n++
			eventually(t, "it is counted", func() bool { return counts.of("bridge.bad") == n })
		})
	}
	for name, m := range map[string]message{
		"HB12 an event from a front": {Event: &api.Event{Stress: &api.Stress{}}},
		"HB12 a second greeting":     {Front: &front{Protocol: protocol, ID: "front"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := greeted(t, socket(t, newToy(), ServerConfig{Events: counts.Recorder}), "front", nil)
			c.write(m)
			for {
				if _, err := c.read(3 * time.Second); err != nil {
					if errors.Is(err, os.ErrDeadlineExceeded) {
						t.Error("it stays open")
					}
					break
				}
			}
			n++
			eventually(t, "it is counted", func() bool { return counts.of("bridge.bad") == n })
		})
	}
	if have := applyAndWait(t, owner, conference("c", 2, "a")); have != 2 {
		t.Errorf("the front's own connection suffered: %d", have)
	}
}

func TestHB12AnotherUser(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ours, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	if err := trusted(ours); err != nil {
		t.Error(err)
	}
	if runtime.GOOS == "linux" && ownedBy(ours.(*net.UnixConn), os.Geteuid()+1) == nil {
		t.Error("a peer of another user is trusted")
	}
	if trusted(&net.TCPConn{}) == nil {
		t.Error("plain TCP is trusted")
	}
}

// Only root can become another user, so that part of HB12 that needs two of them runs for root alone; the comparison
// itself is tested above.
func TestHB12AnotherUserOverTheSocket(t *testing.T) {
	if os.Geteuid() != 0 {
		if need.Required("root") {
			t.Fatal("PARLEY_PEERS wants what takes root, which we are not")
		}
		t.Skip("not root: there is no other user to be")
	}
	core, counts := newToy(), newCounters()
	dir := socket(t, core, ServerConfig{Events: counts.Recorder})
	// Let the other user in as far as modes go: what is left is the check.
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	os.Chmod(filepath.Join(dir, socketFile), 0o666)
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if _, _, e := syscall.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), 65534, ^uintptr(0)); e != 0 {
			result <- e
			return
		}
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			result <- err
			return
		}
		defer unix.Close(fd)
		if err := unix.Connect(fd, &unix.SockaddrUnix{Name: filepath.Join(dir, socketFile)}); err != nil {
			result <- err
			return
		}
		unix.Write(fd, frameOf(`{"front": {"protocol": 1, "id": "thief"}}`))
		n, err := unix.Read(fd, make([]byte, 100))
		if n > 0 {
			err = errors.New("the bridge answers another user")
		} else if errors.Is(err, unix.ECONNRESET) {
			err = nil
		}
		result <- err
	}()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is counted", func() bool { return counts.of("bridge.auth") == 1 })
}

func TestOneFrontAtATime(t *testing.T) {
	core, counts := newToy(), newCounters()
	dir := socket(t, core, ServerConfig{Bridge: "b", Events: counts.Recorder})
	first, _ := greeted(t, dir, "first", nil)
	applyAndWait(t, first, conference("c", 4, "a"))

	second := dialed(t, dir)
	second.write(message{Front: &front{Protocol: protocol, ID: "second"}})
	if m, err := second.read(time.Second); err != nil || m.Refused == "" {
		t.Fatalf("%+v %v", m, err)
	}
	if _, err := second.read(time.Second); !errors.Is(err, io.EOF) {
		t.Error("a refused front may stay:", err)
	}
	if have := applyAndWait(t, first, conference("c", 5, "a")); have != 5 {
		t.Errorf("the first front suffered: %d", have)
	}

	// The same front again, whose former connection the bridge holds for alive.
	again, hello := greeted(t, dir, "first", nil)
	if hello.Conferences["c"] != 5 || hello.Bridge != "b" {
		t.Errorf("hello %+v", hello)
	}
	for {
		if _, err := first.read(time.Second); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the former connection stays open")
			}
			break
		}
	}
	if have := applyAndWait(t, again, conference("c", 3, "a", "b")); have != 5 {
		t.Errorf("an old wish is acknowledged as %d", have)
	}
	if got := core.versions("c"); !slices.Equal(got, []uint64{4, 5}) {
		t.Errorf("the core was told of versions %v", got)
	}

	other := dialed(t, dir)
	other.write(message{Front: &front{Protocol: protocol + 1, ID: "first"}})
	if m, err := other.read(time.Second); err != nil || m.Refused == "" {
		t.Errorf("another protocol: %+v %v", m, err)
	}
}

func TestConnectionsAreCounted(t *testing.T) {
	core, counts := newToy(), newCounters()
	dir := socket(t, core, ServerConfig{Events: counts.Recorder})
	for range connections + 3 {
		dialed(t, dir)
	}
	eventually(t, "the rest is refused", func() bool { return counts.of("bridge.limit") == 3 })
}

func state(conf, ep string, session int, s string) api.Event {
	return api.Event{State: &api.State{Conference: conf, Endpoint: ep, Session: session, State: s}}
}

func TestNewestEventsAreToldToWhoComes(t *testing.T) {
	core := newToy()
	dir := socket(t, core, ServerConfig{Bridge: "b"})
	c, _ := greeted(t, dir, "one", nil)
	applyAndWait(t, c, conference("c", 1, "a", "b"))
	applyAndWait(t, c, conference("over", 1, "x"))
	c.Close()
	core.tell(state("c", "a", 1, api.Connected))
	core.tell(state("c", "a", 1, api.Active))
	core.tell(state("c", "a", 1, api.Disconnected))
	core.tell(state("c", "b", 1, api.Failed))
	core.tell(api.Event{Transport: &api.Transport{Conference: "c", Endpoint: "b", Session: 2}}) // its failure is over
	core.tell(api.Event{Speaker: &api.Speaker{Conference: "c", Recent: []string{"a"}}})
	core.tell(api.Event{Stress: &api.Stress{Stress: 0.5}})
	core.tell(state("c", "stranger", 1, api.Connected))
	core.tell(state("unknown", "a", 1, api.Connected))

	var got []string
	var n *conn
	eventually(t, "the first front is seen to be gone", func() bool {
		n = dialed(t, dir)
		n.write(message{Front: &front{Protocol: protocol, ID: "two"}})
		m, err := n.read(time.Second)
		return err == nil && m.Event != nil
	})
	// What is told later in the place of these must not come before them.
	first := []string{"stress 0.5 false", "speaker c [a]", "state c/a active", "state c/a disconnected", "transport c/a 1", "transport c/b 2"}
	told := func(what string) bool { return slices.Contains(got, what) }
	end := conference("over", 2)
	for ended, asked := false, false; !ended; {
		if !asked && !slices.ContainsFunc(first, func(what string) bool { return !told(what) }) {
			n.write(message{Apply: &end})
			asked = true
		}
		m, err := n.read(5 * time.Second)
		if err != nil {
			t.Fatalf("told %q: %v", got, err)
		}
		if ended = m.Event == nil; !ended {
			got = append(got, describe(*m.Event))
		}
	}
	core.tell(state("over", "x", 1, api.Connected)) // too late
	core.tell(state("c", "a", 1, api.Connected))
	m, err := n.read(5 * time.Second)
	for err == nil && m.Event != nil && len(got) < 20 {
		got = append(got, describe(*m.Event))
		if m.Event.State != nil && m.Event.State.State == api.Connected {
			break
		}
		m, err = n.read(5 * time.Second)
	}
	slices.Sort(got[1:])
	want := []string{first[0], "speaker c [a]", "state c/a active", "state c/a connected", "state c/a disconnected", "transport c/a 1", "transport c/b 2", "transport over/x 1"}
	if !slices.Equal(got, want) && !slices.Equal(got, want[:len(want)-1]) { // over may have ended before it was told
		t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSlowReaderIsToldTheNewest(t *testing.T) {
	core := newToy()
	s := NewServer(core, ServerConfig{Bridge: "b"})
	dir := t.TempDir()
	h, err := Open(dir, "b")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { s.Run(ctx, h.Listener()) })
	defer func() { cancel(); group.Wait() }()
	c, _ := greeted(t, dir, "slow", nil)
	wish := conference("c", 1, "a", "b", "c", "d")
	applyAndWait(t, c, wish)
	const rounds = 50_000
	for i := range rounds { // far more than the socket's buffer holds
		core.tell(state("c", wish.Endpoints[i%4].ID, 1, []string{api.Disconnected, api.Connected}[i/4%2]))
		core.tell(api.Event{Stress: &api.Stress{Endpoints: i}})
		if i%1000 == 0 {
			s.mu.Lock()
			waiting := len(s.newest.unsaid)
			s.mu.Unlock()
			if waiting > 9 { // four transports, four states, and stress
				t.Fatalf("%d events wait for nine subjects", waiting)
			}
		}
	}
	core.tell(api.Event{Speaker: &api.Speaker{Conference: "c", Recent: []string{"last"}}})
	read, last := 0, ""
	for {
		m, err := c.read(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		read++
		if m.Event != nil && m.Event.Stress != nil {
			last = fmt.Sprint(m.Event.Stress.Endpoints)
		}
		if m.Event != nil && m.Event.Speaker != nil {
			break
		}
	}
	if read >= 2*rounds || last != fmt.Sprint(rounds-1) {
		t.Errorf("%d messages read, the last stress is of round %s", read, last)
	}
	t.Logf("%d events, %d of them told", 2*rounds+1, read)
}

func TestReaderThatStopsIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, net := newToy(), newPipes()
		served(t, core, ServerConfig{}, net)
		nc, _ := net.dial(t.Context())
		c := &conn{Conn: nc}
		c.write(message{Front: &front{Protocol: protocol, ID: "f"}})
		from := time.Now()
		core.tell(api.Event{Stress: &api.Stress{}}) // the Hello is never read
		time.Sleep(patience + time.Second)
		if _, err := c.Conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("after %v: %v", time.Since(from), err)
		}
	})
}

func TestSilentFrontIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, net := newToy(), newPipes()
		served(t, core, ServerConfig{}, net)
		nc, _ := net.dial(t.Context())
		c := &conn{Conn: nc}
		c.write(message{Front: &front{Protocol: protocol, ID: "f"}})
		from, pings := time.Now(), 0
		for {
			m, err := c.read(time.Minute)
			if err != nil {
				break
			}
			if m.Ping {
				pings++
			}
		}
		if after := time.Since(from); after != silent || pings < 2 {
			t.Errorf("after %v and %d pings", after, pings)
		}
	})
}

func TestConferencesGoOnForTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, net := newToy(), newPipes()
		s := NewServer(core, ServerConfig{})
		done := make(chan error, 1)
		go func() { done <- s.Run(t.Context(), net) }()
		client := NewClient(ClientConfig{Dial: net.dial})
		client.Apply(conference("c", 3, "a"))
		for range 2 {
			ctx, cancel := context.WithCancel(t.Context())
			go client.Run(ctx, func(api.Event) {})
			time.Sleep(time.Hour) // pings keep both sides
			if !core.is(map[string]uint64{"c": 3}) {
				t.Fatal("not applied, or ended with a front")
			}
			cancel()
			time.Sleep(Grace - time.Second)
			if !core.is(map[string]uint64{"c": 3}) {
				t.Fatal("ended within the grace")
			}
		}
		time.Sleep(2 * time.Second)
		if err := <-done; !errors.Is(err, ErrAlone) {
			t.Error(err)
		}
		if !core.is(nil) {
			t.Errorf("still there: %v", core.Snapshot())
		}
	})
}

// faulty is a listener that fails a few times.
type faulty struct {
	*pipes
	fail int
}

func (f *faulty) Accept() (net.Conn, error) {
	if f.fail--; f.fail >= 0 {
		return nil, syscall.EMFILE
	}
	return f.pipes.Accept()
}

func TestListenerThatFailsForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, counts, l := newToy(), newCounters(), &faulty{newPipes(), 3}
		served(t, core, ServerConfig{Events: counts.Recorder}, l)
		client := NewClient(ClientConfig{Dial: l.dial})
		client.Apply(conference("c", 1, "a"))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go client.Run(ctx, ignore)
		time.Sleep(time.Second)
		if !core.is(map[string]uint64{"c": 1}) || counts.of("limit.process") != 3 {
			t.Errorf("has %v, counted %v", core.Snapshot(), counts.of("limit.process"))
		}
	})
}

func TestNoFrontEverCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := time.Now()
		if err := NewServer(newToy(), ServerConfig{}).Run(t.Context(), newPipes()); !errors.Is(err, ErrAlone) || time.Since(from) != Grace {
			t.Errorf("%v after %v", err, time.Since(from))
		}
	})
}

func TestConferencesOfAFormerFrontEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, net := newToy(), newPipes()
		served(t, core, ServerConfig{}, net)
		run := func(wishes ...api.Conference) (stop func()) {
			client := NewClient(ClientConfig{Dial: net.dial})
			for _, w := range wishes {
				client.Apply(w)
			}
			ctx, cancel := context.WithCancel(t.Context())
			go client.Run(ctx, func(api.Event) {})
			time.Sleep(time.Second)
			return cancel
		}
		run(conference("same", 3, "a"), conference("newer", 3, "a"), conference("left", 3, "a"))()
		time.Sleep(time.Second)
		defer run(conference("same", 3, "a"), conference("newer", 4, "a"))()
		time.Sleep(Grace - 10*time.Second)
		if !core.is(map[string]uint64{"same": 3, "newer": 4, "left": 3}) {
			t.Errorf("within the grace: %v", core.Snapshot())
		}
		time.Sleep(time.Minute)
		if !core.is(map[string]uint64{"same": 3, "newer": 4}) {
			t.Errorf("after it: %v", core.Snapshot())
		}
	})
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, net, got := newToy(), newPipes(), new(told)
		served(t, core, ServerConfig{}, net)
		client := NewClient(ClientConfig{Dial: net.dial})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		client.Drain()
		go client.Run(ctx, got.event)
		synctest.Wait()
		core.tell(api.Event{Stress: &api.Stress{Stress: 0.25}})
		synctest.Wait()
		if !core.drained || got.count("stress 0.25 true") != 1 {
			t.Errorf("drained %v, told %v", core.drained, got.all())
		}
	})
}
