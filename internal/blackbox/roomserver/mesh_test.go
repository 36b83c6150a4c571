package roomserver

import (
	"context"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/internal/peertest/jitsipeer"
	client "parley/internal/peertest/roomserver"
)

const mesh = "[roomserver]\nenabled = true\nauth = \"none\"\np2p_return = \"1s\"\n"

func enter(t *testing.T, s *peertest.Parley, room, uid string) *client.Peer {
	t.Helper()
	return client.Join(t, "ws://"+s.HTTP+"/rs/ws", room, uid)
}

// uplinks waits until a peer is connected to so many others, and sends over so many of these connections.
func uplinks(t *testing.T, p *client.Peer, others, sends int) {
	t.Helper()
	p.Until("connections", func() bool {
		connected, sending := p.Links()
		there, up := 0, 0
		for uid, ok := range connected {
			if ok {
				there++
			}
			if sending[uid] {
				up++
			}
		}
		return there == others && up == sends && len(connected) == others
	})
}

// gate waits until a member is told of another gate.
func gate(t *testing.T, p *client.Peer, want float64) {
	t.Helper()
	if f := p.Await("notifyGate"); f["gate"] != want {
		t.Fatalf("the gate is %v, not %v", f["gate"], want)
	}
}

func TestR24_MembersMeetByTheBridgeAndApart(t *testing.T) {
	s := start(t, mesh)
	a, b := enter(t, s, "22", "u0"), enter(t, s, "22", "u9")
	a.Hears("u9", "u9-a0", "u9-v0")
	b.Hears("u0", "u0-a0", "u0-v0")
	c := enter(t, s, "22", "ü7")
	gate(t, a, 1)
	gate(t, b, 1)
	for p, others := range map[*client.Peer][]*client.Peer{a: {b, c}, b: {a, c}, c: {a, b}} {
		for _, o := range others {
			p.Hears(o.UID, o.UID+"-a0", o.UID+"-v0")
		}
		uplinks(t, p, 2, 1)
	}
	// The oldest goes, over whose connections the others send.
	a.Send(map[string]any{"cmd": "leave"})
	a.Await("respLeave")
	b.Await("relayLeave")
	b.Hears(c.UID, c.UID+"-a0", c.UID+"-v0")
	c.Hears("u9", "u9-a0", "u9-v0")
	// After a while they are told to talk without the bridge.
	gate(t, b, 0)
	gate(t, c, 0)
	b.Await("relayAnswer")
	b.Hears(c.UID, c.UID+"-a0", c.UID+"-v0")
	c.Hears("u9", "u9-a0", "u9-v0")
	uplinks(t, b, 1, 1)
}

// Who reads every codec keeps nobody from sending one.
func TestR24_CodecsAcrossDoors(t *testing.T) {
	s := start(t, mesh)
	a := enter(t, s, "24", "u0")
	for nick, codec := range map[string]jitsipeer.Codec{"vp9": jitsipeer.VP9, "h264": jitsipeer.H264, "av1": jitsipeer.AV1} {
		ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
		defer stop()
		p, err := jitsipeer.Join(ctx, jitsipeer.Options{URL: "ws://" + s.HTTP + "/xmpp-websocket", Room: "24", Nick: nick, Loopback: true, Restart: true,
			Audio: &jitsipeer.Audio{Level: 127}, Video: &jitsipeer.Video{Codec: codec}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Leave)
		a.Hears(nick, nick+"-a0", nick+"-v0")
	}
}

func TestR24_MembersMeetPeopleOfOtherProtocols(t *testing.T) {
	s := start(t, mesh)
	a := enter(t, s, "23", "u0")
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	bob, err := jitsipeer.Join(ctx, jitsipeer.Options{URL: "ws://" + s.HTTP + "/xmpp-websocket", Room: "23", Nick: "bob", Loopback: true, Restart: true,
		Audio: &jitsipeer.Audio{Level: 127}, Video: &jitsipeer.Video{Codec: jitsipeer.VP8}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bob.Leave)
	gate(t, a, 1)
	if f := a.Await("notifyNewPeer"); f.Text("uid") != "bob" {
		t.Errorf("got %v", f)
	}
	a.Hears("bob", "bob-a0", "bob-v0")
	for _, source := range []string{"u0-a0", "u0-v0"} {
		n := bob.Received(source).Packets
		a.Until(source+" at bob", func() bool { return bob.Received(source).Packets > n+5 })
	}
	// One who comes later meets both.
	c := enter(t, s, "23", "u7")
	c.Hears("bob", "bob-a0", "bob-v0")
	c.Hears("u0", "u0-a0", "u0-v0")
	a.Hears("u7", "u7-a0", "u7-v0")
	uplinks(t, a, 2, 1)
	uplinks(t, c, 2, 1)
	bob.Leave()
	if f := a.Await("relayLeave"); f.Text("uid") != "bob" {
		t.Errorf("got %v", f)
	}
	a.Hears("u7", "u7-a0", "u7-v0")
	c.Hears("u0", "u0-a0", "u0-v0")
}
