package focus

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"parley/bridge/api"
	"parley/jingle"
	"parley/muc"
	"parley/xmpp/wire"
)

// conference is the call in one room. It is a machine: what happens comes in with its time, what is to be done goes out as
// effects, in order. It knows no clock and does no I/O.
type conference struct {
	room    wire.Addr
	meeting string // id, a UUID
	created time.Time
	random  func(bytes int) string // hexadecimal digits
	caps    *capsCache
	offering
	senders senderLimits

	members   members
	calls     map[wire.Addr]*call // of ordinary clients, by the addresses of their occupants
	gate      Gate
	open      bool      // sessions are offered
	aloneTill time.Time // when a member that is alone counts as such; zero for others
	shown     string    // the payload of the focus's presence

	// What is said to the bridge.
	there    bool   // it can be reached
	serving  string // id of the bridge that has the sessions
	region   string
	version  uint64 // of what is wished
	sessions int    // counts those of all members
	changed  bool   // the wish is another one than the last

	// What is sent in the conference.
	audioSSRC, videoSSRC uint32            // the bridge's own
	ssrcs                map[uint32]string // owner
	msids                map[string]string // name of the source
	revision             uint64            // counts changes of sources

	iqs uint64
	out []effect

	seen     []seen // the attendance that was told last, by member
	seenGate Gate

	// After the process was killed.
	adopting bool      // the bridge that was there counts as there, ...
	adoptBy  time.Time // ... until then
	written  written

	ledger ledger
	talk   talk
	muji   muji

	// What follows belongs to Focus.step.
	mu        sync.Mutex            // guards all of the conference
	restoring bool                  // until the room says who is there ...
	later     []func(now time.Time) // ... this waits
	seat      *muc.Seat
	ended     bool
	busy      bool // somebody carries out effects
	timer     *time.Timer
}

// offering is how a server's offers look, apart from what clients can do.
type offering struct {
	channels string // where bridge channels are, as "wss://meet.example", and the bridge's path follows; "": data channels
	red      bool   // redundant audio is offered (RFC 2198)
}

// loneliness is how long the session of who is alone is kept (jitsi.md §7).
const loneliness = 20 * time.Second

var defaultSenders = senderLimits{1000, 1000}

func newConference(room wire.Addr, meeting string, created time.Time, random func(int) string) *conference {
	c := &conference{room: room, meeting: meeting, created: created, random: random, caps: new(capsCache),
		ssrcs: make(map[uint32]string), msids: make(map[string]string), senders: defaultSenders}
	c.videoSSRC, c.audioSSRC = c.reserve(bridgeOwner), c.reserve(bridgeOwner)
	return c
}

func hexSSRC(digits string) uint32 {
	n, _ := strconv.ParseUint(digits, 16, 32)
	return uint32(n)
}

// focus returns the focus's address in the room.
func (c *conference) focus() wire.Addr { return c.room + "/" + focusNick }

func (c *conference) emit(e effect) { c.out = append(c.out, e) }

// iq returns a new id.
func (c *conference) iq() string {
	c.iqs++
	return "f" + strconv.FormatUint(c.iqs, 10)
}

// occurred takes an event of the room.
func (c *conference) occurred(e muc.Event, now time.Time) {
	switch e := e.(type) {
	case muc.OccupantJoined:
		c.put(&e.Occupant)
		c.mujied(&e.Occupant)
	case muc.OccupantChanged:
		c.put(&e.Occupant)
		c.mujied(&e.Occupant)
	case muc.OccupantRenamed:
		c.leave(e.Old)
		c.put(&e.Occupant)
		c.muji.rename(e.Old, e.Nick)
		c.mujied(&e.Occupant)
	case muc.OccupantLeft:
		c.leave(e.Nick)
		c.muji.leave(e.Nick)
	case muc.FocusStanza:
		c.stanza(e, now)
	}
}

// stanza takes what an occupant sends to the focus.
func (c *conference) stanza(e muc.FocusStanza, now time.Time) {
	p := e.Packet
	if p.Kind != wire.IQ {
		return
	}
	typ := string(p.Type())
	mute, ns := muting(p)
	switch {
	case typ == "result", typ == "error":
		c.answered(e, now)
	case typ != "get" && typ != "set":
	case typ == "get" && p.ChildIs("query", NSDisco):
		c.emit(answer{e, []byte("<query xmlns='" + NSDisco + "'><identity category='component' type='generic' name='focus'/><feature var='" + NSFocus + "'/><feature var='" + NSDisco + "'/></query>")})
	case typ == "set" && p.ChildIs("jingle", jingle.NSJingle):
		c.negotiate(e, now)
	case typ == "set" && mute.Ok():
		c.mute(e, mute, ns)
	default:
		c.emit(refuse{e, errUnknown, ""})
	}
}

// found takes which bridge there is. Another one than that which had the sessions has none of them: they begin again.
func (c *conference) found(h api.Hello, there bool, now time.Time) {
	c.there = there
	if !there {
		return
	}
	c.region = h.Region
	if c.serving != "" && c.serving != h.Bridge {
		c.lost(now)
	}
	c.serving = h.Bridge
}

// placed says that the bridge has the conference.
func (c *conference) placed() bool {
	return slices.ContainsFunc(c.members, func(m *member) bool { return m.transport != nil })
}

// greeted takes what the bridge says it has, after its connection was made.
func (c *conference) greeted(h api.Hello, now time.Time) {
	c.found(h, true, now)
	version, has := h.Conferences[c.meeting]
	if !has && c.placed() {
		c.lost(now) // it was given up there
	}
	c.version = max(c.version, version)
	if c.version > 0 {
		c.changed = true // what was lost on the way is said again
	}
}

// lost begins all sessions again, on a bridge that knows nothing of them. The members stay in the room.
func (c *conference) lost(now time.Time) {
	for _, m := range c.members {
		switch m.stage {
		case waiting, offered, active:
			if m.call != nil {
				c.muji.lost(m.call.peer)
				c.hangUp(m, &jingle.Reason{Condition: jingle.ConnectivityError, Text: "the bridge is gone, call again"})
				continue
			}
			m.attempts = 0
			c.again(m, moved, now)
		}
	}
}

// settle brings everything that follows from the members in line with them.
func (c *conference) settle(now time.Time) {
	if c.adopting && (c.there || due(c.adoptBy, now)) {
		c.adopting, c.adoptBy = false, time.Time{}
	}
	c.gate = c.members.gate()
	defer c.watch(now)
	switch {
	case len(c.members) >= 2 || c.members.calling(): // who calls is in the meeting, and may wait in it
		c.open, c.aloneTill = true, time.Time{}
	case !c.open:
	case len(c.members) == 0 || due(c.aloneTill, now):
		c.open, c.aloneTill = false, time.Time{}
		for _, m := range c.members {
			c.end(m, expired)
		}
	case c.aloneTill.IsZero():
		c.aloneTill = now.Add(loneliness)
	}
	for _, m := range c.members {
		if k := m.call; k != nil && k.by.IsZero() && m.stage == idle && (k.mesh == nil || len(c.members) > 1) {
			if k.by = now.Add(callTime); k.offers() {
				k.by = now.Add(callTime + acceptTime)
			}
		}
		c.expire(m, now)
		if anchored := c.anchored(m, now); c.open && c.there && m.stage == idle && anchored {
			c.begin(m, now)
		}
		if m.stage == waiting && m.learned && m.features&(Audio|Video) == 0 {
			c.stop(m, nil) // a client without media
		}
		c.offer(m, now)
	}
	for _, m := range c.members {
		c.tell(m)
		c.raise(m, now)
		c.feed(m, now)
	}
	c.muji.advance(c, now)
	if p := c.presence(); p != c.shown {
		c.shown = p
		c.emit(present{[]byte(p)})
	}
	if c.muji.fence {
		c.muji.fence = false
		c.emit(mujiFence{c.muji.shown})
	}
	if c.changed {
		c.emit(apply{c.wish()})
	}
}

// deadline returns when settle wants to be called again, zero for never.
func (c *conference) deadline() time.Time {
	next := c.aloneTill
	if t := c.muji.deadline(); !t.IsZero() && (next.IsZero() || t.Before(next)) {
		next = t
	}
	if !c.adoptBy.IsZero() && (next.IsZero() || c.adoptBy.Before(next)) {
		next = c.adoptBy
	}
	for _, m := range c.members {
		for _, t := range [...]time.Time{m.question.by, m.resultBy, m.acceptBy, m.restartBy, m.callBy(), m.uplinkBy(), m.feedBy()} {
			if !t.IsZero() && (next.IsZero() || t.Before(next)) {
				next = t
			}
		}
	}
	return next
}

// wish describes what the bridge should do.
func (c *conference) wish() api.Conference {
	c.changed = false
	c.version++
	w := api.Conference{ID: c.meeting, Room: string(c.room), Version: c.version}
	for _, m := range c.members {
		switch m.stage {
		case waiting, offered, active:
			if m.call != nil {
				if m.call.peer != "" {
					w.Endpoints = append(w.Endpoints, restrict(m.endpoints(), c.brings())...)
					continue
				}
				w.Endpoints = append(w.Endpoints, m.endpoints()...)
				continue
			}
			receive := m.receive
			receive.Known = m.known
			w.Endpoints = append(w.Endpoints, api.Endpoint{
				ID: m.endpoint, Session: m.number, Restart: m.restart, Remote: m.remote, Sources: m.sending.wish, Receive: receive,
				Data:      c.channels == "",
				MuteAudio: m.audio.on, MuteVideo: m.video.on,
			})
		}
	}
	return w
}

// bridged says that there is a bridge, as far as the members need to know.
func (c *conference) bridged() bool { return c.there || c.adopting }

// presence is what the focus says of the conference (jitsi.md §6.6).
func (c *conference) presence() string {
	bridges := "0"
	if c.bridged() {
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
	if c.gate >= SFU && !c.bridged() {
		p = append(p, "<bridgeNotAvailable xmlns='"+NSFocus+"'/>"...)
	}
	return string(append(p, c.muji.presence()...))
}
