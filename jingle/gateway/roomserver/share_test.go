package roomserver

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/store"
)

// shelf is what two servers share, in memory.
type shelf struct {
	mu   sync.Mutex
	rows map[string]store.ICEServer
	away bool
}

var errAway = errors.New("the database is away")

func (s *shelf) KeepICE(_ context.Context, one store.ICEServer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return errAway
	}
	s.rows[one.IP] = one
	return nil
}

func (s *shelf) ReportICE(_ context.Context, ip string, rx, tx int, now, expires time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.rows[ip]
	switch {
	case s.away:
		return errAway
	case !ok || !one.Expires.After(now):
		return store.ErrNotFound
	}
	one.Rx, one.Tx, one.Expires = rx, tx, expires
	s.rows[ip] = one
	return nil
}

func (s *shelf) DropICE(_ context.Context, ip string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.rows[ip]; !ok || s.away {
		return store.ErrNotFound
	}
	delete(s.rows, ip)
	return nil
}

func (s *shelf) ListICE(_ context.Context, now time.Time) (list []store.ICEServer, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return nil, errAway
	}
	for _, one := range s.rows {
		if one.Expires.After(now) {
			list = append(list, one)
		}
	}
	return list, nil
}

func (s *shelf) leaves(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = yes
}

// sharing runs a test of two servers that share a store.
func sharing(t *testing.T, change func(*Config), f func(t *testing.T, a, b *house, s *shelf)) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{rows: make(map[string]store.ICEServer)}
		ctx, stop := context.WithCancel(context.Background())
		defer synctest.Wait()
		defer stop()
		var both [2]*house
		for i := range both {
			both[i] = newHouse(t, func(c *Config) {
				c.IceSecret, c.IceBandwidth = "k", 1
				if change != nil {
					change(c)
				}
			})
			both[i].service.parts.Shared = s
			go both[i].service.Share(ctx)
		}
		synctest.Wait()
		f(t, both[0], both[1], s)
	})
}

// has are the addresses of the ICE servers that a server hands out, but for its own, with their rates.
func (h *house) has(t *testing.T, when string, want ...string) {
	t.Helper()
	var got []string
	for _, s := range h.service.Servers() {
		if !s.Own {
			got = append(got, strings.TrimSuffix(strings.TrimPrefix(s.URLs[0], "turn:"), ":3478")+" "+time.Duration(s.Rate).String())
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, not %q", when, got, want)
	}
}

const nearlyAll = shareEvery + time.Second // by then all have heard

func rates(ip, tx string) string {
	return `{"cmd":"iceReportRxTxRate","ip":"` + ip + `","rxRate":1,"txRate":` + tx + `}`
}

func (h *house) says(t *testing.T, body, want string) {
	t.Helper()
	if _, got := h.report("k", body); got != want {
		t.Errorf("%s: %s, not %s", body, got, want)
	}
}

// Two servers hand out what has registered with either, wherever it reports; who is silent, or gone, is gone for both.
func TestR15_TwoServersShareICEServers(t *testing.T) {
	sharing(t, nil, func(t *testing.T, a, b *house, _ *shelf) {
		a.says(t, registered("192.0.2.11"), "successful")
		b.says(t, registered("192.0.2.12"), "successful")
		time.Sleep(time.Millisecond)
		b.says(t, rates("192.0.2.11", "7"), "successful") // which has not looked since
		time.Sleep(nearlyAll)
		for _, h := range []*house{a, b} {
			h.has(t, "both have registered", "192.0.2.11 7ns", "192.0.2.12 0s")
		}
		b.says(t, registered("192.0.2.11"), "ice_have_registered")
		for range 20 { // one reports to the other server, one is silent
			time.Sleep(2 * time.Second)
			b.says(t, rates("192.0.2.11", "9"), "successful")
		}
		time.Sleep(nearlyAll)
		for _, h := range []*house{a, b} {
			h.has(t, "one is silent", "192.0.2.11 9ns")
			if lost := h.service.Lost(); len(lost) != 1 || lost[0] != "192.0.2.12" {
				t.Errorf("lost: %v", lost)
			}
		}
		a.says(t, rates("192.0.2.12", "1"), "ice_no_found")
		a.says(t, `{"cmd":"iceDeregister","ip":"192.0.2.11"}`, "successful")
		time.Sleep(nearlyAll)
		for _, h := range []*house{a, b} {
			h.has(t, "the other has gone")
		}
		b.says(t, `{"cmd":"iceDeregister","ip":"192.0.2.11"}`, "ice_no_found")
	})
}

// While the database is away each server goes on with what it knows, and tells the others later.
func TestR15_WithoutTheDatabaseServersGoOn(t *testing.T) {
	sharing(t, nil, func(t *testing.T, a, b *house, s *shelf) {
		a.says(t, registered("192.0.2.11"), "successful")
		time.Sleep(nearlyAll)
		s.leaves(true)
		a.says(t, registered("192.0.2.12"), "successful")
		for range 15 {
			time.Sleep(2 * time.Second)
			a.says(t, rates("192.0.2.11", "3"), "successful")
			a.says(t, rates("192.0.2.12", "4"), "successful")
		}
		a.has(t, "away", "192.0.2.11 3ns", "192.0.2.12 4ns")
		b.has(t, "away")
		s.leaves(false)
		a.says(t, rates("192.0.2.11", "5"), "successful")
		a.says(t, rates("192.0.2.12", "6"), "successful")
		time.Sleep(nearlyAll)
		for _, h := range []*house{a, b} {
			h.has(t, "back", "192.0.2.11 5ns", "192.0.2.12 6ns")
		}
	})
}

// A server of the configuration stays, and its rates are those that it has told anybody.
func TestR15_ConfiguredServersShareTheirRates(t *testing.T) {
	sharing(t, func(c *Config) {
		c.Ice = []ICEServer{{IP: "192.0.2.13", TurnPort: 3478, MaxBandwidth: 1000}}
	}, func(t *testing.T, a, b *house, _ *shelf) {
		a.says(t, registered("192.0.2.13"), "ice_have_registered")
		a.says(t, rates("192.0.2.13", "8"), "successful")
		time.Sleep(nearlyAll)
		b.has(t, "it reports", "192.0.2.13 8ns")
		time.Sleep(time.Minute)
		for _, h := range []*house{a, b} {
			h.has(t, "it is silent", "192.0.2.13 8ns")
		}
	})
}

// Pairs keep what they were given while news of it come in.
func TestR15_NewsOfOthersKeepWhatPairsWereGiven(t *testing.T) {
	sharing(t, nil, func(t *testing.T, a, b *house, _ *shelf) {
		a.says(t, registered("192.0.2.11"), "successful")
		g := a.service.ice.choose(400, "", "", time.Now())
		b.service.ServeICE(httptest.NewRecorder(), httptest.NewRequest("POST", "/api/ice", strings.NewReader("{}"))) // without a key: nothing
		time.Sleep(nearlyAll)
		b.says(t, rates("192.0.2.11", "9"), "successful")
		time.Sleep(nearlyAll)
		a.has(t, "it reports to the other", "192.0.2.11 9ns")
		a.service.ice.mu.Lock()
		assigned, members := g.server.assigned, a.service.ice.servers["192.0.2.11"].members
		a.service.ice.mu.Unlock()
		if assigned != 400 || members != 2 {
			t.Errorf("%d kbit/s of %d members", assigned, members)
		}
		g.release()
	})
}
