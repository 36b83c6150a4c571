package congestion

import "time"

const (
	bucketSpan  = 25 * time.Millisecond
	buckets     = 64 // 1.6 s
	rateLeast   = 8  // buckets that a rate is taken over: 200 ms
	rateMost    = 40 // 1 s
	ratePackets = 16 // packets that are worth a rate before rateMost

	afterPause = 1.25 // times the rate with the bucket that is not complete: in it came what had waited during a pause
)

// throughput is what arrived, by the receiver's clock.
type throughput struct {
	bytes   [buckets]uint32
	packets [buckets]uint16
	first   int64 // bucket
	newest  int64
	begun   bool
	at      time.Duration // newest arrival
}

// add takes size bytes that arrived.
func (t *throughput) add(arrived time.Duration, size int) {
	n := int64(arrived / bucketSpan)
	switch {
	case !t.begun || n-t.newest > buckets || t.newest-n > buckets:
		*t = throughput{first: n, newest: n, begun: true, at: arrived}
	case n > t.newest:
		for b := t.newest + 1; b <= n; b++ {
			t.bytes[b&(buckets-1)], t.packets[b&(buckets-1)] = 0, 0
		}
		t.newest = n
	case n <= t.newest-buckets:
		return
	}
	t.at = max(t.at, arrived)
	t.bytes[n&(buckets-1)] += uint32(size)
	t.packets[n&(buckets-1)]++
}

// fill takes size bytes of which is only known that they came between the newest arrival and the next.
func (t *throughput) fill(until time.Duration, size int) {
	if !t.begun || until <= t.at || until-t.at > time.Second {
		return
	}
	const parts = 8
	from := t.at
	for i := range parts {
		t.add(from+(until-from)*time.Duration(i+1)/(parts+1), size/parts)
	}
}

// rate is in bit/s over the last complete buckets: 200 ms, up to 1 s while that holds few packets. False: not known yet.
func (t *throughput) rate() (bps float64, ok bool) {
	n, bytes, packets := 0, 0, 0
	for b := t.newest - 1; b > t.first && n < rateMost && (n < rateLeast || packets < ratePackets); b-- {
		bytes += int(t.bytes[b&(buckets-1)])
		packets += int(t.packets[b&(buckets-1)])
		n++
	}
	if n < rateLeast || bytes == 0 {
		return 0, false
	}
	over := time.Duration(n) * bucketSpan
	bps = float64(bytes) * 8 / over.Seconds()
	if all := float64(bytes+int(t.bytes[t.newest&(buckets-1)])) * 8 / (over + bucketSpan).Seconds(); all > afterPause*bps {
		bps = all
	}
	return bps, true
}
