package browser

import (
	"testing"

	"parley/internal/peertest"
)

// TestInvitation has people come to a meeting by the links of their invitations.
func TestInvitation(t *testing.T) {
	need(t)
	p := peertest.StartParley(t, peertest.ParleyOptions{
		Config: "[auth]\nguests = false\n", Listen: []string{"http://127.0.0.1:0", "turn://127.0.0.1:0"},
	})
	p.AddUser("bob", "secret")
	s := &server{Parley: p, page: "http://" + p.HTTP}
	s.run(t, "invited", "link")
}
