package main_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/internal/peertest"
)

// guest logs in over WebSocket as a guest.
func guest(t *testing.T, p *peertest.Parley) *peertest.Client {
	t.Helper()
	c := peertest.DialWS(t, p.HTTP, p.Domain, "/xmpp-websocket?room=r1")
	c.Login("", "")
	return c.Bind("")
}

func TestTwoGuestsMeet(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	a, b := guest(t, p), guest(t, p)

	a.Send("<iq xmlns='jabber:client' type='get' to='" + p.Domain + "' id='ice'><services xmlns='urn:xmpp:extdisco:2'/></iq>")
	services := a.Await("id='ice'", "type='result'")
	_, port, _ := net.SplitHostPort(p.TURN)
	for _, want := range []string{"type='turn' host='127.0.0.1' port='" + port + "' transport='udp'", "transport='tcp'", "type='turns' host='localhost'", "password='"} {
		if !strings.Contains(services, want) {
			t.Errorf("no %s in %s", want, services)
		}
	}
	for i, c := range []*peertest.Client{a, b} {
		c.Send("<iq xmlns='jabber:client' type='set' to='focus." + p.Domain + "' id='conf'><conference xmlns='http://jitsi.org/protocol/focus' room='r1@muc." + p.Domain + "' machine-uid='m'/></iq>")
		c.Await("id='conf'", "type='result'", "ready='true'", "focusjid='focus@auth."+p.Domain+"'")
		c.Send(fmt.Sprintf("<presence xmlns='jabber:client' to='r1@muc.%s/nick%d'><x xmlns='http://jabber.org/protocol/muc'/></presence>", p.Domain, i))
		c.Await("<presence", "status code='110'")
	}
	a.Await("<presence", "/nick1")
	b.Send("<message xmlns='jabber:client' type='groupchat' to='r1@muc." + p.Domain + "'><body>hello</body></message>")
	a.Await("<message", "/nick1", "hello")
}

func TestAccountsLogInOverEveryDoor(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	p.AddUser("ann", "secret")
	plain := peertest.Dial(t, p.XMPP, p.Domain)
	plain.Login("ann", "secret")
	plain.Bind("plain").Ping()
	start := peertest.Dial(t, p.XMPP, p.Domain)
	start.StartTLS(tls.VersionTLS13)
	start.Login("ann", "secret")
	start.Bind("starttls").Ping()
	direct := peertest.DialTLS(t, p.XMPPS, p.Domain, tls.VersionTLS12)
	direct.Login("ann", "secret")
	direct.Bind("direct").Ping()
	if n := p.Metric("parley_sessions", ""); n != 3 {
		t.Errorf("%v sessions", n)
	}
	conn, err := tls.Dial("tcp", p.TURNS, p.TLS())
	if err != nil {
		t.Fatalf("turns: %v", err)
	}
	conn.Close()
}

func TestStopSaysGoodbye(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	c := guest(t, p)
	c.Send("<presence xmlns='jabber:client' to='r1@muc." + p.Domain + "/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	c.Await("<presence", "status code='110'")
	p.Signal(syscall.SIGTERM)
	c.Await("<presence", "type='unavailable'", "status code='332'") // XEP-0045 §17.3
	c.Await("stream:error", "system-shutdown")
	if code := p.Wait(10 * time.Second); code != 0 {
		t.Errorf("exit status %d\n%s", code, p.Log())
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	conn, err := net.Dial("tcp", p.HTTP) // a request that never ends holds the first stop up
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /conference-request/v1 HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", p.HTTP)
	time.Sleep(100 * time.Millisecond)
	p.Signal(syscall.SIGTERM)
	time.Sleep(200 * time.Millisecond)
	if !p.Running() {
		t.Fatal("the first signal did not wait")
	}
	bridge := p.Bridge()
	p.Signal(syscall.SIGTERM)
	if code := p.Wait(2 * time.Second); code != 1 {
		t.Errorf("exit status %d", code)
	}
	for until := time.Now().Add(10 * time.Second); p.Bridge() != 0; time.Sleep(10 * time.Millisecond) {
		if bridge == 0 || time.Now().After(until) {
			t.Fatalf("bridge %d goes on", bridge)
		}
	}
}

func TestOneServerPerDataDirectory(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	_, err := p.Command("", "serve", "--listen", "xmpp://127.0.0.1:0")
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("in use by process %d", p.PID)) {
		t.Errorf("the second server says: %v", err)
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	other := &peertest.Parley{T: t, Path: p.Path, Data: t.TempDir()}
	_, err := other.Command("", "serve", "--listen", "xmpp://"+p.XMPP, "--listen", "turn://"+p.TURN)
	for _, want := range []string{"exit status 1", "xmpp://" + p.XMPP, fmt.Sprintf("taken by %s (process %d)", filepath.Base(p.Path), p.PID), "turn://" + p.TURN, "change listen"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the server says %v, without %q", err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(other.Data, "run.json")); err == nil {
		t.Error("it left run.json")
	}
}

func TestGreetingNamesRoomAndListeners(t *testing.T) {
	peertest.Built(t)
	begin := time.Now()
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	if took := time.Since(begin); took > 10*time.Second { // 2 s on a machine that is not busy
		t.Errorf("it took %v", took)
	}
	for _, want := range []string{p.Page, p.XMPP, p.XMPPS, p.HTTP, p.Admin, p.TURN, p.TURNS, p.Data} {
		if !strings.Contains(p.Log(), want) {
			t.Errorf("no %q in %s", want, p.Log())
		}
	}
	first := room(t, p)
	p.Restart()
	second := room(t, p)
	if len(second) < 13 || second == first {
		t.Errorf("rooms %q and %q are not random of 64 bits", first, second)
	}
}

// room finds the last room that the server has proposed.
func room(t *testing.T, p *peertest.Parley) string {
	t.Helper()
	log := p.Log()
	_, name, ok := strings.Cut(log[strings.LastIndex(log, "Open this page"):], p.Page)
	if !ok {
		t.Fatalf("no room in %s", log)
	}
	name, _, _ = strings.Cut(name, "\n")
	return name
}

func TestHA8SessionsEndWithThePassword(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	for _, command := range []string{"passwd", "disable", "del"} {
		t.Run(command, func(t *testing.T) {
			p.AddUser(command, "secret")
			p.AddUser(command+"2", "secret")
			c, other := peertest.Dial(t, p.XMPP, p.Domain), peertest.Dial(t, p.XMPP, p.Domain)
			c.Login(command, "secret")
			c.Bind("")
			other.Login(command+"2", "secret")
			other.Bind("")
			begin := time.Now()
			if _, err := p.Command("another\n", "user", command, command); err != nil {
				t.Fatal(err)
			}
			c.ExpectEnd("not-authorized")
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			other.Ping()
		})
	}
}

func TestHP6WeakSecretsAreRefused(t *testing.T) {
	for name, config := range map[string]struct{ text, want string }{
		"empty":       {"secrets = [\"\"]", "the secret is empty"},
		"short":       {"secrets = [\"0123456789abcdef0123456789abcde\"]", "31 bytes, and needs 32"},
		"placeholder": {"secrets = [\"changeme-changeme-changeme-changeme\"]", "placeholder"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "parley.toml")
			text := "domain = \"x.example\"\nstore = \"sqlite:" + dir + "/db\"\nlisten = [\"xmpp://0.0.0.0:0\"]\n[[token.issuers]]\nname = \"app\"\naudiences = [\"app\"]\n" + config.text
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			p := &peertest.Parley{T: t, Path: peertest.Built(t), Data: dir}
			if _, err := p.Command("", "serve", "--config", file); err == nil || !strings.Contains(err.Error(), config.want) {
				t.Errorf("the server says %v", err)
			}
			if config.want == "the secret is empty" {
				return // never accepted, also in development
			}
			peertest.StartParley(t, peertest.ParleyOptions{Config: strings.Replace(text, "0.0.0.0", "127.0.0.1", 1)})
		})
	}
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	for _, name := range []string{"secrets.json", "key.pem", "admin.sock", "parley.db"} {
		info, err := os.Stat(filepath.Join(p.Data, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
}

func TestHC3NoNewClientsNearTheLimitOfFiles(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{Files: 120, Args: []string{"--limits=off"}})
	old := guest(t, p)
	full := func() bool { return p.Metric("parley_full", "") == 1 }
	crowd := make([]net.Conn, 0, 200)
	for range cap(crowd) { // more than there are descriptors: the listeners have to outlive it
		c, err := net.Dial("tcp", p.XMPP)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		crowd = append(crowd, c)
	}
	await(t, p, "limit.process")
	time.Sleep(1500 * time.Millisecond) // and for a while
	old.Ping()
	for _, c := range crowd[88:] {
		c.Close()
	}
	for until := time.Now().Add(10 * time.Second); !full() && time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
	}
	if !full() {
		t.Fatal("the server is not full")
	}
	c := peertest.Dial(t, p.XMPP, p.Domain)
	c.Await("stream:error", "resource-constraint")
	if status := get(t, p, "/health/ready").StatusCode; status != http.StatusServiceUnavailable {
		t.Errorf("readiness is %d", status)
	}
	old.Ping()
	for _, c := range crowd {
		c.Close()
	}
	for until := time.Now().Add(10 * time.Second); full() && time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
	}
	guest(t, p).Ping()
}

func TestHF14BadConfigurationAtReload(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{Config: "[log]\nlevel = \"info\"\n"})
	file := filepath.Join(p.Data, "test.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p.Signal(syscall.SIGHUP)
	}
	write("[log]\nlevel = \"debug\"\nlevle = \"info\"\n")
	await(t, p, "config.reject", "test.toml:3: log.levle")
	guest(t, p).Ping()
	write("[log]\nlevel = \"error\"\n[c2s]\nlogin_tries = 5\n")
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		before := len(p.Log())
		p.Signal(syscall.SIGHUP) // at level info a line is written at each
		time.Sleep(200 * time.Millisecond)
		if len(p.Log()) == before {
			break
		}
		if time.Now().After(until) {
			t.Fatal("the level of the log did not change")
		}
	}
}

// await waits until a line of the log holds all parts.
func await(t *testing.T, p *peertest.Parley, parts ...string) {
	t.Helper()
	for until := time.Now().Add(15 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		for line := range strings.Lines(p.Log()) {
			all := true
			for _, part := range parts {
				all = all && strings.Contains(line, part)
			}
			if all {
				return
			}
		}
	}
	t.Fatalf("no line with %q in the log:\n%s", parts, p.Log())
}

func TestLimitsOffOnLoopbackOnly(t *testing.T) {
	p := &peertest.Parley{T: t, Path: peertest.Built(t), Data: t.TempDir()}
	_, err := p.Command("", "serve", "--limits=off", "--listen", "xmpp://0.0.0.0:0", "--domain", "x.example", "--store", "sqlite:"+p.Data+"/db")
	if err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("the server says %v", err)
	}
}
