package browser

import (
	"testing"

	"parley/internal/peertest"
)

// TestAdmin has somebody administer the server with the page for it, and somebody else try.
func TestAdmin(t *testing.T) {
	need(t)
	p := peertest.StartParley(t, peertest.ParleyOptions{Listen: []string{"http://127.0.0.1:0", "turn://127.0.0.1:0", "media://127.0.0.1:0"}, Args: []string{"--admin=boss"}})
	for _, name := range []string{"boss", "bob"} {
		p.AddUser(name, "secret")
	}
	s := &server{Parley: p, page: "http://" + p.HTTP}
	for _, c := range []struct{ what, scenario string }{
		{"a stranger is refused", "stranger"},
		{"a room is watched while people talk in it", "room"},
		{"every view, by the keyboard and on a phone", "views"},
	} {
		t.Run(c.what, func(t *testing.T) { s.run(t, "admin", c.scenario, shown()...) })
	}
}
