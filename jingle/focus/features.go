package focus

import (
	"time"

	"parley/jingle"
	"parley/xmpp/wire"
)

// Features are what a client can do, of what matters to an offer (jitsi.md §6.6).
type Features uint16

// The features.
const (
	Audio Features = 1 << iota
	Video
	RTX
	TCC
	REMB
	CompactSources
	Rewriting
	MidDemux
	RED
	DataChannel
)

// modern is what a client is taken for that does not say: what every client of the last years has, and nothing that it
// could not live without.
const modern = Audio | Video | RTX | TCC | CompactSources

var featureNames = map[string]Features{
	"urn:xmpp:jingle:apps:rtp:audio":        Audio,
	"urn:xmpp:jingle:apps:rtp:video":        Video,
	"urn:ietf:rfc:4588":                     RTX,
	"http://jitsi.org/tcc":                  TCC,
	"http://jitsi.org/remb":                 REMB,
	"http://jitsi.org/json-encoded-sources": CompactSources,
	"http://jitsi.org/ssrc-rewriting-1":     Rewriting,
	"http://jitsi.org/rtp-mid-demux":        MidDemux,
	"http://jitsi.org/opus-red":             RED,
	jingle.NSSCTP:                           DataChannel,
}

// Has reports that all of g are there.
func (f Features) Has(g Features) bool { return f&g == g }

// featuresIn collects the features that are children of an element.
func featuresIn(e wire.Elem) Features {
	var f Features
	for it := e.Children(); it.Next(); {
		if string(it.Elem.Local()) == "feature" {
			f |= featureNames[it.Elem.AttrString("var")]
		}
	}
	return f
}

// patience is how long a client may take to say what it can do.
const patience = 2 * time.Second

// learn finds out what a member's client can do: from the hash that it announces, if that is known, or by asking it.
func (c *conference) learn(m *member, now time.Time) {
	if m.learned || m.question.id != "" {
		return
	}
	q := question{by: now.Add(patience)}
	p := m.last.Presence()
	if caps := p.Child("c", NSCaps); caps.Ok() && caps.AttrString("hash") == "sha-1" {
		q.ver = caps.AttrString("ver")
		q.node = caps.AttrString("node") + "#" + q.ver
		if f, ok := c.caps.get(q.ver); ok {
			c.know(m, f)
			return
		}
	}
	q.id = c.iq()
	m.question = q
	payload := []byte("<query xmlns='" + NSDisco + "'")
	if q.node != "" {
		payload = wire.AppendAttr(payload, "node", q.node)
	}
	c.emit(ask{m.endpoint, "get", q.id, append(payload, "/>"...)})
}

// know ends the question. What the presence says by itself counts too (jitsi.md §6.1).
func (c *conference) know(m *member, f Features) {
	for it := m.last.Presence().Children(); it.Next(); {
		if string(it.Elem.Local()) == "features" {
			f |= featuresIn(it.Elem)
		}
	}
	m.features, m.learned, m.question = f, true, question{}
	c.changed = true
}

// described takes the answer to the question.
func (c *conference) described(m *member, p *wire.Packet) {
	q := p.Elem().Child("query", NSDisco)
	if string(p.Type()) != "result" || !q.Ok() {
		c.know(m, modern)
		return
	}
	f := featuresIn(q)
	if m.question.ver != "" && verify(q, m.question.ver) {
		c.caps.put(m.question.ver, f)
	}
	c.know(m, f)
}
