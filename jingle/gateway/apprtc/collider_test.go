package apprtc

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/token"
)

func below(c *Config, p *Parts) {
	pairs(c, p)
	c.Collider = "/collider"
}

func TestA13_Register(t *testing.T) {
	bubble(t, pairs, func(t *testing.T, h *house) {
		a, b := h.register("room", "abc"), h.register("room", "def")
		a.send("hello")
		b.wants("hello")
		b.send("you")
		a.wants("you")
		if len(h.occupants()) != 2 {
			t.Errorf("occupants are %q", h.occupants())
		}
		// The id has a live socket, and the room two clients.
		twice := h.register("room", "abc")
		twice.wants("?Duplicated registration")
		twice.wantClosed(true)
		third := h.register("room", "ghi")
		third.wants("?Max room capacity reached")
		third.wantClosed(true)
		if r := h.joinAs("room", "").Result; r != resultFull {
			t.Error(r)
		}
		a.send("still here")
		b.wants("still here")
	})
}

func TestA14_SendTakesTheIdsOfTheRegistration(t *testing.T) {
	bubble(t, pairs, func(t *testing.T, h *house) {
		a, b := h.register("room", "a"), h.register("room", "b")
		a.raw(`{"cmd":"send","roomid":"other","clientid":"b","msg":"x","more":[1,{}]}`)
		b.wants("x")
		a.wants()
	})
}

func TestA15_HN2_Errors(t *testing.T) {
	const register = `{"cmd":"register","roomid":"room","clientid":"a"}`
	for name, c := range map[string]struct {
		says   []string
		fault  string
		closed bool
	}{
		"twice":         {[]string{register, register}, "Duplicated register request", true},
		"no client":     {[]string{`{"cmd":"register","roomid":"room"}`}, "Invalid register request: missing 'clientid' or 'roomid'", true},
		"no room":       {[]string{`{"cmd":"register","clientid":"a"}`}, "Invalid register request: missing 'clientid' or 'roomid'", true},
		"no name":       {[]string{`{"cmd":"register","roomid":"a@b/c","clientid":"a"}`}, "Invalid register request: 'clientid' or 'roomid' is no name", true},
		"send first":    {[]string{`{"cmd":"send","msg":"x"}`}, "Client not registered", true},
		"no message":    {[]string{register, `{"cmd":"send"}`}, "Invalid send request: missing 'msg'", true},
		"unknown":       {[]string{`{"cmd":"shout"}`}, "Invalid message: unexpected 'cmd'", false},
		"no command":    {[]string{`{}`}, "Invalid message: unexpected 'cmd'", false},
		"not JSON":      {[]string{`{`}, "websocket.JSON.Receive error: unexpected end of JSON input", true},
		"a wrong type":  {[]string{`{"cmd":7}`}, "websocket.JSON.Receive error: ", true},
		"a list":        {[]string{`[]`}, "websocket.JSON.Receive error: ", true},
		"not UTF-8":     {[]string{"{\"cmd\":\"\xff\"}"}, "websocket.JSON.Receive error: invalid UTF-8", true},
		"deep":          {[]string{strings.Repeat("[", 20_000)}, "websocket.JSON.Receive error: ", true},
		"nothing":       {[]string{""}, "websocket.JSON.Receive error: ", true},
		"message a map": {[]string{register, `{"cmd":"send","msg":{}}`}, "websocket.JSON.Receive error: ", true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, pairs, func(t *testing.T, h *house) {
				c2 := h.dial()
				for _, text := range c.says {
					c2.raw(text)
				}
				if got := c2.got(); len(got) != 1 || !strings.HasPrefix(got[0], "?"+c.fault) {
					t.Errorf("%q", got)
				}
				c2.wantClosed(c.closed)
				if n := h.service.faults.ws.Load(); n != 1 {
					t.Errorf("%d faults are counted", n)
				}
			})
		})
	}
}

func TestA16_QueueOfTheFirstIsFlushedToTheSecond(t *testing.T) {
	bubble(t, func(c *Config, _ *Parts) { c.Mixing = false; c.Unlimited() }, func(t *testing.T, h *house) {
		a := h.register("room", "a")
		for i := range waitingMost + 1 { // what is too much is dropped silently
			a.send(fmt.Sprint(i))
		}
		a.wants()
		b := h.register("room", "b")
		got := b.got()
		if len(got) != waitingMost || got[0] != "0" || got[waitingMost-1] != fmt.Sprint(waitingMost-1) {
			t.Errorf("%d messages", len(got))
		}
		a.send("next")
		b.wants("next")
		a.wants()
	})
}

func TestA17_ASeatIsKeptTenSeconds(t *testing.T) {
	bubble(t, pairs, func(t *testing.T, h *house) {
		a, b := h.register("room", "a"), h.register("room", "b")
		b.hangUp()
		time.Sleep(9 * time.Second)
		a.send("one")
		a.send("two")
		if c := h.register("room", "c"); !c.closed() {
			t.Error("the seat was given away")
		}
		b = h.register("room", "b")
		b.wants("one", "two")
		time.Sleep(time.Minute)
		b.send("here")
		a.wants("here")
		b.hangUp()
		time.Sleep(11 * time.Second)
		a.wants() // it knows nothing of AppRTC's messages
		c := h.register("room", "c")
		c.wantClosed(false)
		a.send("hello")
		c.wants("hello")
		a.hangUp()
		c.hangUp()
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if len(h.occupants()) != 0 {
			t.Errorf("occupants are %q", h.occupants())
		}
	})
}

func TestA18_PingAndPong(t *testing.T) {
	bubble(t, pairs, func(t *testing.T, h *house) {
		a, b := h.register("room", "a"), h.register("room", "b")
		b.deaf.Store(true)
		time.Sleep(time.Hour)
		a.wantClosed(false)
		b.wantClosed(true)
		a.wants() // no frames to keep the connection
	})
	bubble(t, pairs, func(t *testing.T, h *house) {
		a := h.register("room", "a")
		a.deaf.Store(true)
		time.Sleep(59 * time.Second)
		a.wantClosed(false)
		time.Sleep(2 * time.Second)
		a.wantClosed(true)
	})
}

func TestA18_HW2_Origin(t *testing.T) {
	bubble(t, func(c *Config, p *Parts) { p.Origins = []string{"https://friend.example"} }, func(t *testing.T, h *house) {
		h.mux.HandleFunc("GET /ws", h.service.ServeWebSocket)
		for origin, code := range map[string]int{"": 426, "https://x.net": 426, "https://friend.example": 426, "https://evil.example": 403, "null": 403, "https://x.net.evil.example": 403} {
			if w := h.ask("GET", "/ws", "", "Origin", origin); w.Code != code {
				t.Errorf("%q: %d", origin, w.Code)
			}
		}
	})
}

func TestA19_PostOfTheSideDoor(t *testing.T) {
	bubble(t, pairs, func(t *testing.T, h *house) {
		a := h.join("").Params.Client
		ws := h.register("22", h.join("").Params.Client)
		for name, c := range map[string]struct {
			path, body string
			code       int
			says       string
		}{
			"sent":           {"/22/" + a, "hello", 200, "OK\n"},
			"empty":          {"/22/" + a, "", 500, "Empty request body\n"},
			"not UTF-8":      {"/22/" + a, "\xff", 500, "Failed to read request body: invalid UTF-8\n"},
			"unknown room":   {"/23/" + a, "x", 500, "Failed to send the message: no such client\n"},
			"unknown client": {"/22/00000000", "x", 500, "Failed to send the message: no such client\n"},
			"no client's":    {"/22/static", "x", 404, "404 page not found\n"},
			"other paths":    {"/join/12345678", "x", 200, ""},
		} {
			if w := h.ask("POST", c.path, c.body); w.Code != c.code || c.says != "" && w.Body.String() != c.says {
				t.Errorf("%s: %d %q", name, w.Code, w.Body)
			}
		}
		ws.wants("hello")
		if n := h.service.faults.http.Load(); n != 4 {
			t.Errorf("%d faults", n)
		}
	})
	// Below its prefix a message makes the room and the client that it comes from, of any name.
	bubble(t, below, func(t *testing.T, h *house) {
		if w := h.ask("POST", "/collider/room/abc", "early"); w.Body.String() != "OK\n" {
			t.Fatal(w.Code, w.Body)
		}
		b := h.register("room", "def")
		b.wants("early")
		h.ask("POST", "/collider/room/abc", "more")
		b.wants("more")
		if w := h.ask("POST", "/collider/room/ghi", "x"); w.Body.String() != "Failed to send the message: Max room capacity reached\n" {
			t.Error(w.Body)
		}
		for _, path := range []string{"/collider/room", "/collider/a/b/c", "/collider/a.b/c", "/collider/"} {
			if w := h.ask("POST", path, "x"); w.Code != 500 || !strings.HasPrefix(w.Body.String(), "Invalid path: /") {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
		}
		// Who never registers goes.
		time.Sleep(11 * time.Second)
		if w := h.ask("POST", "/collider/room/ghi", "x"); w.Code != 200 {
			t.Error(w.Body)
		}
		b.wants("x")
	})
	bubble(t, func(c *Config, p *Parts) { below(c, p); c.Auth = authToken }, func(t *testing.T, h *house) {
		h.tokens["good"] = token.Claims{Room: "room"}
		if w := h.ask("POST", "/collider/room/abc", "x"); w.Code != 500 || len(h.occupants()) != 0 {
			t.Error(w.Code, w.Body)
		}
		if w := h.ask("POST", "/collider/room/abc?jwt=good", "x"); w.Code != 200 || len(h.occupants()) != 1 {
			t.Error(w.Code, w.Body)
		}
	})
}

func TestA20_Delete(t *testing.T) {
	bubble(t, below, func(t *testing.T, h *house) {
		for _, path := range []string{"/collider/room/abc", "/room/12345678"} {
			if w := h.ask("DELETE", path, ""); w.Code != 200 || w.Body.String() != "OK\n" {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
		}
		a := h.register("room", "abc")
		a.send("forgotten")
		h.ask("DELETE", "/collider/room/abc", "")
		a.wantClosed(true)
		if len(h.occupants()) != 0 {
			t.Errorf("occupants are %q", h.occupants())
		}
		b := h.register("room", "def")
		b.wants()
		for _, method := range []string{"GET", "PUT", "HEAD"} {
			if w := h.ask(method, "/collider/room/def", "x"); w.Code != 200 || w.Body.Len() != 0 {
				t.Errorf("%s: %d %s", method, w.Code, w.Body)
			}
		}
		b.wantClosed(false)
	})
}

func TestA21_StatusAndCORS(t *testing.T) {
	bubble(t, below, func(t *testing.T, h *house) {
		a := h.register("room", "a")
		h.register("room", "b").hangUp()
		a.raw(`{"cmd":"x"}`)
		h.ask("POST", "/collider/room/a", "")
		time.Sleep(time.Second)
		for _, path := range []string{"/status", "/collider/status"} {
			w := h.ask("GET", path, "")
			var m map[string]float64
			if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || len(m) != 5 || m["upsec"] < 1 || m["openws"] != 1 || m["totalws"] != 2 || m["wserrors"] != 1 || m["httperrors"] != 1 {
				t.Errorf("%s: %s %v", path, w.Body, err)
			}
			if w.Header().Get("Access-Control-Allow-Origin") != "*" || w.Header().Get("Access-Control-Allow-Methods") != "GET" {
				t.Errorf("%v", w.Header())
			}
		}
		for _, method := range []string{"POST", "DELETE", "OPTIONS"} {
			w := h.ask(method, "/room/12345678", "x")
			if w.Header().Get("Access-Control-Allow-Origin") != "*" || w.Header().Get("Access-Control-Allow-Methods") != "POST, DELETE" {
				t.Errorf("%s: %v", method, w.Header())
			}
		}
	})
}

func TestTokens(t *testing.T) {
	bubble(t, func(c *Config, p *Parts) { c.Auth = authToken }, func(t *testing.T, h *house) {
		h.tokens["good"] = token.Claims{Room: "22", User: token.User{Name: "Ann <3"}}
		h.tokens["other"] = token.Claims{Room: "23"}
		h.tokens["door"] = token.Claims{Room: "22", Door: "xmpp"}
		for _, q := range []string{"", "?jwt=bad", "?jwt=other", "?jwt=door"} {
			if r := h.join(q); r.Result != resultError {
				t.Errorf("%s: %+v", q, r)
			}
		}
		a := h.join("?jwt=good&hd=true")
		if a.Result != resultSuccess || a.Params.Link != "https://x.net/r/22?hd=true" {
			t.Fatalf("%+v", a)
		}
		if list := h.occupants(); len(list) != 1 || !strings.Contains(list[0], "/Ann3'") || !strings.Contains(list[0], ">Ann &lt;3<") {
			t.Errorf("%q", list)
		}
		h.tokens["once"] = token.Claims{Room: "33", ID: "1", Once: true}
		for i, want := range []string{resultSuccess, resultError} {
			if r := h.joinAs("33", "?token=once").Result; r != want {
				t.Errorf("use %d of a token that may be used once: %s", i+1, r)
			}
		}
		// Who has joined needs none to register; who has not does.
		h.register("22", a.Params.Client).wantClosed(false)
		b := h.register("22", "00000000")
		b.wants("?Invalid register request: unknown 'clientid', and no token that allows the room")
		b.wantClosed(true)
		// Credentials are for members alone.
		if w := h.ask("POST", strings.TrimPrefix(a.Params.ICE, "https://x.net"), ""); w.Code != 200 {
			t.Error(w.Code)
		}
		if w := h.ask("POST", "/v1alpha/iceconfig?key=anything", ""); w.Code != 403 {
			t.Error(w.Code)
		}
	})
}
