package kill

import (
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/peertest"
)

// home is a server that is killed and started again. Who loses it waits until it is back.
type home struct {
	*world
	mu   sync.Mutex // guards back
	back chan struct{}
}

func newHome(t *testing.T, o peertest.ParleyOptions) *home {
	back := make(chan struct{})
	close(back)
	return &home{world: &world{T: t, server: peertest.StartParley(t, o)}, back: back}
}

// kill kills the server and starts it again.
func (l *home) kill() {
	l.T.Helper()
	back := make(chan struct{})
	l.mu.Lock()
	l.back = back
	l.mu.Unlock()
	l.server.Kill()
	l.server.Start()
	close(back)
}

func (l *home) wait() {
	l.mu.Lock()
	back := l.back
	l.mu.Unlock()
	<-back
}

// dweller is a client that comes back to its session (XEP-0198) whenever its connection ends. It belongs to one goroutine.
type dweller struct {
	t       testing.TB
	at      *home
	door    door
	name    string // of the user; "guest" is none
	c       *peertest.Client
	jid, id string
	h       uint32 // stanzas that came
	acked   uint32 // stanzas that the server has handled
	unacked []string
	resumed int
	on      func(e string) // takes a stanza
	state   func() string  // for a test that fails; may be nil
}

func newDweller(t testing.TB, at *home, d door, name string) *dweller {
	t.Helper()
	v := &dweller{t: t, at: at, door: d, name: name}
	v.c = at.login(t, d, name, "")
	v.jid = v.c.JID
	v.c.Send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	v.id = peertest.Attr(v.c.Expect("<enabled", "resume='true'"), "id")
	return v
}

// write writes an element. That the connection is dead is found out by reading.
func (v *dweller) write(e string) {
	if v.c.WS {
		e = string(peertest.Frame(0x81, []byte(e)))
	}
	v.c.Conn.SetWriteDeadline(time.Now().Add(peertest.Patience))
	io.WriteString(v.c.Conn, e)
}

// send sends a stanza, again after each death of the server until it is counted.
func (v *dweller) send(e string) {
	v.unacked = append(v.unacked, e)
	v.write(e)
}

// ask asks what the server has counted.
func (v *dweller) ask() { v.write("<r xmlns='urn:xmpp:sm:3'/>") }

// count takes the server's h, which is not less than before nor more than was sent.
func (v *dweller) count(text string) {
	v.t.Helper()
	h, err := strconv.ParseUint(text, 10, 32)
	n := uint32(h) - v.acked
	if err != nil || uint64(n) > uint64(len(v.unacked)) {
		v.t.Errorf("%s: the server counts %q of %d and %d", v.jid, text, v.acked, len(v.unacked))
		return
	}
	v.unacked, v.acked = v.unacked[n:], uint32(h)
}

// next takes one element.
func (v *dweller) next() {
	v.t.Helper()
	switch e := v.c.ReadWithin(45 * time.Second); { // a client that was asked something before the kill has 32 s to answer
	case e == "" || strings.Contains(e, "</stream:stream>"):
		v.comeBack()
	case strings.HasPrefix(e, "<r "):
		v.write("<a xmlns='urn:xmpp:sm:3' h='" + strconv.FormatUint(uint64(v.h), 10) + "'/>")
	case strings.HasPrefix(e, "<a "):
		v.count(peertest.Attr(e, "h"))
	case strings.HasPrefix(e, "<message"), strings.HasPrefix(e, "<iq"), strings.HasPrefix(e, "<presence"):
		v.h++
		v.on(e)
	default:
		v.t.Errorf("%s: got %s", v.jid, e)
	}
}

// until takes what comes until something is so.
func (v *dweller) until(what string, is func() bool) {
	v.t.Helper()
	defer func() {
		if !is() && v.state != nil {
			v.t.Logf("%s: not %s: %s; it came back %d times, and has not heard of %q", v.jid, what, v.state(), v.resumed, v.unacked)
		}
	}()
	for until := time.Now().Add(2 * time.Minute); !is() && !v.t.Failed(); v.next() {
		if time.Now().After(until) {
			v.t.Errorf("%s: not %s", v.jid, what)
		}
	}
}

// comeBack goes on with the session over a new connection, as soon as there is a server, which may be killed again
// meanwhile.
func (v *dweller) comeBack() {
	v.t.Helper()
	v.c.Conn.Close()
	var answer string
	for tries := 0; answer == ""; tries++ {
		if tries == 10 {
			v.t.Fatalf("%s cannot come back", v.jid)
		}
		v.at.wait()
		answer = v.resume()
	}
	if !strings.HasPrefix(answer, "<resumed ") || peertest.Attr(answer, "previd") != v.id {
		v.t.Fatalf("%s: %s", v.jid, answer)
	}
	v.count(peertest.Attr(answer, "h"))
	v.resumed++
	for _, e := range v.unacked {
		v.write(e)
	}
	v.ask()
}

// resume asks for the session; "" is a connection that ended.
func (v *dweller) resume() (answer string) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case ending:
			answer = ""
		default:
			panic(e)
		}
	}()
	v.c = v.at.connect(mortal{v.t}, v.door)
	v.c.JID = v.jid
	name := v.name
	if name == "guest" {
		name = ""
	}
	v.c.Login(name, name)
	v.write("<resume xmlns='urn:xmpp:sm:3' h='" + strconv.FormatUint(uint64(v.h), 10) + "' previd='" + v.id + "'/>")
	answer = v.c.Read()
	v.c.T = v.t
	return answer
}
