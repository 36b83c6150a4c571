package bridge

import (
	"slices"
	"strings"
	"sync/atomic"

	"parley/bridge/api"
)

// source is a named source of an endpoint.
type source struct {
	name   string
	owner  *Endpoint
	video  bool
	signal api.Source // as it was signalled

	ssrc, rtx uint32    // what receivers without rewriting know: the first of the SIM group, and its retransmission
	streams   []*stream // from low to high

	slots    atomic.Pointer[[]*slot] // those that are pointed at it, of all receivers
	forbid   atomic.Bool             // a moderator has muted it
	disabled atomic.Bool             // the client says that nothing is sent (videoType none)

	keys keyframes

	// Guarded by Conference.mu.
	videoType string
	gone      bool
	told      int  // the last maxHeight that its owner was told
	wasTold   bool // there was one
	levels    levels
	ladder    ladder // of levels
}

// newSource makes a source of what was signalled; nil when it has no SSRC.
func newSource(owner *Endpoint, s api.Source) *source {
	src := &source{name: s.Name, owner: owner, video: s.Kind == api.Video, signal: s, videoType: s.VideoType}
	src.keys.reset()
	var repair []uint32
	pair := make(map[uint32]uint32)
	order := s.SSRCs
	for _, g := range s.Groups {
		switch {
		case g.Semantics == "FID" && len(g.SSRCs) == 2:
			pair[g.SSRCs[0]] = g.SSRCs[1]
			repair = append(repair, g.SSRCs[1])
		case g.Semantics == "SIM" && len(g.SSRCs) > 0:
			order = slices.Concat(g.SSRCs, s.SSRCs)
		}
	}
	for _, ssrc := range order {
		known := slices.ContainsFunc(src.streams, func(o *stream) bool { return o.ssrc.Load() == ssrc })
		if known || slices.Contains(repair, ssrc) || ssrc == 0 || len(src.streams) == maxStreams {
			continue
		}
		src.streams = append(src.streams, newStream(src, len(src.streams), ssrc, pair[ssrc]))
	}
	if len(src.streams) == 0 {
		return nil
	}
	src.ssrc, src.rtx = src.streams[0].ssrc.Load(), src.streams[0].rtx
	if s.Found {
		src.streams = []*stream{newStream(src, 0, 0, 0)}
	}
	src.slots.Store(new([]*slot))
	return src
}

// same says that a source was signalled as before: what may change while it goes on is its video type, and Since.
func (s *source) same(o api.Source) bool {
	return s.name == o.Name && s.signal.Kind == o.Kind && s.signal.Found == o.Found && slices.Equal(s.signal.SSRCs, o.SSRCs) &&
		slices.EqualFunc(s.signal.Groups, o.Groups, func(a, b api.Group) bool {
			return a.Semantics == b.Semantics && slices.Equal(a.SSRCs, b.SSRCs)
		})
}

// all are the SSRCs of the source.
func (s *source) all() []uint32 {
	if s.signal.Found {
		return s.signal.SSRCs
	}
	var all []uint32
	for _, st := range s.streams {
		all = append(all, st.ssrc.Load())
		if st.rtx != 0 {
			all = append(all, st.rtx)
		}
	}
	return all
}

// close gives the kept packets back.
func (s *source) close() {
	for _, st := range s.streams {
		st.mu.Lock()
		st.closed = true
		st.store.clear()
		st.spoken.clear()
		st.mu.Unlock()
	}
}

// empty forgets what is kept.
func (s *source) empty() {
	for _, st := range s.streams {
		st.mu.Lock()
		st.store.clear()
		st.spoken.clear()
		st.mu.Unlock()
	}
}

// screen says that the source is one. The caller holds Conference.mu.
func (s *source) screen() bool { return strings.HasPrefix(s.videoType, "desktop") }

// live says that receivers may be given something of it.
func (s *source) live() bool { return !s.forbid.Load() && !s.disabled.Load() }

// levels say what a source sends at present, for the choice of layers. Conference.Tick refreshes them.
type levels struct {
	streams [maxStreams]level
}

// level is one stream of a source.
type level struct {
	alive   bool
	still   bool               // it was within stillFor
	spatial uint8              // its highest spatial layer that is alive
	heights [maxSpatial]uint16 // of the spatial layers, 0 when unknown

	measured bool
	rates    [maxSpatial][maxTemporal]uint32 // of what a receiver of a layer gets, bits per second
	spare    [maxSpatial]uint32              // of that, what can be left out of the highest temporal layer (packet.spare)
}
