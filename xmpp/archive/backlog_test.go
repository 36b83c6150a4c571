package archive

import (
	"testing"
	"testing/synctest"
)

func TestWhoArchivesTooMuchHasToWait(t *testing.T) {
	for _, c := range []struct {
		name        string
		size, enter int // bytes of a message, and how many may wait
	}{
		{"many messages", 1, mostPending},
		{"large messages", mostPendingBytes / 4, 4},
		{"one that is larger than all that may wait", 2 * mostPendingBytes, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b backlog
				if !b.empty() {
					t.Error("it begins with something")
				}
				entered := 0
				ended := make(chan struct{})
				go func() {
					for range c.enter + 2 {
						b.enter(c.size)
						entered++
					}
					close(ended)
				}()
				for i := range 3 {
					synctest.Wait()
					if entered != c.enter+i || b.empty() {
						t.Fatalf("%d have entered, want %d", entered, c.enter+i)
					}
					b.leave(c.size)
				}
				<-ended
				for range c.enter - 1 {
					b.leave(c.size)
				}
				if !b.empty() {
					t.Error("something is left")
				}
			})
		})
	}
}

func TestThereIsRoomForThoseWhoDoNotWait(t *testing.T) {
	var b backlog
	for range mostPending/2 - 1 {
		b.enter(1)
	}
	if !b.roomy() {
		t.Error("less than half of what may wait leaves no room")
	}
	if b.enter(1); b.roomy() {
		t.Error("half of what may wait leaves room")
	}
	if b.leave(1); !b.roomy() {
		t.Error("there is no room again")
	}
	if b.enter(mostPendingBytes / 2); b.roomy() {
		t.Error("half of the bytes leave room")
	}
}
