package xmpp

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/bench"
)

// Two people in a room set a call up and end it, through their addresses in the room: session-initiate of 6 kB,
// session-accept of 4 kB, five transport-infos each way, session-terminate, and the result of each (XEP-0166 §6,
// XEP-0176 §5): 26 stanzas.

const (
	offerSize, answerSize = 6000, 4000
	trickled              = 5 // transport-infos of each side
)

// jingle returns an IQ of about the size.
func jingle(to, id, action string, size int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<iq to='%s' type='set' id='%s'><jingle xmlns='urn:xmpp:jingle:1' action='%s' sid='s1'>", to, id, action)
	switch {
	case action == "transport-info":
		b.WriteString("<content creator='initiator' name='0'><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='8hhy' pwd='asd88fgpdd777uzjYhagZg'>" +
			"<candidate component='1' foundation='1' generation='0' id='el0747fg11' ip='10.0.1.1' network='1' port='8998' priority='2130706431' protocol='udp' type='host'/></transport></content>")
	case size > 0:
		b.WriteString("<content creator='initiator' name='0' senders='both'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>")
		for i := 0; b.Len() < size-300; i++ {
			fmt.Fprintf(&b, "<payload-type id='%d' name='VP8' clockrate='90000'><rtcp-fb xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' type='nack' subtype='pli'/><parameter name='x' value='%d'/></payload-type>", 96+i%30, i)
		}
		b.WriteString("</description><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='8hhy' pwd='asd88fgpdd777uzjYhagZg'><fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256' setup='actpass'>" +
			strings.Repeat("02:1A:", 15) + "02:1A</fingerprint></transport></content>")
	}
	b.WriteString("</jingle></iq>")
	return b.Bytes()
}

// call is two people who call again and again. The goroutines of both use what the mutex guards.
type call struct {
	b          *bout
	a, z       *client // caller and callee
	toA, toZ   string  // their addresses in the room
	offer, bye []byte
	answer     []byte // the session-accept and the transport-infos behind it
	trickle    []byte // the caller's transport-infos
	stop       *atomic.Bool
	done       atomic.Int64
	idle       atomic.Bool // stopped after a whole call

	mu       sync.Mutex
	started  time.Time
	results  int // results that the caller has got
	infos    int // transport-infos that the caller has got
	accepted bool
	ending   bool
	took     []time.Duration
}

func newCall(b *bout, a, z *client, room string, stop *atomic.Bool) *call {
	c := &call{b: b, a: a, z: z, toA: room + "/" + nick(0), toZ: room + "/" + nick(1), stop: stop}
	c.offer = jingle(c.toZ, "c0", "session-initiate", offerSize)
	c.bye = jingle(c.toZ, "c9", "session-terminate", 0)
	c.answer = jingle(c.toA, "z0", "session-accept", answerSize)
	for i := range trickled {
		c.trickle = append(c.trickle, jingle(c.toZ, "c"+strconv.Itoa(i+1), "transport-info", 0)...)
		c.answer = append(c.answer, jingle(c.toA, "z"+strconv.Itoa(i+1), "transport-info", 0)...)
	}
	return c
}

func (c *call) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beginLocked()
}

func (c *call) beginLocked() {
	c.started = time.Now()
	c.results, c.infos, c.accepted, c.ending = 0, 0, false, false
	c.a.write(c.offer)
}

// ack answers a request and returns its action.
func (c *call) ack(who *client, peer string, el *element) string {
	who.send("<iq type='result' to='" + peer + "' id='" + string(el.attr("id")) + "'/>")
	for _, action := range []string{"session-initiate", "session-accept", "transport-info", "session-terminate"} {
		if bytes.Contains(el.raw[:min(len(el.raw), 500)], []byte(action)) {
			return action
		}
	}
	return ""
}

// callee hears the callee's stanzas.
func (c *call) callee(el *element) {
	if !el.is("iq") {
		return
	}
	switch string(el.attr("type")) {
	case "set":
		switch c.ack(c.z, c.toA, el) {
		case "session-initiate":
			c.z.write(c.answer)
		case "":
			c.b.fail(wrong(c.z, el))
		}
	case "error":
		c.b.fail(wrong(c.z, el))
	}
}

// caller hears the caller's stanzas.
func (c *call) caller(el *element) {
	if !el.is("iq") {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch string(el.attr("type")) {
	case "set":
		switch c.ack(c.a, c.toZ, el) {
		case "session-accept":
			c.accepted = true
			c.a.write(c.trickle)
		case "transport-info":
			c.infos++
		default:
			c.b.fail(wrong(c.a, el))
		}
	case "result":
		c.results++
	default:
		c.b.fail(wrong(c.a, el))
	}
	switch {
	case c.ending && c.results == trickled+2:
		c.took = append(c.took, time.Since(c.started))
		c.done.Add(1)
		if c.stop.Load() {
			c.idle.Store(true)
			return
		}
		c.beginLocked()
	case !c.ending && c.accepted && c.infos == trickled && c.results == trickled+1:
		c.ending = true
		c.a.write(c.bye)
	}
}

// calls lets pairs call, each pair in a room of its own.
func (b *bout) calls(n int, name string) (s span, took []time.Duration, unfinished int64, err error) {
	clients, err := b.sessions(2*n, plain)
	if err != nil {
		return
	}
	var stop atomic.Bool
	all := make([]*call, n)
	for i := range all {
		room := name + strconv.Itoa(i) + "@" + b.srv.MUC
		c := newCall(b, clients[2*i], clients[2*i+1], room, &stop)
		for j, one := range []*client{c.a, c.z} {
			if err = enter(one, room, j); err != nil {
				return
			}
		}
		b.attend(c.a, &handler{element: c.caller})
		b.attend(c.z, &handler{element: c.callee})
		all[i] = c
	}
	for _, c := range all {
		c.begin()
	}
	s, err = b.steady(func() (n int64) {
		for _, c := range all {
			n += c.done.Load()
		}
		return n
	})
	if err != nil {
		return
	}
	stop.Store(true)
	unfinished, err = b.settled(func() (n int64) {
		for _, c := range all {
			if !c.idle.Load() {
				n++
			}
		}
		return n
	})
	for _, c := range all {
		c.mu.Lock()
		took = append(took, c.took...)
		c.mu.Unlock()
	}
	return
}

func (b *bout) callSetups() error {
	_, took, unfinished, err := b.calls(1, "alone")
	if err != nil {
		return err
	}
	if unfinished > 0 {
		return fmt.Errorf("%d calls were never set up", unfinished)
	}
	b.drop(b.clients)
	b.clients = nil
	s, _, unfinished, err := b.calls(b.o.Calls, "call")
	if err != nil {
		return err
	}
	b.perSecond("call set-up through a room", "calls", s, unfinished)
	b.value("call set-up alone, p50", "ms", milliseconds(bench.Percentile(took, 0.5)))
	return nil
}
