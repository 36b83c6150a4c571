// Package mailbox has what is done in a room done by one goroutine, in order. The goroutine is there while there is something to do.
package mailbox

import (
	"runtime/debug"
	"sync"
)

// Box is a mailbox. Whoever makes one sets Hurt. It is safe for concurrent use.
type Box struct {
	// Hurt is told of a panic, which is kept to what caused it (hardening HF13).
	Hurt func(err any, stack []byte)

	mu      sync.Mutex // guards what follows
	inbox   []func()
	running bool
}

// Post has f done after all that was posted before. It does not wait.
func (b *Box) Post(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inbox = append(b.inbox, f)
	if !b.running {
		b.running = true
		go b.run()
	}
}

// Do has f done, and waits for it. Who calls it does one thing at a time, which bounds the mailbox. It is not called by what is done.
func (b *Box) Do(f func()) {
	done := make(chan struct{})
	b.Post(func() {
		defer close(done)
		f()
	})
	<-done
}

func (b *Box) run() {
	for {
		b.mu.Lock()
		batch := b.inbox
		b.inbox = nil
		if len(batch) == 0 {
			b.running = false
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		for _, f := range batch {
			b.step(f)
		}
	}
}

func (b *Box) step(f func()) {
	defer func() {
		if e := recover(); e != nil {
			b.Hurt(e, debug.Stack())
		}
	}()
	f()
}
