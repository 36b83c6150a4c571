package turn

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTogether sends datagrams in one call. Every byte arrives, in datagrams of the size and order that were sent,
// however the kernel parts them among the reads; and where the kernel has both ways, over loopback more than one comes at
// a time.
func TestTogether(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			in, err := net.ListenPacket("udp", address)
			if err != nil {
				t.Skipf("no such address here: %v", err)
			}
			out, err := net.ListenPacket("udp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			sender, receiver := newSocket(out), newSocket(in)
			together := sender.batch != nil && sender.batch.gso.Load() && gathers(t, receiver)

			type arrival struct {
				b    []byte
				size int
				from netip.AddrPort
			}
			arrived, done := make(chan arrival, 200), make(chan error)
			go func() {
				done <- receiver.run(func(b []byte, size int, from netip.AddrPort) { arrived <- arrival{bytes.Clone(b), size, from} })
			}()
			defer func() {
				receiver.Close()
				<-done
			}()
			for _, c := range []struct {
				name string
				data []byte
				size int
			}{
				{"equal ones and a shorter one", bytes.Repeat([]byte("0123456789"), 205), 100},
				{"an empty one", nil, 0},
				{"a single one", []byte("alone"), 5},
				{"equal ones", bytes.Repeat([]byte("abc"), 400), 120},
				{"more than one call can send", bytes.Repeat([]byte("abcdefg"), 17000), 700},
				{"more than 64", bytes.Repeat([]byte("0123456789"), 150), 10},
			} {
				sender.send(c.data, c.size, addrPort(in.LocalAddr()))
				reads, n := 0, 0
				for rest := c.data; reads == 0 || len(rest) > 0; reads++ {
					var got arrival
					select {
					case got = <-arrived:
					case <-time.After(patience):
						t.Fatalf("%s: %d bytes are missing", c.name, len(rest))
					}
					if got.size != min(c.size, len(rest)) || !bytes.HasPrefix(rest, got.b) || got.from != addrPort(out.LocalAddr()) {
						t.Fatalf("%s: %d bytes in datagrams of %d from %v, before the last %d", c.name, len(got.b), got.size, got.from, len(rest))
					}
					rest = rest[len(got.b):]
					n += (len(got.b) + max(c.size, 1) - 1) / max(c.size, 1)
				}
				if together && n > 1 && reads >= n {
					t.Errorf("%s: %d datagrams came in %d reads", c.name, n, reads)
				}
			}
		})
	}
}

// gathers reports that the kernel says that datagrams may come together at a socket.
func gathers(t *testing.T, s *socket) (on bool) {
	t.Helper()
	if s.batch == nil {
		return false
	}
	if err := s.batch.raw.Control(func(fd uintptr) {
		v, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO)
		on = err == nil && v == 1
	}); err != nil {
		t.Fatal(err)
	}
	return on
}

// TestTooLargeForOnePacket sends datagrams that the kernel cannot cut, since each is larger than a packet of the
// interface: they are sent one by one.
func TestTooLargeForOnePacket(t *testing.T) {
	in, out := peerSocket(t), peerSocket(t)
	sender := newSocket(out)
	data := bytes.Repeat([]byte("0123456789"), 4000)
	sender.send(data, 30000, addrPort(in.LocalAddr()))
	for _, want := range []int{30000, 10000} {
		b := make([]byte, largest)
		in.SetReadDeadline(time.Now().Add(patience))
		if n, _, err := in.ReadFrom(b); n != want || err != nil {
			t.Fatalf("%d bytes, %v, want %d", n, err, want)
		}
	}
	if sender.batch == nil {
		return
	}
	// A socket on which the kernel has refused once and for all does not ask again.
	sender.batch.gso.Store(false)
	sender.send(data[:300], 100, addrPort(in.LocalAddr()))
	for range 3 {
		expect(t, in, string(data[:100]))
	}
}
