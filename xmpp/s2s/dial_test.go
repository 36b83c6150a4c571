package s2s

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// book is a resolver: SRV records by service and name, addresses by name.
type book struct {
	srv   map[string][]*net.SRV
	hosts map[string][]string
	fails map[string]error
	asked atomic.Int32
}

var errNoName = &net.DNSError{Err: "no such host", IsNotFound: true}

func (b *book) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	b.asked.Add(1)
	key := "_" + service + "._" + proto + "." + name
	if err := b.fails[key]; err != nil {
		return "", nil, err
	}
	if list := b.srv[key]; list != nil {
		return key, list, nil
	}
	return "", nil, errNoName
}

func (b *book) LookupNetIP(_ context.Context, _, host string) (list []netip.Addr, err error) {
	b.asked.Add(1)
	if err := b.fails[host]; err != nil {
		return nil, err
	}
	for _, a := range b.hosts[host] {
		list = append(list, netip.MustParseAddr(a))
	}
	if list == nil {
		return nil, errNoName
	}
	return list, nil
}

// TestTargets is RFC 6120 §3.2 and XEP-0368 §4.
func TestTargets(t *testing.T) {
	temporary := errors.New("no answer")
	hosts := map[string][]string{
		"one.": {"198.51.100.1"}, "two.": {"2001:db8::2", "198.51.100.2"}, "a.example": {"198.51.100.9"}, "xn--mnchen-3ya.example": {"198.51.100.8"}, "home.": {"127.0.0.1"}, "lan.": {"192.168.1.1", "198.51.100.3"},
		"many.": {"198.51.100.11", "198.51.100.12", "198.51.100.13", "198.51.100.14", "198.51.100.15", "198.51.100.16"},
	}
	plain, direct := "_xmpp-server._tcp.a.example", "_xmpps-server._tcp.a.example"
	record := func(target string, port, priority uint16) *net.SRV {
		return &net.SRV{Target: target, Port: port, Priority: priority}
	}
	for name, c := range map[string]struct {
		domain string
		srv    map[string][]*net.SRV
		fails  map[string]error
		want   string
	}{
		"no records":          {"a.example", nil, nil, "198.51.100.9:5269"},
		"an IDN":              {"münchen.example", nil, nil, "198.51.100.8:5269"},
		"an address":          {"203.0.113.77", nil, nil, "203.0.113.77:5269"},
		"one record":          {"a.example", map[string][]*net.SRV{plain: {record("one.", 5270, 0)}}, nil, "198.51.100.1:5270"},
		"both, by priority":   {"a.example", map[string][]*net.SRV{plain: {record("one.", 1, 5), record("two.", 2, 20)}, direct: {record("one.", 3, 10)}}, nil, "198.51.100.1:1 198.51.100.1:3/tls [2001:db8::2]:2 198.51.100.2:2"},
		"the same priority":   {"a.example", map[string][]*net.SRV{plain: {record("one.", 1, 5)}, direct: {record("one.", 3, 5)}}, nil, "198.51.100.1:3/tls 198.51.100.1:1"},
		"not there":           {"a.example", map[string][]*net.SRV{plain: {record(".", 0, 0)}}, nil, "no such server"},
		"only direct":         {"a.example", map[string][]*net.SRV{plain: {record(".", 0, 0)}, direct: {record("one.", 3, 5)}}, nil, "198.51.100.1:3/tls"},
		"many":                {"a.example", map[string][]*net.SRV{plain: {record("many.", 1, 5)}}, nil, "198.51.100.11:1 198.51.100.12:1 198.51.100.13:1 198.51.100.14:1 198.51.100.15:1"},
		"loopback":            {"a.example", map[string][]*net.SRV{plain: {record("home.", 1, 5)}}, nil, "private"},
		"partly private":      {"a.example", map[string][]*net.SRV{plain: {record("lan.", 1, 5)}}, nil, "198.51.100.3:1"},
		"unknown":             {"b.example", nil, nil, "no such server"},
		"unknown target":      {"a.example", map[string][]*net.SRV{plain: {record("three.", 1, 5)}}, nil, "no such server"},
		"no answer":           {"a.example", nil, map[string]error{plain: temporary}, "no answer"},
		"no answer for one":   {"a.example", map[string][]*net.SRV{direct: {record("one.", 3, 5)}}, map[string]error{plain: temporary}, "198.51.100.1:3/tls"},
		"no answer, a target": {"a.example", map[string][]*net.SRV{plain: {record("one.", 1, 5), record("two.", 2, 6)}}, map[string]error{"one.": temporary}, "[2001:db8::2]:2 198.51.100.2:2"},
	} {
		srv := &Server{resolver: &book{srv: c.srv, hosts: hosts, fails: c.fails}}
		list, err := srv.targets(context.Background(), c.domain)
		var got []string
		for _, x := range list {
			s := x.at.String()
			if x.direct {
				s += "/tls"
			}
			got = append(got, s)
		}
		if err != nil {
			got = append(got, err.Error())
			if isNone := errors.Is(err, errNotFound); isNone == strings.Contains(c.want, "no answer") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if s := strings.Join(got, " "); s != c.want && !(err != nil && strings.Contains(s, c.want)) {
			t.Errorf("%s: %s", name, s)
		}
	}
}

// TestHS4Private: what a stranger writes into his DNS does not lead us into our own network.
func TestHS4Private(t *testing.T) {
	for _, a := range []string{
		"127.0.0.1", "127.255.1.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "240.0.0.1", "255.255.255.255",
		"::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::1",
	} {
		srv := &Server{resolver: &book{hosts: map[string][]string{"a.example": {a}}}}
		if list, err := srv.targets(context.Background(), "a.example"); !errors.Is(err, errPrivate) || len(list) > 0 {
			t.Errorf("%s: %v, %v", a, list, err)
		}
		bare := netip.MustParseAddr(a).Unmap().WithZone("")
		srv.cfg.Networks = []netip.Prefix{netip.PrefixFrom(bare, bare.BitLen())}
		if list, err := srv.targets(context.Background(), "a.example"); err != nil || len(list) != 1 {
			t.Errorf("%s, listed: %v, %v", a, list, err)
		}
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range own {
		p, err := netip.ParsePrefix(o.String())
		if err == nil && !(&Server{}).private(p.Addr()) {
			t.Errorf("our own address %s", o)
		}
	}
	for _, a := range []string{"198.51.100.1", "2001:db8::1", "::ffff:198.51.100.1", "64:ff9b::c633:6401"} {
		if (&Server{}).private(netip.MustParseAddr(a).Unmap()) {
			t.Errorf("%s is private", a)
		}
	}
}

// TestHS4Dials: however many domains are written to, few connections are opened at once, and the rest goes back in time.
func TestHS4Dials(t *testing.T) {
	ca := newAuthority(t)
	a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca, func(c *Config) { c.Dials, c.DialTimeout = 3, 500*time.Millisecond })})
	silent := newSpot(t, ca.issue(t, []string{"b.example"}))
	var open, most atomic.Int32
	go func() {
		for {
			nc, err := silent.l.Accept()
			if err != nil {
				return
			}
			if n := open.Add(1); n > most.Load() {
				most.Store(n)
			}
			go func() {
				defer nc.Close()
				defer open.Add(-1)
				nc.SetReadDeadline(time.Now().Add(patience))
				for b := make([]byte, 1024); ; {
					if _, err := nc.Read(b); err != nil {
						return
					}
				}
			}()
		}
	}()
	const domains = 50
	ann := a.person("ann")
	for i := range domains {
		a.knows(fmt.Sprintf("b%d.example", i), silent.addr())
	}
	begun := time.Now()
	for i := range domains {
		ann.says(fmt.Sprintf("<message to='x@b%d.example' id='%d'/>", i, i))
	}
	for range domains {
		ann.hears("type='error'", "<remote-server-timeout ")
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if n := most.Load(); n > 6 || n == 0 { // an end is seen later here than there
		t.Errorf("%d connections at once", n)
	}
	if a.counted("s2s.dial") != domains {
		t.Error(a.counted("s2s.dial"))
	}
}

// TestHS4DomainsAreBounded.
func TestHS4DomainsAreBounded(t *testing.T) {
	ca := newAuthority(t)
	a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca, func(c *Config) { c.Domains = 2 })})
	ann := a.person("ann")
	for i, want := range []string{"remote-server-not-found", "remote-server-not-found", "resource-constraint"} {
		ann.says(fmt.Sprintf("<message to='x@b%d.example' id='%d'/>", i, i))
		ann.hears("<" + want + " ")
	}
}

// TestHF17DeadDNS: a resolver that does not answer is waited for no longer than a lookup may take.
func TestHF17DeadDNS(t *testing.T) {
	hang := hanging{make(chan struct{})}
	srv := &Server{resolver: hang}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := srv.targets(ctx, "a.example"); err == nil || errors.Is(err, errNotFound) {
		t.Error(err)
	}
	if lookupTimeout > 5*time.Second {
		t.Error(lookupTimeout)
	}
}

type hanging struct{ never chan struct{} }

func (h hanging) LookupSRV(ctx context.Context, _, _, _ string) (string, []*net.SRV, error) {
	<-ctx.Done()
	return "", nil, ctx.Err()
}

func (h hanging) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
