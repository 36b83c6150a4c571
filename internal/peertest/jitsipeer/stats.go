package jitsipeer

import (
	"fmt"
	"time"
)

// Stats are what came of one source.
type Stats struct {
	Source     string
	SSRC       uint32 // newest
	Packets    uint64 // with a stamp, retransmissions that were missing too
	Bytes      uint64
	Repaired   uint64 // came as a retransmission only
	Duplicates uint64 // of a packet that was there already
	Lost       uint64 // sequence numbers that never came
	Missing    uint64 // packets of the sender that never came although ones before and behind them of the same stream did; of video layers that are thinned out count too
	Frames     uint64 // decodable: complete, and so is all that they refer to
	KeyFrames  uint64
	Incomplete uint64        // frames of which only a part came
	Broken     uint64        // complete frames whose reference never came: what a decoder would show as a fault
	Faults     uint64        // breaks in timestamps, picture ids and the dependency descriptor, that a decoder would stumble over
	Fault      string        // the last of them
	Foreign    uint64        // packets that came on an SSRC which was signalled for another source
	Height     int           // of the last unit that was decodable
	First      time.Time     // of the first packet
	Decoded    time.Time     // of the first decodable frame
	Last       time.Time     // of the newest decodable frame
	Gap        time.Duration // the longest time between two decodable frames
	Latency    Latency       // from sender to receiver
	Played     Played        // of audio
	Shown      Shown         // of video
}

// Transport is what came over the transport of a peer, and what its receiver asked for.
type Transport struct {
	Packets, Bytes        uint64 // of RTP, with what follows
	Repairs, RepairBytes  uint64 // of retransmission streams, whether the packet was missing or not
	Padding, PaddingBytes uint64 // without payload
	NACKs, Nacked         uint64 // messages; sequence numbers in them, those that were asked for again too
	PLIs                  uint64
	Keyed                 uint64 // key frames that the bridge asked for, of each stream
	Feedbacks             uint64 // transport-wide
	RTT                   time.Duration
}

// Latency is a histogram of times, in steps of 3 %.
type Latency struct {
	counts [latencies]uint32
	n      uint32
	Max    time.Duration
}

// step k is the range from unit·1.03^k: up to 70 s.
const (
	latencyUnit = 20 * time.Microsecond
	latencies   = 512
)

var latencySteps = func() (steps [latencies]time.Duration) {
	at := float64(latencyUnit)
	for i := range steps {
		steps[i] = time.Duration(at)
		at *= 1.03
	}
	return steps
}()

func (l *Latency) add(d time.Duration) {
	low, high := 0, len(latencySteps)-1
	for low < high {
		if mid := (low + high + 1) / 2; latencySteps[mid] <= d {
			low = mid
		} else {
			high = mid - 1
		}
	}
	l.counts[low]++
	l.n++
	l.Max = max(l.Max, d)
}

func (l Latency) String() string {
	return fmt.Sprintf("%v, of 95 %% %v, at most %v", l.Quantile(0.5), l.Quantile(0.95), l.Max)
}

// Quantile returns the time below which this part of the packets is, 0 without any.
func (l *Latency) Quantile(q float64) time.Duration {
	if l.n == 0 {
		return 0
	}
	rest := uint32(q * float64(l.n))
	for i, n := range l.counts {
		if n > rest {
			return latencySteps[i]
		}
		rest -= n
	}
	return l.Max
}
