package focus

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"parley/bridge/api"
	"parley/jingle"
	"parley/muc"
	"parley/xmpp/wire"
)

// Caller is told what becomes of a call. The methods are called in order, from any goroutine, and must not block.
type Caller interface {
	// Accepted gives the answer to contents that were offered, in the order of the offers: contents and groups, without more. With
	// the action session-terminate it says that this session has come to nothing, while further ones (Uplink) go on.
	Accepted(j *jingle.Jingle)
	// Ended says why the call cannot go on. It is not called when the occupant has left the room.
	Ended(why *jingle.Reason)
	// Feed gives an element of a session that brings a stream to the client (XEP-0521): its SID and action are set.
	Feed(j *jingle.Jingle)
}

// call is the session of an ordinary client that has called the room, or was called by it: it has one stream of each medium from
// the bridge. Its transports are endpoints of the bridge of their own.
type call struct {
	addr   wire.Addr // of its occupant
	caller Caller
	client jingle.Role // the client's side of the session
	parts  []*part
	voices                // SSRCs towards the client, ...
	own    jingle.Sources // ... and those of its sources towards others
	by     time.Time      // when it is to be answered; zero once it was, or its occupant has not come yet
	mesh   *mesh          // nil: its client knows sessions of more than two
	raised []*uplink      // further sessions in which the client sends
	peer   wire.Addr      // of the participant of the room's Muji conference whose session it is; "": it is none of that
	sid    string         // of that session
	over   bool           // the caller was told that it is
	feeding
}

// voices are the SSRCs of the streams that the bridge sends in a session.
type voices struct{ audio, video, repair uint32 }

// part is one transport of a call.
type part struct {
	proposal
	endpoint  string // id at the bridge
	number    int    // api.Endpoint.Session
	transport *api.Transport
	answered  bool
}

// Call brings the focus into a room for an occupant-to-be that calls it, and answers with done, which is called once, perhaps
// from the room's runner. When the occupant enters, its call begins; when it leaves, its call ends. A call whose occupant does
// not come is taken back by Forget.
func (f *Focus) Call(occupant muc.Sender, room wire.Addr, o *Offer, to Caller, done func(*wire.Error)) {
	f.rooms.Conference(occupant, room, f.rule, func(m muc.Meeting, fault *wire.Error) {
		if fault != nil {
			f.rec.Reject("focus.deny", occupant.Source().String(), "room", string(room), "text", fault.Text)
			f.deny(room, string(fault.Condition))
			done(fault)
			return
		}
		f.opened(m)
		f.inRoom(room, func(c *conference, _ time.Time) {
			if c.calls == nil {
				c.calls = make(map[wire.Addr]*call)
			}
			c.calls[occupant.Addr()] = c.newCall(occupant.Addr(), o, to)
		})
		done(nil)
	})
}

// Forget takes back the call of an occupant who does not enter.
func (f *Focus) Forget(room, occupant wire.Addr) {
	f.inRoom(room, func(c *conference, _ time.Time) {
		if call := c.calls[occupant]; call != nil && c.caller(occupant) == nil {
			c.release(call)
		}
	})
}

// Extend adds what was offered later to a call (XEP-0166 §7.2.3); the answer comes like the first one.
func (f *Focus) Extend(room, occupant wire.Addr, o *Offer) {
	f.inRoom(room, func(c *conference, now time.Time) {
		if m := c.caller(occupant); m != nil {
			c.extend(m, o)
		}
	})
}

// Reduce takes contents out of a call (XEP-0166 §7.2.6).
func (f *Focus) Reduce(room, occupant wire.Addr, contents []string) {
	f.inRoom(room, func(c *conference, _ time.Time) {
		if m := c.caller(occupant); m != nil {
			c.reduce(m, contents)
		}
	})
}

// Direct notes who sends a content of a call from now on (XEP-0166 §7.2.5).
func (f *Focus) Direct(room, occupant wire.Addr, content string, senders jingle.Senders) {
	f.inRoom(room, func(c *conference, _ time.Time) {
		if m := c.caller(occupant); m != nil {
			direct(m.call.parts, content, senders)
			c.publish(m)
		}
	})
}

func direct(parts []*part, content string, senders jingle.Senders) {
	for _, p := range parts {
		p.contents = slices.Clone(p.contents)
		for i := range p.contents {
			if p.contents[i].Name == content {
				p.contents[i].Senders = senders
			}
		}
	}
}

// Trickle takes candidates that a caller has found later (XEP-0176 §5.5).
func (f *Focus) Trickle(room, occupant wire.Addr, contents []jingle.Content) {
	f.inRoom(room, func(c *conference, _ time.Time) { c.trickle(occupant, contents) })
}

func (c *conference) trickle(occupant wire.Addr, contents []jingle.Content) {
	if call := c.calls[occupant]; call != nil {
		c.tricklePart(call.parts, contents)
		c.changed = c.changed || c.caller(occupant) != nil
	}
}

// tricklePart adds candidates to the transports that they are of.
func (c *conference) tricklePart(parts []*part, contents []jingle.Content) {
	for i := range contents {
		p, t := at(parts, contents[i].Name), contents[i].Transport
		if p == nil || t == nil || t.Ufrag != "" && t.Ufrag != p.remote.Ufrag {
			continue
		}
		var unusable int
		if p.remote.Candidates, unusable = usable(p.remote.Candidates, t.Candidates); unusable > 0 {
			c.emit(note{"ice.filter", p.endpoint, "candidate"})
		}
	}
}

// inRoom changes the conference of a room, if there is one.
func (f *Focus) inRoom(room wire.Addr, do func(*conference, time.Time)) {
	f.mu.Lock()
	c := f.conferences[room]
	f.mu.Unlock()
	if c != nil {
		f.step(c, func(now time.Time) { do(c, now) })
	}
}

// caller returns the member that calls as an occupant.
func (c *conference) caller(occupant wire.Addr) *member {
	for _, m := range c.members {
		if m.call != nil && m.addr == occupant {
			return m
		}
	}
	return nil
}

// calling reports that there is one.
func (ms members) calling() bool {
	return slices.ContainsFunc(ms, func(m *member) bool { return m.call != nil })
}

// part finds the transport of a call that is an endpoint of the bridge.
func (ms members) part(endpoint string) (*member, *part) {
	for _, m := range ms {
		if m.call != nil {
			for _, p := range m.call.parts {
				if p.endpoint == endpoint {
					return m, p
				}
			}
		}
	}
	return nil, nil
}

// at returns that of the parts that carries a content.
func at(parts []*part, content string) *part {
	for _, p := range parts {
		if p.carries(content) {
			return p
		}
	}
	return nil
}

func contentOf(parts []*part, media string) *jingle.Content {
	for _, p := range parts {
		if c := p.content(media); c != nil {
			return c
		}
	}
	return nil
}

// reserve returns an SSRC that nobody in the conference has.
func (c *conference) reserve(owner string) uint32 {
	for {
		if n := hexSSRC(c.random(4)); n != 0 && c.ssrcs[n] == "" {
			c.ssrcs[n] = owner
			return n
		}
	}
}

func (c *conference) newCall(occupant wire.Addr, o *Offer, to Caller) *call {
	k := &call{addr: occupant, caller: to, client: o.client(), voices: c.newVoices(), feeding: feeding{names: o.names, bundles: o.bundles}}
	if o.Muji != nil {
		k.peer, k.sid = o.Muji.Peer, o.Muji.SID
	}
	for _, p := range o.parts {
		k.parts = append(k.parts, &part{proposal: p})
	}
	return k
}

func (c *conference) newVoices() voices {
	return voices{c.reserve(bridgeOwner), c.reserve(bridgeOwner), c.reserve(bridgeOwner)}
}

func (c *conference) free(v voices) {
	for _, ssrc := range []uint32{v.audio, v.video, v.repair} {
		delete(c.ssrcs, ssrc)
	}
}

// release forgets a call.
func (c *conference) release(k *call) {
	c.free(k.voices)
	delete(c.calls, k.addr)
}

// beginCall begins the session of a member that has called: the bridge is asked for its transports.
func (c *conference) beginCall(m *member) {
	m.features, m.learned, m.receive.Rewriting = Audio|Video, true, true // it is told of nobody's sources
	// The endpoint that speaks has the member's name.
	slices.SortStableFunc(m.call.parts, func(a, b *part) int {
		switch hears := a.content("audio") != nil; {
		case hears == (b.content("audio") != nil):
			return 0
		case hears:
			return -1
		}
		return 1
	})
	for _, p := range m.call.parts {
		c.beginPart(m, p)
	}
}

func (c *conference) beginPart(m *member, p *part) {
	c.sessions++
	p.number = c.sessions
	p.endpoint = m.endpoint
	if _, taken := c.members.part(m.endpoint); taken != nil && taken != p {
		p.endpoint = fmt.Sprintf("%s.%d", m.endpoint, p.number)
	}
	p.hear(m.call.voices)
	c.changed = true
}

// hear sets the SSRCs of what the client gets over the transport.
func (p *part) hear(v voices) {
	p.receive.AudioSSRC, p.receive.VideoSSRC, p.receive.RepairSSRC = v.audio, v.video, v.repair
	switch {
	case p.content("video") == nil:
		p.receive.VideoSSRC, p.receive.RepairSSRC = v.audio, 0
	case p.content("audio") == nil:
		p.receive.AudioSSRC = v.video
	}
}

// callTime is how long the bridge may take until a call is answered.
const callTime = 10 * time.Second

func (m *member) callBy() time.Time {
	if m.call == nil {
		return time.Time{}
	}
	return m.call.by
}

// endpoints are what is wished of the bridge for a member that has called.
func (m *member) endpoints() (list []api.Endpoint) {
	for _, p := range m.call.parts {
		e := api.Endpoint{ID: p.endpoint, Session: p.number, Answers: !p.ours, Receive: p.receive,
			MuteAudio: m.audio.on, MuteVideo: m.video.on}
		if m.call.mesh == nil && m.call.every || !slices.ContainsFunc(p.contents, func(x jingle.Content) bool { return x.Senders.Has(m.call.client.Other()) }) {
			e.Receive.Chosen = true // nothing: it gets each stream in a session of its own, or wants none
		}
		if remote := p.remote; remote.Ufrag != "" {
			e.Remote = &remote
		}
		if p.endpoint != m.endpoint {
			e.Member = m.endpoint
		}
		e.Sources = m.found(p, 0)
		list = append(list, e)
	}
	return append(append(list, m.uplinks()...), m.fed()...)
}

// found are the sources of one number that come over a transport.
func (m *member) found(p *part, number int) (list []api.Source) {
	for _, s := range m.wish {
		if p.content(s.Kind) != nil && m.numberOf(s.Name) == strconv.Itoa(number) {
			s.Found = true
			list = append(list, s)
		}
	}
	return list
}

// transported takes the bridge's side of a call's transport, and answers the offer when all of them are there.
func (c *conference) transported(m *member, p *part, t *api.Transport) {
	if p.number != t.Session || p.transport != nil {
		return
	}
	p.transport, m.transport = t, t
	for _, p := range m.call.parts {
		if p.transport == nil {
			return
		}
	}
	if m.stage == waiting {
		m.stage = offered
	}
	if !m.call.offers() {
		m.stage, m.call.by = active, time.Time{}
	}
	c.publish(m)
	label := "room"
	if m.call.mesh != nil {
		label = m.call.mesh.anchor
	}
	j := c.propose(m.call.parts, m.call.voices, m.call.client.Other(), label)
	c.emit(tell{m.call.caller, &j, nil})
}

// propose is what is said of the transports that the client has not been told of. Label names what we send, as which side.
func (c *conference) propose(parts []*part, v voices, room jingle.Role, label string) (j jingle.Jingle) {
	for _, p := range parts {
		if p.answered {
			continue
		}
		p.answered = true
		transport := c.transportVia(p.transport)
		transport.WebSockets = nil
		transport.Candidates = slices.DeleteFunc(transport.Candidates, func(k jingle.Candidate) bool { return k.Protocol != "udp" }) // XEP-0176 §5.4
		for i := range transport.Fingerprints {
			transport.Fingerprints[i].Required = false
			if p.ours {
				continue // whoever answers chooses
			}
			transport.Fingerprints[i].Setup = jingle.Active
			if p.remote.Setup == "active" {
				transport.Fingerprints[i].Setup = jingle.Passive
			}
		}
		group := jingle.Group{Semantics: "BUNDLE"}
		for i := range p.contents {
			content := p.contents[i]
			description := *content.Description
			if content.Senders.Has(room) {
				description.Sources, description.SourceGroups = v.told(label, description.Media, description.PayloadTypes)
			}
			content.Description, content.Transport = &description, transport
			j.Contents = append(j.Contents, content)
			group.Contents = append(group.Contents, content.Name)
		}
		if len(group.Contents) > 1 {
			j.Groups = append(j.Groups, group)
		}
	}
	return j
}

// told is what is said of what the client will get.
func (v voices) told(label, media string, types []jingle.PayloadType) (list []jingle.Source, groups []jingle.SourceGroup) {
	source := func(ssrc uint32) jingle.Source {
		return jingle.Source{SSRC: ssrc, Parameters: []jingle.Parameter{{Name: "cname", Value: label}, {Name: "msid", Value: label + " " + label + "-" + media}}}
	}
	if media == "audio" {
		return []jingle.Source{source(v.audio)}, nil
	}
	list = []jingle.Source{source(v.video)}
	if slices.ContainsFunc(types, func(t jingle.PayloadType) bool { return t.Name == "rtx" }) {
		return append(list, source(v.repair)), []jingle.SourceGroup{{Semantics: "FID", SSRCs: []uint32{v.video, v.repair}}}
	}
	return list, nil
}

// publish makes what the client sends sources of the member: one of audio and one of video of each session, under SSRCs of ours.
func (c *conference) publish(m *member) {
	if m.stage != active {
		return
	}
	k := m.call
	k.own = c.owned(m, k.parts, 0, k.own)
	all := k.own
	for _, u := range k.raised {
		if u.begun() {
			u.own = c.owned(m, u.parts, u.number, u.own)
			all.Audio, all.Video = slices.Concat(all.Audio, u.own.Audio), slices.Concat(all.Video, u.own.Video)
			all.VideoGroups = slices.Concat(all.VideoGroups, u.own.VideoGroups)
		}
	}
	c.setSources(m, all)
}

// owned are the sources, of one number, of what the client sends over transports. What it has had keeps its SSRCs.
func (c *conference) owned(m *member, parts []*part, number int, had jingle.Sources) (s jingle.Sources) {
	one := func(media, letter string, have []jingle.Source) (list []jingle.Source) {
		content := contentOf(parts, media)
		if content == nil || !content.Senders.Has(m.call.client) {
			return nil
		}
		name := m.endpoint + "-" + letter + strconv.Itoa(number)
		if list = have; list == nil {
			msid := m.endpoint + "-" + media + " " + name
			if number > 0 { // a stream of its own, which is shown beside the other
				msid = m.endpoint + "-" + media + "-" + strconv.Itoa(number) + " " + name
			}
			source := func() jingle.Source {
				s := jingle.Source{SSRC: c.reserve(m.endpoint), Name: name, Parameters: []jingle.Parameter{{Name: "msid", Value: msid}}}
				if media == api.Video && screen(content.Description) {
					s.VideoType = api.Desktop
				}
				return s
			}
			if list = append(list, source()); media == "video" {
				list = append(list, source())
			}
		}
		return list
	}
	s.Audio, s.Video = one("audio", "a", had.Audio), one("video", "v", had.Video)
	if len(s.Video) == 2 {
		s.VideoGroups = []jingle.SourceGroup{{Semantics: "FID", SSRCs: []uint32{s.Video[0].SSRC, s.Video[1].SSRC}}}
	}
	return s
}

// extend adds parts to a call.
func (c *conference) extend(m *member, o *Offer) {
	switch m.stage {
	case waiting, offered, active:
	default:
		return
	}
	for _, more := range o.parts {
		p := &part{proposal: more}
		m.call.parts = append(m.call.parts, p)
		c.beginPart(m, p)
	}
}

// reduce takes contents out of a call. Without any, and without other sessions in which the client sends, it has ended.
func (c *conference) reduce(m *member, contents []string) {
	k := m.call
	k.parts = without(k.parts, contents)
	c.changed = true
	switch {
	case len(k.parts) == 0 && len(k.raised) == 0:
		c.hangUp(m, &jingle.Reason{Condition: jingle.Success})
		return
	case len(k.parts) == 0 && m.stage == waiting: // nothing of it is waited for any more
		m.stage, k.by = active, time.Time{}
	}
	c.publish(m)
}

// without are the parts without some contents.
func without(parts []*part, contents []string) []*part {
	for _, p := range parts {
		p.contents = slices.DeleteFunc(slices.Clone(p.contents), func(x jingle.Content) bool { return slices.Contains(contents, x.Name) })
	}
	return slices.DeleteFunc(parts, func(p *part) bool { return len(p.contents) == 0 })
}

// hangUp ends the session of a member that has called.
func (c *conference) hangUp(m *member, why *jingle.Reason) {
	c.end(m, why)
	m.stage, m.call.by = barren, time.Time{}
}

// tell is an answer to a caller, or the end of a call.
type tell struct {
	to       Caller
	accepted *jingle.Jingle
	ended    *jingle.Reason
}

func (e tell) do(*Focus, *conference, *muc.Seat) {
	if e.ended != nil {
		e.to.Ended(e.ended)
		return
	}
	e.to.Accepted(e.accepted)
}

// bring is an element of a session that brings a stream.
type bring struct {
	to Caller
	j  *jingle.Jingle
}

func (e bring) do(*Focus, *conference, *muc.Seat) { e.to.Feed(e.j) }
