package muc

import (
	"encoding/binary"
	"encoding/json"

	"parley/internal/journal"
	"parley/xmpp/wire"
)

// Journal takes what the rooms must find again when the process was killed: the share of a *journal.Part, and the groups of
// the *journal.Journal.
type Journal interface {
	// Append adds a record, which is copied.
	Append(record []byte)
	// AppendShared adds a record of two pieces. The bytes of the tail, which may stand in other records too, never change.
	AppendShared(head, tail []byte)
	// Begin and End enclose what is found together or not at all.
	Begin()
	End()
}

// Journal has every room that is in use written to a journal: what changes with a step of the room, what it says, and that
// the packet that caused it was handled (Sender.Hold), in one group. It is called once, before the journal is started;
// the Service is the journal's source. Lives tells, when all was replayed, whether a session has survived.
//
// What waits at a room's door, for the store, or for another change is not written: it is not acknowledged, so its sender
// sends it again.
func (s *Service) Journal(j Journal, lives func(session wire.Addr) bool) {
	s.journal, s.lives = j, lives
}

// The records: a room's address, one of these, and the fields that go with it (journal.Fields), then the next of these. Each
// replaces what was said before of the same thing.
const (
	recGone     = 'g' // the room is no more, or not in use
	recRoom     = 'r' // head; what follows takes the place of the room, when all of it is there
	recWhole    = '.' // it is
	recHead     = 'h' // head
	recStanding = 'a' // address; affiliation, nick, reason; none takes it away
	recLent     = 'l' // address; flag
	recInfo     = 'i' // how many; names and values
	recSubject  = 't' // time, text; the message
	recOccupant = 'o' // number; see appendOccupant
	recSession  = 's' // number; see appendSession
	recLeft     = 'e' // number of a session
	recSaid     = 'm' // id, time, sender, flag; the message
	recUttered  = 'u' // id of the last message of a stored room that was delivered
	recOwed     = 'd' // until when; how many; ids of messages, see room.owed
	recJitsi    = 'j' // address; time, none takes it away
	recInvited  = 'v' // address; time, none takes it away
	recAsked    = 'q' // question; request
	recAnswered = 'w' // question
)

// notes are what has changed in a room and is not in the journal.
type notes struct {
	on    bool   // there is a journal
	known bool   // the journal has the room
	last  uint64 // number of an occupant or session

	head, info, subject bool
	owed                bool
	occupants           []*occupant
	sessions            []*session
	left                []uint64
	standings           []wire.Addr
	lent                []wire.Addr
	jitsi               []wire.Addr
	invited             []wire.Addr
	said                int // entries at the end of the history
}

// number returns a new number for an occupant or a session.
func (n *notes) number() uint64 {
	n.last++
	return n.last
}

func (n *notes) occupant(o *occupant) {
	if n.known && !o.noted {
		o.noted = true
		n.occupants = append(n.occupants, o)
	}
}

func (n *notes) session(s *session) {
	if n.known && !s.noted {
		s.noted = true
		n.sessions = append(n.sessions, s)
	}
}

// address notes one in the list of its kind.
func (n *notes) address(list *[]wire.Addr, a wire.Addr) {
	if n.known {
		*list = append(*list, a)
	}
}

// again has all of the room written at the next occasion.
func (n *notes) again() { n.known = false }

// clear forgets what was noted and keeps the memory.
func (n *notes) clear(a *asked) {
	if !n.head && !n.info && !n.subject && !n.owed && n.said == 0 && len(n.occupants)+len(n.sessions)+len(n.left)+len(n.standings)+
		len(n.lent)+len(n.jitsi)+len(n.invited)+len(a.news) == 0 {
		return
	}
	for i, o := range n.occupants {
		o.noted, n.occupants[i] = false, nil
	}
	for i, s := range n.sessions {
		s.noted, n.sessions[i] = false, nil
	}
	clear(a.news)
	a.news = a.news[:0]
	*n = notes{
		on: n.on, known: n.known, last: n.last, occupants: n.occupants[:0], sessions: n.sessions[:0], left: n.left[:0],
		standings: n.standings[:0], lent: n.lent[:0], jitsi: n.jitsi[:0], invited: n.invited[:0],
	}
}

// record writes what has changed since it was called last. A room is written while somebody is in it.
func (r *room) record(w *writer) {
	n := &r.notes
	if !n.on {
		return
	}
	w.room(r.addr)
	defer w.end()
	switch use := r.phase != gone && r.phase != absent && len(r.byAddr) > 0; {
	case use && !n.known:
		r.recordAll(w)
		n.known = true
	case use:
		r.recordNews(w)
	case n.known:
		w.put(w.begin(recGone))
		n.known = false
	}
	n.clear(&r.asked)
	r.asked.noted = n.known
}

// recordAll writes the room as it is.
func (r *room) recordAll(w *writer) {
	w.put(r.appendHead(w.begin(recRoom)))
	for bare := range r.standings {
		r.recordStanding(w, bare)
	}
	for bare := range r.lent {
		r.recordLent(w, bare)
	}
	r.recordInfo(w)
	r.recordSubject(w)
	for _, o := range r.occupants {
		w.put(r.appendOccupant(w.begin(recOccupant), o))
		if r.isFocus(o) {
			w.put(appendSession(w.begin(recSession), o.sessions[0]))
		}
	}
	for _, s := range r.sessions {
		w.put(appendSession(w.begin(recSession), s))
	}
	if len(r.owed) > 0 {
		r.recordOwed(w)
	}
	for a := range r.jitsi {
		r.recordJitsi(w, a)
	}
	for a := range r.invited {
		r.recordInvited(w, a)
	}
	for _, list := range r.asked.of { // the oldest first, as they are forgotten
		for _, q := range list {
			r.recordAsked(w, q)
		}
	}
	r.recordSaid(w, len(r.history))
	w.put(w.begin(recWhole))
}

// recordNews writes what was noted.
func (r *room) recordNews(w *writer) {
	n := &r.notes
	if n.head {
		w.put(r.appendHead(w.begin(recHead)))
	}
	for _, bare := range n.standings {
		r.recordStanding(w, bare)
	}
	for _, bare := range n.lent {
		r.recordLent(w, bare)
	}
	if n.info {
		r.recordInfo(w)
	}
	if n.subject {
		r.recordSubject(w)
	}
	for _, number := range n.left { // before who came in their place
		w.put(binary.AppendUvarint(w.begin(recLeft), number))
	}
	for _, o := range n.occupants {
		if len(o.sessions) > 0 {
			w.put(r.appendOccupant(w.begin(recOccupant), o))
		}
	}
	for _, s := range n.sessions {
		if r.byAddr[s.addr] == s {
			w.put(appendSession(w.begin(recSession), s))
		}
	}
	if n.owed {
		r.recordOwed(w)
	}
	for _, a := range n.jitsi {
		r.recordJitsi(w, a)
	}
	for _, a := range n.invited {
		r.recordInvited(w, a)
	}
	for _, q := range r.asked.news {
		r.recordAsked(w, q)
	}
	r.recordSaid(w, n.said)
}

func (r *room) appendHead(dst []byte) []byte {
	dst = journal.AppendFlags(dst, r.phase == locked, r.conference, r.stored)
	dst = append(dst, byte(r.ownership))
	dst = journal.AppendText(dst, r.secret)
	dst = journal.AppendTime(dst, r.created)
	dst = journal.AppendText(dst, r.creator)
	dst = journal.AppendText(dst, r.maker)
	dst = journal.AppendTime(dst, r.unlockAt)
	config, err := json.Marshal(r.settings)
	if err != nil {
		panic(err) // of strings, numbers and flags
	}
	return journal.AppendText(dst, config)
}

func (r *room) recordStanding(w *writer, bare wire.Addr) {
	s, ok := r.standings[bare]
	if !ok {
		s.affiliation = None
	}
	dst := append(journal.AppendText(w.begin(recStanding), bare), byte(s.affiliation))
	w.put(journal.AppendText(journal.AppendText(dst, s.nick), s.reason))
}

func (r *room) recordLent(w *writer, bare wire.Addr) {
	w.put(journal.AppendFlags(journal.AppendText(w.begin(recLent), bare), r.lent[bare]))
}

func (r *room) recordInfo(w *writer) {
	dst := binary.AppendUvarint(w.begin(recInfo), uint64(len(r.info)))
	for _, f := range r.info {
		dst = journal.AppendText(journal.AppendText(dst, f.Name), f.Value)
	}
	w.put(dst)
}

// recordSubject writes the subject of a room that has one.
func (r *room) recordSubject(w *writer) {
	if s := &r.subject; s.message.Tail != nil {
		w.put(journal.AppendText(journal.AppendText(journal.AppendTime(w.begin(recSubject), s.at), s.text), s.message.Tail))
	}
}

func (r *room) appendOccupant(dst []byte, o *occupant) []byte {
	focus := r.isFocus(o)
	dst = binary.AppendUvarint(dst, o.number)
	dst = journal.AppendFlags(dst, focus, focus && r.focus.met, o.guest, o.dirty, o.listed, o.remote)
	dst = append(dst, byte(o.affiliation), byte(o.role))
	dst = binary.AppendUvarint(dst, o.changed)
	dst = journal.AppendTime(dst, o.joined)
	dst = journal.AppendText(dst, o.nick)
	return journal.AppendText(dst, o.bare)
}

func appendSession(dst []byte, s *session) []byte {
	dst = binary.AppendUvarint(dst, s.number)
	dst = binary.AppendUvarint(dst, s.occupant.number)
	dst = journal.AppendFlags(dst, s.occupant.shown == s, s.jitsi, s.bot)
	dst = binary.AppendUvarint(dst, s.since)
	dst = journal.AppendText(dst, s.addr)
	dst = journal.AppendText(dst, s.attrs)
	return journal.AppendText(dst, s.children)
}

// recordSaid writes the last entries of the history. Of a stored room the store has them, and the journal says how far
// they were delivered.
func (r *room) recordSaid(w *writer, entries int) {
	if entries == 0 || len(r.history) == 0 {
		if r.stored && !r.notes.known {
			w.put(journal.AppendText(w.begin(recUttered), ""))
		}
		return
	}
	if r.stored {
		w.put(journal.AppendText(w.begin(recUttered), r.history[len(r.history)-1].id))
		return
	}
	for i := max(0, len(r.history)-entries); i < len(r.history); i++ {
		said := &r.history[i]
		dst := journal.AppendTime(journal.AppendText(w.begin(recSaid), said.id), said.at)
		w.share(journal.AppendText(dst, said.from), said.stanza.Tail)
	}
}

func (r *room) recordOwed(w *writer) {
	dst := binary.AppendUvarint(journal.AppendTime(w.begin(recOwed), r.owedTill), uint64(len(r.owed)))
	for i := range r.owed {
		dst = journal.AppendText(dst, r.owed[i].id)
	}
	w.put(dst)
}

func (r *room) recordJitsi(w *writer, a wire.Addr) {
	w.put(journal.AppendTime(journal.AppendText(w.begin(recJitsi), a), r.jitsi[a]))
}

func (r *room) recordInvited(w *writer, a wire.Addr) {
	w.put(journal.AppendTime(journal.AppendText(w.begin(recInvited), a), r.invited[a]))
}

func (r *room) recordAsked(w *writer, q question) {
	kind := byte(recAnswered)
	req, open := r.asked.open[q]
	if open {
		kind = recAsked
	}
	dst := journal.AppendText(journal.AppendText(journal.AppendText(w.begin(kind), q.by), q.to), q.id)
	if open {
		dst = journal.AppendText(journal.AppendText(dst, req.asker), req.asked)
	}
	w.put(dst)
}

// writer makes the record of one step, so that the journal has all of it or nothing.
type writer struct {
	journal Journal
	buf     []byte
	empty   int    // bytes of the address at its beginning
	tail    []byte // of the text that ends the record and is not in buf
}

// longestRecord is where a record is cut in two: only that of a large room that is written as it is becomes so long.
const longestRecord = 1 << 20

// room begins a record.
func (w *writer) room(addr wire.Addr) {
	w.buf = journal.AppendText(w.buf[:0], addr)
	w.empty = len(w.buf)
}

// begin returns the buffer, in which something new begins.
func (w *writer) begin(kind byte) []byte {
	if len(w.buf)+len(w.tail) > longestRecord {
		w.end()
	}
	w.buf = append(w.buf, w.tail...)
	w.tail = nil
	return append(w.buf, kind)
}

// put gives the buffer back.
func (w *writer) put(buf []byte) { w.buf = buf }

// share gives the buffer back, with a text that may stand elsewhere too.
func (w *writer) share(buf, text []byte) {
	w.buf, w.tail = binary.AppendUvarint(buf, uint64(len(text))), text
}

// end gives the record to the journal, and begins a new one about the same room.
func (w *writer) end() {
	switch {
	case len(w.tail) > 0:
		w.journal.AppendShared(w.buf, w.tail)
	case len(w.buf) > w.empty:
		w.journal.Append(w.buf)
	}
	w.buf, w.tail = w.buf[:w.empty], nil
}
