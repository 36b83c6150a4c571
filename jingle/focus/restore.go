package focus

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"parley/muc"
	"parley/xmpp/wire"
)

var errRecord = errors.New("focus: a record of the journal is damaged")

// Replay takes a record of the journal. What is said of a conference of which nothing is known was said while the journal
// was being replaced: the conference as a whole follows.
func (f *Focus) Replay(b []byte) error {
	var e entry
	if err := json.Unmarshal(b, &e); err != nil || e.Meeting == "" {
		return errRecord
	}
	if e.Whole != nil && !e.More || e.Ended {
		delete(f.replayed, e.Meeting)
	}
	for _, part := range e.Whole {
		var of entry
		if err := json.Unmarshal(part, &of); err != nil || of.Meeting != e.Meeting || of.Whole != nil {
			return errRecord
		}
		if err := f.replay(of, part); err != nil {
			return err
		}
	}
	if e.Whole != nil || e.Ended {
		return nil
	}
	return f.replay(e, b)
}

// replay takes what is said of a conference or of a member.
func (f *Focus) replay(e entry, b []byte) error {
	c := f.replayed[e.Meeting]
	if c == nil && e.Conference != nil {
		c = &conference{meeting: e.Meeting, random: digits, caps: &f.caps, senders: defaultSenders, restoring: true}
		c.muji.begin(f.mujiDomain)
		if f.replayed == nil {
			f.replayed = make(map[string]*conference)
		}
		f.replayed[e.Meeting] = c
	}
	if c == nil {
		return nil
	}
	key := ""
	switch {
	case e.Conference != nil:
		c.load(e.Conference)
	case e.Member != nil:
		key = e.Member.Endpoint
		m := c.members.of(key)
		if m == nil {
			m = &member{endpoint: key}
			c.members = append(c.members, m)
		}
		if err := m.load(e.Member); err != nil {
			return err
		}
	case e.Progress != nil:
		key = e.Progress.Endpoint + progressKey
		if m := c.members.of(e.Progress.Endpoint); m != nil {
			m.loadProgress(e.Progress)
		}
	case e.Left != "":
		key = e.Left
		c.members = slices.DeleteFunc(c.members, func(m *member) bool { return m.endpoint == e.Left })
	default:
		return errRecord
	}
	c.ledger.keep(record{key, e}, bytes.Clone(b))
	return nil
}

// Reset forgets what was replayed.
func (f *Focus) Reset() { f.replayed = nil }

func (c *conference) load(s *savedConference) {
	c.room, c.created, c.offering = s.Room, s.Created, offering{channels: s.Channels, red: s.Red}
	c.open, c.aloneTill, c.adopting, c.serving, c.region = s.Open, s.Alone, s.There, s.Serving, s.Region
	c.version, c.sessions, c.audioSSRC, c.videoSSRC, c.revision, c.iqs = s.Version, s.Sessions, s.AudioSSRC, s.VideoSSRC, s.Revision, s.IQs
	c.mujiLoad(s.Muji)
}

func (m *member) load(s *savedMember) error {
	if s.Stage > barren || len(s.Question) != 0 && len(s.Question) != 3 ||
		(s.Stage == offered || s.Stage == active) && s.Transport == nil || s.Stage == active && s.Remote == nil {
		return errRecord
	}
	known, waiting := m.known, m.waiting
	if s.Number != m.number {
		known, waiting = 0, nil
	}
	m.addr, m.features, m.learned = s.Addr, s.Features, s.Learned
	m.audio, m.video = mute{s.Audio.On, s.Audio.Obeyed}, mute{s.Video.On, s.Video.Obeyed}
	m.restarts.last = s.Restarts
	if m.question = (question{}); len(s.Question) == 3 {
		m.question = question{id: s.Question[0], node: s.Question[1], ver: s.Question[2]}
	}
	m.session = session{stage: s.Stage, number: s.Number, sid: s.SID, bridge: s.Bridge, attempts: s.Attempts, offerID: s.OfferID,
		transport: s.Transport, restart: s.Restart, remote: s.Remote, receive: s.Receive,
		sending:   sending{sources: s.Sources, shown: s.Sources.StripSimulcast(), wish: s.Wish, revision: s.Revision},
		knowledge: knowledge{at: s.At, of: make(map[string]toldOf), known: known, waiting: waiting}}
	for owner, t := range s.Of {
		m.of[owner] = toldOf{t.Sources, t.Revision}
	}
	// When these are due is said anew by resume.
	if s.Results {
		m.resultBy = time.Unix(0, 0)
	}
	if s.Restarting {
		m.restartBy = time.Unix(0, 0)
	}
	return nil
}

func (m *member) loadProgress(s *savedProgress) {
	m.known, m.waiting = s.Known, nil
	for _, n := range s.Waiting {
		m.waiting = append(m.waiting, notice{n.ID, n.At})
	}
}

// restore takes the conferences that were replayed into use, as far as their rooms are there again. What happens to them
// waits until their rooms say who is there.
func (f *Focus) restore(rooms []wire.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.replayed {
		if slices.Contains(rooms, c.room) {
			c.hang()
			c.written.on = f.journal != nil
			f.conferences[c.room], f.byID[c.meeting] = c, c
		}
	}
	f.replayed = nil
}

// hang makes what follows from the members that were replayed.
func (c *conference) hang() {
	c.ssrcs, c.msids = map[uint32]string{c.audioSSRC: bridgeOwner, c.videoSSRC: bridgeOwner}, make(map[string]string)
	c.written.conference = c.saved()
	c.written.members = make(map[string]*writtenMember)
	for _, m := range c.members {
		for _, s := range slices.Concat(m.sources.Audio, m.sources.Video) {
			c.ssrcs[s.SSRC] = m.endpoint
			if msid := s.MSID(); msid != "" {
				c.msids[msid] = s.Name
			}
		}
		if m.stage == active && !m.receive.Rewriting {
			for _, o := range c.members {
				if o != m && !o.shown.Empty() {
					m.of[o.endpoint] = toldOf{o.shown, o.sending.revision}
				}
			}
		}
		c.written.members[m.endpoint] = &writtenMember{m.mark(), m.progressMark()}
	}
}

// restored takes a room that is there again. One in which the focus does not sit has no conference; one of which the journal
// did not get to know begins anew.
func (f *Focus) restored(e muc.RoomRestored) {
	f.mu.Lock()
	c := f.conferences[e.Room]
	f.mu.Unlock()
	switch {
	case e.Meeting.Seat == nil:
		f.closed(e.Room)
		return
	case c == nil || c.meeting != e.Meeting.ID:
		f.closed(e.Room)
		f.opened(e.Meeting)
		f.mu.Lock()
		c = f.conferences[e.Room]
		f.mu.Unlock()
		f.step(c, func(now time.Time) {
			c.skip(now)
			for i := range e.Occupants {
				c.put(&e.Occupants[i])
				c.mujied(&e.Occupants[i])
			}
		})
		return
	}
	c.mu.Lock()
	later := c.later
	c.seat, c.restoring, c.later = e.Meeting.Seat, false, nil
	c.mu.Unlock()
	f.step(c, func(now time.Time) {
		c.resume(e, now)
		for _, happens := range later {
			happens(now)
		}
	})
}

const (
	comeback  = 30 * time.Second // what a client may take longer that has to come back first
	adoptTime = 10 * time.Second // in which a bridge that was there is expected to be there still
)

// skip leaves out numbers of sessions that the bridge may have been told of and the journal not. It would take a new one for the one
// that it has, and say nothing of its transport. No two processes go on in the same millisecond.
func (c *conference) skip(now time.Time) {
	c.sessions = max(c.sessions, int(now.Sub(c.created)/time.Millisecond))
}

// resume goes on after the process was killed. The clients, who have resumed or will, notice nothing: what was under way
// goes on with more time.
func (c *conference) resume(e muc.RoomRestored, now time.Time) {
	c.shown = string(e.Shown)
	c.skip(now)
	if c.open {
		c.talk.began = now // that it began was told before
	}
	if c.adopting {
		c.adoptBy = now.Add(adoptTime)
	}
	if !c.aloneTill.IsZero() {
		c.aloneTill = now.Add(loneliness + comeback)
	}
	for _, m := range slices.Clone(c.members) {
		if m.question.id != "" {
			m.question.by = now.Add(patience + comeback)
		}
		if !m.resultBy.IsZero() {
			m.resultBy = now.Add(resultTime + comeback)
		}
		if m.stage == offered {
			m.acceptBy = now.Add(acceptTime + comeback)
		}
		if !m.restartBy.IsZero() {
			m.restartBy = now.Add(restartTime + comeback)
		}
		if !slices.ContainsFunc(e.Occupants, func(o muc.Occupant) bool { return o.Nick == m.endpoint }) {
			c.leave(m.endpoint)
		}
	}
	for i := range e.Occupants {
		c.put(&e.Occupants[i])
		c.mujied(&e.Occupants[i])
	}
	c.mujiResume()
}
