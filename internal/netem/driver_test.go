package netem

import (
	"context"
	"encoding/binary"
	"math"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// driven returns a driver that runs as long as the test.
func driven(t *testing.T) *Driver {
	t.Helper()
	d, err := NewDriver()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Run(ctx)
	}()
	t.Cleanup(func() { stop(); <-done })
	return d
}

// sink notes what comes.
type sink struct {
	driver *Driver
	mu     sync.Mutex
	at     []time.Duration
	got    []uint32
	marked int
}

func (s *sink) Deliver(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = append(s.at, s.driver.Now())
	s.got = append(s.got, binary.BigEndian.Uint32(b[20:]))
	if b[1]&3 == ce {
		s.marked++
	}
}

func (s *sink) wait(t *testing.T, n int) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(5 * ms) {
		s.mu.Lock()
		have := len(s.at)
		s.mu.Unlock()
		if have >= n {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%d of %d packets came", have, n)
		}
	}
}

func packet(n uint32, size int) []byte {
	b := header(1, uint16(n))
	b = append(b, make([]byte, size-len(b))...)
	binary.BigEndian.PutUint32(b[20:], n)
	return b
}

// Never early, in order, at the rate; how late depends on the machine and is what Lateness says.
func TestDriverDeliversAtTheTime(t *testing.T) {
	d := driven(t)
	s := &sink{driver: d}
	p := NewPath(&Bottleneck{Schedule: Schedule{{0, 2_000_000}}, Mark: 100 * ms}, Line{Delay: 30 * ms}, 1)
	begin := d.Now()
	for i := range uint32(100) { // 4 ms each
		d.Send(p, packet(i, 960), 40, 0, s)
	}
	d.Send(p, packet(0, 960), 40, 0, nil) // load alone
	d.Send(p, packet(100, 960), 40, 0, s)
	s.wait(t, 101)
	for i, at := range s.at {
		if s.got[i] != uint32(i) {
			t.Fatalf("packet %d comes as %d", s.got[i], i)
		}
		due := begin + 30*ms + time.Duration(i+1)*4*ms
		if i == 100 {
			due += 4 * ms
		}
		if at < due-early {
			t.Fatalf("packet %d is %v early", i, due-at)
		}
	}
	if s.marked < 40 || s.marked > 76 { // those that waited more than 100 ms; fewer where sending took its time
		t.Errorf("%d marked", s.marked)
	}
	l := d.Lateness()
	t.Logf("late: %v, %v, at most %v", l.Quantile(0.5), l.Quantile(0.95), l.Max)
	if l.Packets != 101 || l.Quantile(0.5) > l.Quantile(0.95) || l.Quantile(0.5) > 20*ms {
		t.Errorf("lateness %v of %d packets", l.Quantile(0.5), l.Packets)
	}
	if d.Lateness().Packets != 0 {
		t.Error("the lateness is not told anew")
	}
}

func TestDriverDeliversCopies(t *testing.T) {
	d := driven(t)
	s := &sink{driver: d}
	p := NewPath(nil, Line{Delay: ms, Duplicate: 1}, 1)
	d.Send(p, packet(1, 3000), 0, 0, s) // longer than a buffer that is kept
	d.Send(p, packet(2, 100), 0, 0, s)
	s.wait(t, 4)
	if !slices.Equal(s.got, []uint32{1, 1, 2, 2}) {
		t.Errorf("%v", s.got)
	}
}

// A packet that is due before what the driver sleeps for wakes it.
func TestDriverWakesForAnEarlierPacket(t *testing.T) {
	d := driven(t)
	s := &sink{driver: d}
	slow, fast := NewPath(nil, Line{Delay: 400 * ms}, 1), NewPath(nil, Line{Delay: 10 * ms}, 1)
	d.Send(slow, packet(1, 100), 0, 0, s)
	time.Sleep(20 * ms)
	d.Send(fast, packet(2, 100), 0, 0, s)
	s.wait(t, 2)
	if !slices.Equal(s.got, []uint32{2, 1}) || s.at[0] > 300*ms {
		t.Errorf("%v at %v", s.got, s.at)
	}
}

func TestArrivalsComeInOrder(t *testing.T) {
	var h arrivals
	p := NewPath(nil, Line{Jitter: 50 * ms, Loose: true}, 9)
	for i := range 3000 {
		next := h.push(arrival{at: p.Pass(time.Duration(i%7)*ms, 1, 0).Arrivals[0] / (10 * ms) * (10 * ms), number: uint64(i)})
		if next != (h[0].number == uint64(i)) {
			t.Fatal("push says wrong what is next")
		}
	}
	last := h.pop()
	for len(h) > 0 {
		a := h.pop()
		if a.at < last.at || a.at == last.at && a.number < last.number {
			t.Fatalf("%v %d after %v %d", a.at, a.number, last.at, last.number)
		}
		last = a
	}
}

// echo is a UDP server that sends everything back.
func echo(t *testing.T, c *net.UDPConn) netip.AddrPort {
	t.Helper()
	var done sync.WaitGroup
	c.SetReadBuffer(socketBuffer)
	done.Go(func() {
		b := make([]byte, 2048)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			c.WriteToUDPAddrPort(b[:n], from)
		}
	})
	t.Cleanup(func() { c.Close(); done.Wait() })
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// trips sends n numbered datagrams of a size at a distance and returns how long each one was on its way there and back,
// and over what time they came; a missing one is 0.
func trips(t *testing.T, c *net.UDPConn, n, size int, every time.Duration) (took []time.Duration, over time.Duration) {
	t.Helper()
	sent, took := make([]time.Time, n), make([]time.Duration, n)
	var mu sync.Mutex
	done := make(chan struct{})
	var first, last time.Time
	go func() {
		defer close(done)
		b := make([]byte, 2048)
		for range n {
			m, err := c.Read(b)
			if err != nil || m != size {
				return
			}
			i := binary.BigEndian.Uint32(b)
			last = time.Now()
			if first.IsZero() {
				first = last
			}
			mu.Lock()
			took[i] = last.Sub(sent[i])
			mu.Unlock()
		}
	}()
	b := make([]byte, size)
	for i := range n {
		binary.BigEndian.PutUint32(b, uint32(i))
		mu.Lock()
		sent[i] = time.Now()
		mu.Unlock()
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		time.Sleep(every)
	}
	c.SetReadDeadline(time.Now().Add(1500 * ms))
	<-done
	c.SetReadDeadline(time.Time{})
	return took, last.Sub(first)
}

// checkPath holds a path of 15 ms there and 25 ms back, with a megabit back, to what is expected of it.
func checkPath(t *testing.T, d *Driver, c *net.UDPConn, w Ways, overhead int) {
	t.Helper()
	var r Record
	d.With(func(now time.Duration) {
		w.Down.Record = &r
		r.Reset(now)
	})
	took, _ := trips(t, c, 20, 100, 10*ms)
	slices.Sort(took)
	if took[0] < 40*ms || took[10] > 90*ms {
		t.Errorf("a round trip of 40 ms takes %v to %v", took[0], took[10])
	}
	// 100 packets of 1,000 bytes at once leave at the rate: 99 distances of 8 ms.
	_, over := trips(t, c, 100, 1000-overhead, 0)
	if want := 99 * 8 * ms; over < want-200*ms || over > want+400*ms {
		t.Errorf("100 kB at a megabit take %v", over)
	}
	d.With(func(now time.Duration) {
		if r.Packets != 120 || r.Bytes[2] != 20*(100+overhead) || r.Bytes[1] != 100*1000 {
			t.Errorf("%d packets, %v bytes", r.Packets, r.Bytes)
		}
		if q := r.Queueing(0, now, 0.99); q < 500*ms || q > 800*ms {
			t.Errorf("the last waited %v", q)
		}
		w.Down.Change(Line{Delay: 25 * ms, Loss: Loss{Burst: Burst{1, 4}}})
	})
	took, _ = trips(t, c, 40, 100, 2*ms)
	lost := 0
	for i, took := range took {
		if (took == 0) != (i%4 == 3) {
			t.Errorf("packet %d took %v", i, took)
		}
		if took == 0 {
			lost++
		}
	}
	if lost != 10 {
		t.Errorf("%d lost", lost)
	}
}

// bySize is class 2 for small packets, 1 for others.
func bySize(b []byte) int {
	if len(b) < 200 {
		return 2
	}
	return 1
}

func TestRelayIsThePath(t *testing.T) {
	d := driven(t)
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	w := Ways{
		Up:       NewPath(nil, Line{Delay: 15 * ms}, 1),
		Down:     NewPath(&Bottleneck{Schedule: Schedule{{0, 1_000_000}}}, Line{Delay: 25 * ms}, 2),
		Classify: bySize,
	}
	r, err := NewRelay(d, echo(t, c), w)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	client, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(r.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.SetReadBuffer(socketBuffer)
	checkPath(t, d, client, w, headers)

	// The client goes on from another address.
	again, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(r.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if took, _ := trips(t, again, 3, 100, 10*ms); took[0] == 0 || took[1] == 0 || took[2] == 0 {
		t.Errorf("after a change of address: %v", took)
	}
	if _, err := NewRelay(d, netip.MustParseAddrPort("192.0.2.1:9"), w); err == nil {
		t.Error("a relay to somewhere else")
	}
}

func TestLatenessHasItsQuantiles(t *testing.T) {
	var l Lateness
	for i := range 1000 {
		l.add(time.Duration(i) * 10 * time.Microsecond)
	}
	l.add(time.Second)
	for q, want := range map[float64]time.Duration{0.5: 5 * ms, 0.95: 9500 * time.Microsecond, 1: time.Second} {
		if got := l.Quantile(q); math.Abs(float64(got-want)) > float64(100*time.Microsecond) {
			t.Errorf("%v: %v, want %v", q, got, want)
		}
	}
	if (&Lateness{}).Quantile(0.5) != 0 {
		t.Error("of nothing")
	}
}
