package udp

import "sync/atomic"

// Stats are counts since the socket or stream was opened.
type Stats struct {
	Received      uint64 // datagrams, and their bytes
	ReceivedBytes uint64
	Joined        uint64 // what the kernel gave them as: one of these is one or more datagrams of one sender
	Reads         uint64 // calls that took something
	Overflow      uint64 // datagrams that the kernel dropped, or could not keep, because the receive buffer was full

	Packets   uint64 // datagrams that the kernel (for TCP: the queue) took, and their bytes
	Bytes     uint64
	Sends     uint64 // calls that it took them in
	Dropped   uint64 // datagrams dropped because the send buffer (for TCP: the queue) was full
	Failed    uint64 // datagrams refused for another reason: no route, a firewall
	Fallbacks uint64 // groups that the kernel would not cut, sent one by one
}

// PacketsPerSend is the mean number of datagrams that left together; 0 if none has left.
func (s Stats) PacketsPerSend() float64 {
	if s.Sends == 0 {
		return 0
	}
	return float64(s.Packets) / float64(s.Sends)
}

// Add adds the counts of o.
func (s *Stats) Add(o Stats) {
	s.Received += o.Received
	s.ReceivedBytes += o.ReceivedBytes
	s.Joined += o.Joined
	s.Reads += o.Reads
	s.Overflow += o.Overflow
	s.Packets += o.Packets
	s.Bytes += o.Bytes
	s.Sends += o.Sends
	s.Dropped += o.Dropped
	s.Failed += o.Failed
	s.Fallbacks += o.Fallbacks
}

// counters are what Stats are read from. The two directions are counted by different goroutines, so they lie apart.
type counters struct {
	received, receivedBytes, joined, reads, overflow atomic.Uint64
	_                                                [64]byte

	packets, bytes, sends, dropped, failed, fallbacks atomic.Uint64
}

func (c *counters) stats() Stats {
	return Stats{
		Received: c.received.Load(), ReceivedBytes: c.receivedBytes.Load(), Joined: c.joined.Load(), Reads: c.reads.Load(),
		Overflow: c.overflow.Load(),
		Packets:  c.packets.Load(), Bytes: c.bytes.Load(), Sends: c.sends.Load(), Dropped: c.dropped.Load(),
		Failed: c.failed.Load(), Fallbacks: c.fallbacks.Load(),
	}
}
