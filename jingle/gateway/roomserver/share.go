package roomserver

import (
	"context"
	"errors"
	"time"

	"parley/internal/store"
)

// Shared is where the servers on one database tell one another which ICE servers have registered, and what they report: agents reach
// any of them. Who registered stays through a restart by it.
type Shared interface {
	KeepICE(ctx context.Context, s store.ICEServer) error
	ReportICE(ctx context.Context, ip string, rx, tx int, now, expires time.Time) error
	DropICE(ctx context.Context, ip string) error
	ListICE(ctx context.Context, now time.Time) ([]store.ICEServer, error)
}

const (
	shareEvery = 2 * time.Second // how often the news of others are looked for
	shareTime  = 2 * time.Second // how long the store may take: without it an agent is answered from memory
)

// Share takes what ICE servers report to the other servers on the database, until the context ends. A database that is away leaves what
// is known, until it expires.
func (s *Service) Share(ctx context.Context) {
	if s.parts.Shared == nil {
		return
	}
	ticks := time.NewTicker(shareEvery)
	defer ticks.Stop()
	for {
		s.readShared(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

// readShared brings the registry in line with what is shared.
func (s *Service) readShared(ctx context.Context) {
	since := s.ice.shares()
	ctx, done := context.WithTimeout(ctx, shareTime)
	defer done()
	now := time.Now()
	list, err := s.parts.Shared.ListICE(ctx, now)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			s.rec.Hurt("ice.store", "", "err", err.Error())
		}
		return
	}
	s.ice.merge(list, since, now)
}

// shares is how often something was shared by this server so far.
func (r *registry) shares() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shared
}

// merge takes a list that was read when so much had been shared: who is in it with later news than we have, and who is not
// any more, though it was there before.
func (r *registry) merge(list []store.ICEServer, since int, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	there := make(map[string]bool, len(list))
	for i := range list {
		one := &list[i]
		there[one.IP] = true
		s := r.servers[one.IP]
		if s == nil && len(r.servers) >= serversMost || s != nil && !one.Expires.After(s.heard) || !one.Expires.After(now) {
			continue
		}
		fresh, err := registration{ip: one.IP, bundle: one.Bundle, policy: one.Policy, turnPort: one.TurnPort, stunPort: one.StunPort,
			most: one.Most, username: one.Username, credential: one.Credential}.server()
		if err != nil {
			continue // of a later version, perhaps
		}
		fresh.rx, fresh.tx, fresh.expires, fresh.heard, fresh.shared = one.Rx, one.Tx, one.Expires, one.Expires, since
		fresh.region = r.regions.of(fresh.addr())
		delete(r.silent, one.IP)
		if s == nil {
			r.servers[one.IP] = fresh
			continue
		}
		if s.expires.IsZero() {
			fresh.expires = time.Time{}
		}
		fresh.assigned, fresh.members = s.assigned, s.members
		*s = *fresh // pairs have it
	}
	for ip, s := range r.servers {
		if s.shared > 0 && s.shared <= since && !there[ip] && !s.expires.IsZero() && !s.over(now) {
			delete(r.servers, ip) // it has deregistered with another server
		}
	}
}

// row is a server as it is shared.
func (s *iceServer) row() store.ICEServer {
	return store.ICEServer{IP: s.ip, Bundle: s.bundle, Policy: s.transport, TurnPort: s.turnPort, StunPort: s.stunPort, Most: s.most,
		Username: s.username, Credential: s.credential, Rx: s.rx, Tx: s.tx, Expires: s.heard}
}

// toldOthers shares a registration, or a report, of a server that is in the registry. Without the store it is told by a later report.
func (s *Service) toldOthers(ip string, fresh bool, now time.Time) {
	if s.parts.Shared == nil {
		return
	}
	s.ice.mu.Lock()
	one := s.ice.servers[ip]
	var row store.ICEServer
	if one != nil {
		row = one.row()
	}
	s.ice.mu.Unlock()
	if one == nil {
		return
	}
	ctx, done := context.WithTimeout(context.Background(), shareTime)
	defer done()
	err := error(store.ErrNotFound)
	if !fresh {
		err = s.parts.Shared.ReportICE(ctx, ip, row.Rx, row.Tx, now, row.Expires)
	}
	if errors.Is(err, store.ErrNotFound) {
		err = s.parts.Shared.KeepICE(ctx, row)
	}
	if err != nil {
		s.rec.Hurt("ice.store", "", "err", err.Error())
		return
	}
	s.ice.mu.Lock()
	defer s.ice.mu.Unlock()
	s.ice.shared++
	one.shared = s.ice.shared
}

// goneForOthers shares that a server is gone. It reports that it was there.
func (s *Service) goneForOthers(ip string) bool {
	if s.parts.Shared == nil {
		return false
	}
	ctx, done := context.WithTimeout(context.Background(), shareTime)
	defer done()
	err := s.parts.Shared.DropICE(ctx, ip)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		s.rec.Hurt("ice.store", "", "err", err.Error())
	}
	return err == nil
}
