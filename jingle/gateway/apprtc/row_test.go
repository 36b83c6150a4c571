package apprtc

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/limit"
)

// TestPending: each row has a test that is named by it, here or against the binary. What is missing is said.
func TestPending(t *testing.T) {
	for _, p := range Pending {
		t.Logf("pending: %s: %s", p.Row, p.Missing)
	}
	var tests strings.Builder
	for _, pattern := range []string{"*_test.go", "../../../internal/blackbox/apprtc/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(err, pattern)
		}
		for _, name := range files {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(b)) {
				if strings.HasPrefix(line, "func Test") {
					tests.WriteString(line)
				}
			}
		}
	}
	for i := 1; i <= 26; i++ {
		if row := fmt.Sprintf("A%02d_", i); !strings.Contains(tests.String(), row) {
			t.Errorf("%s has no test", row)
		}
	}
}

func TestA02_HW4_PageOfARoom(t *testing.T) {
	bubble(t, pairs, func(t *testing.T, h *house) {
		w := h.ask("GET", "/r/testRoom?name=%3C/script%3E%27&video=minWidth%3D%3C/script%3E%27&tt=%27-alert(1)-%27", "")
		page := w.Body.String()
		if w.Code != 200 || !strings.Contains(page, "roomId: 'testRoom'") || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			t.Fatalf("%d %s", w.Code, page)
		}
		if strings.Contains(page, "</script>'") || strings.Contains(page, "'-alert") || strings.Count(page, "</script>") != 2 {
			t.Errorf("somebody else's script: %s", page)
		}
		policy := w.Header().Get("Content-Security-Policy")
		_, nonce, _ := strings.Cut(page, `nonce="`)
		nonce, _, _ = strings.Cut(nonce, `"`)
		if len(nonce) < 20 || !strings.Contains(policy, "'nonce-"+nonce+"'") || !strings.Contains(policy, "connect-src 'self' wss://x.net https://x.net") {
			t.Errorf("%s with %q", policy, nonce)
		}
		if len(h.occupants()) != 0 {
			t.Error("the page takes a place")
		}
		h.join("")
		h.join("")
		for range 3 { // the client asks for the page again when it is told that the room is full
			if w := h.ask("GET", "/r/22", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "<title>AppRTC: Room full</title>") || strings.Contains(w.Body.String(), "<script") {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		}
		for path, kind := range map[string]string{"/js/apprtc.js": "text/javascript", "/js/loopback.js": "text/javascript", "/css/apprtc.css": "text/css"} {
			if w := h.ask("GET", path, ""); w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) || w.Body.Len() == 0 {
				t.Errorf("%s: %d %v", path, w.Code, w.Header())
			}
		}
		for _, path := range []string{"/js/room.html", "/css/nothing.css", "/js/..%2fpage.go"} {
			if w := h.ask("GET", path, ""); w.Code != 404 {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
	})
}

func TestA07_ParametersWithoutARoom(t *testing.T) {
	bubble(t, pairs, func(t *testing.T, h *house) {
		var p map[string]any
		if err := json.Unmarshal(h.ask("GET", "/params?it=relay&tt=tcp", "").Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]any{
			"pc_config":             `{"iceServers":[],"bundlePolicy":"max-bundle","rtcpMuxPolicy":"require","iceTransports":"relay"}`,
			"ice_server_transports": "tcp", "wss_url": "wss://x.net/ws", "wss_post_url": "https://x.net", "is_loopback": "false",
			"bypass_join_confirmation": "true", "offer_options": "{}", "version_info": "null", "header_message": "", "include_loopback_js": "",
		} {
			if p[name] != want {
				t.Errorf("%s is %v", name, p[name])
			}
		}
		for _, name := range []string{"room_id", "room_link", "client_id", "is_initiator", "messages"} {
			if _, there := p[name]; there {
				t.Errorf("%s is there", name)
			}
		}
	})
}

func TestA08_CredentialsOfTheRelay(t *testing.T) {
	bubble(t, pairs, func(t *testing.T, h *house) {
		a := h.join("").Params
		path := strings.TrimPrefix(a.ICE, "https://x.net")
		if path == a.ICE {
			t.Fatal(a.ICE)
		}
		for _, method := range []string{"GET", "POST"} {
			w := h.ask(method, path, "")
			var got struct {
				Lifetime string `json:"lifetimeDuration"`
				Servers  []struct {
					URLs                 []string
					Username, Credential *string
				} `json:"iceServers"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Header().Get("Access-Control-Allow-Origin") != "*" {
				t.Fatalf("%v: %s", err, w.Body)
			}
			if s := got.Servers; got.Lifetime != "600s" || len(s) != 2 || len(s[0].URLs) != 2 || s[0].URLs[0] != "turn:192.0.2.1:3478?transport=udp" || *s[0].Credential != "p" ||
				len(s[1].URLs) != 1 || s[1].URLs[0] != "stun:192.0.2.1:3478" || s[1].Username != nil {
				t.Errorf("%s", w.Body)
			}
		}
		if w := h.ask("OPTIONS", path, ""); w.Code != 204 || w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		// They end with the member's place.
		h.ask("POST", "/leave/22/"+a.Client, "")
		if len(h.ended) != 1 {
			t.Errorf("%v", h.ended)
		}
		// A page asks before its user joins; what it gets ends with the day.
		_, key, _ := strings.Cut(h.ask("GET", "/r/22", "").Body.String(), "iceconfig?key=")
		key, _, _ = strings.Cut(key, "'")
		if key, _, _ = strings.Cut(key, `\`); len(key) < 20 {
			t.Fatalf("the page has the key %q", key)
		}
		for range 2 {
			if w := h.ask("POST", "/v1alpha/iceconfig?key="+key, ""); w.Code != 200 {
				t.Fatal(w.Code)
			}
		}
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if len(h.ended) != 2 {
			t.Errorf("%v", h.ended)
		}
		for _, key := range []string{"", "a.b", strings.Repeat("k", 200)} {
			if w := h.ask("POST", "/v1alpha/iceconfig?key="+key, ""); w.Code != 403 {
				t.Errorf("%q: %d", key, w.Code)
			}
		}
	})
	bubble(t, func(c *Config, _ *Parts) { c.JoinRate = limit.Rate{PerSecond: 1, Burst: 3} }, func(t *testing.T, h *house) {
		for i := range 5 {
			if w := h.ask("POST", fmt.Sprintf("/v1alpha/iceconfig?key=k%d", i), ""); (w.Code == 200) != (i < 3) {
				t.Errorf("%d: %d", i, w.Code)
			}
		}
	})
	bubble(t, func(_ *Config, p *Parts) { p.Relays = nil }, func(t *testing.T, h *house) {
		if a := h.join("").Params; a.ICE != "" {
			t.Error(a.ICE)
		}
		if w := h.ask("POST", "/v1alpha/iceconfig?key=k", ""); w.Code != 403 {
			t.Error(w.Code)
		}
	})
}

func TestA09_TURNOfOldClients(t *testing.T) {
	bubble(t, pairs, func(t *testing.T, h *house) {
		w := h.ask("GET", "/turn?username=iapprtc&key=4080218913", "")
		var got struct {
			Username, Password string
			TTL                int
			URIs               []string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Username == "" || got.Password != "p" || got.TTL != 600 || len(got.URIs) != 2 {
			t.Errorf("%v: %s", err, w.Body)
		}
		if w := h.ask("GET", "/turn", ""); w.Code != 403 {
			t.Error(w.Code)
		}
	})
}

func TestA10_AnswerToJoin(t *testing.T) {
	bubble(t, func(c *Config, p *Parts) {
		pairs(c, p)
		c.Providers = []string{"https://ice.example"}
	}, func(t *testing.T, h *house) {
		for query, want := range map[string]map[string]string{
			"?audio=false&dtls=true&dscp=false&jwt=secret&x=%26": {
				"media_constraints": `{"audio":false,"video":true}`, "pc_constraints": `{"optional":[{"DtlsSrtpKeyAgreement":true},{"googDscp":false}]}`,
				"room_link": "https://x.net/r/Room-1?audio=false&dscp=false&dtls=true&x=%26", "wss_url": "wss://x.net/ws?room=Room-1", "room_id": "Room-1",
			},
			"?hd=true": {"media_constraints": `{"audio":true,"video":{"mandatory":{"minHeight":"720","minWidth":"1280"},"optional":[]}}`},
			"?video=minWidth=640,googNoise=true,optional:maxHeight=9,bad&firefox_fake_device=1": {
				"media_constraints": `{"audio":true,"fake":true,"video":{"mandatory":{"minWidth":"640"},"optional":[{"googNoise":"true"},{"maxHeight":"9"}]}}`},
			"?wshpp=relay.x.net&wstls=false":        {"wss_url": "ws://relay.x.net/ws?room=Room-1", "wss_post_url": "http://relay.x.net"},
			"?wshpp=evil.example":                   {"wss_url": "wss://x.net/ws?room=Room-1"},
			"?ts=https://ice.example&apikey=a%26b":  {"ice_server_url": "https://ice.example/v1alpha/iceconfig?key=a%26b"},
			"?it=relay\"":                           {"pc_config": `{"iceServers":[],"bundlePolicy":"max-bundle","rtcpMuxPolicy":"require","iceTransports":"relay\""}`},
			"?audio=true&video=false&hd=&wstls=yes": {"media_constraints": `{"audio":true,"video":false}`},
		} {
			var a struct{ Params map[string]any }
			w := h.ask("POST", "/join/Room-1"+query, "")
			if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
				t.Fatal(err)
			}
			for name, v := range want {
				if a.Params[name] != v {
					t.Errorf("%s: %s is %v, not %s", query, name, a.Params[name], v)
				}
			}
			h.ask("POST", "/leave/Room-1/"+a.Params["client_id"].(string), "")
		}
		// Another provider of ICE servers is one of the list.
		if a := h.join("?ts=https://evil.example&apikey=x").Params; !strings.HasPrefix(a.ICE, "https://x.net/") {
			t.Error(a.ICE)
		}
		// One room, however it is written; each reads its own spelling.
		if a := h.joinAs("ROOM-1", "").Params; a.Initiator != "true" || a.Room != "ROOM-1" {
			t.Errorf("%+v", a)
		}
		if a := h.joinAs("room-1", "").Params; a.Initiator != "false" || a.Room != "room-1" {
			t.Errorf("%+v", a)
		}
		// Desktop Chrome is asked for 720p.
		h.agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"
		if w := h.ask("GET", "/params", ""); !strings.Contains(w.Body.String(), `{\"minWidth\":\"1280\"},{\"minHeight\":\"720\"}`) {
			t.Error(w.Body)
		}
		h.agent += " Android"
		if w := h.ask("GET", "/params", "", "X-Plain", "1"); !strings.Contains(w.Body.String(), `"media_constraints":"{\"audio\":true,\"video\":true}"`) || !strings.Contains(w.Body.String(), `"wss_url":"ws://x.net/ws"`) {
			t.Error(w.Body)
		}
	})
}

func TestLimitsOfOneSource(t *testing.T) {
	bubble(t, func(c *Config, p *Parts) {
		pairs(c, p)
		c.PerSource = 3
	}, func(t *testing.T, h *house) {
		var clients []string
		for i := range 4 {
			a := h.joinAs(fmt.Sprintf("room%d", i), "")
			if (a.Result == resultSuccess) != (i < 3) {
				t.Errorf("%d: %s", i, a.Result)
			}
			clients = append(clients, a.Params.Client)
		}
		h.ask("POST", "/bye/room0/"+clients[0], "")
		if r := h.joinAs("room4", "").Result; r != resultSuccess {
			t.Error(r)
		}
	})
}

func TestConfig(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"auth": func(c *Config) { c.Auth = "both" }, "collider": func(c *Config) { c.Collider = "collider/" }, "collider up": func(c *Config) { c.Collider = "/.." },
		"times": func(c *Config) { c.SeatTimeout = time.Millisecond }, "sockets": func(c *Config) { c.Sockets = 0 },
		"providers": func(c *Config) { c.Providers = []string{"https://a.example/path"} }, "provider": func(c *Config) { c.Providers = []string{"javascript:x"} },
	} {
		c := Defaults()
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
		if change(&c); c.Check() == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func FuzzParams(f *testing.F) {
	for _, seed := range []string{"hd=true", "video=optional:minWidth=1,a=b:c,=,goog=1", "audio=%ff&video=&it=%22&ts=x&wshpp=y", "debug=loopback&name=%00", "a;b&%zz&jwt=s&token=t"} {
		f.Add(seed, "Mozilla/5.0 Chrome/1")
	}
	s, err := New(Defaults(), Parts{Domain: "x.net", Rooms: "muc.x.net", Secure: func(*http.Request) bool { return true }})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, query, agent string) {
		r := httptest.NewRequest("POST", "/join/22", nil)
		r.URL.RawQuery, r.Host = query, "x.net"
		r.Header["User-Agent"] = []string{agent}
		p := s.paramsFor(r, "22", "key")
		for _, text := range []string{p.PCConfig, p.PCConstraints, p.MediaConstraints, p.OfferOptions, p.IsLoopback, p.Bypass} {
			if !json.Valid([]byte(text)) {
				t.Errorf("not JSON: %s", text)
			}
		}
		link, err := url.Parse(p.RoomLink)
		if err != nil || link.Host != "x.net" || link.Path != "/r/22" || link.Query().Has("jwt") || link.Query().Has("token") {
			t.Errorf("the link is %s: %v", p.RoomLink, err)
		}
		if p.WSS != "wss://x.net/ws?room=22" && p.WSS != "ws://x.net/ws?room=22" {
			t.Error(p.WSS)
		}
	})
}

func FuzzTakes(f *testing.F) {
	for _, seed := range []string{"/22/12345678", "/join/12345678", "/collider/a/b", "/collider/ws", "//", "/a/b/c"} {
		f.Add(seed)
	}
	cfg := Defaults()
	cfg.Collider = "/collider"
	s, err := New(cfg, Parts{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if s.Takes(path) && (!strings.HasPrefix(path, "/") || strings.Count(path, "/") < 2 || strings.HasPrefix(path, "/join/")) {
			t.Errorf("%q is the side door's", path)
		}
	})
}
