package focus

import (
	"sync"
	"testing"
	"time"
)

// Whoever watches is told of a call that begins with the second member and ends with the room, once each.
func TestCallsAreWatched(t *testing.T) {
	w := newWorld(t, true)
	var mu sync.Mutex
	var events []CallEvent
	w.focus.WatchCalls(func(e CallEvent) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e)
	})
	wait := func(n int) []CallEvent {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
			mu.Lock()
			got := events
			mu.Unlock()
			if len(got) == n {
				return got
			}
			if time.Now().After(end) {
				t.Fatalf("%d events, want %d: %+v", len(got), n, got)
			}
		}
	}
	ann, bob, carl := w.person("ann"), w.person("bob"), w.person("carl")
	for _, p := range []*person{ann, bob, carl} {
		p.request()
	}
	ann.join("aaaaaaaa")
	bob.join("bbbbbbbb")
	began := wait(1)[0]
	if began.Room != room || began.Meeting == "" || began.Began.IsZero() || !began.Ended.IsZero() {
		t.Errorf("%+v", began)
	}
	carl.join("cccccccc")
	for _, p := range []*person{carl, bob, ann} {
		w.rooms.Gone(p.addr)
	}
	if ended := wait(2)[1]; ended.Meeting != began.Meeting || !ended.Began.Equal(began.Began) || ended.Ended.Before(ended.Began) || ended.Most != 3 || ended.Gate != SFU {
		t.Errorf("%+v", ended)
	}
}
