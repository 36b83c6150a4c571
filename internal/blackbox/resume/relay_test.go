package resume

import (
	"net"
	"sync"
	"testing"
)

// pipe is a way to the server that can go dead without being closed, as a network does. What was under way then may
// still arrive much later.
type pipe struct {
	t      testing.TB
	listen net.Listener
	to     string

	mu    sync.Mutex // guards what follows
	lines []*line
	dead  []*line
	ended bool
}

// line is one connection through the pipe.
type line struct {
	client, server net.Conn

	mu   sync.Mutex // held while something is passed on, and while the line is dead
	lost bool       // what is under way never arrives
}

func newPipe(t testing.TB, to string) *pipe {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &pipe{t: t, listen: l, to: to}
	go p.run()
	t.Cleanup(p.end)
	return p
}

func (p *pipe) address() string { return p.listen.Addr().String() }

func (p *pipe) run() {
	for {
		client, err := p.listen.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.to)
		if err != nil {
			p.t.Error(err)
			client.Close()
			continue
		}
		l := &line{client: client, server: server}
		p.mu.Lock()
		if p.ended {
			l.close()
		} else {
			p.lines = append(p.lines, l)
		}
		p.mu.Unlock()
		go l.pass(client, server)
		go l.pass(server, client)
	}
}

// pass takes bytes from one side to the other until one of them ends.
func (l *line) pass(from, to net.Conn) {
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		l.mu.Lock()
		if n > 0 {
			if _, failed := to.Write(b[:n]); err == nil {
				err = failed
			}
		}
		l.mu.Unlock()
		if err != nil {
			l.mu.Lock() // the end of a line is not told either while it is dead
			l.close()
			l.mu.Unlock()
			return
		}
	}
}

func (l *line) close() {
	l.client.Close()
	l.server.Close()
}

// freeze makes the lines that there are dead. Late says that what is under way will arrive at the thaw; if not it is lost.
func (p *pipe) freeze(late bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		l.mu.Lock() // until the thaw
		l.lost = !late
	}
	p.dead = append(p.dead, p.lines...)
	p.lines = nil
}

// thaw ends the death of lines.
func (p *pipe) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.dead {
		if l.lost {
			l.close()
		}
		l.mu.Unlock()
	}
	p.dead = nil
}

func (p *pipe) end() {
	p.listen.Close()
	p.mu.Lock()
	p.ended = true
	lines := append(p.lines, p.dead...)
	p.mu.Unlock()
	for _, l := range lines {
		l.close()
	}
	p.thaw()
}
