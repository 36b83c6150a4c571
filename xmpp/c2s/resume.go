package c2s

import (
	"crypto/rand"
	"slices"
	"strconv"
	"time"

	"parley/xmpp/wire"
)

// Namespaces of the extensions that this package speaks itself.
const (
	NSResumption = "urn:xmpp:sm:3"            // XEP-0198
	NSClientInfo = "urn:xmpp:csi:0"           // XEP-0352
	NSLimits     = "urn:xmpp:stream-limits:0" // XEP-0478
	NSBindings   = "urn:xmpp:sasl-cb:0"       // XEP-0440
)

const elementR = "<r xmlns='" + NSResumption + "'/>"

// askEvery is how many stanzas are written between two requests for an acknowledgement.
const askEvery = 10

// resumption is the server's half of XEP-0198: what the client has not acknowledged is at the front of the session's
// queue. It is guarded by the session's mu.
type resumption struct {
	id    string        // secret that names the session
	keep  time.Duration // how long the session waits for its client, 0: it may not come back
	acked uint32        // the client's last h
	since int           // stanzas written since the last request
}

// ask reports that an acknowledgement is to be asked for now that n more stanzas are written.
func (r *resumption) ask(n int, q *queue) bool {
	if r.since += n; r.since < askEvery {
		return false
	}
	r.since = 0
	return true
}

// handled counts the client's stanzas (XEP-0198 §4). A stanza whose handling waits for a commit is counted, and holds
// back what is acknowledged, until it is released. It is guarded by the session's mu.
type handled struct {
	count  uint32
	held   []stanzaMark // stanzas that wait for a commit, ascending
	done   []stanzaMark // what is handled though an earlier one is held, of a session that is journaled; see repeated
	told   uint32       // the last h that was sent
	wanted bool         // the client asked and was told less than count
	idle   chan struct{}
}

// stanzaMark names a stanza of the client; see markOf.
type stanzaMark struct{ number, mark uint32 }

func (h *handled) h() uint32 {
	if len(h.held) > 0 {
		return h.held[0].number - 1
	}
	return h.count
}

// holds reports that a stanza waits for a commit.
func (h *handled) holds(number uint32) bool {
	for _, n := range h.held {
		if n.number == number {
			return true
		}
	}
	return false
}

// forget drops from done what the count includes.
func (h *handled) forget(count uint32) {
	n := 0
	for _, d := range h.done {
		if int32(d.number-count) > 0 { // modulo 2^32
			h.done[n] = d
			n++
		}
	}
	if h.done = h.done[:n]; n == 0 {
		h.done = nil
	}
}

// noteHandled journals that a stanza is counted and nothing holds it any more: our h or, while an earlier one is held, the
// stanza itself. Called with mu held.
func (s *Session) noteHandled(d stanzaMark) {
	h := &s.handled
	count := h.h()
	if int32(d.number-count) > 0 {
		s.noteDone(d)
		return
	}
	h.forget(count)
	s.noteCounts()
}

// noteDone journals that a stanza behind our h is handled, unless that was said. Called with mu held.
func (s *Session) noteDone(d stanzaMark) {
	h := &s.handled
	if !slices.Contains(h.done, d) {
		h.done = append(h.done, d)
		s.note(sayDone, uint64(d.number), uint64(d.mark))
	}
}

// repeated reports that the stanza was handled by a process that was killed before an earlier one was. The client sends
// both again, since a count says nothing of single stanzas. Called with recv held.
func (s *Session) repeated(p *wire.Packet) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	number := s.handled.count + 1
	s.repeats = false
	found := false
	for _, d := range s.handled.done {
		if d.number == number {
			found = d.mark == markOf(p)
		} else if int32(d.number-number) > 0 {
			s.repeats = true
		}
	}
	return found
}

func nothing() {}

// Hold delays the acknowledgement of the stanza that is being handled until release is called, from any goroutine. It
// may only be called while the session's stanza is being routed.
func (s *Session) Hold() (release func()) {
	_, release = s.HoldTwice()
	return release
}

// HoldTwice is Hold for a stanza whose effects come before what its acknowledgement waits for: settle says that it has had
// them. A client that sends it again to the next process, since it was not acknowledged, does not cause them again. Settle is
// called before release, among what the journal keeps together with the effects.
func (s *Session) HoldTwice() (settle, release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sm == nil {
		return nothing, nothing
	}
	h := &s.handled
	d := stanzaMark{number: h.count + 1} // it is counted when it has been routed
	if s.ref != 0 {
		d.mark = markOf(s.packet)
	}
	h.held = append(h.held, d)
	return func() { s.settle(d) }, func() { s.release(d) }
}

func (s *Session) settle(d stanzaMark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ref != 0 {
		s.noteDone(d)
	}
}

func (s *Session) release(d stanzaMark) {
	s.mu.Lock()
	h := &s.handled
	for i, n := range h.held {
		if n.number == d.number {
			h.held = append(h.held[:i], h.held[i+1:]...)
			break
		}
	}
	if len(h.held) == 0 {
		h.held = nil
		if h.idle != nil {
			close(h.idle)
			h.idle = nil
		}
	}
	if s.ref != 0 && !h.holds(d.number) && int32(d.number-h.count) <= 0 { // if it is not counted yet, see stanza
		s.noteHandled(d)
	}
	wake := false
	if h.wanted && h.h() != h.told {
		wake = s.acknowledgeLocked()
	}
	s.mu.Unlock()
	if wake {
		s.schedule(nil)
	}
}

// acknowledgeLocked queues <a/>. Called with mu held.
func (s *Session) acknowledgeLocked() (wake bool) {
	h := &s.handled
	h.told = h.h()
	h.wanted = h.told != h.count
	s.control = s.appendControlLocked(s.control, "<a xmlns='"+NSResumption+"' h='"+strconv.FormatUint(uint64(h.told), 10)+"'/>")
	return s.wakeLocked(false)
}

// manage handles the elements of XEP-0198 that come in while the session is bound.
func (s *Session) manage(b *wire.Batch, p *wire.Packet) error {
	switch string(p.Name()) {
	case "enable":
		s.enable(b, p)
		return nil
	case "r":
		s.mu.Lock()
		on := s.sm != nil
		wake := on && s.acknowledgeLocked()
		s.mu.Unlock()
		if wake {
			s.schedule(b)
		}
		if !on {
			return errUnexpected
		}
		return nil
	case "a":
		h, err := parseCount(p)
		if err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.sm == nil {
			return errUnexpected
		}
		return s.ackLocked(h)
	case "resume":
		s.sendControl(b, failedElement("unexpected-request", nil))
		return nil
	}
	return errUnexpected
}

func parseCount(p *wire.Packet) (uint32, error) { return countOf(p.Elem()) }

func countOf(e wire.Elem) (uint32, error) {
	v, ok := e.Attr("h")
	n, err := strconv.ParseUint(string(v), 10, 32)
	if !ok || err != nil {
		return 0, errBadCount
	}
	return uint32(n), nil
}

// ackLocked takes the client's count of what it has received. Called with mu held.
func (s *Session) ackLocked(h uint32) error {
	n := h - s.sm.acked // modulo 2^32, XEP-0198 §4
	if int64(n) > int64(s.queue.sent) {
		return &tooHigh{h: h, sent: s.sm.acked + uint32(s.queue.sent)}
	}
	if n > 0 {
		s.queue.pop(int(n))
		s.sm.acked = h
		s.noteCounts()
	}
	s.behind = s.behind && s.overLocked()
	return nil
}

// overLocked reports that more waits than may wait for a client that is there. Called with mu held.
func (s *Session) overLocked() bool {
	return s.queue.Len() > s.srv.cfg.QueueStanzas || s.queue.bytes > s.srv.cfg.QueueBytes
}

// countLocked begins to count what is sent (XEP-0198 §3) and returns what the client is told. Called with mu held, or while
// nobody else has the session.
func (s *Session) countLocked(e wire.Elem) (reply string) {
	resume, _ := e.Attr("resume")
	sm := &resumption{id: rand.Text()}
	s.handled = handled{}
	reply = "<enabled xmlns='" + NSResumption + "'"
	if isTrue(string(resume)) {
		sm.keep = s.srv.cfg.KeepGuest
		if !s.guest {
			sm.keep = s.srv.cfg.KeepAccount
		}
		if v, ok := e.Attr("max"); ok {
			if n, err := strconv.ParseUint(string(v), 10, 31); err == nil {
				sm.keep = min(sm.keep, time.Duration(n)*time.Second)
			}
		}
		reply += " id='" + sm.id + "' resume='true' max='" + strconv.Itoa(int(sm.keep/time.Second)) + "'"
	}
	s.sm = sm
	return reply + "/>"
}

// enable turns XEP-0198 on (§3).
func (s *Session) enable(b *wire.Batch, p *wire.Packet) {
	s.mu.Lock()
	if s.sm != nil {
		s.mu.Unlock()
		s.sendControl(b, failedElement("unexpected-request", nil))
		return
	}
	// What is queued was queued for a client that does not count; write it before the counting begins.
	l := s.link
	for l != nil && s.queue.Len() > 0 {
		e := s.queue.At(0)
		var own wire.Addr
		if e.self {
			own = s.addr
		}
		s.control = l.appendStanza(s.control, e.kind, own, e.tail)
		s.queue.pop(1)
	}
	reply := s.countLocked(p.Elem())
	sm := s.sm
	if sm.keep > 0 && !s.ended {
		s.keepLocked()
	}
	s.control = s.appendControlLocked(s.control, reply)
	wake := s.wakeLocked(false)
	s.mu.Unlock()
	if sm.keep > 0 {
		s.srv.remember(sm.id, s)
	}
	if wake {
		s.schedule(b)
	}
}

// failedElement is the answer to a request of XEP-0198 that cannot be met; h is the count if it is known.
func failedElement(condition string, h *uint32) string {
	out := "<failed xmlns='" + NSResumption + "'"
	if h != nil {
		out += " h='" + strconv.FormatUint(uint64(*h), 10) + "'"
	}
	return out + "><" + condition + " xmlns='" + wire.NSStanzas + "'/></failed>"
}

// commitWait is how long a resumption waits for commits: until they are done it is not known which stanzas the client
// must send again.
const commitWait = 5 * time.Second

// resume moves the session to a new connection (XEP-0198 §5). On success the old connection is closed with conflict and
// what the client has not received is queued again. A false ok means that the client is told <failed/>; err is a stream
// error for the new connection. Answer makes what is written first of <resumed/>.
func (s *Session) resume(l *link, h uint32, answer func(s *Session, resumed string) string) (ok bool, err error) {
	// Between two packets of the old connection. What it has not handled by now it never will: serve checks that its
	// link is still the session's.
	s.recv.Lock()
	defer s.recv.Unlock()
	s.mu.Lock()
	if n := h - s.sm.acked; int64(n) > int64(s.queue.sent) {
		// What the client says cannot be; it may be an old request that was under way for long. The connection that the
		// session has stays.
		defer s.mu.Unlock()
		return false, &tooHigh{h: h, sent: s.sm.acked + uint32(s.queue.sent)}
	}
	old := s.link
	s.link = nil
	var idle chan struct{}
	if len(s.handled.held) > 0 {
		if s.handled.idle == nil {
			s.handled.idle = make(chan struct{})
		}
		idle = s.handled.idle
	}
	s.mu.Unlock()
	if idle != nil {
		select {
		case <-idle:
		case <-time.After(commitWait):
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old != nil {
		go old.fail(errReplaced)
	}
	if s.ended || len(s.handled.held) > 0 {
		s.away = time.Now()
		return false, nil
	}
	if err := s.ackLocked(h); err != nil {
		s.away = time.Now()
		return false, err
	}
	s.queue.sent = 0
	s.sm.since = 0
	s.link, s.waiting, s.inactive, s.behind = l, false, false, s.overLocked()
	s.handled.told = s.handled.count
	resumed := "<resumed xmlns='" + NSResumption + "' previd='" + s.sm.id + "' h='" + strconv.FormatUint(uint64(s.handled.count), 10) + "'/>"
	s.control = l.appendElement(nil, answer(s, resumed))
	s.backLocked()
	return true, nil
}
