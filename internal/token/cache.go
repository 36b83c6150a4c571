package token

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// cache keeps the keys of one issuer that come from elsewhere, by id: a JWK set is one entry with the id "", a key
// server has one entry per kid. An entry is loaded at most once a minute, however many tokens ask (every ten seconds
// while there is nothing to use). Keys due for a refresh serve on meanwhile; keys of twice that age serve only when an
// attempt to load them again has failed, and for a day at most.
type cache struct {
	load   func(ctx context.Context, id string) ([]key, error)
	failed func(error) // told of each failed load
	every  time.Duration
	single bool // a JWK set

	ctx    context.Context // ends the loads
	cancel context.CancelFunc
	loads  sync.WaitGroup

	mu      sync.Mutex // guards what follows
	closed  bool
	entries map[string]*entry
	asked   time.Time // when an unknown id was last asked for
}

type entry struct {
	known  bool // named in the configuration, stays
	keys   []key
	loaded time.Time     // when keys were loaded, zero if never
	tried  time.Time     // when a load last began
	flight chan struct{} // closed when the load under way ends; nil if there is none
}

func newCache(load func(context.Context, string) ([]key, error), every time.Duration, single bool, known []string) *cache {
	c := &cache{load: load, every: every, single: single, entries: make(map[string]*entry)}
	if c.every == 0 {
		c.every = time.Hour
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if single {
		known = []string{""}
	}
	for _, id := range known {
		c.entries[id] = &entry{known: true}
	}
	return c
}

// warm begins to load what is known to be needed, and does not wait.
func (c *cache) warm() {
	ctx, cancel := context.WithCancel(c.ctx)
	cancel()
	for id := range c.entries {
		c.get(ctx, id, false)
	}
}

// close ends the loads and waits for them.
func (c *cache) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.loads.Wait()
}

// find returns the keys that a token with this kid may be signed with. It waits for a load, until ctx ends, only when
// nothing that is there can answer.
func (c *cache) find(ctx context.Context, kid string) []key {
	if c.single {
		keys := named(c.get(ctx, "", false), kid)
		if kid != "" && !slices.ContainsFunc(keys, func(k key) bool { return k.id == kid }) {
			keys = named(c.get(ctx, "", true), kid)
		}
		return keys
	}
	if kid == "" {
		return nil
	}
	return c.get(ctx, kid, false)
}

// named returns the keys of that id and those without one; without an id, all.
func named(keys []key, kid string) []key {
	if kid == "" {
		return keys
	}
	var fit []key
	for _, k := range keys {
		if k.id == kid || k.id == "" {
			fit = append(fit, k)
		}
	}
	return fit
}

// get returns the entry's keys. With newer, keys that were loaded more than a minute ago are loaded again first.
func (c *cache) get(ctx context.Context, id string, newer bool) []key {
	now := time.Now()
	c.mu.Lock()
	e := c.entries[id]
	if e == nil {
		if e = c.admit(id, now); e == nil {
			c.mu.Unlock()
			return nil
		}
	}
	age := now.Sub(e.loaded)
	usable := !e.loaded.IsZero() && age < keepKeys
	again := retryKeys
	if !usable {
		again = retryFirst
	}
	due := newer || !usable || age >= c.every
	if due && e.flight == nil && !c.closed && (e.tried.IsZero() || now.Sub(e.tried) >= again) {
		e.tried, e.flight = now, make(chan struct{})
		c.loads.Add(1)
		go c.run(id, e)
	}
	flight := e.flight
	if usable && !newer && age < 2*c.every {
		flight = nil
	}
	c.mu.Unlock()
	if flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.loaded.IsZero() || now.Sub(e.loaded) >= keepKeys {
		return nil
	}
	return e.keys
}

// admit makes the entry of an id that nobody has heard of: once a minute for all of them together, and never in place
// of one that is known. Called with mu held.
func (c *cache) admit(id string, now time.Time) *entry {
	if !c.asked.IsZero() && now.Sub(c.asked) < retryKeys {
		return nil
	}
	if len(c.entries) >= maxKeys {
		for old, e := range c.entries {
			if !e.known && e.flight == nil && now.Sub(e.loaded) >= c.every {
				delete(c.entries, old)
			}
		}
		if len(c.entries) >= maxKeys {
			return nil
		}
	}
	c.asked = now
	e := &entry{}
	c.entries[id] = e
	return e
}

func (c *cache) run(id string, e *entry) {
	defer c.loads.Done()
	ctx, cancel := context.WithTimeout(c.ctx, fetchTime)
	keys, err := c.load(ctx, id)
	cancel()
	if err != nil && c.failed != nil && c.ctx.Err() == nil {
		c.failed(err)
	}
	c.mu.Lock()
	switch {
	case err == nil:
		e.keys, e.loaded = keys, time.Now()
	case errors.Is(err, errGone):
		e.keys, e.loaded = nil, time.Time{}
	}
	if e.loaded.IsZero() && !e.known {
		delete(c.entries, id)
	}
	close(e.flight)
	e.flight = nil
	c.mu.Unlock()
}
