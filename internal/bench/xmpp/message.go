package xmpp

import (
	"strconv"
	"strings"
	"sync/atomic"
)

// Messages of 200 bytes go from one session to another, in pairs, with a window of unanswered ones: what the receiver has
// read lets the sender send as many. So the server decides the speed, and the more it takes in at a time the less
// each costs it, as with real load.

const messageSize = 200

// pair is a sender and a receiver. The receiver's goroutine does all the work.
type pair struct {
	b        *bout
	from, to *client
	head     string
	tail     string
	next     int64 // number of the next message to send
	due      int   // messages to send when what has come is worked off
	out      []byte
	stop     *atomic.Bool
	sent     atomic.Int64
	got      atomic.Int64
}

func newPair(b *bout, from, to *client, stop *atomic.Bool) *pair {
	p := &pair{b: b, from: from, to: to, stop: stop}
	p.head = "<message to='" + to.jid + "' type='chat' id='"
	p.tail = "'><body></body></message>"
	fill := max(messageSize-len(p.head)-len(p.tail)-8, 0)
	p.tail = strings.Replace(p.tail, "<body>", "<body>"+strings.Repeat("hello, world ", fill/13+1)[:fill], 1)
	return p
}

func (p *pair) element(el *element) {
	if !el.is("message") {
		if !el.is("presence") {
			p.b.fail(wrong(p.to, el))
		}
		return
	}
	n, err := strconv.ParseInt(string(el.attr("id")), 10, 64)
	if err != nil || string(el.attr("type")) != "chat" || string(el.attr("from")) != p.from.jid {
		p.b.fail(wrong(p.to, el))
		return
	}
	if want := p.got.Load(); n != want {
		p.b.fail(wrongOrder(p.to, want, n))
		return
	}
	p.got.Store(n + 1)
	p.due++
}

// flush sends what is due in one write. The window fits into any socket's buffer, so the write does not wait for a
// server that waits for us.
func (p *pair) flush() {
	if p.due == 0 || p.stop.Load() {
		return
	}
	p.out = p.messages(p.out[:0], p.due)
	p.due = 0
	p.from.write(p.out)
}

// messages appends the next n.
func (p *pair) messages(out []byte, n int) []byte {
	for range n {
		out = append(out, p.head...)
		out = strconv.AppendInt(out, p.next, 10)
		out = append(out, p.tail...)
		p.next++
	}
	p.sent.Store(p.next)
	return out
}

// converse lets pairs talk while f runs, and returns how many messages never came.
func (b *bout) converse(clients []*client, f func(count func() int64) error) (lost int64, err error) {
	var stop atomic.Bool
	pairs := make([]*pair, len(clients)/2)
	for i := range pairs {
		p := newPair(b, clients[2*i], clients[2*i+1], &stop)
		pairs[i] = p
		hear := &handler{element: func(el *element) {
			if !el.is("presence") {
				b.fail(wrong(p.from, el))
			}
		}}
		speak := &handler{element: p.element, done: p.flush}
		window := p.messages(nil, b.o.Window) // later the receiver's goroutine makes them
		b.attend(p.from, hear)
		b.attend(p.to, speak)
		p.from.write(window)
	}
	sum := func(of func(p *pair) int64) func() int64 {
		return func() (n int64) {
			for _, p := range pairs {
				n += of(p)
			}
			return n
		}
	}
	if err := f(sum(func(p *pair) int64 { return p.got.Load() })); err != nil {
		return 0, err
	}
	stop.Store(true)
	return b.settled(sum(func(p *pair) int64 { return p.sent.Load() - p.got.Load() }))
}

func (b *bout) messages(row string, as manner) error {
	clients, err := b.sessions(2*b.o.Pairs, as)
	if err != nil {
		return err
	}
	var s span
	lost, err := b.converse(clients, func(count func() int64) (err error) {
		s, err = b.steady(count)
		return err
	})
	if err != nil {
		return err
	}
	b.perSecond(row, "stanzas", s, lost)
	return nil
}
