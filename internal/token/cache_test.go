package token

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// server stands in for a key server: what it has, whether it answers, how long that takes.
type server struct {
	mu    sync.Mutex
	keys  map[string]ed25519.PublicKey // by id
	down  bool
	slow  time.Duration
	loads int
}

func (s *server) set(ctx context.Context, _ string) ([]key, error) {
	if err := s.answer(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []key
	for id, k := range s.keys {
		keys = append(keys, key{id: id, algs: []string{"EdDSA"}, material: k})
	}
	return keys, nil
}

func (s *server) key(ctx context.Context, id string) ([]key, error) {
	if err := s.answer(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, ok := s.keys[id]; ok {
		return []key{{id: id, algs: []string{"EdDSA"}, material: k}}, nil
	}
	return nil, errGone
}

func (s *server) answer(ctx context.Context) error {
	s.mu.Lock()
	s.loads++
	down, slow := s.down, s.slow
	s.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return ctx.Err()
	}
	if down {
		return errors.New("down")
	}
	return nil
}

func (s *server) change(f func()) { s.mu.Lock(); f(); s.mu.Unlock() }

func (s *server) count() int { s.mu.Lock(); defer s.mu.Unlock(); return s.loads }

func newServer(ids ...string) *server {
	s := &server{keys: make(map[string]ed25519.PublicKey)}
	for _, id := range ids {
		s.keys[id] = edKey.Public().(ed25519.PublicKey)
	}
	return s
}

// has asks the cache for one kid, and reports whether it came with a key and how long that took.
func has(c *cache, kid string) (bool, time.Duration) {
	start := time.Now()
	for _, k := range c.find(context.Background(), kid) {
		if k.id == kid {
			return true, time.Since(start)
		}
	}
	return false, time.Since(start)
}

func TestHP2UnknownKidRefreshesTheSetOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("a")
		c := newCache(s.set, time.Hour, true, nil)
		defer c.close()
		if ok, _ := has(c, "a"); !ok || s.count() != 1 {
			t.Fatalf("known: %v, %d loads", ok, s.count())
		}
		time.Sleep(10 * time.Minute)
		s.change(func() { s.keys["b"] = s.keys["a"] })
		for minute := 1; minute <= 5; minute++ {
			for i := range 1000 {
				has(c, fmt.Sprint("unknown", i))
			}
			if got := s.count(); got != 1+minute {
				t.Fatalf("%d loads after %d minutes", got, minute)
			}
			if ok, _ := has(c, "b"); !ok {
				t.Fatal("a new key is not found")
			}
			time.Sleep(time.Minute)
		}
	})
}

func TestHP2UnknownKidAsksTheKeyServerOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("a", "b", "c")
		c := newCache(s.key, time.Hour, false, []string{"a"})
		defer c.close()
		for minute := range 5 {
			for i := range 1000 {
				has(c, fmt.Sprint("unknown", minute, i))
			}
			// What the administrator named is found however many others ask.
			if ok, _ := has(c, "a"); !ok {
				t.Fatal("a named key is not found")
			}
			if got := s.count(); got != 2+minute {
				t.Fatalf("%d loads after %d minutes", got, minute)
			}
			time.Sleep(time.Minute)
		}
		if ok, _ := has(c, "b"); !ok {
			t.Fatal("a new key is not found in a quiet minute")
		}
		if ok, _ := has(c, "c"); ok {
			t.Fatal("a second new key in one minute")
		}
		if len(c.entries) > 3 {
			t.Errorf("%d entries", len(c.entries))
		}
	})
}

func TestKeysOfTheKeyServerAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		c := newCache(s.key, time.Hour, false, nil)
		defer c.close()
		for i := range 300 {
			id := fmt.Sprint("k", i)
			s.change(func() { s.keys[id] = edKey.Public().(ed25519.PublicKey) })
			has(c, id)
			if len(c.entries) > maxKeys {
				t.Fatalf("%d entries", len(c.entries))
			}
			time.Sleep(time.Minute)
		}
		if ok, _ := has(c, "k299"); !ok {
			t.Error("the latest key is not there")
		}
	})
}

func TestHF17LastGoodKeysServeADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("a")
		failures := 0
		c := newCache(s.set, time.Hour, true, nil)
		c.failed = func(error) { failures++ }
		defer c.close()
		has(c, "a")
		loaded := time.Now()
		s.change(func() { s.down, s.slow = true, time.Hour })
		waited := 0
		for time.Since(loaded) < 23*time.Hour {
			ok, wait := has(c, "a")
			if !ok || wait > fetchTime {
				t.Fatalf("after %v: found %v, waited %v", time.Since(loaded), ok, wait)
			}
			if wait > 0 {
				waited++
			}
			if ok, wait := has(c, "a"); !ok || wait > 0 { // the circuit is open: the next one does not wait
				t.Fatalf("after %v: found %v, waited %v", time.Since(loaded), ok, wait)
			}
			time.Sleep(10 * time.Minute)
		}
		if failures == 0 || waited == 0 {
			t.Errorf("%d failures told, %d waits", failures, waited)
		}
		time.Sleep(time.Until(loaded.Add(keepKeys)))
		if ok, _ := has(c, "a"); ok {
			t.Error("found after a day")
		}
		s.change(func() { s.down, s.slow = false, 0 })
		time.Sleep(retryFirst)
		if ok, _ := has(c, "a"); !ok {
			t.Error("not found after the server came back")
		}
	})
}

func TestKeysAreRefreshedWithoutWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("a")
		c := newCache(s.set, time.Hour, true, nil)
		defer c.close()
		has(c, "a")
		s.change(func() { s.slow = time.Second; delete(s.keys, "a") })
		time.Sleep(61 * time.Minute)
		if ok, wait := has(c, "a"); !ok || wait != 0 {
			t.Errorf("found %v after %v", ok, wait)
		}
		time.Sleep(2 * time.Second)
		if ok, _ := has(c, "a"); ok {
			t.Error("a key that was taken back is still good")
		}
		// Nobody asked for long: an old key is not believed before its server was asked.
		s.change(func() { s.keys["a"] = edKey.Public().(ed25519.PublicKey) })
		time.Sleep(time.Hour)
		has(c, "a")
		s.change(func() { delete(s.keys, "a") })
		time.Sleep(10 * time.Hour)
		if ok, wait := has(c, "a"); ok || wait != time.Second {
			t.Errorf("found %v after %v", ok, wait)
		}
	})
}

func TestKeyThatTheServerNoLongerHasIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("a")
		c := newCache(s.key, time.Hour, false, nil)
		defer c.close()
		has(c, "a")
		s.change(func() { delete(s.keys, "a") })
		time.Sleep(3 * time.Hour)
		if ok, _ := has(c, "a"); ok {
			t.Error("still good")
		}
	})
}

func TestManyTokensShareOneLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer("a")
		s.slow = time.Second
		c := newCache(s.set, time.Hour, true, nil)
		c.warm()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if ok, _ := has(c, "a"); !ok {
					t.Error("not found")
				}
			})
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		if keys := c.find(ctx, "a"); keys != nil {
			t.Error("did not end with its context")
		}
		all.Wait()
		if s.count() != 1 {
			t.Errorf("%d loads", s.count())
		}
		c.close()
	})
}

func TestCloseEndsLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.slow = time.Hour
		c := newCache(s.set, time.Hour, true, nil)
		c.warm()
		start := time.Now()
		c.close()
		if time.Since(start) != 0 {
			t.Errorf("took %v", time.Since(start))
		}
		if ok, _ := has(c, "a"); ok || s.count() != 1 {
			t.Errorf("loads after close: %d", s.count())
		}
	})
}
