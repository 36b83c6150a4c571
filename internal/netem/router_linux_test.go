package netem

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"parley/internal/peertest/need"
)

// rooted skips the test where it must: namespaces take root and a TUN device. PARLEY_PEERS=tun wants them.
func rooted(t *testing.T) {
	t.Helper()
	_, err := os.Stat("/dev/net/tun")
	if os.Getuid() == 0 && err == nil {
		return
	}
	if need.Required("tun") {
		t.Fatal("PARLEY_PEERS wants network namespaces and TUN devices, which take root")
	}
	t.Skip("network namespaces and TUN devices take root")
}

// pair is a router with a server and a client.
func pair(t *testing.T, d *Driver, w Ways) (r *Router, server, client *Host) {
	t.Helper()
	r = NewRouter(d)
	t.Cleanup(r.Close)
	var err error
	if server, err = r.Host(netip.MustParseAddr("10.78.0.1")); err != nil {
		t.Fatal(err)
	}
	if client, err = r.Host(netip.MustParseAddr("10.78.0.2")); err != nil {
		t.Fatal(err)
	}
	r.Connect(client, server, w)
	return r, server, client
}

func TestRouterIsThePath(t *testing.T) {
	rooted(t)
	before := namespaces(t)
	d := driven(t)
	w := Ways{
		Up:       NewPath(nil, Line{Delay: 15 * ms}, 1),
		Down:     NewPath(&Bottleneck{Schedule: Schedule{{0, 1_000_000}}}, Line{Delay: 25 * ms}, 2),
		Classify: bySize,
	}
	r, server, client := pair(t, d, w)
	if _, err := r.Host(server.Addr); err == nil {
		t.Error("two hosts of one address")
	}
	var s, c *net.UDPConn
	if err := server.Do(func() (err error) {
		s, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(server.Addr, 0)))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	at := echo(t, s)
	if err := client.Do(func() (err error) {
		c, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadBuffer(socketBuffer)
	checkPath(t, d, c, w, headers)

	// What has no path goes nowhere.
	strays := r.Strays.Load()
	client.Do(func() error {
		nobody, err := net.Dial("udp4", "10.78.0.99:9")
		if err == nil {
			nobody.Write([]byte("hello"))
			nobody.Close()
		}
		return err
	})
	for until := time.Now().Add(5 * time.Second); r.Strays.Load() == strays; time.Sleep(ms) {
		if time.Now().After(until) {
			t.Fatal("a packet without path is not counted")
		}
	}
	r.Close()
	c.Close()
	s.Close()
	for until := time.Now().Add(5 * time.Second); namespaces(t) > before; time.Sleep(5 * ms) { // threads end in their own time
		if time.Now().After(until) {
			t.Fatalf("%d namespaces before, %d after", before, namespaces(t))
		}
	}
}

// governor is the name of what governs the rate of a connection.
func governor(c net.Conn) (name string) {
	if raw, err := c.(*net.TCPConn).SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { name, _ = unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION) })
	}
	return strings.TrimRight(name, "\x00")
}

// TCP of the kernels goes through, at the rate.
func TestRouterCarriesTCP(t *testing.T) {
	rooted(t)
	d := driven(t)
	_, server, client := pair(t, d, Ways{
		Up:   NewPath(nil, Line{Delay: 10 * ms}, 1),
		Down: NewPath(&Bottleneck{Schedule: Schedule{{0, 8_000_000}}, Queue: Queue{Time: 100 * ms}}, Line{Delay: 10 * ms}, 2),
	})
	l, err := server.Listen("10.78.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const size = 2 << 20
	sent := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			if g := governor(c); g != "cubic" {
				t.Errorf("TCP is governed by %q, not by CUBIC", g)
			}
			_, err = c.Write(make([]byte, size))
			c.Close()
		}
		sent <- err
	}()
	begin := time.Now()
	c, err := client.Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	n, err := io.Copy(io.Discard, c)
	if err := errors.Join(err, <-sent); err != nil || n != size {
		t.Fatalf("%d bytes: %v", n, err)
	}
	if took, least := time.Since(begin), time.Duration(size)*time.Second/1_000_000; took < least || took > 3*least {
		t.Errorf("2 MiB at 8 Mbit/s take %v, want %v and a little", took, least)
	}
}

// A program runs in the host's network, sees nothing of this one's.
func TestNamespaceStartsPrograms(t *testing.T) {
	rooted(t)
	sh := need.Program(t, "sh")
	_, server, _ := pair(t, driven(t), Ways{Up: NewPath(nil, Line{}, 1), Down: NewPath(nil, Line{}, 2)})
	var out bytes.Buffer
	cmd := exec.Command(sh, "-c", "cat /proc/net/dev; exec sleep 60")
	cmd.Stdout = &out
	pipe, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	ended, err := server.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	pipe.Close()
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(5 * ms) {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", cmd.Process.Pid))
		if strings.TrimSpace(string(name)) == "sleep" {
			break
		}
		if time.Now().After(until) {
			t.Fatal("the program does not run")
		}
	}
	here, _ := os.Readlink(ownNetwork)
	there, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid))
	if err != nil || there == here {
		t.Errorf("it runs in %s, this process in %s: %v", there, here, err)
	}
	cmd.Process.Kill()
	if err := <-ended; err == nil {
		t.Error("it ended well")
	}
	if text := out.String(); !strings.Contains(text, "net0:") || strings.Count(text, ":") != 2 {
		t.Errorf("its interfaces are\n%s", text)
	}
	if _, err := server.Start(exec.Command("/nowhere")); err == nil {
		t.Error("a program that is not there was started")
	}
}

// namespaces counts the network namespaces that this process's threads are in, or holds open.
func namespaces(t *testing.T) int {
	t.Helper()
	seen := make(map[string]bool)
	links, _ := filepath.Glob("/proc/self/task/*/ns/net")
	fds, _ := filepath.Glob("/proc/self/fd/*")
	for _, name := range append(links, fds...) {
		if to, err := os.Readlink(name); err == nil && strings.HasPrefix(to, "net:") {
			seen[to] = true
		}
	}
	return len(seen)
}
