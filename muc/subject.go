package muc

import (
	"time"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// subject is what the room is about (XEP-0045 §8.1): the message that set it last.
type subject struct {
	message wire.Stanza // zero if it was never set
	text    string
	at      time.Time
	late    wire.Stanza
}

// stanza returns the subject as a newcomer gets it (XEP-0045 §7.2.15); a room without one says so.
func (s *subject) stanza(room wire.Addr) wire.Stanza {
	if s.late.Tail != nil {
		return s.late
	}
	if s.message.Tail != nil {
		s.late = delayed(s.message, room, s.at)
		return s.late
	}
	dst := wire.AppendAttr(nil, "from", string(room))
	s.late = wire.Stanza{Kind: wire.Message, Tail: append(dst, " type='groupchat'><subject/>"+messageEnd...)}
	return s.late
}

// settledSubject reports a message that changes the subject: a subject, and neither body nor thread (XEP-0045 §8.1).
func (r *room) settledSubject(p *wire.Packet) bool {
	subject := false
	for it := p.Elem().Children(); it.Next(); {
		switch {
		case it.Elem.Is("body", ""), it.Elem.Is("thread", ""):
			return false
		case it.Elem.Is("subject", ""):
			subject = true
		}
	}
	return subject
}

// longestSubject bounds what every newcomer is sent, in bytes of the whole message.
const longestSubject = 16 << 10

// changeSubject sets the subject and tells everybody. In a persistent room it is told when it is committed.
func (r *room) changeSubject(s *session, in *input, fx *effects) (kept bool) {
	o := s.occupant
	if o.role != Moderator && !(r.settings.ChangeSubject && r.speaks(o)) {
		r.refuse(in, fx, errForbidden)
		return false
	}
	if len(in.packet.Raw()) > longestSubject {
		r.refuse(in, fx, errConfig.about("the subject is too long"))
		return false
	}
	if r.postponed(in, fx) {
		return true
	}
	r.reveal(o, fx)
	next := subject{
		message: r.compose(in.packet, o, in.id(), true),
		text:    in.packet.Elem().Child("subject", "").Text(),
		at:      in.now,
	}
	row := r.row(r.settings)
	row.Subject, row.SubjectAt = next.message.Tail, next.at
	said := store.Message{ID: in.id(), At: in.now, Sender: string(o.addr), Author: string(in.from), Subject: true, Tail: next.message.Tail}
	return r.commitAlone(in, fx, store.Change{Put: row, Messages: []store.Message{said}, Keep: r.limits.Keep}, func(why *refusal, _ *input, fx *effects) {
		if why != nil {
			r.refuse(in, fx, *why)
			return
		}
		r.subject = next
		r.notes.subject = true
		for _, s := range r.sessions {
			fx.send(s.addr, next.message)
		}
		fx.emit(SubjectChanged{Room: r.addr, Text: next.text})
	})
}
