package channel

import (
	"bufio"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener in memory.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// inMemory serves a ticket of endpoint a on a pipe, whose other end it returns, upgraded.
func inMemory(t *testing.T, e Endpoint) (*Server, *Ticket, net.Conn, *bufio.Reader) {
	s := NewServer(Config{Bridge: "n1", Rate: DefaultRate})
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	web := &http.Server{Handler: s}
	go web.Serve(p)
	client, server := net.Pipe()
	p.conns <- server
	ticket := s.Open("c1", "a", e)
	r := upgrade(t, client, ticket.Path())
	t.Cleanup(func() {
		client.Close()
		s.Close()
		web.Close()
	})
	return s, ticket, client, r
}

func TestSilentClientIsPingedAndGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, _, r := inMemory(t, newEndpoint())
		start := time.Now()
		var pings []time.Duration
		for {
			kind, _, err := readFrame(r)
			if err != nil {
				break
			}
			if kind == 9 {
				pings = append(pings, time.Since(start))
			}
		}
		if want := []time.Duration{15 * time.Second, 30 * time.Second, 45 * time.Second}; !slices.Equal(pings, want) {
			t.Errorf("pings after %v, want %v", pings, want)
		}
		if end := time.Since(start); end != idleTimeout {
			t.Errorf("closed after %v", end)
		}
	})
}

func TestClientThatAnswersPingsStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint()
		_, _, conn, r := inMemory(t, e)
		start := time.Now()
		var pings int
		for time.Since(start) < 10*time.Minute {
			kind, payload, err := readFrame(r)
			if err != nil {
				t.Fatalf("closed after %v: %v", time.Since(start), err)
			}
			if kind == 9 {
				pings++
				conn.Write(frame(0x8a, payload))
			}
		}
		if pings != 40 {
			t.Errorf("%d pings in 10 minutes", pings)
		}
	})
}

// A client that speaks is not pinged.
func TestBusyClientIsNotPinged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint()
		_, _, conn, r := inMemory(t, e)
		var pings int
		read := make(chan struct{})
		go func() {
			defer close(read)
			for {
				kind, _, err := readFrame(r)
				if err != nil {
					return
				}
				if kind == 9 {
					pings++
				}
			}
		}()
		for range 20 {
			time.Sleep(10 * time.Second)
			conn.Write(frame(0x81, []byte(`{"colibriClass":"EndpointStats"}`)))
		}
		synctest.Wait() // the last one is taken
		conn.Close()
		<-read
		if pings != 0 || len(e.received) != 20 {
			t.Errorf("%d pings, %d messages", pings, len(e.received))
		}
	})
}

// The budget of messages refills: 50 a second go on for ever.
func TestRateRefills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint()
		_, _, conn, r := inMemory(t, e)
		go func() {
			for {
				if _, _, err := readFrame(r); err != nil {
					return
				}
			}
		}()
		for range 500 {
			if _, err := conn.Write(frame(0x81, []byte(`{"colibriClass":"EndpointStats"}`))); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		if len(e.received) != 500 {
			t.Errorf("%d messages", len(e.received))
		}
	})
}

// A client that does not answer the close frame holds nobody up for longer than closeWait.
func TestExpireDoesNotWaitForTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ticket, _, r := inMemory(t, newEndpoint())
		if kind, _, err := readFrame(r); err != nil || kind != 1 {
			t.Fatal(kind, err)
		}
		start := time.Now()
		ticket.Expire()
		if took := time.Since(start); took != 0 {
			t.Errorf("Expire took %v", took)
		}
		s.Close() // nothing reads the close frame from the pipe
		if took := time.Since(start); took > closeWait {
			t.Errorf("Close took %v", took)
		}
	})
}
