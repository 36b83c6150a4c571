package ice

import (
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/stun"
)

// TestManyReaders has several goroutines feed one server, as sockets with SO_REUSEPORT do, while signalling goes on.
func TestManyReaders(t *testing.T) {
	s := NewServer(Config{Local: []Local{{Base: netip.MustParseAddrPort(bridgeAddr)}}, Policy: testPolicy})
	peer := Credentials{"peer", strings.Repeat("p", 22)}
	agents := make([]*Agent, 4)
	for i := range agents {
		agents[i] = s.NewAgent(i, i%2 == 0)
	}
	var wg sync.WaitGroup
	for r := range 4 {
		wg.Go(func() {
			var out Out
			for i := range 300 {
				now := epoch.Add(time.Duration(i) * 20 * time.Millisecond)
				a := agents[(i+r)%len(agents)]
				path := Path{UDP, netip.MustParseAddrPort(bridgeAddr), netip.AddrPortFrom(netip.MustParseAddr("9.9.9.9"), uint16(1+i%20))}
				c, _ := a.Local()
				s.Packet(path, check(c, peer.Ufrag, "x", i%2 == 0, true), now, &out)
				for _, d := range out.Datagrams {
					var m stun.Message
					if m.Parse(d.Data, stun.ICE) == nil && m.Class == stun.Request {
						s.Packet(d.Path, answer(&m, peer, d.Path), now, &Out{})
					}
				}
				out.Reset()
				s.Tick(now, &out)
				if b := s.Lookup(UDP, path.Remote); b != nil {
					b.Selected()
					b.State()
				}
				switch {
				case i%50 == 0:
					a.Restart(now)
				case i%7 == 0:
					a.SetRemote(peer, now, &out)
				case i%11 == 0:
					a.AddRemote(Candidate{Component: 1, Protocol: "udp", Priority: 9, Address: "9.9.9.9", Port: uint16(30 + i)}, now)
				case i%13 == 0:
					a.Gone(path, now, &out)
				}
				s.Counts()
				s.Deadline()
			}
		})
	}
	wg.Wait()
	proven := s.proven[UDP].size()
	for _, a := range agents {
		a.Close()
	}
	if proven == 0 || len(s.ufrags)+len(s.pending)+len(s.timers)+s.proven[UDP].size() != 0 {
		t.Errorf("%d addresses were proven; left over are %d names, %d checks, %d timers, %d addresses", proven, len(s.ufrags), len(s.pending), len(s.timers), s.proven[UDP].size())
	}
}
