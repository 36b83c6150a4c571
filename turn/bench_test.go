package turn

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/internal/stun"
)

// The benchmarks measure a server in a process of its own: what it takes of the CPU, user and system time, for a packet
// relayed between a client and a peer, and of resident memory for an allocation. Coturn gets the same load, where it is
// installed. Single datagrams are not put together on loopback as a network card does it, so "bursts" are written with
// UDP GSO, which arrives as a burst does that has come through a card.

// benchmarkServer is the environment variable that makes the test binary the server.
const benchmarkServer = "PARLEY_TURN_BENCHMARK"

// serveBenchmark serves UDP on loopback, says where, and ends with its standard input.
func serveBenchmark() {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	cfg := testConfig()
	cfg.Bandwidth, cfg.PeerPorts = 0, []PortRange{{1, 65535}}
	s, err := New(cfg, Listeners{Packets: []net.PacketConn{conn}}, nil, nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(conn.LocalAddr())
	io.Copy(io.Discard, os.Stdin)
	s.Close()
}

// measured is a server in another process.
type measured struct {
	testServer
	pid int
}

var contenders = []struct {
	name  string
	start func(*testing.B) *measured
}{{"parley", startParley}, {"coturn", startCoturn}}

func startParley(b *testing.B) *measured {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), benchmarkServer+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, parsed := netip.ParseAddrPort(strings.TrimSpace(line))
	if err != nil || parsed != nil {
		b.Fatalf("the server says %q, %v", line, err)
	}
	return &measured{testServer{addrs: map[string]netip.AddrPort{"udp": addr}}, cmd.Process.Pid}
}

func startCoturn(b *testing.B) *measured {
	b.Helper()
	program := peertest.Need(b, "turnserver")
	free, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := addrPort(free.LocalAddr())
	free.Close()
	dir := b.TempDir()
	cmd := exec.Command(program, "-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--allow-loopback-peers", "--no-cli", "--no-tls",
		"--no-dtls", "--no-tcp", "--no-rfc5780", "--simple-log", "--log-file="+filepath.Join(dir, "log"), "--pidfile="+filepath.Join(dir, "pid"),
		"--userdb="+filepath.Join(dir, "db"), "--use-auth-secret", "--static-auth-secret="+testSecret, "--realm="+testRealm,
		fmt.Sprintf("--listening-port=%d", addr.Port()))
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	s := &measured{testServer{addrs: map[string]netip.AddrPort{"udp": addr}}, cmd.Process.Pid}
	c := s.raw(b, "udp", "ready")
	eventually(b, "answering", func() bool {
		c.Write(c.write(stun.Binding, stun.Request, newID()))
		return c.receive(100*time.Millisecond) != nil
	})
	return s
}

// cpu returns the user and system time that the process has taken (proc(5): stat, in ticks of 10 ms).
func (s *measured) cpu(b *testing.B) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		b.Skipf("no process accounting here: %v", err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// rss returns the resident memory of the process in kB.
func (s *measured) rss(b *testing.B) int {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		b.Skipf("no process accounting here: %v", err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kB, _ := strconv.Atoi(strings.Fields(rest)[0])
	return kB
}

// pair is a client with an allocation and a channel to a peer. What arrives at either is counted.
type pair struct {
	client, peer *net.UDPConn
	relayed      netip.AddrPort
}

func (s *measured) pair(b *testing.B, i int, arrived *atomic.Int64) pair {
	b.Helper()
	peer := peerSocket(b).(*net.UDPConn)
	c := s.rawFrom(b, "udp", fmt.Sprint("user", i), fmt.Sprintf("127.1.0.%d", 1+i))
	p := pair{c.Conn.(*net.UDPConn), peer, c.allocate()}
	c.must(stun.ChannelBind, with32(stun.ChannelNumber, 0x4000<<16), withPeer(peer.LocalAddr().String()))
	p.client.SetReadDeadline(time.Time{})
	for _, conn := range []*net.UDPConn{p.client, peer} {
		go newSocket(conn).run(func(b []byte, size int, _ netip.AddrPort) { arrived.Add(int64((len(b) + size - 1) / size)) })
	}
	return p
}

// BenchmarkRelay sends packets of 1,200 bytes, no more than 64 ahead of what has arrived, by 8 allocations.
func BenchmarkRelay(b *testing.B) {
	const (
		pairs  = 8
		window = 64
		size   = 1200
	)
	for _, burst := range []int{8, 1} {
		for _, direction := range []string{"up", "down", "both"} {
			for _, server := range contenders {
				b.Run(fmt.Sprintf("bursts of %d/%s/%s", burst, direction, server.name), func(b *testing.B) {
					s := server.start(b)
					var arrived atomic.Int64
					var all []pair
					for i := range pairs {
						all = append(all, s.pair(b, i, &arrived))
					}
					frame := stun.AppendChannelData(nil, 0x4000, make([]byte, size), false)
					up, down := bytes.Repeat(frame, burst), make([]byte, burst*size)
					sent, lost := 0, 0
					before := s.cpu(b)
					b.ResetTimer()
					for turn := 0; sent < b.N; turn++ {
						p := all[turn/2%pairs]
						if direction == "up" || direction == "both" && turn%2 == 0 {
							together(p.client, up, len(frame), netip.AddrPort{})
						} else {
							together(p.peer, down, size, p.relayed)
						}
						sent += burst
						for late := time.Now().Add(200 * time.Millisecond); sent-lost-int(arrived.Load()) > window; time.Sleep(20 * time.Microsecond) {
							if time.Now().After(late) {
								lost = sent - int(arrived.Load())
							}
						}
					}
					for late := time.Now().Add(200 * time.Millisecond); int(arrived.Load()) < sent-lost && time.Now().Before(late); {
						time.Sleep(time.Millisecond)
					}
					b.StopTimer()
					b.ReportMetric(float64((s.cpu(b)-before).Microseconds())/float64(arrived.Load()), "µs-CPU/packet")
					b.ReportMetric(100*float64(sent-int(arrived.Load()))/float64(sent), "%lost")
				})
			}
		}
	}
}

// together sends datagrams of one size in one call if the system can; to is invalid for a connected socket.
func together(conn *net.UDPConn, data []byte, size int, to netip.AddrPort) {
	if len(data) > size {
		if batch := newBatch(conn); batch != nil && batch.send(data, size, to) {
			return
		}
	}
	for ; len(data) > 0; data = data[min(size, len(data)):] {
		if to.IsValid() {
			conn.WriteToUDPAddrPort(data[:min(size, len(data))], to)
		} else {
			conn.Write(data[:min(size, len(data))])
		}
	}
}

// BenchmarkAllocation makes 2,000 allocations with a permission and a channel each, of as many users, and gives them up.
func BenchmarkAllocation(b *testing.B) {
	const many = 2000
	for _, server := range contenders {
		b.Run(server.name, func(b *testing.B) {
			var cpu time.Duration
			kB := 0
			for range b.N {
				s := server.start(b)
				s.rawFrom(b, "udp", "first", "127.1.255.1").allocate()
				memory, before := s.rss(b), s.cpu(b)
				clients := make([]*rawClient, many)
				for i := range clients {
					c := s.rawFrom(b, "udp", fmt.Sprint("user", i), fmt.Sprintf("127.1.%d.%d", i/200, 1+i%200))
					c.allocate()
					c.must(stun.ChannelBind, with32(stun.ChannelNumber, 0x4000<<16), withPeer("127.0.0.1:9"))
					clients[i] = c
				}
				kB += s.rss(b) - memory
				for _, c := range clients {
					c.must(stun.Refresh, with32(stun.Lifetime, 0))
					c.Close()
				}
				cpu += s.cpu(b) - before
			}
			b.ReportMetric(float64(kB)/float64(many*b.N), "kB/allocation")
			b.ReportMetric(float64(cpu.Microseconds())/float64(many*b.N), "µs-CPU/allocation")
		})
	}
}
