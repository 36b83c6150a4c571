package link

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"parley/bridge/api"
)

// frontRun is a front that runs as a process.
type frontRun struct {
	cmd  *exec.Cmd
	mu   sync.Mutex
	said []string
	done chan struct{}
}

func startFront(t *testing.T, args ...string) *frontRun {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), roleKey+"=front")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f := &frontRun{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(f.done)
		for s := bufio.NewScanner(out); s.Scan(); {
			f.mu.Lock()
			f.said = append(f.said, s.Text())
			f.mu.Unlock()
		}
	}()
	t.Cleanup(func() { f.end(syscall.SIGKILL) })
	return f
}

func (f *frontRun) end(s syscall.Signal) error {
	f.cmd.Process.Signal(s)
	<-f.done
	return f.cmd.Wait()
}

func (f *frontRun) lines(prefix string) (list []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.said {
		if strings.HasPrefix(l, prefix) {
			list = append(list, l)
		}
	}
	return list
}

func (f *frontRun) waitFor(t *testing.T, line string) {
	t.Helper()
	eventually(t, line, func() bool { return slices.Contains(f.lines(""), line) })
}

// bridgeOf waits for the bridge of a directory to say who it is.
func bridgeOf(t *testing.T, dir string, not int) (pid int) {
	t.Helper()
	eventually(t, "a bridge", func() bool {
		r, err := readRecord(dir)
		pid = r.PID
		return err == nil && pid != not && startOf(pid) == r.Start
	})
	return pid
}

func gone(pid int) bool { return startOf(pid) == 0 }

// noOrphan ends what a failed test has left.
func noOrphan(t *testing.T, dir string) {
	t.Cleanup(func() {
		if err := testChild(dir, "", "").quietly().endAny(); err != nil {
			t.Error(err)
		}
	})
}

func (c *Child) quietly() *Child {
	c.Log = slog.New(slog.DiscardHandler)
	return c
}

func TestChildIsRestartedAndBroughtUpToDate(t *testing.T) {
	dir := t.TempDir()
	noOrphan(t, dir)
	ctx, cancel := context.WithCancel(context.Background())
	client := NewClient(ClientConfig{Dial: Dial(dir)})
	events := make(chan string, 1000)
	var group sync.WaitGroup
	group.Go(func() { client.Run(ctx, func(e api.Event) { events <- describe(e) }) })
	var ended error
	group.Go(func() { ended = testChild(dir, "5m", "bridge").Run(ctx) })
	defer func() { cancel(); group.Wait() }()

	for i := range 20 {
		client.Apply(conference(fmt.Sprint("c", i), 7, "a", "b"))
	}
	all := func() {
		t.Helper()
		late := time.After(10 * time.Second)
		for seen := 0; seen < 40; {
			select {
			case e := <-events:
				if strings.HasPrefix(e, "transport ") {
					seen++
				}
			case <-late:
				t.Fatalf("%d of 40 transports", seen)
			}
		}
	}
	all()
	pid := bridgeOf(t, dir, 0)
	for range 2 { // the second death in a row costs 100 ms more
		first, _ := client.Info()
		from := time.Now()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		all()
		took := time.Since(from)
		t.Log("killed, restarted, everything applied again in", took)
		second, there := client.Info()
		if !there || second.Bridge == first.Bridge {
			t.Errorf("bridge %q, there %v, after %q", second.Bridge, there, first.Bridge)
		}
		pid = bridgeOf(t, dir, pid)
	}

	cancel()
	group.Wait()
	if ended != nil {
		t.Error(ended)
	}
	if !gone(pid) {
		t.Error("a graceful stop left the bridge")
	}
	for _, name := range []string{recordFile, socketFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is left", name)
		}
	}
}

func TestBridgeOutlivesItsFrontAndIsAdopted(t *testing.T) {
	dir := t.TempDir()
	noOrphan(t, dir)
	first := startFront(t, dir, "1m", "c1=5", "c2=9")
	for _, ep := range []string{"c1/a", "c1/b", "c2/a", "c2/b"} {
		first.waitFor(t, "transport "+ep+" 1")
	}
	pid := bridgeOf(t, dir, 0)
	hello := fmt.Sprintf("hello bridge-%d map[]", pid)
	first.waitFor(t, hello)
	if sid, err := unix.Getsid(pid); err != nil || sid != pid {
		t.Errorf("the bridge is in session %d: %v; Ctrl-C in the terminal would end it", sid, err)
	}

	first.end(syscall.SIGKILL)
	time.Sleep(100 * time.Millisecond)
	if gone(pid) {
		t.Fatal("the bridge died with the front")
	}
	second := startFront(t, dir, "1m", "c1=6")
	second.waitFor(t, fmt.Sprintf("hello bridge-%d map[c1:5 c2:9]", pid))
	second.waitFor(t, "transport c2/b 1") // told again, though nobody has applied
	if r, _ := readRecord(dir); r.PID != pid {
		t.Errorf("bridge %d took the place of %d", r.PID, pid)
	}

	// An adopted bridge is watched as an own one is.
	from := time.Now()
	syscall.Kill(pid, syscall.SIGKILL)
	next := bridgeOf(t, dir, pid)
	second.waitFor(t, fmt.Sprintf("hello bridge-%d map[]", next))
	t.Log("an adopted bridge was killed, and another one there after", time.Since(from))
	eventually(t, "c1 is applied again", func() bool { return len(second.lines("transport c1/a 1")) == 2 })

	if err := second.end(syscall.SIGTERM); err != nil {
		t.Error("front:", err)
	}
	if !gone(next) {
		t.Error("a graceful stop left the bridge")
	}
}

func TestAdoptedBridgeEndsWithAGracefulStop(t *testing.T) {
	dir := t.TempDir()
	noOrphan(t, dir)
	first := startFront(t, dir, "1m")
	pid := bridgeOf(t, dir, 0)
	first.end(syscall.SIGKILL)
	second := startFront(t, dir, "1m")
	second.waitFor(t, fmt.Sprintf("hello bridge-%d map[]", pid))
	if err := second.end(syscall.SIGTERM); err != nil {
		t.Error("front:", err)
	}
	if !gone(pid) {
		t.Error("the adopted bridge is left")
	}
}

func TestBridgeOfOtherArgumentsIsReplaced(t *testing.T) {
	dir := t.TempDir()
	noOrphan(t, dir)
	first := startFront(t, dir, "1m")
	pid := bridgeOf(t, dir, 0)
	first.end(syscall.SIGKILL)
	second := startFront(t, dir, "2m")
	next := bridgeOf(t, dir, pid)
	second.waitFor(t, fmt.Sprintf("hello bridge-%d map[]", next))
	if !gone(pid) {
		t.Error("two bridges")
	}
	second.end(syscall.SIGTERM)
}

func TestBridgeEndsItselfWithoutAFront(t *testing.T) {
	dir := t.TempDir()
	noOrphan(t, dir)
	front := startFront(t, dir, "300ms", "c1=1")
	front.waitFor(t, "transport c1/a 1")
	pid := bridgeOf(t, dir, 0)
	time.Sleep(400 * time.Millisecond)
	if gone(pid) {
		t.Fatal("it ended with a front")
	}
	from := time.Now()
	front.end(syscall.SIGKILL)
	eventually(t, "the bridge ends", func() bool { return gone(pid) })
	if took := time.Since(from); took < 250*time.Millisecond {
		t.Errorf("after %v already", took)
	}
	if lock, err := tryLock(dir); err != nil {
		t.Error(err)
	} else {
		lock.Close()
	}
}

func TestBridgeThatDiesAtOnceIsNotStartedInALoop(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	var log lockedLines
	c := testChild(dir, "5m", "die")
	c.Log = slog.New(slog.NewTextHandler(&log, nil))
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	eventually(t, "an end is told", func() bool { return log.count("exit status 3") > 0 })
	time.Sleep(800 * time.Millisecond)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	// At 0, 0 and 100 ms; the next one would be a second later.
	if n := log.count("exit status 3"); n > 3 {
		t.Errorf("%d ends are told:\n%s", n, log.String())
	}
}

func TestWhyThereIsNoBridge(t *testing.T) {
	for role, want := range map[string]string{
		"refuse": "port 7 is taken by a hat",
		"die":    "it said nothing: exit status 3",
		"babble": "its report: invalid character 'I' looking for beginning of value",
	} {
		t.Run(role, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			c := testChild(t.TempDir(), "5m", role)
			told := 0
			c.News = func(setup json.RawMessage, err error) {
				if setup != nil || err == nil || err.Error() != want {
					t.Errorf("told %s %v", setup, err)
				}
				if told++; told == 2 {
					cancel()
				}
			}
			if err := c.Run(ctx); err != nil || told != 2 {
				t.Errorf("%v, told %d times", err, told)
			}
		})
	}
}

// A bridge that is being started does not outlive its front, although it has not taken its place yet.
func TestEndWhileABridgeStarts(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	from := time.Now()
	if err := testChild(t.TempDir(), "5m", "mute").quietly().Run(ctx); err != nil {
		t.Error(err)
	}
	if took := time.Since(from); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/children", unix.Gettid()))
	for _, pid := range strings.Fields(string(children)) {
		env, _ := os.ReadFile("/proc/" + pid + "/environ")
		if strings.Contains(string(env), roleKey+"=mute") {
			t.Errorf("process %s is left", pid)
		}
	}
}

func TestWhatABridgeAnnounces(t *testing.T) {
	dir := t.TempDir()
	noOrphan(t, dir)
	if Running(dir) != 0 {
		t.Error("a bridge before there is one")
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := testChild(dir, "5m", "bridge").quietly()
	up := make(chan string, 1)
	c.News = func(setup json.RawMessage, err error) { up <- fmt.Sprint(string(setup), err) }
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	want := fmt.Sprintf(`["%s","5m"]<nil>`, dir)
	if got := <-up; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
	pid := bridgeOf(t, dir, 0)
	if n := Running(dir); n != pid {
		t.Errorf("process %d runs, and %d says so", pid, n)
	}
	cancel()
	if err := <-done; err != nil || Running(dir) != 0 {
		t.Errorf("%v, %d runs", err, Running(dir))
	}
}

func TestProgramThatIsNotThere(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var log lockedLines
	c := &Child{Data: t.TempDir(), Path: "/nowhere/parley", Log: slog.New(slog.NewTextHandler(&log, nil))}
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	eventually(t, "it is told", func() bool { return log.count("no such file") > 0 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestOneBridgePerDataDirectory(t *testing.T) {
	dir := t.TempDir()
	h, err := Open(dir, "one")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, "two"); err == nil {
		t.Fatal("two bridges")
	}
	if nc, err := Dial(dir)(t.Context()); err == nil {
		nc.Close()
	} else {
		t.Errorf("the second one took the socket of the first: %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, socketFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket %v %v", info, err)
	}
	h.Close()
	long := filepath.Join(dir, strings.Repeat("long/", 30))
	if err := os.MkdirAll(long, 0o700); err != nil {
		t.Fatal(err)
	}
	h, err = Open(long, "three") // longer than a socket's address holds
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	nc, err := Dial(long)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}

func TestRecordOfAProcessThatIsGone(t *testing.T) {
	dir := t.TempDir()
	lock, err := tryLock(dir) // held by us, who are no bridge
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	// The number of a process that lives, but started at another time: nobody may be signalled.
	text := fmt.Sprintf(`{"pid": %d, "start": 12345, "bridge": "x"}`, os.Getpid())
	if err := os.WriteFile(filepath.Join(dir, recordFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := testChild(dir, "", "").quietly().endAny(); err == nil {
		t.Error("ended a process that is no bridge")
	}
}

// lockedLines is a log that goroutines write and tests read.
type lockedLines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lockedLines) count(s string) int { return strings.Count(l.String(), s) }
