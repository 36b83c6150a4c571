package transport

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	prtcp "github.com/pion/rtcp"
	prtp "github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"parley/bridge/api"
	"parley/bridge/udp"
)

// talk sends packets until some have come back whole.
func (c *client) talk(first uint16) {
	c.t.Helper()
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for seq := first; ; seq++ {
			c.video.WriteRTP(&prtp.Packet{
				Header:  prtp.Header{Version: 2, PayloadType: 96, SequenceNumber: seq, Timestamp: uint32(seq) * 3000, Marker: true},
				Payload: fmt.Appendf(nil, "payload of %d", seq),
			})
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	defer func() { close(stop); <-done }()
	var track *webrtc.TrackRemote
	select {
	case track = <-c.tracks:
		c.tracks <- track
	case <-time.After(10 * time.Second):
		c.t.Fatal("no track")
	}
	for fresh := 0; fresh < 20; {
		track.SetReadDeadline(time.Now().Add(10 * time.Second))
		p, _, err := track.ReadRTP()
		if err != nil {
			c.t.Fatal(err)
		}
		if p.SSRC != echoSSRC || string(p.Payload) != fmt.Sprintf("payload of %d", p.SequenceNumber) {
			c.t.Fatalf("%v came back", p)
		}
		if p.SequenceNumber >= first {
			fresh++
		}
	}
}

func TestMediaBothWays(t *testing.T) {
	for _, c := range []struct {
		name string
		clientOptions
		client bool
	}{
		{"over UDP", clientOptions{}, false},
		{"over TCP", clientOptions{protocol: "tcp"}, false},
		{"as the client of DTLS", clientOptions{role: webrtc.DTLSRoleServer}, true},
		{"with SHA-1", clientOptions{profiles: []dtls.SRTPProtectionProfile{dtls.SRTP_AES128_CM_HMAC_SHA1_80}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := listen(t, Config{TCP: true})
			e, r, peer := connect(t, p, Options{}, c.clientOptions)
			if e.client != c.client || !e.Ready() {
				t.Errorf("client %v, ready %v", e.client, e.Ready())
			}
			peer.talk(100)

			pli := &prtcp.PictureLossIndication{SenderSSRC: 1, MediaSSRC: echoSSRC}
			want, _ := pli.Marshal()
			if err := peer.pc.WriteRTCP([]prtcp.Packet{pli}); err != nil {
				t.Fatal(err)
			}
			r.until(t, "RTCP", func() bool {
				for _, c := range r.rtcp {
					if bytes.Equal(c, want) {
						return true
					}
				}
				return false
			})

			ssrc := uint32(peer.sender.GetParameters().Encodings[0].SSRC)
			back, _ := (&prtcp.PictureLossIndication{SenderSSRC: echoSSRC, MediaSSRC: ssrc}).Marshal()
			b := udp.NewBatch(time.Now())
			e.RTCP(b, back)
			b.Done()
			peer.sender.SetReadDeadline(time.Now().Add(10 * time.Second))
			for {
				packets, _, err := peer.sender.ReadRTCP()
				if err != nil {
					t.Fatal(err)
				}
				if pli, ok := packets[0].(*prtcp.PictureLossIndication); ok && pli.MediaSSRC == ssrc {
					break
				}
			}
			if n := p.Counts(); n.Forged != 0 || n.Crowd != 0 {
				t.Errorf("%+v", n)
			}
		})
	}
}

func TestServerChoosesTheProfile(t *testing.T) {
	p := listen(t, Config{})
	e, _, _ := connect(t, p, Options{}, clientOptions{profiles: []dtls.SRTPProtectionProfile{
		dtls.SRTP_AES128_CM_HMAC_SHA1_80, dtls.SRTP_AEAD_AES_128_GCM,
	}})
	if got, _ := e.conn.SelectedSRTPProtectionProfile(); got != dtls.SRTP_AEAD_AES_128_GCM {
		t.Errorf("profile %#x for a client that likes SHA-1 better", got)
	}
}

func TestRestartKeepsKeys(t *testing.T) {
	p := listen(t, Config{})
	e, r, peer := connect(t, p, Options{}, clientOptions{})
	peer.talk(100)
	conn := e.conn
	path, _ := e.agent.Selected()
	old := e.remote
	if _, n, err := e.Restart(); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	again := api.Remote{Ufrag: old.Ufrag, Pwd: old.Pwd, Setup: "active", Fingerprints: prints(e)}
	if err := e.SetRemote(again); err != nil { // the focus says what it knows until the client has answered
		t.Fatal(err)
	}
	answer := peer.answer(e)
	if answer.Ufrag == old.Ufrag {
		t.Fatal("the client did not restart")
	}
	if err := e.SetRemote(answer); err != nil {
		t.Fatal(err)
	}
	r.until(t, "new path", func() bool { now, ok := e.agent.Selected(); return ok && now != path })
	peer.talk(1000)
	if e.conn != conn {
		t.Error("there was another handshake")
	}
	if states := r.history(); len(states) != 1 {
		t.Errorf("states %q", states)
	}
}

func TestClose(t *testing.T) {
	t.Run("by us ends the client's connection", func(t *testing.T) {
		p := listen(t, Config{})
		e, r, peer := connect(t, p, Options{}, clientOptions{})
		closed := make(chan struct{})
		peer.sender.Transport().OnStateChange(func(s webrtc.DTLSTransportState) {
			if s == webrtc.DTLSTransportStateClosed {
				close(closed)
			}
		})
		e.Close()
		select {
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Error("the client was not told")
		}
		if e.Ready() || e.Reserve(100) != nil {
			t.Error("a closed endpoint sends")
		}
		if err := e.SetRemote(api.Remote{Setup: "active", Fingerprints: []api.Fingerprint{p.Info().Fingerprint}}); err != ErrClosed {
			t.Error(err)
		}
		if s := r.history(); len(s) != 1 {
			t.Errorf("news after Close: %q", s)
		}
	})
	for _, protocol := range []string{"udp", "tcp"} {
		t.Run("by the client is told over "+protocol, func(t *testing.T) {
			p := listen(t, Config{TCP: true})
			_, r, peer := connect(t, p, Options{}, clientOptions{protocol: protocol})
			peer.talk(1) // its handshake has ended too
			peer.pc.Close()
			r.until(t, "end", func() bool {
				last := r.states[len(r.states)-1]
				// Over TCP, close_notify may be lost by the client's own RST; the end of the stream is seen anyway.
				return last == api.Failed+" connectivity-error" || protocol == "tcp" && last == api.Disconnected
			})
		})
	}
}

func TestNoAnswer(t *testing.T) {
	p := listen(t, Config{Limits: Limits{Answer: 10 * time.Millisecond}})
	_, r := open(t, p, Options{})
	r.await(t, api.Failed+" timeout")
}
