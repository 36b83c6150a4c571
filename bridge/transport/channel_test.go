package transport

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

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
