package channel

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// held is an outbox whose goroutine runs when the test lets it.
type held struct {
	outbox
	sent  []string
	lost  int
	ended []int
	run   func()
}

func newHeld(write error) *held {
	h := &held{}
	h.outbox = outbox{
		write: func(text []byte) error { h.sent = append(h.sent, string(text)); return write },
		start: func(run func()) bool { h.run = run; return true },
		fail:  func(code int, _ string) { h.ended = append(h.ended, code) },
		lost:  func() { h.lost++ },
	}
	return h
}

func texts(messages ...Message) (all []string) {
	for _, m := range messages {
		all = append(all, string(encode(m)))
	}
	return all
}

func TestNewestStateWins(t *testing.T) {
	h := newHeld(nil)
	b1 := VideoSourcesMap{[]Mapping{{Source: "b-v0", Owner: "b", SSRC: 1, RTX: 2, VideoType: Camera}}}
	b2 := VideoSourcesMap{[]Mapping{{Source: "c-v0", Owner: "c", SSRC: 1, RTX: 2, VideoType: Camera}}}
	message := EndpointMessage{From: "b"}
	for _, m := range []Message{
		ServerHello{}, ForwardedSources{[]string{"b-v0"}}, SenderSourceConstraints{"a-v0", 180}, SenderSourceConstraints{"a-v1", 180}, b1, message,
		SenderSourceConstraints{"a-v0", 360}, b2, message, Shared(ForwardedSources{[]string{"c-v0"}}),
	} {
		h.put(m)
	}
	h.run()
	want := texts(ServerHello{}, SenderSourceConstraints{"a-v1", 180}, b1, message, SenderSourceConstraints{"a-v0", 360}, b2, message, ForwardedSources{[]string{"c-v0"}})
	if !slices.Equal(h.sent, want) {
		t.Errorf("sent\n%s\nwant\n%s", strings.Join(h.sent, "\n"), strings.Join(want, "\n"))
	}
	if h.bytes != 0 || h.running || h.lost != 0 || h.ended != nil {
		t.Errorf("left: %d bytes, running %v, lost %d, ended %v", h.bytes, h.running, h.lost, h.ended)
	}
}

func TestFullQueue(t *testing.T) {
	big := EndpointMessage{From: "b", Fields: []Field{{"x", `"` + strings.Repeat("x", 10000) + `"`}}}
	for _, message := range []Message{EndpointMessage{From: "b"}, big} {
		h := newHeld(nil)
		for range 2 * mostMessages {
			h.put(message)
		}
		if h.lost == 0 || h.ended != nil || h.bytes > mostBytes/2 || len(h.queue) > mostMessages/2 {
			t.Errorf("lost %d, ended %v, %d bytes, %d messages", h.lost, h.ended, h.bytes, len(h.queue))
		}
		// State changes for as long as it likes, in the other half.
		for i := range 10 * mostMessages {
			h.put(SenderSourceConstraints{fmt.Sprintf("a-v%d", i%8), i})
		}
		if h.ended != nil {
			t.Fatalf("ended %v", h.ended)
		}
		// What must not be lost ends the connection; nothing is sent of what came behind it.
		for range mostMessages {
			h.put(AudioSourcesMap{})
		}
		if !slices.Equal(h.ended, []int{CloseSlow}) || h.bytes != 0 || len(h.queue) != 0 {
			t.Errorf("ended %v, %d bytes, %d messages", h.ended, h.bytes, len(h.queue))
		}
		if h.run(); len(h.sent) != 0 {
			t.Errorf("sent %d messages", len(h.sent))
		}
	}
}

func TestFailedWriteEnds(t *testing.T) {
	h := newHeld(errors.New("broken"))
	h.put(ServerHello{})
	h.put(ForwardedSources{})
	h.run()
	h.put(ForwardedSources{})
	if len(h.sent) != 1 || !slices.Equal(h.ended, []int{0}) || len(h.queue) != 0 {
		t.Errorf("sent %d, ended %v, queue %d", len(h.sent), h.ended, len(h.queue))
	}
}

// Sending one message to 500 receivers encodes it once.
func BenchmarkShared500(b *testing.B) {
	m := EndpointMessage{From: "romeo", Fields: []Field{{"msgPayload", `{"type":"reaction","name":"heart"}`}}}
	boxes := make([]*held, 500)
	for i := range boxes {
		boxes[i] = newHeld(nil)
		boxes[i].write = func([]byte) error { return nil }
	}
	b.ReportAllocs()
	for b.Loop() {
		s := Shared(m)
		for _, h := range boxes {
			h.put(s)
			h.run()
		}
	}
}

func BenchmarkFromClient(b *testing.B) {
	text := []byte(fromClients[1].text)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := FromClient(text); err != nil {
			b.Fatal(err)
		}
	}
}
