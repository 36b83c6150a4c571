// Package clients lets real XMPP clients talk through the binary: those that Debian packages.
package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

// TestSlixmppRoomOfTwenty: 20 clients log in over STARTTLS, chat, meet in a room and change affiliations. What each step
// means is in testdata/room.py.
func TestSlixmppRoomOfTwenty(t *testing.T) {
	python := peertest.NeedPython(t, "slixmpp")
	const count = 20
	server := peertest.StartParley(t, peertest.ParleyOptions{})
	for i := range count {
		server.AddUser(fmt.Sprint("u", i), fmt.Sprintf("u%d-password", i))
	}
	runScript(t, python, "login chat discovery joined groupchat subject affiliations done", "testdata/room.py", server, "twenty@muc.localhost", fmt.Sprint(count))
}

// TestSlixmppFriends: two clients log in as the library does by itself, become contacts, see an avatar, and one finds what was
// written to it while it was away. What each step means is in testdata/friends.py.
func TestSlixmppFriends(t *testing.T) {
	python := peertest.NeedPython(t, "slixmpp")
	server := peertest.StartParley(t, peertest.ParleyOptions{})
	server.AddUser("ann", "ann-password")
	server.AddUser("bob", "bob-password")
	runScript(t, python, "login roster avatar away done", "testdata/friends.py", server)
}

// runScript runs a script against a server and wants it to print these steps.
func runScript(t *testing.T, python, want, script string, server *peertest.Parley, args ...string) {
	t.Helper()
	host, port, err := net.SplitHostPort(server.XMPP)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, python, append([]string{script, host, port, "localhost", server.Certificate}, args...)...).CombinedOutput()
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
	if got := strings.Join(steps, " "); got != want {
		t.Errorf("steps %s, want %s\n%s", got, want, out)
	}
}
