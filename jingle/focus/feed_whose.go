package focus

import (
	"encoding/json"
	"net/url"
	"strings"
	"unicode"

	"parley/jingle"
	"parley/xmpp/wire"
)

// user says who a member is: by the address where everybody in the room may know that, else by the one that it has in the room.
func (m *member) user() jingle.User {
	who := m.last.In()
	if m.last.Open && m.last.Addr != "" {
		who = m.last.Addr.Bare()
	}
	name := m.last.Presence().Child("nick", "http://jabber.org/protocol/nick").Text()
	if name == "" || len(name) > maxDisplay || strings.ContainsFunc(name, unicode.IsControl) {
		name = m.last.Nick
	}
	return jingle.User{Entity: uriOf(who), Name: name}
}

const maxDisplay = 256 // bytes of a name for people that is passed on

// uriOf writes an address as a URI (RFC 5122).
func uriOf(a wire.Addr) string {
	uri := "xmpp:" + a.Domain()
	if a.Local() != "" {
		uri = "xmpp:" + url.PathEscape(a.Local()) + "@" + a.Domain()
	}
	if a.Resource() != "" {
		uri += "/" + url.PathEscape(a.Resource())
	}
	return uri
}

// hushed tells those who are brought a member's streams which of them are silent now, or no more (XEP-0167 §8).
func (c *conference) hushed(o *member) {
	var muted func(source string) bool
	for _, m := range c.members {
		if m.call == nil || m.call.mesh != nil {
			continue
		}
		for _, f := range m.call.feeds {
			if f.owner == o.endpoint && f.stage == active {
				if muted == nil {
					muted = hushedIn(o)
				}
				c.hush(m, f, muted)
			}
		}
	}
}

func (c *conference) hush(m *member, f *feed, muted func(source string) bool) {
	for _, p := range f.parts {
		for i := range p.contents {
			name := p.contents[i].Name
			now := muted(f.sources[name])
			if now == f.muted[name] {
				continue
			}
			f.muted[name] = now
			kind := jingle.Unmute
			if now {
				kind = jingle.Mute
			}
			c.sayFeed(m, f, &jingle.Jingle{Action: jingle.SessionInfo, Info: &jingle.Info{Kind: kind, Creator: jingle.Initiator, Name: name}})
		}
	}
}

// hushedIn reads from a member's SourceInfo which of its sources are muted (jitsi.md §8.4); what is not described is.
func hushedIn(o *member) func(source string) bool {
	var info map[string]struct {
		Muted *bool `json:"muted"`
	}
	var text string
	for e := o.last.Presence().Children(); e.Next(); {
		if string(e.Elem.Local()) == "SourceInfo" {
			text = e.Elem.Text()
			break
		}
	}
	if len(text) > maxSourceInfo || json.Unmarshal([]byte(text), &info) != nil {
		info = nil
	}
	return func(source string) bool {
		s := info[source]
		return s.Muted == nil || *s.Muted
	}
}
