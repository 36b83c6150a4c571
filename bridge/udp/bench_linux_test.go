package udp

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The benchmarks count the processor time of this process (user and system), not the time of the clock: others use the
// machine as well. The peer is another process, so that what it spends is not counted. On loopback the kernel's work of
// receiving, up to the queue of the socket, is done by who sends.

const peerVariable = "PARLEY_UDP_PEER"

// TestPeer is the other process.
func TestPeer(t *testing.T) {
	var order struct {
		Joins bool   // a sink takes datagrams as they were sent together; browsers and most networks do not
		To    string // flood this address; else be a sink
		Group int    // datagrams that leave together
		Every time.Duration
	}
	if v := os.Getenv(peerVariable); v == "" {
		return // it is no test by itself
	} else if err := json.Unmarshal([]byte(v), &order); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if order.To == "" {
		s := listen(t, "0.0.0.0:0", Config{Buffer: 64 << 20})
		if l, ok := s.links[0].(*kernel); ok && !order.Joins {
			l.setsockopt(t, unix.IPPROTO_UDP, unix.UDP_GRO, 0)
		}
		fmt.Println(s.Addr().Port())
		s.Run(ctx, func(*Batch, *Datagram) {})
		fmt.Println(s.Stats().Overflow)
		return
	}
	b := NewBatch(time.Now())
	var writers []*Writer
	for range 16 {
		writers = append(writers, listen(t, "127.0.0.1:0", Config{}).Writer(netip.MustParseAddrPort(order.To)))
	}
	fmt.Println(0)
	packet := make([]byte, 1200)
	for ctx.Err() == nil {
		for _, w := range writers {
			for range order.Group {
				w.Write(b, packet, 1, false)
			}
			b.Done()
			time.Sleep(order.Every)
		}
	}
}

// peer starts the other process and returns the number that it says; stop ends it and returns its last.
func peer(b *testing.B, order string) (said int, stop func() int) {
	b.Helper()
	c := exec.Command(os.Args[0], "-test.run=^TestPeer$")
	c.Env = append(os.Environ(), peerVariable+"="+order)
	in, err := c.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if _, err := fmt.Fscanln(lines, &said); err != nil {
		b.Fatal(err)
	}
	return said, func() (last int) {
		in.Close()
		fmt.Fscanln(lines, &last)
		io.Copy(io.Discard, lines)
		c.Wait()
		return last
	}
}

func cpu() time.Duration {
	var r unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// ways are the ways to send.
var ways = []struct {
	name       string
	plain, gso bool
}{{"gso", false, true}, {"single", false, false}, {"net.UDPConn", true, false}}

// towards opens a socket of a way and writers to n receivers, all of which are the sink.
func towards(b *testing.B, n int, plain, gso bool) (s *Socket, writers []*Writer, stop func() int) {
	port, stop := peer(b, "{}")
	s = listen(b, "0.0.0.0:0", Config{plain: plain})
	if l, ok := s.links[0].(*kernel); ok {
		if gso && !l.gso.Load() {
			b.Skip("this kernel has no GSO")
		}
		l.gso.Store(gso)
	}
	for i := range n {
		writers = append(writers, s.Writer(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 1, byte(i + 1)}), uint16(port))))
	}
	return s, writers, stop
}

func report(b *testing.B, s *Socket, before uint64, spent time.Duration, overflow int) {
	sent := s.Stats()
	b.ReportMetric(float64(spent.Nanoseconds())/float64(sent.Packets-before), "cpu-ns/packet")
	b.ReportMetric(sent.PacketsPerSend(), "packets/send")
	b.ReportMetric(100*float64(overflow)/float64(sent.Packets), "%overflow")
	b.ReportMetric(0, "ns/op")
	if sent.Dropped+sent.Failed+sent.Fallbacks != 0 {
		b.Errorf("%+v", sent)
	}
}

// BenchmarkSend sends to 64 receivers some equal datagrams each. An operation is a datagram.
func BenchmarkSend(b *testing.B) {
	for _, each := range []int{1, 2, 4, 8, 32} {
		for _, way := range ways {
			b.Run(fmt.Sprintf("%d each/%s", each, way.name), func(b *testing.B) {
				s, writers, stop := towards(b, 64, way.plain, way.gso)
				batch := NewBatch(start)
				packet := make([]byte, 1200)
				round := func() {
					for range each {
						for _, w := range writers {
							w.Write(batch, packet, 1, true)
						}
					}
					batch.Done()
				}
				round() // takes memory
				b.ReportAllocs()
				b.ResetTimer()
				began, before := cpu(), s.Stats().Packets
				for n := 0; n < b.N; n += each * len(writers) {
					round()
				}
				b.StopTimer()
				report(b, s, before, cpu()-began, stop())
			})
		}
	}
}

// BenchmarkCollect is what a packet costs before the kernel has it. An operation is a packet for one of 64 receivers, of
// which each gets four of two streams.
func BenchmarkCollect(b *testing.B) {
	var writers []*Writer
	for range 64 {
		writers = append(writers, &Writer{path: nothing{}})
	}
	batch := NewBatch(start)
	b.ReportAllocs()
	for n := 0; n < b.N; n += 4 * len(writers) {
		for i := range 4 {
			for _, w := range writers {
				w.Reserve(1200)
				w.Commit(batch, 1200-i%2, uint32(i%2), true)
			}
		}
		batch.Done()
	}
}

// BenchmarkDeadline is what it costs to wake up later than was said.
func BenchmarkDeadline(b *testing.B) {
	s := listen(b, "127.0.0.1:0", Config{})
	conn, far := s.links[0].socket().conn, time.Now().Add(time.Hour)
	for i := 0; b.Loop(); i++ {
		conn.SetReadDeadline(far.Add(time.Duration(i)))
	}
}

// nothing plans and sends nothing.
type nothing struct{}

func (nothing) send(w *waiting) { w.plan.make(w.sizes[:w.n], w.streams[:w.n], 1500) }

// BenchmarkBuffer keeps a packet for two and lets it go.
func BenchmarkBuffer(b *testing.B) {
	var p Pool
	packet := make([]byte, 1100)
	b.ReportAllocs()
	for b.Loop() {
		kept := p.Copy(packet)
		kept.Retain()
		kept.Release()
		kept.Release()
	}
}

// BenchmarkPlan groups full writers. The worst case is 64 sizes of as many streams.
func BenchmarkPlan(b *testing.B) {
	for name, size := range map[string]func(i int) int{
		"equal":    func(i int) int { return 1200 },
		"distinct": func(i int) int { return 1000 + i*37%most },
	} {
		b.Run(name, func(b *testing.B) {
			var p plan
			var sizes [most]uint16
			var streams [most]uint32
			for i := range sizes {
				sizes[i], streams[i] = uint16(size(i)), uint32(i)
			}
			for b.Loop() {
				p.make(sizes[:], streams[:], 1500)
			}
		})
	}
}

// BenchmarkReceive takes what lies in the socket's queue: datagrams of 16 peers, of which some came together. An operation
// is a datagram.
func BenchmarkReceive(b *testing.B) {
	const queued = 2048 // datagrams
	for _, group := range []int{1, 4, 32} {
		for _, way := range []struct {
			name       string
			plain, gro bool
		}{{"gro", false, true}, {"recvmmsg", false, false}, {"net.UDPConn", true, false}} {
			b.Run(fmt.Sprintf("by %d/%s", group, way.name), func(b *testing.B) {
				s := listen(b, "127.0.0.1:0", Config{plain: way.plain, Buffer: 64 << 20})
				l, better := s.links[0].(*kernel)
				if better && !way.gro {
					l.setsockopt(b, unix.IPPROTO_UDP, unix.UDP_GRO, 0)
				}
				batch, packet := NewBatch(start), make([]byte, 1200)
				var writers []*Writer
				for range 16 {
					writers = append(writers, listen(b, "127.0.0.1:0", Config{}).Writer(s.Addr()))
				}
				got := 0
				r := &reader{bound: s.links[0].socket(), h: func(*Batch, *Datagram) { got++ }, shut: &s.closed}
				r.b.returns = true
				if better {
					l.arrivals = newArrivals(r)
				}
				var spent time.Duration
				b.ReportAllocs()
				for round := 0; got < b.N; round++ {
					b.StopTimer()
					for n := 0; n < queued; n += group {
						for range group {
							writers[n/group%16].Write(batch, packet, 1, false)
						}
						batch.Done()
					}
					b.StartTimer()
					began, want := cpu(), (round+1)*queued
					if better {
						l.raw.Control(func(fd uintptr) {
							for got < want && l.arrivals.run(fd) {
							}
						})
					} else {
						for end := time.Now().Add(patient); got < want && time.Now().Before(end); {
							s.links[0].socket().conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
							s.links[0].read(r)
						}
					}
					spent += cpu() - began
					if got != want {
						b.Fatalf("%d datagrams came of %d", got, want)
					}
				}
				b.StopTimer()
				stats := s.Stats()
				b.ReportMetric(float64(spent.Nanoseconds())/float64(got), "cpu-ns/packet")
				b.ReportMetric(float64(stats.Received)/float64(stats.Joined), "packets/joined")
				b.ReportMetric(float64(stats.Received)/float64(stats.Reads), "packets/read")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkReceiveAsTheyCome takes three datagrams each millisecond, and so shows what waking up costs.
func BenchmarkReceiveAsTheyCome(b *testing.B) {
	for _, plain := range []bool{false, true} {
		b.Run(fmt.Sprint("plain ", plain), func(b *testing.B) {
			s := listen(b, "127.0.0.1:0", Config{plain: plain})
			ctx, cancel := context.WithCancel(context.Background())
			_, stop := peer(b, fmt.Sprintf(`{"To":%q,"Group":3,"Every":%d}`, s.Addr(), time.Millisecond))
			b.ReportAllocs()
			b.ResetTimer()
			began, counted := cpu(), 0
			s.Run(ctx, func(*Batch, *Datagram) {
				if counted++; counted == b.N {
					cancel()
				}
			})
			b.ReportMetric(float64((cpu()-began).Nanoseconds())/float64(counted), "cpu-ns/packet")
			b.ReportMetric(0, "ns/op")
			stop()
		})
	}
}

// event is a packet of a recorded sender.
type event struct {
	at     time.Duration
	source int
	stream string
	end    bool
	size   int
}

// recorded returns the packets of one layer, with the voice, of n senders that were recorded, none in step with another.
func recorded(tb testing.TB, codec, layer string, n int) []event {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", codec+".txt"))
	if err != nil {
		tb.Fatal(err)
	}
	var one []event
	at := time.Duration(0)
	for line := range lines(string(b)) {
		var e event
		var pause, marker int
		if _, err := fmt.Sscan(line, &pause, &e.stream, &marker, &e.size); err != nil {
			tb.Fatal(line, err)
		}
		at += time.Duration(pause) * time.Microsecond
		e.at, e.end = at, marker == 1
		if e.stream == layer || e.stream == "a" {
			one = append(one, e)
		}
	}
	random := rand.New(rand.NewPCG(1, uint64(n)))
	var all []event
	for i := range n {
		shift := time.Duration(random.Int64N(int64(10 * time.Second)))
		for _, e := range one {
			e.source = i
			e.at = (e.at + shift) % (10 * time.Second)
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b event) int { return int(a.at - b.at) })
	return all
}

func lines(s string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for len(s) > 0 {
			i := 0
			for i < len(s) && s[i] != '\n' {
				i++
			}
			if line := s[:i]; line != "" && line[0] != '#' && !yield(line) {
				return
			}
			s = s[min(i+1, len(s)):]
		}
	}
}

var scenes = []struct {
	name    string
	sources int
	layer   func(codec string) string
}{
	{"1 of 720p", 1, highest},
	{"5 of 720p", 5, highest},
	{"20 of 180p", 20, func(string) string { return "v0" }}, // VP8; the others' only stream has all layers
}

func highest(codec string) string {
	if codec == "vp8" {
		return "v2"
	}
	return "v0"
}

// rules are ways to say when datagrams leave.
var rules = []struct {
	name    string
	delay   time.Duration
	markers bool
}{
	{"at once", 0, false},
	{"1 ms or marker", time.Millisecond, true},
	{"1 ms", time.Millisecond, false},
	{"5 ms", 5 * time.Millisecond, false},
}

// replay forwards what was recorded to all writers, in its own time and not the clock's, as a reader would that is always
// faster than its peers: nothing but the delay brings packets together.
func replay(events []event, writers []*Writer, markers bool) {
	b := &Batch{returns: true}
	next := time.Time{}
	for _, e := range events {
		now := at(e.at)
		for !next.IsZero() && !next.After(now) {
			b.Now = next
			next = b.settle(true)
		}
		b.Now = now
		stream := uint32(e.source)<<8 | uint32(e.stream[len(e.stream)-1])
		for _, w := range writers {
			w.Reserve(e.size)
			w.Commit(b, e.size, stream, markers && e.end)
		}
		next = b.settle(true)
	}
	b.returns = false
	b.Done()
}

// TestReplay guards what grouping is worth on what senders really send; the figures are those of BenchmarkReplay.
func TestReplay(t *testing.T) {
	for _, c := range []struct {
		codec, layer string
		sources      int
		least        float64 // packets a send after at most 1 ms
	}{
		{"vp8", "v2", 1, 1.7}, {"vp8", "v2", 5, 1.9}, {"vp8", "v0", 20, 1.6}, {"vp9", "v0", 5, 1.7}, {"av1", "v0", 5, 2.2},
	} {
		count := &counting{}
		w := &Writer{path: count}
		w.SetDelay(time.Millisecond)
		events := recorded(t, c.codec, c.layer, c.sources)
		replay(events, []*Writer{w}, false)
		if got := float64(count.packets) / float64(count.sends); count.packets != len(events) || got < c.least {
			t.Errorf("%s, %d sources: %d of %d packets, %.2f a send, want %.2f", c.codec, c.sources, count.packets, len(events), got, c.least)
		}
	}
}

type counting struct{ packets, sends int }

func (c *counting) send(w *waiting) {
	w.plan.make(w.sizes[:w.n], w.streams[:w.n], 1500)
	c.packets += w.n
	c.sends += w.plan.n
}

// BenchmarkReplay forwards ten seconds of recorded senders to twenty receivers. An operation is all of that.
func BenchmarkReplay(b *testing.B) {
	for _, codec := range []string{"vp8", "vp9", "av1"} {
		for _, scene := range scenes {
			if scene.sources == 20 && codec != "vp8" {
				continue
			}
			events := recorded(b, codec, scene.layer(codec), scene.sources)
			for _, rule := range rules {
				for _, way := range ways[:2] {
					if !way.gso && rule.delay != 0 {
						continue
					}
					b.Run(fmt.Sprintf("%s/%s/%s/%s", codec, scene.name, rule.name, way.name), func(b *testing.B) {
						s, writers, stop := towards(b, 20, way.plain, way.gso)
						for _, w := range writers {
							w.SetDelay(rule.delay)
						}
						b.ReportAllocs()
						b.ResetTimer()
						began := cpu()
						for range b.N {
							replay(events, writers, rule.markers)
						}
						b.StopTimer()
						report(b, s, 0, cpu()-began, stop())
					})
				}
			}
		}
	}
}
