package muc

import (
	"context"
	"errors"
	"time"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// moderate takes a message back that somebody has sent to all, as a moderator wants it (XEP-0425 §3), and reports that it keeps the
// input. What the history does not hold any more is looked for in the archive.
func (r *room) moderate(in *input, fx *effects) (kept bool) {
	e := in.packet.Elem().First()
	id := e.AttrString("id")
	s := r.byAddr[in.from]
	switch {
	case s == nil || s.occupant.role != Moderator:
		r.refuse(in, fx, errForbidden)
		return false
	case id == "" || len(id) > longestID || !e.Child("retract", NSRetract).Ok():
		r.refuse(in, fx, errBadRequest)
		return false
	}
	for i := range r.history {
		if r.history[i].id == id {
			return r.retract(s.occupant, r.history[i].record(), in, fx)
		}
	}
	switch found := in.sought; {
	case found == nil && r.archived():
		fx.lookups = append(fx.lookups, lookup{in, id})
		return true
	case found == nil, errors.Is(found.err, store.ErrNotFound):
		r.refuse(in, fx, errNoMessage)
		return false
	case found.err != nil:
		r.refuse(in, fx, errStore)
		return false
	}
	return r.retract(s.occupant, in.sought.message, in, fx)
}

// retract takes a message back. Nobody does so with what somebody of a higher affiliation has said, nor with a change of the subject or
// another such act (§6: what is no message).
func (r *room) retract(by *occupant, m store.Message, in *input, fx *effects) (kept bool) {
	original := asElem(m.Tail)
	switch author := wire.Addr(m.Author).Bare(); {
	case wire.Addr(m.Sender) == r.addr, original.Child("subject", "").Ok() && !original.Child("body", "").Ok():
		r.refuse(in, fx, errNoMessage)
		return false
	case author != "" && r.affiliation(author) > by.affiliation:
		r.refuse(in, fx, errNotAllowed)
		return false
	case len(r.pending) >= r.limits.Pending:
		r.refuse(in, fx, errBusy)
		return false
	}
	r.reveal(by, fx)
	reason := reasonIn(in.packet.Elem().First(), NSModerate)
	said := r.retraction(by, m.ID, in.id(), reason)
	m.Tail = r.tombstone(by, m, original, in.id(), reason, in.now)
	change := store.Change{
		Messages: []store.Message{{ID: in.id(), At: in.now, Sender: string(r.addr), Author: string(in.from), Subject: true, Tail: said.Tail}},
		Replace:  []store.Message{m}, Keep: r.limits.Keep,
	}
	return r.commit(in, fx, change, func(why *refusal, _ *input, fx *effects) {
		if why != nil {
			r.refuse(in, fx, *why)
			return
		}
		r.bury(m)
		r.broadcast(said, fx)
		fx.send(in.from, in.packet.Result(in.to, nil))
	})
}

// bury puts the tombstone in the place of what it stands for in the history.
func (r *room) bury(m store.Message) {
	for i := range r.history {
		said := &r.history[i]
		if said.id != m.ID {
			continue
		}
		r.remembered += len(m.Tail) - len(said.stanza.Tail)
		said.stanza.Tail, said.late = m.Tail, wire.Stanza{}
		if !r.stored {
			r.notes.again() // the journal has what was said
		}
	}
}

// retraction is what everybody is told (§3.1).
func (r *room) retraction(by *occupant, of, id, reason string) wire.Stanza {
	dst := wire.AppendAttr(nil, "from", string(r.addr))
	dst = wire.AppendAttr(dst, "id", id)
	dst = append(dst, " type='groupchat'><retract xmlns='"+NSRetract+"'"...)
	dst = append(wire.AppendAttr(dst, "id", of), '>')
	dst = appendModerated(dst, by, reason)
	dst = append(dst, "</retract>"...)
	dst = r.appendStanzaID(dst, id)
	return wire.Stanza{Kind: wire.Message, Tail: append(dst, messageEnd...)}
}

// tombstone is what the archive has of a message that was taken back (§4, XEP-0424 §4): whose it was, and that it is no more.
func (r *room) tombstone(by *occupant, m store.Message, original wire.Elem, id, reason string, at time.Time) []byte {
	dst := wire.AppendAttr(nil, "from", m.Sender)
	if own := original.AttrString("id"); own != "" {
		dst = wire.AppendAttr(dst, "id", own)
	}
	dst = append(dst, " type='groupchat'><retracted xmlns='"+NSRetract+"'"...)
	dst = wire.AppendAttr(dst, "id", id)
	dst = append(wire.AppendAttr(dst, "stamp", at.UTC().Format("2006-01-02T15:04:05.000Z")), '>')
	dst = appendModerated(dst, by, reason)
	dst = append(dst, "</retracted>"...)
	if occupant := original.Child("occupant-id", NSOccupantID); occupant.Ok() {
		dst = appendOccupantID(dst, occupant.AttrString("id"))
	}
	return append(r.appendStanzaID(dst, m.ID), messageEnd...)
}

// appendModerated says who took something back, and why.
func appendModerated(dst []byte, by *occupant, reason string) []byte {
	dst = append(dst, "<moderated xmlns='"+NSModerate+"'"...)
	dst = append(wire.AppendAttr(dst, "by", string(by.addr)), '>')
	dst = append(appendOccupantID(dst, by.id), "</moderated>"...)
	if reason != "" {
		dst = wire.AppendElem(dst, "reason", reason)
	}
	return dst
}

// asElem is a message as a room keeps it.
func asElem(tail []byte) wire.Elem {
	return wire.ParseElem(append(wire.AppendStart(make([]byte, 0, len(tail)+16), wire.Message, "", ""), tail...))
}

// lookup is a moderator's request about a message that may be in the archive.
type lookup struct {
	in *input
	id string
}

// sought is what the archive has said of it.
type sought struct {
	message store.Message
	err     error // store.ErrNotFound, or why it cannot say
}

// look asks the archive and gives the request to the room again.
func (s *Service) look(b *wire.Batch, room wire.Addr, l lookup) {
	l.in.cell.done(len(l.in.packet.Raw()))
	l.in.cell = nil
	if s.reading.Add(1) > mostReading {
		s.reading.Add(-1)
		s.abandon(b, room, l.in)
		return
	}
	s.running.add()
	go func() {
		defer s.running.done()
		defer s.reading.Add(-1)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		found, err := s.archive.Find(ctx, room, l.id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			s.rec.Hurt("archive.store", string(room), "room", string(room), "err", err.Error())
		}
		l.in.sought = &sought{store.Message{ID: found.ID, At: found.At, Sender: found.Peer, Author: found.Author, Tail: found.Tail}, err}
		if s.post(room, l.in) != posted {
			var b wire.Batch
			s.abandon(&b, room, l.in)
			b.Flush()
		}
	}()
}

// abandon refuses a request that its room cannot be given again.
func (s *Service) abandon(b *wire.Batch, room wire.Addr, in *input) {
	s.rec.Reject(errBusy.event, in.who(), "jid", string(in.from), "room", string(room), "text", errBusy.Text)
	busy := errBusy.Error
	busy.By = room
	s.out.Deliver(b, in.from, busy.ErrorTo(in.packet, room))
	in.release()
	in.release = nil
}
