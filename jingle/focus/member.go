package focus

import (
	"encoding/json"
	"time"

	"parley/bridge/api"
	"parley/muc"
	"parley/xmpp/wire"
)

// member is an occupant that takes part in the call.
type member struct {
	endpoint string       // the endpoint id: the nick of a member that speaks the Jitsi dialect
	addr     wire.Addr    // real full address
	last     muc.Occupant // with its last presence

	features Features
	learned  bool // features are known, or taken for granted
	question question

	audio, video mute
	restarts     pace
	call         *call // nil: it speaks the Jitsi dialect
	session
}

// question is the disco#info that an occupant was asked for.
type question struct {
	id   string
	node string // caps node with hash, "" where none was announced
	ver  string
	by   time.Time // when it counts as unanswered
}

// members are those of one conference, in the order of joining. Occupants that do not speak the Jitsi dialect chat in the
// room; they are in no call, so they do not count.
type members []*member

// speaksJitsi reports that an occupant takes part in the call by the Jitsi dialect. Its conference request shows it; who
// sent that by HTTP is known by what its presence announces (jitsi.md §6.1).
func speaksJitsi(o *muc.Occupant) bool {
	if o.Jitsi {
		return true
	}
	for c := o.Presence().Children(); c.Next(); {
		switch string(c.Elem.Local()) {
		case "SourceInfo", "jitsi_participant_codecList":
			return true
		}
	}
	return false
}

func (ms members) of(endpoint string) *member {
	for _, m := range ms {
		if m.endpoint == endpoint {
			return m
		}
	}
	return nil
}

// put takes an occupant's presence.
func (c *conference) put(o *muc.Occupant) {
	m := c.members.of(o.Nick)
	call := c.calls[o.Addr]
	switch {
	case call != nil && m == nil:
		c.members = append(c.members, &member{endpoint: o.Nick, addr: o.Addr, last: *o, call: call})
		return
	case call != nil:
	case o.Bot || o.Nick == focusNick || !speaksJitsi(o):
		if m != nil {
			c.drop(m, gone)
		}
		return
	case m == nil:
		m = &member{endpoint: o.Nick}
		c.members = append(c.members, m)
	case m.addr != o.Addr: // another device of the same person stands for it now
		c.end(m, nil)
		m.features, m.learned, m.question = 0, false, question{}
	}
	m.addr, m.last = o.Addr, *o
	c.unmuted(m)
	c.hushed(m)
}

// leave takes out who has left the room: nobody is there to be told.
func (c *conference) leave(nick string) {
	if m := c.members.of(nick); m != nil {
		c.drop(m, nil)
	}
}

// mute is what a moderator has forbidden.
type mute struct {
	on     bool
	obeyed bool // the member said since then that it is muted
}

// unmuted lifts what a moderator has muted when the member, having obeyed, says that it sends again: a moderator asks for
// silence, and only the member itself ends it (jitsi.md §6.4).
func (c *conference) unmuted(m *member) {
	for kind, mu := range map[string]*mute{api.Audio: &m.audio, api.Video: &m.video} {
		switch {
		case !mu.on:
		case mutedIn(&m.last, kind):
			mu.obeyed = true
		case mu.obeyed:
			*mu = mute{}
			c.changed = true
		}
	}
}

// maxSourceInfo bounds the text of SourceInfo in bytes; what is longer counts as empty.
const maxSourceInfo = 8 << 10

// mutedIn reports what the occupant's SourceInfo says (jitsi.md §8.4): a source that is not described is muted.
func mutedIn(o *muc.Occupant, kind string) bool {
	for c := o.Presence().Children(); c.Next(); {
		if string(c.Elem.Local()) != "SourceInfo" {
			continue
		}
		return mutedText(o.Nick, kind, c.Elem.Text())
	}
	return true
}

// mutedText is mutedIn for the text of SourceInfo. An endpoint describes only its own sources.
func mutedText(endpoint, kind, text string) bool {
	var info map[string]struct {
		Muted *bool `json:"muted"`
	}
	if len(text) > maxSourceInfo || json.Unmarshal([]byte(text), &info) != nil {
		return true
	}
	for name, s := range info {
		if kindOf(endpoint, name) == kind && s.Muted != nil && !*s.Muted {
			return false
		}
	}
	return true
}
