package bridge

import (
	"fmt"
	"testing"
	"time"

	"parley/bridge/udp"
)

// BenchmarkForward measures one outgoing packet of video, without encryption and sending.
func BenchmarkForward(b *testing.B) {
	for _, shape := range []struct{ senders, receivers int }{{1, 50}, {5, 20}} {
		b.Run(fmt.Sprintf("%dx%d", shape.senders, shape.receivers), func(b *testing.B) { forwardLoop(b, shape.senders, shape.receivers) })
	}
}

func forwardLoop(b *testing.B, senders, receivers int) {
	w := newWorld(b)
	var cams []*camera
	for i := range senders {
		id := fmt.Sprint("s", i)
		w.join(id, nil, videoSource(id+"-v0", uint32(1000+100*i), 1))
		cams = append(cams, &camera{w: w, id: id, ssrc: uint32(1000 + 100*i), packets: 1})
	}
	for i := range receivers {
		id := fmt.Sprint("r", i)
		w.join(id, nil)
		w.wants(id, 720)
		w.legs[id].forget = true
	}
	w.pass(time.Second)
	var packets [][]byte
	for _, c := range cams {
		c.frame(true)
		c.frame(false)
		packets = append(packets, c.sent[1].bytes())
	}
	count := func() (n int) {
		for i := range receivers {
			n += w.legs[fmt.Sprint("r", i)].count
		}
		return n
	}
	batch := udp.NewBatch(w.now)
	seq := uint16(2)
	round := func() {
		for i, c := range cams {
			buffer := w.pool.Copy(packets[i])
			p := buffer.Bytes
			p[2], p[3] = byte(seq>>8), byte(seq)
			picture := p[len(p)-len(c.sent[1].body)+2:]
			picture[0], picture[1] = 0x80|byte(seq>>8)&0x7f, byte(seq)
			picture[3] = picture[3] &^ 0xc0 // temporal layer 0
			w.bridge.Endpoint("c", c.id).RTP(batch, buffer, w.now)
			buffer.Release()
		}
		seq++
		w.now = w.now.Add(time.Millisecond)
		batch.Now = w.now
	}
	for range 2 * stored {
		round()
	}
	start := count()
	b.ReportAllocs()
	b.ResetTimer()
	n := 0
	for b.Loop() {
		round()
		n++
	}
	b.StopTimer()
	out := count() - start
	if out != n*senders*receivers {
		b.Fatalf("%d packets, want %d", out, n*senders*receivers)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(out), "ns/packet")
}

// TestForwardAllocatesNothing counts the allocations of the way of a packet to twenty receivers.
func TestForwardAllocatesNothing(t *testing.T) {
	r := testing.Benchmark(func(b *testing.B) { forwardLoop(b, 1, 20) })
	if r.N == 0 {
		t.Fatal("the benchmark failed")
	}
	if n := r.AllocsPerOp(); n != 0 {
		t.Errorf("%d allocations for a packet", n)
	}
}
