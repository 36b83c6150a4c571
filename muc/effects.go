package muc

import (
	"time"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// effects is what a step of a room wants done, in order within each kind. It is reused from step to step; what is in it
// belongs to whoever carries it out.
type effects struct {
	deliver  []delivery
	writes   []write
	events   []Event
	released []func()    // handlings that are finished, see Sender.Hold
	notes    []func()    // see Seat.Note
	reads    []reading   // requests to the room's archive that may be answered
	lookups  []lookup    // requests that are taken up again when the archive has answered
	left     []wire.Addr // sessions that are not, or no more, in the room: one entry per join that was posted
	rejects  []reject
	guessed  bool // the sender asked for a room that it may not know of
}

// delivery is one stanza to one receiver; the stanza's bytes are shared by all receivers of a variant.
type delivery struct {
	to     wire.Addr
	stanza wire.Stanza
}

// write is a change to be committed, under the number by which the room knows it.
type write struct {
	seq    uint64
	change store.Change
}

// reject is a refusal to be counted.
type reject struct {
	event string
	text  string
}

func (fx *effects) send(to wire.Addr, s wire.Stanza) {
	fx.deliver = append(fx.deliver, delivery{to, s})
}

func (fx *effects) emit(e Event) { fx.events = append(fx.events, e) }

// give has the observers told of a stanza for the focus. It is released when they were told, unless one of them holds it.
func (fx *effects) give(from Occupant, in *input) {
	e := FocusStanza{Occupant: from, Packet: in.packet, held: &held{in.release}}
	in.release = nil
	fx.emit(e)
}

func (fx *effects) reject(event, text string) {
	fx.rejects = append(fx.rejects, reject{event, text})
}

// finish notes that the input needs nothing more.
func (fx *effects) finish(in *input) {
	if in.cell != nil {
		in.cell.done(len(in.packet.Raw()))
		in.cell = nil
	}
	if in.release != nil {
		fx.released = append(fx.released, in.release)
		in.release = nil
	}
}

// reset empties the effects and keeps their memory for the next step.
func (fx *effects) reset() {
	clear(fx.deliver)
	clear(fx.writes)
	clear(fx.events)
	clear(fx.released)
	clear(fx.notes)
	clear(fx.reads)
	clear(fx.lookups)
	*fx = effects{
		deliver: fx.deliver[:0], writes: fx.writes[:0], events: fx.events[:0], released: fx.released[:0],
		notes: fx.notes[:0], reads: fx.reads[:0], lookups: fx.lookups[:0], left: fx.left[:0], rejects: fx.rejects[:0],
	}
}

// earliest returns the earlier of two times, where the zero time is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
