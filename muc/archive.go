package muc

import (
	"context"
	"fmt"
	"runtime/debug"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// Archive answers requests to the archives of persistent rooms (XEP-0313), which are what the store keeps of them.
type Archive interface {
	// Answer answers a request to a room with send: what was asked for, then the result of the IQ or an error. That its sender
	// may read the archive is known; real says that it may see the real addresses of occupants. It may wait for the store.
	Answer(ctx context.Context, room wire.Addr, request *wire.Packet, real bool, send func(wire.Stanza))
	// Find returns a message of a room, or store.ErrNotFound. It waits for the store.
	Find(ctx context.Context, room wire.Addr, id string) (store.Archived, error)
}

// SetArchive has requests to archives answered. It is called before the first packet.
func (s *Service) SetArchive(a Archive) {
	s.archive = a
	s.config.Limits.Archived = a != nil
}

// archived reports that the room has an archive that can be read: temporary rooms have none.
func (r *room) archived() bool { return r.stored && r.limits.Archived }

// reading is a request to the archive that the room has allowed.
type reading struct {
	from   wire.Addr
	packet *wire.Packet
	real   bool
}

// consult allows a request to the archive, or refuses it. It is answered beside the room, see Service.read.
func (r *room) consult(in *input, fx *effects) {
	if !r.mayRead(in) {
		r.refuse(in, fx, errForbidden)
		return
	}
	fx.reads = append(fx.reads, reading{in.from, in.packet, r.seesReal(in.from)})
}

// mayRead reports that the sender could enter the room now, or is in it (XEP-0313 §6.1.2). Whoever has to show a password to
// enter has to be inside; so have guests.
func (r *room) mayRead(in *input) bool {
	affiliation := r.affiliation(in.from.Bare())
	switch {
	case affiliation == Outcast:
		return false
	case r.byAddr[in.from] != nil, affiliation >= Admin:
		return true
	case in.guest, r.settings.Password != "", r.phase != open:
		return false
	case r.settings.MembersOnly && affiliation < Member:
		return false
	}
	return r.admits(in) == nil
}

// seesReal reports that an address may know who occupants are; see view.
func (r *room) seesReal(from wire.Addr) bool {
	if r.settings.nonAnonymous() || r.affiliation(from.Bare()) >= Admin {
		return true
	}
	s := r.byAddr[from]
	return s != nil && s.occupant.role == Moderator && !r.settings.Anyone
}

// mostReading is how many answers from the archive may be on their way at once.
const mostReading = 32

// read answers a request to a room's archive.
func (s *Service) read(b *wire.Batch, room wire.Addr, ask reading) {
	if s.reading.Add(1) > mostReading {
		s.reading.Add(-1)
		busy := errBusy.Error
		busy.By, busy.Echo = room, echo(ask.packet)
		s.out.Deliver(b, ask.from, busy.ErrorTo(ask.packet, room))
		return
	}
	s.running.add()
	go func() {
		defer s.running.done()
		defer s.reading.Add(-1)
		defer func() {
			if e := recover(); e != nil {
				s.rec.Hurt("panic", string(room), "room", string(room), "err", fmt.Sprint(e), "stack", string(debug.Stack()))
			}
		}()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		var b wire.Batch
		defer b.Flush()
		s.archive.Answer(ctx, room, ask.packet, ask.real, func(st wire.Stanza) { s.out.Deliver(&b, ask.from, st) })
	}()
}
