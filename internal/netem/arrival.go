package netem

import "time"

// arrival is a packet on its way.
type arrival struct {
	at     time.Duration
	number uint64 // keeps packets of one time in their order
	packet []byte
	to     Sink
}

// arrivals is a binary heap, the next one first.
type arrivals []arrival

func (h arrivals) before(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].number < h[j].number
}

// push reports that the new arrival is the next one.
func (h *arrivals) push(a arrival) bool {
	*h = append(*h, a)
	q, i := *h, len(*h)-1
	for i > 0 && q.before(i, (i-1)/2) {
		q[i], q[(i-1)/2] = q[(i-1)/2], q[i]
		i = (i - 1) / 2
	}
	return i == 0
}

func (h *arrivals) pop() arrival {
	q := *h
	first, last := q[0], len(q)-1
	q[0], q[last] = q[last], arrival{}
	q = q[:last]
	*h = q
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return first
		}
		if child+1 < last && q.before(child+1, child) {
			child++
		}
		if !q.before(child, i) {
			return first
		}
		q[i], q[child] = q[child], q[i]
		i = child
	}
}
