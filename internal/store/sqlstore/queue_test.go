package sqlstore

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"parley/internal/store"
)

// batches is a commit that notes what it gets, and waits for a token before each batch.
type batches struct {
	got  [][]string // rooms
	next chan struct{}
}

var errOdd = errors.New("odd")

func (b *batches) commit(writes []write) []error {
	<-b.next
	results := make([]error, len(writes))
	var rooms []string
	for i, w := range writes {
		rooms = append(rooms, w.change.Room)
		if w.change.Epoch%2 == 1 {
			results[i] = errOdd
		}
	}
	b.got = append(b.got, rooms)
	return results
}

func TestQueueCommitsWhatCameMeanwhileAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &batches{next: make(chan struct{})}
		q := newQueue(b.commit)
		var answers []string
		add := func(i int) {
			q.add(store.Change{Room: fmt.Sprint(i), Epoch: int64(i)}, func(err error) {
				answers = append(answers, fmt.Sprint(i, " ", err))
			})
		}
		add(0)
		synctest.Wait() // it is being committed
		for i := 1; i < 5; i++ {
			add(i)
		}
		if len(answers) != 0 {
			t.Errorf("answers before the commit: %q", answers)
		}
		b.next <- struct{}{}
		synctest.Wait()
		if want := []string{"0 <nil>"}; !slices.Equal(answers, want) {
			t.Errorf("after the first commit: %q", answers)
		}
		b.next <- struct{}{}
		synctest.Wait()
		if want := []string{"0 <nil>", "1 odd", "2 <nil>", "3 odd", "4 <nil>"}; !slices.Equal(answers, want) {
			t.Errorf("after the second commit: %q", answers)
		}
		equal(t, "batches", b.got, [][]string{{"0"}, {"1", "2", "3", "4"}})
		q.close()
	})
}

func TestQueueBoundsBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &batches{next: make(chan struct{}, 100)}
		q := newQueue(b.commit)
		add := func(tail int) {
			q.add(store.Change{Messages: []store.Message{{Tail: make([]byte, tail)}}}, func(error) {})
		}
		add(1)
		synctest.Wait()
		for range batchChanges + 2 {
			add(1)
		}
		for range 3 {
			add(batchBytes/2 + 1)
		}
		for range 100 {
			b.next <- struct{}{}
		}
		q.close()
		var sizes []int
		for _, rooms := range b.got {
			sizes = append(sizes, len(rooms))
		}
		equal(t, "sizes of batches", sizes, []int{1, batchChanges, 2 + 2, 1})
	})
}

func TestQueueCloseCommitsWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &batches{next: make(chan struct{})}
		q := newQueue(b.commit)
		answered := 0
		for range 3 {
			q.add(store.Change{}, func(err error) {
				if err != nil {
					t.Error(err)
				}
				answered++
			})
		}
		closed := false
		go func() { q.close(); closed = true }()
		synctest.Wait()
		if closed {
			t.Error("closed with changes in the queue")
		}
		late := make(chan error, 1)
		q.add(store.Change{}, func(err error) { late <- err })
		if err := <-late; err != store.ErrClosed {
			t.Errorf("a late change: %v", err)
		}
		close(b.next)
		synctest.Wait()
		if !closed || answered != 3 {
			t.Errorf("closed %v, %d of 3 answered", closed, answered)
		}
		q.close() // again
	})
}

func TestQueueTakesWritesFromDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &batches{next: make(chan struct{}, 10)}
		for range 10 {
			b.next <- struct{}{}
		}
		q := newQueue(b.commit)
		n := 0
		var done func(error)
		done = func(error) {
			if n++; n < 5 {
				q.add(store.Change{}, done)
			}
		}
		q.add(store.Change{}, done)
		synctest.Wait()
		if n != 5 {
			t.Errorf("%d of 5 writes were done", n)
		}
		q.close()
	})
}
