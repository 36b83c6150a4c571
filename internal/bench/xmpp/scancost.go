package xmpp

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"parley/internal/bench"

	"golang.org/x/sys/unix"
)

// ScanCost is what reading one stanza costs.
type ScanCost struct {
	Kind        string  `json:"kind"`
	Size        int     `json:"size"`
	Nanoseconds float64 `json:"ns"`
	Allocations float64 `json:"allocations"`
}

// scanCosts measures the server's own scanner on text and on Jingle; each figure is the median of three.
func scanCosts(scan func(stanza []byte) error) ([]ScanCost, error) {
	var out []ScanCost
	for _, size := range []int{200, 2000, 8000} {
		const head, tail = "<message to='bob@example.net/phone' id='a1b2c3d4-0001' type='chat'><body>", "</body></message>"
		// One character in 25 is not ASCII, and one in 25 is a reference, as in talk.
		text := []byte(head + strings.Repeat("hello, wörld &amp; more ", max(size-len(head)-len(tail), 25)/25) + tail)
		c, err := scanCost("message", size, text, scan)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
		if size >= 2000 {
			c, err := scanCost("Jingle", size, jingle("bob@example.net/phone", "a1", "session-initiate", size), scan)
			if err != nil {
				return nil, err
			}
			out = append(out, c)
		}
	}
	return out, nil
}

// threadTime is the processor time of this thread, which does not go on while others have the processor.
func threadTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic("bench: the clock of the thread: " + err.Error()) // every Linux has it
	}
	return time.Duration(ts.Nano())
}

func scanCost(kind string, size int, text []byte, scan func([]byte) error) (ScanCost, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := scan(text); err != nil {
		return ScanCost{}, fmt.Errorf("scanning a %s of %d B: %w", kind, size, err)
	}
	n := 20_000_000 / (len(text) + 100)
	var ns, allocs []float64
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := threadTime()
		for range n {
			if err := scan(text); err != nil {
				return ScanCost{}, err
			}
		}
		ns = append(ns, float64((threadTime()-start).Nanoseconds())/float64(n))
		runtime.ReadMemStats(&after)
		allocs = append(allocs, float64(after.Mallocs-before.Mallocs)/float64(n))
	}
	a := bench.Median(allocs)
	if a < 0.01 {
		a = 0 // the runtime's own, now and then
	}
	return ScanCost{kind, size, bench.Median(ns), a}, nil
}
