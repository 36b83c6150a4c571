package jitsipeer

import (
	"slices"
	"sync"
	"time"
)

// The clock calls all senders and receivers of the process, one after the other, every 10 ms: a goroutine for everybody that
// runs while there is anybody.
var clock struct {
	mu   sync.Mutex // guards what follows
	all  []*ticking
	stop chan struct{}
}

const tick = 10 * time.Millisecond

type ticking struct {
	mu   sync.Mutex // guards call
	call func(now time.Time)
}

// tickWith calls f every 10 ms until stop, which waits for a call that runs.
func tickWith(f func(now time.Time)) (stop func()) {
	t := &ticking{call: f}
	clock.mu.Lock()
	clock.all = append(slices.Clone(clock.all), t)
	if clock.stop == nil {
		clock.stop = make(chan struct{})
		go runClock(clock.stop)
	}
	clock.mu.Unlock()
	return func() {
		clock.mu.Lock()
		clock.all = slices.DeleteFunc(slices.Clone(clock.all), func(o *ticking) bool { return o == t })
		if len(clock.all) == 0 && clock.stop != nil {
			close(clock.stop)
			clock.stop = nil
		}
		clock.mu.Unlock()
		t.mu.Lock()
		t.call = nil
		t.mu.Unlock()
	}
}

func runClock(stop chan struct{}) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		clock.mu.Lock()
		all := clock.all
		clock.mu.Unlock()
		now := time.Now()
		for _, t := range all {
			t.mu.Lock()
			if t.call != nil {
				t.call(now)
			}
			t.mu.Unlock()
		}
	}
}
