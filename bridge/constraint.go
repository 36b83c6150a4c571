package bridge

import (
	"cmp"
	"maps"
	"slices"

	"parley/bridge/channel"
)

// defaultHeight is what a receiver gets of a source that its constraints do not speak of, before it has set a default. The
// bridge of Jitsi has 180, at which clients that never set one look poor.
const defaultHeight = 360

// constraintsMost bounds what is remembered of one receiver's wishes: sources, and names in each list.
const constraintsMost = 500

// constraints are what a receiver wants (jitsi.md §10.2). Until it has said anything, it gets no video.
type constraints struct {
	heard    bool
	lastN    int // below 0: all
	selected []string
	onStage  []string
	standard channel.VideoConstraints
	sources  map[string]channel.VideoConstraints
	audio    channel.ReceiverAudioSubscription
}

func (c *constraints) reset() {
	*c = constraints{
		lastN: -1, standard: channel.VideoConstraints{MaxHeight: defaultHeight, MaxFrameRate: -1},
		audio: channel.ReceiverAudioSubscription{All: true},
	}
}

// take applies a message; what is absent stays.
func (c *constraints) take(m channel.ReceiverVideoConstraints) {
	c.heard = true
	if m.LastN != nil {
		c.lastN = *m.LastN
	}
	if m.SelectedSources != nil {
		c.selected = slices.Clone(m.SelectedSources[:min(len(m.SelectedSources), constraintsMost)])
	}
	if m.OnStageSources != nil {
		c.onStage = slices.Clone(m.OnStageSources[:min(len(m.OnStageSources), constraintsMost)])
	}
	if m.DefaultConstraints != nil {
		c.standard = *m.DefaultConstraints
	}
	if m.Constraints != nil && len(m.Constraints) <= constraintsMost {
		c.sources = maps.Clone(m.Constraints)
	}
}

// of is the constraint for a source.
func (c *constraints) of(source string) channel.VideoConstraints {
	if v, ok := c.sources[source]; ok {
		return v
	}
	return c.standard
}

// candidate is a source in the order of importance to a receiver.
type candidate struct {
	source            *source
	limit             channel.VideoConstraints
	stage, pick, rank int
}

// video are the sources that a receiver should get, the most important first: those on stage, those selected, then by who
// spoke last; and no more than it wants. The caller holds Conference.mu.
func (e *Endpoint) video(list []candidate) []candidate {
	list = list[:0]
	r := &e.receive
	if !r.heard || r.lastN == 0 {
		return list
	}
	place := func(names []string, name string) int {
		if i := slices.Index(names, name); i >= 0 {
			return i
		}
		return constraintsMost
	}
	for _, o := range e.Conference.order {
		if o.Member == e.Member {
			continue
		}
		for _, s := range o.sources {
			if !s.video || !s.live() || !e.knows(s) || !e.chose(s) {
				continue
			}
			if v := r.of(s.name); v.MaxHeight != 0 {
				list = append(list, candidate{s, v, place(r.onStage, s.name), place(r.selected, s.name), e.Conference.speaker.rank(o.Member)})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.stage, b.stage), cmp.Compare(a.pick, b.pick), cmp.Compare(a.rank, b.rank))
	})
	if r.lastN > 0 && len(list) > r.lastN {
		list = list[:r.lastN]
	}
	return list
}

// knows says that the endpoint's client can tell what a source's packets are: it has acknowledged the source, or it is told of
// the slot before (jitsi.md §9.5). What it has known it knows: a focus that was killed may have forgotten the last
// acknowledgement, and hears it again. The caller holds Conference.mu.
func (e *Endpoint) knows(s *source) bool {
	if d := e.dialect.Load(); d.rewriting || d.single {
		return true
	}
	if s.signal.Since <= e.wish.Receive.Known {
		e.met[s] = s.signal.Since
		return true
	}
	since, met := e.met[s]
	return met && since == s.signal.Since
}

// audio are the audio sources that a receiver should get, those who spoke last first.
func (e *Endpoint) audio(list []candidate) []candidate {
	list = list[:0]
	for _, o := range e.Conference.order {
		if o.Member == e.Member {
			continue
		}
		for _, s := range o.sources {
			if !s.video && s.live() && e.knows(s) && e.chose(s) && e.receive.audio.Wants(s.name) {
				list = append(list, candidate{source: s, rank: e.Conference.speaker.rank(o.Member)})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Compare(a.rank, b.rank) })
	return list
}
