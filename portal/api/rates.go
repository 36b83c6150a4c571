package api

import (
	"net/netip"
	"sync"
	"time"

	"parley/internal/limit"
	"parley/internal/store"
)

// rates meter requests: of strangers by source, of applications and accounts by name.
type rates struct {
	strange *limit.Sources[netip.Addr]
	known   *limit.Sources[string] // by address; applications without a rate of their own by name
	own     *appRates
	letters *limit.Sources[string] // mailed invitations of accounts and applications
}

// appRates are the buckets of applications that have a rate of their own.
type appRates struct {
	mu   sync.Mutex // guards apps
	apps map[string]*appRate
}

type appRate struct {
	rate   limit.Rate
	bucket limit.Bucket
}

const mostSources = 1 << 14

func newRates(cfg Config) rates {
	return rates{
		strange: limit.NewSources[netip.Addr](0, cfg.StrangeRate, mostSources), known: limit.NewSources[string](0, cfg.Rate, mostSources),
		own: &appRates{apps: make(map[string]*appRate)}, letters: limit.NewSources[string](0, cfg.MailRate, mostSources),
	}
}

func (r *rates) allow(who *principal) bool {
	now := time.Now()
	switch {
	case who.app == nil:
		return r.known.Allow(who.login.Addr, now, 1)
	case who.app.Rate == 0:
		return r.known.Allow(who.app.Name, now, 1) // no address: it holds no @
	}
	return r.own.allow(who.app, now)
}

// allow takes one request of an application. A rate that was changed begins anew.
func (r *appRates) allow(a *store.App, now time.Time) bool {
	rate := limit.Rate{PerSecond: a.Rate, Burst: a.Burst}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.apps[a.Name]
	if e == nil || e.rate != rate {
		if len(r.apps) >= mostSources {
			clear(r.apps) // there are never so many, but for who makes and removes them all day
		}
		e = &appRate{rate, limit.NewBucket(rate)}
		r.apps[a.Name] = e
	}
	return e.bucket.Allow(now, 1)
}
