package s2s

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// outbound is what goes from one domain of ours to one of others: what waits, and the stream that carries it.
type outbound struct {
	srv  *Server
	pair pair

	attending atomic.Int32 // len(attends)

	mu         sync.Mutex // guards what follows; held before a stream's mu
	stream     *stream    // nil: there is none
	cut        *cut       // what is left of the one before, if it may be resumed
	waiting    []entry    // while there is none
	bytes      int        // of waiting
	connecting bool       // a goroutine tries to get one
	failed     int        // attempts in a row that failed
	lostAt     time.Time  // when the last one was lost; zero if there was none since all was given up
	refuse     time.Time  // until when nothing is tried, after a failure
	reason     *wire.Error
	used       time.Time
	said       []byte // the tail that came last, and what goes out for it: a room says the same to many
	encoded    []byte
	attends    map[attendance]struct{}
	doubtful   bool         // what is in attends was noted before the stream was there that is there now
	unsure     []attendance // that were doubtful when the stream came,
	probes     int          // and are asked about so often still: an answer is lost where the other server has no way to us yet
	probed     time.Time
	gone       bool // it is out of the table
}

var (
	errUnknown = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.RemoteServerNotFound, Text: "there is no such server"}
	errUnheard = &wire.Error{Type: mstanza.Wait, Condition: mstanza.RemoteServerTimeout, Text: "the other server cannot be reached"}
	errUnsure  = &wire.Error{Type: mstanza.Wait, Condition: mstanza.RemoteServerTimeout, Text: "the connection was lost; it is not known whether the other server got this"}
	errLoaded  = &wire.Error{Type: mstanza.Wait, Condition: mstanza.ResourceConstraint, Text: "too much waits for the other server"}
	errListed  = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.NotAllowed, Text: "this server does not federate with that domain"}
	errGuest   = &wire.Error{Type: mstanza.Auth, Condition: mstanza.Forbidden, Text: "guests do not reach other servers"}
)

// deliver queues a stanza. It says why it cannot be; retry says that the outbound is out of the table.
func (o *outbound) deliver(b *wire.Batch, e entry) (why *wire.Error, retry bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.gone {
		return nil, true
	}
	e.tail = o.encode(e.kind, e.tail)
	if s := o.stream; s != nil {
		switch s.push(b, &e, true) {
		case queued:
			return nil, false
		case crowded:
			return errLoaded, false
		}
	}
	now := time.Now()
	o.used = now
	switch {
	case !o.connecting && now.Before(o.refuse):
		return o.reason, false
	case o.fullLocked(len(e.tail)):
		return errLoaded, false
	}
	o.waiting = append(o.waiting, e)
	o.bytes += len(e.tail)
	o.connectLocked()
	return nil, false
}

// fullLocked reports that as much waits as may. Called with mu held.
func (o *outbound) fullLocked(more int) bool {
	n, bytes := len(o.waiting), o.bytes+more
	if o.cut != nil {
		n, bytes = n+o.cut.size, bytes+o.cut.bytes
	}
	return n >= o.srv.cfg.QueueStanzas || bytes > o.srv.cfg.QueueBytes
}

// encode returns a tail as it goes to another server, made once for all who are sent the same one. Called with mu held.
func (o *outbound) encode(kind wire.Kind, tail []byte) []byte {
	if len(tail) != len(o.said) || len(tail) == 0 || &tail[0] != &o.said[0] {
		o.said, o.encoded = tail, tail
		if bytes.Contains(tail, nsClient) {
			o.encoded = wire.Stanza{Kind: kind, Tail: tail}.Inheriting(wire.NSClient).Tail
		}
	}
	return o.encoded
}

// connectLocked sees to it that there will be a stream. One that the peer opened and that was cut is waited for. Called with mu held.
func (o *outbound) connectLocked() {
	if !o.connecting && o.stream == nil && (o.cut == nil || o.cut.initiated) {
		o.connecting = o.srv.spawn(o.connect)
	}
}

// The pauses between two attempts to get back to a server that was there.
const (
	firstPause   = 500 * time.Millisecond
	longestPause = 4 * time.Second
)

// connect tries to get a stream: once, or for as long as there is patience with a server that was there.
func (o *outbound) connect() {
	if o.connected() {
		return
	}
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := o.srv.initiate(o.pair)
		if err != nil {
			o.srv.rec.Reject("s2s.dial", o.pair.remote, "domain", o.pair.local, "err", err.Error())
			if !o.again(err, time.Now()) {
				return
			}
		} else if o.connected() {
			return
		}
		select {
		case <-time.After(pause):
		case <-o.srv.ctx.Done():
		}
		if o.connected() {
			return
		}
	}
}

// connected ends the search for a stream if there is one: the other server may have come to us.
func (o *outbound) connected() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stream == nil {
		return false
	}
	o.connecting = false
	return true
}

// again reports that it is worth to try again. If not, what waits goes back.
func (o *outbound) again(err error, now time.Time) bool {
	o.mu.Lock()
	if o.stream != nil {
		o.connecting = false
		o.mu.Unlock()
		return false
	}
	hopeless := o.srv.ctx.Err() != nil || errors.Is(err, errUnlisted)
	if !hopeless && !o.lostAt.IsZero() && now.Sub(o.lostAt) < o.srv.cfg.Patience {
		o.mu.Unlock()
		return true
	}
	if c := o.cut; c != nil {
		o.mu.Unlock()
		c.giveUp()
		return o.again(err, now)
	}
	o.connecting, o.lostAt = false, time.Time{}
	o.failed++
	o.refuse = now.Add(min(5*time.Second<<min(o.failed-1, 5), 2*time.Minute))
	switch o.reason = errUnheard; {
	case errors.Is(err, errNotFound):
		o.reason = errUnknown
	case errors.Is(err, errUnlisted):
		o.reason, o.refuse = errListed, time.Time{} // it may be listed again at any time
	}
	why, list, left := o.reason, o.waiting, o.leaveLocked()
	o.waiting, o.bytes = nil, 0
	o.mu.Unlock()
	o.srv.left(o.pair, left)
	var b wire.Batch
	for i := range list {
		o.srv.bounce(&b, &list[i], why)
	}
	b.Flush()
	return false
}

// carry makes a stream the one that carries what goes here, unless there is one.
func (o *outbound) carry(s *stream) (retry bool) {
	o.mu.Lock()
	if o.gone {
		o.mu.Unlock()
		return true
	}
	if o.stream != nil {
		o.mu.Unlock()
		return false
	}
	if o.cut != nil {
		o.mu.Unlock()
		return true
	}
	taken, wake := o.takeLocked(s)
	if !taken {
		o.mu.Unlock()
		return false
	}
	var ask []attendance
	if o.doubtful {
		o.doubtful = false
		for a := range o.attends {
			ask = append(ask, a)
		}
		o.unsure, o.probes, o.probed = ask, probesMore, time.Now()
	}
	o.mu.Unlock()
	if wake {
		s.schedule(nil)
	}
	o.srv.probe(o.pair, ask)
	return false
}

// takeLocked gives a stream what waits, unless it is dead. wake says that the caller must schedule it. Called with mu held.
func (o *outbound) takeLocked(s *stream) (taken, wake bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return false, false
	}
	s.outbounds = append(s.outbounds, o)
	for _, e := range o.waiting {
		s.queue.push(e)
	}
	o.stream, o.waiting, o.bytes = s, nil, 0
	o.failed, o.refuse, o.lostAt = 0, time.Time{}, time.Time{}
	return true, s.pendingLocked() && s.wakeLocked()
}

// lost is told that the stream of this number is no more, nor will be resumed, with what it had queued for everybody, of which the
// first sent stanzas were written.
func (o *outbound) lost(number uint64, list []entry, sent int) {
	var keep, back []entry
	for i, e := range list {
		if e.o != o {
			continue
		}
		if i < sent {
			if e.again || isRequest(&e) {
				back = append(back, e)
				continue
			}
			e.again = true
		}
		keep = append(keep, e)
	}
	o.mu.Lock()
	switch {
	case o.stream != nil && o.stream.number == number:
		o.stream, o.lostAt = nil, time.Now()
		o.doubtful = len(o.attends) > 0
	case o.cut != nil && o.cut.number == number:
		o.cut = nil
		o.doubtful = len(o.attends) > 0
	}
	o.waiting = append(keep, o.waiting...)
	o.bytes = 0
	for i := range o.waiting {
		o.bytes += len(o.waiting[i].tail)
	}
	if next := o.stream; next != nil {
		for len(o.waiting) > 0 && next.push(nil, &o.waiting[0], false) == queued { // if it has ended too, it will be told here
			o.bytes -= len(o.waiting[0].tail)
			o.waiting = o.waiting[1:]
		}
	} else if len(o.waiting) > 0 || len(o.attends) > 0 {
		o.connectLocked()
	}
	o.mu.Unlock()
	if len(back) > 0 {
		var b wire.Batch
		for i := range back {
			o.srv.bounce(&b, &back[i], errUnsure)
		}
		b.Flush()
	}
}

// isRequest reports an IQ that asks for something, which may not be asked twice.
func isRequest(e *entry) bool {
	if e.kind != wire.IQ {
		return false
	}
	p := e.packet()
	return p != nil && (string(p.Type()) == "get" || string(p.Type()) == "set")
}

const (
	probesMore = 3 // after the first
	probePause = 5 * time.Second
)

// againLocked returns whom to ask about once more. Called with mu held.
func (o *outbound) againLocked(now time.Time) (ask []attendance) {
	if o.probes == 0 || o.stream == nil || now.Sub(o.probed) < probePause {
		return nil
	}
	for _, a := range o.unsure {
		if _, there := o.attends[a]; there {
			ask = append(ask, a)
		}
	}
	if o.probes--; o.probes == 0 {
		o.unsure = nil
	}
	o.probed = now
	return ask
}

// sweep looks after the outbound and reports that it can go.
func (o *outbound) sweep(now time.Time) (idle bool) {
	o.mu.Lock()
	o.said, o.encoded = nil, nil // they may be large
	ask := o.againLocked(now)
	idle = o.idleLocked(now)
	o.mu.Unlock()
	o.srv.probe(o.pair, ask)
	return idle
}

// idleLocked has a stream looked for where somebody attends, and reports that the outbound can go. Called with mu held.
func (o *outbound) idleLocked(now time.Time) bool {
	if o.stream == nil && o.cut == nil && !o.connecting && len(o.attends) > 0 && now.After(o.refuse) {
		if o.lostAt.IsZero() {
			o.lostAt = now
		}
		o.doubtful = true
		o.connectLocked()
	}
	if o.stream != nil || o.cut != nil || o.connecting || len(o.waiting) > 0 || len(o.attends) > 0 || now.Before(o.refuse) || now.Sub(o.used) < time.Minute {
		return false
	}
	o.gone = true
	return true
}
