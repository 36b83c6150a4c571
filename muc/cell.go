package muc

import (
	"crypto/rand"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"parley/xmpp/wire"
)

// cell is a room's bounded mailbox with the goroutine that empties it. The goroutine ends when the mailbox is empty.
type cell struct {
	service *Service
	addr    wire.Addr

	mu      sync.Mutex // guards what follows up to the next comment
	mail    []*input
	bytes   int  // of packets that are posted and not finished
	running bool // there is a goroutine
	dead    bool // nothing can be posted any more: find or make another cell

	// Only the goroutine touches these; that there is one at a time is what running says.
	room  *room // nil: not loaded
	epoch int64 // under which the room is written, 0 before the first Claim
	timer *time.Timer
	alarm time.Time // when the timer fires, zero if it does not
	fx    effects
	dice  [512]byte // random bytes that are not used yet, behind used
	used  int

	listed    listing // as the directory has it
	occupants int     // as counted in Stats
	counted   bool
}

// outcome is what became of a post.
type outcome uint8

const (
	posted outcome = iota
	crowded
	departed // the cell is dead
)

// post puts an input into the mailbox. Packets are bounded in number and bytes; what else happens, and goodbyes, are not:
// their number is bounded by what they follow.
func (c *cell) post(in *input) outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return departed
	}
	if in.packet != nil {
		n := len(in.packet.Raw())
		l := &c.service.config.Limits
		if !in.parting && (len(c.mail) >= l.Mailbox || c.bytes+n > l.MailboxBytes) {
			return crowded
		}
		c.bytes += n
		in.cell = c
	}
	c.mail = append(c.mail, in)
	if !c.running {
		c.running = true
		c.service.running.add()
		go c.run()
	}
	return posted
}

// done gives back what a packet took of the mailbox.
func (c *cell) done(bytes int) {
	c.mu.Lock()
	c.bytes -= bytes
	c.mu.Unlock()
}

// flushEvery is after how many inputs the receivers are written to, if there is still more in the mailbox.
const flushEvery = 32

func (c *cell) run() {
	defer c.service.running.done()
	var b wire.Batch
	var mail []*input
	for {
		c.mu.Lock()
		if len(c.mail) == 0 {
			c.running = false
			c.dead = c.room == nil
			dead := c.dead
			c.mu.Unlock()
			if dead {
				c.service.forget(c)
			}
			return
		}
		mail, c.mail = c.mail, mail[:0]
		c.mu.Unlock()
		for i, in := range mail {
			mail[i] = nil
			c.take(&b, in)
			if i%flushEvery == flushEvery-1 {
				b.Flush()
			}
		}
		b.Flush()
		c.wind()
		if cap(mail) > 1024 {
			mail = nil
		}
	}
}

// wind sets the timer for when the room wants it.
func (c *cell) wind() {
	var at time.Time
	if c.room != nil {
		at = c.room.wake()
	}
	if c.service.closing.Load() {
		at = time.Time{}
	}
	if at.Equal(c.alarm) {
		return
	}
	c.alarm = at
	if c.timer != nil {
		c.timer.Stop()
	}
	if !at.IsZero() {
		c.timer = time.AfterFunc(max(0, time.Until(at)), func() { c.post(&input{tick: true}) })
	}
}

// take gives one input to the room and carries out what the room wants.
func (c *cell) take(b *wire.Batch, in *input) {
	switch {
	case in.snapshot != nil:
		in.snapshot(c)
		return
	case in.restored != nil:
		c.restore(b, in)
		return
	}
	if c.room == nil {
		if in.packet == nil && in.do == nil {
			return // about a room that is no more
		}
		if why := c.load(); why != nil {
			c.fx.reset()
			c.absent(in, why)
			c.carryOut(b, in)
			return
		}
	}
	if c.room.phase == gone && in.committed == 0 {
		if !in.tick { // theirs is the next room of that name
			c.room.deferred = append(c.room.deferred, in)
		}
		return
	}
	if in.tick {
		c.alarm = time.Time{}
	}
	in.now = time.Now()
	c.roll(in.rand[:])
	in.quota = in.quota || c.room.phase == absent && c.service.mayMake(in.from, in.source)
	in.drains = c.service.draining.Load()
	c.fx.reset()
	if !c.step(in) {
		c.hurt(in)
	}
	c.carryOut(b, in)
	c.leaveOff(b)
}

// step steps the room and reports that it did not panic (hardening.md HF13, HR6).
func (c *cell) step(in *input) (ok bool) {
	defer func() {
		if e := recover(); e != nil {
			c.service.rec.Hurt("panic", string(c.addr), "room", string(c.addr), "err", fmt.Sprint(e), "stack", string(debug.Stack()))
		}
	}()
	c.room.step(in, &c.fx)
	return true
}

// hurt ends a room whose state is not to be trusted any more. Who was there is told to come again.
func (c *cell) hurt(in *input) {
	r := c.room
	released := slices.Clone(c.fx.released)
	c.fx.reset()
	c.fx.released = released
	if in.packet != nil {
		c.fx.finish(in)
	}
	for _, o := range r.pending {
		if o.in != nil {
			c.fx.finish(o.in)
		}
	}
	for _, waiting := range append(r.deferred, r.door.waiting...) {
		c.fx.finish(waiting)
	}
	for _, s := range r.byAddr {
		if r.isFocusAddr(s.addr) {
			continue
		}
		c.fx.left = append(c.fx.left, s.addr)
		tail := wire.AppendAttr(nil, "from", string(s.occupant.addr))
		c.fx.send(s.addr, wire.Stanza{Kind: wire.Presence, Tail: append(tail, " type='unavailable'><x xmlns='"+NSUser+
			"'><item affiliation='none' role='none'/><status code='110'/><status code='333'/></x></presence>"...)})
	}
	r.pending, r.phase = nil, gone
	c.fx.emit(RoomDestroyed{Room: r.addr})
}

// roll fills p with unpredictable bytes.
func (c *cell) roll(p []byte) {
	if c.used == 0 || c.used+len(p) > len(c.dice) {
		rand.Read(c.dice[:])
		c.used = 0
	}
	copy(p, c.dice[c.used:])
	clear(c.dice[c.used : c.used+len(p)])
	c.used += len(p)
}

// absent answers an input whose room cannot be had.
func (c *cell) absent(in *input, why *refusal) {
	if in.fail != nil {
		in.fail(why)
	}
	if in.packet != nil {
		refuseTo(in, &c.fx, *why, c.addr)
		if in.joins {
			c.fx.left = append(c.fx.left, in.from)
		}
		c.fx.finish(in)
	}
}

var writers = sync.Pool{New: func() any { return new(writer) }}

// carryOut does what a step wants done. What the room has become, what it says, and that the packet was handled get into
// the journal together.
func (c *cell) carryOut(b *wire.Batch, in *input) {
	s := c.service
	fx := &c.fx
	for i := range fx.writes {
		c.write(fx.writes[i])
	}
	for _, e := range fx.events {
		s.notice(e)
		if given, ok := e.(FocusStanza); ok {
			fx.released = append(fx.released, given.Hold())
		}
	}
	if s.journal != nil {
		s.journal.Begin()
		c.record()
	}
	for i := range fx.deliver {
		s.out.Deliver(b, fx.deliver[i].to, fx.deliver[i].stanza)
	}
	for _, addr := range fx.left {
		s.index.leave(addr, c.addr)
	}
	for _, ask := range fx.reads {
		s.read(b, c.addr, ask)
	}
	for _, l := range fx.lookups {
		s.look(b, c.addr, l)
	}
	for _, release := range fx.released {
		release()
	}
	if s.journal != nil {
		s.journal.End()
	}
	for _, r := range fx.rejects {
		s.rec.Reject(r.event, in.who(), "jid", string(in.from), "room", string(c.addr), "text", r.text)
	}
	if fx.guessed {
		s.guessed(in.source)
	}
}

// record writes what the room has become to the journal.
func (c *cell) record() {
	for _, note := range c.fx.notes {
		note()
	}
	if c.room == nil {
		return
	}
	w := writers.Get().(*writer)
	w.journal = c.service.journal
	c.room.record(w)
	writers.Put(w)
}

// leaveOff notes what the room has become, and lets go of one that is gone or was never there.
func (c *cell) leaveOff(b *wire.Batch) {
	r, s := c.room, c.service
	live := r.phase == open || r.phase == locked
	occupants := 0
	if live {
		occupants = len(r.sessions)
	}
	if live != c.counted {
		c.counted = live
		if live {
			s.rooms.Add(1)
		} else {
			s.rooms.Add(-1)
		}
	}
	if occupants != c.occupants {
		s.occupants.Add(int64(occupants - c.occupants))
		c.occupants = occupants
	}
	now := listing{}
	if r.phase == open && r.settings.Public {
		now = listing{true, r.settings.Name}
	}
	if now != c.listed {
		s.directory.set(c.addr, now)
		c.listed = now
	}
	switch {
	case live, len(r.pending) > 0:
		return
	}
	c.room = nil
	for _, in := range append(r.door.waiting, r.deferred...) {
		c.take(b, in)
	}
}
