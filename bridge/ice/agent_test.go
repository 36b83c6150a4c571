package ice

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"parley/internal/stun"
	"pgregory.net/rapid"
)

func TestConnectsWithoutCandidatesOfThePeer(t *testing.T) {
	w, bridge, client := clientAndBridge(t, 1)
	w.seen = func(from, to netip.AddrPort, m *stun.Message) {
		if m.Has(stun.UseCandidate) && from.String() != bridgeAddr {
			t.Errorf("the controlled agent nominates")
		}
	}
	connect(w, bridge, client)
	// Check, answer and triggered check, answer: one round trip and a half; the client's ordinary check leaves at once.
	if at := bridge.events[0].at; at > 40*time.Millisecond {
		t.Errorf("the bridge needed %v", at)
	}
	w.run(time.Minute, nil)
	if bridge.remote() != natAddr || client.remote() != bridgeAddr {
		t.Errorf("paths to %s and %s", bridge.remote(), client.remote())
	}
	if !bridge.agent.current.selected.ours || !client.agent.current.selected.nominated {
		t.Error("nothing was nominated")
	}
	for _, n := range []*node{bridge, client} {
		if len(n.events) != 1 || n.events[0].Kind != Connected || n.events[0].Agent.Owner != n {
			t.Error(n.log())
		}
		if _, rtt, _ := n.agent.State(); rtt != 20*time.Millisecond {
			t.Errorf("%s: round trip of %v", n.name, rtt)
		}
	}
	if bridge.server.Lookup(UDP, netip.MustParseAddrPort(natAddr)) != bridge.agent || bridge.server.Lookup(UDP, netip.MustParseAddrPort("[::ffff:9.9.9.9]:40000")) != bridge.agent {
		t.Error("the address is not found")
	}
	if bridge.server.Lookup(TCP, netip.MustParseAddrPort(natAddr)) != nil {
		t.Error("the address is found over TCP")
	}
	bridge.empty()
	client.empty()
}

func TestChecksThatComeBeforeTheAnswer(t *testing.T) {
	w, bridge, client := clientAndBridge(t, 1)
	w.signal(bridge, client, true)
	w.run(2*time.Second, nil)
	if client.state() != Up {
		t.Error("the client's checks were not answered")
	}
	if bridge.server.Lookup(UDP, netip.MustParseAddrPort(natAddr)) != nil {
		t.Error("HB3: an address is proven before it has answered")
	}
	at := w.now
	w.signal(client, bridge, false)
	if !w.run(time.Second, func() bool { return bridge.state() == Up }) || w.now.Sub(at) > 25*time.Millisecond {
		t.Errorf("not connected at once: %v", w.now.Sub(at))
	}
	bridge.empty()

	// A peer whose checks name other credentials than it then signals is somebody else.
	w, bridge, client = clientAndBridge(t, 1)
	w.signal(bridge, client, true)
	w.run(100*time.Millisecond, nil)
	bridge.do(func(out *Out) {
		if err := bridge.agent.SetRemote(Credentials{"other", strings.Repeat("x", 22)}, w.now, out); err != nil {
			t.Error(err)
		}
		if len(out.Datagrams) != 0 {
			t.Error("the wrong peer is checked")
		}
	})
	w.run(31*time.Second, nil)
	if bridge.state() != Down || bridge.count(Failed) != 1 || bridge.server.Counts().Integrity == 0 {
		t.Errorf("%v %s", bridge.state(), bridge.log())
	}
}

func TestConsent(t *testing.T) {
	t.Run("is asked for every 4 to 6 seconds", func(t *testing.T) {
		w, bridge, client := clientAndBridge(t, 3)
		connect(w, bridge, client)
		w.run(time.Second, nil)
		var at []time.Time
		w.seen = func(from, to netip.AddrPort, m *stun.Message) {
			if from.String() == bridgeAddr && m.Class == stun.Request {
				at = append(at, w.now)
			}
		}
		w.run(10*time.Minute, nil)
		if len(at) < 100 || len(at) > 150 {
			t.Errorf("%d checks in ten minutes", len(at))
		}
		distinct := make(map[time.Duration]bool)
		for i := range at[1:] {
			gap := at[i+1].Sub(at[i])
			if gap < 4*time.Second || gap > 6*time.Second {
				t.Errorf("gap of %v", gap)
			}
			distinct[gap.Round(time.Millisecond)] = true
		}
		if len(distinct) < 20 {
			t.Error("the gaps are not random")
		}
	})
	t.Run("expires after 30 seconds", func(t *testing.T) {
		w, bridge, client := clientAndBridge(t, 4)
		connect(w, bridge, client)
		w.run(20*time.Second, nil)
		var answered, last time.Time
		w.seen = func(from, to netip.AddrPort, m *stun.Message) {
			if from.String() == natAddr && m.Class == stun.Success && !w.cut[from] {
				answered = w.now.Add(w.min)
			}
			if from.String() == bridgeAddr {
				last = w.now
			}
		}
		w.run(10*time.Second, nil)
		w.cut[netip.MustParseAddrPort(natAddr)] = true
		if !w.run(15*time.Second, func() bool { return bridge.state() == Silent }) || bridge.count(Disconnected) != 1 {
			t.Error("the silence was not noticed")
		}
		if _, ok := bridge.agent.Selected(); !ok {
			t.Error("packets must go on until consent expires")
		}
		w.run(time.Minute, nil)
		e := bridge.events[len(bridge.events)-1]
		if e.Kind != Failed || epoch.Add(e.at).Sub(answered) != consentExpiry {
			t.Errorf("%v %v after the last answer", e.Kind, epoch.Add(e.at).Sub(answered))
		}
		if _, ok := bridge.agent.Selected(); ok || bridge.server.Lookup(UDP, netip.MustParseAddrPort(natAddr)) != nil || last.After(epoch.Add(e.at)) {
			t.Error("something is still sent or taken")
		}
		w.cut = nil
		w.run(time.Minute, nil)
		if bridge.state() != Down {
			t.Error("consent came back without a restart")
		}
		if err := bridge.agent.SetRemote(Credentials{"abcd", strings.Repeat("x", 22)}, w.now, new(Out)); !errors.Is(err, ErrRestart) {
			t.Error(err)
		}
		bridge.empty()
	})
	t.Run("outlives a gap of 25 seconds", func(t *testing.T) {
		w, bridge, client := clientAndBridge(t, 5)
		connect(w, bridge, client)
		w.run(3*time.Second, nil)
		w.cut[netip.MustParseAddrPort(natAddr)] = true
		w.run(22*time.Second, nil)
		w.cut = nil
		at := w.now
		if !w.run(10*time.Second, func() bool { return bridge.state() == Up && client.state() == Up }) || w.now.Sub(at) > 6*time.Second {
			t.Errorf("back after %v: %s", w.now.Sub(at), bridge.log())
		}
		if bridge.count(Failed) != 0 || bridge.count(Connected) != 2 {
			t.Error(bridge.log())
		}
	})
	t.Run("is not given by forged answers", func(t *testing.T) {
		w, bridge, client := clientAndBridge(t, 6)
		connect(w, bridge, client)
		w.cut[netip.MustParseAddrPort(natAddr)] = true
		forged := 0
		w.seen = func(from, to netip.AddrPort, m *stun.Message) {
			if from.String() != bridgeAddr || m.Class != stun.Request {
				return
			}
			for _, pwd := range []string{"guess", client.agent.current.remote.Pwd} { // not the peer's: anything, and our own
				a := stun.Write(nil, stun.Binding, stun.Success, m.ID)
				a.Addr(stun.XORMappedAddress, netip.MustParseAddrPort(bridgeAddr))
				a.Integrity(stun.NewKey(pwd))
				a.Fingerprint()
				heapPush(w, natAddr, bridgeAddr, a.Buffer())
				forged++
			}
		}
		w.run(40*time.Second, nil)
		if forged == 0 || bridge.count(Failed) != 1 || bridge.server.Counts().Integrity < uint64(forged) {
			t.Errorf("%d forged, %d refused: %s", forged, bridge.server.Counts().Integrity, bridge.log())
		}
	})
}

func TestFailsWhenNobodyComes(t *testing.T) {
	w, bridge, client := clientAndBridge(t, 1)
	w.signal(client, bridge, false)
	w.run(time.Minute, nil)
	if len(bridge.events) != 1 || bridge.events[0].Kind != Failed || bridge.events[0].at != connectTimeout {
		t.Error(bridge.log())
	}
	_ = client
}

func TestRestart(t *testing.T) {
	restart := func(t *testing.T, n *node) Credentials {
		t.Helper()
		c, err := n.agent.Restart(n.w.now)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	t.Run("makes before it breaks", func(t *testing.T) {
		w, bridge, client := clientAndBridge(t, 1)
		connect(w, bridge, client)
		was, _ := bridge.agent.Local()
		c := restart(t, bridge)
		if c.Ufrag == was.Ufrag || c.Pwd == was.Pwd {
			t.Error("credentials have not changed")
		}
		if _, g := bridge.agent.Local(); g != 1 {
			t.Errorf("generation %d", g)
		}
		// The answer takes long: the old path is kept alive meanwhile.
		w.run(2*time.Minute, nil)
		if bridge.state() != Up || client.state() != Up || bridge.remote() != natAddr || len(bridge.events) != 1 {
			t.Errorf("the old path was lost: %s", bridge.log())
		}
		// The client comes back from another address.
		restart(t, client)
		w.nat[netip.MustParseAddrPort(clientAddr)] = netip.MustParseAddrPort("9.9.9.9:50000")
		w.nat[netip.MustParseAddrPort("10.99.99.99:1")] = netip.MustParseAddrPort(natAddr) // the old mapping leads nowhere
		w.signal(bridge, client, true)
		w.signal(client, bridge, false)
		if !w.run(time.Second, func() bool { return bridge.count(Selected) == 1 }) || bridge.remote() != "9.9.9.9:50000" {
			t.Fatal(bridge.log())
		}
		w.run(overlap-100*time.Millisecond, nil)
		if bridge.server.Lookup(UDP, netip.MustParseAddrPort(natAddr)) != bridge.agent {
			t.Error("packets on the old path are lost already")
		}
		w.run(200*time.Millisecond, nil)
		if bridge.server.Lookup(UDP, netip.MustParseAddrPort(natAddr)) != nil {
			t.Error("the old path is still there")
		}
		if len(bridge.server.ufrags) != 1 {
			t.Error("the old name is still there")
		}
		w.run(time.Minute, nil)
		if bridge.state() != Up || client.state() != Up || bridge.count(Disconnected)+bridge.count(Failed) != 0 {
			t.Error(bridge.log(), client.log())
		}
		bridge.empty()
		client.empty()
	})
	t.Run("on the same path", func(t *testing.T) {
		w, bridge, client := clientAndBridge(t, 1)
		connect(w, bridge, client)
		for range 3 {
			restart(t, bridge)
			restart(t, client)
			w.signal(bridge, client, true)
			w.signal(client, bridge, false)
			w.run(10*time.Second, nil)
			if bridge.state() != Up || bridge.agent.old != nil || bridge.server.Lookup(UDP, netip.MustParseAddrPort(natAddr)) != bridge.agent {
				t.Error(bridge.log())
			}
		}
		bridge.empty()
	})
	t.Run("twice before the answer", func(t *testing.T) {
		w, bridge, client := clientAndBridge(t, 1)
		connect(w, bridge, client)
		restart(t, bridge)
		restart(t, bridge)
		w.run(time.Minute, nil)
		if bridge.state() != Up {
			t.Error(bridge.log())
		}
		restart(t, client)
		w.signal(bridge, client, true)
		w.signal(client, bridge, false)
		w.run(time.Minute, nil)
		if bridge.state() != Up || bridge.agent.old != nil {
			t.Error(bridge.log())
		}
		bridge.empty()
	})
	t.Run("after the end", func(t *testing.T) {
		w, bridge, client := clientAndBridge(t, 1)
		connect(w, bridge, client)
		w.cut[netip.MustParseAddrPort(natAddr)] = true
		w.run(time.Minute, nil)
		w.cut = nil
		restart(t, bridge)
		restart(t, client)
		w.signal(bridge, client, true)
		w.signal(client, bridge, false)
		if !w.run(time.Second, func() bool { return bridge.state() == Up && client.state() == Up }) || bridge.events[len(bridge.events)-1].Kind != Connected {
			t.Error(bridge.log())
		}
	})
	t.Run("is needed for other credentials", func(t *testing.T) {
		w, bridge, client := clientAndBridge(t, 1)
		connect(w, bridge, client)
		restart(t, client)
		c, _ := client.agent.Local()
		if err := bridge.agent.SetRemote(c, w.now, new(Out)); !errors.Is(err, ErrRestart) {
			t.Error(err)
		}
	})
	t.Run("that nobody answers ends with the old path", func(t *testing.T) {
		w, bridge, client := clientAndBridge(t, 1)
		connect(w, bridge, client)
		restart(t, bridge)
		w.cut[netip.MustParseAddrPort(natAddr)] = true
		w.run(2*time.Minute, nil)
		if bridge.state() != Down || bridge.count(Failed) != 1 {
			t.Error(bridge.log())
		}
		bridge.empty()
	})
}

// TestPeerMoves: the NAT gives the client another port. Nobody is told; the client's next check comes from there.
func TestPeerMoves(t *testing.T) {
	w, bridge, client := clientAndBridge(t, 7)
	connect(w, bridge, client)
	for i := range 5 {
		w.run(20*time.Second, nil)
		moved := netip.AddrPortFrom(netip.MustParseAddr("9.9.9.9"), uint16(41000+i))
		w.nat[netip.MustParseAddrPort(clientAddr)] = moved
		var first time.Time
		w.seen = func(from, to netip.AddrPort, m *stun.Message) {
			if from == moved && first.IsZero() {
				first = w.now
			}
		}
		if !w.run(20*time.Second, func() bool { return bridge.remote() == moved.String() }) {
			t.Fatal(bridge.log())
		}
		if d := w.now.Sub(first); d > 1700*time.Millisecond {
			t.Errorf("the bridge needed %v to follow", d)
		}
	}
	w.run(2*time.Minute, nil)
	if bridge.count(Failed) != 0 || bridge.count(Selected) != 5 || len(bridge.agent.current.pairs) != 1 || bridge.server.proven[UDP].size() != 1 {
		t.Errorf("%d pairs, %s", len(bridge.agent.current.pairs), bridge.log())
	}
}

// TestSwitchesToAnotherPair has a client with two networks; one of them dies and comes back.
func TestSwitchesToAnotherPair(t *testing.T) {
	for _, role := range []bool{true, false} {
		w := newWorld(t, 8)
		bridge := w.node("bridge", role, bridgeAddr)
		client := w.node("client", !role, "7.7.7.1:1000", "7.7.7.2:2000")
		connect(w, bridge, client)
		w.run(10*time.Second, nil)
		if bridge.remote() != "7.7.7.1:1000" { // the better one
			t.Error(bridge.log())
		}
		w.cut[netip.MustParseAddrPort("7.7.7.1:1000")] = true
		at := w.now
		if !w.run(20*time.Second, func() bool { return bridge.remote() == "7.7.7.2:2000" && client.state() == Up }) {
			t.Fatalf("bridge controlling %v: %s %s", role, bridge.log(), client.log())
		}
		if d := w.now.Sub(at); d > 8*time.Second { // up to 6 s until the next check for consent
			t.Errorf("switched after %v", d)
		}
		w.run(40*time.Second, nil)
		w.cut = map[netip.AddrPort]bool{}
		w.run(time.Minute, nil)
		for _, n := range []*node{bridge, client} {
			if n.state() != Up || n.count(Failed) != 0 {
				t.Error(n.log())
			}
		}
		if p, _ := client.agent.Selected(); p.Local.String() != bridge.remote() {
			t.Errorf("the bridge sends to %s, the client from %s", bridge.remote(), p.Local)
		}
	}
}

func TestBetterPairTakesOverSoon(t *testing.T) {
	w := newWorld(t, 8)
	bridge := w.node("bridge", true, bridgeAddr)
	client := w.node("client", false, "7.7.7.1:1000", "7.7.7.2:2000")
	w.cut[netip.MustParseAddrPort("7.7.7.1:1000")] = true
	connect(w, bridge, client)
	if bridge.remote() != "7.7.7.2:2000" {
		t.Error(bridge.log())
	}
	w.cut = nil
	if !w.run(2*time.Second, func() bool { return bridge.remote() == "7.7.7.1:1000" }) || bridge.count(Selected) != 1 {
		t.Error(bridge.log())
	}
	w.run(time.Minute, nil)
	if p, _ := client.agent.Selected(); p.Local.String() != bridge.remote() {
		t.Error(client.log())
	}
}

func TestRoleConflict(t *testing.T) {
	for _, role := range []bool{true, false} {
		for _, larger := range []bool{true, false} {
			w := newWorld(t, 9)
			bridge := w.node("bridge", role, bridgeAddr)
			client := w.node("client", role, "7.7.7.1:1000")
			bridge.agent.tieBreaker, client.agent.tieBreaker = 5, 6
			if larger {
				bridge.agent.tieBreaker = 7
			}
			conflicts := 0
			w.seen = func(from, to netip.AddrPort, m *stun.Message) {
				if m.Class == stun.Failure && m.Code == roleConflict {
					conflicts++
				}
			}
			connect(w, bridge, client)
			w.run(20*time.Second, nil)
			if bridge.controlling() != larger || client.controlling() == larger {
				t.Errorf("both %v, bridge larger %v: %v %v", role, larger, bridge.controlling(), client.controlling())
			}
			if p := client.agent.current.selected; p == nil || client.controlling() && !p.ours {
				t.Error("nothing was nominated")
			}
			if conflicts > 2 {
				t.Errorf("%d conflicts", conflicts)
			}
		}
	}
}

func TestTCPYieldsToUDP(t *testing.T) {
	w := newWorld(t, 9)
	bridge := w.node("bridge", true, bridgeAddr)
	bridge.server.local = append(bridge.server.local, Local{Transport: TCP, Base: netip.MustParseAddrPort("8.8.8.8:443")})
	remote := netip.MustParseAddrPort("7.7.7.1:1000")
	tcp := Path{TCP, netip.MustParseAddrPort("8.8.8.8:443"), remote}
	udp := Path{UDP, netip.MustParseAddrPort(bridgeAddr), remote}
	peer := Credentials{"peer", strings.Repeat("p", 22)}
	bridge.do(func(out *Out) { bridge.agent.SetRemote(peer, w.now, out) })
	bridge.check(tcp, peer, false)
	if p, _ := bridge.agent.Selected(); p != tcp {
		t.Fatal(bridge.log())
	}
	if bridge.server.Lookup(TCP, remote) != bridge.agent || bridge.server.Lookup(UDP, remote) != nil {
		t.Error("the transports are mixed up")
	}
	w.now = w.now.Add(3 * time.Second)
	bridge.check(udp, peer, false)
	if p, _ := bridge.agent.Selected(); p != udp {
		t.Error(bridge.log())
	}
	// The stream of the path in use ends: the other one takes over at once.
	bridge.do(func(out *Out) { bridge.agent.Gone(udp, w.now, out) })
	if p, _ := bridge.agent.Selected(); p != tcp {
		t.Error(bridge.log())
	}
	// No path is left; the peer has time to connect again.
	bridge.do(func(out *Out) { bridge.agent.Gone(tcp, w.now, out) })
	if _, ok := bridge.agent.Selected(); ok || bridge.state() != Silent {
		t.Error(bridge.log())
	}
	w.now = w.now.Add(10 * time.Second)
	again := tcp
	again.Remote = netip.MustParseAddrPort("7.7.7.1:1001")
	bridge.check(again, peer, false)
	if p, _ := bridge.agent.Selected(); p != again || bridge.state() != Up {
		t.Error(bridge.log())
	}
	bridge.do(func(out *Out) { bridge.agent.Gone(again, w.now, out) })
	w.run(time.Minute, nil)
	if bridge.state() != Down {
		t.Error(bridge.log())
	}
	bridge.empty()
}

func TestOverTCPNothingIsSentAgain(t *testing.T) {
	w := newWorld(t, 9)
	bridge := w.node("bridge", true, bridgeAddr)
	peer := Credentials{"peer", strings.Repeat("p", 22)}
	bridge.do(func(out *Out) { bridge.agent.SetRemote(peer, w.now, out) })
	sent := 0
	w.seen = func(from, to netip.AddrPort, m *stun.Message) {
		if m.Class == stun.Request {
			sent++
		}
	}
	bridge.do(func(out *Out) {
		bridge.server.Packet(Path{TCP, netip.MustParseAddrPort("8.8.8.8:443"), netip.MustParseAddrPort("7.7.7.1:1000")}, bridge.request(peer, "7.7.7.1:1000", false), w.now, out)
	})
	w.run(20*time.Second, nil)
	if sent != 1 {
		t.Errorf("%d checks", sent)
	}
}

// TestRapid connects two agents over any network that lets something through, in any order of signalling and any roles.
func TestRapid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, rapid.Uint64().Draw(t, "seed"))
		w.loss = float64(rapid.IntRange(0, 35).Draw(t, "loss in percent")) / 100
		w.min = time.Duration(rapid.IntRange(0, 300).Draw(t, "delay in ms")) * time.Millisecond
		w.max = w.min + time.Duration(rapid.IntRange(0, 200).Draw(t, "jitter in ms"))*time.Millisecond
		aBases := []string{bridgeAddr, "8.8.8.8:10001"}[:rapid.IntRange(1, 2).Draw(t, "a's bases")]
		bBases := []string{"7.7.7.1:1000", "7.7.7.2:2000", "7.7.7.3:3000"}[:rapid.IntRange(1, 3).Draw(t, "b's bases")]
		a := w.node("a", rapid.Bool().Draw(t, "a controls"), aBases...)
		b := w.node("b", rapid.Bool().Draw(t, "b controls"), bBases...)
		first, second := a, b
		if rapid.Bool().Draw(t, "b hears first") {
			first, second = b, a
		}
		w.signal(second, first, true)
		w.run(time.Duration(rapid.IntRange(0, 3000).Draw(t, "signalling in ms"))*time.Millisecond, nil)
		w.signal(first, second, rapid.Bool().Draw(t, "both have candidates"))
		both := func() bool { return a.state() == Up && b.state() == Up }
		if !w.run(30*time.Second, both) {
			t.Fatalf("not connected: %s %s", a.log(), b.log())
		}
		if rapid.Bool().Draw(t, "restart") {
			if _, err := a.agent.Restart(w.now); err != nil {
				t.Fatal(err)
			}
			if _, err := b.agent.Restart(w.now); err != nil {
				t.Fatal(err)
			}
			w.signal(a, b, true)
			w.run(time.Duration(rapid.IntRange(0, 3000).Draw(t, "signalling in ms"))*time.Millisecond, nil)
			w.signal(b, a, true)
		}
		w.run(2*time.Minute, nil)
		w.loss = 0 // then they settle
		w.run(30*time.Second, nil)
		if !both() || a.count(Failed)+b.count(Failed) != 0 {
			t.Fatalf("did not last: %s %s", a.log(), b.log())
		}
		if a.controlling() == b.controlling() {
			t.Fatal("both have the same role")
		}
		pa, _ := a.agent.Selected()
		pb, _ := b.agent.Selected()
		if pa.Local != pb.Remote || pa.Remote != pb.Local {
			t.Fatalf("a uses %v, b %v: %s %s", pa, pb, a.log(), b.log())
		}
		for _, n := range []*node{a, b} {
			if len(n.agent.current.pairs) > maxPairs || n.agent.old != nil || n.server.Counts().Malformed != 0 {
				t.Fatalf("%d pairs", len(n.agent.current.pairs))
			}
			n.empty()
		}
	})
}

// TestPeerThatOnlyAnswers is one of the lite kind (RFC 8445 §2.5): the bridge's own checks have to find the path.
func TestPeerThatOnlyAnswers(t *testing.T) {
	w := newWorld(t, 3)
	bridge := w.node("bridge", true, bridgeAddr, "[2600::1]:10000")
	client := w.node("client", false, "7.7.7.1:1000", "7.7.7.2:2000", "[2600::2]:3000")
	w.cut[netip.MustParseAddrPort("7.7.7.1:1000")] = true
	w.signal(client, bridge, true)
	if n := len(bridge.agent.current.pairs); n != 3 {
		t.Errorf("%d pairs: the families are mixed up", n)
	}
	if !w.run(time.Second, func() bool { return bridge.state() == Up }) {
		t.Fatal(bridge.log())
	}
	w.run(time.Minute, nil)
	if bridge.state() != Up || client.state() != Checking {
		t.Error(bridge.log())
	}
}

func TestDualStackSocket(t *testing.T) {
	w := newWorld(t, 3)
	bridge := w.node("bridge", true, "[::]:10000")
	peer := Credentials{"peer", strings.Repeat("p", 22)}
	bridge.do(func(out *Out) { bridge.agent.SetRemote(peer, w.now, out) })
	if err := bridge.agent.AddRemote(Candidate{Component: 1, Protocol: "udp", Priority: 1, Address: "9.9.9.9", Port: 40000}, w.now); err != nil {
		t.Fatal(err)
	}
	mapped := Path{UDP, netip.MustParseAddrPort("[::]:10000"), netip.MustParseAddrPort("[::ffff:9.9.9.9]:40000")}
	var out Out
	bridge.server.Packet(mapped, bridge.request(peer, "x", false), w.now, &out)
	if len(bridge.agent.current.pairs) != 1 || len(out.Datagrams) != 2 || out.Datagrams[0].Path.Remote.String() != natAddr {
		t.Errorf("%d pairs, %+v", len(bridge.agent.current.pairs), out.Datagrams)
	}
	var m stun.Message
	if err := m.Parse(out.Datagrams[0].Data, stun.ICE); err != nil || m.Mapped.String() != natAddr {
		t.Error(m.Mapped, err)
	}
}

func TestRestartWithoutAPathEndsInTime(t *testing.T) {
	w, bridge, client := clientAndBridge(t, 3)
	connect(w, bridge, client)
	p, _ := bridge.agent.Selected()
	bridge.do(func(out *Out) { bridge.agent.Gone(p, w.now, out) })
	if _, err := bridge.agent.Restart(w.now); err != nil || bridge.state() != Checking {
		t.Error(bridge.state(), err)
	}
	if _, err := client.agent.Restart(w.now); err != nil {
		t.Fatal(err)
	}
	w.cut[netip.MustParseAddrPort(natAddr)] = true
	w.signal(client, bridge, false)
	w.run(time.Minute, nil)
	if bridge.state() != Down || bridge.count(Failed) != 1 {
		t.Error(bridge.log())
	}
	bridge.empty()
	if _, err := bridge.agent.Restart(w.now); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}
