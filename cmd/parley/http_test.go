package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

// get reads a path of the public listener.
func get(t *testing.T, p *peertest.Parley, path string) *http.Response {
	t.Helper()
	return request(t, p.HTTP, "GET "+path+" HTTP/1.1\r\nHost: "+p.HTTP+"\r\n\r\n")
}

// request sends bytes on a connection of its own and reads one answer, whose body is read.
func request(t *testing.T, addr, text string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(conn, text)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%.200q: %v", text, err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body = io.NopCloser(strings.NewReader(string(body)))
	return res
}

func body(res *http.Response) string {
	b, _ := io.ReadAll(res.Body)
	return string(b)
}

func TestPageAndRooms(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	index := body(get(t, p, "/"))
	if !strings.Contains(index, "<html") || body(get(t, p, "/some-room")) != index || body(get(t, p, "/caf%C3%A9")) != index {
		t.Error("the page is not served for the lobby and for rooms")
	}
	var info struct{ Domain, MUC, Focus, WebSocket string }
	if err := json.Unmarshal([]byte(body(get(t, p, "/page.json"))), &info); err != nil || info.MUC != "muc.localhost" || info.Focus != "focus.localhost" || info.WebSocket != "/xmpp-websocket" {
		t.Errorf("page.json: %+v %v", info, err)
	}
	if got := body(get(t, p, "/.well-known/host-meta")); !strings.Contains(got, `href="ws://`+p.HTTP+`/xmpp-websocket"`) ||
		!strings.Contains(got, `rel="urn:xmpp:alt-connections:xbosh" href="http://`+p.HTTP+`/http-bind"`) {
		t.Errorf("host-meta: %s", got)
	}
	var meta struct{ Links []struct{ Rel, Href string } }
	res := get(t, p, "/.well-known/host-meta.json")
	if err := json.Unmarshal([]byte(body(res)), &meta); err != nil || len(meta.Links) != 2 || meta.Links[0].Href != "ws://"+p.HTTP+"/xmpp-websocket" || meta.Links[1].Href != "http://"+p.HTTP+"/http-bind" {
		t.Errorf("host-meta.json: %+v %v", meta, err)
	}
	if res.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error("pages of others cannot read host-meta.json")
	}
	if res := get(t, p, "/xmpp-websocket"); res.StatusCode/100 != 2 {
		t.Errorf("GET without upgrade: %s", res.Status)
	}
	c := peertest.DialWS(t, p.HTTP, p.Domain, "/acme/xmpp-websocket?room=r1")
	c.Login("", "")
	c.Bind("").Ping()
	for _, path := range []string{"/health/live", "/health/ready"} {
		if res := get(t, p, path); res.StatusCode != http.StatusOK || body(res) != "ok\n" {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}

func TestConferenceRequestOverHTTP(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	const content = `{"room":"r1@muc.localhost","machineUid":"m","properties":{}}`
	res := request(t, p.HTTP, fmt.Sprintf("POST /conference-request/v1 HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", p.HTTP, len(content), content))
	if got := body(res); res.StatusCode != http.StatusOK || !strings.Contains(got, `"focusJid":"focus@auth.localhost"`) {
		t.Errorf("%s %s", res.Status, got)
	}
}

func TestHW1PathTricks(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	for _, path := range []string{
		"/static/../page.json", "/static/%2e%2e/page.json", "/%2e%2e/%2e%2e/etc/passwd", "/static/..%2fpage.json", "/static%2findex.html",
		"/%u002e%u002e/x", "//page.json", "/static//index.html", "/page.json;x=1", "/static/..;/page.json", "/static\\index.html", "/static/%5c..%5cpage.json",
		"/health/./live", "/health//live", "/HEALTH/live", "/Page.json", "/PAGE.JSON", "/%2fmetrics", "/%252e%252e/x", "/room%00", "/room%0d%0aX", "/static/", "/static",
		"/metrics", "/Metrics", "/debug", "/admin/", "/Admin", "/admin/metrics", "/.git", "/.env", "/a/b", "/a/b/c", "/room/", "/rs", "/rs/", "/rs//", "/rs/ws", "/health", "/config.js", "*", "http:x",
	} {
		t.Run(strings.ReplaceAll(path, "/", "_"), func(t *testing.T) {
			res := get(t, p, path)
			if res.StatusCode != http.StatusNotFound && res.StatusCode != http.StatusBadRequest && res.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %s %s", path, res.Status, res.Header.Get("Location"))
			}
			if res.Header.Get("Location") != "" {
				t.Errorf("%s is redirected to %s", path, res.Header.Get("Location"))
			}
		})
	}
	if p.Metric("parley_reject_total", `event="http.path"`) == 0 {
		t.Error("nothing was counted")
	}
}

func TestHW2ForeignPages(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{Config: "[http]\norigins = [\"https://meet.example.org\"]\n"})
	const content = `{"room":"r1@muc.localhost","properties":{}}`
	post := func(headers string) *http.Response {
		return request(t, p.HTTP, fmt.Sprintf("POST /conference-request/v1 HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s", p.HTTP, headers, len(content), content))
	}
	for name, headers := range map[string]string{
		"fetch metadata":  "Sec-Fetch-Site: cross-site\r\n",
		"same site":       "Sec-Fetch-Site: same-site\r\n",
		"origin":          "Origin: https://evil.example\r\n",
		"null origin":     "Origin: null\r\n",
		"both, forged":    "Sec-Fetch-Site: cross-site\r\nOrigin: https://evil.example\r\n",
		"port is another": "Origin: http://127.0.0.1:1\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			res := post(headers)
			if res.StatusCode != http.StatusForbidden {
				t.Errorf("%s", res.Status)
			}
			if res.Header.Get("Access-Control-Allow-Origin") != "" || res.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("the answer may be read: %v", res.Header)
			}
		})
	}
	for name, headers := range map[string]string{
		"own page":       "Sec-Fetch-Site: same-origin\r\nOrigin: http://" + p.HTTP + "\r\n",
		"no browser":     "",
		"trusted origin": "Sec-Fetch-Site: cross-site\r\nOrigin: https://meet.example.org\r\n",
	} {
		if res := post(headers); res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %s", name, res.Status, body(res))
		}
	}
	h := get(t, p, "/room").Header
	if !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || h.Get("X-Frame-Options") != "DENY" {
		t.Errorf("the page may be framed: %v", h)
	}
	ws := peertest.Dial(t, p.HTTP, p.Domain)
	if res := ws.Upgrade("/xmpp-websocket", "Origin: https://evil.example"); res.StatusCode != http.StatusForbidden {
		t.Errorf("HC8 WebSocket of a foreign page: %s", res.Status)
	}
	if p.Metric("parley_reject_total", `event="http.csrf"`) == 0 {
		t.Error("nothing was counted")
	}
}

func TestHW4TextOfPeersIsNoMarkup(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	const script = "<script>alert(1)</script>"
	for _, path := range []string{"/%3Cscript%3Ealert(1)%3C/script%3E", "/%3Cscript%3Ealert(1)", "/x?jwt=" + "%3Cscript%3Ealert(1)%3C/script%3E", "/static/%3Cscript%3E", "/.well-known/%22%3E%3Cscript%3E"} {
		res := get(t, p, path)
		if text := body(res); strings.Contains(text, script) || strings.Contains(text, "alert(1)") {
			t.Errorf("%s is reflected: %s", path, text)
		}
	}
	policy := get(t, p, "/").Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'self'") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "base-uri 'none'") {
		t.Errorf("policy %s", policy)
	}
	if strings.Contains(body(get(t, p, "/")), "<script>") {
		t.Error("the page has inline scripts, which the policy forbids")
	}
	for _, path := range []string{"/", "/static/icon.svg", "/page.json", "/nosuch/x", "/health/live"} {
		if h := get(t, p, path).Header; h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

func TestHW8NothingOfTheInsideIsPublic(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/health", "/health/", "/health/details"} {
		if res := get(t, p, path); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
	if got := body(get(t, p, "/health/ready")); got != "ok\n" {
		t.Errorf("health says %q", got)
	}
	admin := func(path, host string) *http.Response {
		return request(t, p.Admin, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
	}
	if got := body(admin("/health/ready", p.Admin)); !strings.Contains(got, `"store":"ok"`) {
		t.Errorf("the administrator is told %s", got)
	}
	if got := body(admin("/metrics", p.Admin)); !strings.Contains(got, "parley_sessions 0") || !strings.Contains(got, "go_goroutines") {
		t.Error("metrics are missing")
	}
	if res := admin("/debug/pprof/goroutine?debug=1", p.Admin); res.StatusCode != http.StatusOK {
		t.Errorf("profiles: %s", res.Status)
	}
	if res := admin("/metrics", "rebound.example"); res.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("by another name: %s", res.Status)
	}
}

func TestHW9SlowAndLargeRequests(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{Config: "[http]\nheader_timeout = \"1s\"\nbody_timeout = \"2s\"\n"})
	socket := guest(t, p) // outlives the time limits of requests
	begin := "GET / HTTP/1.1\r\nHost: " + p.HTTP + "\r\n"
	t.Run("header of 17 KiB", func(t *testing.T) {
		if res := request(t, p.HTTP, begin+"X: "+strings.Repeat("x", 17<<10)+"\r\n\r\n"); res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Error(res.Status)
		}
	})
	t.Run("header of 12 KiB", func(t *testing.T) {
		if res := request(t, p.HTTP, begin+"X: "+strings.Repeat("x", 12<<10)+"\r\n\r\n"); res.StatusCode != http.StatusOK {
			t.Error(res.Status)
		}
	})
	t.Run("slow header", func(t *testing.T) {
		conn, err := net.Dial("tcp", p.HTTP)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, begin)
		started := time.Now()
		conn.SetReadDeadline(started.Add(10 * time.Second))
		go func() {
			for range 20 {
				time.Sleep(200 * time.Millisecond)
				io.WriteString(conn, "X: y\r\n")
			}
		}()
		io.Copy(io.Discard, conn)
		if took := time.Since(started); took > 5*time.Second {
			t.Errorf("closed after %v", took)
		}
	})
	post := "POST /conference-request/v1 HTTP/1.1\r\nHost: " + p.HTTP + "\r\nContent-Type: application/json\r\n"
	t.Run("body of 65 KiB", func(t *testing.T) {
		if res := request(t, p.HTTP, post+fmt.Sprintf("Content-Length: %d\r\n\r\n{", 65<<10)); res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Error(res.Status)
		}
	})
	t.Run("slow body", func(t *testing.T) {
		started := time.Now()
		conn, err := net.Dial("tcp", p.HTTP)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, post+"Content-Length: 100\r\n\r\n{")
		conn.SetReadDeadline(started.Add(10 * time.Second))
		io.Copy(io.Discard, conn)
		if took := time.Since(started); took > 6*time.Second {
			t.Errorf("closed after %v", took)
		}
	})
	t.Run("two lengths", func(t *testing.T) {
		smuggled := "0\r\n\r\nGET /page.json HTTP/1.1\r\nHost: " + p.HTTP + "\r\n\r\n"
		for _, headers := range []string{
			fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n", len(smuggled)),
			fmt.Sprintf("Transfer-Encoding: chunked\r\nContent-Length: %d\r\n", len(smuggled)),
			"Transfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked, identity\r\n", "Transfer-Encoding: xchunked\r\n",
			"Content-Length: 1\r\nContent-Length: 2\r\n", "Content-Length: +5\r\n", "Content-Length: 5, 5\r\n",
		} {
			conn, err := net.Dial("tcp", p.HTTP)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(conn, post+headers+"\r\n"+smuggled)
			conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			answer, _ := io.ReadAll(conn)
			conn.Close()
			if n := strings.Count(string(answer), "HTTP/1.1 "); n != 1 || !strings.HasPrefix(string(answer), "HTTP/1.1 4") && !strings.HasPrefix(string(answer), "HTTP/1.1 501") {
				t.Errorf("%q: %d answers: %.300q", headers, n, answer)
			}
		}
	})
	t.Run("HTTP/2 by prior knowledge", func(t *testing.T) {
		conn, err := net.Dial("tcp", p.HTTP)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		answer, _ := io.ReadAll(conn)
		if len(answer) > 0 && !strings.HasPrefix(string(answer), "HTTP/1.1 ") {
			t.Errorf("%.100q", answer)
		}
	})
	if res := get(t, p, "/health/live"); res.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %s", res.Status)
	}
	socket.Ping()
}

func TestHW11OtherHosts(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{Config: "[http]\nhosts = [\"meet.example.org\"]\n"})
	ask := func(host string) *http.Response {
		return request(t, p.HTTP, "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
	}
	for _, host := range []string{"evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "10.1.2.3", "[::2]", "meet.example.org:x", "meet.example.org:80:80", "a@localhost", "localhost/x"} {
		res := ask(host)
		if res.StatusCode != http.StatusMisdirectedRequest && res.StatusCode != http.StatusBadRequest && res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", host, res.Status)
		}
		if text := body(res); strings.Contains(text, "evil") {
			t.Errorf("%s is reflected: %s", host, text)
		}
	}
	for _, host := range []string{"evil.example"} {
		if res := ask(host); res.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s: %s", host, res.Status)
		}
	}
	for _, host := range []string{"localhost", "LOCALHOST:1", "x.localhost", "127.0.0.1", "127.0.0.1:80", "[::1]", "meet.example.org", "meet.example.org:443", "meet.example.org."} {
		if res := ask(host); res.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", host, res.Status)
		}
	}
}

func TestHC2ConnectionsOfOneSource(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{Config: "[http]\nopen = 5\n"})
	var open []net.Conn
	for range 5 {
		c, err := net.Dial("tcp", p.HTTP)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open = append(open, c)
	}
	time.Sleep(100 * time.Millisecond)
	if res := get(t, p, "/"); res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" {
		t.Errorf("the sixth: %s", res.Status)
	}
	for _, c := range open {
		c.Close()
	}
	time.Sleep(200 * time.Millisecond)
	for range 5 { // WebSockets do not count
		guest(t, p).Ping()
	}
	if res := get(t, p, "/"); res.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %s", res.Status)
	}
}

func TestHC6ForwardedForIsBelievedOfProxiesOnly(t *testing.T) {
	for name, c := range map[string]struct{ config, want string }{
		"untrusted": {"", "remote=127.0.0.1"},
		"trusted":   {"[http]\nproxies = [\"127.0.0.1/32\"]\n", "remote=203.0.113.7"},
	} {
		t.Run(name, func(t *testing.T) {
			p := peertest.StartParley(t, peertest.ParleyOptions{Config: c.config})
			res := request(t, p.HTTP, "GET /xmpp-websocket HTTP/1.1\r\nHost: "+p.HTTP+"\r\nOrigin: https://evil.example\r\nX-Forwarded-For: 198.51.100.1, 203.0.113.7\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			if res.StatusCode != http.StatusForbidden {
				t.Error(res.Status)
			}
			await(t, p, "ws.reject", c.want)
		})
	}
}
