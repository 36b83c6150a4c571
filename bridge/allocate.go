package bridge

import (
	"slices"
	"strconv"

	"parley/bridge/channel"
)

// pool is how many slots of each medium a receiver with SSRC rewriting has (jitsi.md §10.3).
const pool = 50

// allocate points the slots of all receivers at what they should get, tells them, and tells senders what is wanted of them.
// The caller holds mu.
func (c *Conference) allocate() {
	to := make(map[*source][]*slot)
	heights := make(map[*source]int)
	settled := true // everybody has said what is wanted, so what nobody wants need not be encoded
	for _, e := range c.order {
		e.assign(to, heights)
		settled = settled && e.receive.heard
	}
	for _, e := range c.order {
		for _, s := range e.sources {
			slots := to[s]
			if old := s.slots.Load(); !slices.Equal(*old, slots) {
				s.slots.Store(&slots)
			}
			if s.video {
				s.constrain(heights[s], settled)
			}
		}
	}
}

// assign points the slots of one receiver. A mapping is announced before the slot may send.
func (e *Endpoint) assign(to map[*source][]*slot, heights map[*source]int) {
	c := e.Conference
	d := e.dialect.Load()
	c.wantVideo, c.wantAudio = e.video(c.wantVideo), e.audio(c.wantAudio)
	if d.rewriting {
		c.wantVideo, c.wantAudio = c.wantVideo[:min(len(c.wantVideo), pool)], c.wantAudio[:min(len(c.wantAudio), pool)]
	}
	out := &e.out
	out.mu.Lock()
	defer out.mu.Unlock()
	if out.closed {
		return
	}
	switch {
	case d.single:
		var await []candidate
		c.wantAudio = e.voices(c.wantAudio)
		c.wantVideo, await = pictures(c.wantVideo)
		out.single(e, d, c.wantAudio, c.wantVideo)
		if out.awaited = len(await); d.watches() {
			for _, a := range await {
				raise(heights, a.source, a.limit.MaxHeight)
			}
		}
	case !d.rewriting:
		out.project(e, c.wantAudio, c.wantVideo)
	}
	var fresh []channel.Mapping
	out.audio, fresh = e.fill(d, out.audio, c.wantAudio, false)
	if len(fresh) > 0 {
		e.channel.Send(channel.AudioSourcesMap{MappedSources: fresh})
	}
	out.video, fresh = e.fill(d, out.video, c.wantVideo, true)
	if len(fresh) > 0 {
		e.channel.Send(channel.VideoSourcesMap{MappedSources: fresh})
	}
	out.rank(c.wantVideo, c.place)
	var names []string
	for _, s := range slices.Concat(out.audio, out.video) {
		if s.source == nil || !s.want.on {
			continue
		}
		to[s.source] = append(to[s.source], s)
		if s.video {
			if !s.paused {
				names = append(names, s.source.name)
			}
			raise(heights, s.source, s.want.height)
		}
	}
	if slices.Sort(names); !slices.Equal(names, e.told) && e.channel != nil {
		e.told = names
		e.channel.Send(channel.ForwardedSources{Sources: names})
	}
}

// raise makes the height at which a source is wanted at least so high; below 0 is any.
func raise(heights map[*source]int, s *source, height int) {
	if h, ok := heights[s]; !ok || h >= 0 && (height < 0 || height > h) {
		heights[s] = height
	}
}

// project gives a receiver without SSRC rewriting a slot for each source that it should get, under the SSRC that the receiver
// knows of it, and takes away those of sources that are gone.
func (o *egress) project(e *Endpoint, audio, video []candidate) {
	gone := func(s *slot) bool {
		if !s.pooled && s.source != nil && !s.source.gone && s.ssrc == s.source.ssrc {
			return false
		}
		o.leave(s)
		return true
	}
	o.audio = slices.DeleteFunc(o.audio, gone)
	o.video = slices.DeleteFunc(o.video, gone)
	add := func(list []*slot, sources []candidate) []*slot {
		for _, want := range sources {
			src := want.source
			if o.slots[src.ssrc] == nil {
				s := newSlot(e, src.video, src.ssrc, src.rtx, "")
				s.point(src)
				o.slots[s.ssrc] = s
				list = append(list, s)
			}
		}
		return list
	}
	o.audio = add(o.audio, audio)
	o.video = add(o.video, video)
}

// fill points slots at sources: first those that are there already, then with rewriting unused slots, new ones up to the size
// of the pool, and the one that has been idle the longest. It returns the slots, and the mappings to announce.
func (e *Endpoint) fill(d *dialect, slots []*slot, sources []candidate, video bool) (all []*slot, fresh []channel.Mapping) {
	place := e.Conference.place
	clear(place)
	for i, c := range sources {
		place[c.source] = i
	}
	for _, s := range slots {
		i, ok := place[s.source]
		if !ok || s.source.gone {
			s.turnOff()
			continue
		}
		delete(place, s.source)
		if !s.doubtful {
			s.turnOn(sources[i])
		}
	}
	if !d.rewriting || e.channel == nil {
		return slots, nil
	}
	for _, want := range sources {
		if _, missing := place[want.source]; !missing {
			continue
		}
		var s *slot
		if len(slots) < pool {
			s = e.newPooled(d, len(slots), video)
			slots = append(slots, s)
		} else {
			for _, o := range slots {
				if !o.want.on && (s == nil || o.used < s.used) {
					s = o
				}
			}
			if s == nil {
				break
			}
		}
		s.point(want.source)
		s.turnOn(want)
		s.announced = e.Conference.batch.Now
		fresh = append(fresh, s.mapping())
	}
	return slots, fresh
}

// turnOff stops what the slot sends; it stays pointed at its source.
func (s *slot) turnOff() {
	if s.want.on {
		s.receiver.out.uses++
		s.used = s.receiver.out.uses
	}
	s.want.on, s.paused, s.steps = false, false, 0
	s.stop()
}

func (s *slot) turnOn(c candidate) {
	if !s.want.on || s.want.height != c.limit.MaxHeight {
		clear(s.climbed[:])
	}
	s.want.on, s.want.height, s.want.rate = true, c.limit.MaxHeight, c.limit.MaxFrameRate
}

// newPooled makes a slot with SSRCs that nothing in the conference has.
func (e *Endpoint) newPooled(d *dialect, n int, video bool) *slot {
	var pair [2]uint32
	for i := range pair {
		for pair[i] == 0 || pair[i] == pair[0] && i == 1 || e.out.slots[pair[i]] != nil || e.Conference.owns(pair[i]) ||
			pair[i] == d.audioSSRC || pair[i] == d.videoSSRC {
			pair[i] = e.bridge().random()
		}
	}
	letter := "a"
	if video {
		letter = "v"
	} else {
		pair[1] = 0
	}
	mid := ""
	if d.midDemux {
		mid = letter + strconv.Itoa(n)
	}
	s := newSlot(e, video, pair[0], pair[1], mid)
	s.pooled = true
	e.out.slots[s.ssrc] = s
	return s
}

// mapping is the announcement of a slot.
func (s *slot) mapping() channel.Mapping { return s.mappingOf(s.source) }

func (s *slot) mappingOf(src *source) channel.Mapping {
	m := channel.Mapping{Source: src.name, Owner: src.owner.Member, SSRC: s.ssrc, MID: s.mid}
	if s.video {
		m.RTX, m.VideoType = s.rtx, channel.VideoType(src.videoType)
		if m.VideoType == "" {
			m.VideoType = channel.Camera
		}
	}
	return m
}

// constrain tells the owner of a source the greatest height that any receiver wants, when it has changed; before the first
// time, that nobody wants it only if all have said what they want, and know the source.
func (s *source) constrain(height int, settled bool) {
	switch {
	case s.owner.channel == nil, s.wasTold && s.told == height:
		return
	case !s.wasTold && height == 0 && (!settled || slices.ContainsFunc(s.owner.Conference.order, func(e *Endpoint) bool { return e != s.owner && !e.knows(s) })):
		return
	}
	s.told, s.wasTold = height, true
	s.owner.channel.Send(channel.SenderSourceConstraints{SourceName: s.name, MaxHeight: height})
}

// aim computes what the slots of a receiver should get at present of their sources, and starts those that wait for a key
// frame: from what is kept, or else by asking for one. It is called in each tick.
func (e *Endpoint) aim(c *Conference) {
	b := c.batch
	leg, d := e.ready()
	if leg == nil {
		return
	}
	out := &e.out
	out.mu.Lock()
	defer out.mu.Unlock()
	if out.closed {
		return
	}
	out.tick(b.Now)
	limited := out.limit(b.Now)
	room := replayTick
	for _, s := range out.video {
		if !s.want.on || s.source == nil {
			continue
		}
		if pause := limited && s.step < 0 && s.source.ladder.n > 0; pause != s.paused {
			s.paused = pause
			c.dirty.Store(true) // the receiver is told
		}
		if s.paused {
			s.stop()
			if out.pacer.purge(s) {
				s.voids(b.Now)
			}
			continue
		}
		index, spatial, ok := s.source.levels.choose(s.want.height)
		if !ok {
			index, spatial = s.want.stream, guess(s.want.height)
		}
		temporal, thin := temporalFor(s.want.rate), limited && s.pick.thin
		if limited && ok {
			index, spatial, temporal = s.pick.index, s.pick.spatial, min(s.pick.temporal, temporal)
			if s.current != nil && (s.current.index > index || s.current.index == index && s.spatial > spatial) {
				temporal = 0 // until there is a key frame to go down at
			}
		}
		if out.downlink.brakes() || out.pacer.behind() {
			temporal = 0
		}
		s.want.stream, s.want.spatial, s.want.temporal, s.want.thin = index, spatial, temporal, thin
		if at := s.current; ok && at != nil && at.index != index && !s.source.levels.streams[at.index].alive {
			s.stop() // nothing comes any more of what it gets
		}
		switch {
		case s.replay != nil || s.current == nil:
			if !s.resume(b, leg, d, &room) && ok {
				s.source.request(b, index)
			}
		case ok && (s.current.index != index || s.spatial != spatial):
			s.source.request(b, index)
		}
	}
}
