package resume

import (
	"crypto/tls"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/peertest"
)

// place is a server that is killed and started again. Who loses it waits until it is back.
type place struct {
	*peertest.Parley
	mu   sync.Mutex // guards back
	back chan struct{}
}

func newPlace(p *peertest.Parley) *place {
	l := &place{Parley: p, back: make(chan struct{})}
	close(l.back)
	return l
}

// leave says that the server is about to be killed.
func (l *place) leave() {
	l.mu.Lock()
	l.back = make(chan struct{})
	l.mu.Unlock()
}

func (l *place) wait() {
	l.mu.Lock()
	back := l.back
	l.mu.Unlock()
	<-back
}

// dial opens a connection through a door.
func (l *place) dial(t testing.TB, door string) *peertest.Client {
	t.Helper()
	if door == "websocket" {
		return peertest.DialWS(t, l.HTTP, "localhost", "/xmpp-websocket")
	}
	c := peertest.Dial(t, l.XMPP, "localhost")
	c.StartTLS(tls.VersionTLS13)
	return c
}

// traveller is a client that comes back to its session whenever the connection ends, and that talks to a peer: it sends
// numbered messages, and wants the peer's numbered messages in order, each once.
type traveller struct {
	t          testing.TB
	at         *place
	door, user string // user "" is a guest
	c          *peertest.Client
	jid, id    string
	h          uint32 // stanzas that came
	acked      uint32 // stanzas that the server has handled
	unacked    []string
	sent, got  int
	resumed    int
	repeats    int // stanzas that were sent again
}

func newTraveller(t testing.TB, at *place, door, user string) *traveller {
	t.Helper()
	v := &traveller{t: t, at: at, door: door, user: user}
	v.c = at.dial(t, door)
	v.c.Login(user, user)
	v.jid = v.c.Bind("").JID
	v.c.Send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	v.id = peertest.Attr(v.c.Expect("<enabled", "resume='true'"), "id")
	return v
}

// send writes an element. That the connection is dead is found out by reading.
func (v *traveller) send(e string) {
	if v.c.WS {
		e = string(peertest.Frame(0x81, []byte(e)))
	}
	v.c.Conn.SetWriteDeadline(time.Now().Add(peertest.Patience))
	io.WriteString(v.c.Conn, e)
}

// stanza sends what is sent again unless the server counts it.
func (v *traveller) stanza(e string) {
	v.unacked = append(v.unacked, e)
	v.send(e)
}

const askR = "<r xmlns='urn:xmpp:sm:3'/>"

// say sends the next message.
func (v *traveller) say(to string) {
	n := strconv.Itoa(v.sent)
	v.stanza("<message xmlns='jabber:client' to='" + to + "' type='chat' id='n" + n + "'><body>" + n + "</body></message>")
	if v.sent++; v.sent%8 == 0 {
		v.send(askR)
	}
}

// count takes the server's h, which must not be less than before nor more than was sent.
func (v *traveller) count(text string) {
	v.t.Helper()
	h, err := strconv.ParseUint(text, 10, 32)
	n := uint32(h) - v.acked
	if err != nil || uint64(n) > uint64(len(v.unacked)) {
		v.t.Errorf("%s: the server counts %q of %d and %d", v.jid, text, v.acked, len(v.unacked))
		return
	}
	v.unacked, v.acked = v.unacked[n:], uint32(h)
}

// take handles one element.
func (v *traveller) take(e string) {
	v.t.Helper()
	switch {
	case strings.HasPrefix(e, "<r "):
		v.send("<a xmlns='urn:xmpp:sm:3' h='" + strconv.FormatUint(uint64(v.h), 10) + "'/>")
	case strings.HasPrefix(e, "<a "):
		v.count(peertest.Attr(e, "h"))
	case strings.HasPrefix(e, "<message"):
		v.h++
		if id := peertest.Attr(e, "id"); id != "n"+strconv.Itoa(v.got) || strings.Contains(e, "type='error'") {
			v.t.Errorf("%s: message %d is %s", v.jid, v.got, e)
		}
		v.got++
	case strings.HasPrefix(e, "<iq"), strings.HasPrefix(e, "<presence"):
		v.h++
	default:
		v.t.Errorf("%s: got %s", v.jid, e)
	}
}

// comeBack goes on with the session over a new connection, as soon as there is a server.
func (v *traveller) comeBack() {
	v.t.Helper()
	v.c.Conn.Close()
	v.at.wait()
	answer := v.ask()
	if !strings.HasPrefix(answer, "<resumed ") || peertest.Attr(answer, "previd") != v.id {
		v.t.Fatalf("%s: %s", v.jid, answer)
	}
	v.count(peertest.Attr(answer, "h"))
	v.resumed++
	v.repeats += len(v.unacked)
	for _, e := range v.unacked {
		v.send(e)
	}
	v.send(askR)
}

// ask logs in and returns the answer to the wish to resume.
func (v *traveller) ask() string {
	v.t.Helper()
	v.c = v.at.dial(v.t, v.door)
	v.c.JID = v.jid
	v.c.Login(v.user, v.user)
	v.send("<resume xmlns='urn:xmpp:sm:3' h='" + strconv.FormatUint(uint64(v.h), 10) + "' previd='" + v.id + "'/>")
	return v.c.Read()
}

// settle sees to it that the client is there: one that had nothing more to say may not have noticed a kill, and the next one
// would hit it while it logs in.
func (v *traveller) settle() {
	v.t.Helper()
	id := "here" + strconv.Itoa(v.resumed) + "-" + strconv.Itoa(v.got)
	v.stanza("<iq xmlns='jabber:client' type='get' id='" + id + "' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
	for !v.t.Failed() {
		e := v.c.Read()
		if e == "" || strings.Contains(e, "</stream:stream>") {
			v.comeBack()
			continue
		}
		v.take(e)
		if strings.HasPrefix(e, "<iq") && strings.Contains(e, "id='"+id+"'") {
			return
		}
	}
}

// talk goes on until so many messages are sent and counted, and so many have come.
func (v *traveller) talk(to string, sent, got int) {
	v.t.Helper()
	for !v.t.Failed() {
		for v.sent < sent && len(v.unacked) < window {
			if v.say(to); v.sent == sent || len(v.unacked) == window {
				v.send(askR)
			}
		}
		if len(v.unacked) == 0 && v.got >= got {
			return
		}
		e := v.c.Read()
		switch {
		case e == "" || strings.Contains(e, "</stream:stream>"):
			v.comeBack()
		default:
			v.take(e)
		}
	}
}
