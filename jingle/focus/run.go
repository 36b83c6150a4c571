package focus

import (
	"crypto/rand"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"parley/bridge/api"
	"parley/muc"
	"parley/xmpp/wire"
)

// opened notes that the focus sits in a room. It is called from the room's runner, for each conference request.
func (f *Focus) opened(m muc.Meeting) {
	room := m.Seat.Room()
	f.mu.Lock()
	c := f.conferences[room]
	if c == nil {
		c = newConference(room, m.ID, m.Created, digits)
		c.caps, c.offering, c.seat = &f.caps, f.offering, m.Seat
		c.written.on = f.journal != nil
		c.muji.begin(f.mujiDomain)
		f.conferences[room], f.byID[m.ID] = c, c
	}
	f.mu.Unlock()
	f.step(c, func(time.Time) {
		for i := range m.Others {
			c.mujied(&m.Others[i])
		}
	})
}

func digits(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// observe takes an event of a room, from its runner.
func (f *Focus) observe(e muc.Event) {
	var room wire.Addr
	switch e := e.(type) {
	case muc.OccupantJoined:
		room = e.Room
	case muc.OccupantChanged:
		room = e.Room
	case muc.OccupantRenamed:
		room = e.Room
	case muc.OccupantLeft:
		room = e.Room
	case muc.FocusStanza:
		room = e.Room
	case muc.RoomDestroyed:
		f.closed(e.Room)
		return
	case muc.Restoring:
		f.restore(e.Rooms)
		return
	case muc.RoomRestored:
		f.restored(e)
		return
	default:
		return
	}
	f.mu.Lock()
	c := f.conferences[room]
	f.mu.Unlock()
	if c == nil {
		return
	}
	given, ok := e.(muc.FocusStanza)
	if !ok {
		f.step(c, func(now time.Time) { c.occurred(e, now) })
		return
	}
	release := given.Hold()
	if !f.step(c, func(now time.Time) {
		c.occurred(e, now)
		c.emit(done{release})
	}) {
		release()
	}
}

// closed ends a conference with its room.
func (f *Focus) closed(room wire.Addr) {
	f.mu.Lock()
	c := f.conferences[room]
	if c != nil {
		delete(f.conferences, room)
		delete(f.byID, c.meeting)
	}
	f.mu.Unlock()
	if c != nil {
		if f.journal != nil {
			end := record{entry: entry{Ended: true}}
			c.ledger.write(f.journal, end, end.entry.marshal(c.meeting))
		}
		f.step(c, func(now time.Time) {
			c.members, c.changed, c.ended = nil, c.version > 0, true
			c.open = false
			c.watch(now)
		})
	}
}

// BridgeEvent takes what the bridge tells. An empty event says that Info has another answer: the connection is gone.
func (f *Focus) BridgeEvent(e api.Event) {
	switch {
	case e.Hello != nil:
		f.draining.Store(false)
		f.adopt(e.Hello)
		for _, c := range f.all() {
			f.step(c, func(now time.Time) { c.greeted(*e.Hello, now) })
		}
	case e.Transport != nil:
		f.at(e.Transport.Conference, func(c *conference, _ time.Time) { c.transport(e.Transport) })
	case e.State != nil:
		f.at(e.State.Conference, func(c *conference, now time.Time) { c.state(e.State, now) })
	case e.Stress != nil && f.draining.Swap(e.Stress.Draining) == e.Stress.Draining: // nothing new
	case e.Stress != nil, e == (api.Event{}):
		for _, c := range f.all() {
			f.step(c, func(time.Time) {})
		}
	}
}

// orphanTime is how long a bridge may keep conferences that nobody wishes: those of a focus that was killed, whose
// members come back to other conferences within that time.
const orphanTime = time.Minute

// adopt ends what a bridge has and nobody wishes, after a while.
func (f *Focus) adopt(h *api.Hello) {
	for id, version := range h.Conferences {
		f.mu.Lock()
		known := f.byID[id] != nil
		f.mu.Unlock()
		if !known {
			time.AfterFunc(orphanTime, func() {
				f.mu.Lock()
				known := f.byID[id] != nil
				f.mu.Unlock()
				if now, there := f.bridge.Info(); !known && there && now.Bridge == h.Bridge {
					f.bridge.Apply(api.Conference{ID: id, Version: version + 1})
				}
			})
		}
	}
}

// at changes the conference of a meeting.
func (f *Focus) at(meeting string, do func(*conference, time.Time)) {
	f.mu.Lock()
	c := f.byID[meeting]
	f.mu.Unlock()
	if c != nil {
		f.step(c, func(now time.Time) { do(c, now) })
	}
}

// all returns the conferences, by room.
func (f *Focus) all() []*conference {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]*conference, 0, len(f.conferences))
	for _, room := range slices.Sorted(maps.Keys(f.conferences)) {
		list = append(list, f.conferences[room])
	}
	return list
}

// step lets something happen to a conference, unless it has ended, and carries out what follows from it. Effects leave in the order in which they
// arose, without a lock, by whoever comes first: so a bridge may answer from within Apply.
func (f *Focus) step(c *conference, happens func(now time.Time)) (ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	if c.restoring {
		c.later = append(c.later, happens)
		return true
	}
	now := time.Now()
	hello, there := f.bridge.Info()
	there = there && (!f.draining.Load() || c.placed()) // a bridge that drains gets no other conferences (jitsi.md §14.3)
	c.found(hello, there, now)
	happens(now)
	if c.ended {
		if c.changed {
			c.emit(apply{c.wish()})
		}
	} else {
		c.settle(now)
		c.record()
	}
	if f.attend != nil {
		c.attending()
	}
	if c.busy {
		return true
	}
	c.busy = true
	defer func() { c.busy = false }()
	for len(c.out) > 0 {
		f.carryOut(c)
	}
	f.arm(c)
	return true
}

// carryOut does what a conference wants done. The lock is held before and after.
func (f *Focus) carryOut(c *conference) {
	out := c.out
	c.out = nil
	c.mu.Unlock()
	defer c.mu.Lock()
	c.seat.Together(func(seat *muc.Seat) {
		for _, e := range out {
			e.do(f, c, seat)
		}
	})
}

// arm sets the conference's timer. The lock is held.
func (f *Focus) arm(c *conference) {
	next := c.deadline()
	switch {
	case c.ended || next.IsZero():
		if c.timer != nil {
			c.timer.Stop()
		}
	case c.timer == nil:
		c.timer = time.AfterFunc(max(0, time.Until(next)), func() { f.step(c, func(time.Time) {}) })
	default:
		c.timer.Reset(max(0, time.Until(next)))
	}
}

// Status describes a conference to administrators.
type Status struct {
	Room    wire.Addr
	Meeting string
	Gate    Gate
	Members int
}

// Conferences lists the conferences, by room.
func (f *Focus) Conferences() []Status {
	var list []Status
	for _, c := range f.all() {
		c.mu.Lock()
		list = append(list, Status{c.room, c.meeting, c.gate, len(c.members)})
		c.mu.Unlock()
	}
	return list
}

// Conference describes the conference in a room, if there is one.
func (f *Focus) Conference(room wire.Addr) (s Status, ok bool) {
	f.mu.Lock()
	c := f.conferences[room]
	f.mu.Unlock()
	if c == nil {
		return s, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return Status{c.room, c.meeting, c.gate, len(c.members)}, true
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
