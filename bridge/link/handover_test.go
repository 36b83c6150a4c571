package link

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// echo is a handler of channels that says whom it hears and then what it hears.
func echo(requests *atomic.Int32) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if strings.Contains(r.URL.RawQuery, "wrong") {
			http.Error(w, "forbidden", http.StatusForbidden)
			return
		}
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(1 << 20)
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		c.Write(context.Background(), websocket.MessageText, []byte(host+" "+r.Host+" "+r.URL.String()+" "+r.Header.Get("X-Forwarded-For")))
		for {
			kind, text, err := c.Read(context.Background())
			if err != nil || c.Write(context.Background(), kind, append(text, '!')) != nil {
				return
			}
		}
	})
}

// taking opens the place of a bridge that takes connections.
func taking(t *testing.T, dir string, h http.Handler, counted *counters) {
	t.Helper()
	home, err := Open(dir, "b")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		if err := home.ServeChannels(ctx, h, counted.Recorder); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		group.Wait()
		home.Close()
	})
}

// opening is a client's request for a WebSocket.
func opening(uri, more string) string {
	return "GET " + uri + " HTTP/1.1\r\nHost: conf.example:8080\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nX-Forwarded-For: 203.0.113.9\r\nCookie: secret\r\n" + more + "\r\n"
}

// text is a frame of a client with a mask of zeros.
func text(s string) string {
	head := []byte{0x81, 0x80 | byte(len(s))}
	if len(s) > 125 {
		head = binary.BigEndian.AppendUint16([]byte{0x81, 0x80 | 126}, uint16(len(s)))
	}
	return string(head) + "\x00\x00\x00\x00" + s
}

// heard reads a frame of a server.
func heard(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		t.Fatal(err)
	}
	n := int(head[1])
	if n == 126 {
		var size [2]byte
		io.ReadFull(r, size[:])
		n = int(binary.BigEndian.Uint16(size[:]))
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil || head[0] != 0x81 {
		t.Fatal(head, err)
	}
	return string(body)
}

func connect(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c, bufio.NewReader(c)
}

// greedy reads as much as there is and hands on a little.
type greedy struct {
	net.Conn
	ahead []byte
}

func (g *greedy) Read(p []byte) (int, error) {
	if len(g.ahead) == 0 {
		buf := make([]byte, 64<<10)
		n, err := g.Conn.Read(buf)
		if err != nil {
			return 0, err
		}
		g.ahead = buf[:n]
	}
	n := copy(p[:min(len(p), 700)], g.ahead)
	g.ahead = g.ahead[n:]
	return n, nil
}

func (g *greedy) Release() (net.Conn, []byte) { return g.Conn, g.ahead }

type greedyListener struct{ net.Listener }

func (l greedyListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &greedy{Conn: nc}, nil
}

// The connection outlives the front, and nothing is lost of what the client has sent early.
func TestConnectionsAreHandedOver(t *testing.T) {
	long := strings.ToLower(rand.Text()) + strings.Repeat("x", 20_000)
	for name, wrap := range map[string]func(net.Listener) net.Listener{
		"a socket": func(l net.Listener) net.Listener { return l }, "a wrapped socket": func(l net.Listener) net.Listener { return greedyListener{l} },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var requests atomic.Int32
			taking(t, dir, echo(&requests), newCounters())
			defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it closes what was forgotten
			before := descriptors(t)
			front := httptest.NewUnstartedServer(Channels(dir, nil))
			front.Listener = wrap(front.Listener)
			front.Start()
			defer front.Close()
			c, r := connect(t, front.Listener.Addr().String())
			io.WriteString(c, opening("/colibri-ws/b/c%20d/e?pwd=x&y=%2F", "Origin: https://elsewhere.example\r\n")+text("early")+text(long))
			res, err := http.ReadResponse(r, nil)
			if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
				t.Fatal(res, err)
			}
			if got, want := heard(t, r), "127.0.0.1 conf.example:8080 /colibri-ws/b/c%20d/e?pwd=x&y=%2F "; got != want {
				t.Errorf("the bridge hears %q, want %q", got, want)
			}
			if got := heard(t, r); got != "early!" {
				t.Errorf("%q", got)
			}
			if got := heard(t, r); got != long+"!" {
				t.Errorf("%d bytes", len(got))
			}
			front.CloseClientConnections()
			front.Close()
			// Of the connection two ends are left, the client's and the bridge's.
			eventually(t, "the front keeps nothing", func() bool { return descriptors(t) <= before+2 })
			for n := range 3 {
				io.WriteString(c, text(fmt.Sprint(n)))
				if got := heard(t, r); got != fmt.Sprint(n, "!") {
					t.Fatalf("%q", got)
				}
			}
		})
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc")
	}
	return len(list)
}

// Who is refused by the bridge does not get past the front by a second request.
func TestHandedOverConnectionBringsOneRequest(t *testing.T) {
	dir := t.TempDir()
	var requests atomic.Int32
	taking(t, dir, echo(&requests), newCounters())
	front := httptest.NewServer(Channels(dir, nil))
	defer front.Close()
	c, r := connect(t, front.Listener.Addr().String())
	io.WriteString(c, opening("/colibri-ws/b/c/e?pwd=wrong", "")+"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != http.StatusForbidden || !res.Close {
		t.Fatal(res, err)
	}
	io.Copy(io.Discard, res.Body)
	if rest, _ := io.ReadAll(r); len(rest) > 0 {
		t.Errorf("after the refusal: %q", rest)
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// What is not handed over goes by the proxy: TLS, what asks for no WebSocket, and where the bridge takes no connections.
func TestNotHandedOver(t *testing.T) {
	dir := t.TempDir()
	home, err := Open(dir, "b")
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	var proxied, handed atomic.Int32
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() { home.ServeHTTP(ctx, echo(&proxied), nil) })
	group.Go(func() { home.ServeChannels(ctx, echo(&handed), nil) })
	open := func(front *httptest.Server) {
		t.Helper()
		c, _, err := websocket.Dial(ctx, strings.Replace(front.URL, "http", "ws", 1)+"/colibri-ws/b/c/e?pwd=x", &websocket.DialOptions{HTTPClient: front.Client()})
		if err != nil {
			t.Fatal(err)
		}
		c.CloseNow()
	}
	plain := httptest.NewServer(Channels(dir, nil))
	defer plain.Close()
	open(plain)
	if proxied.Load() != 0 || handed.Load() != 1 {
		t.Fatalf("plain: %d by the proxy, %d handed over", proxied.Load(), handed.Load())
	}
	secure := httptest.NewTLSServer(Channels(dir, nil))
	defer secure.Close()
	open(secure)
	if proxied.Load() != 1 || handed.Load() != 1 {
		t.Fatalf("TLS: %d by the proxy, %d handed over", proxied.Load(), handed.Load())
	}
	for i, send := range []string{
		"GET /?wrong HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"GET /?wrong HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n",
		strings.Replace(opening("/?wrong", ""), "HTTP/1.1", "HTTP/1.0", 1),
		opening("/?wrong", "Content-Length: 4\r\n") + "GET ",
		opening("/?wrong", "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n",
	} {
		c, r := connect(t, plain.Listener.Addr().String())
		io.WriteString(c, send)
		res, err := http.ReadResponse(r, nil)
		if err != nil || res.StatusCode != http.StatusForbidden {
			t.Error(send, res, err)
		}
		if proxied.Load() != int32(2+i) || handed.Load() != 1 {
			t.Errorf("%q: %d by the proxy, %d handed over", send, proxied.Load(), handed.Load())
		}
		c.Close()
	}
	os.Remove(filepath.Join(dir, channelFile)) // a bridge of before
	before := proxied.Load()
	open(plain)
	if proxied.Load() != before+1 {
		t.Error("nobody has answered")
	}
}

// Whatever becomes of the bridge in the middle, the client gets an answer or the end of its connection.
func TestHandoverWithoutItsBridge(t *testing.T) {
	gone := func(*net.UnixConn) {}
	for name, c := range map[string]struct {
		bridge func(*net.UnixConn) // nil: it does not accept; without a listener: no bridge
		there  bool
		answer int
	}{
		"no bridge":     {gone, false, http.StatusBadGateway},
		"stopped":       {nil, true, http.StatusBadGateway},
		"ended at once": {gone, true, http.StatusBadGateway},
		"another's protocol": {func(u *net.UnixConn) {
			u.Write([]byte("H"))
			if n, _ := u.Read(make([]byte, 1)); n > 0 {
				t.Error("it was given the connection")
			}
		}, true, http.StatusBadGateway},
		"ended when ready": {func(u *net.UnixConn) { u.Write([]byte{ready}) }, true, 0},
		"ended with it": {func(u *net.UnixConn) {
			u.Write([]byte{ready})
			var b [4]byte
			file, _, err := receive(u, b[:])
			if err != nil {
				t.Error(err)
				return
			}
			file.Close()
		}, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if c.there {
				l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, channelFile), Net: "unix"})
				if err != nil {
					t.Fatal(err)
				}
				var group sync.WaitGroup
				defer group.Wait()
				defer l.Close()
				if c.bridge != nil {
					group.Go(func() {
						u, err := l.AcceptUnix()
						if err != nil {
							return
						}
						c.bridge(u)
						u.Close()
					})
				}
			}
			h := Channels(dir, nil).(*handover)
			h.patience = 300 * time.Millisecond
			front := httptest.NewServer(h)
			defer front.Close()
			nc, r := connect(t, front.Listener.Addr().String())
			io.WriteString(nc, opening("/colibri-ws/b/c/e?pwd=x", ""))
			res, err := http.ReadResponse(r, nil)
			switch {
			case c.answer == 0 && err == nil && res.StatusCode != http.StatusBadGateway:
				t.Errorf("answered with %d", res.StatusCode)
			case c.answer != 0 && (err != nil || res.StatusCode != c.answer):
				t.Error(res, err)
			case errors.Is(err, os.ErrDeadlineExceeded):
				t.Error("neither an answer nor the end")
			}
		})
	}
}

// fat is a connection of which more was read than goes with a descriptor.
type fat struct{ net.Conn }

func (f fat) Release() (net.Conn, []byte) { return f.Conn, make([]byte, largestHand) }

type fatListener struct{ net.Listener }

func (l fatListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	return fat{nc}, err
}

// A client whose connection cannot be handed over once the HTTP server has given it up is told so.
func TestFailedHandoverIsAnswered(t *testing.T) {
	dir := t.TempDir()
	var requests atomic.Int32
	taking(t, dir, echo(&requests), newCounters())
	front := httptest.NewUnstartedServer(Channels(dir, nil))
	front.Listener = fatListener{front.Listener}
	front.Start()
	defer front.Close()
	c, r := connect(t, front.Listener.Addr().String())
	io.WriteString(c, opening("/colibri-ws/b/c/e?pwd=x", ""))
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusBadGateway || !res.Close {
		t.Error(res, err)
	}
	if _, err := r.ReadByte(); err != io.EOF || requests.Load() != 0 {
		t.Error(err, requests.Load())
	}
}

func TestHugeHeadIsRefused(t *testing.T) {
	dir := t.TempDir()
	var requests atomic.Int32
	taking(t, dir, echo(&requests), newCounters())
	front := httptest.NewServer(Channels(dir, nil))
	defer front.Close()
	c, r := connect(t, front.Listener.Addr().String())
	io.WriteString(c, opening("/colibri-ws/b/c/e?pwd="+strings.Repeat("x", largestHead), ""))
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusRequestHeaderFieldsTooLarge || !res.Close {
		t.Error(res, err)
	}
	if requests.Load() != 0 {
		t.Error("the bridge was asked")
	}
}

// Whatever one sends who may open the socket, the bridge keeps no descriptor and goes on.
func TestHB12BadHandovers(t *testing.T) {
	dir := t.TempDir()
	var requests atomic.Int32
	counted := newCounters()
	taking(t, dir, echo(&requests), counted)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, _ := l.(*net.TCPListener).SyscallConn()
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	frame := func(n uint32, body string) []byte { return append(binary.BigEndian.AppendUint32(nil, n), body...) }
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it closes what was forgotten
	before := descriptors(t)
	send := func(data, control []byte) {
		t.Helper()
		nc, err := dial(t.Context(), dir, channelFile)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		u := nc.(*net.UnixConn)
		var b [1]byte
		if _, err := io.ReadFull(u, b[:]); err != nil || b[0] != ready {
			t.Fatal(b, err)
		}
		u.WriteMsgUnix(data, control, nil)
		u.CloseWrite()
		u.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := u.Read(b[:]); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(n, err)
		}
	}
	raw.Control(func(fd uintptr) {
		one := func(n int) []byte {
			list := make([]int, n)
			for i := range list {
				list[i] = int(fd)
			}
			return syscall.UnixRights(list...)
		}
		good := "127.0.0.1\n"
		bad := 0
		for name, c := range map[string]struct {
			data, control []byte
			counts        bool
		}{
			"nothing":              {nil, nil, false},
			"no descriptor":        {frame(10, good), nil, true},
			"two descriptors":      {frame(10, good), one(2), true},
			"nine descriptors":     {frame(10, good), one(9), true},
			"a file":               {frame(10, good), syscall.UnixRights(int(file.Fd())), true},
			"cut short":            {frame(400, good), one(1), false},
			"a part of the length": {[]byte{0, 0}, one(1), false},
			"too long":             {frame(largestHand+1, good), one(1), true},
			"no line":              {frame(3, "127"), one(1), true},
			"no address":           {frame(4, "bob\n"), one(1), true},
			"a long zone":          {frame(200, "fe80::1%"+strings.Repeat("z", 191)+"\n"), one(1), true},
			"a long address":       {frame(200, strings.Repeat("1", 199)+"\n"), one(1), true},
		} {
			if c.counts {
				bad++
			}
			send(c.data, c.control)
			eventually(t, name+" is counted", func() bool { return counted.of("bridge.bad") == float64(bad) })
		}
	})
	eventually(t, "no descriptor is left", func() bool { return descriptors(t) <= before })
	front := httptest.NewServer(Channels(dir, nil))
	defer front.Close()
	c, _, err := websocket.Dial(t.Context(), strings.Replace(front.URL, "http", "ws", 1)+"/colibri-ws/b/c/e", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.CloseNow()
	if requests.Load() != 1 {
		t.Errorf("%d requests", requests.Load())
	}
}

// A front that stops in the middle holds nothing for long.
func TestSlowFrontIsGivenUp(t *testing.T) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range pair {
		f := os.NewFile(uintptr(fd), "pair")
		nc, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = nc.(*net.UnixConn)
		defer nc.Close()
	}
	ends[0].WriteMsgUnix([]byte{0, 0, 0}, syscall.UnixRights(pair[0]), nil)
	if _, err := take(ends[1], 50*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

func FuzzParseHand(f *testing.F) {
	f.Add([]byte("192.0.2.1\nGET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte("2001:db8::1\n\n"))
	f.Add([]byte("fe80::1%eth0\n"))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		remote, ahead, err := parseHand(body)
		if err != nil {
			return
		}
		if !remote.IsValid() || !bytes.HasSuffix(body, append([]byte{'\n'}, ahead...)) {
			t.Fatalf("%q: %v %q", body, remote, ahead)
		}
		again, rest, err := parseHand(append([]byte(remote.String()+"\n"), ahead...))
		if err != nil || again != remote || !bytes.Equal(rest, ahead) {
			t.Fatalf("%q: %v", body, err)
		}
	})
}

// What the bridge reads of a head that is handed over is one request, the same that the front has read, and what was sent behind
// it is left as it was.
func FuzzHead(f *testing.F) {
	f.Add([]byte(opening("/colibri-ws/b/c/e?pwd=x", "")))
	f.Add([]byte(opening("/colibri-ws/b/c%2Fd/e?pwd=x&y=%00;", "Origin: null\r\nSec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Protocol: c\r\n")))
	f.Add([]byte(opening("http://other.example/x", "Expect: 100-continue\r\n")))
	f.Add([]byte(opening("//x", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n")))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
		if err != nil || !mayHandOver(r) {
			return
		}
		head, err := headOf(r)
		if err != nil {
			return
		}
		const behind = "GET /behind HTTP/1.1\r\n"
		b := bufio.NewReader(bytes.NewReader(append(head, behind...)))
		again, err := http.ReadRequest(b)
		if err != nil {
			t.Fatalf("%q\nbecomes %q: %v", text, head, err)
		}
		if rest, _ := io.ReadAll(b); string(rest) != behind || again.ContentLength != 0 || !mayHandOver(again) {
			t.Fatalf("%q\nbecomes %q, and %q is left", text, head, rest)
		}
		if again.URL.Path != r.URL.Path || again.URL.RawQuery != r.URL.RawQuery || len(again.Header) > 7 {
			t.Fatalf("%q\nbecomes %q", text, head)
		}
		for _, name := range []string{"Cookie", "X-Forwarded-For", "Authorization"} {
			if again.Header.Get(name) != "" {
				t.Fatalf("%s is handed on: %q", name, head)
			}
		}
	})
}

// What is counted of a client's connection is what was asked for before: the address that the front believes.
func TestHandedOverAddressIsTheFronts(t *testing.T) {
	dir := t.TempDir()
	var requests atomic.Int32
	taking(t, dir, echo(&requests), newCounters())
	channels := Channels(dir, nil)
	for _, at := range []string{"203.0.113.7:0", "[2001:db8::7]:4711"} {
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.RemoteAddr = at
			channels.ServeHTTP(w, r)
		}))
		c, _, err := websocket.Dial(t.Context(), strings.Replace(front.URL, "http", "ws", 1), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, said, err := c.Read(t.Context())
		if want := netip.MustParseAddrPort(at).Addr().String() + " "; err != nil || !strings.HasPrefix(string(said), want) {
			t.Errorf("%s: %q %v", at, said, err)
		}
		c.CloseNow()
		front.Close()
	}
}
