package roomserver

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
)

// three has servers in two of three regions.
func three(c *Config) {
	withApp(c)
	c.NeutralRegion = "europe"
	c.Region = []Region{{"europe", []string{"DE"}}, {"america", []string{"US"}}, {"asia", []string{"JP"}}}
	c.Server = []Home{{"wss://de.x.net", "europe"}, {"wss://us.x.net/", "america"}, {"wss://any.x.net/ws", ""}}
}

func TestR17_LoginNamesTheServerOfARoomOrARegion(t *testing.T) {
	const de, us, any = "wss://de.x.net/rs/ws", "wss://us.x.net/rs/ws", "wss://any.x.net/ws"
	world := atlas{"192.0.2.0/24": "DE", "203.0.113.0/24": "US", "198.51.100.0/24": "JP", "10.0.2.0/24": "US"}
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, three)
		h.service.ice.regions.countries = world
		other := newHouse(t, func(c *Config) { three(c); c.Server[0], c.Server[2] = c.Server[2], c.Server[0] })
		ask := func(h *house, from, said, room string) string {
			m := &Message{Cmd: cmdLogin, AppID: "shop", IP: said, RoomID: room}
			return h.service.home(m, netip.MustParseAddr(from))
		}
		for _, c := range [][3]string{{"192.0.2.1", "", de}, {"::ffff:203.0.113.9", "", us}, {"198.51.100.1", "", de}, {"127.0.0.1", "203.0.113.9", us}, {"192.0.2.1", "203.0.113.9", de}, {"127.0.0.1", "no address", de}} {
			if got := ask(h, c[0], c[1], ""); got != c[2] {
				t.Errorf("from %s, which says %s: %s, not %s", c[0], c[1], got, c[2])
			}
		}
		// A room is at one server, wherever one asks and whoever asks; rooms are at all of them.
		at := make(map[string]int)
		for i := range 100 {
			room := fmt.Sprint("room ", i)
			first := ask(h, "192.0.2.1", "", room)
			at[first]++
			if second := ask(other, "203.0.113.1", "", strings.ToUpper(room)); second != first {
				t.Errorf("%s is at %s and at %s", room, first, second)
			}
		}
		if at[de] < 10 || at[us] < 10 || at[any] < 10 || len(at) != 3 {
			t.Errorf("rooms are at %v", at)
		}
		// The ICE server is one of the region too.
		h.service.cfg.IceSecret = "k"
		h.report("k", registered("10.0.2.1"))
		for from, want := range map[string]string{"203.0.113.1": "10.0.2.1:3478", "192.0.2.1": "192.0.2.1:3478"} {
			if got := h.service.iceAt(&Message{}, netip.MustParseAddr(from)); got != want {
				t.Errorf("from %s: %s, not %s", from, got, want)
			}
		}
	})
}

func TestServersThatCannotBe(t *testing.T) {
	for _, list := range [][]Home{{{"https://x.net", ""}}, {{"wss://", ""}}, {{"wss://u:p@x.net", ""}}, {{"wss://x.net", "mars"}}, {{"wss://x.net", ""}, {"wss://x.net/rs/ws", ""}}, {{"%", ""}}} {
		c := Defaults()
		c.Server = list
		if c.Check() == nil {
			t.Errorf("%v is taken", list)
		}
	}
}

// Pages of an application log in by HTTP from their own hosts, and read the answer; those of strangers are refused.
func TestR34_PagesOfApplicationsLogIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, withApp)
		for origin, want := range map[string]int{"https://a.shop.example.co.uk": 200, "https://x.net": 200, "": 200, "https://evil.net": 403, "null": 403} {
			for _, method := range []string{"POST", "OPTIONS"} {
				if origin == "" && method == "OPTIONS" {
					continue
				}
				r := httptest.NewRequest(method, "https://x.net/api/login", strings.NewReader(loginOf("shop", "https://example.co.uk", "chrome120")))
				if origin != "" {
					r.Header.Set("Origin", origin)
				}
				w := httptest.NewRecorder()
				h.service.ServeLogin(w, r)
				code, allowed := want, origin
				if code == 200 && method == "OPTIONS" {
					code = 204
				}
				if code == 403 {
					allowed = ""
				}
				if w.Code != code || w.Header().Get("Access-Control-Allow-Origin") != allowed || code != 200 && w.Body.Len() > 0 {
					t.Errorf("%s of %q: %d %v %s", method, origin, w.Code, w.Header(), w.Body)
				}
			}
		}
	})
}
