package ice

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest/need"
)

//go:embed testdata/chromium.html
var page []byte

// chromium is a browser whose page asks for orders, one after the other.
type chromium struct {
	t       *testing.T
	orders  chan order
	replies chan reply
}

// order is what the page is asked to do: offer, answer to SDP, take SDP, wait for an ICE state, close.
type order struct {
	Do  string `json:"do"`
	SDP string `json:"sdp"`
}

type reply struct {
	Result string `json:"result"`
	SDP    string `json:"sdp"`
}

func newChromium(t *testing.T) *chromium {
	t.Helper()
	path := need.Program(t, "chromium")
	c := &chromium{t: t, orders: make(chan order), replies: make(chan reply, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { w.Write(page) })
	mux.HandleFunc("GET /order", func(w http.ResponseWriter, r *http.Request) {
		select {
		case o := <-c.orders:
			json.NewEncoder(w).Encode(o)
		case <-ctx.Done():
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST /reply", func(w http.ResponseWriter, r *http.Request) {
		var got reply
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&got); err != nil {
			got.Result = err.Error()
		}
		c.replies <- got
	})
	server := httptest.NewServer(mux)
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns", "--user-data-dir="+dir, server.URL+"/")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		cancel()
		server.CloseClientConnections()
		server.Close()
		log.Close()
		time.Sleep(300 * time.Millisecond) // its children write to the folder until they notice
	})
	return c
}

// do gives an order and returns the SDP of the reply.
func (c *chromium) do(what, sdp string) string {
	c.t.Helper()
	timeout := time.After(60 * time.Second)
	select {
	case c.orders <- order{what, sdp}:
	case <-timeout:
		c.t.Fatal("the browser takes no orders")
	}
	select {
	case r := <-c.replies:
		if r.Result != "ok" {
			c.t.Fatalf("%s: %s", what, r.Result)
		}
		return r.SDP
	case <-timeout:
		c.t.Fatalf("%s: the browser says nothing", what)
	}
	return ""
}

// sdp describes the bridge for one data channel.
func (b *live) sdp(setup string) string {
	c, _ := b.agent.Local()
	lines := []string{"v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0", "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
		"c=IN IP4 0.0.0.0", "a=mid:0", "a=sctp-port:5000", "a=setup:" + setup, "a=ice-ufrag:" + c.Ufrag, "a=ice-pwd:" + c.Pwd,
		"a=fingerprint:sha-256 " + strings.TrimSuffix(strings.Repeat("AB:", 32), ":")}
	for _, l := range b.server.Candidates() {
		s := fmt.Sprintf("a=candidate:%s %d %s %d %s %d typ %s", l.Foundation, l.Component, l.Protocol, l.Priority, l.Address, l.Port, l.Type)
		if l.TCPType != "" {
			s += " tcptype " + l.TCPType
		}
		lines = append(lines, s)
	}
	return strings.Join(lines, "\r\n") + "\r\n"
}

// hear takes the credentials of the browser's SDP, and none of its candidates.
func (b *live) hear(sdp string) {
	b.t.Helper()
	find := func(name string) string {
		m := regexp.MustCompile(`(?m)^a=` + name + `:(\S+)`).FindStringSubmatch(sdp)
		if m == nil {
			b.t.Fatalf("no %s in %s", name, sdp)
		}
		return m[1]
	}
	b.remote(find("ice-ufrag"), find("ice-pwd"))
}

func TestChromium(t *testing.T) {
	c := newChromium(t)
	for _, x := range []struct {
		name        string
		offers      bool // the browser, so that it controls
		controlling bool // the bridge
	}{
		{"answers, as in a Jitsi call", false, true},
		{"offers, as by WHIP", true, false},
		{"offers and the bridge controls too", true, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			c.t = t
			b := run(t, x.controlling)
			var at time.Time
			if x.offers {
				b.hear(c.do("offer", ""))
				at = time.Now()
				c.do("take", b.sdp("passive"))
			} else {
				answer := c.do("answer", b.sdp("actpass"))
				at = time.Now()
				b.hear(answer)
			}
			b.await(Connected, 1)
			t.Logf("connected after %v", time.Since(at).Round(time.Millisecond))
			c.do("wait", "")
			b.await(hello, 1)
			if p, ok := b.agent.Selected(); !ok || p.Transport != UDP {
				t.Errorf("path %v", p)
			}
			if !x.offers { // restart
				if _, err := b.agent.Restart(b.now()); err != nil {
					t.Fatal(err)
				}
				b.hear(c.do("answer", b.sdp("actpass")))
				b.await(Selected, 1)
				c.do("wait", "")
				if p, ok := b.agent.Selected(); !ok || p.Transport != UDP {
					t.Errorf("path %v", p)
				}
			}
			// It stays.
			time.Sleep(time.Second)
			c.do("wait", "")
			if state, _, _ := b.agent.State(); state != Up {
				t.Error(state)
			}
			n := b.server.Counts()
			t.Logf("%+v", n)
			if n.Malformed+n.Limited+n.Unknown > 0 {
				t.Errorf("refused: %+v", n)
			}
			c.do("close", "")
			b.close()
			b.agent.Close()
		})
	}
}
