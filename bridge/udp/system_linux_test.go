package udp

import (
	"context"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const shares = true // several readers work here

// together says that the kernel cuts and joins.
var together = func() bool {
	s, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), Config{})
	if err != nil {
		return false
	}
	defer s.Close()
	l, ok := s.links[0].(*kernel)
	return ok && l.gso.Load()
}()

func (l *kernel) setsockopt(t testing.TB, level, name, value int) {
	t.Helper()
	l.raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptInt(int(fd), level, name, value); err != nil {
			t.Fatal(err)
		}
	})
}

// TestJoined: over loopback, what leaves in one call arrives in one.
func TestJoined(t *testing.T) {
	if !together {
		t.Skip("this kernel has no GSO")
	}
	to, from := listen(t, "127.0.0.1:0", Config{}), listen(t, "127.0.0.1:0", Config{})
	w, b := from.Writer(to.Addr()), NewBatch(time.Now())
	var sizes []int
	var mu sync.Mutex
	for range 20 {
		w.Write(b, make([]byte, 1100), 1, false)
	}
	w.Write(b, make([]byte, 300), 1, true)
	b.Done()
	serve(t, to, func(_ *Batch, d *Datagram) { mu.Lock(); sizes = append(sizes, len(d.Bytes)); mu.Unlock() })
	wait(t, "arrival", func() bool { return to.Stats().Received == 21 })
	if s := from.Stats(); s.Sends != 1 || s.Packets != 21 || s.Bytes != 20*1100+300 {
		t.Errorf("%+v", s)
	}
	if s := to.Stats(); s.Joined != 1 || s.Reads != 1 {
		t.Errorf("%+v", s)
	}
	mu.Lock()
	defer mu.Unlock()
	if want := append(slices.Repeat([]int{1100}, 20), 300); !slices.Equal(sizes, want) {
		t.Errorf("sizes %v", sizes)
	}
}

// TestArrivalTime: the time is that of the kernel, not of the reader.
func TestArrivalTime(t *testing.T) {
	const clocks = time.Millisecond // may differ that much
	var times [2]time.Time
	for try := 0; ; try++ {
		to, from := listen(t, "127.0.0.1:0", Config{}), listen(t, "127.0.0.1:0", Config{})
		before := time.Now()
		from.Send([]byte("x"), to.Addr())
		after := time.Now()
		time.Sleep(50 * time.Millisecond)
		got := make(chan [2]time.Time, 1)
		serve(t, to, func(b *Batch, d *Datagram) { got <- [2]time.Time{d.At, b.Now} })
		if times = <-got; !times[0].Before(before.Add(-clocks)) && !times[0].After(after.Add(clocks)) && !times[1].Before(after.Add(40*time.Millisecond)) {
			break
		}
		if try == 50 { // the kernel begins to note times some while after the first socket has asked for it, and until then as they are read
			t.Fatalf("sent after %v, came at %v, read at %v", before, times[0], times[1])
		}
	}
	if times[0] == times[0].Round(0) {
		t.Error("the time has no monotonic reading")
	}
}

func TestBefore(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name string
		wall time.Time
		want time.Duration
	}{
		{"a moment ago", now.Add(-time.Millisecond).Round(0), -time.Millisecond},
		{"the clock was set back", now.Add(time.Hour).Round(0), 0},
		{"the clock was set ahead", now.Add(-time.Hour).Round(0), -time.Second},
		{"never set", time.Time{}, -time.Second},
	} {
		if got := before(now, c.wall).Sub(now); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestClass: DSCP and ECN arrive for each datagram, for both IPs.
func TestClass(t *testing.T) {
	for _, c := range []struct {
		to, from    string
		level, name int
	}{
		{"127.0.0.1:0", "127.0.0.1:0", unix.IPPROTO_IP, unix.IP_TOS},
		{"[::1]:0", "[::1]:0", unix.IPPROTO_IPV6, unix.IPV6_TCLASS},
		{"[::]:0", "127.0.0.1:0", unix.IPPROTO_IP, unix.IP_TOS},
	} {
		to, from := listen(t, c.to, Config{}), listen(t, c.from, Config{})
		dest := netip.AddrPortFrom(from.Addr().Addr(), to.Addr().Port())
		for _, class := range []int{0, 46<<2 | 1, 34<<2 | 2, 3} {
			from.links[0].(*kernel).setsockopt(t, c.level, c.name, class)
			from.Send([]byte{byte(class)}, dest)
		}
		got := make(chan Datagram, 10)
		serve(t, to, func(_ *Batch, d *Datagram) {
			if d.Class != d.Bytes[0] || d.ECN() != d.Bytes[0]&3 || d.DSCP() != d.Bytes[0]>>2 {
				t.Errorf("to %s: class %#x, want %#x", c.to, d.Class, d.Bytes[0])
			}
			got <- *d
		})
		for range 4 {
			<-got
		}
	}
}

// TestOverflow: what the kernel has no room for is counted.
func TestOverflow(t *testing.T) {
	to, from := listen(t, "127.0.0.1:0", Config{}), listen(t, "127.0.0.1:0", Config{})
	to.links[0].(*kernel).setsockopt(t, unix.SOL_SOCKET, unix.SO_RCVBUF, 10000)
	for range 500 {
		from.Send(make([]byte, 1000), to.Addr())
	}
	serve(t, to, func(*Batch, *Datagram) {})
	wait(t, "the count, and later datagrams that bring it", func() bool {
		from.Send(make([]byte, 1000), to.Addr())
		return to.Stats().Overflow > 100
	})
	// Whatever the kernel has not dropped must have come.
	wait(t, "the rest", func() bool {
		s := to.Stats()
		return s.Received+s.Overflow == from.Stats().Packets
	})
}

func TestWarnsOfSmallBuffers(t *testing.T) {
	var short []Shortage
	listen(t, "127.0.0.1:0", Config{Buffer: 1 << 30, Warn: func(s Shortage) { short = append(short, s) }})
	const ceiling = 1<<30 - 1 // the kernel doubles into an int
	if len(short) != 2 || short[0].Buffer != "receive" || short[1].Buffer != "send" || short[0].Asked != 1<<30 || short[0].Got > ceiling || short[0].Got < 1000 {
		t.Errorf("%+v", short)
	}
	short = nil
	s := listen(t, "127.0.0.1:0", Config{Buffer: 100_000, Warn: func(s Shortage) { short = append(short, s) }})
	if len(short) != 0 {
		t.Errorf("%+v", short)
	}
	s.links[0].(*kernel).raw.Control(func(fd uintptr) {
		if got, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF); err != nil || got < 200_000 {
			t.Errorf("a buffer of %d, %v", got, err)
		}
	})
}

// TestKernelThatDoesNotCut: a socket without checksums is one that the kernel cuts nothing for (EINVAL). The datagrams
// arrive, and the receiver's next ones leave singly without another try.
func TestKernelThatDoesNotCut(t *testing.T) {
	if !together {
		t.Skip("this kernel has no GSO")
	}
	to, from := listen(t, "127.0.0.1:0", Config{}), listen(t, "127.0.0.1:0", Config{})
	from.links[0].(*kernel).setsockopt(t, unix.SOL_SOCKET, unix.SO_NO_CHECK, 1)
	var bytes atomic.Int64
	serve(t, to, func(_ *Batch, d *Datagram) { bytes.Add(int64(len(d.Bytes))) })
	w, b := from.Writer(to.Addr()), NewBatch(time.Now())
	for range 3 {
		for range 10 {
			w.Write(b, make([]byte, 1000), 1, false)
		}
		b.Done()
	}
	wait(t, "arrival", func() bool { return bytes.Load() == 30*1000 })
	if s := from.Stats(); s.Fallbacks != 1 || s.Packets != 30 || s.Sends != 30 || s.Failed+s.Dropped != 0 {
		t.Errorf("%+v", s)
	}
}

// TestRefusals: what each error of the kernel means for the datagrams, this receiver and the others.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name           string
		errno          unix.Errno
		alone          bool // single datagrams are refused as well
		want           Stats
		others, itself bool // are sent together afterwards: to others, smaller ones to the same
	}{
		{"all is well", 0, false, Stats{Packets: 4, Sends: 1}, true, true},
		{"the send buffer is full", unix.EAGAIN, true, Stats{Dropped: 4}, true, true},
		{"the device's queue is full", unix.ENOBUFS, true, Stats{Dropped: 4}, true, true},
		{"no route", unix.ENETUNREACH, true, Stats{Failed: 4}, true, true},
		{"a firewall", unix.EPERM, true, Stats{Failed: 4}, true, true},
		{"the device does not cut", unix.EIO, false, Stats{Packets: 4, Sends: 4, Fallbacks: 1}, false, false},
		{"larger than the path takes", unix.EMSGSIZE, false, Stats{Packets: 4, Sends: 4, Fallbacks: 1}, true, true},
		{"the same of an older kernel", unix.EINVAL, false, Stats{Packets: 4, Sends: 4, Fallbacks: 1}, true, true},
		{"no address of this socket", unix.EINVAL, true, Stats{Failed: 4, Fallbacks: 1}, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := listen(t, "127.0.0.1:0", Config{})
			l := s.links[0].(*kernel)
			l.gso.Store(true) // also where the kernel of this test has none
			refuse, largestGroup := c.errno, 0
			l.sendmsg = func(_ uintptr, h *unix.Msghdr) unix.Errno {
				if h.Controllen > 0 {
					control := unsafe.Slice(h.Control, h.Controllen)
					largestGroup = max(largestGroup, int(binary.NativeEndian.Uint16(control[unix.CmsgLen(0):])))
				} else if !c.alone {
					return 0
				}
				return refuse
			}
			dest := netip.MustParseAddrPort("192.0.2.1:9999")
			w, b := s.Writer(dest), NewBatch(start)
			group := func(w *Writer, size int) int {
				largestGroup = 0
				for range 4 {
					w.Write(b, make([]byte, size), 1, false)
				}
				b.Done()
				return largestGroup
			}
			if group(w, 1200) != 1200 {
				t.Error("nothing was sent together")
			}
			c.want.Bytes = c.want.Packets * 1200
			if got := s.Stats(); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			refuse = 0
			if got := group(w, 100) == 100; got != c.itself {
				t.Errorf("smaller ones together: %v", got)
			}
			if got := group(s.Writer(dest), 1200) == 1200; got != c.others {
				t.Errorf("to others together: %v", got)
			}
			size := group(w, 1200)
			if limited := size != 1200; limited != (c.want.Fallbacks > 0) {
				t.Errorf("as large ones again together: %v", !limited)
			}
		})
	}
}

// TestReadersShareAPort: the kernel spreads the peers, and each peer stays with one reader.
func TestReadersShareAPort(t *testing.T) {
	s := listen(t, "127.0.0.1:0", Config{Readers: 2})
	var mu sync.Mutex
	by := make(map[netip.AddrPort]*Batch)
	readers := make(map[*Batch]int)
	serve(t, s, func(b *Batch, d *Datagram) {
		mu.Lock()
		defer mu.Unlock()
		if before, ok := by[d.From]; ok && before != b {
			t.Errorf("%v came to two readers", d.From)
		}
		by[d.From] = b
		readers[b]++
		s.Writer(d.From).Write(b, d.Bytes, 1, true) // by either of the two sockets
	})
	for range 40 {
		peer := listen(t, "127.0.0.1:0", Config{})
		var answers atomic.Int64
		serve(t, peer, func(_ *Batch, d *Datagram) {
			if d.From != s.Addr() {
				t.Errorf("an answer from %v", d.From)
			}
			answers.Add(1)
		})
		for range 3 {
			peer.Send([]byte("x"), s.Addr())
		}
		wait(t, "answers", func() bool { return answers.Load() == 3 })
	}
	mu.Lock()
	defer mu.Unlock()
	if len(readers) != 2 {
		t.Errorf("%d readers had work", len(readers))
	}
}

func TestSockaddr(t *testing.T) {
	for _, c := range []struct {
		addr string
		six  bool
		want string
	}{
		{"192.0.2.1:10000", false, "192.0.2.1:10000"},
		{"[::ffff:192.0.2.1]:10000", false, "192.0.2.1:10000"},
		{"192.0.2.1:10000", true, "192.0.2.1:10000"},
		{"[2001:db8::1]:1", true, "[2001:db8::1]:1"},
		{"[fe80::1%7]:65535", true, "[fe80::1%7]:65535"},
		{"[fe80::1%lo]:1", true, "[fe80::1%1]:1"},
		{"[fe80::1%nosuchthing]:1", true, "[fe80::1]:1"},
	} {
		var a sockaddr
		a.set(netip.MustParseAddrPort(c.addr), c.six)
		if got := a.get(); got != netip.MustParseAddrPort(c.want) {
			t.Errorf("%s: %v, want %s", c.addr, got, c.want)
		}
		if v4 := a.raw.Family == unix.AF_INET; v4 == c.six || v4 != (a.size == unix.SizeofSockaddrInet4) {
			t.Errorf("%s: family %d, %d bytes", c.addr, a.raw.Family, a.size)
		}
	}
}

// TestWhatComesMeanwhileLeavesWithTheRest: while the first packet of a frame is handled the others come, and all leave in
// one call, although no datagram may wait. A machine that takes longer than overload for four datagrams is given another try.
func TestWhatComesMeanwhileLeavesWithTheRest(t *testing.T) {
	for range 100 {
		if sends, took := frame(t); took < overload {
			if together && sends != 1 {
				t.Errorf("%d calls within %v", sends, took)
			}
			return
		}
	}
	t.Errorf("four datagrams always take %v", overload)
}

// frame lets three datagrams arrive while the first one is handled, and returns in how many calls the four leave, and the time from
// the first to the last by the clock of the batch.
func frame(t *testing.T) (sends uint64, took time.Duration) {
	s, from, to := listen(t, "127.0.0.1:0", Config{}), listen(t, "127.0.0.1:0", Config{}), listen(t, "127.0.0.1:0", Config{})
	w := s.Writer(to.Addr())
	packet := make([]byte, 1000)
	handled, first := 0, time.Time{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- s.Run(ctx, func(b *Batch, d *Datagram) {
			if handled++; handled == 1 {
				first = b.Now
			}
			if took = b.Now.Sub(first); handled < 4 {
				from.Send(packet, s.Addr())
				readable(t, s)
			}
			w.Write(b, d.Bytes, 1, handled == 4)
		})
	}()
	from.Send(packet, s.Addr())
	wait(t, "four datagrams", func() bool { return s.Stats().Packets == 4 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return s.Stats().Sends, took
}

// readable waits until the kernel has something for the socket: on a busy machine it does not when the sender's call returns.
func readable(t *testing.T, s *Socket) {
	raw, err := s.links[0].socket().conn.SyscallConn()
	if err != nil {
		t.Error(err)
		return
	}
	raw.Control(func(fd uintptr) {
		for {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 30_000)
			if err == unix.EINTR {
				continue
			}
			if n != 1 {
				t.Errorf("nothing came: %v", err)
			}
			return
		}
	})
}
