package livekitpeer

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
	pwebrtc "github.com/pion/webrtc/v4"
	"go.uber.org/goleak"

	"parley/internal/peertest"
	"parley/internal/peertest/jitsipeer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

func join(t *testing.T, o Options) *Member {
	t.Helper()
	o.Room, o.Key, o.Secret, o.Loopback = "meet", key, secret, true
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	m, err := Join(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func media(t *testing.T, m *Member) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	if err := m.Media(ctx); err != nil {
		t.Fatal(err)
	}
}

// A PeerConnection takes what a sender offers: a voice, and each layer of the camera by its RID. It asks for a key frame.
func TestASenderIsHeardAndSeen(t *testing.T) {
	var mu sync.Mutex // guards seen
	seen := make(map[string]int)
	url := serve(t, func(c *conn) {
		if c.grants.Subject != "romeo" || !c.grants.Video.CanPublish {
			t.Errorf("%+v", c.grants)
		}
		pc := c.transport(publisher)
		defer pc.GracefulClose()
		pc.OnTrack(func(r *pwebrtc.TrackRemote, _ *pwebrtc.RTPReceiver) {
			if r.Kind() == pwebrtc.RTPCodecTypeVideo {
				pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(r.SSRC())}})
			}
			for {
				p, _, err := r.ReadRTP()
				if err != nil {
					return
				}
				source, _ := jitsipeer.SourceOf(p.Payload)
				if r.Kind() == pwebrtc.RTPCodecTypeVideo {
					source = r.RID() // the stamp is behind the descriptor of VP8
				}
				mu.Lock()
				seen[source]++
				mu.Unlock()
			}
		})
		c.say(hearJoin, nil)
		for f, ok := c.hear(); ok; f, ok = c.hear() {
			switch f.number {
			case sayTrack:
				c.say(hearPublished, nil)
			case sayOffer:
				c.answer(pc, f)
			}
		}
	})
	m := join(t, Options{URL: url, Name: "romeo", Audio: &jitsipeer.Audio{Level: 30}, Video: &jitsipeer.Video{Codec: jitsipeer.VP8}})
	defer m.Leave()
	media(t, m)
	for _, source := range []string{"romeo-a0", "q", "h", "f"} {
		peertest.Await(t, "packets of "+source, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return seen[source] > 5
		})
	}
	peertest.Await(t, "request for a key frame", func() bool { return m.Transport().Keyed > 0 })
	if err := m.Show(-1); err != nil { // of nobody: it receives nothing
		t.Error(err)
	}
}

// A PeerConnection offers two sources and then a third; a receiver gets all of them over the one transport, and says what it wants.
func TestAReceiverGetsWhatIsOfferedToIt(t *testing.T) {
	wishes := make(chan map[int][]any, 10)
	more := make(chan struct{})
	url := serve(t, func(c *conn) {
		if c.grants.Video.CanPublish || !c.grants.Video.CanSubscribe {
			t.Errorf("%+v", c.grants)
		}
		ctx, stop := context.WithCancel(c.ctx)
		var working sync.WaitGroup
		pc := c.transport(subscriber)
		defer working.Wait()
		defer stop()
		defer pc.GracefulClose()
		if _, err := pc.CreateDataChannel("_reliable", nil); err != nil {
			t.Error(err)
		}
		c.say(hearJoin, appendBytes(nil, 3, participant(track("TR_a", 0), track("TR_v", kindVideo))))
		c.feed(ctx, pc, &working, "juliet-a0", 0)
		c.feed(ctx, pc, &working, "juliet-v0", 184)
		c.offer(pc, 1)
		n := uint64(0)
		answered := make(chan struct{}, 2)
		working.Go(func() {
			for _, next := range []<-chan struct{}{more, answered} {
				select {
				case <-next:
				case <-ctx.Done():
					return
				}
			}
			c.say(hearUpdate, appendBytes(nil, 1, participant(track("TR_v", kindVideo), track("TR_w", kindVideo))))
			c.feed(ctx, pc, &working, "nurse-v0", 360)
			c.offer(pc, 2)
		})
		for f, ok := c.hear(); ok; f, ok = c.hear() {
			switch f.number {
			case sayAnswer:
				n++
				if id := c.take(pc, pwebrtc.SDPTypeAnswer, f); id != n {
					t.Errorf("answer %d is to offer %d", n, id)
				}
				answered <- struct{}{}
			case sayWishes:
				wishes <- numbers(t, f.bytes)
			}
		}
	})
	m := join(t, Options{URL: url, Name: "romeo"})
	defer m.Leave()
	wish := func(wanted bool, ids ...any) {
		t.Helper()
		select {
		case w := <-wishes:
			if disabled := len(w[3]) > 0; disabled == wanted || !slices.Equal(w[1], ids) {
				t.Errorf("wishes are %v", w)
			}
		case <-time.After(patience):
			t.Fatal("no wish")
		}
	}
	flows := func(source string) {
		t.Helper()
		peertest.Await(t, source, func() bool { return m.Received(source).Frames > 5 })
	}
	media(t, m)
	flows("juliet-a0")
	flows("juliet-v0")
	wish(false, "TR_v")
	if err := m.Show(-1); err != nil {
		t.Error(err)
	}
	wish(true, "TR_v")
	close(more)
	flows("nurse-v0")
	wish(true, "TR_w")
	if err := m.Show(0); err != nil {
		t.Error(err)
	}
	wish(false, "TR_v", "TR_w")
	if got := m.Sources(); !slices.Equal(got, []string{"juliet-a0", "juliet-v0", "nurse-v0"}) || m.Received("nurse-v0").Height != 360 {
		t.Errorf("%q, in a height of %d", got, m.Received("nurse-v0").Height)
	}
	peertest.Await(t, "feedback for the whole transport", func() bool { return m.Transport().Feedbacks > 0 })
}

func TestMediaFailWhereTheServerDoes(t *testing.T) {
	for want, play := range map[string]func(c *conn){
		"to leave":            func(c *conn) { c.say(hearLeave, nil); c.hear() },
		"ends within":         func(c *conn) { c.say(hearOffer, []byte("\x12\x7f")); c.hear() },
		"sdp: line 1":         func(c *conn) { c.say(hearOffer, description{"?", 1}.append(nil, "offer")); c.hear() },
		"the other transport": func(c *conn) { c.say(hearAnswer, description{offered, 1}.append(nil, "answer")); c.hear() },
		jitsipeer.StreamEnded: func(c *conn) {},
	} {
		m := join(t, Options{URL: serve(t, play), Name: "romeo"})
		ctx, stop := context.WithTimeout(t.Context(), patience)
		if err := m.Media(ctx); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
		stop()
		m.Leave()
	}
}

func TestARefusalDoesNotTellTheToken(t *testing.T) {
	url := serve(t, func(*conn) { t.Error("somebody came in") })
	o := Options{URL: url, Room: "meet", Name: "romeo", Key: key, Secret: "another secret than that of the server", Loopback: true}
	_, err := Join(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "access_token") {
		t.Error(err)
	}
	if _, err := Join(t.Context(), Options{URL: "ws://127.0.0.1:1", Loopback: true}); err == nil || strings.Contains(err.Error(), "access_token") {
		t.Error(err)
	}
}

func TestCamerasAreOfVP8InThreeLayers(t *testing.T) {
	for _, v := range []*jitsipeer.Video{{Codec: jitsipeer.AV1}, {Codec: jitsipeer.VP8, Heights: []int{8, 16, 24, 32}}} {
		if _, err := Join(t.Context(), Options{Video: v}); err == nil || !strings.Contains(err.Error(), "no camera of "+string(v.Codec)) {
			t.Error(err)
		}
	}
}
