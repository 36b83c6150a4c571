package peertest

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestParleyStartsStopsAndKeepsItsPorts(t *testing.T) {
	p := StartParley(t, ParleyOptions{})
	for _, addr := range []string{p.XMPP, p.XMPPS, p.HTTP, p.Admin, p.Media, p.TURN, p.TURNS} {
		if addr == "" {
			t.Fatalf("an address is missing: %+v", p)
		}
	}
	before := *p
	p.Kill()
	if p.Running() {
		t.Error("it runs after Kill")
	}
	p.Restart()
	if p.XMPP != before.XMPP || p.HTTP != before.HTTP || p.Media != before.Media || p.TURN != before.TURN || p.PID == before.PID {
		t.Errorf("it came back elsewhere: %+v, before %+v", p, before)
	}
	p.AddUser("ann", "secret")
	if list, err := p.Command("", "user", "list"); err != nil || list != "ann@localhost\n" {
		t.Errorf("user list: %q %v", list, err)
	}
	if n := p.Metric("parley_sessions", ""); n != 0 {
		t.Errorf("%v sessions", n)
	}
	bridge := p.Bridge()
	if bridge == 0 || bridge == p.PID {
		t.Errorf("the bridge is process %d, the server %d", bridge, p.PID)
	}
	p.KillBridge()
	for until := time.Now().Add(10 * time.Second); p.Bridge() == bridge || p.Bridge() == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("no other bridge is started")
		}
	}
	p.Stop()
	if p.Bridge() != 0 {
		t.Error("the bridge is left")
	}
	if _, err := os.Stat(filepath.Join(p.Data, "run.json")); err == nil {
		t.Error("run.json is left")
	}
}
