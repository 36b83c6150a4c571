package browser

import (
	"testing"

	"parley/internal/peertest"
)

// TestAppRTC: pages written against Collider's interface alone, and the pages of AppRTC's rooms (A2, A11, A13 to A17, A22, A23; V13).
func TestAppRTC(t *testing.T) {
	need(t)
	p := peertest.StartParley(t, peertest.ParleyOptions{Config: "[apprtc]\nenabled = true\nauth = 'none'\n", Listen: []string{"http://127.0.0.1:0", "turn://127.0.0.1:0", "media://127.0.0.1:0"}})
	w := newWire(t, p.HTTP)
	s := &server{Parley: p, page: "http://" + w.l.Addr().String(), wire: w}
	for _, c := range []struct{ what, scenario string }{
		{"a page that knows Collider alone", "collider"},
		{"pages of rooms", "pages"},
	} {
		t.Run(c.what, func(t *testing.T) { s.run(t, "apprtc", c.scenario) })
	}
}
