package im

import (
	"bytes"
	"encoding/binary"
	"errors"

	"parley/internal/journal"
	"parley/xmpp/wire"
)

// The presence of sessions is kept in the journal: a session that outlives the process is as present as before, and whoever
// saw one that does not hears of its end. A record begins with one of these letters and the session's address behind its
// length; so is every other address.
const (
	sayState       = 's' // number of directed addresses, each of them, priority, tail: replaces what was said before
	sayAvailable   = 'p' // priority, tail
	sayUnavailable = 'u' // to all
	sayDirected    = 'd' // whom
	sayWithdrawn   = 'w' // whom
	sayGone        = 'g'
	sayWishes      = 'i' // wishes, see noteWishes
)

const journalPart = "im/1"

// Journal keeps presence in j. Call it before j.Start, after whoever brings sessions to life has done so.
func (h *Host) Journal(j *journal.Journal) { h.journal, h.part = j, j.Part(journalPart, h) }

// note appends a record; other may be "". Called with mu held.
func (h *Host) note(what byte, a, other wire.Addr) {
	if h.part == nil {
		return
	}
	record := journal.AppendText(append(make([]byte, 0, 128), what), a)
	if other != "" {
		record = journal.AppendText(record, other)
	}
	h.part.Append(record)
}

// noteAvailable appends the presence that a session has now. Called with mu held.
func (h *Host) noteAvailable(r *resource) {
	if h.part == nil {
		return
	}
	head := journal.AppendText(append(make([]byte, 0, 128), sayAvailable), r.Addr())
	h.part.AppendShared(append(head, byte(r.priority)), r.presence)
}

// What a session wants to be told of.
const (
	wishRoster byte = 1 << iota
	wishBlocklist
	wishCarbons
)

func (r *resource) wishes() (w byte) {
	if r.interested {
		w |= wishRoster
	}
	if r.blocklist {
		w |= wishBlocklist
	}
	if r.carbons {
		w |= wishCarbons
	}
	return w
}

func (r *resource) wish(w byte) {
	r.interested, r.blocklist, r.carbons = w&wishRoster != 0, w&wishBlocklist != 0, w&wishCarbons != 0
}

// noteWishes appends what a session wants to be told of. Called with mu held.
func (h *Host) noteWishes(r *resource) {
	if h.part != nil {
		h.part.Append(append(journal.AppendText(append(make([]byte, 0, 128), sayWishes), r.Addr()), r.wishes()))
	}
}

// Snapshot implements journal.Source.
func (h *Host) Snapshot(put func(record []byte)) {
	h.mu.Lock()
	var all []*resource
	for _, a := range h.users {
		all = append(all, a.sessions...)
	}
	h.mu.Unlock()
	var record []byte
	for _, r := range all {
		h.mu.Lock()
		if h.find(r.Addr()) == r && (r.presence != nil || len(r.directed) > 0) {
			record = journal.AppendText(append(record[:0], sayState), r.Addr())
			record = binary.AppendUvarint(record, uint64(len(r.directed)))
			for to := range r.directed {
				record = journal.AppendText(record, to)
			}
			put(append(append(record, byte(r.priority)), r.presence...))
		}
		if w := r.wishes(); w != 0 && h.find(r.Addr()) == r {
			put(append(journal.AppendText(append(record[:0], sayWishes), r.Addr()), w))
		}
		h.mu.Unlock()
	}
}

var errRecord = errors.New("im: the journal holds what was not written here")

func readAddr(f *journal.Fields) wire.Addr { return wire.Addr(f.Text()) }

// readPresence reads what is left: the priority and the tail.
func (r *resource) readPresence(f *journal.Fields) {
	r.priority, r.presence = int8(f.Byte()), nil
	if tail := f.Rest(); len(tail) > 0 {
		r.presence = bytes.Clone(tail)
	}
}

// Replay implements journal.Source. A session that nothing was said of is one that had sent no presence.
func (h *Host) Replay(record []byte) error {
	f := &journal.Fields{Left: record}
	what, a := f.Byte(), readAddr(f)
	if h.restored == nil {
		h.restored = make(map[wire.Addr]*resource)
	}
	r := h.restored[a]
	if r == nil || what == sayState {
		r = &resource{directed: make(map[wire.Addr]struct{})}
		h.restored[a] = r // what it wishes follows
	}
	switch what {
	case sayState:
		for n := f.Number(); n > 0 && !f.Bad; n-- {
			r.directed[readAddr(f)] = struct{}{}
		}
		r.readPresence(f)
	case sayAvailable:
		r.readPresence(f)
	case sayUnavailable:
		r.presence = nil
		clear(r.directed)
	case sayDirected:
		r.directed[readAddr(f)] = struct{}{}
	case sayWithdrawn:
		delete(r.directed, readAddr(f))
	case sayWishes:
		r.wish(f.Byte())
	case sayGone:
		delete(h.restored, a)
	default:
		f.Fault()
	}
	if !f.Whole() {
		return errRecord
	}
	return nil
}

// Reset implements journal.Source.
func (h *Host) Reset() { h.restored = nil }

// Replayed implements journal.Finisher: sessions that live again have the presence that they had. The others are gone, of
// which the users hear who saw them; services find out by themselves.
func (h *Host) Replayed() {
	h.expectAll()
	restored := h.restored
	h.restored = nil
	h.mu.Lock()
	for a, was := range restored {
		if r := h.find(a); r != nil {
			r.presence, r.priority, r.directed = was.presence, was.priority, was.directed
			r.wish(was.wishes())
			h.heed(h.users[a.Bare()])
			delete(restored, a)
		}
	}
	h.mu.Unlock()
	for a, was := range restored {
		st := unavailable.Stanza(a)
		h.mu.Lock()
		saw := make(map[*resource]bool)
		for to := range was.directed {
			if there := h.users[to.Bare()]; there != nil {
				for _, other := range there.sessions {
					if other.Addr() == to || to.IsBare() && other.presence != nil {
						saw[other] = true
					}
				}
			}
		}
		if was.presence != nil {
			for _, other := range h.available(a.Bare(), -128) {
				delete(saw, other) // it hears with the others
			}
		}
		h.mu.Unlock()
		for other := range saw {
			other.Deliver(nil, "", st)
		}
		if was.presence != nil {
			var b wire.Batch
			e := &errand{s: &voice{h: h, addr: a}, to: a.Bare(), p: unavailable, own: true, must: true}
			h.spread(&b, nil, e, news{from: a, stanza: st, ended: true})
			b.Flush()
		}
	}
}
