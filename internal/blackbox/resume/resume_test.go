// Package resume has a client that is killed by SIGKILL again and again, and that goes on with its session from what it
// has written down (XEP-0198), while a peer and it talk to each other: nothing is lost, and nothing is there twice.
package resume

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/internal/peertest"
)

func TestMain(m *testing.M) {
	if os.Getenv(envJournal) == "" {
		os.Exit(m.Run())
	}
	peertest.Main(m, func(t testing.TB) {
		child(t)
		os.Exit(0)
	})
}

func TestHC9AKilledClientComesBack(t *testing.T) {
	for _, door := range []string{"starttls", "websocket"} {
		for _, halfOpen := range []bool{false, true} {
			name := door
			if halfOpen {
				name += ", half-open"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				killed(t, door, halfOpen)
			})
		}
	}
}

// killed runs one talk. Where it is half-open, the server does not hear of the death of its client, and what the dead
// one has sent arrives when its successor has taken over.
func killed(t *testing.T, door string, halfOpen bool) {
	server := peertest.StartParley(t, peertest.ParleyOptions{Args: []string{"--limits=off"}})
	server.AddUser("ann", "ann-password")
	server.AddUser("bob", "bob-password")
	to := server.XMPP
	if door == "websocket" {
		to = server.HTTP
	}
	way := newPipe(t, to)
	peer := peertest.Dial(t, server.XMPP, "localhost")
	peer.Login("bob", "bob-password")
	peer.Bind("")
	k := &keeper{
		t: t, way: way, halfOpen: halfOpen, journal: filepath.Join(t.TempDir(), "journal"), due: make(chan chan struct{}), up: make(chan string, 1),
		over: make(chan struct{}),
	}
	k.env = append(os.Environ(), envJournal+"="+k.journal, envAddress+"="+way.address(), envDoor+"="+door, envPeer+"="+peer.JID)
	go k.run()
	t.Cleanup(k.end)

	var jid string
	select {
	case jid = <-k.up:
	case <-k.over:
		t.FailNow()
	}
	var got []string
	sent, next := 0, 1+rand.IntN(60) // how many there are when the child is killed next
	for len(got) < messages {
		for sent < messages && sent < len(got)+window {
			peer.Send(fmt.Sprintf("<message to='%s' type='chat' id='p%d'><body>%d</body></message>", jid, sent, sent))
			sent++
		}
		e := peer.ReadWithin(2 * time.Minute)
		if !strings.HasPrefix(e, "<message") || strings.Contains(e, "type='error'") {
			t.Fatalf("after %d messages and %d deaths the peer got %q", len(got), k.deaths(), e)
		}
		id := peertest.Attr(e, "id")
		if id != fmt.Sprint("c", len(got)) {
			t.Fatalf("after %d deaths message %d is %s", k.deaths(), len(got), id)
		}
		got = append(got, id)
		if len(got) == next {
			next += 1 + rand.IntN(60)
			k.kill()
		}
	}
	k.spare()
	select {
	case <-k.over:
	case <-time.After(2 * time.Minute):
		t.Fatal("the child does not end")
	}
	j, err := readJournal(k.journal)
	if err != nil {
		t.Fatal(err)
	}
	if !j.finished || j.sent != messages || len(j.got) != messages {
		t.Fatalf("the child has sent %d and got %d messages, finished: %v", j.sent, len(j.got), j.finished)
	}
	for n, id := range j.got {
		if id != fmt.Sprint("p", n) {
			t.Fatalf("message %d of the child is %s", n, id)
		}
	}
	// Nothing more is under way to the peer.
	peer.Send("<iq type='get' to='localhost' id='end'><ping xmlns='urn:xmpp:ping'/></iq>")
	peer.Expect("id='end'", "type='result'")
	if n := k.deaths(); n < 10 || j.resumed < 5 {
		t.Errorf("%d deaths and %d resumptions prove little", n, j.resumed)
	}
	if n := server.Metric("parley_reject_total", `event="sm.reject"`); n != 0 {
		t.Errorf("%v resumptions were refused", n)
	}
	t.Logf("%d deaths, %d resumptions", k.deaths(), j.resumed)
}

// keeper keeps a child running and kills it: when it is due, and now and then soon after it has been born, while it logs
// in or resumes.
type keeper struct {
	t        testing.TB
	way      *pipe
	halfOpen bool
	journal  string
	env      []string
	due      chan chan struct{} // kill the child, and close this when it is dead
	up       chan string        // the first child's address
	over     chan struct{}      // the last child has ended, well or not

	mu     sync.Mutex // guards what follows
	killed int
	spared bool // no more killing
	ended  bool // the test is over
	now    *exec.Cmd
}

func (k *keeper) deaths() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.killed
}

// kill kills the child there is, or the next. It returns when it is dead, or has nothing more to do.
func (k *keeper) kill() {
	dead := make(chan struct{})
	select {
	case k.due <- dead:
		<-dead
	case <-k.over:
	}
}

func (k *keeper) spare() {
	k.mu.Lock()
	k.spared = true
	k.mu.Unlock()
}

// end ends the child with the test.
func (k *keeper) end() {
	k.mu.Lock()
	k.spared, k.ended = true, true
	if k.now != nil {
		k.now.Process.Kill()
	}
	k.mu.Unlock()
	<-k.over
}

// run is one child after the other.
func (k *keeper) run() {
	defer close(k.over)
	runtime.LockOSThread() // the death signal comes when the thread ends that started the process
	for lives := 0; ; lives++ {
		var soon <-chan time.Time
		if lives > 0 && rand.IntN(3) == 0 {
			soon = time.After(time.Duration(rand.IntN(150)) * time.Millisecond)
		}
		if again := k.live(soon); !again {
			return
		}
	}
}

// live is one life. It reports that the child was killed and needs a successor.
func (k *keeper) live(soon <-chan time.Time) (again bool) {
	var words output
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr, cmd.Stdout = k.env, &words, &words
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	words.up = make(chan struct{})
	k.mu.Lock()
	if k.ended {
		k.mu.Unlock()
		return false
	}
	err := cmd.Start()
	k.now = cmd
	k.mu.Unlock()
	if err != nil {
		k.t.Error(err)
		return false
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	up := words.up
	for {
		select {
		case <-up:
			up = nil
			k.way.thaw() // what the dead have sent arrives late
			if j, err := readJournal(k.journal); err != nil {
				k.t.Error(err)
			} else {
				select {
				case k.up <- j.jid:
				default:
				}
			}
			continue
		case err := <-exited:
			if err != nil {
				k.mu.Lock()
				ended := k.ended
				k.mu.Unlock()
				if !ended {
					k.t.Errorf("the child ends with %v: %s", err, words.text())
				}
			}
			return false
		case dead := <-k.due:
			defer close(dead)
		case <-soon:
			soon = nil
		}
		k.mu.Lock()
		spared := k.spared
		if !spared {
			k.killed++
		}
		k.mu.Unlock()
		if spared {
			continue
		}
		if k.halfOpen {
			// A request to resume that comes too late would take the session away from a successor: of who is not up nothing
			// comes any more.
			k.way.freeze(up == nil)
		}
		cmd.Process.Kill()
		<-exited
		return true
	}
}

// output is what a child says.
type output struct {
	up chan struct{} // closed when it says that it is up

	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	was := bytes.Contains(o.b.Bytes(), []byte("up\n"))
	o.b.Write(p)
	if !was && bytes.Contains(o.b.Bytes(), []byte("up\n")) {
		close(o.up)
	}
	return len(p), nil
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
