package network

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// script is a program for the shell.
func script(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAServerThatDoesNotStartSaysWhy(t *testing.T) {
	s, err := newServer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	never := func() (bool, error) { return false, nil }
	err = s.run(t.Context(), nil, never, "/bin/sh", script(t, "echo no such key: $1 >&2\nexit 3\n"), "--config")
	if err == nil || !strings.Contains(err.Error(), "ended while it started") || !strings.Contains(err.Error(), "no such key: --config") {
		t.Error(err)
	}
	if _, err := os.Stat(s.data); !os.IsNotExist(err) {
		t.Errorf("its data are left behind: %v", err)
	}
}

// The program heeds a second signal alone, as LiveKit does while somebody is in a room.
func TestAServerIsToldToEndAgain(t *testing.T) {
	s, err := newServer(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s.again = livekitAgain
	ready := filepath.Join(t.TempDir(), "ready")
	listens := func() (bool, error) {
		_, err := os.Stat(ready)
		return err == nil, nil
	}
	program := script(t, "n=0\ntrap 'n=$((n+1)); [ $n = 2 ] && exit 0' TERM\n: >"+ready+"\nwhile :; do sleep 0.1 & wait $!; done\n")
	if err := s.run(t.Context(), nil, listens, "/bin/sh", program); err != nil {
		t.Fatal(err)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

func TestTheConfigurationOfLiveKitIsItsBest(t *testing.T) {
	text := fmt.Sprintf(livekitConfiguration, livekitPort, livekitMediaPort, address(0), livekitKey, livekitSecret)
	for _, line := range []string{"port: 7880", "  udp_port: 7882", "  node_ip: 10.78.0.1", "    use_send_side_bwe: true", "    allow_pause: true", "  bench: " + livekitSecret} {
		if !strings.Contains(text, "\n"+line+"\n") && !strings.HasPrefix(text, line+"\n") {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
	if len(livekitSecret) < 32 {
		t.Error("LiveKit warns of such a secret")
	}
}
