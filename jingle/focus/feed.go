package focus

import (
	"slices"
	"strings"
	"time"

	"parley/bridge/api"
	"parley/internal/limit"
	"parley/jingle"
	"parley/xmpp/wire"
)

// feeding is how a client that has called is given the streams of the others, each in a session of its own (XEP-0521 §6).
type feeding struct {
	every   bool              // it is; else it gets one stream of each medium in the session that it has called with
	names   map[string]string // that its contents have, by medium
	bundles bool              // several contents may have one transport
	muji    string            // the chat room that it said its session belongs to (XEP-0272)
	feeds   []*feed
	served  uint64 // the revision of the conference's sources that the feeds are in line with
	pace    limit.Bucket
	again   time.Time // when there may be more of them; zero when none is missing
	failed  map[string]int
}

// feed is a session that brings a stream: sources of one member that belong together, its voice and its camera, or its screen. It
// is an endpoint of the bridge for each transport.
type feed struct {
	sid   string
	owner string // endpoint
	parts []*part
	voices
	sources map[string]string // name by content
	muted   map[string]bool   // contents that the client knows as such
	stage   stage             // waiting, offered, active; barren: the client does not want it
	by      time.Time         // when it is to be accepted
}

// Bounds of what one client is given.
const (
	feedsMost = 50 // sessions at a time
	feedTries = 2  // of a stream with which a client or the bridge has failed
)

// feedAgain is when streams that are too many at a time are looked at again.
const feedAgain = time.Second

// feedRate is how fast sessions are begun with one client: others may let their sources come and go as they like.
var feedRate = limit.Rate{PerSecond: 2, Burst: feedsMost}

// Every says that a client that has called takes each stream of the others in a session of its own. Muji is the chat room that it
// has named, "" for none.
func (f *Focus) Every(room, occupant wire.Addr, muji string) {
	f.inRoom(room, func(c *conference, _ time.Time) {
		if k := c.calls[occupant]; k != nil && !k.every {
			k.every, k.muji, k.pace, c.changed = true, muji, limit.NewBucket(feedRate), c.caller(occupant) != nil
		}
	})
}

// Fed takes what a client says in a session that brings a stream: that it accepts it, has more candidates, wants less of it, or
// none.
func (f *Focus) Fed(room, occupant wire.Addr, j *jingle.Jingle) {
	f.inRoom(room, func(c *conference, _ time.Time) {
		m := c.caller(occupant)
		if m == nil {
			return
		}
		for _, x := range m.call.feeds {
			if x.sid == j.SID && x.stage != barren {
				c.answerFeed(m, x, j)
				return
			}
		}
	})
}

// feed brings the sessions with a client in line with what the others send.
func (c *conference) feed(m *member, now time.Time) {
	k := m.call
	if k == nil || !k.every || m.stage != active {
		return
	}
	for _, f := range slices.Clone(k.feeds) {
		if due(f.by, now) {
			c.emit(note{"focus.timeout", m.endpoint, "stream of " + f.owner})
			c.giveUp(m, f, tooSlow)
		}
	}
	if k.mesh != nil {
		c.feedMesh(m, now)
		return
	}
	if k.served == c.revision && !due(k.again, now) {
		return
	}
	k.served, k.again = c.revision, time.Time{}
	for _, f := range slices.Clone(k.feeds) {
		c.thin(m, f)
	}
	for _, o := range c.members {
		if o == m {
			continue // nobody is sent what is its own (XEP-0521 §9)
		}
		for _, sources := range o.streams() {
			if sources = slices.DeleteFunc(sources, func(s api.Source) bool { return k.has(o.endpoint, s.Name) }); len(sources) == 0 {
				continue
			}
			if len(k.feeds) >= feedsMost {
				c.emit(note{"limit.streams", m.endpoint, "more streams than a client is sent"})
				return
			}
			if !k.pace.Allow(now, 1) {
				k.again = now.Add(feedAgain)
				return
			}
			c.beginFeed(m, o, sources, now)
		}
	}
}

// feedBy is when feed wants to be called again.
func (m *member) feedBy() (by time.Time) {
	if m.call == nil {
		return by
	}
	by = m.call.again
	for _, f := range m.call.feeds {
		if !f.by.IsZero() && (by.IsZero() || f.by.Before(by)) {
			by = f.by
		}
	}
	return by
}

// streams are the member's sources in those groups in which people perceive them: what has one number belongs together.
func (m *member) streams() (list [][]api.Source) {
	at := make(map[string]int)
	for _, s := range m.wish {
		number := m.numberOf(s.Name)
		if strings.Contains(number, ".") {
			continue // a translation of another source
		}
		i, ok := at[number]
		if !ok {
			i = len(list)
			at[number], list = i, append(list, nil)
		}
		if !slices.ContainsFunc(list[i], func(o api.Source) bool { return o.Kind == s.Kind }) {
			list[i] = append(list[i], s)
		}
	}
	return list
}

// numberOf is what stands behind the medium in the name of a source.
func (m *member) numberOf(name string) string { return name[min(len(name), len(m.endpoint)+2):] }

// has says that a source is in a session.
func (k *feeding) has(owner, source string) bool {
	return slices.ContainsFunc(k.feeds, func(f *feed) bool {
		if f.owner != owner {
			return false
		}
		for _, s := range f.sources {
			if s == source {
				return true
			}
		}
		return false
	})
}

// feed finds the transport of a session that brings a stream, by the endpoint that it is of the bridge.
func (ms members) feed(endpoint string) (*member, *feed, *part) {
	for _, m := range ms {
		if m.call == nil || !m.call.every || !strings.HasPrefix(endpoint, m.endpoint+".") {
			continue
		}
		for _, f := range m.call.feeds {
			for _, p := range f.parts {
				if p.endpoint == endpoint {
					return m, f, p
				}
			}
		}
	}
	return nil, nil, nil
}

// fed are what is wished of the bridge for the sessions that bring streams to a member.
func (m *member) fed() (list []api.Endpoint) {
	for _, f := range m.call.feeds {
		if f.stage == barren {
			continue
		}
		for _, p := range f.parts {
			e := api.Endpoint{ID: p.endpoint, Member: m.endpoint, Session: p.number, Receive: p.receive}
			if remote := p.remote; remote.Ufrag != "" {
				e.Remote = &remote
			}
			if m.call.mesh == nil {
				for i := range p.contents {
					e.Receive.Names = append(e.Receive.Names, f.sources[p.contents[i].Name])
				}
				slices.Sort(e.Receive.Names)
			}
			list = append(list, e)
		}
	}
	return list
}
