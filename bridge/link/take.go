package link

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"parley/internal/event"
)

// ServeChannels serves the connections that the front hands over (Channels) until ctx ends. The handler's requests have the
// remote address of the client. Each connection brings one request: what is no WebSocket then is closed, so that nobody
// gets past what the front checks.
func (h *Home) ServeChannels(ctx context.Context, handler http.Handler, events *event.Recorder) error {
	s := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: largestHead,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
	}
	s.SetKeepAlivesEnabled(false)
	l := &takenListener{UnixListener: h.channel, events: events, taken: make(chan net.Conn)}
	l.ctx, l.cancel = context.WithCancel(ctx)
	l.group.Go(l.run)
	defer l.group.Wait()
	defer context.AfterFunc(l.ctx, func() { l.UnixListener.Close(); s.Close() })()
	defer l.cancel()
	err := s.Serve(l)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// takenListener is the listener whose connections were handed over.
type takenListener struct {
	*net.UnixListener
	events *event.Recorder
	taken  chan net.Conn
	ctx    context.Context
	cancel context.CancelFunc
	group  sync.WaitGroup // of run and what it starts
}

// run accepts the front's connections until the context or the socket ends.
func (l *takenListener) run() {
	defer l.cancel()
	for {
		u, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors, say
			l.events.Hurt("limit.process", "", "text", "a connection could not be accepted", "err", err.Error())
			pause(l.ctx, 100*time.Millisecond)
			continue
		}
		l.group.Go(func() { l.hand(u) })
	}
}

// hand takes the client's connection that one of the front brings.
func (l *takenListener) hand(u *net.UnixConn) {
	defer context.AfterFunc(l.ctx, func() { u.Close() })()
	defer u.Close()
	if err := trusted(u); err != nil {
		l.events.Reject("bridge.auth", remote(u), "err", err.Error())
		return
	}
	c, err := take(u, patience)
	switch b := (*badMessage)(nil); {
	case errors.As(err, &b):
		l.events.Reject("bridge.bad", remote(u), "err", err.Error())
		return
	case errors.Is(err, errNoDescriptor):
		l.events.Hurt("limit.process", "", "text", "a connection could not be taken", "err", err.Error())
		return
	case err != nil:
		return // the front is gone, or has thought better of it
	}
	select {
	case l.taken <- c:
	case <-l.ctx.Done():
		c.Close()
	}
}

func (l *takenListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.taken:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

func (l *takenListener) Close() error {
	l.cancel()
	return nil
}

// taken is a client's connection, with what the front has read of it.
type taken struct {
	net.Conn
	ahead  []byte // is read first, by one goroutine
	remote net.Addr
}

func (t *taken) Read(p []byte) (int, error) {
	if len(t.ahead) == 0 {
		return t.Conn.Read(p)
	}
	n := copy(p, t.ahead)
	if t.ahead = t.ahead[n:]; len(t.ahead) == 0 {
		t.ahead = nil
	}
	return n, nil
}

func (t *taken) RemoteAddr() net.Addr { return t.remote }

// CloseWrite lets the HTTP server see to it that the client gets its answer, whatever it has sent behind the request.
func (t *taken) CloseWrite() error {
	if c, ok := t.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// errNoDescriptor says that the system had no room for the descriptor that was to come.
var errNoDescriptor = errors.New("link: out of descriptors")

// take says that we are ready and takes a connection. A badMessage is a fault of the front.
func take(u *net.UnixConn, within time.Duration) (*taken, error) {
	u.SetDeadline(time.Now().Add(within))
	if _, err := u.Write([]byte{ready}); err != nil {
		return nil, err
	}
	var head [4]byte
	file, n, err := receive(u, head[:])
	if err != nil {
		return nil, err
	}
	defer file.Close() // FileConn has its own
	if _, err := io.ReadFull(u, head[n:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > largestHand {
		return nil, bad("%d bytes with a descriptor", size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(u, body); err != nil {
		return nil, err
	}
	remote, ahead, err := parseHand(body)
	if err != nil {
		return nil, err
	}
	nc, err := net.FileConn(file)
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return nil, errNoDescriptor
	}
	if err != nil {
		return nil, bad("a descriptor of no connection: %v", err)
	}
	return &taken{Conn: nc, ahead: ahead, remote: net.TCPAddrFromAddrPort(netip.AddrPortFrom(remote, 0))}, nil
}

// receive reads the first bytes, and the one descriptor that comes with them.
func receive(u *net.UnixConn, b []byte) (*os.File, int, error) {
	control := make([]byte, syscall.CmsgSpace(4))
	n, size, flags, _, err := u.ReadMsgUnix(b, control)
	if err != nil {
		return nil, 0, err
	}
	if n == 0 {
		return nil, 0, io.EOF
	}
	fd := -1
	messages, err := syscall.ParseSocketControlMessage(control[:size])
	if err == nil && len(messages) == 1 {
		var list []int
		if list, err = syscall.ParseUnixRights(&messages[0]); len(list) > 0 {
			fd = list[0]
			for _, more := range list[1:] { // alignment leaves room for a second one
				syscall.Close(more)
				err = bad("two descriptors")
			}
		}
	}
	switch {
	case fd < 0 && flags&syscall.MSG_CTRUNC != 0:
		return nil, 0, errNoDescriptor
	case fd < 0:
		return nil, 0, bad("no descriptor")
	}
	file := os.NewFile(uintptr(fd), "channel")
	if err != nil || flags&syscall.MSG_CTRUNC != 0 {
		file.Close()
		return nil, 0, bad("more than a descriptor: %v", err)
	}
	return file, n, nil
}

// parseHand reads what goes with a descriptor.
func parseHand(body []byte) (remote netip.Addr, ahead []byte, err error) {
	text, ahead, found := bytes.Cut(body, []byte{'\n'})
	if !found || len(text) > longestAddr {
		return remote, nil, bad("no address of a client")
	}
	if remote, err = netip.ParseAddr(string(text)); err != nil {
		return remote, nil, bad("a client at %.64q", text)
	}
	return remote, ahead, nil
}
