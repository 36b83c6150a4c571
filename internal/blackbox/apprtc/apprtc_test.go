// Package apprtc has AppRTC clients meet through the binary, with one another and with people who use other protocols, and pages
// that know Collider's interface alone.
package apprtc

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/internal/peertest/apprtc"
	"parley/internal/peertest/jitsipeer"
	"parley/internal/peertest/roomserver"
)

const open = "[apprtc]\nenabled = true\nauth = 'none'\ncollider = '/collider'\n"

// server is the binary that the tests share.
var server *peertest.Parley

func TestMain(m *testing.M) {
	peertest.Main(m, func(t testing.TB) { server = start(t, open) })
}

func start(t testing.TB, config string) *peertest.Parley {
	t.Helper()
	return peertest.StartParley(t, peertest.ParleyOptions{Config: config, Args: []string{"--limits=off"}})
}

func base() string { return "http://" + server.HTTP }

var names atomic.Uint32

// fresh returns a name that no other test has.
func fresh(of string) string { return fmt.Sprintf("%s%d", of, names.Add(1)) }

func user(t testing.TB, room, name string) *apprtc.User {
	t.Helper()
	return apprtc.Meet(t, apprtc.Options{Base: base(), Room: room + "?name=" + name, Name: name})
}

// member is a member of a room by the Jitsi dialect, with a camera and a microphone.
func member(t testing.TB, room, nick string) *jitsipeer.Peer {
	return memberWith(t, room, nick, jitsipeer.VP8)
}

// memberWith is one whose camera has another codec.
func memberWith(t testing.TB, room, nick string, codec jitsipeer.Codec) *jitsipeer.Peer {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), apprtc.Patience)
	defer stop()
	p, err := jitsipeer.Join(ctx, jitsipeer.Options{URL: "ws://" + server.HTTP + "/xmpp-websocket", Room: room, Nick: nick, Loopback: true, Restart: true,
		Audio: &jitsipeer.Audio{Level: 127}, Video: &jitsipeer.Video{Codec: codec}})
	if err != nil {
		t.Fatal(nick, err)
	}
	t.Cleanup(p.Leave)
	return p
}

// gets waits until packets of a source come on at a member.
func gets(t testing.TB, p *jitsipeer.Peer, source string) {
	t.Helper()
	n := p.Received(source).Packets
	for until := time.Now().Add(apprtc.Patience); p.Received(source).Packets <= n+5; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("no %s at %s", source, p.Endpoint())
		}
	}
}

func TestTheDoorIsClosedByDefault(t *testing.T) {
	s := start(t, "")
	for path, method := range map[string]string{"/join/22": "POST", "/message/22/1": "POST", "/leave/22/1": "POST", "/r/22": "GET", "/params": "GET", "/v1alpha/iceconfig": "POST", "/turn": "GET", "/ws": "GET", "/22/12345678": "DELETE", "/js/apprtc.js": "GET"} {
		if code, _ := apprtc.Request(t, method, "http://"+s.HTTP+path, ""); code != http.StatusNotFound && code != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", path, code)
		}
	}
}

func TestA01_A02_A07_Pages(t *testing.T) {
	for path, has := range map[string]string{"/": "<!DOCTYPE html>", "/r/testRoom": "roomId: 'testRoom'", "/params": `"wss_url":"ws://`, "/status": `"openws":`, "/js/apprtc.js": "loadingParams"} {
		code, body := apprtc.Request(t, "GET", base()+path, "")
		if code != http.StatusOK || !strings.Contains(strings.ToLower(body), strings.ToLower(has)) || strings.Contains(body, "roomId:") != strings.HasPrefix(path, "/r/") {
			t.Errorf("%s: %d %.300s", path, code, body)
		}
	}
}

// A page that is served elsewhere may use the side door and ask for ICE servers; it may not join in the name of a visitor.
func TestA19_A21_HW2_ForeignPages(t *testing.T) {
	foreign := []string{"Origin", "https://elsewhere.example", "Sec-Fetch-Site", "cross-site"}
	_, p := apprtc.Join(t, base(), fresh("room"), "")
	at := p.RoomID + "/" + p.ClientID
	for path, want := range map[string]int{"/" + at: 200, "/collider/" + at: 200, strings.TrimPrefix(p.ICE, base()): 200, "/join/" + p.RoomID: 403, "/leave/" + at: 403, "/message/" + at: 403} {
		if code, body := apprtc.Request(t, "POST", base()+path, "x", foreign...); code != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

// HW9: messages may be long, other bodies may not, and neither without end.
func TestA04_HW9_LongMessages(t *testing.T) {
	_, p := apprtc.Join(t, base(), fresh("room"), "")
	at := p.RoomID + "/" + p.ClientID
	for path, want := range map[string][2]int{"/message/" + at: {200, 413}, "/" + at: {200, 413}, "/leave/" + at: {413, 413}} {
		for i, size := range []int{200 << 10, 300 << 10} {
			if code, body := apprtc.Request(t, "POST", base()+path, strings.Repeat("x", size)); code != want[i] {
				t.Errorf("%s of %d bytes: %d %s", path, size, code, body)
			}
		}
	}
}

// TestCollidersInterfaceAlone is what a client does that knows nothing else: two meet, one speaks before the other is there, one
// loses its connection and comes back, one goes.
func TestA13_A16_A17_A20_CollidersInterfaceAlone(t *testing.T) {
	for _, path := range []string{"/ws", "/collider/ws"} {
		room := fresh("room")
		at := "ws://" + server.HTTP + path
		ann := apprtc.Dial(t, at, nil)
		ann.Register(room, "ann")
		ann.Send("are you there?")
		ann.Send("hello?")
		bob := apprtc.Dial(t, at, nil)
		bob.Register(room, "bob")
		bob.Wants("are you there?", "hello?")
		bob.Send("yes")
		ann.Wants("yes")
		third := apprtc.Dial(t, at, nil)
		third.Register(room, "carl")
		third.Wants("?Max room capacity reached")
		third.Closed()
		bob.Drop()
		// Until the server has seen that, the client is there already.
		for until := time.Now().Add(apprtc.Patience); ; {
			bob = apprtc.Dial(t, at, nil)
			bob.Register(room, "bob")
			bob.Try(`{"cmd":"hello"}`)
			if bob.First() == "?Invalid message: unexpected 'cmd'" {
				break
			}
			if time.Now().After(until) {
				t.Fatal("bob cannot come back")
			}
		}
		ann.Send("welcome back")
		bob.Wants("?Invalid message: unexpected 'cmd'", "welcome back")
		if code, body := apprtc.Request(t, "DELETE", base()+"/collider/"+room+"/bob", ""); code != 200 || body != "OK\n" {
			t.Errorf("%d %s", code, body)
		}
		bob.Closed()
		carl := apprtc.Dial(t, at, nil)
		carl.Register(room, "carl")
		carl.Send("I am carl")
		ann.Wants("I am carl")
	}
}

// The RoomServer protocol has an address in common: the first frame says whose client it is.
func TestTwoDoorsShareAnAddress(t *testing.T) {
	s := start(t, open+"[roomserver]\nenabled = true\nauth = 'none'\n")
	at := "ws://" + s.HTTP + "/ws"
	ann, bob := apprtc.Dial(t, at, nil), apprtc.Dial(t, at, nil)
	ann.Register("22", "ann")
	bob.Register("22", "bob")
	ann.Send("hello")
	bob.Wants("hello")
	rs := roomserver.Dial(t, at)
	rs.Send(map[string]any{"cmd": "join", "appId": "1", "roomId": "23", "uid": "u0"})
	if m := rs.Await("respJoin"); m.Result() != 0 {
		t.Errorf("%v", m)
	}
	rs.Send(map[string]any{"cmd": "keepLive", "appId": "1", "roomId": "23", "uid": "u0"})
	rs.Await("respKeepLive")
	s.Stop()
	rs.Closed()
	ann.Closed()
}

func TestA23_TwoTalkToEachOther(t *testing.T) {
	room := fresh("room")
	ann := user(t, room, "ann")
	bob := user(t, room, "bob")
	for _, kind := range []string{"-a0", "-v0"} {
		ann.Hears("bob" + kind)
		bob.Hears("ann" + kind)
	}
	if ann.Params.IsInitiator != "true" || bob.Params.IsInitiator != "false" || ann.Began() != 1 || bob.Began() != 1 {
		t.Errorf("%+v %+v", ann.Params, bob.Params)
	}
	// After a hang-up the other offers to who comes next; after a tab was closed too.
	bob.HangUp()
	carl := user(t, room, "carl")
	carl.Hears("ann-v0")
	ann.Hears("carl-v0")
	carl.Vanish()
	begun := time.Now()
	var dora *apprtc.User
	for dora == nil {
		if time.Since(begun) > apprtc.Patience {
			t.Fatal("the place is not free")
		}
		_, p := apprtc.Join(t, base(), fresh("other"), "") // takes its time, and another room
		apprtc.Request(t, "POST", base()+"/leave/"+p.RoomID+"/"+p.ClientID, "")
		if ann.Began() == 3 { // it was told that carl has gone
			dora = user(t, room, "dora")
		} else {
			time.Sleep(50 * time.Millisecond)
		}
	}
	dora.Hears("ann-v0")
	ann.Hears("dora-v0")
}

func TestA24_A25_A26_AppRTCAndJitsiInOneRoom(t *testing.T) {
	room := fresh("room")
	bob := member(t, room, "bob")
	ann := user(t, room, "ann")
	if ann.Params.IsInitiator != "false" || len(*ann.Params.Messages) != 1 {
		t.Fatalf("%+v", ann.Params)
	}
	ann.Hears("bob-a0")
	ann.Hears("bob-v0")
	gets(t, bob, "ann-a0")
	gets(t, bob, "ann-v0")
	// One stream of each medium, however many there are.
	carl := member(t, room, "carl")
	dora := user(t, room, "dora")
	gets(t, carl, "ann-a0")
	gets(t, carl, "dora-v0")
	dora.HearsAnybody("audio")
	dora.HearsAnybody("video")
	if a, v := ann.Streams("audio"), ann.Streams("video"); a != 1 || v != 1 {
		t.Errorf("%d streams of audio, %d of video", a, v)
	}
	ann.HangUp()
	if _, err := bob.Events.Await(t.Context(), 0, func(e jitsipeer.Event) bool { return e.Kind == jitsipeer.Left && e.Endpoint == "ann" }); err != nil {
		t.Error(err)
	}
	gets(t, carl, "dora-a0")
}

// Who reads VP9 keeps nobody from sending it.
func TestA25_CodecsAcrossDoors(t *testing.T) {
	room := fresh("codecs")
	bob := memberWith(t, room, "bob", jitsipeer.VP9)
	ann := user(t, room, "ann")
	ann.Hears("bob-a0")
	ann.Hears("bob-v0")
	gets(t, bob, "ann-v0")
}

func TestA25_APairMovesToTheBridge(t *testing.T) {
	room := fresh("room")
	ann := user(t, room, "ann")
	bob := user(t, room, "bob")
	ann.Hears("bob-a0")
	bob.Hears("ann-a0")
	carl := member(t, room, "carl")
	gets(t, carl, "ann-v0")
	gets(t, carl, "bob-v0")
	carl.Level(20) // of voices that are all silent either may be the one that is heard
	ann.Hears("carl-a0")
	bob.Hears("carl-a0")
	if ann.Began() != 2 || bob.Began() != 2 {
		t.Errorf("%d and %d connections", ann.Began(), bob.Began())
	}
}

func TestA25_WhoWaitsAloneIsAnswered(t *testing.T) {
	room := fresh("room")
	ann := user(t, room, "ann")
	bob := member(t, room, "bob")
	gets(t, bob, "ann-v0")
	ann.Hears("bob-v0")
	if ann.Began() != 1 {
		t.Errorf("%d connections", ann.Began())
	}
}

func TestA25_ThreeOfAppRTC(t *testing.T) {
	room := fresh("room")
	ann, bob := user(t, room, "ann"), user(t, room, "bob")
	ann.Hears("bob-a0")
	bob.Hears("ann-a0")
	carl := user(t, room, "carl")
	for _, u := range []*apprtc.User{carl, ann, bob} {
		u.HearsAnybody("audio")
		u.HearsAnybody("video")
	}
	carl.HangUp()
	bob.HearsAnybody("audio")
}

func TestA25_NativeClients(t *testing.T) {
	room := fresh("room")
	agent := "Dalvik/2.1.0 (Linux; U; Android 14; Pixel)"
	ann := apprtc.Meet(t, apprtc.Options{Base: base(), Room: room + "?name=ann", Name: "ann", Agent: agent, Ends: true})
	bob := user(t, room, "bob")
	ann.Hears("bob-v0")
	bob.Hears("ann-v0")
	carl := member(t, room, "carl")
	gets(t, carl, "ann-v0") // it was not asked to begin anew
	if ann.Began() != 1 {
		t.Errorf("%d connections", ann.Began())
	}
}

func TestA25_AfterTheBridgeDied(t *testing.T) {
	shared := server
	server = start(t, open)
	defer func() { server = shared }()
	room := fresh("room")
	ann := user(t, room, "ann")
	bob := member(t, room, "bob")
	ann.Hears("bob-v0")
	server.KillBridge()
	bob.Level(20) // he is heard, whoever else is there
	// Who has called calls again; who comes is called by the next one.
	carl := user(t, room, "carl")
	for _, u := range []*apprtc.User{ann, carl} {
		u.Hears("bob-a0")
	}
	gets(t, bob, "ann-v0")
	gets(t, bob, "carl-v0")
}

func TestA08_A09_CredentialsOfTheRelay(t *testing.T) {
	result, p := apprtc.Join(t, base(), fresh("room"), "")
	if result != "SUCCESS" {
		t.Fatal(result)
	}
	servers := apprtc.ICEServers(t, p.ICE)
	turns := 0
	for _, s := range servers {
		for _, u := range s.URLs {
			if strings.HasPrefix(u, "turn") {
				turns++
				if s.Username == "" || s.Credential == "" {
					t.Errorf("%+v", s)
				}
			}
		}
	}
	if turns < 2 {
		t.Errorf("%+v", servers)
	}
}
