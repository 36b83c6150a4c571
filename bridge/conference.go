package bridge

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"parley/bridge/api"
	"parley/bridge/channel"
	"parley/bridge/udp"
)

const (
	idleAfter    = 8 * time.Second        // without anything from an endpoint it is inactive (jitsi.md §9.10)
	allocateCost = 400 * time.Microsecond // pause between allocations for each endpoint: what they cost grows with the square

	idleBefore = 15 * time.Second // the same before the first
)

// Conference is one conference. It is safe for concurrent use.
type Conference struct {
	ID     string
	bridge *Bridge
	epoch  time.Time   // the times of packets are counted from here
	dirty  atomic.Bool // slots are to be pointed anew

	mu        sync.Mutex // guards what follows
	applied   bool
	version   uint64
	endpoints map[string]*Endpoint
	order     []*Endpoint   // in the order of the wish
	groups    [][]*Endpoint // the transports of members that have several
	ssrcs     map[uint32]*source
	speaker   speaker
	batch     *udp.Batch // of the present tick

	allocated            time.Time       // when slots were pointed last
	wantVideo, wantAudio []candidate     // scratch
	place                map[*source]int // scratch
	portions             []portion       // scratch
}

func newConference(b *Bridge, id string) *Conference {
	return &Conference{ID: id, bridge: b, epoch: time.Now(), endpoints: make(map[string]*Endpoint), ssrcs: make(map[uint32]*source),
		place: make(map[*source]int)}
}

// Version is the version of the wish that was applied last.
func (c *Conference) Version() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version
}

// Endpoint returns an endpoint by its id; nil when there is none.
func (c *Conference) Endpoint(id string) *Endpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.endpoints[id]
}

// owns says that an SSRC is of a source of the conference. The caller holds mu.
func (c *Conference) owns(ssrc uint32) bool { return c.ssrcs[ssrc] != nil }

// apply makes the conference what is wished, and reports that it has ended.
func (c *Conference) apply(w api.Conference) (ended bool) {
	var open, shut []*Endpoint
	var wishes []api.Endpoint
	c.mu.Lock()
	if c.applied && w.Version <= c.version {
		c.mu.Unlock()
		return false
	}
	c.applied, c.version = true, w.Version
	seen := make(map[string]bool)
	for _, wish := range w.Endpoints {
		seen[wish.ID] = true
	}
	for id, e := range c.endpoints {
		if !seen[id] {
			c.remove(e)
			shut = append(shut, e)
		}
	}
	c.order = c.order[:0:0]
	for _, wish := range w.Endpoints {
		e := c.endpoints[wish.ID]
		if e != nil && slices.Contains(c.order, e) {
			continue
		}
		fresh := e == nil
		if fresh {
			e = newEndpoint(c, wish.ID, wish.Member)
			c.endpoints[wish.ID] = e
		}
		c.order = append(c.order, e)
		if fresh || transportChanged(&e.wish, &wish) {
			open, wishes = append(open, e), append(wishes, wish)
		}
		e.renew(&wish)
	}
	c.group()
	for _, e := range c.order { // after all that is gone has freed its SSRCs
		c.source(e)
	}
	c.dirty.Store(true)
	ended = len(c.endpoints) == 0
	c.mu.Unlock()

	if t := c.bridge.config.Transports; t != nil {
		for _, e := range shut {
			t.Close(e)
		}
		for i, e := range open {
			t.Open(e, wishes[i])
		}
	}
	return ended
}

// transportChanged says that the transport of an endpoint is to be opened anew, restarted or given the client's side.
func transportChanged(a, b *api.Endpoint) bool {
	if a.Session != b.Session || a.Restart != b.Restart || a.Data != b.Data || (a.Remote == nil) != (b.Remote == nil) {
		return true
	}
	return a.Remote != nil && (a.Remote.Ufrag != b.Remote.Ufrag || a.Remote.Pwd != b.Remote.Pwd || a.Remote.Setup != b.Remote.Setup ||
		!slices.Equal(a.Remote.Fingerprints, b.Remote.Fingerprints) || !slices.Equal(a.Remote.Candidates, b.Remote.Candidates))
}

// renew takes the wish for an endpoint, but for its sources.
func (e *Endpoint) renew(wish *api.Endpoint) {
	if e.wish.Session != wish.Session {
		e.leg.Store(nil) // what it has to say is for the client that was
		e.consent.Store(false)
		e.receive.reset()
		e.told = nil
		clear(e.met)
		e.out.renew()
	}
	d := newDialect(wish.Receive)
	if d.single {
		e.receive.watch()
	}
	if old := e.dialect.Load(); old.rewriting != d.rewriting || old.midDemux != d.midDemux || old.single != d.single {
		e.out.mu.Lock()
		e.out.clear()
		e.out.mu.Unlock()
	}
	e.dialect.Store(d)
	e.session.Store(int64(wish.Session))
	e.wish = *wish
}

// source makes the sources of an endpoint what its wish says. An SSRC that another source has stays that one's (HB5).
func (c *Conference) source(e *Endpoint) {
	wish := e.wish.Sources
	var gone []*source
	e.sources = slices.DeleteFunc(e.sources, func(s *source) bool {
		if slices.ContainsFunc(wish, s.same) {
			return false
		}
		gone = append(gone, s)
		return true
	})
	for _, s := range gone {
		c.forget(s)
	}
	changed := len(gone) > 0
	for _, w := range wish {
		i := slices.IndexFunc(e.sources, func(s *source) bool { return s.same(w) })
		if i >= 0 {
			e.sources[i].signal.Since = w.Since
			if s := e.sources[i]; s.signal.VideoType != w.VideoType {
				s.signal.VideoType, s.videoType = w.VideoType, w.VideoType
			}
			continue
		}
		s := newSource(e, w)
		if s == nil || slices.ContainsFunc(s.all(), c.owns) {
			e.drop(DropSource)
			continue
		}
		for _, ssrc := range s.all() {
			c.ssrcs[ssrc] = s
		}
		e.sources = append(e.sources, s)
		changed = true
	}
	for _, s := range e.sources {
		mute := e.wish.MuteAudio
		if s.video {
			mute = e.wish.MuteVideo
		}
		if s.forbid.Swap(mute) != mute {
			s.empty() // what comes after has holes where it was muted
		}
	}
	if !changed {
		return
	}
	e.in.mu.Lock()
	defer e.in.mu.Unlock()
	clear(e.in.table)
	e.in.unsignalled = e.in.unsignalled[:0]
	for _, s := range e.sources {
		for _, st := range s.streams {
			if s.signal.Found {
				e.in.unsignalled = append(e.in.unsignalled, finding{stream: st})
				continue
			}
			e.in.table[st.ssrc.Load()] = entry{st, false}
			if st.rtx != 0 {
				e.in.table[st.rtx] = entry{st, true}
			}
		}
	}
}

func (c *Conference) forget(s *source) {
	s.gone = true
	for _, e := range c.order {
		delete(e.met, s)
	}
	for _, ssrc := range s.all() {
		if c.ssrcs[ssrc] == s {
			delete(c.ssrcs, ssrc)
		}
	}
	s.slots.Store(new([]*slot))
	s.close()
}

// remove takes an endpoint out.
func (c *Conference) remove(e *Endpoint) {
	delete(c.endpoints, e.ID)
	e.in.mu.Lock()
	clear(e.in.table)
	e.in.unsignalled = nil
	e.in.mu.Unlock()
	for _, s := range e.sources {
		c.forget(s)
	}
	e.sources = nil
	e.out.mu.Lock()
	e.out.clear()
	e.out.closed = true
	e.out.mu.Unlock()
	e.leg.Store(nil)
	if e.channel != nil {
		e.channel.Close(channel.CloseExpired, "the endpoint is gone")
		e.channel = nil
	}
	if !c.hasMember(e.Member) && c.speaker.forget(e.Member) {
		c.tellSpeaker()
	}
	if e.quality.told != nowhere {
		e.quality.told = nowhere
		c.bridge.event(api.Event{Quality: &api.Quality{Conference: c.ID, Endpoint: e.ID, Session: e.wish.Session}})
	}
}

// hasMember reports that a member has a transport.
func (c *Conference) hasMember(member string) bool {
	for _, e := range c.endpoints {
		if e.Member == member {
			return true
		}
	}
	return false
}

// renew begins with new keys: no SSRC has a past.
func (o *egress) renew() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.clear()
	clear(o.trails)
	o.blanks = 0
	o.share, o.downlink = share{}, downlink{}
	o.pacer.rate, o.pacer.credit, o.pacer.probe = 0, 0, probing{}
}

// clear takes all slots away.
func (o *egress) clear() {
	for _, s := range o.slots {
		o.leave(s)
	}
	o.audio, o.video, o.order = nil, nil, nil
	o.pacer.purge(nil)
}

// Tick lets time pass up to b.Now: feedback to senders, key frames, layers, who speaks, who is there.
func (c *Conference) Tick(b *udp.Batch) {
	at := b.Now.Sub(c.epoch)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.batch = b
	for _, e := range c.order {
		e.feedback(b)
		e.record(c.bridge.config.Recorder)
		c.activity(e, at)
		for _, s := range e.sources {
			if !s.video {
				continue
			}
			for i, st := range s.streams {
				s.levels.streams[i] = st.level(b.Now)
			}
			s.ladder = s.levels.climb(s.screen())
			s.requests(b)
		}
	}
	before := c.speaker.decided
	if c.speaker.decide(at, c.order) {
		c.tellSpeaker()
		c.dirty.Store(true)
	}
	if c.speaker.decided != before {
		c.turn()
	}
	if b.Now.Sub(c.allocated) >= time.Duration(len(c.order))*allocateCost && c.dirty.Swap(false) {
		c.allocated = b.Now
		c.allocate()
	}
	c.couple()
	for _, e := range c.order {
		e.aim(c)
		e.tell(b.Now)
		e.judge(b.Now, c.bridge.strain(b.Now))
	}
}

// activity notices that an endpoint went quiet, or came back.
func (c *Conference) activity(e *Endpoint, at time.Duration) {
	heard := time.Duration(e.heard.Load())
	var now activity
	switch {
	case e.consent.Load(): // who only listens, or talks to another directly, is there too
		now = active
	case heard == 0 && at-e.joined < idleBefore:
		return
	case heard == 0, at-heard >= idleAfter:
		now = inactive
	default:
		now = active
	}
	before := e.activity
	if before == now {
		return
	}
	e.activity = now
	state := api.Inactive
	if now == active {
		state = api.Active
	}
	c.bridge.event(api.Event{State: &api.State{Conference: c.ID, Endpoint: e.ID, Session: e.wish.Session, State: state}})
	if (before != 0 || now == inactive) && e.Member == e.ID {
		c.tellOthers(e, channel.EndpointConnectivityStatusChangeEvent{Endpoint: e.ID, Active: now == active})
	}
}

type activity uint8

const (
	active activity = iota + 1
	inactive
)
