package transport

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/datachannel"
	prtp "github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"parley/bridge/api"
)

// channels opens data channels of the client and collects what comes back on them.
type channels struct {
	pc   *webrtc.PeerConnection
	t    *testing.T
	back chan webrtc.DataChannelMessage
	gone chan string
	all  []*webrtc.DataChannel
}

func (c *channels) open(label, protocol string) *webrtc.DataChannel {
	d, err := c.pc.CreateDataChannel(label, &webrtc.DataChannelInit{Protocol: &protocol})
	if err != nil {
		c.t.Fatal(err)
	}
	d.OnMessage(func(m webrtc.DataChannelMessage) { c.back <- m })
	d.OnClose(func() { c.gone <- label })
	c.all = append(c.all, d)
	return d
}

func dataCall(t *testing.T, p *Port) (*Endpoint, *echo, *client, *channels) {
	t.Helper()
	cs := &channels{t: t, back: make(chan webrtc.DataChannelMessage, 1000), gone: make(chan string, 1000)}
	opened := make(chan struct{})
	e, r, c := connect(t, p, Options{Data: true}, clientOptions{data: func(pc *webrtc.PeerConnection) {
		cs.pc = pc
		cs.open("JVB data channel", Protocol).OnOpen(func() { close(opened) })
	}})
	select {
	case <-opened:
	case <-time.After(10 * time.Second):
		t.Fatal("the channel does not open")
	}
	return e, r, c, cs
}

func TestDataChannel(t *testing.T) {
	p := listen(t, Config{})
	e, r, peer, cs := dataCall(t, p)
	for i, text := range []string{`{"colibriClass":"ClientHello"}`, strings.Repeat("x", messageLargest)} {
		cs.all[0].SendText(text)
		select {
		case m := <-cs.back:
			if !m.IsString || string(m.Data) != text {
				t.Errorf("%d: %d bytes came back, text %v", i, len(m.Data), m.IsString)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no answer; messages", len(r.messages))
		}
	}
	cs.all[0].Send([]byte{0, 1})
	if m := <-cs.back; m.IsString || !bytes.Equal(m.Data, []byte{0, 1}) {
		t.Errorf("%v", m)
	}
	if err := e.Send(make([]byte, messageLargest+1), true); err != ErrSlow {
		t.Error(err)
	}
	peer.talk(1)

	cs.open("another thing", "chat").OnOpen(func() {})
	select {
	case label := <-cs.gone:
		if label != "another thing" {
			t.Errorf("%s was closed", label)
		}
	case <-time.After(10 * time.Second):
		t.Error("a channel of another protocol stays")
	}
	e.Close()
	if err := e.Send([]byte("x"), true); err != ErrNoChannel {
		t.Error(err)
	}
}

func TestHB13(t *testing.T) {
	for _, c := range []struct {
		name  string
		abuse func(*testing.T, *Endpoint, *channels)
	}{
		{"a message of 16 KiB and a byte", func(t *testing.T, e *Endpoint, cs *channels) {
			cs.all[0].Send(make([]byte, messageLargest+1))
		}},
		{"a message of 60 kB in pieces", func(t *testing.T, e *Endpoint, cs *channels) {
			cs.all[0].Send(make([]byte, 60000))
		}},
		{"17 streams", func(t *testing.T, e *Endpoint, cs *channels) {
			for i := range 17 {
				cs.open(fmt.Sprint(i), Protocol)
			}
		}},
		{"a storm of resets", func(t *testing.T, e *Endpoint, cs *channels) {
			for i := 0; i < 10000 && !e.data.isClosed(); i++ {
				cs.open(fmt.Sprint(i), Protocol).Close()
				time.Sleep(time.Millisecond)
			}
		}},
		{"resets of nothing", func(t *testing.T, e *Endpoint, cs *channels) { // as the reader of DTLS gets it
			for range streamsEver + 10 {
				e.data.push(append(make([]byte, 12), chunkReconfig, 0, 0, 4))
			}
		}},
		{"data that is no message", func(t *testing.T, e *Endpoint, cs *channels) { // as the reader of DTLS gets it
			packet := append(make([]byte, 12), 0, 0, 4, 0)
			packet = append(packet, make([]byte, 1020)...)
			for range 200 {
				e.data.push(packet)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec, count := events()
			p := listen(t, Config{Events: rec})
			e, r, peer, cs := dataCall(t, p)
			c.abuse(t, e, cs)
			r.until(t, "end of SCTP", func() bool { return e.data.isClosed() && count("limit.dc") == 1 })
			peer.talk(1) // the media goes on
			if s := r.history(); len(s) != 1 || s[0] != api.Connected || !e.Ready() {
				t.Errorf("states %q", s)
			}
		})
	}
}

func (c *channel) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// Messages of several channels come one after the other.
func TestMessagesComeInTurn(t *testing.T) {
	p := listen(t, Config{})
	_, r, _, cs := dataCall(t, p)
	opened := make(chan struct{})
	cs.open("another", Protocol).OnOpen(func() { close(opened) })
	<-opened
	var within, mixed atomic.Bool
	count := 0
	take := func() {
		if within.Swap(true) {
			mixed.Store(true)
		}
		time.Sleep(time.Millisecond)
		within.Store(false)
		r.note(func() { count++ })
	}
	r.message.Store(&take)
	const each = 30
	for range each {
		for _, d := range cs.all {
			d.SendText("x")
		}
	}
	r.until(t, "messages", func() bool { return count == 2*each })
	if mixed.Load() {
		t.Error("two at once")
	}
}

// What a client does not acknowledge is bounded, however many channels it opens.
func TestHB13SlowClientWithManyChannels(t *testing.T) {
	p := listen(t, Config{})
	e, r, peer, cs := dataCall(t, p)
	current := func() *datachannel.DataChannel {
		e.data.mu.Lock()
		defer e.data.mu.Unlock()
		return e.data.current
	}
	first := current()
	cs.open("another", Protocol)
	r.until(t, "second channel", func() bool { return current() != first })

	peer.talk(1)
	r.mu.Lock() // the reader of the port waits for it, and so no acknowledgement is read
	peer.video.WriteRTP(&prtp.Packet{Header: prtp.Header{Version: 2, PayloadType: 96, SequenceNumber: 9999}, Payload: []byte("x")})
	message := make([]byte, messageLargest)
	var err error
	sent := 0
	for ; err == nil && sent < 1000; sent++ {
		err = e.Send(message, true)
	}
	e.data.mu.Lock()
	e.data.current = first
	e.data.mu.Unlock()
	other := e.Send(message, true)
	r.mu.Unlock()
	if err != ErrSlow || other != ErrSlow {
		t.Errorf("%v after %d messages, %v on another channel", err, sent, other)
	}
}
