package c2s

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/token"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// Session is a bound client: its address, what it is allowed, and what waits to be written to it. It outlives its
// connection while XEP-0198 lets the client come back. All methods may be called from any goroutine.
type Session struct {
	route.Attended // whether the router asks the account about its stanzas

	srv    *Server
	addr   wire.Addr
	guest  bool
	claims *token.Claims
	source netip.Addr
	room   string // the room that the connection's URL named
	prefix string // the tenant that the connection's URL named
	modern bool   // bound by XEP-0386
	device string // stands for the client's installation, as in store.FastToken; "" if it has not said which it is

	// recv is held while a packet of the client is handled, so that a new connection takes over between two packets. It
	// guards what follows.
	recv    sync.Mutex
	packet  *wire.Packet // the stanza that is being routed, if the session is journaled
	repeats bool         // the client may send again what handled.done names
	leaving bool         // the last process was killed while it ended the session

	mu       sync.Mutex // guards what follows
	queue    queue
	control  []byte // elements that are not stanzas, written before the queue
	link     *link  // nil: the client is away
	sm       *resumption
	ref      uint64 // the session's name in the journal; 0: it is not kept there. Changed with recv held too
	noted    uint64 // journal.Position of what was journaled last
	late     bool   // its counts are to be journaled
	waiting  bool   // the session is in somebody's batch
	inactive bool   // XEP-0352
	urgent   bool   // something is queued that an inactive client must see
	squeeze  int    // how many may wait for an inactive client before they are coalesced
	behind   bool   // the client came back to more than may wait for one that is there, and has not caught up
	away     time.Time
	ended    bool
	handled  handled // stanzas of the client; see resume.go

	attends atomic.Bool // it sent presence to somebody: rooms want to know soon when it is gone
}

// Addr returns the full address.
func (s *Session) Addr() wire.Addr { return s.addr }

// Guest reports that the client logged in without an account.
func (s *Session) Guest() bool { return s.guest }

// Source returns the address that limits count the client as.
func (s *Session) Source() netip.Addr { return s.source }

// Device stands for the installation of the client, as the tokens do that it logs in with (XEP-0484); "": it is not known.
func (s *Session) Device() string { return s.device }

// Away reports that the client has no connection, and may come back.
func (s *Session) Away() bool { return s.current() == nil }

// Claims returns what the client's token says, nil if it has none.
func (s *Session) Claims() *token.Claims { return s.claims }

// Room and Tenant return what the connection's URL named (spec: jitsi §2).
func (s *Session) Room() string { return s.room }

// Tenant is described at Room.
func (s *Session) Tenant() string { return s.prefix }

// Deliver queues a stanza. An empty to stands for the session's own address. Nothing is written before the batch is
// flushed; with a nil batch it is written soon. It never blocks. It is the route.Receiver of the session.
func (s *Session) Deliver(b *wire.Batch, to wire.Addr, st wire.Stanza) {
	e := entry{tail: st.Tail, kind: st.Kind, self: to == "" || to == s.addr}
	if !e.self {
		e.tail = withTo(st.Tail, to)
	}
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		s.srv.router.Bounce(b, s.addr, st)
		return
	}
	s.queue.push(e)
	s.notePush(&e)
	over := s.overLocked()
	held := s.inactive && s.holdLocked(st)
	s.urgent = s.urgent || !held
	wake := s.wakeLocked(held)
	missed := s.link == nil && s.srv.absence != nil && !s.guest
	s.mu.Unlock()
	if missed {
		s.srv.absence.Missed(s.addr, st)
	}
	if over {
		s.overflow()
	}
	if wake {
		s.schedule(b)
	}
}

// wakeLocked reports that the caller must see to it that Flush is called. Called with mu held.
func (s *Session) wakeLocked(held bool) bool {
	if held || s.waiting || s.link == nil || s.link.writing {
		return false
	}
	s.waiting = true
	return true
}

func (s *Session) schedule(b *wire.Batch) {
	if b != nil {
		b.Add(s)
	} else {
		go s.Flush()
	}
}

// sendControl queues an element that is not a stanza.
func (s *Session) sendControl(b *wire.Batch, element string) {
	s.mu.Lock()
	s.control = s.appendControlLocked(s.control, element)
	wake := s.wakeLocked(false)
	s.mu.Unlock()
	if wake {
		s.schedule(b)
	}
}

func (s *Session) appendControlLocked(dst []byte, element string) []byte {
	if s.link != nil {
		return s.link.appendElement(dst, element)
	}
	return dst
}

// flushSize is about what one write takes.
const flushSize = 32 << 10

// Flush writes what is queued until nothing is left or the connection does not take more. Of a session that is journaled,
// everything that it says is in the journal before.
func (s *Session) Flush() {
	s.mu.Lock()
	s.waiting = false
	l := s.link
	if l == nil || l.writing {
		s.mu.Unlock()
		return
	}
	l.writing = true
	for {
		buf := s.takeLocked(l)
		if buf == nil {
			break
		}
		noted := s.noted
		s.mu.Unlock()
		s.srv.journal.FlushTo(noted)
		_, err := l.nc.Write(*buf)
		putWriteBuffer(buf)
		if err == nil && l.low.blocked() {
			go s.drain(l)
			return
		}
		if err != nil {
			l.broken(err)
		}
		s.mu.Lock()
		if err != nil || s.link != l {
			break
		}
	}
	l.writing = false
	s.mu.Unlock()
}

const finishLook = 2 * time.Millisecond

// finish writes what is queued, also for a client that does not look, and waits until it is written, if that does not take too long: another
// goroutine may be at it.
func (s *Session) finish(most time.Duration) {
	for till := time.Now().Add(most); time.Now().Before(till); time.Sleep(finishLook) {
		s.mu.Lock()
		s.urgent = true
		s.mu.Unlock()
		s.Flush()
		s.mu.Lock()
		done := s.link == nil || !s.link.writing && len(s.control) == 0 && s.queue.sent == s.queue.Len()
		s.mu.Unlock()
		if done {
			return
		}
	}
}

// drain waits until a slow client has taken what was written, then goes on.
func (s *Session) drain(l *link) {
	err := l.low.drain()
	s.mu.Lock()
	l.writing = false
	s.mu.Unlock()
	if err != nil {
		l.broken(err)
		return
	}
	s.Flush()
}

// takeLocked serialises what is to be written next, nil if nothing. Called with mu held.
func (s *Session) takeLocked(l *link) *[]byte {
	rests := s.inactive && !s.urgent || s.queue.sent == s.queue.Len()
	if len(s.control) == 0 && rests {
		return nil
	}
	buf := getWriteBuffer()
	dst := append((*buf)[:0], s.control...)
	s.control = nil
	q := &s.queue
	n := 0
	for !rests && q.sent+n < q.Len() && len(dst) < flushSize {
		e := q.At(q.sent + n)
		var own wire.Addr
		if e.self {
			own = s.addr
		}
		dst = l.appendStanza(dst, e.kind, own, e.tail)
		n++
	}
	if q.sent+n == q.Len() {
		s.urgent = false
	}
	if s.sm == nil {
		q.pop(n)
	} else {
		q.sent += n
		if s.sm.ask(n, q) {
			dst = l.appendElement(dst, elementR)
		}
	}
	*buf = dst
	return buf
}

// overflow deals with a client that does not read, or does not acknowledge (hardening HC4): presence is coalesced; if
// that does not help the connection is closed and the session waits for the client to come back; at twice the limit
// the session ends. One that came back may take its time to catch up.
func (s *Session) overflow() {
	cfg := &s.srv.cfg
	s.mu.Lock()
	s.coalesceLocked()
	n, size, l, behind := s.queue.Len(), s.queue.bytes, s.link, s.behind
	s.mu.Unlock()
	switch {
	case n > 2*cfg.QueueStanzas || size > 2*cfg.QueueBytes:
		s.srv.rec.Reject("limit.queue", s.source.String(), "jid", string(s.addr), "value", n)
		go s.end(errSlow, false)
	case l != nil && !behind && (n > cfg.QueueStanzas || size > cfg.QueueBytes):
		s.srv.rec.Reject("limit.queue", s.source.String(), "jid", string(s.addr), "value", n)
		go l.fail(errSlow)
	}
}

var writeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, flushSize+4096); return &b }}

func getWriteBuffer() *[]byte { return writeBuffers.Get().(*[]byte) }

func putWriteBuffer(b *[]byte) {
	if cap(*b) <= 2*flushSize {
		writeBuffers.Put(b)
	}
}
