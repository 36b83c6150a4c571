package socket

import (
	"net/netip"
	"sync"
	"time"

	"github.com/coder/websocket"

	"parley/internal/event"
	"parley/internal/limit"
)

// Hall is where the clients of a gateway come in: so many at a time, of each source and of all. It is safe for concurrent use.
type Hall struct {
	most    int
	sources *limit.Sources[netip.Addr]
	rec     *event.Recorder
	running sync.WaitGroup

	mu    sync.Mutex // guards what follows; nothing is called with it held
	lines map[*Line]bool
	open  int
	over  bool
}

// NewHall returns a hall for so many connections, and so many of a source, which come at a rate.
func NewHall(most, perSource int, rate limit.Rate, rec *event.Recorder) *Hall {
	return &Hall{most: most, sources: limit.NewSources[netip.Addr](perSource, rate, 1<<16), rec: rec, lines: make(map[*Line]bool)}
}

// Admit counts a connection of a source, unless there are too many. Dismiss is its end.
func (h *Hall) Admit(source netip.Addr) bool {
	if !h.sources.Open(source, time.Now()) {
		h.rec.Reject("limit.conn", source.String())
		return false
	}
	h.mu.Lock()
	ok := h.open < h.most
	if ok {
		h.open++
	}
	h.mu.Unlock()
	if !ok {
		h.sources.Close(source)
		h.rec.Reject("limit.sockets", source.String())
	}
	return ok
}

// Dismiss is described at Admit.
func (h *Hall) Dismiss(source netip.Addr) {
	h.sources.Close(source)
	h.mu.Lock()
	h.open--
	h.mu.Unlock()
}

// Enter has Close end a line too, and wait until it has left; false: the hall is closed, and so is the line.
func (h *Hall) Enter(l *Line) bool {
	h.mu.Lock()
	over := h.over
	if !over {
		h.lines[l] = true
		h.running.Add(1)
	}
	h.mu.Unlock()
	if over {
		l.Close(websocket.StatusServiceRestart, "the server stops")
	}
	return !over
}

// Leave is the end of a line that has entered: nothing is done for it any more.
func (h *Hall) Leave(l *Line) {
	h.mu.Lock()
	delete(h.lines, l)
	h.mu.Unlock()
	h.running.Done()
}

// Go does something for a line that has entered and not left, which Close waits for.
func (h *Hall) Go(f func()) { h.running.Go(f) }

// Open is how many connections there are.
func (h *Hall) Open() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open
}

// Close ends all lines, tells their clients to come back (1012), and waits until they have left. Nobody enters any more.
func (h *Hall) Close() {
	h.mu.Lock()
	h.over = true
	var lines []*Line
	for l := range h.lines {
		lines = append(lines, l)
	}
	h.mu.Unlock()
	var all sync.WaitGroup
	for _, l := range lines {
		all.Go(func() { l.Close(websocket.StatusServiceRestart, "the server stops") })
	}
	all.Wait()
	h.running.Wait()
}
