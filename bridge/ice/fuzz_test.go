package ice

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"strings"
	"testing"
	"time"

	"parley/internal/stun"
)

// mend gives a message that parses the integrity of a password and a fingerprint, so that fuzzing gets behind both.
func mend(b []byte, pwd string) []byte {
	var m stun.Message
	if len(b) < 20 {
		return b
	}
	b = bytes.Clone(b)
	binary.BigEndian.PutUint32(b[4:], 0x2112A442)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-20))
	if m.Parse(b, stun.ICE) != nil || m.Has(stun.MessageIntegrity) || m.Has(stun.Fingerprint) {
		return b
	}
	b = append(b, 0, 8, 0, 20)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	mac := hmac.New(sha1.New, []byte(pwd))
	mac.Write(b[:len(b)-4])
	b = mac.Sum(b)
	b = append(b, 0x80, 0x28, 0, 4)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)+4-20))
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[:len(b)-4])^0x5354554E)
}

// FuzzPacket sends an agent anything, from several addresses, over time. What begins with an odd byte is sealed with the
// password that it needs.
func FuzzPacket(f *testing.F) {
	ours := Credentials{"abcdefgh", strings.Repeat("o", 24)}
	peer := Credentials{"peer", strings.Repeat("p", 24)}
	bare := func(c stun.Class, edit func(*stun.Writer)) []byte {
		w := stun.Write(nil, stun.Binding, c, stun.ID{7})
		edit(&w)
		return w.Buffer()
	}
	script := func(packets ...[]byte) (b []byte) {
		for i, p := range packets {
			b = append(b, 1, byte(i/4), 5) // four packets on each path
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(p))), p...)
		}
		return b
	}
	name := func(w *stun.Writer) { w.String(stun.Username, ours.Ufrag+":"+peer.Ufrag) }
	request := bare(stun.Request, func(w *stun.Writer) {
		name(w)
		w.Uint32(stun.Priority, 1000)
		w.Uint64(stun.Controlled, 3)
		w.Flag(stun.UseCandidate)
	})
	conflict := bare(stun.Request, func(w *stun.Writer) { name(w); w.Uint32(stun.Priority, 9); w.Uint64(stun.Controlling, 1<<63) })
	strange := bare(stun.Request, func(w *stun.Writer) { name(w); w.Uint32(0x7001, 9) })
	success := bare(stun.Success, func(w *stun.Writer) { w.Addr(stun.XORMappedAddress, netip.MustParseAddrPort(natAddr)) })
	failure := bare(stun.Failure, func(w *stun.Writer) { w.Code(487) })
	f.Add(script(request, success, success, request, request, success, success, success))
	f.Add(append(script(request, success, success), bytes.Repeat([]byte{0, 0, 90, 0, 0}, 10)...)) // and then silence
	f.Add(script(conflict, request, failure, failure, success))
	f.Add(script(strange, check(ours, peer.Ufrag, "x", false, true), []byte{22, 1, 2}, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		server := NewServer(Config{Local: []Local{{Base: netip.MustParseAddrPort(bridgeAddr)}}, Policy: testPolicy})
		a := server.NewAgent(nil, true)
		delete(server.ufrags, a.current.local.Ufrag) // known to the seeds
		a.current.local = ours
		a.current.in = stun.NewKey(ours.Pwd)
		server.ufrags[ours.Ufrag] = a.current
		a.tieBreaker = 1 << 62
		now := epoch
		var out Out
		a.SetRemote(peer, now, &out)
		var asked []stun.ID
		for len(b) >= 5 && len(out.Events) < 1000 {
			how, where, wait, size := b[0], b[1], b[2], int(binary.BigEndian.Uint16(b[3:]))
			b = b[5:]
			size = min(size, len(b))
			packet := bytes.Clone(b[:size])
			b = b[size:]
			now = now.Add(time.Duration(wait) * time.Duration(wait) * time.Millisecond)
			server.Tick(now, &out)
			if how&1 != 0 && len(packet) >= 20 {
				pwd := ours.Pwd
				if packet[0]&1 != 0 { // an answer
					pwd = peer.Pwd
					if len(asked) > 0 {
						copy(packet[8:20], asked[len(asked)-1-int(how/2)%len(asked)][:])
					}
				}
				packet = mend(packet, pwd)
			}
			path := Path{Transport(where >> 7), netip.MustParseAddrPort(bridgeAddr), netip.AddrPortFrom(netip.AddrFrom4([4]byte{9, 9, 9, where & 31}), 1)}
			before := bytes.Clone(packet)
			n := len(out.Datagrams)
			server.Packet(path, packet, now, &out)
			if !bytes.Equal(before, packet) {
				t.Fatal("the packet was changed")
			}
			if len(out.Datagrams) > n+4 {
				t.Fatalf("%d datagrams for one", len(out.Datagrams)-n)
			}
			asked = asked[:0]
			for _, d := range out.Datagrams {
				var m stun.Message
				if err := m.Parse(d.Data, stun.ICE); err != nil || len(d.Data) > 150 || !m.Has(stun.Fingerprint) {
					t.Fatalf("sent %x: %v", d.Data, err)
				}
				if m.Class == stun.Request {
					asked = append(asked, m.ID)
				}
			}
			if len(out.Datagrams) > 200 {
				out.Reset()
			}
			if len(a.current.pairs) > maxPairs || len(server.pending) > maxPairs*remembered {
				t.Fatalf("%d pairs, %d checks", len(a.current.pairs), len(server.pending))
			}
			valid := 0
			for _, p := range a.current.pairs {
				if p.valid {
					valid++
					if server.proven[p.path.Transport].get(p.path.Remote) != a {
						t.Fatal("a valid pair is not in the table")
					}
				}
			}
			if n := server.proven[UDP].size() + server.proven[TCP].size(); n != valid {
				t.Fatalf("%d addresses for %d valid pairs", n, valid)
			}
			if _, ok := a.Selected(); ok != (a.carrier() != nil) {
				t.Fatal("the published path is not the selected one")
			}
		}
		a.Close()
		if len(server.pending)+len(server.ufrags)+len(server.timers)+server.proven[UDP].size()+server.proven[TCP].size() > 0 {
			t.Fatal("something is left over")
		}
	})
}

// FuzzCandidate reads candidates of any text.
func FuzzCandidate(f *testing.F) {
	for _, a := range []string{"9.9.9.9", "::1", "::ffff:127.0.0.1", "fe80::1%eth0", "a.local", "0177.0.0.1", "64:ff9b::7f00:1"} {
		f.Add(a, "udp", uint16(4000), uint32(1))
	}
	f.Fuzz(func(t *testing.T, address, protocol string, port uint16, priority uint32) {
		a, err := Policy{}.address(Candidate{Component: 1, Protocol: protocol, Priority: priority, Address: address, Port: port})
		if err != nil {
			return
		}
		ip := a.Addr()
		if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.IsLoopback() || ip.Is4In6() || ip.Zone() != "" || a.Port() != port || port == 0 {
			t.Fatalf("%q is taken as %v", address, a)
		}
	})
}
