package main

import (
	"net/netip"
	"sync"

	"parley/bridge/api"
	"parley/internal/store"
	"parley/internal/token"
	"parley/jingle/focus"
	"parley/jingle/gateway/roomserver"
	"parley/muc"
	"parley/portal/records"
	"parley/portal/report"
	"parley/xmpp/wire"
)

// nickSpace is the namespace of the names that people show (XEP-0172).
const nickSpace = "http://jabber.org/protocol/nick"

// capsSpace is that of entity capabilities (XEP-0115).
const capsSpace = "http://jabber.org/protocol/caps"

// attendance tells the records what rooms, focus and bridge know of calls. A door that knows more of its members tells of them itself.
type attendance struct {
	*records.Service
	domain string
	find   func(wire.Addr) any // the session or occupant that has an address; nil: nobody

	mu       sync.Mutex               // guards what follows
	meetings map[string]*focusMeeting // by id
}

type focusMeeting struct {
	room      string
	members   map[wire.Addr]bool   // that are in the book
	endpoints map[string]wire.Addr // whose they are
	nicks     map[string]wire.Addr
}

// keepRecords keeps records of calls, where the configuration says so. It comes before the rooms have observers that may tell of
// somebody who is gone.
func (s *server) keepRecords(node string) (err error) {
	if !s.cfg.Records.Enabled {
		return nil
	}
	kept, err := records.New(s.cfg.Records, records.Options{Folder: s.data.file("records"), Node: node, Store: s.store, Countries: s.countries, Recorder: s.recorder})
	if err != nil {
		return err
	}
	s.records = &attendance{Service: kept, domain: s.cfg.Domain, meetings: make(map[string]*focusMeeting), find: func(a wire.Addr) any {
		if r := s.router.Find(a); r != nil {
			return r
		}
		return nil
	}}
	s.rooms.Observe(s.records.left)
	s.reporter, err = report.New(s.cfg.Records.Report, report.Options{Domain: s.cfg.Domain, Store: s.store, Recorder: s.recorder, Log: s.log, Fate: s.reported})
	if err != nil {
		return err
	}
	s.group.Go(func() { s.reporter.Run(s.stopping) })
	if s.media.relay() != nil {
		s.group.Go(func() { s.watchRelay(s.stopping) })
	}
	return nil
}

// history is what was kept, as the API shows it.
type history struct {
	store.Talks
	*report.Reporter
}

// attend takes who takes part in a call.
func (r *attendance) attend(a focus.Attendance) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.meetings[a.Meeting]
	if m == nil {
		m = &focusMeeting{room: string(a.Room), members: make(map[wire.Addr]bool)}
		r.meetings[a.Meeting] = m
	}
	before := m.members
	m.members, m.endpoints, m.nicks = make(map[wire.Addr]bool), make(map[string]wire.Addr), make(map[string]wire.Addr)
	r.Gate(m.room, gates[a.Gate])
	for i := range a.Attendees {
		one := &a.Attendees[i]
		m.members[one.Addr], m.nicks[one.Nick] = true, one.Addr
		for _, id := range one.Endpoints {
			m.endpoints[id] = one.Addr
		}
		if !before[one.Addr] && !roomserver.IsSeat(one.Addr) {
			r.Joined(r.member(one))
		}
		r.Talks(m.room, string(one.Addr), one.Audio, one.Video)
	}
	r.Gate(m.room, gates[a.Gate]) // of a room that was not there before
	for addr := range before {
		if !m.members[addr] && !roomserver.IsSeat(addr) {
			r.Left(m.room, string(addr), false)
		}
	}
	if len(m.members) == 0 {
		delete(r.meetings, a.Meeting)
	}
}

// gates as records have them.
var gates = [...]int{focus.Closed: 0, focus.P2P: 0, focus.SFU: 1, focus.MCU: 2}

// member is an attendee as records have it.
func (r *attendance) member(one *focus.Attendee) records.Member {
	m := records.Member{
		Room: string(one.Room), Key: string(one.Addr), Door: "jitsi", User: string(one.Addr.Bare()), Name: one.Nick, Talk: records.TalkNone, Joined: one.Joined,
	}
	if one.Calls {
		m.Door = "xmpp"
	}
	if !one.Guest {
		m.Account = string(one.Addr.Bare())
	}
	for c := one.Presence().Children(); c.Next(); {
		switch {
		case c.Elem.Is("nick", nickSpace):
			m.Name = c.Elem.Text()
		case c.Elem.Is("c", capsSpace):
			m.SDK = c.Elem.AttrString("node")
		}
	}
	who := r.find(one.Addr)
	if w, ok := who.(interface{ Source() netip.Addr }); ok {
		m.IP = w.Source()
	}
	if w, ok := who.(interface{ Claims() *token.Claims }); ok && one.Guest {
		if c := w.Claims(); c != nil && c.User.ID != "" {
			m.User = c.User.ID
			if c.Issuer == ownIssuer {
				m.Account = accountOf(c.User.ID, r.domain)
			}
		}
	}
	return m
}

// left takes how somebody came to leave a room.
func (r *attendance) left(e muc.Event) {
	if e, ok := e.(muc.OccupantLeft); ok && !roomserver.IsSeat(e.Addr) {
		r.Left(string(e.Room), string(e.Addr), e.Why == muc.LeftGone)
	}
}

// bridge takes what the bridge tells of the media of members.
func (r *attendance) bridge(e api.Event) {
	switch {
	case e.State != nil:
		room, key := r.whose(e.State.Conference, e.State.Endpoint)
		switch e.State.State {
		case api.Connected:
			r.Linked(room, key)
		case api.Active, api.Inactive:
			r.Sends(room, key, e.State.State == api.Active)
		}
	case e.Quality != nil:
		q := e.Quality
		room, key := r.whose(q.Conference, q.Endpoint)
		r.Verdict(room, key, q.Part, q.Loss, q.Delay, q.Rate)
	}
}

func (r *attendance) whose(meeting, endpoint string) (room, key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.meetings[meeting]; m != nil {
		return m.room, string(m.endpoints[endpoint])
	}
	return "", ""
}

// keyOf is what the book knows somebody by who has a nickname in a room; "": nobody who is in a call there.
func (r *attendance) keyOf(room, nick string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.meetings {
		if addr, ok := m.nicks[nick]; ok && m.room == room {
			return string(addr)
		}
	}
	return ""
}

// denied takes that somebody does not take part.
func (r *attendance) denied(room wire.Addr, cause string) {
	r.Service.Book.Failed(string(room), "xmpp", cause)
}

// members are those of the RoomServer door, which tells of them itself.
type members struct {
	*records.Book
	others *attendance
}

// Joined implements roomserver.Records.
func (m members) Joined(j roomserver.Joining) {
	who := records.Member{
		Room: j.Room, Key: j.Member, ID: j.Session, Door: "roomserver", App: j.AppID, User: j.UID, Name: j.UName, Talk: j.TalkType, IP: j.Source,
		OS: j.OS, Browser: j.Browser, SDK: j.SDK, Client: j.ClientTime, Pairs: true,
	}
	if j.User != "" && j.TokensIssuer == ownIssuer {
		who.Account = accountOf(j.User, m.others.domain)
	}
	m.Book.Joined(who)
}

// QualityOf implements roomserver.Records.
func (m members) QualityOf(room, from, nick string, q store.TalkQuality) {
	if key := m.others.keyOf(room, nick); key != "" {
		m.Quality(room, from, key, q)
	}
}

// Sub implements roomserver.Records.
func (m members) Sub(room, from, nick string) string {
	id, _ := m.Book.Sub(room, from, m.others.keyOf(room, nick))
	return id
}

// accountOf is whose a token of our own is: of the account that asked for it, or that an application says it is for.
func accountOf(user, domain string) string {
	addr, err := wire.ParseAddr(user + "@" + domain)
	if err != nil || !addr.IsBare() || addr.Local() == "" || addr.Domain() != domain {
		return ""
	}
	return string(addr)
}
