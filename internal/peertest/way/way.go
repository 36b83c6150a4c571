// Package way is a way over TCP to a server that tests can cut. It imports nothing of the product, so that the tests of every package
// can use it.
package way

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Way takes connections and passes on what comes, in both directions. Its goroutines end with the test.
type Way struct {
	listener net.Listener
	group    sync.WaitGroup

	mu    sync.Mutex // guards conns
	conns []net.Conn
}

// To opens a way to an address.
func To(t testing.TB, address string) *Way {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &Way{listener: l}
	w.group.Go(func() { w.accept(address) })
	t.Cleanup(func() {
		l.Close()
		w.Cut()
		w.group.Wait()
	})
	return w
}

func (w *Way) accept(address string) {
	for {
		in, err := w.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", address)
		if err != nil {
			in.Close()
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, in, out)
		w.mu.Unlock()
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			w.group.Go(func() {
				io.Copy(pair[0], pair[1])
				in.Close()
				out.Close()
			})
		}
	}
}

// Addr is where the way begins.
func (w *Way) Addr() string { return w.listener.Addr().String() }

// Cut breaks all connections: what is on the way is gone, and both ends are alive.
func (w *Way) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, nc := range w.conns {
		nc.(*net.TCPConn).SetLinger(0)
		nc.Close()
	}
	w.conns = nil
}
