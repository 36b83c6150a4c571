package congestion

import (
	"testing"
	"time"

	"parley/bridge/rtp"
)

func BenchmarkSent(b *testing.B) {
	p := newPath(b, Config{Start: 5_000_000})
	p.steady(5_000_000, 20*second, always(50*ms))
	for range mostKept { // no feedback: the history grows to its most
		p.number++
		p.now += ms / 8
		p.e.Sent(Packet{Number: p.number, At: p.now, Size: 1200})
	}
	b.ReportAllocs()
	for b.Loop() {
		p.number++
		p.now += ms
		p.e.Sent(Packet{Number: p.number, At: p.now, Size: 1200})
	}
}

// Each report is about 100 packets that left over 100 ms; the time to send and to read them is not counted.
func BenchmarkReport(b *testing.B) {
	for _, c := range []struct {
		name string
		lost int // one of so many
	}{{"nothing lost", 1 << 30}, {"a tenth lost", 10}} {
		b.Run(c.name, func(b *testing.B) {
			p := newPath(b, Config{Start: 5_000_000})
			p.steady(5_000_000, 20*second, always(50*ms))
			b.ReportAllocs()
			b.ResetTimer()
			b.StopTimer()
			for range b.N {
				p.send(100, 1000, ms, func(i int) time.Duration {
					if i%c.lost == c.lost-1 {
						return -1
					}
					return 50 * ms
				})
				p.buffer, _ = p.arrivals.Append(p.buffer[:0], 1, 2, 1200)
				compound, _ := rtp.ParseCompound(p.buffer)
				var r rtp.Control
				compound.Next(&r)
				f, _ := r.TransportCC()
				b.StartTimer()
				p.e.Report(&f, p.now)
				b.StopTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/packet")
		})
	}
}

func BenchmarkTick(b *testing.B) {
	p := newPath(b, Config{Start: 5_000_000})
	p.steady(5_000_000, 20*second, always(50*ms))
	b.ReportAllocs()
	for b.Loop() {
		p.e.Tick(p.now)
	}
}
