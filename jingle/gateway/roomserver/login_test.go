package roomserver

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
)

func withApp(c *Config) {
	c.App = []App{{ID: "shop", Domains: []string{"example.co.uk", "192.0.2.7"}}, {ID: "dev", Domains: []string{"dev.example.org"}, Localhost: true}}
}

func loginOf(app, page, browser string) string {
	return `{"protocol":"req","cmd":"login","appId":"` + app + `","ip":"192.0.2.9","url":"` + page + `","sdkInfo":"1.0.0","osInfo":"` + browser + `","time":"1560152983"}`
}

func TestR17_Login(t *testing.T) {
	bubble(t, withApp, func(t *testing.T, h *house) {
		c := h.client("")
		for _, x := range []struct {
			app, page string
			result    int
		}{
			{"shop", "https://example.co.uk/a?b", 0}, {"shop", "a.shop.example.co.uk", 0}, {"nobody", "https://example.co.uk", 1},
			{"shop", "https://example.org", 2}, {"shop", "https://co.uk", 2}, {"shop", "https://example.co.uk.evil.net", 2}, {"shop", "https://notexample.co.uk", 2},
		} {
			c.raw(loginOf(x.app, x.page, "chrome120"))
			m := c.one("login")
			c.is(m, map[string]any{"protocol": "resp", "result": x.result})
			want := map[string]any{"roomServer": "", "iceServer": ""}
			if x.result == 0 {
				want = map[string]any{"roomServer": "wss://x.net/rs/ws", "iceServer": "192.0.2.1:3478", "desc": "ok"}
			}
			c.is(m, want)
			if x.result == 2 && !strings.Contains(m["desc"].(string), hostOf(x.page)) {
				t.Errorf("%s is not named: %v", x.page, m["desc"])
			}
		}
		c.say(`{"cmd":"join","appId":"nobody"}`) // and the connection goes on
		c.is(c.one("respJoin"), map[string]any{"result": 15})
		c.say(`{"cmd":"join","appId":"shop"}`)
		c.is(c.one("respJoin"), map[string]any{"result": 0})
	})
}

func TestR17_LoginByHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, withApp)
		for body, want := range map[string][2]int{
			loginOf("shop", "https://example.co.uk", "chrome120"):                                           {200, 0},
			strings.Replace(loginOf("shop", "https://example.co.uk", "chrome120"), `"cmd":"login",`, "", 1): {200, 0},
			loginOf("shop", "https://example.org", "chrome120"):                                             {200, 2},
			strings.Replace(loginOf("shop", "https://example.co.uk", "c"), `"ip"`, `"no"`, 1):               {400, 3},
			strings.Replace(loginOf("shop", "https://example.co.uk", "c"), `"login"`, `"join"`, 1):          {400, 3},
			"{": {400, 3},
		} {
			w := httptest.NewRecorder()
			h.service.ServeLogin(w, httptest.NewRequest("POST", "/api/login", strings.NewReader(body)))
			var m message
			if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Code != want[0] || m["result"] != float64(want[1]) {
				t.Errorf("%s: %d %s", body, w.Code, w.Body)
			}
		}
	})
}

func TestR17_BrowsersWithoutWebRTC(t *testing.T) {
	for info, bad := range map[string]bool{
		"Internet Explorer 11": true, "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko": true, "edge18": true, "edge79": false, "chrome55.0": true, "chrome58.0": false,
		"firefox43": true, "firefox44": false, "Safari 10": true, "Safari 11": false, "Windows": false, "": false,
		"Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Safari/605.1.15":         false,
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36": false,
	} {
		if got := outdated(info) != ""; got != bad {
			t.Errorf("%q: %v", info, got)
		}
	}
	bubble(t, withApp, func(t *testing.T, h *house) {
		c := h.client("")
		c.raw(loginOf("shop", "example.co.uk", "MSIE 9"))
		if m := c.one("login"); m["result"] != 0.0 || m["prompt"] == nil {
			t.Errorf("got %v", m)
		}
	})
}

func TestR34_DomainsOfApplications(t *testing.T) {
	cfg := Defaults()
	withApp(&cfg)
	for page, want := range map[string][2]bool{
		"example.co.uk": {true, false}, "a.example.co.uk": {true, false}, "192.0.2.7": {true, false}, "192.0.2.8": {}, "localhost": {false, true}, "http://localhost:8080/": {false, true},
		"http://127.0.0.1": {false, true}, "http://[::1]:80": {false, true}, "x.localhost": {false, true}, "example.org": {false, true}, "": {}, "uk": {}, "co.uk": {}, "http://%zz": {},
	} {
		for i := range cfg.App {
			if got := cfg.App[i].has(hostOf(page)); got != want[i] {
				t.Errorf("%s and %q: %v", cfg.App[i].ID, page, got)
			}
		}
	}
}

func TestR34_PagesThatMayConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, withApp)
		h.service.parts.Origins = []string{"https://friend.net"}
		for origin, want := range map[string]bool{"": true, "https://x.net": true, "https://X.net": true, "https://friend.net": true, "http://friend.net": false, "https://www.example.co.uk": true, "https://evil.net": false, "null": false, "file://": false} {
			r := httptest.NewRequest("GET", "https://x.net/rs/ws", nil)
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
			if got := h.service.originAllowed(r); got != want {
				t.Errorf("%q: %v", origin, got)
			}
		}
	})
}
