package s2s

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/limit"
	"parley/xmpp/wire"

	mstream "mellium.im/xmpp/stream"
)

// stream is one connection with another server, and the XML stream on it. One goroutine reads; the methods that send may be
// called from any.
type stream struct {
	srv       *Server
	number    uint64 // names it to this process
	initiated bool   // we opened the connection
	tcp       net.Conn
	source    netip.Addr // of the other side, as limits count it
	began     time.Time
	until     time.Time // by when it must be authenticated

	keep func() bool // has it outlive the context that it was opened under; false: too late

	// What follows up to the next comment belongs to the reader.
	local, remote string // the domains in the headers; of a stream that we accepted, remote is only said, see trusted
	id            string // of the response header
	secure        bool
	direct        bool // it began with TLS
	raised        bool // the limits are those of a peer that is known
	failures      int  // of SASL
	scan          wire.Scanner
	buf           []byte
	from, to      int
	used          int // bytes of the packet that next returned
	batch         wire.Batch
	bytes         limit.Bucket
	count         limit.Bucket
	blank         limit.Bucket
	now           time.Time
	senders       [64]*sender   // those of the last stanzas, by a hash of the address
	receivers     [64]wire.Addr // the same of who they were for
	headed        bool          // our header was sent
	resumption    string        // the id by which the stream is resumed (XEP-0198 §5); "": it is not

	trusted  atomic.Pointer[[]string] // domains in whose name the peer may speak
	lastIn   atomic.Int64             // when something came, as time since srv.began
	lastSaid atomic.Int64             // when a stanza went either way, the same
	bidi     atomic.Bool              // stanzas may go both ways (XEP-0288)
	delays   atomic.Bool              // there are some in later

	ended    chan struct{} // closed when the stream is dead, and what it was to carry has gone elsewhere
	stopOnce sync.Once
	why      atomic.Pointer[error] // why it was stopped
	stopped  chan struct{}

	wmu sync.Mutex // held while something is written; guards nc
	nc  net.Conn   // tcp, or TLS on top

	mu        sync.Mutex // guards what follows
	queue     queue
	control   []byte // what is no stanza, written before the queue
	outbounds []*outbound
	ack       ack
	handled   handled
	settled   chan struct{} // closed when nothing in handled waits any more; not nil only when the stream was cut
	later     []pair        // what it is to carry unless the peer resumes another stream
	quiet     int           // how many still have something to write first, see attach
	waiting   bool          // it is in somebody's batch
	writing   bool          // a goroutine writes
	dead      bool
}

func newStream(srv *Server, nc net.Conn, initiated bool) *stream {
	s := &stream{srv: srv, number: srv.numbers.Add(1), initiated: initiated, tcp: nc, nc: nc, began: time.Now(), stopped: make(chan struct{}), ended: make(chan struct{})}
	if over, ok := nc.(*tls.Conn); ok {
		s.tcp, s.secure, s.direct = over.NetConn(), true, true
	}
	if ap, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil {
		s.source = limit.Source(ap.Addr())
	}
	s.now, s.local = s.began, srv.first
	s.limits(Budget{XML: wire.BeforeAuth, Bytes: limit.Rate{PerSecond: 16 << 10, Burst: 64 << 10}, Stanzas: limit.Rate{PerSecond: 10, Burst: 40}})
	s.blank = limit.NewBucket(limit.Rate{PerSecond: 10, Burst: 20})
	s.trusted.Store(new([]string))
	s.lastIn.Store(srv.clock(s.began))
	s.lastSaid.Store(srv.clock(s.began))
	return s
}

var (
	errBlank      = violation(mstream.PolicyViolation, "limit.s2s", "too much white space")
	errTimeout    = violation(mstream.ConnectionTimeout, "conn.timeout", "nothing was heard of you in time")
	errShutdown   = violation(mstream.SystemShutdown, "", "the server is going down")
	errFull       = violation(mstream.ResourceConstraint, "limit.process", "the server is full")
	errInternal   = violation(mstream.InternalServerError, "panic", "something went wrong here")
	errUnexpected = violation(mstream.UnsupportedStanzaType, "xml.sequence", "this element is not expected here")
	errBlocked    = violation(mstream.PolicyViolation, "s2s.blocked", "we do not federate with that domain")
	errIdle       = errors.New("s2s: nothing goes over this stream")
	errPeer       = errors.New("s2s: the peer ended the stream with an error")
)

func violation(condition mstream.Error, event, text string) *wire.Violation {
	return &wire.Violation{Condition: condition.Err, Event: event, Text: text}
}

// limits sets what the peer may send from now on.
func (s *stream) limits(b Budget) {
	s.scan.Limits = b.XML
	s.bytes, s.count = limit.NewBucket(b.Bytes), limit.NewBucket(b.Stanzas)
}

// fresh begins a stream anew on the same connection: what was read of the old one and not worked off is of the new one.
func (s *stream) fresh() {
	s.discard()
	s.scan = wire.Scanner{Limits: s.scan.Limits} // its Root comes with the header
}

func (s *stream) discard() {
	if s.from += s.used; s.from == s.to {
		s.from, s.to = 0, 0
	}
	s.used = 0
}

// next returns the next element, which lives until the call after. What the elements before it caused is written before
// it waits.
func (s *stream) next() (*wire.Packet, error) {
	s.discard()
	for {
		if !s.raised && len(*s.trusted.Load()) > 0 {
			s.raised = true
			s.limits(s.srv.cfg.Peer)
		}
		n, p, err := s.scan.Next(s.buf[s.from:s.to])
		if err == nil {
			s.used = n
			s.shape(s.count.Take(s.now, 1))
			return p, nil
		}
		s.from += n
		if err != wire.ErrIncomplete {
			return nil, err
		}
		if err := s.more(); err != nil {
			return nil, err
		}
	}
}

// bufferSize holds a usual burst of stanzas; a larger stanza gets more, for a while.
const bufferSize = 16 << 10

// more reads more bytes.
func (s *stream) more() error {
	s.batch.Flush()
	have := s.to - s.from
	switch {
	case have == 0 && len(s.buf) != bufferSize:
		s.buf, s.from, s.to = make([]byte, bufferSize), 0, 0
	case have == 0:
		s.from, s.to = 0, 0
	case s.to < len(s.buf):
	case s.from > 0:
		s.to = copy(s.buf, s.buf[s.from:s.to])
		s.from = 0
	case have > s.scan.Limits.Size+16:
		return wire.ErrSize
	default:
		bigger := make([]byte, min(2*len(s.buf), s.scan.Limits.Size+bufferSize))
		copy(bigger, s.buf)
		s.buf = bigger
	}
	n, err := s.nc.Read(s.buf[s.to:])
	if n == 0 {
		if why := s.why.Load(); why != nil {
			return *why
		}
		if err == nil {
			err = io.ErrNoProgress
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return errTimeout
		}
		return err
	}
	fresh := s.buf[s.to : s.to+n]
	s.to += n
	s.now = time.Now()
	s.lastIn.Store(s.srv.clock(s.now))
	if s.scan.Idle() && have == 0 && len(bytes.TrimLeft(fresh, " \t\r\n")) == 0 && s.blank.Take(s.now, 1) > 0 {
		return errBlank
	}
	s.shape(s.bytes.Take(s.now, float64(n)))
	return nil
}

// shape makes a peer that is over its rate wait: its bytes stay in the kernel.
func (s *stream) shape(wait time.Duration) {
	if wait <= 0 {
		return
	}
	s.srv.rec.Count("limit.s2s")
	s.batch.Flush()
	t := time.NewTimer(min(wait, 10*time.Second))
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.stopped:
	}
	s.now = time.Now() // or what follows in the buffer would wait for this once more
	s.lastIn.Store(s.srv.clock(s.now))
}

// trusts reports that the peer may speak for a domain.
func (s *stream) trusts(domain string) bool { return slices.Contains(*s.trusted.Load(), domain) }

// trust lets the peer speak for a domain; false: it may not, or speaks for too many.
func (s *stream) trust(domain string) bool {
	if why := s.srv.trust(s, domain); why != "" {
		s.srv.rec.Reject("limit.s2s", s.source.String(), "peer", domain, "text", why)
		return false
	}
	s.deadline(time.Time{})
	return true
}

// mostTrusted bounds the domains that one peer may speak for over one stream.
const mostTrusted = 100

// deadline ends the stream when nothing was read until then. It does not undo that the stream was stopped.
func (s *stream) deadline(at time.Time) {
	s.tcp.SetReadDeadline(at)
	if s.why.Load() != nil {
		s.tcp.SetReadDeadline(past)
	}
}

var past = time.Unix(1, 0)

// stop ends the stream from any goroutine: its reader says why, and cleans up.
func (s *stream) stop(why error) {
	s.stopOnce.Do(func() {
		s.why.Store(&why)
		close(s.stopped)
		s.tcp.SetReadDeadline(past)
	})
}

// Flush has written what waits. It does not wait itself.
func (s *stream) Flush() {
	s.mu.Lock()
	s.waiting = false
	start := !s.writing && !s.dead && s.pendingLocked()
	if start {
		s.writing = true
	}
	s.mu.Unlock()
	if start {
		go s.write()
	}
}

func (s *stream) pendingLocked() bool {
	return s.quiet == 0 && (len(s.control) > 0 || s.queue.sent < s.queue.Len())
}

// wakeLocked reports that the caller must see to it that Flush is called. Called with mu held.
func (s *stream) wakeLocked() bool {
	if s.waiting || s.writing {
		return false
	}
	s.waiting = true
	return true
}

// schedule has Flush called, by the batch if there is one. Called without mu.
func (s *stream) schedule(b *wire.Batch) {
	if b != nil {
		b.Add(s)
	} else {
		s.Flush()
	}
}

// hush keeps what waits from being written until speak is called as often.
func (s *stream) hush() {
	s.mu.Lock()
	s.quiet++
	s.mu.Unlock()
}

// speak ends a hush. Called without mu.
func (s *stream) speak() {
	s.mu.Lock()
	s.quiet--
	wake := s.pendingLocked() && s.wakeLocked()
	s.mu.Unlock()
	if wake {
		s.schedule(nil)
	}
}

// outcome says what became of a stanza for a stream.
type outcome uint8

const (
	queued  outcome = iota
	crowded         // as much waits as may
	ended           // the stream is no more
)

// push queues a stanza; bounded says that it is refused where as much waits as may.
func (s *stream) push(b *wire.Batch, e *entry, bounded bool) outcome {
	s.mu.Lock()
	switch {
	case bounded && (s.queue.Len() >= s.srv.cfg.QueueStanzas || s.queue.bytes >= s.srv.cfg.QueueBytes):
		s.mu.Unlock()
		return crowded
	case s.dead:
		s.mu.Unlock()
		return ended
	}
	s.queue.push(*e)
	wake := s.wakeLocked()
	s.mu.Unlock()
	if wake {
		s.schedule(b)
	}
	return queued
}

// say queues an element that is no stanza.
func (s *stream) say(b *wire.Batch, element string) {
	s.mu.Lock()
	s.control = append(s.control, element...)
	wake := s.wakeLocked()
	s.mu.Unlock()
	if wake {
		s.schedule(b)
	}
}

// The sizes and times of writing.
const (
	flushSize    = 32 << 10
	writeTimeout = 30 * time.Second
)

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, flushSize+4096); return &b }}

// write writes until nothing waits. Only one goroutine does.
func (s *stream) write() {
	buf := buffers.Get().(*[]byte)
	for {
		s.mu.Lock()
		dst := s.takeLocked((*buf)[:0])
		if len(dst) == 0 || s.dead {
			s.writing = false
			s.mu.Unlock()
			break
		}
		s.mu.Unlock()
		s.srv.journal()
		err := s.send(dst)
		if cap(dst) <= 2*flushSize {
			*buf = dst
		}
		if err != nil {
			s.stop(err)
			s.mu.Lock()
			s.writing = false
			s.mu.Unlock()
			break
		}
	}
	buffers.Put(buf)
}

// takeLocked appends what is to be written next. Called with mu held.
func (s *stream) takeLocked(dst []byte) []byte {
	if !s.pendingLocked() {
		return dst
	}
	dst = append(dst, s.control...)
	s.control = s.control[:0]
	q := &s.queue
	n := 0
	for q.sent+n < q.Len() && len(dst) < flushSize {
		e := q.At(q.sent + n)
		dst = append(wire.AppendStart(dst, e.kind, "", e.to), e.tail...)
		n++
	}
	if n > 0 {
		q.sent += n
		now := time.Now()
		s.lastSaid.Store(s.srv.clock(now))
		dst = s.askLocked(dst, now)
	}
	return dst
}

// send writes at once.
func (s *stream) send(b []byte) error {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	s.tcp.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := s.nc.Write(b)
	return err
}

// fail tells the peer why the stream ends and closes the connection. Only the reader calls it, when it is done.
func (s *stream) fail(err error) {
	var out []byte
	var v *wire.Violation
	if errors.As(err, &v) {
		if v == wire.ErrSize {
			v = &wire.Violation{Condition: v.Condition, Event: v.Event, Text: "a stanza may have at most " + strconv.Itoa(s.scan.Limits.Size) + " bytes"}
		}
		if v.Event != "" {
			s.reject(v.Event, v.Text)
		}
		if !s.headed && !s.initiated {
			out = s.appendHeader(out)
		}
		out = append(out, "<stream:error><"...)
		out = append(out, v.Condition...)
		out = append(out, " xmlns='"+wire.NSStreams+"'/><text xmlns='"+wire.NSStreams+"' xml:lang='en'>"...)
		out = append(wire.AppendEscaped(out, v.Text), "</text></stream:error>"...)
	}
	var broken *net.OpError
	if v == nil && (errors.Is(err, errQuiet) || errors.As(err, &broken)) {
		s.tcp.Close()
		return
	}
	if s.headed || v != nil {
		out = append(out, "</stream:stream>"...)
	}
	s.tcp.SetWriteDeadline(time.Now().Add(s.srv.linger)) // also for who is writing
	s.wmu.Lock()
	defer s.wmu.Unlock()
	s.tcp.SetWriteDeadline(time.Now().Add(s.srv.linger))
	s.nc.Write(out)
	if over, ok := s.nc.(*tls.Conn); ok {
		over.CloseWrite()
	}
	if tc, ok := s.tcp.(interface{ CloseWrite() error }); ok {
		tc.CloseWrite()
	}
	if !errors.Is(err, wire.ErrClosed) && !errors.Is(err, io.EOF) {
		// Closing with unread bytes would throw away what was said last.
		s.tcp.SetReadDeadline(time.Now().Add(s.srv.linger))
		io.Copy(io.Discard, io.LimitReader(s.tcp, 64<<10))
	}
	s.tcp.Close()
}

// reject records what the peer did.
func (s *stream) reject(name, text string) {
	s.srv.rec.Reject(name, s.source.String(), "peer", s.remote, "text", text)
}

// handshake shakes hands on a connection that has just got TLS on top.
func (s *stream) handshake(over *tls.Conn) error {
	until := time.Now().Add(s.srv.cfg.HandshakeTimeout)
	s.tcp.SetWriteDeadline(until)
	s.deadline(until)
	err := over.Handshake()
	s.tcp.SetWriteDeadline(time.Time{})
	if err != nil {
		s.reject("tls.policy", err.Error())
		return fmt.Errorf("%w: %w", errQuiet, err)
	}
	s.wmu.Lock()
	s.nc = over
	s.wmu.Unlock()
	s.secure = true
	s.deadline(s.until)
	return nil
}

// errQuiet says that nobody needs to be told why the connection ends.
var errQuiet = errors.New("s2s: closed")

// appendHeader appends our stream header and notes that it was sent.
func (s *stream) appendHeader(dst []byte) []byte {
	s.headed = true
	dst = append(dst, "<?xml version='1.0'?><stream:stream xmlns='"+wire.NSServer+"' xmlns:stream='"+wire.NSStream+"' xmlns:db='"+wire.NSDialback+"'"...)
	dst = wire.AppendAttr(dst, "from", s.local)
	if s.remote != "" {
		dst = wire.AppendAttr(dst, "to", s.remote)
	}
	if !s.initiated {
		dst = wire.AppendAttr(dst, "id", s.id)
	}
	return append(dst, " version='1.0' xml:lang='en'>"...)
}

// readHeader reads the peer's stream header.
func (s *stream) readHeader() (wire.Header, error) {
	for {
		n, h, err := wire.ParseHeader(s.buf[s.from:s.to], wire.BeforeAuth)
		if err == nil {
			s.from += n
			s.scan.Root = h.Dialback
			return h, nil
		}
		if err != wire.ErrIncomplete {
			return h, err
		}
		if s.to-s.from > wire.BeforeAuth.Size {
			return h, wire.ErrSize
		}
		if err := s.more(); err != nil {
			return h, err
		}
	}
}

// certified says why the certificate that the peer showed is not good for a domain; nil: it is.
func (s *stream) certified(domain string) error {
	over, ok := s.nc.(*tls.Conn)
	if !ok {
		return errNoCertificate
	}
	return certified(over.ConnectionState().PeerCertificates, domain, s.srv.roots)
}

// isElem reports that an element has this name, without prefix, and namespace.
func isElem(p *wire.Packet, name, ns string) bool {
	return string(p.Name()) == name && string(p.NS()) == ns
}
