package iceagent

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/stun"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parley stands for the server.
type parley struct {
	*httptest.Server
	mu         sync.Mutex
	said       []map[string]any
	registered bool
	down       bool
}

func newParley(t *testing.T) *parley {
	p := &parley{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if r.Header.Get("X-Ice-Key") != "k" || r.URL.Path != "/api/ice" || p.down {
			http.Error(w, "forbidden", http.StatusForbidden)
			return
		}
		m := make(map[string]any)
		json.NewDecoder(r.Body).Decode(&m)
		p.said = append(p.said, m)
		answer := "successful"
		switch m["cmd"] {
		case "iceRegister":
			if p.registered {
				answer = "ice_have_registered"
			}
			p.registered = true
		case "iceReportRxTxRate":
			if !p.registered {
				answer = "ice_no_found"
			}
		case "iceDeregister":
			p.registered = false
		}
		io.WriteString(w, answer)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *parley) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// until waits until something is so of what the server was told.
func (p *parley) until(t *testing.T, what string, is func(said []map[string]any) bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		p.mu.Lock()
		ok := is(p.said)
		p.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: it has not come to that; said: %v", what, p.said)
		}
	}
}

func count(said []map[string]any, cmd string) (n int) {
	for _, m := range said {
		if m["cmd"] == cmd {
			n++
		}
	}
	return n
}

// coturn stands for the STUN server. It answers while it is told to, and with something else before.
type coturn struct {
	net.PacketConn
	mu     sync.Mutex
	silent bool
}

func newCoturn(t *testing.T) *coturn {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &coturn{PacketConn: conn}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		b := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			var m stun.Message
			c.mu.Lock()
			silent := c.silent
			c.mu.Unlock()
			if m.Parse(b[:n], stun.TURN) != nil || m.Method != stun.Binding || silent {
				continue
			}
			conn.WriteTo([]byte("something else"), from)
			w := stun.Write(nil, stun.Binding, stun.Success, m.ID)
			w.Addr(stun.XORMappedAddress, netip.MustParseAddrPort(from.String()))
			conn.WriteTo(w.Buffer(), from)
		}
	}()
	t.Cleanup(func() { conn.Close(); <-gone })
	return c
}

func (c *coturn) silence(yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.silent = yes
}

func settings(p *parley, c *coturn) Config {
	return Config{Server: p.URL, Key: "k", Interval: 100 * time.Millisecond, IP: netip.MustParseAddr("127.0.0.1"), TurnPort: 3478, MaxBandwidth: 1000,
		StunPort: int(c.LocalAddr().(*net.UDPAddr).Port), Username: "u", Credential: "c"}
}

var quiet = slog.New(slog.DiscardHandler)

// start runs an agent until the test ends, or it is stopped.
func start(t *testing.T, cfg Config, fate func(bool, string)) (stop func()) {
	t.Helper()
	a, err := New(cfg, quiet, fate)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.Run(ctx)
	}()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return stop
}

func TestR15_AnAgentRegistersReportsAndTakesBack(t *testing.T) {
	t.Parallel()
	p, c := newParley(t), newCoturn(t)
	stop := start(t, settings(p, c), nil)
	p.until(t, "it reports", func(said []map[string]any) bool { return count(said, "iceReportRxTxRate") > 1 })
	p.set(func() {
		m := p.said[0]
		if m["cmd"] != "iceRegister" || m["ip"] != "127.0.0.1" || m["turnPort"] != 3478.0 || m["maxBandwidth"] != 1000.0 || m["username"] != "u" || m["credential"] != "c" || m["rtcpMuxPolicy"] != "require" {
			t.Errorf("it registers with %v", m)
		}
		p.registered, p.said = false, nil // the server was started anew
	})
	p.until(t, "it registers again", func(said []map[string]any) bool { return count(said, "iceRegister") == 1 })
	p.set(func() { p.down, p.said = true, nil })
	time.Sleep(3 * settings(p, c).Interval) // it may fail for a while
	p.set(func() { p.down = false })
	p.until(t, "it goes on", func(said []map[string]any) bool { return count(said, "iceReportRxTxRate") > 1 })
	stop()
	p.set(func() {
		if m := p.said[len(p.said)-1]; m["cmd"] != "iceDeregister" || p.registered {
			t.Errorf("at the end: %v", m)
		}
	})
}

// A server that does not answer is taken back, and registered again when it does; both are told.
func TestR15_AServerThatDoesNotAnswerIsTakenBack(t *testing.T) {
	t.Parallel()
	p, c := newParley(t), newCoturn(t)
	fates := make(chan bool, 9)
	start(t, settings(p, c), func(up bool, detail string) {
		if detail == "" {
			t.Error("nothing is said of it")
		}
		fates <- up
	})
	fate := func(want bool) {
		t.Helper()
		select {
		case up := <-fates:
			if up != want {
				t.Errorf("up: %t", up)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("it is not told")
		}
	}
	p.until(t, "it registers", func(said []map[string]any) bool { return count(said, "iceReportRxTxRate") > 0 })
	c.silence(true)
	fate(false)
	p.until(t, "it is taken back", func(said []map[string]any) bool { return count(said, "iceDeregister") == 1 && !p.registered })
	c.silence(false)
	fate(true)
	p.until(t, "it is there again", func(said []map[string]any) bool { return count(said, "iceRegister") == 2 && p.registered })
}

// One that never answered is never registered.
func TestR15_AServerThatIsNotThereIsNotRegistered(t *testing.T) {
	t.Parallel()
	p, c := newParley(t), newCoturn(t)
	c.silence(true)
	fates := make(chan bool, 9)
	start(t, settings(p, c), func(up bool, _ string) { fates <- up })
	select {
	case up := <-fates:
		if up {
			t.Error("it is told as there")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it is not told")
	}
	p.set(func() {
		if len(p.said) != 0 {
			t.Errorf("%v", p.said)
		}
	})
}

func TestRatesAreThoseOfTheCounters(t *testing.T) {
	folder := t.TempDir()
	dir := filepath.Join(folder, "eth9", "statistics")
	os.MkdirAll(dir, 0o700)
	write := func(rx, tx string) {
		os.WriteFile(filepath.Join(dir, "rx_bytes"), []byte(rx+"\n"), 0o600)
		os.WriteFile(filepath.Join(dir, "tx_bytes"), []byte(tx+"\n"), 0o600)
	}
	m := meter{read: func() (counters, error) { return readCounters(folder, "eth9") }}
	now := time.Unix(1000, 0)
	for i, c := range []struct {
		rx, tx string
		after  time.Duration
		want   [2]int
	}{
		{"500", "18446744073709551000", 0, [2]int{0, 0}}, // nothing to compare with
		{"1000500", "18446744073709551615", 2 * time.Second, [2]int{4000, 2}},
		{"1000500", "250000", time.Second, [2]int{0, 2000}}, // it has begun anew
		{"18446744073709551615", "250000", time.Second, [2]int{1<<31 - 1, 0}},
		{"18446744073709551615", "250000", 0, [2]int{0, 0}},
	} {
		write(c.rx, c.tx)
		now = now.Add(c.after)
		if rx, tx, err := m.rates(now); err != nil || [2]int{rx, tx} != c.want {
			t.Errorf("%d: %d %d %v, want %v", i, rx, tx, err, c.want)
		}
	}
	write("x", "1")
	if _, _, err := m.rates(now); err == nil {
		t.Error("x is a number")
	}
	for _, name := range []string{"", ".", "..", "../eth9", "none"} {
		if _, err := readCounters(folder, name); err == nil {
			t.Errorf("%q has counters", name)
		}
	}
}

func TestAgentsThatCannotBe(t *testing.T) {
	good := Config{Server: "https://x.net", Key: "k", Interval: time.Second, IP: netip.MustParseAddr("192.0.2.1"), TurnPort: 1, MaxBandwidth: 1, Iface: "lo"}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"server": func(c *Config) { c.Server = "ftp://x.net" }, "plain": func(c *Config) { c.Server = "http://x.net" }, "user": func(c *Config) { c.Server = "https://u@x.net" },
		"key": func(c *Config) { c.Key = "" }, "interval": func(c *Config) { c.Interval = 0 }, "ip": func(c *Config) { c.IP = netip.Addr{} },
		"any": func(c *Config) { c.IP = netip.IPv4Unspecified() }, "ports": func(c *Config) { c.TurnPort = 0 }, "port": func(c *Config) { c.StunPort = 1 << 16 },
		"bandwidth": func(c *Config) { c.MaxBandwidth = 0 },
	} {
		c := good
		change(&c)
		if c.Check() == nil {
			t.Errorf("%s is taken", name)
		}
	}
	good.Server = "http://127.0.0.1:8080"
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	good.Iface = "no such"
	if _, err := New(good, quiet, nil); err == nil || !strings.Contains(err.Error(), "no such") {
		t.Error(err)
	}
	good.Iface = "" // and nothing here has the address
	if _, err := New(good, quiet, nil); err == nil {
		t.Error("an interface is found")
	}
}

func FuzzAnswer(f *testing.F) {
	id := stun.ID{1, 2, 3}
	for _, class := range []stun.Class{stun.Request, stun.Success, stun.Failure} {
		w := stun.Write(nil, stun.Binding, class, id)
		f.Add(w.Buffer())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if answer(b, id) && (len(b) < 20 || string(b[8:20]) != string(id[:])) {
			t.Errorf("%x is an answer", b)
		}
	})
}
