package proxied

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// header writes a header.
func header(command, family byte, rest []byte) []byte {
	return append(binary.BigEndian.AppendUint16(append([]byte(signature), versionTwo|command, family), uint16(len(rest))), rest...)
}

func addresses(source, destination netip.AddrPort, also ...byte) []byte {
	b := append(source.Addr().AsSlice(), destination.Addr().AsSlice()...)
	return append(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, source.Port()), destination.Port()), also...)
}

var (
	client4 = netip.MustParseAddrPort("192.0.2.7:4711")
	client6 = netip.MustParseAddrPort("[2001:db8::7]:4711")
	server4 = netip.MustParseAddrPort("198.51.100.1:443")
	server6 = netip.MustParseAddrPort("[2001:db8::1]:443")
)

func TestHeaders(t *testing.T) {
	mapped := netip.AddrPortFrom(netip.AddrFrom16(client4.Addr().As16()), 4711)
	for name, c := range map[string]struct {
		text []byte
		want string // address, "" for none, or "error"
	}{
		"of IPv4":         {header(handed, tcp4, addresses(client4, server4)), client4.String()},
		"of IPv6":         {header(handed, tcp6, addresses(client6, server6)), client6.String()},
		"with more":       {header(handed, tcp4, addresses(client4, server4, 3, 0, 4, 1, 2, 3, 4)), client4.String()},
		"mapped":          {header(handed, tcp6, addresses(mapped, server6)), client4.String()},
		"a check":         {header(local, 0, nil), ""},
		"a check's":       {header(local, tcp4, addresses(client4, server4)), ""},
		"it does not say": {header(handed, 0, nil), ""},
		"of a socket":     {header(handed, 0x31, make([]byte, 216)), "error"},
		"of UDP":          {header(handed, 0x12, addresses(client4, server4)), "error"},
		"too short":       {header(handed, tcp6, addresses(client4, server4)), "error"},
		"no address":      {header(handed, tcp4, addresses(netip.MustParseAddrPort("0.0.0.0:1"), server4)), "error"},
		"of many":         {header(handed, tcp4, addresses(netip.MustParseAddrPort("224.0.0.1:1"), server4)), "error"},
		"too long":        {header(handed, tcp4, make([]byte, longest+1)), "error"},
		"another command": {header(2, tcp4, addresses(client4, server4)), "error"},
		"version 1":       {[]byte("PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"), "error"},
		"a stream":        {[]byte("<?xml version='1.0'?><stream:stream>"), "error"},
		"cut":             {header(handed, tcp4, addresses(client4, server4))[:20], "error"},
	} {
		behind := "behind it"
		r := strings.NewReader(string(c.text) + behind)
		if name == "cut" {
			r = strings.NewReader(string(c.text))
		}
		got, err := readHeader(r)
		switch {
		case c.want == "error":
			if err == nil {
				t.Errorf("%s: %v", name, got)
			}
			continue
		case err != nil || got.IsValid() && got.String() != c.want || !got.IsValid() && c.want != "":
			t.Errorf("%s: %v %v, want %q", name, got, err, c.want)
		}
		if rest, _ := io.ReadAll(r); string(rest) != behind {
			t.Errorf("%s: what is left is %q", name, rest)
		}
	}
}

func FuzzHeader(f *testing.F) {
	f.Add(header(handed, tcp4, addresses(client4, server4)))
	f.Add(header(handed, tcp6, addresses(client6, server6, 1, 2, 3)))
	f.Add(header(local, 0, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		got, err := readHeader(r)
		read := len(b) - r.Len()
		if err != nil {
			return
		}
		if want := fixed + int(binary.BigEndian.Uint16(b[14:])); read != want {
			t.Fatalf("%d bytes are read, the header has %d", read, want)
		}
		if !got.IsValid() {
			return
		}
		family := byte(tcp4)
		if got.Addr().Is6() {
			family = tcp6
		}
		again, err := readHeader(bytes.NewReader(header(handed, family, addresses(got, got))))
		if err != nil || again != got {
			t.Fatalf("%v, written and read: %v %v", got, again, err)
		}
	})
}

type rejects struct {
	mu   sync.Mutex
	list []string
}

func (r *rejects) Reject(name, source string, _ ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, name+" "+source)
}

func listen(t *testing.T, balancers ...netip.Prefix) (net.Listener, *rejects) {
	t.Helper()
	low, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := new(rejects)
	l := Listen(low, balancers, r)
	t.Cleanup(func() { l.Close() })
	return l, r
}

func dial(t *testing.T, l net.Listener, say ...[]byte) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	for _, b := range say {
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// A balancer is believed; one that says nothing holds nobody up, and one that says something else is refused.
func TestBalancersAreBelieved(t *testing.T) {
	l, r := listen(t, netip.MustParsePrefix("127.0.0.0/8"))
	silent := dial(t, l)
	wrong := dial(t, l, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	if _, err := wrong.Read(make([]byte, 1)); err == nil {
		t.Error("it is answered without a header")
	}
	dial(t, l, header(handed, tcp4, addresses(client4, server4)), []byte("hello"))
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := make([]byte, 5)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" || c.RemoteAddr().String() != client4.String() {
		t.Errorf("%q from %v: %v", b, c.RemoteAddr(), err)
	}
	own := dial(t, l, header(local, 0, nil))
	check, err := l.Accept()
	if err != nil || check.RemoteAddr().String() != own.LocalAddr().String() {
		t.Errorf("%v %v", check, err)
	}
	check.Close()
	r.mu.Lock()
	if len(r.list) != 1 || r.list[0] != "proxy.header 127.0.0.1" {
		t.Error(r.list)
	}
	r.mu.Unlock()
	l.Close() // with one that never spoke
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("it is still open")
	}
}

// What others write is theirs, header or not.
func TestOthersAreNotBelieved(t *testing.T) {
	l, _ := listen(t, netip.MustParsePrefix("127.0.0.2/32"))
	text := header(handed, tcp4, addresses(client4, server4))
	dial(t, l, text)
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := make([]byte, len(text))
	if _, err := io.ReadFull(c, b); err != nil || !bytes.Equal(b, text) || !strings.HasPrefix(c.RemoteAddr().String(), "127.0.0.1:") {
		t.Errorf("%q from %v: %v", b, c.RemoteAddr(), err)
	}
}
