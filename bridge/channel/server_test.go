package channel

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestHelloThenState(t *testing.T) {
	b := newBridge(t, nil)
	e := newEndpoint(SenderSourceConstraints{"a-v0", 360}, ForwardedSources{[]string{"b-v0"}},
		AudioSourcesMap{[]Mapping{{Source: "b-a0", Owner: "b", SSRC: 1}}})
	ticket := b.Open("c1", "a", e)
	for range 3 { // the secret holds for every reconnect
		c := b.greeted(t, ticket)
		for _, m := range e.state {
			c.expect(m)
		}
		e.send(ConnectionStats{EstimatedDownlinkBandwidth: 1000})
		c.expect(ConnectionStats{EstimatedDownlinkBandwidth: 1000})
		c.send(`{"colibriClass":"ClientHello"}`)
		c.expect(ServerHello{Version: "test"})
		c.send(`{"colibriClass":"LastNChangedEvent","lastN":5}`)
		e.expect(t, LastNChangedEvent{5})
		c.ws.Close(websocket.StatusNormalClosure, "")
	}
}

func TestSecondSocketReplacesTheFirst(t *testing.T) {
	b := newBridge(t, nil)
	e := newEndpoint(ForwardedSources{[]string{"b-v0"}})
	ticket := b.Open("c1", "a", e)
	first := b.greeted(t, ticket)
	second := b.greeted(t, ticket)
	first.expectClose(CloseReplaced, "replaced")
	second.expect(e.state[0])
	e.send(ConnectionStats{EstimatedDownlinkBandwidth: 1})
	second.expect(ConnectionStats{EstimatedDownlinkBandwidth: 1})
	second.send(`{"colibriClass":"LastNChangedEvent","lastN":5}`)
	e.expect(t, LastNChangedEvent{5})
}

func TestExpiredEndpointIsClosed(t *testing.T) {
	b := newBridge(t, nil)
	ticket := b.Open("c1", "a", newEndpoint())
	c := b.greeted(t, ticket)
	other := b.Open("c1", "b", newEndpoint())
	stays := b.greeted(t, other)
	ticket.Expire()
	c.expectClose(CloseExpired, "expired")

	// Another endpoint under the same name has another secret.
	again := b.Open("c1", "a", newEndpoint())
	if again.Path() == ticket.Path() {
		t.Fatal("the secret is the same")
	}
	ticket.Expire() // changes nothing for the new one
	c = b.greeted(t, again)
	b.Open("c1", "a", newEndpoint())
	c.expectClose(CloseExpired, "expired")
	stays.send(`{"colibriClass":"ClientHello"}`)
	stays.expect(ServerHello{Version: "test"})
}

func TestHB7WithoutTheSecret(t *testing.T) {
	b := newBridge(t, nil)
	e := newEndpoint()
	ticket := b.Open("c1", "a", e)
	pwd := ticket.Path()[strings.Index(ticket.Path(), "?"):]
	other := b.Open("c1", "b", newEndpoint()).Path()
	foreign := b.Open("c2", "a", newEndpoint()).Path()
	left := b.Open("c1", "gone", newEndpoint())
	left.Expire()
	query := func(path string) string { return path[strings.Index(path, "?"):] }

	c := b.greeted(t, ticket) // is not to notice anything
	refused := []struct{ name, path string }{
		{"none", "/colibri-ws/n1/c1/a"},
		{"empty", "/colibri-ws/n1/c1/a?pwd="},
		{"cut", ticket.Path()[:len(ticket.Path())-1]},
		{"longer", ticket.Path() + "x"},
		{"in the other case", "/colibri-ws/n1/c1/a" + strings.ToLower(pwd)},
		{"twice", ticket.Path() + "&pwd=x"},
		{"twice the same", ticket.Path() + "&" + pwd[1:]},
		{"in a query that is none", ticket.Path() + ";x=%zz"},
		{"another endpoint's", "/colibri-ws/n1/c1/a" + query(other)},
		{"another conference's", "/colibri-ws/n1/c1/a" + query(foreign)},
		{"of who left", left.Path()},
		{"for an unknown endpoint", "/colibri-ws/n1/c1/x" + pwd},
		{"none for an unknown endpoint", "/colibri-ws/n1/c1/x"},
		{"for an unknown conference", "/colibri-ws/n1/x/a" + pwd},
		{"for another bridge", "/colibri-ws/n2/c1/a" + pwd},
		{"with more segments", "/colibri-ws/n1/c1/a/" + pwd},
		{"with a slash in disguise", "/colibri-ws/n1/c1%2fa" + pwd},
		{"with fewer segments", "/colibri-ws/n1/c1" + pwd},
		{"elsewhere", "/other/n1/c1/a" + pwd},
	}
	bodies := map[string]bool{}
	for _, tt := range refused {
		t.Run("HB7 "+tt.name, func(t *testing.T) {
			before := b.count(t, eventAuth)
			_, resp, err := websocket.Dial(t.Context(), b.url+tt.path, nil)
			if err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
				t.Fatalf("%v, %v", resp, err)
			}
			body, _ := bufio.NewReader(resp.Body).ReadString(0)
			bodies[body] = true
			if n := b.count(t, eventAuth); n != before+1 {
				t.Errorf("%s counted %v times", eventAuth, n-before)
			}
		})
	}
	if len(bodies) != 1 {
		t.Errorf("answers differ: %v", bodies)
	}
	c.send(`{"colibriClass":"LastNChangedEvent","lastN":5}`)
	e.expect(t, LastNChangedEvent{5})
}

func TestOriginIsNotChecked(t *testing.T) {
	b := newBridge(t, nil)
	ticket := b.Open("c1", "a", newEndpoint())
	ws, _, err := websocket.Dial(t.Context(), b.url+ticket.Path(), &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://elsewhere.example"}}})
	if err != nil {
		t.Fatal(err)
	}
	ws.CloseNow()
}

func TestNamesAreEscaped(t *testing.T) {
	b := newBridge(t, func(c *Config) { c.Bridge = "n/1 ?" })
	e := newEndpoint()
	ticket := b.Open("c%2f/1", "ä?#", e)
	c := b.greeted(t, ticket)
	c.send(`{"colibriClass":"EndpointStats"}`)
	e.expect(t, EndpointStats{From: "ä?#"})
}

func TestPlainRequestWithTheSecret(t *testing.T) {
	b := newBridge(t, nil)
	resp, err := http.Get(b.url + b.Open("c1", "a", newEndpoint()).Path())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestTooManyConnections(t *testing.T) {
	b := newBridge(t, nil)
	ticket := b.Open("c1", "a", newEndpoint())
	for i := range int(2 * opens.Burst) {
		ws, resp, err := websocket.Dial(t.Context(), b.url+ticket.Path(), nil)
		if err != nil {
			if resp == nil || resp.StatusCode != http.StatusTooManyRequests || i < int(opens.Burst) {
				t.Fatalf("connection %d: %v", i, err)
			}
			return
		}
		defer ws.CloseNow()
	}
	t.Error("never refused")
}

func TestHB6MessagesAreDropped(t *testing.T) {
	b := newBridge(t, func(c *Config) { c.Rate.Burst = 1000 })
	romeo, juliet := newEndpoint(), newEndpoint()
	c := b.greeted(t, b.Open("c1", "romeo", romeo))
	other := b.greeted(t, b.Open("c2", "juliet", juliet))
	for _, tt := range refused {
		if tt.err == ErrTooBig || tt.err == ErrTooDeep {
			continue
		}
		t.Run("HB6 "+tt.name, func(t *testing.T) {
			before := b.count(t, eventReject)
			c.send(tt.text)
			c.send(`{"colibriClass":"ClientHello"}`) // the channel goes on
			c.expect(ServerHello{Version: "test"})
			if n := b.count(t, eventReject); n != before+1 {
				t.Errorf("%s counted %v times", eventReject, n-before)
			}
		})
	}
	t.Run("HB6 binary", func(t *testing.T) {
		c.ws.Write(t.Context(), websocket.MessageBinary, []byte(`{"colibriClass":"LastNChangedEvent","lastN":1}`))
	})
	t.Run("HB6 forged sender", func(t *testing.T) {
		c.send(`{"colibriClass":"EndpointMessage","from":"juliet","FROM":"juliet","to":"juliet","msgPayload":{}}`)
		romeo.expect(t, EndpointMessage{From: "romeo", To: "juliet", Fields: []Field{{"msgPayload", "{}"}}})
		c.send(`{"from":"juliet","colibriClass":"EndpointStats","x":1}`)
		romeo.expect(t, EndpointStats{From: "romeo", Fields: []Field{{"x", "1"}}})
	})
	t.Run("HB6 message to another conference", func(t *testing.T) {
		c.send(`{"colibriClass":"EndpointMessage","to":"juliet","conference":"c2"}`)
		romeo.expect(t, EndpointMessage{From: "romeo", To: "juliet", Fields: []Field{{"conference", `"c2"`}}})
	})
	if len(romeo.received) != 0 || len(juliet.received) != 0 {
		t.Errorf("received: romeo %d, juliet %d", len(romeo.received), len(juliet.received))
	}
	other.send(`{"colibriClass":"ClientHello"}`)
	other.expect(ServerHello{Version: "test"})
}

func TestHB6LimitsClose(t *testing.T) {
	flood := func(c *client) {
		for range 60 {
			c.push(`{"colibriClass":"EndpointStats"}`)
		}
	}
	for _, tt := range []struct {
		name string
		do   func(c *client)
		code int
	}{
		{"one byte too many", func(c *client) { c.push(sized(MaxMessage + 1)) }, CloseTooBig},
		{"1 MB", func(c *client) { c.push(sized(1 << 20)) }, CloseTooBig},
		{"deep", func(c *client) { c.push(nested(MaxDepth + 1)) }, CloseLimit},
		{"60 messages at once", flood, CloseLimit},
	} {
		t.Run("HB6 "+tt.name, func(t *testing.T) {
			b := newBridge(t, nil)
			e, other := newEndpoint(), newEndpoint()
			ticket := b.Open("c1", "a", e)
			c := b.greeted(t, ticket)
			stays := b.greeted(t, b.Open("c1", "b", other))
			c.send(sized(MaxMessage)) // just right
			done := make(chan struct{})
			go func() { defer close(done); tt.do(c) }()
			c.expectClose(tt.code, "")
			<-done
			if b.count(t, eventReject) < 1 {
				t.Error("not counted")
			}
			stays.send(`{"colibriClass":"LastNChangedEvent","lastN":1}`)
			other.expect(t, LastNChangedEvent{1})
			b.greeted(t, ticket) // may come back
		})
	}
}

// A client that announces a huge message and then says nothing more is closed all the same.
func TestHB6UnfinishedMessage(t *testing.T) {
	b := newBridge(t, nil)
	ticket := b.Open("c1", "a", newEndpoint())
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := upgrade(t, conn, ticket.Path())
	header := []byte{0x81, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0} // 1 GiB, masked with zeros
	conn.Write(append(header, make([]byte, MaxMessage+1)...))
	expectRawClose(t, conn, r, CloseTooBig)
}

func TestHB6PingFlood(t *testing.T) {
	b := newBridge(t, nil)
	ticket := b.Open("c1", "a", newEndpoint())
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := upgrade(t, conn, ticket.Path())
	conn.Write(bytes.Repeat(frame(0x89, []byte("x")), 200))
	expectRawClose(t, conn, r, CloseLimit)
}

// expectRawClose reads until the server has sent a close frame and then ended the connection, which it is to do although
// the client does not answer.
func expectRawClose(t *testing.T, conn net.Conn, r *bufio.Reader, want int) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(patience))
	code := 0
	for {
		kind, payload, err := readFrame(r)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the connection was not ended")
		} else if err != nil {
			break
		}
		if kind == 8 {
			code = int(payload[0])<<8 | int(payload[1])
		}
	}
	if code != want {
		t.Errorf("close code %d, want %d", code, want)
	}
}

func TestPanicEndsOneChannel(t *testing.T) {
	b := newBridge(t, nil)
	e := newEndpoint()
	e.panics = true
	ticket := b.Open("c1", "a", e)
	c := b.greeted(t, ticket)
	c.send(`{"colibriClass":"LastNChangedEvent","lastN":1}`)
	c.expectClose(CloseHurt, "")
	if n := b.count(t, eventPanic); n != 1 {
		t.Errorf("counted %v times", n)
	}
	b.greeted(t, ticket)
}

func TestSlowClient(t *testing.T) {
	b := newBridge(t, nil)
	whole := VideoSourcesMap{[]Mapping{{Source: "b-v0", Owner: "b", SSRC: 1, RTX: 2, VideoType: Camera}}}
	e := newEndpoint(whole)
	ticket := b.Open("c1", "a", e)
	c := b.greeted(t, ticket)
	// Nothing is read. What may be lost does not close the connection, however much it is...
	relayed := Shared(EndpointMessage{From: "b", Fields: []Field{{"msgPayload", `"` + strings.Repeat("x", MaxMessage) + `"`}}})
	eventually(t, "lossy", func() bool {
		e.send(relayed)
		return b.count(t, eventSlow) > 0
	})
	if e.conn.(*socket).life.over() {
		t.Fatal("closed for messages that may be lost")
	}
	// ... but a lost mapping does, and the next connection begins with all of them.
	for i := range 2 * mostMessages {
		e.send(VideoSourcesMap{[]Mapping{{Source: fmt.Sprint(i), Owner: "b", SSRC: uint32(i), RTX: 1, VideoType: Camera}}})
	}
	eventually(t, "closed", e.conn.(*socket).life.over)
	again := b.greeted(t, ticket)
	again.expect(whole)
	c.ws.CloseNow()
}

func TestServerClose(t *testing.T) {
	b := newBridge(t, nil)
	ticket := b.Open("c1", "a", newEndpoint())
	c := b.greeted(t, ticket)
	closed := make(chan struct{})
	go func() { defer close(closed); b.Close() }()
	c.expectClose(CloseExpired, "expired")
	<-closed
	if _, resp, err := websocket.Dial(t.Context(), b.url+ticket.Path(), nil); err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%v, %v", resp, err)
	}
	if d := b.Open("c1", "b", newEndpoint()).Data(func([]byte) error { return nil }, func() {}); d != nil {
		t.Error("a channel began after the end")
	}
}

// Connections, messages and the end at the same time; for the race detector.
func TestCrowd(t *testing.T) {
	b := newBridge(t, nil)
	e := newEndpoint(ForwardedSources{})
	ticket := b.Open("c1", "a", e)
	b.greeted(t, ticket)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				e.send(SenderSourceConstraints{"a-v0", i})
			}
		}
	}()
	for range 5 {
		c := b.greeted(t, ticket)
		c.send(`{"colibriClass":"LastNChangedEvent","lastN":1}`)
		e.expect(t, LastNChangedEvent{1})
	}
	ticket.Expire()
	close(stop)
	<-done
}
