package livekitpeer

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	pwebrtc "github.com/pion/webrtc/v4"

	"parley/internal/peertest/jitsipeer"
)

// conn is a server's end of a member's signalling.
type conn struct {
	t      *testing.T
	ctx    context.Context
	ws     *websocket.Conn
	grants grants
}

// serve plays a server on loopback: play is run for each member whose token is good, and ends when the member leaves.
func serve(t *testing.T, play func(c *conn)) (url string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var playing sync.WaitGroup
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		playing.Add(1)
		defer playing.Done()
		g, err := readToken(r.FormValue("access_token"))
		if err != nil || r.URL.Path != "/rtc" || r.FormValue("auto_subscribe") != "1" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.CloseNow()
		play(&conn{t, ctx, ws, g})
	}))
	t.Cleanup(func() {
		stop()
		s.Close()
		playing.Wait()
	})
	return "ws" + s.URL[len("http"):]
}

// say sends a field of a SignalResponse; a member that is gone does not hear it.
func (c *conn) say(number int, b []byte) {
	c.ws.Write(c.ctx, websocket.MessageBinary, appendBytes(nil, number, b))
}

// hear waits for a request; false: the member is gone.
func (c *conn) hear() (f field, ok bool) {
	_, b, err := c.ws.Read(c.ctx)
	if err != nil {
		return f, false
	}
	list, err := fields(b)
	if err != nil || len(list) != 1 {
		c.t.Errorf("a request of %d fields: %v", len(list), err)
		return f, false
	}
	return list[0], list[0].number != sayLeave
}

// transport makes a PeerConnection on loopback whose candidates are trickled.
func (c *conn) transport(number uint64) *pwebrtc.PeerConnection {
	var s pwebrtc.SettingEngine
	s.SetIncludeLoopbackCandidate(true)
	s.SetIPFilter(net.IP.IsLoopback)
	s.SetNetworkTypes([]pwebrtc.NetworkType{pwebrtc.NetworkTypeUDP4})
	m, list := new(pwebrtc.MediaEngine), new(interceptor.Registry)
	err := errors.Join(m.RegisterDefaultCodecs(), pwebrtc.RegisterDefaultInterceptors(m, list), pwebrtc.ConfigureTWCCHeaderExtensionSender(m, list))
	if err != nil {
		panic(err) // of what is the same each time
	}
	pc, err := pwebrtc.NewAPI(pwebrtc.WithSettingEngine(s), pwebrtc.WithMediaEngine(m), pwebrtc.WithInterceptorRegistry(list)).NewPeerConnection(pwebrtc.Configuration{})
	if err != nil {
		panic(err)
	}
	pc.OnICECandidate(func(at *pwebrtc.ICECandidate) {
		if at == nil {
			return
		}
		text, _ := json.Marshal(at.ToJSON())
		c.say(hearTrickle, appendUint(appendBytes(nil, 1, text), 2, number))
	})
	return pc
}

// offer offers what a PeerConnection sends.
func (c *conn) offer(pc *pwebrtc.PeerConnection, id uint64) {
	d, err := pc.CreateOffer(nil)
	if err == nil {
		err = pc.SetLocalDescription(d)
	}
	if err != nil {
		c.t.Error(err)
		return
	}
	c.say(hearOffer, description{d.SDP, id}.append(nil, "offer"))
}

// take gives a PeerConnection a description of the member.
func (c *conn) take(pc *pwebrtc.PeerConnection, kind pwebrtc.SDPType, f field) (id uint64) {
	d, err := parseDescription(f.bytes)
	if err == nil {
		err = pc.SetRemoteDescription(pwebrtc.SessionDescription{Type: kind, SDP: d.sdp})
	}
	if err != nil {
		c.t.Errorf("%v:\n%s", err, d.sdp)
	}
	return d.id
}

// answer answers an offer of the member.
func (c *conn) answer(pc *pwebrtc.PeerConnection, f field) {
	id := c.take(pc, pwebrtc.SDPTypeOffer, f)
	d, err := pc.CreateAnswer(nil)
	if err == nil {
		err = pc.SetLocalDescription(d)
	}
	if err != nil {
		c.t.Error(err)
		return
	}
	c.say(hearAnswer, description{d.SDP, id}.append(nil, "answer"))
}

// feed lets a PeerConnection send a source, audio with height 0, until the context ends.
func (c *conn) feed(ctx context.Context, pc *pwebrtc.PeerConnection, feeding *sync.WaitGroup, source string, height int) {
	mime := pwebrtc.MimeTypeVP8
	if height == 0 {
		mime = pwebrtc.MimeTypeOpus
	}
	track, err := pwebrtc.NewTrackLocalStaticRTP(pwebrtc.RTPCodecCapability{MimeType: mime}, source, "stream-"+source)
	if err == nil {
		_, err = pc.AddTransceiverFromTrack(track, pwebrtc.RTPTransceiverInit{Direction: pwebrtc.RTPTransceiverDirectionSendonly})
	}
	if err != nil {
		c.t.Error(err)
		return
	}
	feeding.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := uint32(1); ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			track.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, Marker: true, SequenceNumber: uint16(n), Timestamp: n * 960}, Payload: jitsipeer.Stamped(source, n, height)})
		}
	})
}
