package ice

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"parley/internal/stun"
)

var sink *Agent

// BenchmarkLookup is what the demultiplexer does for each packet of media.
func BenchmarkLookup(b *testing.B) {
	for _, size := range []int{10, 1000, 20_000} {
		b.Run(fmt.Sprintf("%d addresses", size), func(b *testing.B) {
			s := NewServer(Config{})
			a := s.NewAgent(nil, true)
			addrs := make([]netip.AddrPort, size)
			for i := range addrs {
				addrs[i] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{9, byte(i >> 16), byte(i >> 8), byte(i)}), uint16(1024+i*7919))
				s.proven[UDP].put(addrs[i], a)
			}
			b.ReportAllocs()
			b.ResetTimer()
			i := 0
			for range b.N {
				sink = s.Lookup(UDP, addrs[i])
				if i++; i == len(addrs) {
					i = 0
				}
			}
			if sink == nil {
				b.Fatal("not found")
			}
		})
	}
	b.Run("a stranger", func(b *testing.B) {
		s := NewServer(Config{})
		from := netip.MustParseAddrPort("[::ffff:9.9.9.9]:1")
		b.ReportAllocs()
		for b.Loop() {
			if s.Lookup(UDP, from) != nil {
				b.Fatal("found")
			}
		}
	})
}

// connected returns a server with an agent that has a path.
func connected(b testing.TB) (n *node, path Path, peer Credentials) {
	w := newWorld(b, 1)
	n = w.node("bridge", true, bridgeAddr)
	peer = Credentials{"peer", strings.Repeat("p", 22)}
	path = Path{UDP, netip.MustParseAddrPort(bridgeAddr), netip.MustParseAddrPort(natAddr)}
	n.do(func(out *Out) { n.agent.SetRemote(peer, w.now, out) })
	n.check(path, peer, false)
	if n.state() != Up {
		b.Fatal(n.log())
	}
	return n, path, peer
}

// BenchmarkAnswer is a check of a peer that is connected, and its answer.
func BenchmarkAnswer(b *testing.B) {
	n, path, peer := connected(b)
	request := n.request(peer, "bench", false)
	var out Out
	now := n.w.now
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(25 * time.Millisecond) // within the rates
		n.agent.current.selected.answered = now
		n.server.Packet(path, request, now, &out)
		if len(out.Datagrams) == 0 {
			b.Fatal("no answer")
		}
		out.Reset()
	}
}

// BenchmarkStranger is a check that names nobody: what a flood costs.
func BenchmarkStranger(b *testing.B) {
	n, path, _ := connected(b)
	request := check(Credentials{"nobody00", strings.Repeat("x", 24)}, "peer", "bench", false, false)
	var out Out
	b.ReportAllocs()
	for b.Loop() {
		n.server.Packet(path, request, n.w.now, &out)
	}
	if len(out.Datagrams) > 0 {
		b.Fatal("an answer")
	}
}

// BenchmarkConsent is a check of ours and its answer.
func BenchmarkConsent(b *testing.B) {
	n, path, peer := connected(b)
	var out Out
	now := n.w.now
	key := stun.NewKey(peer.Pwd)
	buf := make([]byte, 0, 200)
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		now = now.Add(6 * time.Second)
		n.server.Tick(now, &out)
		if len(out.Datagrams) != 1 {
			b.Fatal(len(out.Datagrams))
		}
		var m stun.Message
		if m.Parse(out.Datagrams[0].Data, stun.ICE) != nil {
			b.Fatal()
		}
		w := stun.Write(buf, stun.Binding, stun.Success, m.ID)
		w.Addr(stun.XORMappedAddress, path.Local)
		w.Integrity(key)
		w.Fingerprint()
		n.server.Packet(path, w.Buffer(), now, &out)
	}
}

func BenchmarkJoinAndLeave(b *testing.B) {
	n, path, peer := connected(b)
	for i := range 5000 {
		n.server.proven[UDP].put(netip.AddrPortFrom(netip.AddrFrom4([4]byte{9, 1, byte(i >> 8), byte(i)}), uint16(1024+i*7919)), n.agent)
	}
	b.ReportAllocs()
	for b.Loop() {
		n.agent = n.server.NewAgent(nil, true)
		n.last = 0
		n.events = n.events[:0]
		n.do(func(out *Out) { n.agent.SetRemote(peer, n.w.now, out) })
		n.check(path, peer, false)
		n.agent.Close()
	}
}

func TestThePathOfPacketsDoesNotAllocate(t *testing.T) {
	n, path, peer := connected(t)
	request := n.request(peer, "x", false)
	var out Out
	now := n.w.now
	for name, f := range map[string]func(){
		"Lookup": func() {
			if n.server.Lookup(UDP, path.Remote) != n.agent {
				t.Fatal("not found")
			}
		},
		"Selected": func() {
			if _, ok := n.agent.Selected(); !ok {
				t.Fatal("no path")
			}
		},
		"Packet": func() {
			now = now.Add(25 * time.Millisecond)
			n.server.Packet(path, request, now, &out)
			if len(out.Datagrams) == 0 {
				t.Fatal("no answer")
			}
			out.Reset()
		},
	} {
		if got := testing.AllocsPerRun(200, f); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}
