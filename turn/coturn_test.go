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

// TestCoturnClient lets coturn's test client call itself through the server, by channels and by indications, over each
// transport: the row V12 of video-window.md. The client does not check certificates.
func TestCoturnClient(t *testing.T) {
	program := peertest.Need(t, "turnutils_uclient")
	for _, network := range networks {
		for _, method := range []string{"channels", "indications"} {
			t.Run(network+" "+method, func(t *testing.T) {
				s := start(t, nil)
				args := []string{
					"-y", "-c", "-n", "20", "-m", "2", "-l", "170", "-z", "5", "-X", "-u", "romeo", "-W", testSecret,
					"-L", loopback.String(), "-p", fmt.Sprint(s.addrs[network].Port()),
				}
				switch network {
				case "tcp":
					args = append(args, "-t")
				case "tls":
					args = append(args, "-t", "-S")
				}
				if method == "indications" {
					args = append(args, "-s")
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
}
