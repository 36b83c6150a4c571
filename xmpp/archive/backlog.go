package archive

import "sync"

// What waits to be committed at most. Whoever archives more than the store takes has to wait, which holds up the accounts that
// the messages are for, and then their senders.
const (
	mostPending      = 8192
	mostPendingBytes = 64 << 20
)

// backlog counts what waits to be committed. It is safe for concurrent use.
type backlog struct {
	mu              sync.Mutex // guards what follows
	less            *sync.Cond // signalled when something was committed; made with the first wait
	messages, bytes int
}

// enter counts a message, when there is room for it.
func (b *backlog) enter(bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.less == nil {
		b.less = sync.NewCond(&b.mu)
	}
	for b.messages >= mostPending || b.bytes >= mostPendingBytes {
		b.less.Wait()
	}
	b.messages++
	b.bytes += bytes
}

// roomy reports that nobody has to wait who comes now, however many come at once: half of what may wait is free.
func (b *backlog) roomy() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.messages < mostPending/2 && b.bytes < mostPendingBytes/2
}

// leave takes a message out again.
func (b *backlog) leave(bytes int) {
	b.mu.Lock()
	b.messages--
	b.bytes -= bytes
	b.mu.Unlock()
	b.less.Signal()
}

// empty reports that nothing waits.
func (b *backlog) empty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.messages == 0
}
