package focus

import (
	"strings"

	"parley/bridge/api"
	"parley/muc"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Namespaces of <mute/>: what is muted (jitsi.md §6.4).
const (
	NSMuteAudio   = "http://jitsi.org/jitmeet/audio"
	NSMuteVideo   = "http://jitsi.org/jitmeet/video"
	NSMuteDesktop = "http://jitsi.org/jitmeet/desktop"
)

var errUnmute = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.NotAllowed, Text: "only a member itself ends its silence"}

// muting returns the <mute/> of an IQ, and its namespace.
func muting(p *wire.Packet) (wire.Elem, string) {
	for _, ns := range [...]string{NSMuteAudio, NSMuteVideo, NSMuteDesktop} {
		if p.ChildIs("mute", ns) {
			return p.Elem().Child("mute", ns), ns
		}
	}
	return wire.Elem{}, ""
}

// mute takes a moderator's wish that a member sends nothing: the bridge drops it from now on, and the member is told. A shared
// screen is a video among others to the bridge, so there the member is only told.
func (c *conference) mute(e muc.FocusStanza, wish wire.Elem, ns string) {
	victim, err := wire.ParseAddr(wish.AttrString("jid"))
	if err != nil || victim.Bare() != c.room {
		c.emit(refuse{e, bad("the attribute jid must name an occupant of this room"), ""})
		return
	}
	m := c.members.of(victim.Resource())
	own := victim.Resource() == e.Nick
	on := strings.TrimSpace(wish.Text()) == "true"
	switch {
	case !own && e.Role != muc.Moderator:
		c.emit(refuse{e, errForbidden, "focus.deny"})
		return
	case m == nil:
		c.emit(refuse{e, errNoItem, ""})
		return
	case !on && !own:
		c.emit(refuse{e, errUnmute, ""})
		return
	}
	kind := ""
	switch ns {
	case NSMuteAudio:
		kind, m.audio = api.Audio, mute{on: on}
	case NSMuteVideo:
		kind, m.video = api.Video, mute{on: on}
	}
	if kind != "" {
		c.unmuted(m) // it may be silent already
		c.changed = true
	}
	c.emit(answer{e, nil})
	if own {
		return
	}
	payload := wire.AppendAttr([]byte("<mute"), "xmlns", ns)
	payload = wire.AppendAttr(payload, "actor", string(c.room)+"/"+e.Nick)
	c.emit(ask{m.endpoint, "set", c.iq(), append(payload, ">true</mute>"...)})
}
