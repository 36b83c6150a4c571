package roomserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/internal/peertest"
)

// iceAgent starts an agent beside a STUN server, which is there under another address; it ends with the test.
func iceAgent(t *testing.T, server *peertest.Parley, ip, stun string) *exec.Cmd {
	t.Helper()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("k\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	c := exec.Command(peertest.Built(t), "ice-agent", "--server=http://"+server.HTTP, "--key-file="+key, "--ip="+ip, "--iface=lo", "--probe="+stun,
		"--interval=500ms", "--max-bandwidth=100000000", "--turn-port=3478", "--stun-port=3479", "--username=u")
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.ProcessState == nil {
			c.Process.Kill()
			c.Wait()
		}
		if t.Failed() {
			t.Logf("agent of %s:\n%s", ip, log.String())
		}
	})
	return c
}

// end ends an agent.
func end(t *testing.T, c *exec.Cmd, how syscall.Signal) {
	t.Helper()
	if err := c.Process.Signal(how); err != nil {
		t.Fatal(err)
	}
	c.Wait()
}

// handsOut waits until administrators of a server see these ICE servers, beside its own.
func handsOut(t *testing.T, s *peertest.Parley, key string, want ...string) {
	t.Helper()
	var got []string
	for until := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		r, err := http.NewRequest("GET", "http://"+s.HTTP+"/api/v1/ice", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+key)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var list []struct {
			URLs    []string `json:"urls"`
			Doors   string   `json:"doors"`
			Expires string   `json:"expires"`
		}
		err = json.NewDecoder(res.Body).Decode(&list)
		res.Body.Close()
		if err != nil || res.StatusCode != 200 {
			t.Fatal(res.Status, err)
		}
		got = nil
		for _, one := range list {
			if one.Doors == "roomserver" && one.Expires != "" {
				got = append(got, strings.Join(one.URLs, " "))
			}
		}
		if slices.Equal(got, want) {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%s hands out %q, not %q", s.HTTP, got, want)
		}
	}
}

// Two servers on one database, each with an agent: what registers with one is handed out by the other, until its agent is killed, or
// takes it back.
func TestR15_AgentsOfTwoServersAndOneIsKilled(t *testing.T) {
	url := peertest.OwnPostgres(t).Database(t)
	var nodes [2]*peertest.Parley
	for i := range nodes {
		nodes[i] = peertest.StartParley(t, peertest.ParleyOptions{Args: []string{"--limits=off", "--store=" + url},
			Config: open + "auth = \"none\"\nice_secret = \"k\"\nice_bandwidth = 1\nice_keep_live_timeout = \"8s\"\n"})
	}
	key, err := nodes[0].Command("", "app", "add", "--scope", "admin", "ops")
	if err != nil {
		t.Fatal(err)
	}
	key = strings.Fields(key)[len(strings.Fields(key))-1]
	const first, second = "turn:127.0.0.2:3478 stun:127.0.0.2:3479", "turn:127.0.0.3:3478 stun:127.0.0.3:3479"
	a := iceAgent(t, nodes[0], "127.0.0.2", nodes[0].TURN)
	b := iceAgent(t, nodes[1], "127.0.0.3", nodes[1].TURN)
	for _, n := range nodes {
		handsOut(t, n, key, first, second)
	}
	given := func(s *peertest.Parley, room string) string {
		t.Helper()
		one := join(t, s, room, "u0", "")
		join(t, s, room, "u9", "")
		return fmt.Sprint(one.Await("notifyNewPeer")["rtcConfig"])
	}
	if got := given(nodes[1], "both"); !strings.Contains(got, "turn:127.0.0.2:") && !strings.Contains(got, "turn:127.0.0.3:") {
		t.Errorf("with both there, a pair is given %s", got)
	}
	end(t, a, syscall.SIGKILL)
	for _, n := range nodes {
		handsOut(t, n, key, second)
		if got := given(n, "one"); !strings.Contains(got, "turn:127.0.0.3:") || strings.Contains(got, "127.0.0.2") {
			t.Errorf("with one killed, a pair is given %s", got)
		}
	}
	end(t, b, syscall.SIGTERM)
	for _, n := range nodes {
		handsOut(t, n, key)
	}
}
