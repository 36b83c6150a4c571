package ice

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"strings"
	"testing"
	"time"

	"parley/internal/limit"
)

// One source, or all of them together, must not make us compute more than a browser's checks ask for.
func TestHB3StrangersHaveABudget(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	base := netip.MustParseAddrPort("192.0.2.1:10000")
	s := NewServer(Config{Local: []Local{{Transport: UDP, Base: base}}, Strangers: limit.Rate{PerSecond: 10, Burst: 20}})
	a, b := s.NewAgent(nil, true), s.NewAgent(nil, true)
	defer a.Close()
	defer b.Close()
	send := func(to *Agent, from string, n int) (limited uint64) {
		c, _ := to.Local()
		c.Pwd = strings.Repeat("x", 24)
		before := s.Counts()
		var out Out
		for i := range n {
			s.Packet(Path{UDP, base, netip.MustParseAddrPort(fmt.Sprintf("%s:%d", from, 1000+i))}, check(c, "peer", "x", false, false), now, &out)
		}
		after := s.Counts()
		if len(out.Datagrams) != 0 || after.Integrity-before.Integrity+after.Limited-before.Limited != uint64(n) {
			t.Errorf("%d answers, %+v", len(out.Datagrams), after)
		}
		return after.Limited - before.Limited
	}
	sources := apart(s.strangers, 22)
	if n := send(a, sources[0], 50); n != 30 {
		t.Errorf("%d of 50 of one source are limited, not 30", n)
	}
	if n := send(b, sources[0], 1); n != 1 {
		t.Error("the source has another budget at another agent")
	}
	if n := send(b, sources[1], 20); n != 0 {
		t.Errorf("%d of another source are limited", n)
	}
	total := uint64(0)
	for _, source := range sources[2:] {
		total += send(a, source, 10)
	}
	if total != 200-(uint64(strangerRate.Burst)-20) {
		t.Errorf("%d of 200 of many sources are limited", total)
	}
	now = now.Add(time.Second)
	if n := send(a, sources[0], 10); n != 0 {
		t.Errorf("%d are limited a second later", n)
	}
}

// apart returns n addresses that share no bucket.
func apart(b *budget, n int) (list []string) {
	taken := make(map[uint64]bool)
	for a := netip.MustParseAddr("8.8.0.0"); len(list) < n; a = a.Next() {
		bytes := a.As16()
		if i := maphash.Bytes(b.seed, bytes[:]) % uint64(len(b.buckets)); !taken[i] {
			taken[i] = true
			list = append(list, a.String())
		}
	}
	return list
}

// An address belongs to who has proven it last, and is not lost when the one before goes.
func TestAddressThatAnotherHasProven(t *testing.T) {
	var tab table
	addr, other := netip.MustParseAddrPort("9.9.9.9:4000"), netip.MustParseAddrPort("9.9.9.9:4001")
	old, now := &Agent{}, &Agent{}
	tab.put(addr, old)
	tab.put(other, old)
	tab.put(addr, now)
	tab.drop(addr, old)
	if tab.get(addr) != now || tab.get(other) != old {
		t.Error("the address is lost, or another's")
	}
	tab.drop(addr, now)
	tab.drop(other, old)
	if n := tab.size(); n != 0 {
		t.Errorf("%d addresses are kept", n)
	}
}
