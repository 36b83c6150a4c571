package c2s

import (
	"crypto/tls"
	"io"

	"parley/xmpp/wire"
)

// source is where bytes come from: a conn, or the requests of BOSH.
type source interface {
	wait() (buf []byte, n int, err error) // see conn
	readInto(dst []byte) (int, error)
}

// input holds the bytes that came in and are not worked off. While there are none it holds no memory. It belongs to the
// goroutine that reads.
type input struct {
	c        source
	tls      *tls.Conn // nil on a plain connection
	buf      []byte    // nil if empty
	from, to int
	hidden   bool // TLS may hold deciphered bytes
	limit    int  // bytes that may wait here
}

// bytes returns what is there; the slice lives until the next fill or take.
func (in *input) bytes() []byte { return in.buf[in.from:in.to] }

// take forgets the first n bytes.
func (in *input) take(n int) {
	if in.from += n; in.from == in.to {
		in.release()
	}
}

func (in *input) release() {
	buffers.put(in.buf)
	in.buf, in.from, in.to = nil, 0, 0
}

// fill waits for more bytes. Errors of the connection come as they are; wire.ErrSize says that more than limit bytes
// wait.
func (in *input) fill() error {
	if in.buf == nil && in.tls == nil {
		buf, n, err := in.c.wait()
		if n > 0 {
			in.buf, in.to = buf, n
			return nil
		}
		return err
	}
	if in.tls != nil && !in.hidden && in.buf == nil {
		if err := in.tls.NetConn().(*conn).ready(); err != nil {
			return err
		}
	}
	if err := in.room(); err != nil {
		return err
	}
	for {
		dst := in.buf[in.to:]
		var n int
		var err error
		if in.tls != nil {
			n, err = in.tls.Read(dst)
			in.hidden = n == len(dst)
		} else {
			n, err = in.c.readInto(dst)
		}
		in.to += n
		if n > 0 {
			return nil
		}
		if err != nil {
			if in.from == in.to {
				in.release()
			}
			return err
		}
	}
}

// room makes place behind in.to.
func (in *input) room() error {
	switch {
	case in.buf == nil:
		in.buf = buffers.get()
	case in.to < len(in.buf):
	case in.from > 0:
		in.to = copy(in.buf, in.buf[in.from:in.to])
		in.from = 0
	default:
		if len(in.buf) > in.limit {
			return wire.ErrSize
		}
		bigger := make([]byte, min(2*len(in.buf), in.limit+bufferSize))
		copy(bigger, in.buf)
		buffers.put(in.buf)
		in.buf = bigger
	}
	return nil
}

// eof tells an orderly end from a fault.
func eof(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }
