package s2s

import (
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"parley/xmpp/wire"
)

// cut is what is left of a stream that broke and may be resumed (XEP-0198 §5). Of a stream that we opened it is kept by the
// outbound until that has a stream again; of one that the peer opened, by the server, under the id that the peer was given.
// What it holds is written once, but for the fields that mu guards.
type cut struct {
	id            string
	number        uint64 // of the stream
	initiated     bool   // we opened the stream
	bidi          bool
	local, remote string
	trusted       []string
	handled       uint32        // stanzas of the peer that were handled
	settled       chan struct{} // closed when none of them waits for a commit any more
	acked         uint32        // stanzas of ours that the peer had acknowledged
	at            time.Time
	size, bytes   int // of what was queued
	outbounds     []*outbound

	mu   sync.Mutex // guards what follows; nothing else is locked while it is held
	list []entry    // what was queued, in order, the first sent of which were written
	sent int
	over bool // it was resumed or given up
}

const (
	mostSettle = 5 * time.Second // how long a stanza may wait for its commit before a stream is not resumed for it
	mostCuts   = 20              // of streams that one domain opened to us
)

var errCut = errors.New("s2s: the peer resumes the stream over another connection")

// broken reports that a stream did not end because one of its ends said so.
func broken(err error) bool {
	var v *wire.Violation
	var op *net.OpError
	switch {
	case errors.Is(err, errCut), errors.Is(err, errTimeout):
		return true
	case errors.As(err, &v):
		return false
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &op)
}

// window is how long we wait for a peer to resume a stream that it opened. What is left of the patience with it is for our own
// attempts to get to it.
func (srv *Server) window() time.Duration { return srv.cfg.Patience / 2 }

// cutLocked makes what is left of the stream. Called with mu held, when the stream is dead.
func (s *stream) cutLocked(list []entry, sent, bytes int) *cut {
	c := &cut{
		id: s.resumption, number: s.number, initiated: s.initiated, bidi: s.bidi.Load(), local: s.local, remote: s.remote, trusted: *s.trusted.Load(),
		handled: s.handled.count, settled: make(chan struct{}), acked: s.ack.acked, at: time.Now(),
		size: len(list), bytes: bytes, outbounds: s.outbounds, list: list, sent: sent,
	}
	if s.settled = c.settled; len(s.handled.held) == 0 {
		close(c.settled)
		s.settled = nil
	}
	return c
}

// keep keeps what is left of a stream; false: it cannot be resumed.
func (srv *Server) keep(c *cut) bool {
	if srv.ctx.Err() != nil || c.initiated && len(c.outbounds) == 0 {
		return false
	}
	for _, o := range c.outbounds {
		o.park(c) // before the peer can ask for it
	}
	if !c.initiated && !srv.keepForPeer(c) {
		c.giveUp()
	}
	return true
}

// keepForPeer keeps what is left of a stream that the peer opened, unless it has left many.
func (srv *Server) keepForPeer(c *cut) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	n := 0
	for _, r := range srv.resumable {
		if r.cut != nil && r.cut.remote == c.remote {
			n++
		}
	}
	if n >= mostCuts {
		delete(srv.resumable, c.id)
		srv.rec.Reject("limit.s2s", c.remote, "text", "too many streams that wait to be resumed")
		return false
	}
	srv.resumable[c.id] = resumable{cut: c}
	return true
}

// resumable is a stream that the peer may resume, or what is left of it.
type resumable struct {
	stream *stream
	cut    *cut
}

// giveUp has what was left of a stream go on as after any loss; false: somebody else has taken it.
func (c *cut) giveUp() bool {
	c.mu.Lock()
	list, sent, over := c.list, c.sent, c.over
	c.list, c.over = nil, true
	c.mu.Unlock()
	if over {
		return false
	}
	for _, o := range c.outbounds {
		o.lost(c.number, list, sent)
	}
	return true
}

// counted notes that the peer has handled h stanzas, and, as it will not resume the stream, no others that were written.
func (c *cut) counted(h uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := int64(h - c.acked); n <= int64(c.sent) {
		c.list, c.sent = c.list[n:], 0
	}
}

// resume has a stream, which carries nothing yet, go on where another was cut. The peer has handled h stanzas of ours; what it has
// not handled is written again. reply is what it is told first. ok says that the stream was resumed, and err that the peer counts
// wrong. Called by the reader, or before there is one.
func (s *stream) resume(c *cut, h uint32, reply string) (ok bool, err error) {
	c.mu.Lock()
	n := int64(h - c.acked)
	list, over, fine := c.list, c.over, n <= int64(c.sent)
	if fine {
		c.list, c.over = nil, true
	}
	c.mu.Unlock()
	switch {
	case over:
		return false, nil
	case !fine:
		return false, errTooHigh
	}
	s.mu.Lock()
	s.ack = ack{counts: true, acked: h}
	s.handled = handled{count: c.handled}
	s.control = append(s.control, reply...)
	for _, e := range list[n:] {
		s.queue.push(e)
	}
	s.mu.Unlock()
	if s.resumption = c.id; !s.initiated {
		s.srv.resumes(c.id, s)
	}
	for _, o := range c.outbounds {
		o.carryOn(s, c)
	}
	s.schedule(nil)
	s.srv.log.Info("stream to a server resumed", "peer", c.remote, "domain", c.local, "again", len(list)-int(n))
	return true, nil
}

// resumed is the peer's wish to resume a stream that it opened (XEP-0198 §5).
func (s *stream) resumed(p *wire.Packet) error {
	v, ok := p.Elem().Attr("h")
	h, err := strconv.ParseUint(string(v), 10, 32)
	if !ok || err != nil {
		return errCount
	}
	if s.initiated {
		return errUnexpected
	}
	s.mu.Lock()
	counts, carries := s.ack.counts, len(s.outbounds) > 0 || s.queue.Len() > 0
	s.mu.Unlock()
	if counts || len(*s.trusted.Load()) == 0 {
		s.say(&s.batch, "<failed xmlns='"+NSResumption+"'><unexpected-request xmlns='"+wire.NSStanzas+"'/></failed>")
		return nil
	}
	id, count := p.Elem().AttrString("previd"), ""
	if c := s.cutOf(id); c != nil {
		count = " h='" + strconv.FormatUint(uint64(c.handled), 10) + "'"
		if !carries {
			reply := wire.AppendAttr([]byte("<resumed xmlns='"+NSResumption+"'"+count), "previd", id)
			if ok, err := s.resume(c, uint32(h), string(reply)+"/>"); ok || err != nil {
				return err
			}
		}
		s.srv.noResume(id)
		c.giveUp()
	}
	s.say(&s.batch, "<failed xmlns='"+NSResumption+"'"+count+"><item-not-found xmlns='"+wire.NSStanzas+"'/></failed>")
	return nil
}

// cutOf returns what is left of the stream with an id, if the peer may resume it. If it is there still, it ends: the peer knows better
// whether it was cut.
func (s *stream) cutOf(id string) *cut {
	r := s.srv.resumableAs(id)
	if old := r.stream; old != nil && slices.Equal(*old.trusted.Load(), *s.trusted.Load()) {
		s.batch.Flush()
		old.stop(errCut)
		if !s.within(mostSettle, old.ended) {
			return nil
		}
		r = s.srv.resumableAs(id)
	}
	c := r.cut
	if c == nil || c.local != s.local || c.bidi != s.bidi.Load() {
		return nil
	}
	for _, domain := range c.trusted {
		if !s.trusts(domain) {
			return nil
		}
	}
	s.batch.Flush()
	if !s.within(mostSettle, c.settled) {
		return nil
	}
	return c
}

// within waits for something while the stream is there.
func (s *stream) within(d time.Duration, done <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
	case <-s.stopped:
	}
	return false
}

func (srv *Server) resumableAs(id string) resumable {
	srv.mu.RLock()
	defer srv.mu.RUnlock()
	return srv.resumable[id]
}

// resumes notes that a stream may be resumed by an id.
func (srv *Server) resumes(id string, s *stream) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.resumable[id] = resumable{stream: s}
}

// noResume notes that nothing is resumed by an id any more.
func (srv *Server) noResume(id string) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.resumable, id)
}

// sweepCuts gives up streams that their peers did not resume in time. Their counts are kept a while longer: who comes late hears
// what was handled.
func (srv *Server) sweepCuts(now time.Time) {
	var late []*cut
	srv.mu.Lock()
	for id, r := range srv.resumable {
		if r.cut == nil || now.Sub(r.cut.at) < srv.window() {
			continue
		}
		late = append(late, r.cut)
		if now.Sub(r.cut.at) > 2*srv.cfg.Patience {
			delete(srv.resumable, id)
		}
	}
	srv.mu.Unlock()
	for _, c := range late {
		c.giveUp()
	}
}

// The outbound's half.

// park notes that the stream which carried what goes here was cut, and may be resumed.
func (o *outbound) park(c *cut) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stream == nil || o.stream.number != c.number {
		return // it was given up meanwhile
	}
	o.stream, o.lostAt, o.cut = nil, c.at, c
	o.connectLocked()
}

// carryOn is carry for a stream that resumes the one that was cut.
func (o *outbound) carryOn(s *stream, c *cut) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cut == c {
		o.cut = nil
		o.takeLocked(s)
		o.used = time.Now()
	}
}

// resumes returns what is left of the stream before, if it may be resumed.
func (o *outbound) resumes() *cut {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.cut
}

// resuming returns what is to be resumed by the next stream that we open.
func (o *outbound) resuming() *cut {
	o.mu.Lock()
	defer o.mu.Unlock()
	if c := o.cut; c != nil && c.initiated {
		return c
	}
	return nil
}
