package focus

import (
	"slices"
	"time"

	"parley/bridge/api"
	"parley/jingle"
)

// without takes a content out of a session; its source stays one that the client does not want.
func (c *conference) without(f *feed, content string) {
	for _, p := range f.parts {
		p.contents = slices.DeleteFunc(slices.Clone(p.contents), func(x jingle.Content) bool { return x.Name == content })
	}
	f.parts = slices.DeleteFunc(f.parts, func(p *part) bool { return len(p.contents) == 0 })
	c.changed = true
}

// thin takes sources out of a session that are no more.
func (c *conference) thin(m *member, f *feed) {
	var left []api.Source
	if o := c.members.of(f.owner); o != nil {
		left = o.wish
	}
	had := len(f.sources)
	var gone []jingle.Content
	for content, source := range f.sources {
		if slices.ContainsFunc(left, func(s api.Source) bool { return s.Name == source }) {
			continue
		}
		delete(f.sources, content)
		if slices.ContainsFunc(f.parts, func(p *part) bool { return p.carries(content) }) {
			gone = append(gone, jingle.Content{Creator: jingle.Initiator, Name: content, Senders: jingle.InitiatorSends})
		}
	}
	over := &jingle.Reason{Condition: jingle.Success}
	switch {
	case len(f.sources) == had:
	case len(f.sources) == 0:
		c.endFeed(m, f, over)
	case f.stage == barren:
	case f.stage != active:
		c.endFeed(m, f, over) // what remains begins anew
	case len(gone) > 0:
		for _, x := range gone {
			c.without(f, x.Name)
		}
		if len(f.parts) == 0 {
			c.closeFeed(m, f, over)
			return
		}
		c.sayFeed(m, f, &jingle.Jingle{Action: jingle.ContentRemove, Contents: gone})
	}
}

// endFeed ends a session, and forgets it.
func (c *conference) endFeed(m *member, f *feed, why *jingle.Reason) {
	k := m.call
	k.feeds = slices.DeleteFunc(slices.Clone(k.feeds), func(o *feed) bool { return o == f })
	if f.stage == barren {
		return
	}
	c.free(f.voices)
	c.changed = true
	if f.stage != waiting {
		c.sayFeed(m, f, &jingle.Jingle{Action: jingle.SessionTerminate, Reason: why})
	}
}

// closeFeed ends a session, and remembers that the client does not want what it brings.
func (c *conference) closeFeed(m *member, f *feed, why *jingle.Reason) {
	c.endFeed(m, f, why)
	f.refuse()
	m.call.feeds = append(m.call.feeds, f)
}

// refuse notes that there is no session, and that none is begun with these sources as long as they are there.
func (f *feed) refuse() { f.stage, f.by, f.parts = barren, time.Time{}, nil }

// giveUp ends a session that came to nothing: there is one more, and then none.
func (c *conference) giveUp(m *member, f *feed, why *jingle.Reason) {
	k := m.call
	if k.failed == nil {
		k.failed = make(map[string]int)
	}
	tries := 0
	for _, source := range f.sources {
		if len(k.failed) < feedsMost*4 || k.failed[source] > 0 {
			k.failed[source]++
		}
		tries = max(tries, k.failed[source])
	}
	if tries >= feedTries || tries == 0 {
		c.closeFeed(m, f, why)
		return
	}
	c.endFeed(m, f, why)
	k.served = 0
}

// unfeedable takes that a transport has failed.
func (c *conference) unfeedable(m *member, f *feed, reason string) {
	why := &jingle.Reason{Condition: jingle.ConnectivityError}
	if reason == "security-error" {
		c.emit(note{"dtls.reject", m.endpoint, reason})
		why = insecure
	}
	c.giveUp(m, f, why)
}

// starve ends all sessions that bring streams to a member.
func (c *conference) starve(m *member) {
	for _, f := range slices.Clone(m.call.feeds) {
		c.endFeed(m, f, &jingle.Reason{Condition: jingle.Success})
	}
	m.call.served, m.call.again = 0, time.Time{}
}
