package portal

import (
	"net/http"
	"strings"
	"testing"
)

// withBOSH adds a door for BOSH that says how much it could read.
func withBOSH(_ *Config, parts *Parts) {
	parts.BOSHBytes = 300_000
	parts.BOSH = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 400_000)
		n := 0
		for {
			k, err := r.Body.Read(buf[n:])
			if n += k; err != nil {
				break
			}
		}
		w.Write([]byte(strings.Repeat(".", n/100_000) + " at " + r.URL.String()))
	})
}

// XEP-0156 §4: where the ways in are, for who asks by this scheme and host.
func TestHostMetaNamesEveryWayIn(t *testing.T) {
	p := newPortal(t, withBOSH)
	for target, want := range map[string][]string{
		"https://meet.example/.well-known/host-meta":      {`rel="urn:xmpp:alt-connections:websocket" href="wss://meet.example/xmpp-websocket"`, `rel="urn:xmpp:alt-connections:xbosh" href="https://meet.example/http-bind"`},
		"http://meet.example:81/.well-known/host-meta":    {`href="ws://meet.example:81/xmpp-websocket"`, `href="http://meet.example:81/http-bind"`},
		"https://meet.example/.well-known/host-meta.json": {`{"rel":"urn:xmpp:alt-connections:websocket","href":"wss://meet.example/xmpp-websocket"}`, `{"rel":"urn:xmpp:alt-connections:xbosh","href":"https://meet.example/http-bind"}`},
	} {
		w := ask(p, "GET", target, "203.0.113.1:1000", nil)
		for _, part := range want {
			if !strings.Contains(w.Body.String(), part) {
				t.Errorf("%s: no %s in %s", target, part, w.Body)
			}
		}
		if w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: pages of others cannot read it", target)
		}
	}
	without := newPortal(t, nil)
	if got := ask(without, "GET", "https://meet.example/.well-known/host-meta", "203.0.113.1:1000", nil).Body.String(); strings.Contains(got, "xbosh") {
		t.Errorf("told of what is not there: %s", got)
	}
	if got := ask(without, "POST", "https://meet.example/http-bind", "203.0.113.1:1000", nil); got.Code != http.StatusNotFound && got.Code != http.StatusMethodNotAllowed {
		t.Errorf("without BOSH: %d", got.Code)
	}
}

func TestBOSHTakesAStanzaAndOthersDoNot(t *testing.T) {
	p := newPortal(t, withBOSH)
	for _, c := range []struct {
		method, path string
		size, code   int
		want         string
	}{
		{"POST", "/http-bind?room=r", 250_000, 200, ".. at https://meet.example/http-bind?room=r"},
		{"POST", "/acme/http-bind", 250_000, 200, ".. at https://meet.example/http-bind?prefix=acme"},
		{"POST", "/http-bind", 300_001, 413, ""},
		{"OPTIONS", "/http-bind", 0, 200, " at "},
		{"POST", "/robots.txt", 250_000, 413, ""},
	} {
		w := send(p, c.method, "https://meet.example"+c.path, strings.Repeat("x", c.size))
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %s, %d bytes: %d %s", c.method, c.path, c.size, w.Code, w.Body)
		}
	}
	for path, want := range map[string]int{"/http-bind": 200, "/acme/http-bind": 200, "/conference-request/v1": 403} { // BOSH looks at it itself
		header := http.Header{"Origin": {"https://other.example"}, "Sec-Fetch-Site": {"cross-site"}}
		if w := ask(p, "POST", "https://meet.example"+path, "203.0.113.1:1000", header); w.Code != want {
			t.Errorf("%s asked by a page elsewhere: %d", path, w.Code)
		}
	}
	if w := ask(p, "GET", "https://meet.example/http-bind", "203.0.113.1:1000", nil); w.Code/100 != 4 {
		t.Errorf("GET: %d", w.Code)
	}
}
