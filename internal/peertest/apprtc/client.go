// Package apprtc is an AppRTC client without a browser, for tests: the room server's requests, Collider's WebSocket, and a User that
// does with them what the web client does. It reads as strictly as the strictest of the real clients.
package apprtc

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Patience is how long a test waits for what has to come.
const Patience = 30 * time.Second

// Params are what clients read of the answer to /join.
type Params struct {
	RoomID      string    `json:"room_id"`
	ClientID    string    `json:"client_id"`
	IsInitiator string    `json:"is_initiator"`
	RoomLink    string    `json:"room_link"`
	Messages    *[]string `json:"messages"`
	WSS         string    `json:"wss_url"`
	Post        string    `json:"wss_post_url"`
	PCConfig    string    `json:"pc_config"`
	Constraints string    `json:"pc_constraints"`
	Media       string    `json:"media_constraints"`
	Options     string    `json:"offer_options"`
	ICE         string    `json:"ice_server_url"`
	Bypass      string    `json:"bypass_join_confirmation"`
	Version     string    `json:"version_info"`
	IsLoopback  string    `json:"is_loopback"`
	Errors      *[]string `json:"error_messages"`
	Warnings    *[]string `json:"warning_messages"`
}

// Request makes a request, and returns status and body.
func Request(t testing.TB, method, address, body string, header ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// Join asks for a place in a room, as in "http://127.0.0.1:8080" and "room?hd=true".
func Join(t testing.TB, base, room, agent string) (result string, p Params) {
	t.Helper()
	code, body := Request(t, "POST", base+"/join/"+room, "", "User-Agent", agent)
	var a struct {
		Result string `json:"result"`
		Params Params `json:"params"`
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil || code != http.StatusOK {
		t.Fatalf("join: %d %v: %s", code, err, body)
	}
	if a.Params.Messages == nil {
		t.Fatalf("join: no messages: %s", body)
	}
	if a.Result == "SUCCESS" {
		a.Params.check(t)
	}
	return a.Result, a.Params
}

// check is what clients rely on: which values are there, which are JSON in a string, and where TURN is not.
func (p *Params) check(t testing.TB) {
	t.Helper()
	if len(p.ClientID) != 8 || strings.Trim(p.ClientID, "0123456789") != "" {
		t.Errorf("client_id is %q", p.ClientID)
	}
	for name, v := range map[string]string{"is_initiator": p.IsInitiator, "is_loopback": p.IsLoopback, "bypass_join_confirmation": p.Bypass} {
		if v != "true" && v != "false" {
			t.Errorf("%s is %q", name, v)
		}
	}
	var pc struct {
		Servers *[]any `json:"iceServers"`
		Bundle  string `json:"bundlePolicy"`
		Mux     string `json:"rtcpMuxPolicy"`
	}
	if err := json.Unmarshal([]byte(p.PCConfig), &pc); err != nil || pc.Servers == nil || len(*pc.Servers) != 0 || pc.Bundle != "max-bundle" || pc.Mux != "require" {
		t.Errorf("pc_config is %s: %v", p.PCConfig, err)
	}
	for name, v := range map[string]string{"pc_constraints": p.Constraints, "media_constraints": p.Media, "offer_options": p.Options, "version_info": p.Version} {
		var any map[string]any
		if err := json.Unmarshal([]byte(v), &any); err != nil {
			t.Errorf("%s is %q: %v", name, v, err)
		}
	}
	if p.WSS == "" || p.Post == "" || p.RoomLink == "" || p.Errors == nil || p.Warnings == nil {
		t.Errorf("something is missing: %+v", p)
	}
}

// ICEServer is one of the answer of ice_server_url.
type ICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username"`
	Credential string   `json:"credential"`
}

// ICEServers asks for them.
func ICEServers(t testing.TB, address string) []ICEServer {
	t.Helper()
	code, body := Request(t, "POST", address, "")
	var a struct {
		Lifetime string      `json:"lifetimeDuration"`
		Servers  []ICEServer `json:"iceServers"`
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil || code != http.StatusOK || !strings.HasSuffix(a.Lifetime, "s") || len(a.Servers) == 0 {
		t.Fatalf("%s: %d %v: %s", address, code, err, body)
	}
	return a.Servers
}

// Channel is a WebSocket to Collider.
type Channel struct {
	t    testing.TB
	ws   *websocket.Conn
	hear func(msg string) // not nil: takes messages, in order

	mu    sync.Mutex // guards what follows
	heard []string   // messages, and errors with a mark of interrogation before them
	over  bool
	news  chan struct{} // closed when something comes
}

// Dial connects to an address such as ws://127.0.0.1:8080/ws. The connection ends with the test.
func Dial(t testing.TB, address string, hear func(string)) *Channel {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(1 << 20)
	c := &Channel{t: t, ws: ws, hear: hear, news: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.read()
	}()
	t.Cleanup(func() {
		ws.CloseNow()
		<-done
	})
	return c
}

func (c *Channel) read() {
	for {
		_, text, err := c.ws.Read(context.Background())
		var m map[string]string
		if err == nil {
			if json.Unmarshal(text, &m) != nil || len(m) != 2 || (m["msg"] == "") == (m["error"] == "") {
				m = map[string]string{"error": "not a frame: " + string(text)}
			}
			if m["msg"] != "" && c.hear != nil {
				c.hear(m["msg"])
			}
		}
		c.mu.Lock()
		switch {
		case err != nil:
			c.over = true
		case m["error"] != "":
			c.heard = append(c.heard, "?"+m["error"])
		default:
			c.heard = append(c.heard, m["msg"])
		}
		close(c.news)
		c.news = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Raw sends a frame.
func (c *Channel) Raw(text string) {
	c.t.Helper()
	if err := c.Try(text); err != nil {
		c.t.Error(err)
	}
}

// Try sends a frame, unless the server has closed the connection.
func (c *Channel) Try(text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	return c.ws.Write(ctx, websocket.MessageText, []byte(text))
}

// Register binds the channel to a client of a room.
func (c *Channel) Register(room, client string) {
	c.t.Helper()
	c.Raw(fmt.Sprintf(`{"cmd":"register","roomid":%q,"clientid":%q}`, room, client))
}

// Send says something to the other client.
func (c *Channel) Send(msg string) {
	c.t.Helper()
	text, _ := json.Marshal(map[string]string{"cmd": "send", "msg": msg})
	c.Raw(string(text))
}

// Wants waits for messages, in that order, which are taken.
func (c *Channel) Wants(want ...string) {
	c.t.Helper()
	c.await(fmt.Sprintf("%q", want), func() bool { return len(c.heard) >= len(want) })
	c.mu.Lock()
	defer c.mu.Unlock()
	if got := c.heard[:len(want)]; !slices.Equal(got, want) {
		c.t.Errorf("it was sent %q, not %q", got, want)
	}
	c.heard = c.heard[len(want):]
}

// First waits for the first message that was not taken yet, and leaves it.
func (c *Channel) First() string {
	c.t.Helper()
	c.await("message", func() bool { return len(c.heard) > 0 })
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard[0]
}

// Closed waits until the server has closed the connection.
func (c *Channel) Closed() {
	c.t.Helper()
	c.await("end of the connection", func() bool { return c.over })
}

// Drop ends the connection as a broken network does.
func (c *Channel) Drop() { c.ws.CloseNow() }

// await waits until something is so; it is asked with the mutex held.
func (c *Channel) await(what string, ok func() bool) {
	c.t.Helper()
	patience := time.After(Patience)
	for {
		c.mu.Lock()
		good, news := ok(), c.news
		c.mu.Unlock()
		if good {
			return
		}
		select {
		case <-news:
		case <-patience:
			c.t.Fatalf("no %s; there is %q", what, c.heard)
		}
	}
}
