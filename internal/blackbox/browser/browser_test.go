// Package browser runs Chromium against the binary: the page's calls of two and of several, its words, and the textbook sequences
// over its signaling channel (spec: the web page; V13 to V19). The scenarios are in internal/peertest/browser.
package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/internal/peertest"
)

const scenarios = "../../peertest/browser"

// server is a running Parley and, before it, a wire that can be cut.
type server struct {
	*peertest.Parley
	page string
	wire *wire
	fast func() // the bridge gets all its time again; nil: it does
}

func start(t *testing.T, listen ...string) *server {
	t.Helper()
	need(t)
	p := peertest.StartParley(t, peertest.ParleyOptions{Listen: listen})
	w := newWire(t, p.HTTP)
	return &server{Parley: p, page: "http://" + w.l.Addr().String(), wire: w}
}

// all is a server with the web page and the relay, but without a bridge.
func all(t *testing.T) *server {
	t.Helper()
	return start(t, "http://127.0.0.1:0", "turn://127.0.0.1:0")
}

// bridged is a server with all of it.
func bridged(t *testing.T) *server {
	t.Helper()
	return start(t, "http://127.0.0.1:0", "turn://127.0.0.1:0", "media://127.0.0.1:0")
}

// need skips where PARLEY_PEERS does not want browsers, as their tests take minutes, and fails where it does but the
// browser or what drives it is missing.
func need(t *testing.T) {
	t.Helper()
	if !peertest.Required("chromium") {
		t.Skip("PARLEY_PEERS does not name chromium")
	}
	peertest.Need(t, "node")
	peertest.Need(t, "chromium")
	for _, module := range []string{"playwright-core", "converse.js", "strophe.js"} {
		if _, err := os.Stat(filepath.Join(scenarios, "node_modules", module)); err != nil {
			t.Fatal(module + " is missing: npm ci in internal/peertest/browser")
		}
	}
}

// run runs a scenario and returns the figures that it gives. A scenario may ask for a deed.
func (s *server) run(t *testing.T, file, scenario string, args ...string) map[string]any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/usr/bin/node", append([]string{"run.mjs", "./" + file + ".mjs", scenario}, args...)...)
	cmd.Dir = scenarios
	cmd.Env = append(os.Environ(), "PARLEY_PAGE="+s.page)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	cmd.WaitDelay = 5 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var last string
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		last = lines.Text()
		if word, ok := strings.CutPrefix(last, "?"); ok {
			s.do(t, word)
			fmt.Fprintln(in, "done")
		}
	}
	cmd.Wait()
	var result map[string]any
	if err := json.Unmarshal([]byte(last), &result); err != nil {
		t.Fatalf("%s %s: no result: %v\n%s\n%s", file, scenario, err, last, errs.String())
	}
	if result["ok"] != true {
		t.Fatalf("%s %s: %v\n%s", file, scenario, result["error"], errs.String())
	}
	delete(result, "ok")
	if len(result) > 0 {
		t.Logf("%v", result)
	}
	return result
}

func (s *server) do(t *testing.T, word string) {
	switch word {
	case "drop":
		s.wire.cut()
	case "kill":
		s.Kill()
	case "start":
		s.Start()
	case "bridge":
		s.KillBridge()
	case "slow":
		s.slow(t)
	case "fast":
		s.fast()
	default:
		t.Errorf("the scenario asks for %q", word)
	}
}

// slow leaves the bridge a quarter of the time, until fast is called or the test has ended.
func (s *server) slow(t *testing.T) {
	p, err := os.FindProcess(s.Bridge())
	if err != nil {
		t.Error(err)
		return
	}
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			p.Signal(syscall.SIGSTOP)
			time.Sleep(150 * time.Millisecond)
			p.Signal(syscall.SIGCONT)
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ended:
				return
			}
		}
	}()
	s.fast = sync.OnceFunc(func() { close(ended); <-done })
	t.Cleanup(s.fast)
}

// wire forwards TCP connections, until it is cut: then all of them end as they do when a network goes away.
type wire struct {
	l    net.Listener
	to   string
	mu   sync.Mutex // guards open
	open map[*net.TCPConn]struct{}
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{l: l, to: to, open: make(map[*net.TCPConn]struct{})}
	t.Cleanup(func() {
		l.Close()
		w.cut()
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.forward(c.(*net.TCPConn))
		}
	}()
	return w
}

func (w *wire) forward(a *net.TCPConn) {
	defer a.Close()
	c, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	b := c.(*net.TCPConn)
	defer b.Close()
	w.mu.Lock()
	w.open[a], w.open[b] = struct{}{}, struct{}{}
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.open, a)
		delete(w.open, b)
		w.mu.Unlock()
	}()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]*net.TCPConn{{a, b}, {b, a}} {
		go func() {
			io.Copy(pair[0], pair[1])
			pair[0].CloseWrite()
			done <- struct{}{}
		}()
	}
	<-done
	<-done
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.open {
		c.SetLinger(0) // a reset, no farewell
		c.Close()
	}
}

func TestTwoPeopleSeeAndHearEachOther(t *testing.T) {
	s := bridged(t)
	s.run(t, "call", "direct")
	t.Run("V12 through the relay over UDP", func(t *testing.T) { s.run(t, "call", "relay", "udp") })
	t.Run("V12 V17 through the relay over TCP", func(t *testing.T) { s.run(t, "call", "relay", "tcp") })
}

func TestCall(t *testing.T) {
	s := bridged(t)
	for _, c := range []struct{ what, scenario string }{
		{"muting, camera off and the screen are seen by the other", "switches"},
		{"one leaves and the other sees it", "leaving"},
		{"V16 the initiator restarts ICE", "mended"},
		{"the network drops: the call goes on and the session is resumed", "dropped"},
		{"the server is killed: the call goes on and is set up again", "restarted"},
	} {
		t.Run(c.what, func(t *testing.T) { s.run(t, "call", c.scenario) })
	}
}

// shown is the folder for pictures of a scenario, if PARLEY_SHOW names one.
func shown() (args []string) {
	if dir := os.Getenv("PARLEY_SHOW"); dir != "" {
		args = append(args, dir)
	}
	return args
}

// TestRoom: several people in a room, whose media the bridge forwards (V5, V19).
func TestRoom(t *testing.T) {
	s := bridged(t)
	for _, c := range []struct {
		what, scenario string
		args           []string
	}{
		{"V5 four see and hear one another, and leave until two talk directly", "four", nil},
		{"V19 a third one joins two who talk directly", "joined", nil},
		{"a small tile gets a small picture, VP8", "sizes", []string{"vp8"}},
		{"a small tile gets a small picture, VP9", "sizes", []string{"vp9"}},
		{"a shared screen is a tile of its own", "screen", nil},
		{"who speaks is marked and in view", "speaker", nil},
		{"one large by click and key, and words for what comes", "stage", nil},
		{"without camera, without any device", "poor", nil},
		{"the path to the bridge is mended, and the session begun anew", "again", nil},
		{"whose media suffer, and where, is in the panel", "trouble", shown()},
		{"a bridge that is too slow says so", "busy", shown()},
		{"the bridge is killed: nobody leaves, and the pictures come again", "bridgeless", nil},
	} {
		t.Run(c.what, func(t *testing.T) { s.run(t, "room", c.scenario, c.args...) })
	}
	t.Run("without a bridge a third one is told that the call is full, and may chat", func(t *testing.T) {
		all(t).run(t, "call", "third")
	})
}

func TestTextbookSequences(t *testing.T) {
	s := all(t)
	for _, c := range []struct{ what, scenario string }{
		{"V13 V15 offer, answer and candidates", "sequence"},
		{"V14 the answer is sent late", "delayed"},
		{"V14 candidates overtake the answer", "overtaken"},
		{"V15 without trickle", "whole"},
		{"V19 glare", "glare"},
		{"V19 late join", "late"},
		{"V19 re-offer with a new track", "reoffer"},
		{"V18 time to connect with and without trickle, in ms", "trickles"}, // a figure for the log, not a verdict
	} {
		t.Run(c.what, func(t *testing.T) { s.run(t, "textbook", c.scenario) })
	}
}

func TestWords(t *testing.T) {
	s := all(t)
	for _, c := range []struct{ what, scenario string }{
		{"the server cannot be reached", "unreachable"},
		{"the login is refused", "login"},
		{"the room asks for a password", "password"},
		{"the room is for members only", "members"},
		{"thrown out, by whom and why", "thrown"},
		{"camera and microphone are not allowed", "deaf"},
		{"HW4 HM10 what others write is text", "text"},
		{"keyboard", "keyboard"},
		{"phone", "phone"},
	} {
		t.Run(c.what, func(t *testing.T) { s.run(t, "words", c.scenario) })
	}
	t.Run("no path is found", func(t *testing.T) {
		start(t, "http://127.0.0.1:0").run(t, "words", "nowhere")
	})
}

// TestBOSH runs strophe.js, the library of the Jitsi client and of converse.js, over /http-bind.
func TestBOSH(t *testing.T) {
	s := start(t, "http://127.0.0.1:0")
	s.AddUser("ann", "secret")
	t.Run("guests in a room", func(t *testing.T) { s.run(t, "bosh", "guests") })
	t.Run("an account", func(t *testing.T) { s.run(t, "bosh", "account") })
}

// forTwo starts a server on which Ann and Bob have accounts, and returns where a page of another web server finds it.
func forTwo(t *testing.T) (s *server, at string) {
	t.Helper()
	s = start(t, "http://127.0.0.1:0")
	for _, user := range []string{"ann", "bob"} {
		s.AddUser(user, user+"-password")
	}
	_, port, err := net.SplitHostPort(s.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	return s, net.JoinHostPort(s.Domain, port)
}

// TestStrophe has two people with an application of strophe.js and its plugins become contacts, talk and share a file, from a web server that is not
// ours; one of them finds the contact and what was said on another machine.
func TestStrophe(t *testing.T) {
	s, at := forTwo(t)
	s.run(t, "strophe", "together", at)
}

// TestConverse has two people with converse.js find each other, talk, share a file, meet in a room, and find again what was said while one was
// away; one over WebSocket, one over BOSH, both from a web server that is not ours.
func TestConverse(t *testing.T) {
	s, at := forTwo(t)
	s.run(t, "converse", "together", "websocket", "bosh", at)
}

// TestPictures takes the pictures of the manual, when PARLEY_PICTURES names the folder for them.
func TestPictures(t *testing.T) {
	dir := os.Getenv("PARLEY_PICTURES")
	if dir == "" {
		t.Skip("PARLEY_PICTURES names no folder")
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join("../../..", dir) // of the repository
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := bridged(t)
	s.run(t, "pictures", "manual", dir)
	s.run(t, "pictures", "several", dir)
}
