package link

import (
	"maps"
	"slices"

	"parley/bridge/api"
)

// kind orders what a new front is told after the Hello.
type kind uint8

const (
	stress    kind = iota
	transport      // of an endpoint
	path           // of an endpoint: connected, disconnected, failed
	media          // of an endpoint: active, inactive
	quality        // of an endpoint
	speaker        // of a conference
	kinds
)

// subject is what an event is about. A later event about the same subject takes the place of an earlier one.
type subject struct {
	kind                 kind
	conference, endpoint string
}

// about returns the subject of an event; false for one that is not the core's to tell.
func about(e *api.Event) (subject, bool) {
	switch {
	case e.Transport != nil:
		return subject{transport, e.Transport.Conference, e.Transport.Endpoint}, true
	case e.State != nil:
		k := path
		if e.State.State == api.Active || e.State.State == api.Inactive {
			k = media
		}
		return subject{k, e.State.Conference, e.State.Endpoint}, true
	case e.Speaker != nil:
		return subject{speaker, e.Speaker.Conference, ""}, true
	case e.Stress != nil:
		return subject{kind: stress}, true
	case e.Quality != nil:
		return subject{quality, e.Quality.Conference, e.Quality.Endpoint}, true
	}
	return subject{}, false
}

// newest holds the newest event of each subject, and which ones the front has not been told. Events about conferences and
// endpoints that are not wished are no more than late, and dropped: what is held is bounded by what is wished.
type newest struct {
	meetings map[string]*meeting
	unsaid   []subject // in the order in which they became so; what was forgotten since is skipped
	stress   held
}

// meeting is a conference that is wished.
type meeting struct {
	version   uint64
	front     string // the one that last spoke for it
	speaker   held
	endpoints map[string]*member
}

type member [kinds]held

// held is an event, and whether its subject stands in the queue.
type held struct {
	event  *api.Event
	queued bool
}

// wish notes that a conference was applied by a front, and reports whether it is news; if not, have is the version that
// counts.
func (n *newest) wish(c *api.Conference, front string) (have uint64, isNews bool) {
	m := n.meetings[c.ID]
	if m != nil && c.Version < m.version {
		m.front = front
		return m.version, false
	}
	if len(c.Endpoints) == 0 {
		delete(n.meetings, c.ID)
		return c.Version, true
	}
	if m == nil {
		m = &meeting{endpoints: make(map[string]*member)}
		if n.meetings == nil {
			n.meetings = make(map[string]*meeting)
		}
		n.meetings[c.ID] = m
	}
	m.version, m.front = c.Version, front
	here := make(map[string]bool, len(c.Endpoints))
	for i := range c.Endpoints {
		id := c.Endpoints[i].ID
		here[id] = true
		if m.endpoints[id] == nil {
			m.endpoints[id] = new(member)
		}
	}
	maps.DeleteFunc(m.endpoints, func(id string, _ *member) bool { return !here[id] })
	return c.Version, true
}

// at returns where the event of a subject is held; nil if the subject is not wished.
func (n *newest) at(s subject) *held {
	if s.kind == stress {
		return &n.stress
	}
	m := n.meetings[s.conference]
	switch {
	case m == nil:
		return nil
	case s.kind == speaker:
		return &m.speaker
	case m.endpoints[s.endpoint] == nil:
		return nil
	}
	return &m.endpoints[s.endpoint][s.kind]
}

// put takes an event and reports whether there is something to say.
func (n *newest) put(e *api.Event) bool {
	s, ok := about(e)
	if !ok {
		return false
	}
	h := n.at(s)
	if h == nil {
		return false
	}
	h.event = e
	if e.Transport != nil { // what became of former transports no longer matters
		for _, k := range []kind{path, media} {
			old := n.at(subject{k, s.conference, s.endpoint})
			if old.event != nil && old.event.State.Session < e.Transport.Session {
				*old = held{}
			}
		}
	}
	if !h.queued {
		h.queued = true
		n.unsaid = append(n.unsaid, s)
	}
	return true
}

// next takes the oldest subject that has something to say out of the queue.
func (n *newest) next() *api.Event {
	for len(n.unsaid) > 0 {
		s := n.unsaid[0]
		n.unsaid = n.unsaid[1:]
		if h := n.at(s); h != nil && h.queued {
			h.queued = false
			return h.event
		}
	}
	n.unsaid = nil
	return nil
}

// again puts everything into the queue, for a front that knows nothing: transports, then states, then speakers.
func (n *newest) again() {
	n.unsaid = nil
	ids := slices.Sorted(maps.Keys(n.meetings))
	for k := range kinds {
		if k == stress {
			n.queue(subject{kind: stress})
			continue
		}
		for _, id := range ids {
			if k == speaker {
				n.queue(subject{k, id, ""})
				continue
			}
			for _, ep := range slices.Sorted(maps.Keys(n.meetings[id].endpoints)) {
				n.queue(subject{k, id, ep})
			}
		}
	}
}

func (n *newest) queue(s subject) {
	if h := n.at(s); h.event != nil {
		h.queued = true
		n.unsaid = append(n.unsaid, s)
	}
}
