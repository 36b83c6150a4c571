package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// gcPercent lets the heap grow to three times what is alive before it is collected: a quarter more stanzas per second of
// processor than the runtime's own 100. What that takes while there is much to do is given back when there is not, see
// quiet. The environment variable GOGC overrides it.
const gcPercent = 200

func setGCPercent() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// quiet returns memory to the system when a time with much to do is over. The runtime by itself keeps what it once
// needed for minutes.
type quiet struct {
	allocated uint64    // bytes, ever, when it was last looked
	since     time.Time // how long little has been allocated
	done      bool      // since then memory was returned
}

const (
	quietBytes = 1 << 20         // allocated between two looks, and still little
	quietTime  = 2 * time.Second // of little, before memory is returned
	worthwhile = 4 << 20         // bytes that could be returned
)

func (q *quiet) look(now time.Time) {
	s := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"},
	}
	metrics.Read(s)
	allocated := s[0].Value.Uint64()
	if allocated-q.allocated > quietBytes {
		q.since, q.done = now, false
	}
	q.allocated = allocated
	dead := int64(s[2].Value.Uint64()) - int64(s[3].Value.Uint64())
	if !q.done && now.Sub(q.since) >= quietTime {
		q.done = true
		if int64(s[1].Value.Uint64())+dead > worthwhile {
			debug.FreeOSMemory()
		}
	}
}
