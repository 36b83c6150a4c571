package c2s

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"net/netip"
	"time"
	"unsafe"

	"parley/internal/journal"
	"parley/internal/token"
	"parley/xmpp/wire"
)

// A session that its client may come back to (XEP-0198 §5) is kept in the journal, so that the client may also come back
// after the process was killed. What the client was sent, and what it was told that is done, is in the journal before it is
// on the wire; and what a stanza of the client does is written together with the client's count.
//
// A record begins with one of these letters. Numbers are uvarints; ref names the session.
const (
	sayBody     = 'b' // number, flags, tail: an entry of a queue, for the sessions of the same snapshot
	saySession  = 's' // ref, see appendSession: replaces what was said before
	sayPush     = 'p' // ref, flags | tail: behind the queue
	sayCounts   = 'a' // ref, the client's h, off the front of the queue; our h
	sayCoalesce = 'c' // ref, written: queue.coalesce, when so many were written
	sayDone     = 'd' // ref, number, mark: a stanza behind our h is handled
	sayAttends  = 't' // ref
	sayLeave    = 'l' // ref: it ends, and what follows from that comes now
	sayEnd      = 'e' // ref
)

// journalPart is the name of the records above.
const journalPart = "c2s/3"

// Journal keeps sessions in j. Call it before j.Start, in which the sessions of the last process come to life, away.
func (srv *Server) Journal(j *journal.Journal) {
	srv.journal = j
	srv.part = j.Part(journalPart, srv)
}

// flagSelf is added to the kind of an entry.
const flagSelf = 0x80

func (e *entry) flags() byte {
	if e.self {
		return byte(e.kind) | flagSelf
	}
	return byte(e.kind)
}

// keepLocked begins to journal a session. Called with mu held.
func (s *Session) keepLocked() {
	if s.srv.part == nil {
		return
	}
	s.ref = s.srv.refs.Add(1)
	s.srv.part.Append(s.appendSession(nil, nil))
	s.noted = s.srv.journal.Position()
}

// note appends a record of numbers. Called with mu held.
func (s *Session) note(what byte, numbers ...uint64) {
	if s.ref == 0 {
		return
	}
	var room [4 * binary.MaxVarintLen64]byte
	b := binary.AppendUvarint(append(room[:0], what), s.ref)
	for _, n := range numbers {
		b = binary.AppendUvarint(b, n)
	}
	s.srv.part.Append(b)
	s.noted = s.srv.journal.Position()
}

// noteCounts has the counts journaled when what was appended is written, together with what this stanza does. Called with
// mu held.
func (s *Session) noteCounts() {
	if s.ref != 0 && !s.late {
		s.late = s.srv.part.AppendLate(s)
		s.noted = s.srv.journal.Position()
	}
}

// Late implements journal.Latecomer.
func (s *Session) Late() {
	s.mu.Lock()
	s.appendCounts()
	s.mu.Unlock()
}

// appendCounts appends the counts if they have changed. Called with mu held.
func (s *Session) appendCounts() {
	if s.late {
		s.late = false
		s.note(sayCounts, uint64(s.sm.acked), uint64(s.handled.h()))
	}
}

// notePush appends what was queued. Called with mu held.
func (s *Session) notePush(e *entry) {
	if s.ref == 0 {
		return
	}
	var room [16]byte
	b := binary.AppendUvarint(append(room[:0], sayPush), s.ref)
	s.srv.part.AppendShared(append(b, e.flags()), e.tail)
	s.noted = s.srv.journal.Position()
}

// identity is what a session is, apart from its counts and its queue.
type identity struct {
	Addr         wire.Addr
	Guest        bool          `json:",omitempty"`
	Claims       *token.Claims `json:",omitempty"`
	Source       netip.Addr
	Room, Tenant string        `json:",omitempty"`
	ID           string        // of XEP-0198
	Keep         time.Duration // ns
	Attends      bool          `json:",omitempty"`
	Device       string        `json:",omitempty"`
}

// appendSession appends all of a session: the identity as JSON behind its length, the client's h, our h, the stanzas behind
// it that are handled, and the entries of the queue by what number returns for them. Called with mu held.
func (s *Session) appendSession(dst []byte, number func(*entry) uint64) []byte {
	who, err := json.Marshal(identity{
		s.addr, s.guest, s.claims, s.source, s.room, s.prefix, s.sm.id, s.sm.keep, s.attends.Load(), s.device,
	})
	if err != nil { // a date beyond the year 9999: such a token is not worth a session
		who = nil
	}
	dst = binary.AppendUvarint(append(dst, saySession), s.ref)
	dst = journal.AppendText(dst, who)
	dst = binary.AppendUvarint(dst, uint64(s.sm.acked))
	dst = binary.AppendUvarint(dst, uint64(s.handled.h()))
	dst = binary.AppendUvarint(dst, uint64(len(s.handled.done)))
	for _, d := range s.handled.done {
		dst = binary.AppendUvarint(dst, uint64(d.number))
		dst = binary.AppendUvarint(dst, uint64(d.mark))
	}
	dst = binary.AppendUvarint(dst, uint64(s.queue.Len()))
	for i := range s.queue.Len() {
		dst = binary.AppendUvarint(dst, number(s.queue.At(i)))
	}
	return dst
}

// Snapshot implements journal.Source.
func (srv *Server) Snapshot(put func(record []byte)) {
	var record []byte
	type body struct {
		start *byte
		flags byte
	}
	numbers := make(map[body]uint64) // what is in many queues is written once
	number := func(e *entry) uint64 {
		which := body{unsafe.SliceData(e.tail), e.flags()}
		n, ok := numbers[which]
		if !ok {
			n = uint64(len(numbers))
			numbers[which] = n
		}
		return n
	}
	for i, s := range srv.all() {
		s.mu.Lock()
		if s.ref != 0 && !s.ended {
			for i := range s.queue.Len() {
				e := s.queue.At(i)
				fresh := uint64(len(numbers))
				if number(e) == fresh {
					record = binary.AppendUvarint(append(record[:0], sayBody), fresh)
					put(append(append(record, e.flags()), e.tail...))
				}
			}
			record = s.appendSession(record[:0], number)
			put(record)
		}
		s.mu.Unlock()
		if i%64 == 63 {
			srv.journal.Flush()
		}
	}
}

// markOf tells a stanza from another one when it is sent again: by its id where it has one, for what else it says may be
// written differently then.
func markOf(p *wire.Packet) uint32 {
	if !p.HasID() {
		return crc32.Checksum(p.Raw(), castagnoli)
	}
	sum := crc32.Update(uint32(p.Kind), castagnoli, p.ID())
	return crc32.Update(sum, castagnoli, p.To())
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
