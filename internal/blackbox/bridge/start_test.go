package bridge

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"parley/internal/peertest"
)

// TestServerSaysWhoHoldsThePort: one line, although another process has found it.
func TestServerSaysWhoHoldsThePort(t *testing.T) {
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	// Listeners of both networks ask for TCP first, so that has to be free there. It is kept so by nobody: not in the range
	// that connections take their ports from.
	var udp net.PacketConn
	for port := 20000 + os.Getpid()%5000; udp == nil; port++ {
		free, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		free.Close()
		if udp, err = net.ListenPacket("udp4", fmt.Sprintf("127.0.0.1:%d", port)); err != nil {
			udp = nil
		}
	}
	defer udp.Close()
	for name, c := range map[string]struct {
		scheme, network string
		address         net.Addr
		args            []string
	}{
		"media over UDP":          {"media", "udp", udp.LocalAddr(), nil},
		"media over TCP":          {"media", "tcp", tcp.Addr(), nil},
		"relay over UDP":          {"turn", "udp", udp.LocalAddr(), nil},
		"relay over TLS":          {"turns", "tcp", tcp.Addr(), nil},
		"media in single process": {"media", "udp", udp.LocalAddr(), []string{"--single-process"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			args := append([]string{"serve", "--data", dir, "--listen", "xmpp://127.0.0.1:0", "--listen", c.scheme + "://" + c.address.String()}, c.args...)
			var out bytes.Buffer
			cmd := exec.Command(peertest.Built(t), args...)
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 1 {
				t.Fatalf("it ended with %v\n%s", err, &out)
			}
			want := fmt.Sprintf("parley: %s://%s: %s port %d is taken by bridge.test (process %d); stop it, or change listen in the configuration",
				c.scheme, c.address, c.network, portOf(t, c.address.String()), os.Getpid())
			if got := lines(out.String(), "taken"); len(got) != 1 || got[0] != want {
				t.Errorf("%q is not %q", got, want)
			}
			if _, err := os.Stat(dir + "/bridge.json"); err == nil {
				t.Error("a bridge is left")
			}
		})
	}
}

// TestNoMediaListenerNoBridge: and without one for the relay either, no such process.
func TestNoMediaListenerNoBridge(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{Listen: []string{"xmpp://127.0.0.1:0", "http://127.0.0.1:0", "turn://127.0.0.1:0"}})
	if p.Bridge() == 0 {
		t.Error("nobody relays")
	}
	mustAllocate(t, p, ask(t, p, guest(t, p)))
	res, err := http.Get("http://" + p.HTTP + "/colibri-ws/x/y/z")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusBadGateway || res.StatusCode == http.StatusOK {
		t.Errorf("bridge channels without a bridge: %s", res.Status)
	}
	p = peertest.StartParley(t, peertest.ParleyOptions{Listen: []string{"xmpp://127.0.0.1:0"}})
	if n := p.Bridge(); n != 0 {
		t.Errorf("bridge %d is for nothing", n)
	}
}

// TestSingleProcess does all of it in one, and takes the place of a bridge that was left.
func TestSingleProcess(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	left := p.Bridge()
	p.Kill()
	p = peertest.StartParley(t, peertest.ParleyOptions{Data: p.Data, Args: []string{"--single-process"}})
	if p.Bridge() != p.PID || !gone(left) {
		t.Errorf("the bridge is %d, the server %d, and %d was left", p.Bridge(), p.PID, left)
	}
	c := guest(t, p)
	mustAllocate(t, p, ask(t, p, c))
	if n := p.Metric("parley_turn_allocations", ""); n != 1 {
		t.Errorf("%v allocations", n)
	}
	if binds(portOf(t, p.Media)) {
		t.Error("the media port is free")
	}
	eventually(t, "the bridge is not connected", func() bool { return strings.Contains(details(t, p), `"connected":true`) })
	c.Conn.Close()
	eventually(t, "the relayed address outlives the session", func() bool { return p.Metric("parley_turn_allocations", "") == 0 })
	p.Restart()
	if p.Bridge() != p.PID {
		t.Error("no bridge after a restart")
	}
	p.Kill()
	p = peertest.StartParley(t, peertest.ParleyOptions{Data: p.Data})
	if n := p.Bridge(); n == p.PID || n == 0 {
		t.Errorf("bridge %d of server %d", n, p.PID)
	}
}

// TestWhatTheAdministratorSees of the bridge.
func TestWhatTheAdministratorSees(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	eventually(t, "the bridge is not connected", func() bool {
		d := details(t, p)
		return strings.Contains(d, `"connected":true`) && strings.Contains(d, `"stress":{"stress":0,`)
	})
	for _, name := range []string{"parley_bridge_up", "parley_bridge_goroutines"} {
		if p.Metric(name, "") < 1 {
			t.Errorf("%s is %v", name, p.Metric(name, ""))
		}
	}
	// What the bridge takes and refuses appears in the server's metrics, the events under the name of the server's own.
	refused := p.Metric("parley_reject_total", `event="turn.auth"`)
	nc, err := net.Dial("udp", p.Media)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for range 3 {
		nc.Write(append([]byte{0, 1, 0, 80, 0x21, 0x12, 0xA4, 0x42}, make([]byte, 92)...)) // STUN by its cookie, and no more
	}
	eventually(t, "what came is not counted", func() bool {
		return p.Metric("parley_bridge_received_packets_total", "") == 3 && p.Metric("parley_bridge_refused_packets_total", "ice.malformed") == 3
	})
	for range 2 {
		if _, err := allocate(t, p, credential{"99999999999:nobody", "guess"}); err == nil {
			t.Fatal("a guess is a credential")
		}
	}
	once := p.Metric("parley_reject_total", `event="turn.`)
	if once == refused {
		t.Error("the event is not counted")
	}
	if again := p.Metric("parley_reject_total", `event="turn.`); again != once {
		t.Errorf("looking counts: %v, then %v", once, again)
	}
	old := p.Bridge()
	p.KillBridge()
	eventually(t, "no other bridge", func() bool {
		n := p.Bridge()
		return n != 0 && n != old && p.Metric("parley_bridge_up", "") == 1
	})
	if n := p.Metric("parley_reject_total", `event="turn.`); n != once {
		t.Errorf("%v events after the death of the bridge that counted %v", n, once)
	}
}

// details is what the admin listener says of the server's health.
func details(t *testing.T, p *peertest.Parley) string {
	t.Helper()
	res, err := http.Get("http://" + p.Admin + "/health/ready")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
