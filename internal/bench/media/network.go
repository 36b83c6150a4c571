package media

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// network is what lies between the bridge and its clients.
type network struct {
	server, clients netip.Addr
	namespace       string // the bridge's; empty: that of this process
	device          string
}

// loopback is a network on this machine's loopback.
func loopback() *network {
	a := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	return &network{server: a, clients: a}
}

// veth makes a namespace for the bridge and a pair of devices between it and this one, with ip(8). It takes root.
func veth(ctx context.Context) (*network, error) {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		return nil, errors.New("a pair of veth takes Linux and root")
	}
	id := os.Getpid() % 64
	n := &network{
		server: netip.AddrFrom4([4]byte{10, 77, byte(id), 1}), clients: netip.AddrFrom4([4]byte{10, 77, byte(id), 2}),
		namespace: fmt.Sprintf("parley-bench-%d", os.Getpid()), device: fmt.Sprintf("pb%d", id),
	}
	for _, line := range []string{
		"netns add " + n.namespace,
		"link add " + n.device + " type veth peer name media netns " + n.namespace,
		"addr add " + n.clients.String() + "/30 dev " + n.device,
		"link set " + n.device + " up",
		"-n " + n.namespace + " addr add " + n.server.String() + "/30 dev media",
		"-n " + n.namespace + " link set media up",
		"-n " + n.namespace + " link set lo up",
	} {
		if out, err := exec.CommandContext(ctx, "ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			n.remove()
			return nil, fmt.Errorf("ip %s: %w: %s", line, err, strings.TrimSpace(string(out)))
		}
	}
	return n, nil
}

// remove takes away what veth made: the devices go with the namespace.
func (n *network) remove() {
	if n.namespace == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	exec.CommandContext(ctx, "ip", "link", "del", n.device).Run()
	exec.CommandContext(ctx, "ip", "netns", "del", n.namespace).Run()
}

// command is a program on the bridge's side.
func (n *network) command(name string, args ...string) *exec.Cmd {
	if n.namespace == "" {
		return exec.Command(name, args...)
	}
	return exec.Command("ip", append([]string{"netns", "exec", n.namespace, name}, args...)...)
}

func (n *network) String() string {
	if n.namespace == "" {
		return "loopback"
	}
	return "veth"
}
