package main

import (
	"log/slog"
	"net/netip"
	"sync/atomic"

	"parley/internal/geo"
)

// countries are those of addresses, by the file of the configuration, which is read again when the configuration is. Without one, and
// while it is damaged from the beginning, none is known.
type countries struct {
	path string
	log  *slog.Logger
	now  atomic.Pointer[geo.DB]
}

// openCountries reads the file; "" is none. What cannot be read is no reason not to start.
func openCountries(path string, log *slog.Logger) *countries {
	c := &countries{path: path, log: log}
	c.reload()
	return c
}

// reload reads the file again. One that is damaged leaves what was known.
func (c *countries) reload() {
	if c == nil || c.path == "" {
		return
	}
	db, err := geo.Open(c.path)
	switch {
	case err == nil:
		c.now.Store(db)
	case c.now.Load() == nil:
		c.log.Warn("no country is known", "err", err)
	default:
		c.log.Warn("the countries that were read before stay", "err", err)
	}
}

// Country implements roomserver.Countries and records.Countries.
func (c *countries) Country(a netip.Addr) string {
	if c == nil {
		return ""
	}
	return c.now.Load().Country(a)
}
