package channel

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// stream is a data channel.
type stream struct {
	t    *testing.T
	sent chan string
	shut chan struct{}
	err  atomic.Bool
}

func newStream(t *testing.T) *stream {
	return &stream{t: t, sent: make(chan string), shut: make(chan struct{})}
}

// send blocks like a stream whose peer does not read.
func (s *stream) send(text []byte) error {
	if s.err.Load() {
		return errors.New("broken")
	}
	select {
	case s.sent <- string(text):
		return nil
	case <-s.shut:
		return errors.New("closed")
	}
}

func (s *stream) close() { close(s.shut) } // panics when it is called twice

func (s *stream) expect(want Message) {
	s.t.Helper()
	select {
	case got := <-s.sent:
		if got != string(encode(want)) {
			s.t.Fatalf("got %s, want %s", got, encode(want))
		}
	case <-time.After(patience):
		s.t.Fatalf("%#v was not sent", want)
	}
}

func (s *stream) expectShut() {
	s.t.Helper()
	select {
	case <-s.shut:
	case <-time.After(patience):
		s.t.Fatal("not shut")
	}
}

func TestDataChannel(t *testing.T) {
	b := newBridge(t, nil)
	e := newEndpoint(ForwardedSources{[]string{"b-v0"}})
	ticket := b.Open("c1", "a", e)
	first := newStream(t)
	d := ticket.Data(first.send, first.close)
	first.expect(ServerHello{Version: "test"})
	first.expect(e.state[0])
	d.Receive([]byte(`{"colibriClass":"ClientHello"}`), true)
	first.expect(ServerHello{Version: "test"})
	d.Receive([]byte(`{"colibriClass":"EndpointMessage","from":"b","to":""}`), true)
	e.expect(t, EndpointMessage{From: "a"})
	d.Receive([]byte(`{"colibriClass":"LastNChangedEvent","lastN":1}`), false)
	d.Receive([]byte(`{"colibriClass":"LastNChangedEvent","lastN":"1"}`), true)
	if n := b.count(t, eventReject); n != 2 || len(e.received) != 0 {
		t.Errorf("counted %v times, received %d", n, len(e.received))
	}

	c := b.greeted(t, ticket) // a WebSocket takes its place...
	first.expectShut()
	d.Receive([]byte(`{"colibriClass":"LastNChangedEvent","lastN":1}`), true)
	d.Send(ConnectionStats{EstimatedDownlinkBandwidth: 1})
	c.expect(e.state[0])
	second := newStream(t)
	ticket.Data(second.send, second.close) // ... and the other way round
	c.expectClose(CloseReplaced, "replaced")
	second.expect(ServerHello{Version: "test"})
	ticket.Expire()
	second.expectShut()
	if len(e.received) != 0 {
		t.Error("received something from who was replaced")
	}
	if third := newStream(t); ticket.Data(third.send, third.close) != nil {
		t.Error("an expired ticket opened a channel")
	}
}

func TestHB6DataChannelLimits(t *testing.T) {
	for _, tt := range []struct {
		name  string
		text  string
		times int
	}{
		{"too big", sized(MaxMessage + 1), 1},
		{"too deep", nested(MaxDepth + 1), 1},
		{"too many", `{"colibriClass":"EndpointStats"}`, 60},
		{"too many bytes", `{"colibriClass":"EndpointStats"` + strings.Repeat(" ", MaxMessage-40) + `}`, 40},
	} {
		t.Run("HB6 "+tt.name, func(t *testing.T) {
			b := newBridge(t, nil)
			e := newEndpoint()
			s := newStream(t)
			d := b.Open("c1", "a", e).Data(s.send, s.close)
			for range tt.times {
				d.Receive([]byte(tt.text), true)
			}
			s.expectShut()
			if len(e.received) > int(DefaultRate.Burst) {
				t.Errorf("%d messages went through", len(e.received))
			}
		})
	}
}

func TestDataChannelThatBreaks(t *testing.T) {
	b := newBridge(t, nil)
	e := newEndpoint()
	s := newStream(t)
	s.err.Store(true)
	b.Open("c1", "a", e).Data(s.send, s.close)
	s.expectShut()
	e.send(ForwardedSources{}) // is nowhere
}

func TestDataChannelThatIsSlow(t *testing.T) {
	b := newBridge(t, nil)
	e := newEndpoint()
	s := newStream(t)
	b.Open("c1", "a", e).Data(s.send, s.close)
	for range 2 * mostMessages {
		e.send(AudioSourcesMap{})
	}
	s.expectShut()
	if n := b.count(t, eventSlow); n != 1 {
		t.Errorf("counted %v times", n)
	}
}

// Who exceeds a limit may not begin anew with a full budget as often as it likes.
func TestHB6DataChannelsAreFew(t *testing.T) {
	b := newBridge(t, nil)
	ticket := b.Open("c1", "a", newEndpoint())
	opened := 0
	for range 100 {
		s := newStream(t)
		s.err.Store(true)
		d := ticket.Data(s.send, s.close)
		if d == nil {
			continue
		}
		opened++
		d.Receive([]byte(nested(MaxDepth+1)), true)
		s.expectShut()
	}
	if opened < int(opens.Burst) || opened > int(opens.Burst)+5 {
		t.Errorf("%d channels", opened)
	}
}
