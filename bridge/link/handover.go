package link

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// A client's connection that is plain TCP here is handed over whole: its descriptor goes through a third Unix socket
// (SCM_RIGHTS, unix(7)), and the front keeps nothing of it.
//
//	bridge → front   ready, 1 byte: the bridge has accepted
//	front → bridge   length of what follows, 4 bytes, most significant first; the descriptor comes with them
//	                 address of the client as text, LF
//	                 the head of its request, written again
//	                 what the front has read behind that
//
// The front closes the Unix socket after each. Until the bridge is ready nothing has happened to the client's connection, so
// that it is answered as any other request when there is no bridge, or a slow one.

const (
	ready       = 'R'
	largestHead = 32 << 10 // bytes of a request's head; the front's HTTP server allows less
	largestHand = 64 << 10 // bytes of what goes with a descriptor
	longestAddr = 64       // bytes of an address
)

// answer502 is for a client whose connection the HTTP server has given up already.
const answer502 = "HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

// Releaser is a connection around another one. Release gives that up, with what was read of it and not handed on.
type Releaser interface {
	Release() (inner net.Conn, ahead []byte)
}

// Channels returns the front's handler of bridge channels. It hands over connections that are plain TCP, and is a Proxy of
// the others: the keys of TLS are in our process.
func Channels(path string, log *slog.Logger) http.Handler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &handover{path, log, Proxy(path, log), patience}
}

type handover struct {
	path     string
	log      *slog.Logger
	proxy    http.Handler
	patience time.Duration
}

func (h *handover) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !mayHandOver(r) {
		h.proxy.ServeHTTP(w, r)
		return
	}
	head, err := headOf(r)
	if err != nil || len(head) > largestHead {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
		return
	}
	u, err := h.dial(r.Context())
	if err != nil { // without a bridge, or with one that does not know of this
		h.log.Debug("the bridge takes no connection", "err", err)
		if errors.Is(err, errNotReady) {
			w.WriteHeader(http.StatusBadGateway)
		} else {
			h.proxy.ServeHTTP(w, r)
		}
		return
	}
	defer u.Close()
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		h.log.Error("cannot take over a connection", "err", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	sent := append(head, early...)
	inner := nc
	if c, ok := nc.(Releaser); ok {
		var ahead []byte
		inner, ahead = c.Release()
		sent = append(sent, ahead...)
	}
	defer inner.Close() // our copy: the connection lives for as long as the bridge has one
	if err := pass(u, inner, remote.Addr(), sent); err != nil {
		h.log.Debug("the bridge has not taken a connection", "err", err)
		inner.SetWriteDeadline(time.Now().Add(time.Second))
		io.WriteString(inner, answer502)
	}
}

// mayHandOver reports that a request asks for a WebSocket, has nothing to say before that, and came over plain TCP. How well
// it asks is the bridge's to check.
func mayHandOver(r *http.Request) bool {
	return r.TLS == nil && r.Method == http.MethodGet && r.ProtoMajor == 1 && r.ProtoMinor == 1 && r.ContentLength == 0 && len(r.TransferEncoding) == 0 &&
		strings.EqualFold(r.Header.Get("Upgrade"), "websocket") && strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade")
}

// headOf writes the head of a request again, with those fields alone that are of the handshake of WebSockets (RFC 6455 §4.1).
func headOf(r *http.Request) ([]byte, error) {
	out := http.Request{
		Method: http.MethodGet, Host: r.Host, URL: &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery},
		Header: http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "User-Agent": {""}}, // an empty one is not written
	}
	for _, name := range []string{"Origin", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Protocol", "Sec-Websocket-Extensions"} {
		if values := r.Header.Values(name); len(values) > 0 {
			out.Header[name] = values
		}
	}
	var b bytes.Buffer
	err := out.Write(&b)
	return b.Bytes(), err
}

var errNotReady = errors.New("link: the bridge is there and does not take it")

// dial connects to a bridge that is ready to take a connection.
func (h *handover) dial(ctx context.Context) (*net.UnixConn, error) {
	ctx, cancel := context.WithTimeout(ctx, h.patience)
	defer cancel()
	nc, err := dial(ctx, h.path, channelFile)
	if err != nil {
		return nil, err
	}
	u := nc.(*net.UnixConn)
	u.SetDeadline(time.Now().Add(h.patience))
	var b [1]byte
	if err = trusted(u); err == nil {
		_, err = io.ReadFull(u, b[:])
	}
	if err == nil && b[0] != ready {
		err = bad("not ready but %q", b)
	}
	if err != nil {
		u.Close()
		return nil, fmt.Errorf("%w: %w", errNotReady, err)
	}
	return u, nil
}

// pass sends a connection's descriptor, and what goes with it. Of what was sent in part only, the bridge takes nothing.
func pass(u *net.UnixConn, nc net.Conn, remote netip.Addr, sent []byte) error {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return fmt.Errorf("link: %T has no descriptor", nc)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	frame := append(append(make([]byte, 4), remote.String()...), '\n')
	frame = append(frame, sent...)
	if len(frame)-4 > largestHand {
		return errLarge
	}
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	n, failed := 0, error(nil)
	err = raw.Control(func(fd uintptr) { n, _, failed = u.WriteMsgUnix(frame, syscall.UnixRights(int(fd)), nil) })
	if err = errors.Join(err, failed); err != nil || n == len(frame) { // from now on the connection is the bridge's
		return err
	}
	_, err = u.Write(frame[n:])
	return err
}
