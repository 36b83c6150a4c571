package channel

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// proving is an in-memory channel whose client answers pings after a while.
type proving struct {
	*endpoint
	pings []time.Time
	maps  int
	end   func() closed
}

func prove(t *testing.T, answer time.Duration) *proving {
	x := &proving{endpoint: newEndpoint()}
	_, _, conn, r := inMemory(t, x)
	read := make(chan struct{})
	var answers sync.WaitGroup
	go func() {
		defer close(read)
		for {
			kind, payload, err := readFrame(r)
			switch {
			case err != nil:
				return
			case kind == 9:
				x.pings = append(x.pings, time.Now())
				if answer >= 0 {
					answers.Go(func() {
						time.Sleep(answer)
						conn.Write(frame(0x8a, payload))
					})
				}
			case kind == 1 && len(payload) > 30 && string(payload[:30]) == `{"colibriClass":"VideoSourcesM`:
				x.maps++
			}
		}
	}()
	x.end = func() closed {
		conn.Close()
		<-read
		answers.Wait()
		synctest.Wait()
		x.mu.Lock()
		defer x.mu.Unlock()
		if len(x.closed) != 1 {
			t.Fatalf("closed %d times", len(x.closed))
		}
		return x.closed[0]
	}
	return x
}

var aMap = VideoSourcesMap{MappedSources: []Mapping{{Source: "b-v0", Owner: "b", SSRC: 1, RTX: 2, VideoType: Camera}}}

// A source map has arrived when the pong of the ping behind it has come, and not before.
func TestSourceMapsAreProved(t *testing.T) {
	for name, c := range map[string]struct {
		answer, wait time.Duration
		first        bool // is proved when the channel ends
		second       bool
	}{
		"answered at once":       {0, time.Millisecond, true, true},
		"on its way":             {100 * time.Millisecond, 90 * time.Millisecond, true, false},
		"answered after a while": {100 * time.Millisecond, 110 * time.Millisecond, true, true},
		"never answered":         {-1, 10 * time.Second, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := prove(t, c.answer)
				synctest.Wait()
				first := time.Now()
				x.send(aMap)
				time.Sleep(5 * time.Second)
				second := time.Now()
				x.send(aMap)
				synctest.Wait()
				time.Sleep(c.wait)
				arrived := x.end().arrived
				if got := !arrived.Before(first); got != c.first {
					t.Errorf("the first has arrived: %v", got)
				}
				if got := !arrived.Before(second); got != c.second {
					t.Errorf("the second has arrived: %v", got)
				}
			})
		})
	}
}

// The pong of a ping says nothing of what was sent behind it.
func TestPongProvesNothingLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := prove(t, 100*time.Millisecond)
		first := time.Now()
		x.send(aMap)
		time.Sleep(50 * time.Millisecond)
		second := time.Now()
		x.send(aMap)
		time.Sleep(100 * time.Millisecond)
		if arrived := x.end().arrived; arrived.Before(first) || !arrived.Before(second) {
			t.Errorf("arrived %v after the first, and the second was sent %v after it", arrived.Sub(first), second.Sub(first))
		}
	})
}

// However many maps there are, a client's pongs stay few; of other messages there are none.
func TestProofsAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := prove(t, 0)
		for range 100 {
			x.send(ConnectionStats{EstimatedDownlinkBandwidth: 1})
			x.send(ForwardedSources{})
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		if len(x.pings) != 0 {
			t.Errorf("%d pings without a map", len(x.pings))
		}
		start := time.Now()
		var last time.Time
		for range 300 {
			last = time.Now()
			x.send(aMap)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(2 * provePause)
		synctest.Wait()
		if n, most := len(x.pings), int(time.Since(start)/provePause)+1; n > most || n < most/2 || x.maps != 300 {
			t.Errorf("%d pings for %d maps in %v", n, x.maps, time.Since(start))
		}
		if end := x.end(); !end.arrived.After(last.Add(-provePause)) {
			t.Errorf("arrived %v before the last map", last.Sub(end.arrived))
		}
	})
}

// What has left is said when the queue is empty, of all that was put before, and only if there was a map in it.
func TestWhatWaitsIsNotProved(t *testing.T) {
	h := newHeld(nil)
	var proved, put []time.Time
	h.left = func(before time.Time) { proved = append(proved, before) }
	more := []Message{ForwardedSources{}, aMap, ForwardedSources{}}
	write := h.write
	h.write = func(text []byte) error {
		if len(proved) > 0 {
			t.Error("proved while messages wait")
		}
		if len(more) > 0 {
			put = append(put, time.Now())
			h.put(more[0])
			more = more[1:]
		}
		return write(text)
	}
	h.put(aMap)
	h.run()
	if len(h.sent) != 4 || len(proved) != 1 || proved[0].Before(put[len(put)-1]) {
		t.Errorf("sent %d, proved at %v", len(h.sent), proved)
	}
	proved = nil
	h.put(ForwardedSources{})
	h.run()
	if len(proved) != 0 {
		t.Error("proved without a map")
	}
	h.write = func([]byte) error { return errors.New("broken") }
	h.put(aMap)
	if h.run(); len(proved) != 0 {
		t.Error("proved what has not left")
	}
}
