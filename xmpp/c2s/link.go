package c2s

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"parley/internal/limit"
	"parley/xmpp/wire"

	mstream "mellium.im/xmpp/stream"
)

// outlet is what a link writes to.
type outlet interface {
	io.Writer
	SetWriteDeadline(time.Time) error
}

// carrier is what is below a link: a socket, or the requests of BOSH.
type carrier interface {
	SetReadDeadline(time.Time) error
	Close() error
	setAsync()     // see conn
	blocked() bool // what was written waits
	drain() error  // waits until it does not
}

// link is one connection of a client, over TCP, WebSocket or BOSH: bytes in, elements out, and back. One goroutine reads;
// the methods that write may be called from any.
type link struct {
	srv    *Server
	nc     outlet // TLS or low
	low    carrier
	ws     bool    // elements come and go in WebSocket messages
	bosh   *bodies // elements come and go in requests and their answers; nil if not
	remote netip.Addr
	source netip.Addr

	// Reading.
	in     input
	scan   wire.Scanner
	frames *frames      // nil without WebSocket
	used   int          // bytes of the packet that next returned
	batch  wire.Batch   // who has something to write because of what came in
	bytes  limit.Bucket // bytes that came in
	count  limit.Bucket // stanzas that came in
	blank  limit.Bucket // reads that brought white space only
	now    time.Time    // of the last read
	lastIn atomic.Int64 // the same, Unix seconds, for the sweep
	pinged bool         // the sweep asked whether the client is there; owned by the sweep
	header bool         // our stream header was sent

	writing bool // somebody writes what the session queued; guarded by the session's mu
	closed  atomic.Bool
}

var (
	errReplaced   = &wire.Violation{Condition: mstream.Conflict.Err, Event: "", Text: "another connection took over"}
	errSlow       = &wire.Violation{Condition: mstream.ResourceConstraint.Err, Event: "", Text: "you do not read what is sent to you"}
	errTimeout    = &wire.Violation{Condition: mstream.ConnectionTimeout.Err, Event: "conn.timeout", Text: "nothing was heard of you in time"}
	errShutdown   = &wire.Violation{Condition: mstream.SystemShutdown.Err, Event: "", Text: "the server is going down"}
	errInternal   = &wire.Violation{Condition: mstream.InternalServerError.Err, Event: "panic", Text: "something went wrong here"}
	errUnexpected = &wire.Violation{Condition: mstream.UnsupportedStanzaType.Err, Event: "xml.sequence", Text: "this element is not expected here"}
	errNamespace  = &wire.Violation{Condition: mstream.InvalidNamespace.Err, Event: "xml.sequence", Text: "the namespace of a stanza must be " + wire.NSClient}
	errFrom       = &wire.Violation{Condition: mstream.InvalidFrom.Err, Event: "addr.spoof", Text: "the attribute from is not your address"}
	errBlank      = &wire.Violation{Condition: mstream.PolicyViolation.Err, Event: "limit.rate", Text: "too much white space"}
	errFrame      = &wire.Violation{Condition: mstream.BadFormat.Err, Event: "xml.sequence", Text: "a WebSocket message must be one element"}
	errBadCount   = &wire.Violation{Condition: mstream.BadFormat.Err, Event: "sm.reject", Text: "the attribute h is not a count"}
	errPeerError  = errors.New("c2s: peer sent a stream error")
)

// tooHigh is an acknowledgement of more than was sent (XEP-0198 §4, hardening HC9).
type tooHigh struct{ h, sent uint32 }

func (e *tooHigh) Error() string { return "c2s: client acknowledges more than was sent" }

func newLink(srv *Server, nc net.Conn, ws bool, remote netip.Addr) (*link, error) {
	low, over := lower(nc)
	if low == nil {
		return nil, errors.New("c2s: connection is not one of ours")
	}
	l := makeLink(srv, remote)
	l.nc, l.low, l.ws = nc, low, ws
	if ws {
		l.frames = new(frames)
	}
	l.in.c, l.in.tls = low, over
	return l, nil
}

// makeLink returns a link that has nothing below it yet.
func makeLink(srv *Server, remote netip.Addr) *link {
	l := &link{srv: srv, remote: remote, source: limit.Source(remote)}
	l.limits(&srv.cfg.Before)
	l.blank = limit.NewBucket(limit.Rate{PerSecond: 10, Burst: 20})
	l.now = time.Now()
	l.lastIn.Store(l.now.Unix())
	return l
}

// alone reports that there is no stream around the elements: each stands alone and declares its namespaces, and a stream
// begins and ends with elements of RFC 7395.
func (l *link) alone() bool { return l.ws || l.bosh != nil }

// limits sets what the peer may send from now on.
func (l *link) limits(b *Budget) {
	l.scan.Limits = b.XML
	l.in.limit = b.XML.Size + 16
	l.bytes, l.count = limit.NewBucket(b.Bytes), limit.NewBucket(b.Stanzas)
}

// next returns the next element, which lives until the call after. It writes what the elements before caused before it
// waits.
func (l *link) next() (*wire.Packet, error) {
	if l.used > 0 {
		l.in.take(l.used)
		l.used = 0
	}
	for {
		p, err := l.split()
		if err != wire.ErrIncomplete {
			if err == nil {
				l.shape(l.count.Take(l.now, 1))
			}
			return p, err
		}
		if err := l.more(); err != nil {
			return nil, err
		}
	}
}

// more reads more bytes.
func (l *link) more() error {
	l.batch.Flush()
	have := len(l.in.bytes())
	if err := l.in.fill(); err != nil {
		return err
	}
	l.now = time.Now()
	l.lastIn.Store(l.now.Unix())
	fresh := l.in.bytes()[have:]
	if l.scan.Idle() && have == 0 && len(bytes.TrimLeft(fresh, " \t\r\n")) == 0 && l.blank.Take(l.now, 1) > 0 {
		return errBlank
	}
	l.shape(l.bytes.Take(l.now, float64(len(fresh))))
	return nil
}

// shape makes a peer that is over its rate wait: its bytes stay in the kernel.
func (l *link) shape(wait time.Duration) {
	if wait > 0 {
		l.srv.rec.Count("limit.rate")
		l.batch.Flush()
		time.Sleep(min(wait, 10*time.Second))
		l.now = time.Now() // or what follows in the buffer would wait for this once more
		l.lastIn.Store(l.now.Unix())
	}
}

// split takes one element off the input.
func (l *link) split() (*wire.Packet, error) {
	if l.ws {
		return l.splitFrames()
	}
	n, p, err := l.scan.Next(l.in.bytes())
	if err == nil {
		l.used = n
		return p, nil
	}
	if n > 0 {
		l.in.take(n)
	}
	return nil, err
}

func (l *link) splitFrames() (*wire.Packet, error) {
	for {
		if l.used > 0 {
			l.in.take(l.used)
			l.used = 0
		}
		op, payload, n, err := l.frames.next(l.in.bytes(), l.scan.Limits.Size)
		if err != nil {
			return nil, err
		}
		l.used = n
		switch op {
		case opText:
			took, p, err := l.scan.Next(payload)
			switch {
			case err == wire.ErrIncomplete && len(payload) == took:
				if l.blank.Take(l.now, 1) > 0 { // nothing but white space
					return nil, errBlank
				}
				continue
			case err == wire.ErrIncomplete:
				return nil, errFrame // RFC 7395 §3.3.3
			case err != nil:
				return nil, err
			case len(bytes.TrimLeft(payload[took:], " \t\r\n")) > 0:
				return nil, errFrame
			}
			return p, nil
		case opPing:
			l.count.Take(l.now, 1)
			l.writeFrame(opPong, payload)
		case opClose:
			return nil, io.EOF // the socket ends, which is no word about the stream: RFC 7395 §3.6
		}
	}
}

func (l *link) writeFrame(op byte, payload []byte) {
	l.nc.Write(append(appendFrameHead(make([]byte, 0, 16+len(payload)), op, len(payload)), payload...))
}

// appendStanza appends a stanza as this kind of link carries it; own is the value of the attribute to, "" if the tail
// has it.
func (l *link) appendStanza(dst []byte, kind wire.Kind, own wire.Addr, tail []byte) []byte {
	if !l.alone() {
		return append(wire.AppendStart(dst, kind, "", own), tail...)
	}
	var room [256]byte
	start := wire.AppendStart(room[:0], kind, wire.NSClient, own)
	if l.ws {
		dst = appendFrameHead(dst, opText, len(start)+len(tail))
	}
	return append(append(dst, start...), tail...)
}

// appendElement appends an element that declares its own namespaces.
func (l *link) appendElement(dst []byte, element string) []byte {
	if l.ws {
		dst = appendFrameHead(dst, opText, len(element))
	}
	return append(dst, element...)
}

// write sends an element at once; before the session is bound only.
func (l *link) write(element string) error {
	_, err := l.nc.Write(l.appendElement(nil, element))
	return err
}

// fail tells the peer why its stream ends and closes it. The first call counts.
func (l *link) fail(err error) {
	if !l.closed.CompareAndSwap(false, true) {
		return
	}
	var out []byte
	var v *wire.Violation
	var high *tooHigh
	var fe *frameError
	code := uint16(closeNormal)
	switch {
	case err == wire.ErrSize:
		v = &wire.Violation{Condition: wire.ErrSize.Condition, Event: wire.ErrSize.Event, Text: "a stanza may have at most " + strconv.Itoa(l.scan.Limits.Size) + " bytes"}
	case errors.As(err, &v):
	case errors.As(err, &high):
		v = &wire.Violation{Condition: "undefined-condition", Event: "sm.reject", Text: "you acknowledged more than was sent"}
	case errors.As(err, &fe):
		code = fe.code
		l.reject("ws.reject", fe.text)
	case errors.Is(err, os.ErrDeadlineExceeded):
		v = errTimeout
	}
	if v != nil {
		if v.Event != "" {
			l.reject(v.Event, v.Text)
		}
		if !l.header {
			out = l.appendHeader(out, "")
		}
		out = l.appendElement(out, streamError(v, high))
	}
	if l.bosh != nil {
		l.bosh.terminate(v, out)
		return
	}
	switch {
	case l.ws && fe == nil:
		if l.header || v != nil {
			out = l.appendElement(out, "<close xmlns='"+wire.NSFraming+"'/>")
		}
		fallthrough
	case l.ws:
		out = append(appendFrameHead(out, opClose, 2), byte(code>>8), byte(code))
	case l.header || v != nil:
		out = append(out, "</stream:stream>"...)
	}
	l.nc.SetWriteDeadline(time.Now().Add(lingerTime))
	l.nc.Write(out)
	l.linger(err)
}

// reject records what the peer did.
func (l *link) reject(name, text string) {
	l.srv.rec.Reject(name, l.source.String(), "text", text)
}

const (
	lingerTime  = 2 * time.Second
	lingerBytes = 64 << 10
)

// halfCloser is a connection that can end in one direction, such as TCP.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// linger closes the connection so that the peer can still read what was said last: closing with unread bytes in the
// kernel would throw that away.
func (l *link) linger(why error) {
	if tc, ok := l.low.(*conn).Conn.(halfCloser); ok && !isBroken(why) {
		if over, ok := l.nc.(*tls.Conn); ok {
			over.CloseWrite()
		}
		if err := l.low.drain(); err == nil {
			tc.CloseWrite()
		}
		tc.SetReadDeadline(time.Now().Add(lingerTime))
		if !eofReason(why) {
			drainSocket(tc)
		}
	}
	l.low.Close()
}

// drainSocket reads until the peer closes, for so long and so much.
func drainSocket(tc net.Conn) {
	buf := buffers.get()
	defer buffers.put(buf)
	for n := 0; n < lingerBytes; {
		k, err := tc.Read(buf)
		if err != nil {
			return
		}
		n += k
	}
}

// isBroken reports that nobody reads any more.
func isBroken(err error) bool {
	var oe *net.OpError
	return errors.As(err, &oe) && !oe.Timeout()
}

// eofReason reports that the peer has nothing more to say.
func eofReason(err error) bool { return err == nil || eof(err) || errors.Is(err, wire.ErrClosed) }

// broken is told that writing failed: the reader will find out.
func (l *link) broken(error) { l.low.Close() }

// streamError is RFC 6120 §4.9.
func streamError(v *wire.Violation, high *tooHigh) string {
	dst := append([]byte("<stream:error xmlns:stream='"+wire.NSStream+"'><"), v.Condition...)
	dst = append(dst, " xmlns='"+wire.NSStreams+"'/>"...)
	if v.Text != "" {
		dst = append(dst, "<text xmlns='"+wire.NSStreams+"' xml:lang='en'>"...)
		dst = wire.AppendEscaped(dst, v.Text)
		dst = append(dst, "</text>"...)
	}
	if high != nil {
		dst = append(dst, "<handled-count-too-high xmlns='"+NSResumption+"'"...)
		dst = wire.AppendAttr(dst, "h", itoa(high.h))
		dst = wire.AppendAttr(dst, "send-count", itoa(high.sent))
		dst = append(dst, "/>"...)
	}
	return string(append(dst, "</stream:error>"...))
}
