package media

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coder/websocket"

	"parley/bridge/api"
	"parley/internal/peertest/mediapeer"
)

const conference = "bench"

// call is a conference on a bridge, with endpoints that send and others that receive.
type call struct {
	bridge    *child
	senders   []*sender
	receivers []*receiver
	delays    delays
	tasks     sync.WaitGroup
	stop      context.CancelFunc
}

// sender is an endpoint that sends.
type sender struct {
	peer      *mediapeer.Peer
	sources   []*source
	transport uint16 // transport-wide sequence number
	memory    []byte
}

// receiver is an endpoint that receives.
type receiver struct {
	peer    *mediapeer.Peer
	channel *websocket.Conn
}

// delays are those of sampled packets from sender to receiver, while they are wanted.
type delays struct {
	mu     sync.Mutex // guards what follows
	wanted bool
	list   []time.Duration
}

func (d *delays) note(payload []byte, at time.Time) {
	sent, ok := stamped(payload)
	d.mu.Lock()
	defer d.mu.Unlock()
	if ok && d.wanted {
		d.list = append(d.list, at.Sub(sent))
	}
}

func (d *delays) want(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wanted = on
}

var receive = api.Receive{
	Payloads: []api.Payload{
		{ID: payloadVideo, Name: "VP8", Clock: 90000}, {ID: payloadRTX, Name: "rtx", Clock: 90000, Apt: payloadVideo},
		{ID: payloadVoice, Name: "opus", Clock: 48000},
	},
	Extensions: map[string]int{
		"urn:ietf:params:rtp-hdrext:ssrc-audio-level":                               idAudioLevel,
		"http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time":                idSendTime,
		"http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01": idTransport,
	},
	AudioSSRC: 11, VideoSSRC: 12,
}

// open brings the endpoints of a case into a conference and waits until all are connected.
func open(ctx context.Context, b *child, c Case, n *network, gro bool) (*call, error) {
	k := &call{bridge: b}
	run, stop := context.WithCancel(ctx)
	k.stop = stop
	wish := api.Conference{ID: conference, Room: "bench@muc.localhost", Version: 1}
	for i := range c.Senders + c.Receivers {
		wish.Endpoints = append(wish.Endpoints, api.Endpoint{ID: fmt.Sprintf("%08x", i), Session: 1, Receive: receive})
	}
	b.client.Apply(wish)
	transports := make(map[string]*api.Transport)
	err := b.await(ctx, 20*time.Second, "transports", func(e api.Event) bool {
		if t := e.Transport; t != nil {
			transports[t.Endpoint] = t
		}
		return len(transports) == len(wish.Endpoints)
	})
	if err != nil {
		k.close()
		return nil, err
	}
	second := api.Conference{ID: wish.ID, Room: wish.Room, Version: 2}
	var peers []*mediapeer.Peer
	for i, e := range wish.Endpoints {
		o := mediapeer.Options{Local: n.clients}
		if i >= c.Senders {
			o = mediapeer.Options{Local: n.clients, GRO: gro, TransportCC: idTransport, Sample: 31, Stamped: k.delays.note}
		}
		p, err := mediapeer.New(transports[e.ID], o)
		if err != nil {
			k.close()
			return nil, err
		}
		peers = append(peers, p)
		if i < c.Senders {
			s := &sender{peer: p, memory: make([]byte, 2048)}
			s.sources = c.sources(i)
			k.senders = append(k.senders, s)
			for j, src := range s.sources {
				kind, letter := api.Audio, "a"
				if src.video {
					kind, letter = api.Video, "v"
				}
				e.Sources = append(e.Sources, api.Source{Name: fmt.Sprintf("%s-%s%d", e.ID, letter, j), Kind: kind, SSRCs: []uint32{src.ssrc}})
			}
		} else {
			k.receivers = append(k.receivers, &receiver{peer: p})
		}
		if e.Remote, err = p.Remote(); err != nil {
			k.close()
			return nil, err
		}
		second.Endpoints = append(second.Endpoints, e)
	}
	b.client.Apply(second)
	if err := k.connect(ctx, peers); err != nil {
		k.close()
		return nil, err
	}
	for i, r := range k.receivers {
		if err := k.subscribe(ctx, run, r, transports[wish.Endpoints[c.Senders+i].ID], c.height()); err != nil {
			k.close()
			return nil, err
		}
	}
	k.tasks.Go(func() { k.feedback(run) })
	return k, nil
}

// connect does all handshakes at once.
func (k *call) connect(ctx context.Context, peers []*mediapeer.Peer) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	failed := make(chan error, len(peers))
	for _, p := range peers {
		go func() { failed <- p.Connect(ctx) }()
	}
	var err error
	for range peers {
		err = errors.Join(err, <-failed)
	}
	return err
}

// subscribe opens the channel of a receiver and asks for all video.
func (k *call) subscribe(ctx, run context.Context, r *receiver, t *api.Transport, height int) error {
	dial, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	c, _, err := websocket.Dial(dial, k.bridge.url+t.Channel, nil)
	if err != nil {
		return fmt.Errorf("channel: %w", err)
	}
	r.channel = c
	k.tasks.Go(func() {
		for {
			if _, _, err := c.Read(run); err != nil {
				return
			}
		}
	})
	text := fmt.Sprintf(`{"colibriClass":"ReceiverVideoConstraints","lastN":-1,"defaultConstraints":{"maxHeight":%d}}`, height)
	return c.Write(dial, websocket.MessageText, fmt.Append(nil, text))
}

// feedback sends what a browser tells ten times a second.
func (k *call) feedback(ctx context.Context) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, r := range k.receivers {
			r.peer.Feedback()
		}
	}
}

// close ends all endpoints.
func (k *call) close() {
	k.stop()
	for _, r := range k.receivers {
		if r.channel != nil {
			r.channel.CloseNow()
		}
		r.peer.Close()
	}
	for _, s := range k.senders {
		s.peer.Close()
	}
	k.tasks.Wait()
}

// play sends what the senders have to send, each packet at its time, until ctx ends. It counts packets of media.
func (k *call) play(ctx context.Context, sent *counter) error {
	begin := time.Now()
	for ctx.Err() == nil {
		next := time.Duration(1<<63 - 1)
		for _, s := range k.senders {
			for _, src := range s.sources {
				for src.due() <= time.Since(begin) {
					if err := s.send(src); err != nil {
						return err
					}
					sent.Add(1)
				}
				next = min(next, src.due())
			}
		}
		if wait := next - time.Since(begin); wait > 0 {
			time.Sleep(wait)
		}
	}
	return nil
}

func (s *sender) send(src *source) error {
	p := src.packet(s.memory, s.transport, time.Now(), s.peer.KeyFrame)
	s.transport++
	return s.peer.Send(p)
}
