package focus

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"parley/muc"
	"parley/xmpp/wire"
)

// conference is the call in one room.
type conference struct {
	seat    *muc.Seat
	meeting string // id, a UUID
	created time.Time
	members members
	gate    Gate
	version uint64 // of what is wished of the bridge
	shown   string // the payload of the focus's presence
}

// opened notes that the focus sits in a room. It is called from the room's runner, for each conference request.
func (f *Focus) opened(m muc.Meeting) {
	f.update(m.Seat.Room(), func() *conference {
		c := f.conferences[m.Seat.Room()]
		if c == nil {
			c = &conference{seat: m.Seat, meeting: m.ID, created: m.Created}
			f.conferences[m.Seat.Room()] = c
		}
		return c
	})
}

// observe takes an event of a room, from its runner.
func (f *Focus) observe(e muc.Event) {
	switch e := e.(type) {
	case muc.OccupantJoined:
		f.change(e.Room, func(c *conference) { c.members.put(&e.Occupant) })
	case muc.OccupantChanged:
		f.change(e.Room, func(c *conference) { c.members.put(&e.Occupant) })
	case muc.OccupantRenamed:
		f.change(e.Room, func(c *conference) {
			c.members.remove(e.Old)
			c.members.put(&e.Occupant)
		})
	case muc.OccupantLeft:
		f.change(e.Room, func(c *conference) { c.members.remove(e.Nick) })
	case muc.RoomDestroyed:
		f.closed(e.Room)
	case muc.FocusStanza:
		f.stanza(e)
	}
}

func (f *Focus) change(room wire.Addr, with func(*conference)) {
	f.update(room, func() *conference {
		c := f.conferences[room]
		if c != nil {
			with(c)
		}
		return c
	})
}

// update changes a conference under the lock and then brings the presence of the focus and the bridge in line with it. The
// events of a room come one after another, so what is said outside the lock is said in order.
func (f *Focus) update(room wire.Addr, change func() *conference) {
	f.mu.Lock()
	c := change()
	if c == nil {
		f.mu.Unlock()
		return
	}
	var present []byte
	c.gate = c.members.gate()
	if p := f.presence(c); p != c.shown {
		c.shown, present = p, []byte(p)
	}
	wish := c.wish(room)
	f.mu.Unlock()
	if present != nil {
		c.seat.Present(present)
	}
	f.bridge.Apply(wish)
}

// wish describes what the bridge should do.
func (c *conference) wish(room wire.Addr) Conference {
	c.version++
	w := Conference{Room: room, Meeting: c.meeting, Version: c.version, Gate: c.gate}
	if c.gate != Closed {
		for _, m := range c.members {
			w.Endpoints = append(w.Endpoints, Endpoint{ID: m.endpoint})
		}
	}
	return w
}

func (f *Focus) closed(room wire.Addr) {
	f.mu.Lock()
	c := f.conferences[room]
	delete(f.conferences, room)
	f.mu.Unlock()
	if c != nil {
		f.bridge.Apply(Conference{Room: room, Meeting: c.meeting, Version: c.version + 1})
	}
}

// presence is what the focus says of the conference (jitsi.md §6.6). The lock is held.
func (f *Focus) presence(c *conference) string {
	bridges := "0"
	if f.bridge.Available() {
		bridges = "1"
	}
	var p []byte
	p = append(p, "<conference-properties xmlns='"+NSFocus+"'>"...)
	for _, kv := range [...][2]string{
		{"support-terminate-restart", "true"},
		{"created-ms", strconv.FormatInt(c.created.UnixMilli(), 10)},
		{"bridge-count", bridges},
	} {
		p = append(wire.AppendAttr(wire.AppendAttr(append(p, "<property"...), "key", kv[0]), "value", kv[1]), "/>"...)
	}
	p = append(p, "</conference-properties><versions xmlns='"+NSJitsi+"'><component name='focus'>parley</component></versions>"...)
	if c.gate >= SFU && !f.bridge.Available() {
		p = append(p, "<bridgeNotAvailable xmlns='"+NSFocus+"'/>"...)
	}
	return string(p)
}

// stanza answers what an occupant sends to the focus. What needs the bridge is not known here.
func (f *Focus) stanza(e muc.FocusStanza) {
	if e.Packet.Kind != wire.IQ {
		return
	}
	switch string(e.Packet.Type()) {
	case "get", "set":
	default:
		return
	}
	f.mu.Lock()
	c := f.conferences[e.Room]
	f.mu.Unlock()
	if c == nil {
		return
	}
	if e.Packet.ChildIs("query", NSDisco) && string(e.Packet.Type()) == "get" {
		c.seat.Answer(e, []byte("<query xmlns='"+NSDisco+"'><identity category='component' type='generic' name='focus'/><feature var='"+NSFocus+"'/><feature var='"+NSDisco+"'/></query>"))
		return
	}
	c.seat.Refuse(e, errUnknown)
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
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []Status
	for _, room := range slices.Sorted(maps.Keys(f.conferences)) {
		c := f.conferences[room]
		list = append(list, Status{room, c.meeting, c.gate, len(c.members)})
	}
	return list
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
