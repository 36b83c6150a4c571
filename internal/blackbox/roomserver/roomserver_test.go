// Package roomserver has clients of the RoomServer protocol meet through the binary, with one another and with people who use
// XMPP.
package roomserver

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"parley/internal/peertest"
	client "parley/internal/peertest/roomserver"
)

const open = "[roomserver]\nenabled = true\n"

func start(t testing.TB, config string) *peertest.Parley {
	t.Helper()
	return peertest.StartParley(t, peertest.ParleyOptions{Config: config, Args: []string{"--limits=off"}})
}

func token(t *testing.T, s *peertest.Parley, args ...string) string {
	t.Helper()
	raw, err := s.Command("", append([]string{"token"}, args...)...)
	if err != nil {
		t.Fatal(err, raw)
	}
	return strings.TrimSpace(raw)
}

func join(t *testing.T, s *peertest.Parley, room, uid, token string) *client.Client {
	t.Helper()
	c := client.Dial(t, "ws://"+s.HTTP+"/rs/ws")
	c.Send(map[string]any{"cmd": "join", "appId": "1", "token": token, "roomId": room, "uid": uid, "uname": uid, "time": "1560152983"})
	if m := c.Await("respJoin"); m.Result() != 0 {
		t.Fatalf("%s is not let in: %v", uid, m)
	}
	return c
}

// occupant is somebody in the room who uses XMPP.
func occupant(t *testing.T, s *peertest.Parley, room string) *peertest.Client {
	t.Helper()
	s.AddUser("ann", "ann-password")
	p := peertest.Dial(t, s.XMPP, "localhost")
	p.StartTLS(tls.VersionTLS13)
	p.Login("ann", "ann-password")
	p.Bind("desk")
	p.Send("<presence to='" + room + "@muc.localhost/ann'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	p.Await("<presence", "/ann'", "code='110'")
	return p
}

func TestTheDoorIsClosedByDefault(t *testing.T) {
	s := start(t, "")
	for path, method := range map[string]string{"/rs": "GET", "/rs/": "GET", "/rs/ws": "GET", "/api/login": "POST", "/api/ice": "POST", "/icebandwidthload": "POST"} {
		r, err := http.NewRequest(method, "http://"+s.HTTP+path, strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusNotFound && res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}

func TestR16_TokensOfTheServersOwn(t *testing.T) {
	s := start(t, open)
	c := client.Dial(t, "ws://"+s.HTTP+"/ws")
	for _, x := range []struct {
		token  string
		result int
	}{{"", 13}, {"x.y.z", 13}, {token(t, s, "23"), 15}, {token(t, s, "22", "--door=xmpp"), 15}, {token(t, s, "22", "--door=roomserver"), 0}} {
		c.Send(map[string]any{"cmd": "join", "appId": "1", "token": x.token, "roomId": "22", "uid": "u1"})
		if m := c.Await("respJoin"); m.Result() != x.result {
			t.Errorf("result %d, not %d: %v", m.Result(), x.result, m)
		}
	}
}

// TestPeopleWhoUseXMPP see members come, mute, be thrown out, time out with the process, and go.
func TestPeopleWhoUseXMPP(t *testing.T) {
	s := start(t, open)
	a := join(t, s, "22", "u0", token(t, s, "22", "--user=u0"))
	ann := occupant(t, s, "22")
	b := join(t, s, "22", "u9", token(t, s, "22", "--user=u9"))
	a.Await("notifyNewPeer")
	ann.Await("<presence", "22@muc.localhost/u9'", "<audiomuted>false<")
	b.Send(map[string]any{"cmd": "turnTalkType", "index": 1, "enable": false})
	b.Await("respTurnTalkType")
	ann.Await("<presence", "22@muc.localhost/u9'", "<audiomuted>true<")

	// Whose room it is throws one out. The first who came was a member: it is the owner that the server's admin would be.
	b.Send(map[string]any{"cmd": "leave"})
	b.Await("respLeave")
	ann.Await("<presence", "22@muc.localhost/u9'", "type='unavailable'")
	if m := a.Await("relayLeave"); m.Text("uid") != "u9" {
		t.Errorf("got %v", m)
	}
}

func TestAnOwnerThrowsAMemberOut(t *testing.T) {
	s := start(t, open)
	ann := occupant(t, s, "23") // who makes the room owns it
	ann.Send("<iq type='set' id='instant' to='23@muc.localhost'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>")
	ann.Await("id='instant'", "type='result'")
	a := join(t, s, "23", "u0", token(t, s, "23"))
	b := join(t, s, "23", "u9", token(t, s, "23"))
	a.Await("notifyNewPeer")
	ann.Await("<presence", "23@muc.localhost/u9'")
	ann.Send("<iq type='set' id='kick' to='23@muc.localhost'><query xmlns='http://jabber.org/protocol/muc#admin'><item nick='u9' role='none'/></query></iq>")
	ann.Await("id='kick'", "type='result'")
	if m := b.Await("systemKickUser"); m.Text("uid") != "u9" {
		t.Errorf("got %v", m)
	}
	if m := a.Await("relayLeave"); m.Text("uid") != "u9" {
		t.Errorf("got %v", m)
	}
}

func TestAfterAKillMembersComeBack(t *testing.T) {
	s := start(t, open)
	pass := token(t, s, "22")
	a := join(t, s, "22", "u0", pass)
	ann := occupant(t, s, "22")
	s.Kill()
	a.Closed()
	ann.Drop()
	s.Restart()
	join(t, s, "22", "u0", pass)
	p := peertest.Dial(t, s.XMPP, "localhost")
	p.StartTLS(tls.VersionTLS13)
	p.Login("ann", "ann-password")
	p.Bind("desk2")
	p.Send("<presence to='22@muc.localhost/again'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	p.Await("<presence", "22@muc.localhost/u0'") // under its name, and not beside somebody who is gone
	p.Await("<presence", "/again'", "code='110'")
}

func TestAtTheEndClientsAreToldToComeBack(t *testing.T) {
	s := start(t, open)
	a := join(t, s, "22", "u0", token(t, s, "22"))
	s.Stop()
	if code := a.Closed(); code != 1012 {
		t.Errorf("closed with %d", code)
	}
}

// TestTwoConnectThroughTheRelay has two clients agree by the door alone, and reach one another with the credentials that it gave
// them, by the server's relay.
func TestTwoConnectThroughTheRelay(t *testing.T) {
	s := start(t, open)
	a := join(t, s, "22", "u0", token(t, s, "22"))
	b := join(t, s, "22", "u9", token(t, s, "22"))
	offerer := connection(t, a.Await("notifyNewPeer"))
	trickle(a, offerer, "u9")
	channel, err := offerer.CreateDataChannel("x", nil)
	if err != nil {
		t.Fatal(err)
	}
	channel.OnOpen(func() { channel.SendText("hello") })
	offer, err := offerer.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := offerer.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	a.Send(map[string]any{"cmd": "offer", "remoteUid": "u9", "msg": text(t, offer)})

	m := b.Await("relayOffer")
	answerer := connection(t, m)
	trickle(b, answerer, "u0")
	heard := make(chan string, 1)
	answerer.OnDataChannel(func(c *webrtc.DataChannel) {
		c.OnMessage(func(m webrtc.DataChannelMessage) { heard <- string(m.Data) })
	})
	if err := answerer.SetRemoteDescription(described(t, m)); err != nil {
		t.Fatal(err)
	}
	answer, err := answerer.CreateAnswer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := answerer.SetLocalDescription(answer); err != nil {
		t.Fatal(err)
	}
	b.Send(map[string]any{"cmd": "answer", "remoteUid": "u0", "msg": text(t, answer)})
	if err := offerer.SetRemoteDescription(described(t, a.Await("relayAnswer"))); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	defer close(stop)
	for c, pc := range map[*client.Client]*webrtc.PeerConnection{a: offerer, b: answerer} {
		m := c.Await("relayCandidate")
		var init webrtc.ICECandidateInit
		if err := json.Unmarshal([]byte(m.Text("msg")), &init); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(init.Candidate, "typ relay") {
			t.Fatalf("got %v", m)
		}
		if err := pc.AddICECandidate(init); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case got := <-heard:
		if got != "hello" {
			t.Errorf("heard %q", got)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was heard")
	}
	for c, to := range map[*client.Client]string{a: "u9", b: "u0"} {
		c.Send(map[string]any{"cmd": "peerConnected", "remoteUid": to, "connectType": "TURN"})
		if m := c.Await("respPeerConnected"); m.Result() != 0 {
			t.Errorf("got %v", m)
		}
	}
}

// connection makes a connection with the configuration in a message, through a relay alone.
func connection(t *testing.T, m client.Frame) *webrtc.PeerConnection {
	t.Helper()
	raw, err := json.Marshal(m["rtcConfig"])
	if err != nil {
		t.Fatal(err)
	}
	var config webrtc.Configuration
	if err := json.Unmarshal(raw, &config); err != nil {
		t.Fatal(err, string(raw))
	}
	config.ICETransportPolicy = webrtc.ICETransportPolicyRelay
	pc, err := webrtc.NewPeerConnection(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	return pc
}

// trickle sends the candidates of a connection in the SDK's spelling.
func trickle(c *client.Client, pc *webrtc.PeerConnection, to string) {
	pc.OnICECandidate(func(found *webrtc.ICECandidate) {
		if found == nil {
			return
		}
		init := found.ToJSON()
		msg := fmt.Sprintf(`{"label":%d,"id":%q,"candidate":%q}`, *init.SDPMLineIndex, *init.SDPMid, init.Candidate)
		c.Send(map[string]any{"cmd": "candidate", "remoteUid": to, "msg": msg})
	})
}

func text(t *testing.T, d webrtc.SessionDescription) string {
	t.Helper()
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func described(t *testing.T, m client.Frame) (d webrtc.SessionDescription) {
	t.Helper()
	if err := json.Unmarshal([]byte(m.Text("msg")), &d); err != nil {
		t.Fatal(err, m)
	}
	return d
}
