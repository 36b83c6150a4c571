package resume

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/peertest"
)

// What the parent tells the child in its environment.
const (
	envJournal = "PARLEY_TEST_RESUME_JOURNAL" // file; that it is set makes the process a child
	envAddress = "PARLEY_TEST_RESUME_ADDRESS" // of the server
	envDoor    = "PARLEY_TEST_RESUME_DOOR"    // starttls or websocket
	envPeer    = "PARLEY_TEST_RESUME_PEER"    // full address of who it talks to
)

// Both sides send so many messages, and are never more than window ahead of what they have received: so each time that
// the child is killed there is something under way, and something left.
const (
	messages = 1000
	window   = 20
)

// journal is what a child remembers beyond its death, one line for each thing that happened:
//
//	session ID JID    the session that can be resumed
//	sent N            message N is about to be sent
//	got ID            a stanza has come; from now on it counts
//	resumed           the server has taken the session up again
//	done              everything is sent, acknowledged and received
//
// A line that was being written when the child was killed did not happen. Nothing is synchronised to the disk: what a
// process has written survives it.
type journal struct {
	file     *os.File
	id, jid  string
	sent     int
	got      []string
	resumed  int
	finished bool
}

// readJournal reads a journal, which may be absent.
func readJournal(path string) (*journal, error) {
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	j := new(journal)
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	for line := range strings.Lines(string(text)) {
		word, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch word {
		case "session":
			j.id, j.jid, _ = strings.Cut(rest, " ")
		case "sent":
			if rest != fmt.Sprint(j.sent) {
				return nil, fmt.Errorf("%s: %s after %d messages", path, line, j.sent)
			}
			j.sent++
		case "got":
			j.got = append(j.got, rest)
		case "resumed":
			j.resumed++
		case "done":
			j.finished = true
		default:
			return nil, fmt.Errorf("%s: %q", path, line)
		}
	}
	return j, nil
}

// openJournal reads a journal to go on with it.
func openJournal(path string) (*journal, error) {
	j, err := readJournal(path)
	if err != nil {
		return nil, err
	}
	if j.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, err
	}
	// Cut off the line that did not happen.
	whole := int64(0)
	if text, err := os.ReadFile(path); err != nil {
		return nil, err
	} else {
		whole = int64(bytes.LastIndexByte(text, '\n') + 1)
	}
	if err := j.file.Truncate(whole); err != nil {
		return nil, err
	}
	_, err = j.file.Seek(whole, 0)
	return j, err
}

func (j *journal) write(t testing.TB, format string, args ...any) {
	if _, err := fmt.Fprintf(j.file, format+"\n", args...); err != nil {
		t.Fatal(err)
	}
}

// child is the life of a child from its start, or from where it was killed, to its end.
func child(t testing.TB) {
	j, err := openJournal(os.Getenv(envJournal))
	if err != nil {
		t.Fatal(err)
	}
	if j.finished {
		return
	}
	c := &talker{T: t, journal: j, peer: os.Getenv(envPeer)}
	c.cond = sync.NewCond(&c.mu)
	if j.id == "" {
		c.Mobile = peertest.NewMobile("ann", "ann-password", dialDoor(t))
		j.id, j.jid = c.ID, c.JID
		j.write(t, "session %s %s", c.ID, c.JID)
	} else {
		c.Mobile = &peertest.Mobile{User: "ann", Password: "ann-password", Redial: dialDoor(t), ID: j.id, H: len(j.got), Got: j.got}
		c.Client = &peertest.Client{T: t, JID: j.jid}
		for n := range j.sent {
			c.Unacked = append(c.Unacked, c.message(n))
		}
		c.Move(false) // sends again what the server's h does not cover
		j.write(t, "resumed")
	}
	fmt.Println("up")
	c.talk()
	// What it has not acknowledged goes back to its sender when it says goodbye.
	c.Send(fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", c.H))
	j.write(t, "done")
	c.Send(map[bool]string{false: "</stream:stream>", true: "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"}[c.WS])
}

// dialDoor connects as the child was told.
func dialDoor(t testing.TB) func() *peertest.Client {
	return func() *peertest.Client {
		if os.Getenv(envDoor) == "websocket" {
			return peertest.DialWS(t, os.Getenv(envAddress), "localhost", "/xmpp-websocket")
		}
		p := peertest.Dial(t, os.Getenv(envAddress), "localhost")
		p.StartTLS(tls.VersionTLS13)
		return p
	}
}

// talker is a child with its connection.
type talker struct {
	*peertest.Mobile
	T       testing.TB
	journal *journal
	peer    string

	mu   sync.Mutex // guards the Mobile but its reading, and the journal
	cond *sync.Cond // something has come
}

func (c *talker) message(n int) string {
	return fmt.Sprintf("<message xmlns='jabber:client' to='%s' type='chat' id='c%d'><body>%d</body></message>", c.peer, n, n)
}

// talk sends and receives until all is done.
func (c *talker) talk() {
	go c.say()
	for {
		e := c.ReadWithin(time.Minute)
		c.mu.Lock()
		if e == "" || strings.Contains(e, "stream:error") {
			c.T.Fatalf("the stream ended: %q", e)
		}
		before := c.H
		c.Take(e)
		if c.H > before { // before anything acknowledges it
			if !strings.HasPrefix(e, "<message") || strings.Contains(e, "type='error'") {
				c.T.Fatalf("got %s", e)
			}
			c.journal.write(c.T, "got %s", c.Got[len(c.Got)-1])
		}
		if len(c.Got) == messages && c.journal.sent == messages {
			if len(c.Unacked) == 0 {
				c.mu.Unlock()
				return
			}
			if c.H > before {
				c.Ask()
			}
		}
		c.cond.Broadcast()
		c.mu.Unlock()
	}
}

// say sends what may be sent.
func (c *talker) say() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.journal.sent < messages {
		for c.journal.sent >= len(c.Got)+window {
			c.cond.Wait()
		}
		n := c.journal.sent
		c.journal.write(c.T, "sent %d", n)
		c.journal.sent++
		c.Say(c.message(n))
		if n%5 == 0 || n == messages-1 {
			c.Ask()
		}
	}
	c.Ask()
}
