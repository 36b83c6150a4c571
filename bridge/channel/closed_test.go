package channel

import (
	"testing"
	"time"

	"github.com/coder/websocket"
)

// expectClosed waits for as many calls of Closed and returns the last.
func (e *endpoint) expectClosed(t *testing.T, n int) closed {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		e.mu.Lock()
		calls := e.closed
		e.mu.Unlock()
		switch {
		case len(calls) == n:
			return calls[n-1]
		case len(calls) > n || time.Now().After(deadline):
			t.Fatalf("closed %d times, want %d", len(calls), n)
		}
	}
}

func TestTheEndpointIsToldOfTheEnd(t *testing.T) {
	b := newBridge(t, nil)
	e := newEndpoint()
	ticket := b.Open("c1", "a", e)
	c := b.greeted(t, ticket)
	c.send(`{"colibriClass":"LastNChangedEvent","lastN":5}`)
	e.expect(t, LastNChangedEvent{5})
	after := time.Now()
	e.mu.Lock()
	own := e.conn // the endpoint has it before the first message, the client is greeted before that
	e.mu.Unlock()
	time.Sleep(50 * time.Millisecond)
	c.ws.Close(websocket.StatusNormalClosure, "")
	if end := e.expectClosed(t, 1); end.conn != own || end.arrived.After(after) || after.Sub(end.arrived) > 5*time.Second {
		t.Errorf("told of %v, arrived %v before the last message was seen", end.conn == own, after.Sub(end.arrived))
	}

	// One that was replaced is no end; that of its successor is.
	first := b.greeted(t, ticket)
	second := newStream(t)
	d := ticket.Data(second.send, second.close)
	second.expect(ServerHello{Version: "test"})
	first.expectClose(CloseReplaced, "replaced")
	before := time.Now()
	d.Receive([]byte(`{"colibriClass":"ClientHello"}`), true)
	second.expect(ServerHello{Version: "test"})
	second.err.Store(true)
	d.Send(ConnectionStats{EstimatedDownlinkBandwidth: 1}) // fails, and so ends it
	second.expectShut()
	if end := e.expectClosed(t, 2); end.conn != Conn(d) || end.arrived.Before(before.Add(-roundTrip)) {
		t.Errorf("told of %v", end)
	}

	other := newStream(t)
	ticket.Data(other.send, other.close)
	other.expect(ServerHello{Version: "test"})

	// A channel that is expired ends with its endpoint, which knows.
	last := b.greeted(t, ticket)
	other.expectShut() // replaced
	ticket.Expire()
	last.expectClose(CloseExpired, "expired")
	e.expectClosed(t, 2)
}
