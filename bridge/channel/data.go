package channel

import (
	"sync/atomic"
	"time"
)

// Data is the Conn over an SCTP data channel.
type Data struct {
	in     inbox
	out    outbox
	life   life
	ticket *Ticket
	shut   func()
	start  time.Time
	heard  atomic.Int64 // when the last message came: nanoseconds after start
}

// Data begins a bridge channel over a data channel that the endpoint's client has opened; it takes the place of the
// endpoint's other connection, and is nil when the ticket has expired or the endpoint opens too many. Send sends one text
// message; it may block, keeps nothing of the text, and is called by one goroutine at a time. Shut closes the data channel:
// it is called once, when this Conn has ended, and makes a blocked send return; where Data is nil, it is not called. Data
// is not to be called with a lock held that Opened takes.
func (t *Ticket) Data(send func(text []byte) error, shut func()) *Data {
	source := t.key.conference + "/" + t.key.endpoint // for the log: the stream has no address
	d := &Data{in: t.inbox(source), life: life{all: &t.server.wg}, ticket: t, shut: shut, start: time.Now()}
	d.out = outbox{write: send, start: d.life.spawn, fail: d.Close, lost: lostTo(d.in.events, source, t.key.endpoint)}
	if !t.server.enter() {
		return nil
	}
	defer t.server.wg.Done()
	if !t.allow(time.Now()) {
		d.in.refuse(verdict{reason: "too many connections"})
		return nil
	}
	if !t.attach(d, &d.in) {
		return nil
	}
	return d
}

// Send implements Conn.
func (d *Data) Send(m Message) { d.out.put(m) }

// Close implements Conn. A data channel has no close codes.
func (d *Data) Close(int, string) {
	d.out.close()
	current := d.ticket.detach(d)
	d.life.end(func() {
		d.shut()
		if current {
			d.ticket.closed(d, &d.in, d.start.Add(time.Duration(d.heard.Load())-roundTrip))
		}
	})
}

// Receive takes a message from the data channel; it is for one goroutine at a time. Text is false for a binary message.
func (d *Data) Receive(data []byte, text bool) {
	now := time.Now()
	d.heard.Store(int64(now.Sub(d.start)))
	v := d.in.allow(now)
	switch {
	case d.life.over() || v.code != 0:
	case !text:
		d.in.refuse(verdict{reason: "binary message"})
	default:
		v = d.in.receive(d, data)
	}
	if v.code != 0 {
		d.Close(v.code, v.reason)
	}
}
