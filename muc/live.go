package muc

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// What whoever runs the server sees of rooms, and does in them. Unlike a room's owner it is no occupant and is named to nobody.

// Errors of View, Expel and End.
var (
	ErrNoRoom     = errors.New("muc: no such room is in use")
	ErrNoOccupant = errors.New("muc: nobody of that nickname is in the room")
	ErrBusy       = errors.New("muc: the room is busy")
)

// View is a room at one moment.
type View struct {
	Room        wire.Addr
	Created     time.Time
	Title       string
	Subject     string
	Persistent  bool
	MembersOnly bool
	Password    bool
	Locked      bool // waits for the first configuration of its creator
	Meeting     bool // the focus sits in it
	Occupants   []Occupant
}

// InUse returns the addresses of up to limit rooms that are in memory, in their order, those behind after. One that is looked at
// may have ended meanwhile.
func (s *Service) InUse(after wire.Addr, limit int) []wire.Addr {
	s.mu.Lock()
	list := slices.Collect(maps.Keys(s.cells))
	s.mu.Unlock()
	list = slices.DeleteFunc(list, func(a wire.Addr) bool { return a <= after })
	slices.Sort(list)
	return list[:min(len(list), max(limit, 0))]
}

// View returns a room as it is, or ErrNoRoom.
func (s *Service) View(ctx context.Context, addr wire.Addr) (View, error) {
	seen := new(View)
	err := s.administer(ctx, addr, func(r *room, _ *input, fx *effects, done func(error)) {
		*seen = View{
			Room: r.addr, Created: r.created, Title: r.settings.Name, Subject: r.subject.text, Persistent: r.settings.Persistent,
			MembersOnly: r.settings.MembersOnly, Password: r.settings.Password != "", Locked: r.phase == locked, Meeting: r.focus != nil,
		}
		for _, o := range r.occupants {
			if !r.isFocus(o) {
				seen.Occupants = append(seen.Occupants, r.portrait(o))
			}
		}
		done(nil)
	})
	if err != nil {
		return View{}, err // the room may write to seen still
	}
	return *seen, nil
}

// Full reports that a room that is in use has no place for a stranger.
func (s *Service) Full(ctx context.Context, addr wire.Addr) bool {
	s.mu.Lock()
	used := s.cells[addr] != nil
	s.mu.Unlock()
	if !used {
		return false
	}
	full := make(chan bool, 1)
	err := s.administer(ctx, addr, func(r *room, _ *input, _ *effects, done func(error)) {
		full <- r.isFull(None)
		done(nil)
	})
	return err == nil && <-full
}

// Expel throws an occupant out as a moderator does (XEP-0045 §8.2), and returns when that was said.
func (s *Service) Expel(ctx context.Context, addr wire.Addr, nick, reason string) error {
	return s.administer(ctx, addr, func(r *room, in *input, fx *effects, done func(error)) {
		o := r.occupantOf(nick)
		if o == nil || r.isFocus(o) {
			done(ErrNoOccupant)
			return
		}
		r.kick(recast{occupant: o, to: NoRole, reason: reason}, "", func() {}, in, fx)
		fx.released = append(fx.released, func() { done(nil) })
	})
}

// End destroys a room as its owner does (XEP-0045 §10.9), and returns when that is stored and was said.
func (s *Service) End(ctx context.Context, addr wire.Addr, reason string) error {
	words := []byte("<destroy>")
	if reason != "" {
		words = wire.AppendElem(words, "reason", reason)
	}
	words = append(words, "</destroy>"...)
	return s.administer(ctx, addr, func(r *room, in *input, fx *effects, done func(error)) {
		if r.exclusive {
			done(ErrBusy)
			return
		}
		r.submit(&op{alone: true, finish: func(why *refusal, _ *input, fx *effects) {
			if why != nil {
				done(ErrBusy)
				return
			}
			r.stored = false
			r.closeDown(&notice{destroy: words}, LeftEnded, fx)
			r.end(fx, true)
			fx.released = append(fx.released, func() { done(nil) })
		}}, in, fx, store.Change{Delete: true}, r.stored)
	})
}

// administer has something done in a room that is in use, and waits until it has called done.
func (s *Service) administer(ctx context.Context, addr wire.Addr, do func(r *room, in *input, fx *effects, done func(error))) error {
	if s.unreachable(addr) != nil {
		return ErrNoRoom
	}
	outcome := make(chan error, 1)
	done := func(err error) {
		select {
		case outcome <- err:
		default:
		}
	}
	s.post(addr, &input{
		fail: func(*refusal) { done(ErrBusy) },
		do: func(r *room, in *input, fx *effects) {
			if r.phase != open && r.phase != locked {
				done(ErrNoRoom)
				return
			}
			do(r, in, fx, done)
		},
	})
	select {
	case err := <-outcome:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
