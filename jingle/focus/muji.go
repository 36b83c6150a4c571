package focus

import (
	"slices"
	"strings"
	"time"

	"parley/bridge/api"
	"parley/internal/limit"
	"parley/jingle"
	"parley/muc"
	"parley/xmpp/wire"
)

// muji is the focus's part in the Muji conference of a room (XEP-0272): there it is one participant, which stands for all members
// who do not speak Muji. With each who does it has a session, in which it brings what those members send, and nothing of the others:
// who speaks Muji hears them already.
//
// The focus enters as any participant does: it shows that it prepares, waits for those who had begun to prepare before, shows its
// contents, and begins a session with each who was there then. Who comes later begins one with the focus.
type muji struct {
	domain string // of the accounts whose clients can be reached from the focus's address; "": the focus takes no part
	peers  []*mujiPeer
	phase  mujiPhase
	shows  jingle.MujiPresence // in the focus's presence
	fresh  bool                // it enters, and has not only other contents than before
	shown  int                 // how often that was another one
	fence  bool                // the room is to be asked when it has it
	waits  []string            // nicks of those who had begun to prepare before
	by     time.Time           // when the focus does not wait any longer
	pace   limit.Bucket
	again  time.Time     // when there may be more
	stale  []MujiSession // that the focus had when the process was killed
}

// mujiPeer is an occupant that takes part in Muji, or is about to.
type mujiPeer struct {
	nick      string
	addr      wire.Addr // real full address
	contents  []jingle.Content
	preparing bool
	in        bool // it has contents
	ours      bool // it was there when the focus came: the focus begins the session ...
	called    bool // ... and has done that
	odd       bool // what it says was counted as strange
}

// mujiPhase is how far the focus has come.
type mujiPhase uint8

const (
	mujiOut        mujiPhase = iota
	mujiAnnouncing           // that it prepares is on its way to the room
	mujiPreparing            // it waits for others
	mujiEntering             // its contents are on their way
	mujiIn
	mujiLeaving // that it has none any more is on its way
)

// Bounds of Muji.
const (
	mujiMost = 16               // participants of one room; clients talk to each other without the server, so that they are a few
	mujiWait = 15 * time.Second // for somebody who prepares
	mujiLate = time.Second      // when what was too often is looked at again
)

// mujiRate is how often the focus begins a session, or shows something else: others may come and go as they like.
var mujiRate = limit.Rate{PerSecond: 1, Burst: 2 * mujiMost}

// begin has the focus take part.
func (m *muji) begin(domain string) { m.domain, m.pace = domain, limit.NewBucket(mujiRate) }

// mujied takes what an occupant's presence says of Muji.
func (c *conference) mujied(o *muc.Occupant) {
	m := &c.muji
	if m.domain == "" || o.Nick == focusNick || c.calls[o.Addr] != nil {
		return
	}
	var e wire.Elem
	if m.meets(o) {
		e = o.Presence().Child("muji", jingle.NSMuji)
	}
	c.mujiSays(o, e)
}

// mujiSays takes the element.
func (c *conference) mujiSays(o *muc.Occupant, e wire.Elem) {
	m := &c.muji
	if !e.Ok() {
		m.leave(o.Nick)
		return
	}
	said, err := jingle.ParseMuji(e)
	if err != nil {
		c.emit(note{"muji.reject", o.Nick, err.Error()})
		m.leave(o.Nick)
		return
	}
	i := slices.IndexFunc(m.peers, func(p *mujiPeer) bool { return p.nick == o.Nick })
	if i >= 0 && m.peers[i].addr != o.Addr { // another client of the same person stands for it now
		m.leave(o.Nick)
		i = -1
	}
	if i < 0 {
		if len(m.peers) >= mujiMost {
			c.emit(note{"limit.calls", o.Nick, "more participants of Muji than a room has"})
			return
		}
		i = len(m.peers)
		m.peers = append(m.peers, &mujiPeer{nick: o.Nick, addr: o.Addr})
	}
	p := m.peers[i]
	p.contents, p.preparing = said.Contents, said.Preparing
	if p.in = len(p.contents) > 0 && (p.in || !p.preparing); !p.in {
		p.ours, p.called = false, false
	}
}

// meets reports that the focus may have a session with an occupant. Who does not know the others' addresses cannot talk to them, and
// nobody at another server knows the focus's. The occupants of sessions could not say a password.
func (m *muji) meets(o *muc.Occupant) bool {
	return o.Open && !o.Barred && !o.Jitsi && m.reaches(o.Addr)
}

// reaches reports that clients at an address are of this server.
func (m *muji) reaches(a wire.Addr) bool {
	return a.Domain() == m.domain || strings.HasSuffix(a.Domain(), "."+m.domain)
}

func (m *muji) leave(nick string) {
	m.peers = slices.DeleteFunc(m.peers, func(p *mujiPeer) bool { return p.nick == nick })
}

// rename notes that a participant has another nickname.
func (m *muji) rename(old, nick string) {
	for _, p := range m.peers {
		if p.nick == old {
			p.nick = nick
		}
	}
	if i := slices.Index(m.waits, old); i >= 0 {
		m.waits[i] = nick
	}
}

// at returns the participant of an address.
func (m *muji) at(addr wire.Addr) *mujiPeer {
	for _, p := range m.peers {
		if p.addr == addr {
			return p
		}
	}
	return nil
}

// takes reports that a participant may begin a session with the focus.
func (m *muji) takes(addr wire.Addr) bool {
	p := m.at(addr)
	return p != nil && p.in && len(m.shows.Contents) > 0
}

// stands reports that there is a member for whom the focus stands.
func (ms members) stands() bool {
	return slices.ContainsFunc(ms, func(m *member) bool { return m.call == nil || m.call.peer == "" })
}

// advance brings the focus's part in line with who is there.
func (m *muji) advance(c *conference, now time.Time) {
	if m.domain == "" {
		return
	}
	m.again = time.Time{}
	var want []jingle.Content
	if c.bridged() && c.members.stands() {
		want = c.mujiContents()
	}
	switch same := slices.EqualFunc(want, m.shows.Contents, sameMuji); m.phase {
	case mujiOut:
		if len(want) > 0 && m.may(now) {
			m.fresh = true
			m.show(mujiAnnouncing, nil, true)
		}
	case mujiPreparing:
		m.waits = slices.DeleteFunc(m.waits, func(nick string) bool {
			return !slices.ContainsFunc(m.peers, func(p *mujiPeer) bool { return p.nick == nick && p.preparing })
		})
		switch {
		case len(want) == 0:
			m.show(mujiLeaving, nil, false)
		case len(m.waits) == 0 || due(m.by, now):
			m.show(mujiEntering, want, false)
		}
	case mujiIn:
		switch {
		case len(want) == 0:
			m.show(mujiLeaving, nil, false)
		case !same && m.may(now):
			m.show(mujiAnnouncing, m.shows.Contents, true)
		}
	}
	m.call(c, now)
	for _, k := range c.calls {
		if k.peer != "" && !k.over && (m.phase == mujiOut || m.phase != mujiLeaving && !m.has(k.peer)) {
			k.over = true
			c.emit(tell{k.caller, nil, &jingle.Reason{Condition: jingle.Success}})
		}
	}
}

func (m *muji) has(addr wire.Addr) bool {
	p := m.at(addr)
	return p != nil && p.in
}

// may reports that it is not too often; else it is looked at again.
func (m *muji) may(now time.Time) bool {
	if m.pace.Allow(now, 1) {
		return true
	}
	m.again = now.Add(mujiLate)
	return false
}

// show changes what the focus's presence says.
func (m *muji) show(next mujiPhase, contents []jingle.Content, preparing bool) {
	m.phase, m.shows, m.by = next, jingle.MujiPresence{Contents: contents, Preparing: preparing}, time.Time{}
	m.shown++
	m.fence = true
}

// call begins the sessions with those who were there before the focus.
func (m *muji) call(c *conference, now time.Time) {
	if m.phase == mujiOut || m.phase == mujiLeaving || len(m.shows.Contents) == 0 {
		return
	}
	for _, p := range m.peers {
		if !p.in || !p.ours || p.called {
			continue
		}
		if !m.may(now) {
			return
		}
		p.called = true
		if o := mujiOffer(m.shows.Contents, p); o != nil {
			o.Muji = &MujiSession{Peer: p.addr, SID: c.random(8), Ours: true}
			c.emit(mujiCall{c.room, o})
		}
	}
}

// lost has the focus begin another session with a participant.
func (m *muji) lost(addr wire.Addr) {
	if p := m.at(addr); p != nil {
		p.ours, p.called = true, false
	}
}

// mujiShown says that the room has what the focus showed at a time: all that it tells from then on came later.
func (c *conference) mujiShown(shown int, now time.Time) {
	m := &c.muji
	if shown != m.shown {
		return
	}
	switch m.phase {
	case mujiAnnouncing:
		m.phase, m.by, m.waits = mujiPreparing, now.Add(mujiWait), nil
		for _, p := range m.peers {
			if p.preparing {
				m.waits = append(m.waits, p.nick)
			}
		}
	case mujiEntering:
		m.phase = mujiIn
		for _, p := range m.peers {
			p.ours = p.ours || m.fresh && p.in
		}
		m.fresh = false
	case mujiLeaving:
		m.phase = mujiOut
		for _, p := range m.peers {
			p.ours, p.called = false, false
		}
	}
}

// presence is what the focus's presence says of Muji.
func (m *muji) presence() []byte {
	if len(m.shows.Contents) == 0 && !m.shows.Preparing {
		return nil
	}
	return m.shows.Append(nil)
}

// deadline is when advance wants to be called again.
func (m *muji) deadline() time.Time {
	if m.by.IsZero() || !m.again.IsZero() && m.again.Before(m.by) {
		return m.again
	}
	return m.by
}

// restrict has a participant's transports carry some sources.
func restrict(list []api.Endpoint, names []string) []api.Endpoint {
	for i := range list {
		if r := &list[i].Receive; !r.Chosen {
			r.Chosen, r.Names = true, names
		}
	}
	return list
}

// brings are the sources that the sessions with participants of Muji carry: those of members who do not speak it.
func (c *conference) brings() (names []string) {
	for _, m := range c.members {
		if m.call != nil && m.call.peer != "" {
			continue
		}
		for _, s := range m.wish {
			names = append(names, s.Name)
		}
	}
	slices.Sort(names)
	return names
}
