package sqlstore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/store"
)

// A token is spent once, whoever tries at the same time, and stays so when the store is opened again.
func TestHP5SpentTokensAreKept(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		ctx := context.Background()
		s := mustOpen(t, url, Options{})
		soon := time.Now().Add(time.Hour)
		var firsts atomic.Int32
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if first, err := s.SpendToken(ctx, []byte{0, 1}, soon); err != nil {
					t.Error(err)
				} else if first {
					firsts.Add(1)
				}
			})
		}
		group.Wait()
		if n := firsts.Load(); n != 1 {
			t.Errorf("spent %d times", n)
		}
		if first, err := s.SpendToken(ctx, []byte{0, 2}, time.Now().Add(-time.Minute)); !first || err != nil {
			t.Errorf("another one: %v %v", first, err)
		}
		for _, bad := range [][]byte{nil, make([]byte, 65)} {
			if _, err := s.SpendToken(ctx, bad, soon); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("a key of %d bytes: %v", len(bad), err)
			}
			if _, err := s.TokenSpent(ctx, bad); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("a key of %d bytes: %v", len(bad), err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = mustOpen(t, url, Options{})
		is := func(key byte, want bool) {
			t.Helper()
			if got, err := s.TokenSpent(ctx, []byte{0, key}); got != want || err != nil {
				t.Errorf("token %d: %v %v, want %v", key, got, err, want)
			}
		}
		is(1, true)
		is(2, true) // until somebody sweeps
		is(3, false)
		if first, err := s.SpendToken(ctx, []byte{0, 3}, soon); !first || err != nil {
			t.Errorf("a third: %v %v", first, err)
		}
		is(1, true)
		is(2, false)
		is(3, true)
	})
}
