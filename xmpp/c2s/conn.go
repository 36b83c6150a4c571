package c2s

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
)

// conn is a connection that holds no memory while nothing comes in, and writes without waiting. Below TLS it hands on
// one record at a time, so that bytes are never hidden in TLS's own buffer while the reader sleeps.
type conn struct {
	net.Conn
	raw syscall.RawConn

	// Reading, by one goroutine.
	ahead    []byte // what was read and not handed on; pooled, nil if empty
	from, to int    // what of ahead is left
	record   record // where in the TLS record the next byte is
	records  bool   // TLS is on top
	readFn   func(fd uintptr) bool
	dst      []byte // where readFn puts bytes; nil: it takes a buffer from the pool
	n        int
	err      error

	// Writing.
	mu      sync.Mutex // guards what follows
	async   bool       // Write does not wait: what the kernel does not take at once stays in backlog
	backlog []byte
	broken  error
	src     []byte // what writeFn writes
	wn      int
	werr    error
	writeFn func(fd uintptr) bool
}

// newConn wraps a connection that has a file descriptor.
func newConn(nc net.Conn) (*conn, error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil, errors.New("c2s: connection without a descriptor")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, raw: raw}
	c.readFn, c.writeFn = c.tryRead, c.tryWrite
	return c, nil
}

// tryRead reads what is there, into a buffer of the pool if dst is nil; false asks to be called when there is more.
func (c *conn) tryRead(fd uintptr) bool {
	dst := c.dst
	if dst == nil {
		dst = buffers.get()
	}
	for {
		c.n, c.err = syscall.Read(int(fd), dst)
		if c.err != syscall.EINTR {
			break
		}
	}
	if c.err == syscall.EAGAIN {
		if c.dst == nil {
			buffers.put(dst)
		}
		return false
	}
	c.n = max(c.n, 0)
	if c.n == 0 && c.err == nil {
		c.err = io.EOF
	}
	if c.dst == nil {
		if c.n > 0 {
			c.dst = dst
		} else {
			buffers.put(dst)
		}
	}
	return true
}

// wait waits for bytes and returns them in a buffer of the pool, which the caller puts back.
func (c *conn) wait() (buf []byte, n int, err error) {
	c.dst = nil
	if err := c.raw.Read(c.readFn); err != nil {
		return nil, 0, err
	}
	buf, c.dst = c.dst, nil
	return buf, c.n, c.err
}

// readInto waits for bytes and puts them into dst.
func (c *conn) readInto(dst []byte) (int, error) {
	if len(dst) == 0 {
		return 0, nil
	}
	c.dst = dst
	err := c.raw.Read(c.readFn)
	c.dst = nil
	if err != nil {
		return 0, err
	}
	return c.n, c.err
}

// ready waits until bytes are there to be read. It is called below TLS, between records.
func (c *conn) ready() error {
	if c.from < c.to {
		return nil
	}
	buf, n, err := c.wait()
	if n > 0 {
		c.ahead, c.from, c.to = buf, 0, n
		return nil
	}
	return err
}

// Read is what TLS reads with: never beyond the end of the record in hand.
func (c *conn) Read(p []byte) (int, error) {
	if err := c.ready(); err != nil {
		return 0, err
	}
	have := c.ahead[c.from:c.to]
	if c.records {
		have = have[:c.record.take(have, len(p))]
	}
	n := copy(p, have)
	if c.from += n; c.from == c.to {
		buffers.put(c.ahead)
		c.ahead, c.from, c.to = nil, 0, 0
	}
	return n, nil
}

// takeAhead gives up what was read ahead, for a reader that goes on without TLS.
func (c *conn) takeAhead(dst []byte) []byte {
	dst = append(dst, c.ahead[c.from:c.to]...)
	if c.ahead != nil {
		buffers.put(c.ahead)
		c.ahead, c.from, c.to = nil, 0, 0
	}
	return dst
}

// Release gives up the connection that was accepted, with what was read of it and not handed on. It is for a reader that goes
// on without this package, and without TLS.
func (c *conn) Release() (inner net.Conn, ahead []byte) { return c.Conn, c.takeAhead(nil) }

// record follows the framing of TLS records (RFC 8446 §5.1): a header of five bytes, the last two the length.
type record struct {
	head [5]byte
	have int // bytes of the header seen
	left int // bytes of the payload to come
}

// take returns how many of the bytes may be handed on at once, at most most: a header, or of a payload what is there.
func (r *record) take(b []byte, most int) int {
	if r.left > 0 {
		n := min(r.left, len(b), most)
		if r.left -= n; r.left == 0 {
			r.have = 0
		}
		return n
	}
	n := copy(r.head[r.have:], b[:min(len(b), most)])
	if r.have += n; r.have == len(r.head) {
		if r.left = int(r.head[3])<<8 | int(r.head[4]); r.left == 0 {
			r.have = 0
		}
	}
	return n
}

func (c *conn) tryWrite(fd uintptr) bool {
	for {
		c.wn, c.werr = syscall.Write(int(fd), c.src)
		if c.werr != syscall.EINTR {
			return true
		}
	}
}

// Write writes p. In async mode it takes all of p and keeps what the kernel does not.
func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if !c.async {
		c.mu.Unlock()
		return c.Conn.Write(p)
	}
	defer c.mu.Unlock()
	if c.broken != nil {
		return 0, c.broken
	}
	n := 0
	if len(c.backlog) == 0 {
		c.src = p
		err := c.raw.Write(c.writeFn)
		c.src = nil
		switch {
		case err != nil:
			c.broken = err
		case c.werr != nil && c.werr != syscall.EAGAIN:
			c.broken = c.werr
		default:
			n = max(c.wn, 0)
		}
		if c.broken != nil {
			return 0, c.broken
		}
	}
	if n < len(p) {
		c.backlog = append(c.backlog, p[n:]...)
	}
	return len(p), nil
}

// setAsync makes Write not wait from now on.
func (c *conn) setAsync() {
	c.mu.Lock()
	c.async = true
	c.mu.Unlock()
}

// blocked reports that the kernel did not take all.
func (c *conn) blocked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.backlog) > 0
}

// drain waits until the kernel has taken the backlog, or the connection breaks.
func (c *conn) drain() error {
	for {
		c.mu.Lock()
		out, err := c.backlog, c.broken
		c.mu.Unlock()
		if err != nil || len(out) == 0 {
			return err
		}
		n, err := c.Conn.Write(out)
		c.mu.Lock()
		if err != nil {
			c.broken = err
		}
		if c.backlog = c.backlog[n:]; len(c.backlog) == 0 {
			c.backlog = nil
		}
		c.mu.Unlock()
	}
}

// lower returns the conn below a connection, also below TLS; nil if there is none.
func lower(nc net.Conn) (*conn, *tls.Conn) {
	switch c := nc.(type) {
	case *conn:
		return c, nil
	case *tls.Conn:
		if l, ok := c.NetConn().(*conn); ok {
			return l, c
		}
	}
	return nil, nil
}

// buffers are what incoming bytes are read into.
var buffers = bufferPool{sync.Pool{New: func() any { return new([bufferSize]byte) }}}

// bufferSize holds a usual burst of stanzas; a larger stanza gets memory of its own.
const bufferSize = 8 << 10

type bufferPool struct{ pool sync.Pool }

func (p *bufferPool) get() []byte { return p.pool.Get().(*[bufferSize]byte)[:] }

// put takes back a buffer that get returned, in whatever length; others are left to the garbage collector.
func (p *bufferPool) put(b []byte) {
	if cap(b) == bufferSize {
		p.pool.Put((*[bufferSize]byte)(b[:bufferSize]))
	}
}
