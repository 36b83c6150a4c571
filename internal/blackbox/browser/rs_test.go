package browser

import (
	"strings"
	"testing"

	"parley/internal/peertest"
)

// TestR28_RoomServerPage: people enter by the page of the RoomServer door, and talk with one another and with a page of ours (R28).
func TestR28_RoomServerPage(t *testing.T) {
	s := doors(t)
	t.Run("two, whose network drops", func(t *testing.T) { s.run(t, "rs", "two", shown()...) })
	t.Run("with a page of ours", func(t *testing.T) { s.run(t, "rs", "three", shown()...) })
}

// TestR28_RoomServerPageWithTokens: what is refused is said in words, and tokens are renewed (R16, R17, R33).
func TestR28_RoomServerPageWithTokens(t *testing.T) {
	need(t)
	p := peertest.StartParley(t, peertest.ParleyOptions{
		Config: "[roomserver]\nenabled = true\nmax_room_capacity = 1\ntoken_prompt = '10m'\ntoken_grace = '1s'\n[[roomserver.app]]\nid = '1'\nlocalhost = true\n",
		Listen: []string{"http://127.0.0.1:0", "turn://127.0.0.1:0", "media://127.0.0.1:0"},
	})
	s := &server{Parley: p, page: "http://" + p.HTTP}
	s.AddUser("brief", "secret")
	token := func(args ...string) string {
		t.Helper()
		raw, err := s.Command("", append([]string{"token"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(raw)
	}
	good := token("*")
	t.Run("refusals in words", func(t *testing.T) {
		s.run(t, "rs", "refused", append([]string{good, token("another")}, shown()...)...)
	})
	t.Run("a token that ends soon", func(t *testing.T) { s.run(t, "rs", "renewed", token("*", "--expires=5m"), good) })
}
