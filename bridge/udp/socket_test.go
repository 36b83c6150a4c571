package udp

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const patient = 10 * time.Second // on a machine that is busy with other tests

func listen(t testing.TB, address string, c Config) *Socket {
	t.Helper()
	s, err := Listen(netip.MustParseAddrPort(address), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// serve runs a socket until the test ends.
func serve(t testing.TB, s *Socket, h Handler) {
	t.Helper()
	done := make(chan error)
	go func() { done <- s.Run(context.Background(), h) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patient); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not after %v", what, patient)
		}
	}
}

// TestDatagramsArrive sends what a conference sends, and other things, between sockets of all kinds. Every datagram
// arrives once, whole and, within its stream, in order.
func TestDatagramsArrive(t *testing.T) {
	type kind struct {
		name, address string
		plain         bool
		readers       int
	}
	kinds := []kind{
		{"IPv4", "127.0.0.1:0", false, 1},
		{"IPv6", "[::1]:0", false, 1},
		{"plain", "127.0.0.1:0", true, 1},
		{"both IPs", "[::]:0", false, 1},
	}
	if shares {
		kinds = append(kinds, kind{"two readers", "127.0.0.1:0", false, 2})
	}
	for _, in := range kinds {
		for _, out := range kinds {
			if (in.name == "IPv6") != (out.name == "IPv6") && out.name != "both IPs" {
				continue // another family
			}
			t.Run(out.name+" to "+in.name, func(t *testing.T) {
				to := listen(t, in.address, Config{Readers: in.readers, plain: in.plain})
				from := listen(t, out.address, Config{Readers: out.readers, plain: out.plain})
				dest, source := to.Addr(), from.Addr()
				for _, a := range []*netip.AddrPort{&dest, &source} {
					if a.Addr().IsUnspecified() {
						*a = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), a.Port())
					}
				}
				if dest.Addr().Is4() != source.Addr().Is4() {
					source = netip.AddrPortFrom(netip.IPv6Loopback(), source.Port())
				}

				const streams, each = 5, 200
				var mu sync.Mutex
				next := make(map[byte]int)
				var received atomic.Int64
				serve(t, to, func(_ *Batch, d *Datagram) {
					mu.Lock()
					defer mu.Unlock()
					defer received.Add(1)
					if d.From != source || d.To != to.Addr() {
						t.Errorf("from %v to %v, want from %v to %v", d.From, d.To, source, to.Addr())
					}
					if age := time.Since(d.At); age < 0 || age > patient {
						t.Errorf("it came %v ago", age)
					}
					stream, size := d.Bytes[0], sizeOf(d.Bytes[0], next[d.Bytes[0]])
					want := fmt.Sprintf("%c%06d", stream, next[stream])
					next[stream]++
					if len(d.Bytes) != size || string(d.Bytes[:7]) != want || bytes.Count(d.Bytes[7:], []byte{stream}) != size-7 {
						t.Errorf("%d bytes %q, want %d bytes %q", len(d.Bytes), d.Bytes[:7], size, want)
					}
					clear(d.Bytes) // the handler may
				})
				w := from.Writer(dest)
				b := NewBatch(time.Now())
				for i := range each {
					for k := range byte(streams) {
						stream := 'a' + k
						size := sizeOf(stream, i)
						p := w.Reserve(size + 10)
						copy(p, bytes.Repeat([]byte{stream}, size))
						copy(p, fmt.Sprintf("%c%06d", stream, i))
						w.Commit(b, size, uint32(stream), false)
					}
					if i%7 == 0 {
						b.Done()
						wait(t, "arrival", func() bool { return received.Load() == int64((i+1)*streams) })
					}
				}
				b.Done()
				wait(t, "arrival of all", func() bool { return received.Load() == streams*each })
				s, r := from.Stats(), to.Stats()
				if s.Packets != streams*each || s.Dropped+s.Failed+s.Fallbacks != 0 || s.Bytes != r.ReceivedBytes || r.Received != s.Packets {
					t.Errorf("sent %+v, received %+v", s, r)
				}
				t.Logf("%.1f a send, %.1f joined", s.PacketsPerSend(), float64(r.Received)/float64(r.Joined))
				if together && !out.plain && s.PacketsPerSend() < 1.5 {
					t.Errorf("%.1f a send", s.PacketsPerSend())
				}
			})
		}
	}
}

// sizeOf makes sizes as encoders do: most of a stream are equal, and every fourth is shorter.
func sizeOf(stream byte, i int) int {
	size := 200 * int(stream-'a'+1)
	if i%4 == 3 {
		size -= 37
	}
	return size
}

// TestDelayedWritersWakeTheReader: what waits for others leaves although nothing else arrives.
func TestDelayedWritersWakeTheReader(t *testing.T) {
	for _, plain := range []bool{false, true} {
		t.Run(fmt.Sprint("plain ", plain), func(t *testing.T) {
			peer, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			s := listen(t, "127.0.0.1:0", Config{plain: plain})
			w := s.Writer(peer.LocalAddr().(*net.UDPAddr).AddrPort())
			w.SetDelay(3 * time.Millisecond)
			serve(t, s, func(b *Batch, d *Datagram) { w.Write(b, d.Bytes, 1, false) })
			p := make([]byte, 10)
			for i := range 20 {
				sent := time.Now()
				peer.WriteTo([]byte("ping"), net.UDPAddrFromAddrPort(s.Addr()))
				peer.SetReadDeadline(time.Now().Add(patient))
				n, _, err := peer.ReadFrom(p)
				if err != nil || string(p[:n]) != "ping" {
					t.Fatalf("round %d: %q, %v", i, p[:n], err)
				}
				if took := time.Since(sent); took < 3*time.Millisecond {
					t.Errorf("round %d: after %v", i, took)
				}
			}
		})
	}
}

// TestDeadlineFollowsTheWriters: a reader that has nothing to send later does not wake up for it.
func TestDeadlineFollowsTheWriters(t *testing.T) {
	s := listen(t, "127.0.0.1:0", Config{})
	r := &reader{bound: s.links[0].socket()}
	r.b.returns = true
	w := s.Writer(s.Addr())
	w.SetDelay(time.Millisecond)
	began := time.Now()
	for i, step := range []struct {
		at   time.Duration
		end  bool
		next time.Duration // 0: never
	}{
		{0, false, time.Millisecond},
		{time.Millisecond / 2, true, 0},
		{2 * time.Millisecond, false, 3 * time.Millisecond},
		{3 * time.Millisecond, false, 0},
	} {
		r.b.Now = began.Add(step.at)
		w.Write(&r.b, []byte("x"), 1, step.end)
		r.settle(true)
		want := time.Time{}
		if step.next > 0 {
			want = began.Add(step.next)
		}
		if r.deadline != want {
			t.Errorf("step %d: deadline %v", i, r.deadline.Sub(began))
		}
	}
}

// TestWritersWithoutDelayAnswerAtOnce compares with the one above: no reader waits for a deadline.
func TestWritersWithoutDelayAnswerAtOnce(t *testing.T) {
	for _, plain := range []bool{false, true} {
		peer := listen(t, "127.0.0.1:0", Config{plain: plain})
		s := listen(t, "127.0.0.1:0", Config{plain: plain})
		w := s.Writer(peer.Addr())
		serve(t, s, func(b *Batch, d *Datagram) { w.Write(b, d.Bytes, 1, false) })
		got := make(chan string)
		serve(t, peer, func(_ *Batch, d *Datagram) { got <- string(d.Bytes) })
		for range 20 {
			peer.Send([]byte("ping"), s.Addr())
			select {
			case answer := <-got:
				if answer != "ping" {
					t.Errorf("%q", answer)
				}
			case <-time.After(patient):
				t.Fatal("no answer")
			}
		}
	}
}

func TestRunEnds(t *testing.T) {
	for _, plain := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		s := listen(t, "127.0.0.1:0", Config{plain: plain})
		done := make(chan error)
		go func() { done <- s.Run(ctx, func(*Batch, *Datagram) {}) }()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.Run(t.Context(), func(*Batch, *Datagram) {}); err != nil {
			t.Errorf("run again on a closed socket: %v", err)
		}
		w, b := s.Writer(s.Addr()), NewBatch(time.Now())
		w.Write(b, []byte("late"), 1, true)
		b.Done()
		s.Send([]byte("late"), s.Addr())
		if got := s.Stats(); got.Failed != 2 || got.Packets != 0 {
			t.Errorf("sent on a closed socket: %+v", got)
		}
	}
}

// TestCloseUnderAFlood: a reader that is never without work sends what waits, and ends as well.
func TestCloseUnderAFlood(t *testing.T) {
	for _, plain := range []bool{false, true} {
		s := listen(t, "127.0.0.1:0", Config{plain: plain})
		from := listen(t, "127.0.0.1:0", Config{})
		stop := make(chan struct{})
		var floods sync.WaitGroup
		for range 2 {
			floods.Go(func() {
				w, b := from.Writer(s.Addr()), NewBatch(time.Now())
				for {
					select {
					case <-stop:
						return
					default:
						w.Write(b, []byte("flood"), 1, true)
						b.Done()
						runtime.Gosched() // see sendmsg
					}
				}
			})
		}
		var n atomic.Int64
		w := s.Writer(from.Addr())
		done := make(chan error)
		go func() {
			done <- s.Run(t.Context(), func(b *Batch, _ *Datagram) {
				if n.Add(1) == 1 {
					w.Write(b, []byte("answer"), 1, true)
				}
				time.Sleep(10 * time.Microsecond)
			})
		}()
		wait(t, "flood", func() bool { return n.Load() > 500 })
		wait(t, "answer", func() bool { return s.Stats().Packets == 1 })
		s.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		close(stop)
		floods.Wait()
	}
}

func TestListenRefuses(t *testing.T) {
	s := listen(t, "127.0.0.1:0", Config{})
	if again, err := Listen(s.Addr(), Config{}); err == nil {
		again.Close()
		t.Error("a port is bound twice")
	}
}
