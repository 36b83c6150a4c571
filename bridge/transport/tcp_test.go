package transport

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"parley/bridge/udp"
)

// dial connects over TCP; local is our own address, or nil for any.
func dial(t *testing.T, p *Port, local *net.TCPAddr) *net.TCPConn {
	t.Helper()
	c, err := net.DialTCP("tcp", local, net.TCPAddrFromAddrPort(p.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ended waits until the other side has closed a connection.
func ended(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("the connection was not closed: %v", err)
	}
}

// held waits until the port has as many streams, and returns their addresses.
func held(t *testing.T, p *Port, n int) map[netip.AddrPort]bool {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		have := make(map[netip.AddrPort]bool)
		p.mu.Lock()
		for from := range p.streams {
			have[from] = true
		}
		p.mu.Unlock()
		if len(have) == n {
			return have
		}
		if time.Now().After(end) {
			t.Fatalf("%d streams, not %d", len(have), n)
		}
	}
}

func TestAcceptingOutlivesErrors(t *testing.T) {
	rec, count := events()
	p := listen(t, Config{TCP: true, Events: rec})
	p.listener.SetDeadline(time.Unix(1, 0)) // each attempt fails at once, as without files
	for end := time.Now().Add(10 * time.Second); count("transport.accept") < 9; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%v errors", count("transport.accept"))
		}
	}
	p.listener.SetDeadline(time.Time{})
	dial(t, p, nil)
	held(t, p, 1)
}

func TestHB3UnprovenStreamsLeaveRoom(t *testing.T) {
	rec, count := events()
	p := listen(t, Config{TCP: true, Events: rec, Limits: Limits{Streams: 3}})
	var conns []*net.TCPConn
	for n := range 5 {
		conns = append(conns, dial(t, p, nil))
		held(t, p, min(n+1, 3))
		if n > 2 { // the oldest has made room
			ended(t, conns[n-3])
		}
	}
	if n := count("limit.streams"); n != 2 {
		t.Errorf("%v events", n)
	}
	have := held(t, p, 3)
	for _, c := range conns[2:] {
		if !have[c.LocalAddr().(*net.TCPAddr).AddrPort()] {
			t.Error("a newcomer has no room")
		}
	}
}

func TestProvenStreamsKeepTheirRoom(t *testing.T) {
	p := listen(t, Config{TCP: true, Limits: Limits{Streams: 1}})
	e, _, peer := connect(t, p, Options{}, clientOptions{protocol: "tcp"})
	for range 3 {
		ended(t, dial(t, p, nil))
	}
	peer.talk(1)
	if !e.Ready() {
		t.Error("not ready")
	}
}

// A client may use its port again before the end of its last connection was seen here.
func TestStreamOfAnAddressThatHasOne(t *testing.T) {
	p := listen(t, Config{TCP: true, Limits: Limits{Proof: time.Hour}})
	reserved, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	local := reserved.Addr().(*net.TCPAddr)
	reserved.Close()
	here, there := net.Pipe()
	defer there.Close()
	old := &connection{udp.NewStream(here), time.Now()}
	p.mu.Lock()
	p.streams[local.AddrPort()] = old
	p.mu.Unlock()

	ended(t, dial(t, p, local))
	p.mu.Lock()
	if p.streams[local.AddrPort()] != old {
		t.Error("the stream is forgotten: nobody would close it")
	}
	delete(p.streams, local.AddrPort())
	p.mu.Unlock()
	old.stream.Close()
	if _, err := here.Read(nil); !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}
