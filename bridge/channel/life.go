package channel

import "sync"

// life owns the goroutines of one connection and knows when it has ended.
type life struct {
	all *sync.WaitGroup // counts the goroutines of all connections of a server

	mu    sync.Mutex // guards ended
	ended bool
	wg    sync.WaitGroup
}

// spawn runs f in a goroutine unless the end has come.
func (l *life) spawn(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.run(f)
	return true
}

// end runs f in the last goroutine, once.
func (l *life) end(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.ended = true
		l.run(f)
	}
}

func (l *life) run(f func()) {
	l.all.Add(1)
	l.wg.Go(func() {
		defer l.all.Done()
		f()
	})
}

func (l *life) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}
