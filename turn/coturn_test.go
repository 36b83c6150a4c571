package turn

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

// TestCoturnClient lets coturn's test client call itself through the server over each transport: the row V12 of
// video-window.md. It does so by indications, since for a channel it takes any number of RFC 5766, and most of these are
// reserved by RFC 8656 §12. It does not check certificates.
func TestCoturnClient(t *testing.T) {
	program := peertest.Need(t, "turnutils_uclient")
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			s := start(t, nil)
			username, password := Credentials(testSecret, "romeo", time.Hour, time.Now()) // what it makes itself is good for a day
			args := []string{
				"-y", "-c", "-s", "-n", "20", "-m", "2", "-l", "170", "-z", "5", "-X", "-u", username, "-w", password,
				"-L", loopback.String(), "-p", fmt.Sprint(s.addrs[network].Port()),
			}
			switch network {
			case "tcp":
				args = append(args, "-t")
			case "tls":
				args = append(args, "-t", "-S")
			}
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			out, err := exec.CommandContext(ctx, program, append(args, loopback.String())...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "Total lost packets 0 (0.000000%)") {
				t.Errorf("%v\n%s", err, out)
			}
			if n := s.metric(t, "parley_turn_relayed_packets_total", "up"); n < 40 {
				t.Errorf("%v datagrams relayed", n)
			}
		})
	}
}
