package focus

import (
	"slices"
	"strconv"
	"time"

	"parley/internal/limit"
	"parley/jingle"
	"parley/muc"
	"parley/xmpp/wire"
)

// mesh is how a member is given the others whose client knows sessions of two alone: each of them in a session of its own, with
// voice and picture under SSRCs that stay, whatever its sources are. In one of these sessions, the call's own, the client sends:
// that of the anchor, who has been there longest.
type mesh struct {
	sends  bool   // the client is asked for media
	anchor string // endpoint; "": nobody else is there
}

// meshMost is how many others a client is given one by one. With more there is the call's session alone, which shows who speaks.
const meshMost = 8

// meshFeedRate is how fast sessions are begun with one client: others may come and go as they like.
var meshFeedRate = limit.Rate{PerSecond: 4, Burst: 4 * meshMost}

// Mesh gives an occupant, who is in the room or will be, each of the others by a session of its own. To is given the anchor's session by
// Accepted, again when the anchor is another one, and those of the others by Feed; whose a session is its media stream ids say,
// which are names of endpoints. The client answers the former by Agree and Trickle, the latter by Fed. If sends is false it is asked
// for no media. Unmesh ends it; so do Forget before the occupant is there, and its leaving.
func (f *Focus) Mesh(occupant muc.Sender, room wire.Addr, sends bool, to Caller, done func(*wire.Error)) {
	f.rooms.Conference(occupant, room, f.rule, func(m muc.Meeting, fault *wire.Error) {
		if fault != nil {
			f.rec.Reject("focus.deny", occupant.Source().String(), "room", string(room), "text", fault.Text)
			f.deny(room, string(fault.Condition))
			done(fault)
			return
		}
		f.opened(m)
		f.inRoom(room, func(c *conference, _ time.Time) { c.meshed(occupant.Addr(), sends, to) })
		done(nil)
	})
}

// Unmesh ends what Mesh has begun, without a word to the client. The occupant may stay.
func (f *Focus) Unmesh(room, occupant wire.Addr) {
	f.inRoom(room, func(c *conference, _ time.Time) { c.unmeshed(occupant) })
}

func (c *conference) meshed(occupant wire.Addr, sends bool, to Caller) {
	c.unmeshed(occupant)
	k := c.newCall(occupant, meshOffer(sends), to)
	k.every, k.mesh, k.pace = true, &mesh{sends: sends}, limit.NewBucket(meshFeedRate)
	if c.calls == nil {
		c.calls = make(map[wire.Addr]*call)
	}
	c.calls[occupant] = k
	for _, m := range c.members {
		if m.addr == occupant {
			c.end(m, nil)
			m.call, m.question = k, question{}
		}
	}
}

func (c *conference) unmeshed(occupant wire.Addr) {
	k := c.calls[occupant]
	if k == nil || k.mesh == nil {
		return
	}
	if m := c.caller(occupant); m != nil {
		c.end(m, nil)
		m.call, m.stage = nil, barren
	}
	c.release(k)
}

// meshOffer is what the room offers in the session of the anchor: Opus and every codec of video on one transport.
func meshOffer(sends bool) *Offer {
	o := OwnOffer()
	o.parts[1].contents[0].Description.PayloadTypes = everyCodec()
	all := o.parts[0]
	all.contents = append(all.contents, o.parts[1].contents...)
	if !sends {
		for i := range all.contents {
			all.contents[i].Senders = jingle.InitiatorSends
		}
	}
	o.parts = []proposal{all}
	return o
}

// anchored finds the anchor of a member, and reports that there is one, or that it needs none. With another one than before the
// session begins anew; what the client sends goes on under the names that it had.
func (c *conference) anchored(m *member, now time.Time) bool {
	if m.call == nil || m.call.mesh == nil {
		return true
	}
	k := m.call
	var first *member
	for _, o := range c.members {
		switch {
		case o == m:
		case o.endpoint == k.mesh.anchor:
			return true
		case first == nil:
			first = o
		}
	}
	if k.mesh.anchor == "" && first == nil {
		return false
	}
	k.parts = nil
	for _, p := range meshOffer(k.mesh.sends).parts {
		k.parts = append(k.parts, &part{proposal: p})
	}
	if first == nil {
		k.mesh.anchor, k.by = "", time.Time{}
		c.end(m, nil)
		return false
	}
	k.mesh.anchor = first.endpoint
	for _, f := range slices.Clone(k.feeds) {
		if f.owner == k.mesh.anchor {
			c.endFeed(m, f, &jingle.Reason{Condition: jingle.Success})
		}
	}
	switch m.stage {
	case waiting, offered, active:
		m.stage, k.by = waiting, now.Add(callTime+acceptTime)
		for _, p := range k.parts {
			c.beginPart(m, p)
		}
	}
	return true
}

// feedMesh brings the sessions with a client in line with who is there.
func (c *conference) feedMesh(m *member, now time.Time) {
	k := m.call
	k.again = time.Time{}
	var others []*member
	for _, o := range c.members {
		if o != m && o.endpoint != k.mesh.anchor {
			others = append(others, o)
		}
	}
	single := 1+len(others) > meshMost
	if single {
		others = nil
	}
	for _, p := range k.parts {
		c.show(p, k.mesh.anchor, !single)
	}
	for _, f := range slices.Clone(k.feeds) {
		if !slices.ContainsFunc(others, func(o *member) bool { return o.endpoint == f.owner }) {
			c.endFeed(m, f, &jingle.Reason{Condition: jingle.Success})
			continue
		}
		for _, p := range f.parts {
			c.show(p, f.owner, true)
		}
	}
	for _, o := range others {
		if slices.ContainsFunc(k.feeds, func(f *feed) bool { return f.owner == o.endpoint }) {
			continue
		}
		if !k.pace.Allow(now, 1) {
			k.again = now.Add(feedAgain)
			return
		}
		c.beginMesh(m, o, now)
	}
}

// beginMesh asks the bridge for the transport of a session that brings o to m.
func (c *conference) beginMesh(m, o *member, now time.Time) {
	f := &feed{sid: c.random(16), owner: o.endpoint, voices: c.newVoices(), sources: map[string]string{"": o.endpoint},
		stage: waiting, by: now.Add(callTime + acceptTime)}
	for _, offer := range meshOffer(false).parts {
		p := &part{proposal: offer}
		c.sessions++
		p.number = c.sessions
		p.endpoint = m.endpoint + "." + strconv.Itoa(p.number)
		p.hear(f.voices)
		c.show(p, f.owner, true)
		f.parts = append(f.parts, p)
	}
	m.call.feeds = append(m.call.feeds, f)
	c.changed = true
}

// show has a transport carry the sources of one member, of which the bridge takes one of each medium, or else those of who speaks.
func (c *conference) show(p *part, owner string, alone bool) {
	var names []string
	if o := c.members.of(owner); o != nil && alone {
		for _, s := range o.wish {
			names = append(names, s.Name)
		}
		slices.Sort(names)
	}
	if p.receive.Chosen != alone || !slices.Equal(p.receive.Names, names) {
		p.receive.Chosen, p.receive.Names, c.changed = alone, names, true
	}
}
