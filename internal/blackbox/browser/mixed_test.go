package browser

import (
	"testing"

	"parley/internal/peertest"
)

// doors is a server with every door for browsers.
func doors(t *testing.T) *server {
	t.Helper()
	need(t)
	p := peertest.StartParley(t, peertest.ParleyOptions{
		Config: "[apprtc]\nenabled = true\nauth = 'none'\n[roomserver]\nenabled = true\nauth = 'none'\np2p_return = '1s'\n",
		Listen: []string{"http://127.0.0.1:0", "turn://127.0.0.1:0", "media://127.0.0.1:0"},
	})
	w := newWire(t, p.HTTP)
	return &server{Parley: p, page: "http://" + w.l.Addr().String(), wire: w}
}

// TestOurPageAndAPageOfAppRTC: the two are alone in a room, and talk by way of the bridge (A25). Who would call the other, if both
// were ours, is a matter of their names: both ways round.
func TestOurPageAndAPageOfAppRTC(t *testing.T) {
	s := doors(t)
	for _, name := range []string{"00Bob", "zBob"} {
		for _, first := range []string{"page", "apprtc"} {
			t.Run(name+" "+first+" first", func(t *testing.T) { s.run(t, "mixed", "two", name, first) })
		}
	}
}

// TestThreeDoorsInOneRoom: our page, a client of the RoomServer protocol and a page of AppRTC see and hear one another as each can, and
// who goes is missed by the others (R24, A25, A26).
func TestThreeDoorsInOneRoom(t *testing.T) { doors(t).run(t, "mixed", "three") }
