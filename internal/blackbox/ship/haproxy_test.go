// Package ship tests what is shipped beside the binary: the configurations of HAProxy with real HAProxies before real nodes, the unit
// of systemd, the examples of configurations.
package ship

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

const shipped = "../../../docker/"

// node starts one behind balancers.
func node(t *testing.T) *peertest.Parley {
	t.Helper()
	return peertest.StartParley(t, peertest.ParleyOptions{
		Listen: []string{"http://127.0.0.1:0", "xmpp+proxy://127.0.0.1:0", "turns+proxy://127.0.0.1:0", "agent://127.0.0.1:0"}, Args: []string{"--limits=off"},
		Config: "balancers = [\"127.0.0.1/32\"]\n[http]\nproxies = [\"127.0.0.0/8\"]\n",
	})
}

// at is where a node takes HTTP and answers agents, as the configuration of HAProxy has it.
func at(n *peertest.Parley) string {
	_, port, _ := net.SplitHostPort(n.Agent)
	return n.HTTP + " check agent-port " + port
}

// balancer is an HAProxy.
type balancer struct {
	*testing.T
	addr  string
	xmpp  string
	tls   string // the port that the relay shares with the web ...
	turns string // ... and its own
	admin string // path of its socket
}

// freePorts returns ports that were free a moment ago.
func freePorts(t *testing.T, n int) (list []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		list = append(list, l.Addr().String())
	}
	return list
}

// balancers starts two HAProxies with one of the files that are shipped, in which only addresses, names and paths are changed: further
// pairs of what is replaced, and by what.
func balancers(t *testing.T, file string, names [2]string, pairs ...string) (list [2]*balancer) {
	t.Helper()
	haproxy := peertest.Need(t, "haproxy")
	text, err := os.ReadFile(shipped + "haproxy/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for try := 0; ; try++ {
		ports := freePorts(t, 14)
		ok := true
		for i, name := range names {
			dir, err := os.MkdirTemp("", "lb") // short: it holds a socket
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			writeCertificate(t, filepath.Join(dir, "web.pem"))
			b := &balancer{T: t, addr: ports[i], xmpp: ports[4+3*i], tls: ports[10+2*i], turns: ports[11+2*i], admin: filepath.Join(dir, "s")}
			all := append([]string{
				"frontend plain\n\tbind :80\n\thttp-request redirect scheme https\n", "",
				"bind abns@web accept-proxy ssl crt /etc/haproxy/certs/ alpn h2,http/1.1", "bind abns@" + filepath.Base(dir) + " accept-proxy ssl crt " + dir + "/web.pem alpn h2,http/1.1\n\tbind " + ports[i] + "\n\thttp-response set-header X-Test-Node %s", "server here abns@web", "server here abns@" + filepath.Base(dir),
				"bind :443\n", "bind " + ports[10+2*i] + "\n", "bind :5349", "bind " + ports[11+2*i], "turn.meet.example.org", "turn.localhost",
				"bind :443 ssl crt /etc/haproxy/certs/ alpn h2,http/1.1", "bind " + ports[i] + "\n\thttp-response set-header X-Test-Node %s",
				"/run/haproxy/admin.sock", b.admin, "maxconn 50000", "maxconn 500", "meet.example.org", "localhost",
				"bind :5222", "bind " + ports[4+3*i], "bind :5223", "bind " + ports[5+3*i], "bind :5269", "bind " + ports[6+3*i],
				"/etc/haproxy/bridges.map", shipped + "haproxy/bridges.map",
				"peer " + names[0] + " 10.0.0.11:10000", "peer " + names[0] + " " + ports[2],
				"peer " + names[1] + " 10.0.0.12:10000", "peer " + names[1] + " " + ports[3],
				"peer " + names[1] + " 10.2.0.11:10000", "peer " + names[1] + " " + ports[3],
			}, pairs...)
			config := filepath.Join(dir, "haproxy.cfg")
			if err := os.WriteFile(config, []byte(strings.NewReplacer(all...).Replace(string(text))), 0o600); err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			cmd := exec.Command(haproxy, "-db", "-L", name, "-f", config)
			cmd.Stdout, cmd.Stderr = &said, &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() { cmd.Wait(); close(ended) }()
			t.Cleanup(func() { cmd.Process.Kill(); <-ended })
			if !b.listens(ended) {
				if ok = false; try == 5 {
					<-ended
					t.Fatalf("haproxy: %s", said.String())
				}
			}
			list[i] = b
		}
		if ok {
			return list
		}
	}
}

// listens waits until it takes commands, or has ended.
func (b *balancer) listens(ended chan struct{}) bool {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		select {
		case <-ended:
			return false
		case <-time.After(5 * time.Millisecond):
		}
		if c, err := net.Dial("unix", b.admin); err == nil {
			c.Close()
			return true
		}
	}
	return false
}

// tell gives a command to the socket and returns the answer.
func (b *balancer) tell(command string) string {
	b.Helper()
	c, err := net.Dial("unix", b.admin)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintln(c, command)
	text, err := io.ReadAll(c)
	if err != nil {
		b.Fatal(err)
	}
	return string(text)
}

// knows waits until the balancer's table holds a room, which it may have from the other one.
func (b *balancer) knows(room string) {
	b.Helper()
	b.until("the table holds "+room, func() bool { return strings.Contains(b.tell("show table rooms"), "key="+room+" ") })
}

func (b *balancer) until(what string, ok func() bool) {
	b.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			b.Fatal("in vain: " + what)
		}
	}
}

// ask gets a path from a local address, and returns the node that answered, with the response.
func (b *balancer) ask(source, path string, header ...string) (node string, res *http.Response) {
	b.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Timeout: 30 * time.Second}
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
	r, err := http.NewRequest("GET", "http://"+b.addr+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Host = "localhost"
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err = client.Do(r)
	if err != nil {
		return "", nil
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	return res.Header.Get("X-Test-Node"), res
}

// at is ask for what has to be answered.
func (b *balancer) at(source, path string, header ...string) string {
	b.Helper()
	node, res := b.ask(source, path, header...)
	if res == nil || res.StatusCode != http.StatusOK || node == "" {
		b.Fatalf("%s: %v", path, res)
	}
	return node
}

// up waits until the balancer has seen both nodes.
func (b *balancer) up(backend string, nodes ...string) {
	b.Helper()
	b.until("the nodes are up", func() bool {
		stat := b.tell("show stat")
		for _, n := range nodes {
			up := false
			for line := range strings.SplitSeq(stat, "\n") {
				up = up || strings.HasPrefix(line, backend+","+n+",") && strings.Contains(line, ",UP,")
			}
			if !up {
				return false
			}
		}
		return true
	})
}

// state is what the balancer has of a server, such as UP or DRAIN.
func (b *balancer) state(backend, server string) string {
	b.Helper()
	for line := range strings.SplitSeq(b.tell("show stat"), "\n") {
		if f := strings.Split(line, ","); len(f) > 17 && f[0] == backend && f[1] == server {
			state, _, _ := strings.Cut(f[17], " ")
			return state
		}
	}
	return ""
}

func single(t *testing.T) (list [2]*balancer, nodes [2]*peertest.Parley) {
	t.Helper()
	peertest.Need(t, "haproxy")
	nodes = [2]*peertest.Parley{node(t), node(t)}
	list = balancers(t, "single.cfg", [2]string{"lb1", "lb2"}, "10.0.1.1:8080 check", at(nodes[0]), "10.0.1.2:8080 check", at(nodes[1]),
		"10.0.1.1:5349 check", nodes[0].TURNS+strings.TrimPrefix(at(nodes[0]), nodes[0].HTTP), "10.0.1.2:5349 check", nodes[1].TURNS+strings.TrimPrefix(at(nodes[1]), nodes[1].HTTP),
		"10.0.1.1:5222 check", nodes[0].XMPP+strings.TrimPrefix(at(nodes[0]), nodes[0].HTTP), "10.0.1.2:5222 check", nodes[1].XMPP+strings.TrimPrefix(at(nodes[1]), nodes[1].HTTP))
	for _, b := range list {
		b.up("turns", "s1", "s2")
		b.up("shards", "s1", "s2")
		b.up("xmpp", "s1", "s2")
	}
	return list, nodes
}

// Both HAProxies lead to the same node, whoever asks first; headers of clients decide nothing; a known room keeps a node that
// drains, with its open sockets, and new ones go elsewhere; and the rooms of a node that is gone open on the other.
func TestV20RoomsHaveOneNode(t *testing.T) {
	lbs, nodes := single(t)
	count := make(map[string]int)
	var of [2]string // a room of each node
	for i := range 200 {
		room := fmt.Sprintf("room-%d", i)
		first := lbs[i%2].at("127.0.0.1", "/"+room)
		lbs[1-i%2].knows(room) // the hash says the same as long as the nodes are equally busy
		if other := lbs[1-i%2].at("127.0.0.1", "/"+room); other != first {
			t.Errorf("%s: %s by one, %s by the other", room, first, other)
		}
		count[first]++
		of[strings.Index("s1s2", first)/2] = room
	}
	if count["s1"] < 40 || count["s2"] < 40 {
		t.Fatalf("the rooms are not spread: %v", count)
	}

	spread := make(map[string]bool)
	for i := range 40 {
		spread[lbs[0].at("127.0.0.1", fmt.Sprintf("/spoof-%d", i), "X-Room", "same")] = true
	}
	if len(spread) != 2 {
		t.Error("the client's X-Room was believed")
	}
	if got := lbs[0].at("127.0.0.1", "/"+of[0], "X-Room", of[1]); got != "s1" {
		t.Errorf("a known room with another's header: %s", got)
	}

	open := enter(t, lbs[0].addr, of[0], "ann")
	if _, err := nodes[0].Command("", "drain"); err != nil {
		t.Fatal(err)
	}
	for _, b := range lbs {
		b.until("it is told that s1 drains", func() bool { return b.state("shards", "s1") == "DRAIN" })
	}
	for _, b := range lbs {
		b.knows(of[0])
		if got := b.at("127.0.0.1", "/"+of[0]); got != "s1" {
			t.Errorf("a known room of a node that drains: %s", got)
		}
		for i := range 20 {
			if got := b.at("127.0.0.1", fmt.Sprintf("/%s-%d", b.addr, i)); got != "s2" {
				t.Fatalf("a new room while s1 drains: %s", got)
			}
		}
	}
	open.Ping()
	second := peertest.Dial(t, lbs[1].addr, "localhost")
	second.WS = true
	if res := second.Upgrade("/xmpp-websocket?room=" + of[0]); res.StatusCode != 101 || res.Header.Get("X-Test-Node") != "s1" {
		t.Errorf("a second member: %s by %s", res.Status, res.Header.Get("X-Test-Node"))
	}

	if _, err := nodes[0].Command("", "drain", "--undo"); err != nil {
		t.Fatal(err)
	}
	for _, b := range lbs {
		b.until("it is told that s1 is ready", func() bool { return b.state("shards", "s1") == "UP" })
	}
	open.Ping()

	nodes[0].Kill()
	lbs[1].until("the room opens on the other node", func() bool {
		node, res := lbs[1].ask("127.0.0.1", "/"+of[0])
		return res != nil && res.StatusCode == http.StatusOK && node == "s2"
	})
}

// Who opens a room decides where it is, and later ones from elsewhere come there, by whichever HAProxy; the client's own X-Region
// decides nothing; and while a region is down the other takes its rooms.
func TestV21RoomsFollowTheFirst(t *testing.T) {
	peertest.Need(t, "haproxy")
	const eu, us = "127.0.0.1", "127.0.0.10"
	geo := filepath.Join(t.TempDir(), "geo.map")
	if err := os.WriteFile(geo, []byte("127.0.0.0/24 eu\n127.0.0.10/32 us\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	nodes := map[string]*peertest.Parley{eu: node(t), us: node(t)}
	lbs := balancers(t, "regions.cfg", [2]string{"eu1", "us1"}, "10.0.1.1:8080 check", at(nodes[eu]), "10.2.1.1:8080 check", at(nodes[us]), "/etc/haproxy/geo.map", geo)
	for _, b := range lbs {
		b.up("be_eu", "eu-s1", "us-s1")
		b.up("be_us", "eu-s1", "us-s1")
	}
	for i, c := range []struct{ first, then, node, region string }{{eu, us, "eu-s1", "eu"}, {us, eu, "us-s1", "us"}} {
		for j, at := range lbs { // whichever is asked first
			room := fmt.Sprintf("room-%d-%d", i, j)
			node, res := at.ask(c.first, "/"+room, "X-Region", "us", "X-Room", "x")
			if res == nil || node != c.node || res.Header.Get("X-Region") != c.region {
				t.Fatalf("%s from %s: %s %v", room, c.first, node, res)
			}
			lbs[1-j].knows(room)
			for _, b := range lbs {
				if got := b.at(c.then, "/"+room); got != c.node {
					t.Errorf("%s: opened on %s, and from elsewhere on %s", room, c.node, got)
				}
			}
		}
	}
	nodes[us].Kill()
	lbs[0].until("the other region takes over", func() bool {
		node, res := lbs[0].ask(us, "/room-later")
		return res != nil && res.StatusCode == http.StatusOK && node == "eu-s1"
	})
}

// Bridge channels go to the node that is named by the bridge's id, whatever else the request says.
func TestV23BridgeChannelsFindTheirNode(t *testing.T) {
	lbs, _ := single(t)
	for i := range 8 {
		for _, node := range []string{"s1", "s2"} {
			got, res := lbs[i%2].ask("127.0.0.1", fmt.Sprintf("/colibri-ws/%s.ABC%d/conference/endpoint?pwd=x&room=r%d", node, i, i), "X-Room", "x")
			if res == nil || got != node {
				t.Errorf("the channel of %s's bridge: %q", node, got)
			}
		}
	}
	if _, res := lbs[0].ask("127.0.0.1", "/colibri-ws/another/conference/endpoint?pwd=x"); res == nil || res.Header.Get("X-Test-Node") == "" {
		t.Error("the channel of an unknown bridge is not answered")
	}
}

// A node behind HAProxy knows the addresses of clients of XMPP, by which its limits go. What somebody says who is no balancer is not
// believed.
func TestV20XMPPHasTheAddressesOfClients(t *testing.T) {
	lbs, nodes := single(t)
	logged := func(text string) func() bool {
		return func() bool { return strings.Contains(nodes[0].Log()+nodes[1].Log(), text) }
	}
	for i, b := range lbs {
		source := fmt.Sprintf("127.0.0.%d", 77+i)
		c := peertest.DialFrom(t, source, b.xmpp, "localhost")
		c.Open()
		c.Send("<!-- -->")
		b.until("a client that does what it must not is known by its address", logged("remote="+source+" "))
	}
	for i, n := range nodes {
		source := fmt.Sprintf("127.0.0.%d", 87+i)
		c := peertest.DialFrom(t, source, n.XMPP, "localhost")
		c.Raw("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x01\x00\x02")
		lbs[i].until("a stranger with a header is refused under its own address", logged("remote="+source+" "))
	}
	if logged("192.0.2.1")() {
		t.Error("a stranger is believed")
	}
}
