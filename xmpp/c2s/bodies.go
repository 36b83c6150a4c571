package c2s

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"parley/internal/limit"
	"parley/xmpp/wire"

	mstream "mellium.im/xmpp/stream"
)

// bodies carries a link in HTTP requests and their answers (XEP-0124). What the requests hold is read like the bytes of a
// connection; what is written goes into the answer of the oldest request that waits, or waits for the next one.
//
// Requests are taken in the order of their rid, and answered in it. A client whose connection broke asks again with the
// same rid, and gets the answer that it missed.
type bodies struct {
	srv    *Server
	link   *link
	sid    string
	secure bool          // the session began under TLS
	most   time.Duration // that a request is held
	hold   int           // requests that are held
	window int           // requests that may be under way at once

	mu       sync.Mutex // guards what follows
	changed  *sync.Cond // something of it has changed
	due      int64      // rid of the next request
	polls    limit.Bucket
	key      string // what the next key must hash to, "" if the client uses none
	early    []*poll
	open     []*poll    // requests that wait for their answer, in order
	past     []answered // the latest answers, in order
	in       []byte     // content that was not read
	expired  bool       // the read deadline has passed
	deadline *time.Timer
	late     bool        // the client stays away
	away     *time.Timer // runs while no request waits
	out      []byte      // content that was not sent
	begun    bool        // the first answer is given
	minor    int         // of the version that the client speaks, -1 if it did not say
	ended    bool
	ending   []byte // what the client is told about the end, nil once it was
}

// poll is a request that has no answer yet.
type poll struct {
	rid    int64
	hash   [sha256.Size]byte
	answer []byte // nil until there is one
	gone   bool   // its connection broke
	timer  *time.Timer
}

// answered is a request with its answer.
type answered struct {
	rid  int64
	hash [sha256.Size]byte
	body []byte
}

var errOveractive = &wire.Violation{Condition: mstream.PolicyViolation.Err, Event: "bosh.abuse", Text: "too many requests"}

func newBodies(srv *Server, q *bodyRequest, secure bool) *bodies {
	b := &bodies{
		srv: srv, sid: newSID(), secure: secure, most: min(q.wait, longestWait), hold: q.hold, window: q.hold + 1,
		due: q.rid, polls: limit.NewBucket(srv.cfg.After.Stanzas), minor: q.minor,
	}
	b.changed = sync.NewCond(&b.mu)
	return b
}

// serve answers one request.
func (b *bodies) serve(w http.ResponseWriter, r *http.Request, q *bodyRequest) {
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Time{}) // the request was read; the connection is only watched for its end
	rc.SetWriteDeadline(time.Now().Add(longestPause + 30*time.Second))
	p := &poll{rid: q.rid, hash: q.hash}
	stop := context.AfterFunc(r.Context(), func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.left(p)
	})
	defer stop()
	condition, text := b.take(p, q)
	if condition != "" {
		b.srv.abuse(w, r, condition, text)
		return
	}
	b.mu.Lock()
	for p.answer == nil && !p.gone {
		b.changed.Wait()
	}
	answer := p.answer
	b.mu.Unlock()
	if answer != nil {
		rc.SetWriteDeadline(time.Now().Add(30 * time.Second))
		writeBody(w, answer)
	}
}

// left notes that nobody waits for the answer any more: it is an empty one, should the client ask again, so that what is to
// be sent goes to a request that lives. Called with mu held.
func (b *bodies) left(p *poll) {
	p.gone = true
	if i := slices.Index(b.open, p); i >= 0 && !b.ended {
		b.answer(i, nil)
	}
	b.early = slices.DeleteFunc(b.early, func(e *poll) bool { return e == p })
	b.changed.Broadcast()
}

// take takes a request when its turn comes. A condition says why it is refused; the session goes on.
func (b *bodies) take(p *poll, q *bodyRequest) (condition, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		b.last(p)
		return "", ""
	}
	switch {
	case p.rid < b.due:
		return b.repeat(p)
	case p.rid >= b.due+int64(b.window):
		return "item-not-found", "rid is outside the window"
	}
	for _, e := range b.early {
		if e.rid != p.rid {
			continue
		}
		if e.hash != p.hash {
			return "policy-violation", "rid with another body"
		}
		e.gone = true // its connection must have broken, else the client would not ask again
	}
	b.early = slices.DeleteFunc(b.early, func(e *poll) bool { return e.gone })
	b.early = append(b.early, p)
	b.changed.Broadcast()
	// Until what came before is read, this request stays where it is: a client that is over its rate must wait.
	for !b.ended && !p.gone && (p.rid != b.due || len(b.in) > 0) {
		b.changed.Wait()
	}
	b.early = slices.DeleteFunc(b.early, func(e *poll) bool { return e == p })
	switch {
	case p.gone:
		return "", ""
	case b.ended:
		b.last(p)
		return "", ""
	case b.key != "" && keyOf(q.key) != b.key:
		return "item-not-found", "key sequence is broken"
	}
	if b.key != "" {
		b.key = q.key
	}
	if q.newKey != "" {
		b.key = q.newKey
	}
	b.due++
	now := time.Now()
	b.link.lastIn.Store(now.Unix())
	if b.away != nil {
		b.away.Stop()
	}
	b.open = append(b.open, p)
	if b.begun && b.polls.Take(now, 1) > 0 {
		go b.link.fail(errOveractive)
		return "", ""
	}
	b.receive(q)
	b.arrange(p, q)
	b.changed.Broadcast()
	return "", ""
}

// keyOf is what a key is announced as (XEP-0124 §15.2).
func keyOf(key string) string {
	sum := sha1.Sum([]byte(key))
	return hex.EncodeToString(sum[:])
}

// repeat handles a request that was taken before (XEP-0124 §14.3): the same one gets the same answer.
func (b *bodies) repeat(p *poll) (condition, text string) {
	for _, a := range b.past {
		if a.rid == p.rid {
			if a.hash != p.hash {
				return "policy-violation", "rid with another body"
			}
			p.answer = a.body
			return "", ""
		}
	}
	for i, o := range b.open {
		if o.rid == p.rid {
			if o.hash != p.hash {
				return "policy-violation", "rid with another body"
			}
			b.open[i], p.timer = p, o.timer
			o.gone = true
			b.changed.Broadcast()
			return "", ""
		}
	}
	return "item-not-found", "rid is outside the window"
}

// receive puts what a request holds where the link reads it. Called with mu held.
func (b *bodies) receive(q *bodyRequest) {
	if !b.begun || q.restart {
		open := wire.AppendAttr([]byte("<open xmlns='"+wire.NSFraming+"'"), "to", q.to)
		if q.from != "" {
			open = wire.AppendAttr(open, "from", q.from)
		}
		version := q.version
		if version == "" {
			version = "1.0" // on a restart it need not be said
		}
		b.in = append(append(b.in, wire.AppendAttr(open, "version", version)...), "/>"...)
	}
	b.in = append(b.in, q.content...)
	if q.terminate {
		b.in = append(b.in, "<close xmlns='"+wire.NSFraming+"'/>"...)
	}
}

// arrange decides which requests are answered now that p has come. Called with mu held.
func (b *bodies) arrange(p *poll, q *bodyRequest) {
	if q.pause > 0 && b.begun { // XEP-0124 §10: all are answered, and the client may stay away
		for len(b.open) > 0 {
			b.answer(0, b.takeOut())
		}
		b.awayFor(min(q.pause, longestPause))
		return
	}
	wait := b.most
	if !b.begun {
		wait = max(wait, 10*time.Second) // the first answer has the features
	}
	p.timer = time.AfterFunc(wait, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for len(b.open) > 0 && b.open[0].rid <= p.rid && !b.ended {
			b.answer(0, b.takeOut())
		}
	})
	if len(b.out) > 0 {
		b.answer(0, b.takeOut())
	}
	for b.begun && len(b.open) > b.hold {
		b.answer(0, b.takeOut())
	}
}

func (b *bodies) takeOut() []byte {
	out := b.out
	b.out = nil
	return out
}

// answer gives an open request its answer. Called with mu held.
func (b *bodies) answer(i int, content []byte) { b.settle(i, b.body(content)) }

func (b *bodies) settle(i int, body []byte) {
	p := b.open[i]
	b.open = slices.Delete(b.open, i, i+1)
	if p.timer != nil {
		p.timer.Stop()
	}
	p.answer = body
	if len(b.past) == answersToKeep {
		b.past = slices.Delete(b.past, 0, 1)
	}
	b.past = append(b.past, answered{p.rid, p.hash, body})
	if len(b.open) == 0 && !b.ended {
		b.awayFor(inactivity)
	}
	b.changed.Broadcast()
}

// body wraps content. The first one tells what was agreed (XEP-0124 §7.2).
func (b *bodies) body(content []byte) []byte {
	dst := append(make([]byte, 0, len(content)+512), "<body xmlns='"+nsBind+"'"...)
	if len(content) > 0 {
		dst = append(dst, " xmlns:stream='"+wire.NSStream+"'"...)
	}
	if !b.begun {
		b.begun = true
		number := func(name string, n int) { dst = wire.AppendAttr(dst, name, strconv.Itoa(n)) }
		dst = wire.AppendAttr(append(dst, " xmlns:xmpp='"+nsXBOSH+"' xmpp:version='1.0' xmpp:restartlogic='true'"...), "sid", b.sid)
		dst = wire.AppendAttr(dst, "from", b.srv.cfg.Domain)
		number("wait", int(b.most/time.Second))
		number("hold", b.hold)
		number("requests", b.window)
		number("inactivity", int(inactivity/time.Second))
		number("maxpause", int(longestPause/time.Second))
		number("polling", shortestPoll)
		if b.minor >= 0 {
			dst = wire.AppendAttr(dst, "ver", "1."+strconv.Itoa(min(b.minor, boshVersion)))
		}
		if b.secure {
			dst = append(dst, " secure='true'"...)
		}
	}
	if len(content) == 0 {
		return append(dst, "/>"...)
	}
	return append(append(append(dst, '>'), content...), "</body>"...)
}

// awayFor begins the time after which a client that sends no request is away. Called with mu held.
func (b *bodies) awayFor(d time.Duration) {
	if b.away != nil {
		b.away.Stop()
	}
	b.away = time.AfterFunc(d, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.open) == 0 {
			b.late = true
			b.changed.Broadcast()
		}
	})
}

// terminate ends the session, with an error or without. The client hears it on the oldest request, or on the next one.
func (b *bodies) terminate(v *wire.Violation, content []byte) {
	condition := ""
	if v != nil {
		switch condition = v.Condition; condition {
		case mstream.HostUnknown.Err, mstream.ImproperAddressing.Err, mstream.PolicyViolation.Err, mstream.SystemShutdown.Err:
		default:
			condition = "remote-stream-error"
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return
	}
	b.ended = true
	for _, t := range []*time.Timer{b.away, b.deadline} {
		if t != nil {
			t.Stop()
		}
	}
	b.ending = bodyEnd(condition, append(b.takeOut(), content...))
	for len(b.open) > 0 {
		b.settle(0, b.farewell())
	}
	b.changed.Broadcast()
	time.AfterFunc(inactivity, func() { b.srv.dropBOSH(b) })
}

// farewell is what a request of a session that has ended is answered with: once the reason.
func (b *bodies) farewell() []byte {
	if body := b.ending; body != nil {
		b.ending = nil
		return body
	}
	return bodyEnd("", nil)
}

// last answers a request to a session that has ended. Called with mu held.
func (b *bodies) last(p *poll) {
	for _, a := range b.past {
		if a.rid == p.rid && a.hash == p.hash {
			p.answer = a.body
			return
		}
	}
	p.answer = b.farewell()
}

// ready waits until there is something to be read. Called with mu held.
func (b *bodies) ready() error {
	for {
		switch {
		case len(b.in) > 0:
			return nil
		case b.ended:
			return io.EOF
		case b.late || b.expired:
			return os.ErrDeadlineExceeded
		}
		b.changed.Wait()
	}
}

// readInto implements source.
func (b *bodies) readInto(dst []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.ready(); err != nil {
		return 0, err
	}
	n := copy(dst, b.in)
	if b.in = b.in[n:]; len(b.in) == 0 {
		b.in = nil
		b.changed.Broadcast() // the next request may come
	}
	return n, nil
}

// wait implements source.
func (b *bodies) wait() ([]byte, int, error) {
	b.mu.Lock()
	err := b.ready()
	b.mu.Unlock()
	if err != nil {
		return nil, 0, err
	}
	buf := buffers.get()
	n, err := b.readInto(buf)
	if n == 0 {
		buffers.put(buf)
		return nil, 0, err
	}
	return buf, n, err
}

// Write implements outlet: what is written goes to the oldest request that waits, else to the next one.
func (b *bodies) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return 0, io.ErrClosedPipe
	}
	b.out = append(b.out, p...)
	if len(b.out) > 0 && len(b.open) > 0 {
		b.answer(0, b.takeOut())
	}
	return len(p), nil
}

// blocked implements carrier.
func (b *bodies) blocked() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.out) > 0
}

// drain implements carrier.
func (b *bodies) drain() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.out) > 0 && !b.ended {
		b.changed.Wait()
	}
	if b.ended {
		return io.ErrClosedPipe
	}
	return nil
}

// SetReadDeadline implements carrier.
func (b *bodies) SetReadDeadline(t time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.deadline != nil {
		b.deadline.Stop()
	}
	b.deadline, b.expired = nil, false
	if t.IsZero() || b.ended {
		return nil
	}
	var timer *time.Timer
	timer = time.AfterFunc(time.Until(t), func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.deadline == timer {
			b.expired = true
			b.changed.Broadcast()
		}
	})
	b.deadline = timer
	return nil
}

// SetWriteDeadline implements outlet; nothing written waits for the client.
func (b *bodies) SetWriteDeadline(time.Time) error { return nil }

func (b *bodies) setAsync() {}

// Close implements carrier.
func (b *bodies) Close() error {
	b.terminate(nil, nil)
	return nil
}
