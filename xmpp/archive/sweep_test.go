package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/store"
)

// old is a store with so many old messages in each archive.
type old struct {
	Store

	mu    sync.Mutex // guards what follows
	left  map[string]int
	calls []string
	err   error
}

func (o *old) ListArchivePrefs(context.Context, string, int) ([]string, []store.ArchivePrefs, error) {
	return nil, nil, nil
}
func (o *old) NewestArchived(context.Context) (time.Time, error) { return time.Time{}, nil }

func (o *old) ExpireArchive(_ context.Context, before time.Time, after string, limit int) (int, string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls = append(o.calls, fmt.Sprintf("%s behind %q", before.UTC().Format(time.DateTime), after))
	if o.err != nil {
		return 0, "", o.err
	}
	for _, owner := range []string{"a", "b", "c"} {
		if n := min(o.left[owner], limit); owner > after && n > 0 {
			o.left[owner] -= n
			if n == limit {
				return n, after, nil
			}
			return n, owner, nil
		}
	}
	return 0, "", nil
}

// take returns the calls since the last time, and the messages that are left.
func (o *old) take() (calls []string, left int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, n := range o.left {
		left += n
	}
	calls, o.calls = o.calls, nil
	return calls, left
}

func (o *old) ExpireRoom(ctx context.Context, before time.Time, after string, limit int) (int, string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls = append(o.calls, "room")
	return 0, "", nil
}

func TestOldMessagesAreRemovedInSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &old{left: map[string]int{"a": 1200, "c": 1}}
		config := DefaultConfig()
		config.Days = 2
		s, err := New(context.Background(), config, o, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { s.Run(ctx); close(ended) }()
		time.Sleep(sweepFirst - time.Second)
		synctest.Wait()
		if calls, _ := o.take(); len(calls) > 0 {
			t.Errorf("already: %q", calls)
		}
		time.Sleep(2*time.Second + 10*sweepPause)
		synctest.Wait()
		calls, left := o.take()
		const before = "1999-12-30 00:01:00"
		if want := []string{before + ` behind ""`, before + ` behind ""`, before + ` behind ""`, before + ` behind "a"`, before + ` behind "c"`, "room"}; !slices.Equal(calls, want) {
			t.Errorf("steps %q", calls)
		}
		if left > 0 {
			t.Errorf("%d are left", left)
		}
		o.mu.Lock()
		o.err = errors.New("the disk is gone")
		o.mu.Unlock()
		time.Sleep(sweepEvery)
		synctest.Wait()
		if calls, _ := o.take(); len(calls) != 2 { // one try, and the rooms
			t.Errorf("with an error: %q", calls)
		}
		cancel()
		<-ended
	})
}

func TestNothingExpiresWithoutAnAge(t *testing.T) {
	config := DefaultConfig()
	config.Days = 0
	o := &old{}
	s, err := New(context.Background(), config, o, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Run(context.Background()) // comes back
	if len(o.calls) > 0 {
		t.Errorf("calls: %q", o.calls)
	}
}
