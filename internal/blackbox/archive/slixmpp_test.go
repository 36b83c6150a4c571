package archive

import (
	"context"
	"encoding/json"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

// TestSlixmppFindsWhatWasSaid: another project's library reads the archives of an account and of a room, page by page. What
// each step means is in testdata/mam.py.
func TestSlixmppFindsWhatWasSaid(t *testing.T) {
	python := peertest.NeedPython(t, "slixmpp")
	server := peertest.StartParley(t, peertest.ParleyOptions{})
	server.AddUser("ann", "ann-password")
	server.AddUser("bob", "bob-password")
	host, port, err := net.SplitHostPort(server.XMPP)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, python, "testdata/mam.py", host, port, "localhost", server.Certificate, "coven@muc.localhost").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var steps []string
	for line := range strings.Lines(string(out)) {
		var s struct{ Step string }
		if json.Unmarshal([]byte(line), &s) == nil && s.Step != "" {
			steps = append(steps, s.Step)
		}
	}
	if got, want := strings.Join(steps, " "), "login discovery archive preferences room done"; got != want {
		t.Errorf("steps %s, want %s\n%s", got, want, out)
	}
}
