package s2s

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

	"parley/xmpp/wire"

	mstream "mellium.im/xmpp/stream"
)

// NSResumption is XEP-0198.
const NSResumption = "urn:xmpp:sm:3"

// ack is what we know of what the peer has received: by its counts (XEP-0198) or, where it does not count, by its answers to
// pings, which come when it has worked off what was written before them. It is guarded by the stream's mu.
type ack struct {
	counts   bool      // XEP-0198 is on
	mute     bool      // the peer neither counts nor answers pings: what is written is taken to have arrived
	acked    uint32    // stanzas that have arrived, modulo 2^32
	asked    bool      // an answer is due
	askedAt  time.Time // when it was asked last
	answered bool      // a ping was answered once
}

// handled counts the peer's stanzas while XEP-0198 is on. One whose handling waits for a commit holds back what is
// acknowledged (hardening.md HR9). It is guarded by the stream's mu.
type handled struct {
	count  uint32
	held   []uint32 // numbers of stanzas that wait, ascending
	told   uint32
	wanted bool // the peer asked and was told less than count
}

func (h *handled) h() uint32 {
	if len(h.held) > 0 {
		return h.held[0] - 1
	}
	return h.count
}

// pingPause is the least time between two pings that acknowledge, unless much waits for the answer.
const pingPause = time.Second

// loadedLocked reports that an eighth of what may wait does. Called with mu held.
func (s *stream) loadedLocked() bool {
	return s.queue.sent > s.srv.cfg.QueueStanzas/8 || s.queue.bytes > s.srv.cfg.QueueBytes/8
}

// askLocked appends a request for an acknowledgement, unless one is open. Called with mu held.
func (s *stream) askLocked(dst []byte, now time.Time) []byte {
	a := &s.ack
	switch {
	case a.asked:
		return dst
	case a.counts:
		dst = append(dst, "<r xmlns='"+NSResumption+"'/>"...)
	case len(s.outbounds) == 0:
		return dst
	case a.mute:
		s.arrivedLocked(a.acked + uint32(s.queue.sent))
		return dst
	case now.Sub(a.askedAt) < pingPause && !s.loadedLocked():
		return dst // the sweep asks later
	default:
		dst = s.appendPing(dst, a.acked+uint32(s.queue.sent))
	}
	a.asked, a.askedAt = true, now
	return dst
}

// appendPing appends a ping between the two servers whose answer says that count stanzas have arrived.
func (s *stream) appendPing(dst []byte, count uint32) []byte {
	p := s.outbounds[0].pair
	dst = wire.AppendAttr(append(dst, "<iq type='get'"...), "from", p.local)
	dst = wire.AppendAttr(dst, "to", p.remote)
	dst = wire.AppendAttr(dst, "id", fmt.Sprintf("%s%d.%d", s.srv.token, s.number, count))
	return append(dst, "><ping xmlns='urn:xmpp:ping'/></iq>"...)
}

// parsePong reads the id of a ping of ours.
func parsePong(id []byte) (number uint64, count uint32, ok bool) {
	a, b, ok := bytes.Cut(id, []byte("."))
	number, err1 := strconv.ParseUint(string(a), 10, 64)
	n, err2 := strconv.ParseUint(string(b), 10, 32)
	return number, uint32(n), ok && err1 == nil && err2 == nil
}

// pong takes the answer to a ping.
func (s *stream) pong(count uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ack.counts || int64(count-s.ack.acked) > int64(s.queue.sent) {
		return
	}
	s.ack.asked, s.ack.answered, s.ack.mute = false, true, false
	s.arrivedLocked(count)
}

func (s *stream) arrivedLocked(count uint32) {
	s.queue.pop(int(count - s.ack.acked))
	s.ack.acked = count
}

var (
	errCount   = violation(mstream.BadFormat, "sm.reject", "the attribute h is not a count")
	errTooHigh = violation(mstream.UndefinedCondition, "sm.reject", "you acknowledged more than was sent")
)

// manage handles the elements of XEP-0198.
func (s *stream) manage(p *wire.Packet) error {
	switch string(p.Name()) {
	case "enable":
		if s.initiated {
			return errUnexpected
		}
		s.enable(p.Elem().AttrString("resume"))
		return nil
	case "r":
		s.mu.Lock()
		on := s.ack.counts
		wake := on && s.acknowledgeLocked()
		s.mu.Unlock()
		if wake {
			s.schedule(&s.batch)
		}
		if !on {
			return errUnexpected
		}
		return nil
	case "a":
		v, ok := p.Elem().Attr("h")
		n, err := strconv.ParseUint(string(v), 10, 32)
		if !ok || err != nil {
			return errCount
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		a := &s.ack
		switch {
		case !a.counts:
			return errUnexpected
		case int64(uint32(n)-a.acked) > int64(s.queue.sent):
			return errTooHigh
		}
		s.arrivedLocked(uint32(n))
		a.asked = false
		return nil
	case "resume":
		return s.resumed(p)
	}
	return errUnexpected
}

// enable turns XEP-0198 on for a peer that asks (§3), and gives it an id if it wants to resume the stream (§5).
func (s *stream) enable(resume string) {
	id := ""
	reply := "<enabled xmlns='" + NSResumption + "'/>"
	if resume == "true" || resume == "1" {
		id = rand.Text()
		most := max(int(s.srv.window()/time.Second), 1)
		reply = "<enabled xmlns='" + NSResumption + "' id='" + id + "' resume='true' max='" + strconv.Itoa(most) + "'/>"
	}
	s.mu.Lock()
	if s.ack.counts || len(*s.trusted.Load()) == 0 {
		id, reply = "", "<failed xmlns='"+NSResumption+"'><unexpected-request xmlns='"+wire.NSStanzas+"'/></failed>"
	} else {
		s.countLocked()
	}
	s.control = append(s.control, reply...)
	wake := s.wakeLocked()
	s.mu.Unlock()
	if id != "" {
		s.resumption = id
		s.srv.resumes(id, s)
	}
	if wake {
		s.schedule(&s.batch)
	}
}

// countLocked begins to count. What was written before is in front of what is counted, and arrives before it: the first
// count says so, since it is as far below zero. Called with mu held.
func (s *stream) countLocked() {
	s.ack = ack{counts: true, acked: -uint32(s.queue.sent)}
	s.handled = handled{}
}

// acknowledgeLocked queues <a/>. Called with mu held.
func (s *stream) acknowledgeLocked() (wake bool) {
	h := &s.handled
	h.told = h.h()
	h.wanted = h.told != h.count
	s.control = append(s.control, "<a xmlns='"+NSResumption+"' h='"+strconv.FormatUint(uint64(h.told), 10)+"'/>"...)
	return s.wakeLocked()
}

// counted notes that a stanza of the peer was routed.
func (s *stream) counted() {
	s.mu.Lock()
	if s.ack.counts {
		s.handled.count++
	}
	s.mu.Unlock()
}

func nothing() {}

// hold delays the acknowledgement of the stanza that is being routed until release is called, from any goroutine.
func (s *stream) hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ack.counts {
		return nothing
	}
	number := s.handled.count + 1 // it is counted when it has been routed
	s.handled.held = append(s.handled.held, number)
	return func() { s.release(number) }
}

func (s *stream) release(number uint32) {
	s.mu.Lock()
	h := &s.handled
	for i, n := range h.held {
		if n == number {
			h.held = append(h.held[:i], h.held[i+1:]...)
			break
		}
	}
	if s.settled != nil && len(h.held) == 0 {
		close(s.settled)
		s.settled = nil
	}
	wake := h.wanted && h.h() != h.told && s.acknowledgeLocked()
	s.mu.Unlock()
	if wake {
		s.schedule(nil)
	}
}

// slowest is how fast, in bytes a second, a server that limits what it takes is taken to read at least.
const slowest = 8 << 10

// sweep looks after the stream; it is called every now and then, by one goroutine.
func (s *stream) sweep(now time.Time) {
	cfg := &s.srv.cfg
	s.mu.Lock()
	attended := false
	for _, o := range s.outbounds {
		attended = attended || o.attending.Load() > 0
	}
	interval := cfg.ProbeInterval
	if attended {
		interval = cfg.AttendInterval
	}
	a := &s.ack
	clock := s.srv.clock(now)
	idle := time.Duration(clock - s.lastIn.Load())
	waited := now.Sub(a.askedAt)
	answer := cfg.AnswerTimeout + time.Duration(s.queue.bytes/slowest)*time.Second
	var why error
	switch {
	case a.asked && min(waited, idle) > answer && (a.counts || a.answered):
		why = errTimeout
	case a.asked && waited > max(answer, cfg.DialTimeout) && !a.counts && !a.answered:
		a.asked, a.mute = false, true // it may have no way to us for its answer
		s.arrivedLocked(a.acked + uint32(s.queue.sent))
	case !a.asked && (s.queue.sent > 0 || idle > interval && waited > interval):
		s.control = s.askLocked(s.control, now)
	}
	silent := s.queue.Len() == 0 && time.Duration(clock-s.lastSaid.Load()) > cfg.IdleTimeout
	wake := len(s.control) > 0 && s.wakeLocked()
	s.mu.Unlock()
	switch {
	case why != nil:
		s.stop(why)
	case silent && !attended:
		s.stop(errIdle)
	case wake:
		s.schedule(nil)
	}
}
