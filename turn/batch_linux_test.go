package turn

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
)

// TestTogether sends datagrams in one call: they arrive in one call.
func TestTogether(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		in, err := net.ListenPacket("udp", address)
		if err != nil {
			t.Skipf("%s: %v", address, err)
		}
		out, err := net.ListenPacket("udp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		type arrival struct {
			b    []byte
			size int
			from netip.AddrPort
		}
		arrived, done := make(chan arrival, 100), make(chan error)
		receiver := newSocket(in)
		go func() {
			done <- receiver.run(func(b []byte, size int, from netip.AddrPort) { arrived <- arrival{bytes.Clone(b), size, from} })
		}()
		to, sender := addrPort(in.LocalAddr()), newSocket(out)
		data := bytes.Repeat([]byte("0123456789"), 205)
		sender.send(data, 100, to)
		if got := <-arrived; !bytes.Equal(got.b, data) || got.size != 100 || got.from != addrPort(out.LocalAddr()) {
			t.Errorf("%s: %d bytes in datagrams of %d from %v", address, len(got.b), got.size, got.from)
		}
		sender.send(nil, 0, to)
		if got := <-arrived; len(got.b) != 0 || got.size != 0 {
			t.Errorf("%s: %d bytes in datagrams of %d", address, len(got.b), got.size)
		}
		data = bytes.Repeat([]byte("abcdefg"), 17000) // more than one call can send
		sender.send(data, 700, to)
		for n := 0; n < len(data); {
			got := <-arrived
			if got.size != 700 || !bytes.Equal(got.b, data[n:n+len(got.b)]) {
				t.Fatalf("%s: %d bytes in datagrams of %d after %d", address, len(got.b), got.size, n)
			}
			n += len(got.b)
		}
		receiver.Close()
		<-done
	}
}
