package roomserver

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// A page of an application, on a host of its own, logs in by HTTP, and is told the server of its room; a page of a stranger is refused.
func TestR17_R34_LoginFromPagesOfAnApplication(t *testing.T) {
	s := start(t, open+"auth = \"none\"\n[[roomserver.app]]\nid = \"shop\"\ndomains = [\"example.co.uk\"]\n[[roomserver.server]]\nurl = \"wss://a.example.net\"\n[[roomserver.server]]\nurl = \"wss://b.example.net\"\n")
	ask := func(method, origin, room string) *http.Response {
		t.Helper()
		r, err := http.NewRequest(method, "http://"+s.HTTP+"/api/login", strings.NewReader(`{"appId":"shop","ip":"192.0.2.1","url":"https://a.example.co.uk/x","sdkInfo":"1","osInfo":"chrome120","time":"1","roomId":"`+room+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", origin)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Content-Type", "application/json")
		if method == "OPTIONS" {
			r.Header.Set("Access-Control-Request-Method", "POST")
			r.Header.Set("Access-Control-Request-Headers", "content-type")
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	const page = "https://a.example.co.uk"
	if res := ask("OPTIONS", page, ""); res.StatusCode != 204 || res.Header.Get("Access-Control-Allow-Origin") != page || !strings.Contains(res.Header.Get("Access-Control-Allow-Headers"), "Content-Type") {
		t.Errorf("preflight: %s %v", res.Status, res.Header)
	}
	told := make(map[string]bool)
	for i := range 32 {
		res := ask("POST", page, strings.Repeat("r", i+1))
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 200 || res.Header.Get("Access-Control-Allow-Origin") != page || !strings.Contains(string(body), `"result":0`) {
			t.Fatalf("%s %v %s %v", res.Status, res.Header, body, err)
		}
		for _, server := range []string{"wss://a.example.net/rs/ws", "wss://b.example.net/rs/ws"} {
			if strings.Contains(string(body), `"roomServer":"`+server+`"`) {
				told[server] = true
			}
		}
	}
	if len(told) != 2 {
		t.Errorf("rooms are at %v", told)
	}
	for _, method := range []string{"POST", "OPTIONS"} {
		if res := ask(method, "https://evil.example", ""); res.StatusCode != 403 || res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s of a stranger: %s %v", method, res.Status, res.Header)
		}
	}
}
