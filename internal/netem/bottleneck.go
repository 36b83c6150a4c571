package netem

import "time"

// Queue bounds the packets that wait at a bottleneck, the one that is being sent not counted; 0 is no bound. A packet that
// would exceed a bound is dropped: the queue is drop-tail.
type Queue struct {
	Packets int
	Bytes   int
	Time    time.Duration // that the packet would wait
}

// Bottleneck sends the packets of one or more paths one after the other. Its methods, and those of its paths, must not be
// called at the same time; times must not go back.
type Bottleneck struct {
	Schedule Schedule
	Queue    Queue
	Mark     time.Duration // L4S packets that wait longer are marked; 0: none

	busy    time.Duration // when the last packet that was taken has been sent
	waiting []entry       // what had not begun to be sent at the last arrival
	bytes   int           // of them
}

type entry struct {
	begin time.Duration
	size  int
}

// Change gives the bottleneck another schedule and queue. What it has taken before leaves as it would have.
func (b *Bottleneck) Change(s Schedule, q Queue, mark time.Duration) {
	b.Schedule, b.Queue, b.Mark = s, q, mark
}

// take takes a packet, or drops it. It says how long the packet waits for its turn and when its last bit has been sent.
func (b *Bottleneck) take(now time.Duration, size int) (wait, leave time.Duration, ok bool) {
	gone := 0
	for gone < len(b.waiting) && b.waiting[gone].begin <= now {
		b.bytes -= b.waiting[gone].size
		gone++
	}
	b.waiting = append(b.waiting[:0], b.waiting[gone:]...)
	begin, leave, ok := b.Schedule.serve(max(now, b.busy), size)
	if !ok {
		return 0, 0, false
	}
	wait = begin - now
	if q := b.Queue; wait > 0 && (q.Packets > 0 && len(b.waiting) >= q.Packets || q.Bytes > 0 && b.bytes+size > q.Bytes || q.Time > 0 && wait > q.Time) {
		return wait, 0, false
	}
	b.busy = leave
	if wait > 0 {
		b.waiting = append(b.waiting, entry{begin, size})
		b.bytes += size
	}
	return wait, leave, true
}
