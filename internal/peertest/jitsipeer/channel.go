package jitsipeer

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/pion/datachannel"
	"github.com/pion/dtls/v3"
	"github.com/pion/sctp"
)

const (
	channelLimit = 1 << 20
	channelBack  = 500 * time.Millisecond // before it is opened again
)

// channel is the bridge channel of a session (jitsi.md §10), over a WebSocket that is opened again when it breaks, or over a
// data channel.
type channel struct {
	x      *session
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu   sync.Mutex // guards what follows
	send func(text []byte) error

	troubles map[string]string // of the reader: endpoints whose media suffer, and where
}

var insecure = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}

func newChannel(x *session) *channel {
	c := &channel{x: x}
	c.ctx, c.cancel = context.WithCancel(x.ctx)
	return c
}

// open opens the channel that was offered.
func (c *channel) open() {
	x := c.x
	if x.peer.o.NoChannel {
		return
	}
	for _, o := range x.offer.Contents {
		if o.Transport != nil && o.Transport.SCTP != nil {
			x.leg.data = c.data
			return
		}
	}
	if list := x.offer.Contents[0].Transport.WebSockets; len(list) > 0 {
		c.done.Add(1)
		go func() {
			defer c.done.Done()
			c.socket(list[0])
		}()
	}
}

func (c *channel) socket(url string) {
	for c.ctx.Err() == nil {
		ws, _, err := websocket.Dial(c.ctx, url, &websocket.DialOptions{HTTPClient: insecure, CompressionMode: websocket.CompressionDisabled})
		if err != nil {
			c.x.peer.Events.add(Event{Kind: ChannelClosed, Text: err.Error()})
		} else {
			ws.SetReadLimit(channelLimit)
			c.begin(func(text []byte) error { return ws.Write(c.ctx, websocket.MessageText, text) })
			for {
				var b []byte
				if _, b, err = ws.Read(c.ctx); err != nil {
					break
				}
				c.take(b)
			}
			ws.CloseNow()
			c.end(err.Error())
		}
		select {
		case <-c.ctx.Done():
		case <-time.After(channelBack):
		}
	}
}

// data is the channel over SCTP.
func (c *channel) data(ctx context.Context, conn *dtls.Conn) {
	a, err := sctp.ClientWithOptions(sctp.WithNetConn(conn), sctp.WithLoggerFactory(silent))
	if err != nil {
		c.end(err.Error())
		return
	}
	defer a.Close()
	d, err := datachannel.Dial(a, 1, &datachannel.Config{Label: "JVB data channel", Protocol: "http://jitsi.org/protocols/colibri", LoggerFactory: silent})
	if err != nil {
		c.end(err.Error())
		return
	}
	defer d.Close()
	c.begin(func(text []byte) error {
		_, err := d.WriteDataChannel(text, true)
		return err
	})
	b := make([]byte, 64<<10)
	for ctx.Err() == nil {
		n, err := d.Read(b)
		if err != nil {
			c.end(err.Error())
			return
		}
		c.take(append([]byte(nil), b[:n]...))
	}
}

// begin tells the bridge what we want and send (jitsi.md §10.2).
func (c *channel) begin(send func([]byte) error) {
	p := c.x.peer
	c.mu.Lock()
	c.send = send
	c.mu.Unlock()
	p.Events.add(Event{Kind: ChannelOpen})
	send(p.wanted())
	for _, s := range p.own() {
		if s.video != nil {
			send(s.videoType())
		}
	}
}

func (c *channel) end(reason string) {
	c.mu.Lock()
	c.send = nil
	c.mu.Unlock()
	if c.ctx.Err() == nil {
		c.x.peer.Events.add(Event{Kind: ChannelClosed, Text: reason})
	}
}

func (c *channel) close() {
	c.cancel()
	c.done.Wait()
}

// say sends a message; without a channel it is lost.
func (c *channel) say(text []byte) error {
	c.mu.Lock()
	send := c.send
	c.mu.Unlock()
	if send == nil {
		return errNotReady
	}
	return send(text)
}

func (s *source) videoType() []byte {
	kind := "camera"
	switch {
	case s.muted.Load():
		kind = "none"
	case s.video.Desktop:
		kind = "desktop"
	}
	b, _ := json.Marshal(map[string]string{"colibriClass": "SourceVideoTypeMessage", "sourceName": s.name, "videoType": kind})
	return b
}

// take takes a message of the bridge.
func (c *channel) take(text []byte) {
	p := c.x.peer
	var m struct {
		ColibriClass            string `json:"colibriClass"`
		DominantSpeakerEndpoint string
		SourceName              string
		MaxHeight               int
		MappedSources           []struct {
			Source, Owner, MID string
			SSRC, RTX          uint32
		}
		Troubles []trouble
	}
	if json.Unmarshal(text, &m) != nil {
		return
	}
	p.Events.add(Event{Kind: ChannelMessage, Endpoint: m.ColibriClass, Text: string(text)})
	switch m.ColibriClass {
	case "DominantSpeakerEndpointChangeEvent":
		p.Events.add(Event{Kind: Dominant, Endpoint: m.DominantSpeakerEndpoint})
	case "SenderSourceConstraints":
		for _, s := range p.own() {
			if s.name == m.SourceName && s.video != nil {
				s.height.Store(int32(m.MaxHeight))
			}
		}
		p.Events.add(Event{Kind: Constrained, Source: m.SourceName, Height: m.MaxHeight})
	case "ConnectionStats":
		c.suffer(m.Troubles)
	case "VideoSourcesMap", "AudioSourcesMap":
		for _, s := range m.MappedSources {
			p.receiver.remap(s.Source, s.SSRC, s.RTX, s.MID)
		}
	}
}

// trouble is an endpoint of a ConnectionStats whose media suffer, and at which part of its way.
type trouble struct{ Endpoint, Part string }

// suffer notes whose media suffer now, and tells what has changed.
func (c *channel) suffer(list []trouble) {
	now := make(map[string]string, len(list))
	for _, t := range list {
		now[t.Endpoint] = t.Part
		if c.troubles[t.Endpoint] != t.Part {
			c.x.peer.Events.add(Event{Kind: Suffers, Endpoint: t.Endpoint, Text: t.Part})
		}
	}
	for endpoint := range c.troubles {
		if now[endpoint] == "" {
			c.x.peer.Events.add(Event{Kind: Suffers, Endpoint: endpoint})
		}
	}
	c.troubles = now
}
