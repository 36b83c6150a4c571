package focus

import (
	"maps"
	"slices"
	"strings"

	"parley/bridge/api"
	"parley/jingle"
	"parley/muc"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// sending is what a member sends.
type sending struct {
	sources  jingle.Sources
	shown    jingle.Sources // as the others are told of them
	wish     []api.Source   // as the bridge is told of them
	revision uint64         // of sources; 0 while there are none
}

// knowledge is what a member's client has been told of the others. It is compared with what there is whenever something has
// changed, so a client that accepts late gets in one piece what it has missed (jitsi.md §8.6).
type knowledge struct {
	of map[string]toldOf // by owner
	at uint64            // the conference's revision

	// The bridge forwards no source that the client has not acknowledged (jitsi.md §9.5).
	known   uint64   // the revision that it has acknowledged
	waiting []notice // what it has not, oldest first
}

// notice is a source-add on its way.
type notice struct {
	id string // of the IQ
	at uint64 // revision that is known with its result
}

type toldOf struct {
	sources  jingle.Sources
	revision uint64
}

// maxMSID bounds what one source adds to the offers of all others, in bytes: two UUIDs and some.
const maxMSID = 256

// senderLimits bound how many members of a conference send a medium.
type senderLimits struct{ audio, video int }

var (
	errOwned   = bad("an SSRC is used by another endpoint")
	errMSID    = bad("an msid is used by another source")
	errLong    = bad("an msid is too long")
	errName    = bad("a source must be named ENDPOINT-aN or ENDPOINT-vN, by its own endpoint and medium")
	errGroup   = bad("a source group has sources of different names")
	errSilent  = &wire.Error{Type: mstanza.Auth, Condition: mstanza.Forbidden, Text: "visitors send nothing"}
	errSenders = &wire.Error{Type: mstanza.Wait, Condition: mstanza.ResourceConstraint, Text: "too many senders"}
)

// kindOf returns the medium that a source's name is of, "" for a name that is not the endpoint's (jitsi.md §8.1).
func kindOf(endpoint, name string) string {
	rest, ok := strings.CutPrefix(name, endpoint+"-")
	if !ok || len(rest) < 2 {
		return ""
	}
	index, lang, translated := strings.Cut(rest[1:], ".")
	if index == "" || len(index) > 3 || strings.Trim(index, "0123456789") != "" || translated && lang == "" {
		return ""
	}
	switch rest[0] {
	case 'a':
		return api.Audio
	case 'v':
		return api.Video
	}
	return ""
}

// checkSources applies the rules of jitsi.md §8.5 to sources that a member adds, and to all that it would have then. The
// first owner of an SSRC keeps it (hardening.md HB5).
func (c *conference) checkSources(m *member, o *muc.Occupant, more, all jingle.Sources) *wire.Error {
	if more.Empty() && len(more.VideoGroups)+len(more.AudioGroups) == 0 {
		return nil
	}
	if o.Role == muc.Visitor {
		return errSilent
	}
	if err := all.Check(jingle.DefaultLimits); err != nil {
		return fault(err)
	}
	names := make(map[uint32]string)
	for kind, list := range map[string][]jingle.Source{api.Audio: more.Audio, api.Video: more.Video} {
		for i := range list {
			s := &list[i]
			if kindOf(m.endpoint, s.Name) != kind {
				return errName
			}
			if owner, taken := c.ssrcs[s.SSRC]; taken && owner != m.endpoint {
				return errOwned
			}
			if len(s.MSID()) > maxMSID {
				return errLong
			}
			if name, taken := c.msids[s.MSID()]; taken && name != s.Name {
				return errMSID
			}
		}
	}
	for _, list := range [][]jingle.Source{all.Audio, all.Video} {
		for i := range list {
			names[list[i].SSRC] = list[i].Name
		}
	}
	for _, g := range slices.Concat(all.AudioGroups, all.VideoGroups) {
		for _, ssrc := range g.SSRCs {
			if names[ssrc] != names[g.SSRCs[0]] {
				return errGroup
			}
		}
	}
	audio, video := 0, 0
	for _, other := range c.members {
		if other != m && len(other.sources.Audio) > 0 {
			audio++
		}
		if other != m && len(other.sources.Video) > 0 {
			video++
		}
	}
	if len(more.Audio) > 0 && audio >= c.senders.audio || len(more.Video) > 0 && video >= c.senders.video {
		return errSenders
	}
	return nil
}

// addSources takes source-add.
func (c *conference) addSources(m *member, o *muc.Occupant, j *jingle.Jingle) *wire.Error {
	if m.stage != active {
		return jingle.ErrOutOfOrder
	}
	more := jingle.SourcesIn(j.Contents)
	all, err := m.sources.Add(more, jingle.DefaultLimits)
	if err != nil {
		return fault(err)
	}
	if why := c.checkSources(m, o, more, all); why != nil {
		return why
	}
	c.setSources(m, all)
	return nil
}

// removeSources takes source-remove.
func (c *conference) removeSources(m *member, j *jingle.Jingle) *wire.Error {
	if m.stage != active {
		return jingle.ErrOutOfOrder
	}
	rest, err := m.sources.Remove(jingle.SourcesIn(j.Contents))
	if err != nil {
		return fault(err)
	}
	c.setSources(m, rest)
	return nil
}

// lean returns the sources with what the others need of them, and nothing that a client may add to burden them.
func lean(s jingle.Sources) jingle.Sources {
	sources := func(list []jingle.Source) []jingle.Source {
		list = slices.Clone(list)
		for i, s := range list {
			list[i] = jingle.Source{SSRC: s.SSRC, Name: s.Name}
			if msid := s.MSID(); msid != "" {
				list[i].Parameters = []jingle.Parameter{{Name: "msid", Value: msid}}
			}
			if s.VideoType == api.Desktop {
				list[i].VideoType = api.Desktop
			}
		}
		return list
	}
	groups := func(list []jingle.SourceGroup) []jingle.SourceGroup {
		return slices.DeleteFunc(slices.Clone(list), func(g jingle.SourceGroup) bool { return g.Semantics != "FID" && g.Semantics != "SIM" })
	}
	return jingle.Sources{Video: sources(s.Video), VideoGroups: groups(s.VideoGroups), Audio: sources(s.Audio), AudioGroups: groups(s.AudioGroups)}
}

// setSources notes what a member sends from now on, which has been checked.
func (c *conference) setSources(m *member, s jingle.Sources) {
	s = lean(s)
	if s.Empty() && m.sources.Empty() {
		return
	}
	for _, old := range slices.Concat(m.sources.Audio, m.sources.Video) {
		delete(c.ssrcs, old.SSRC)
		delete(c.msids, old.MSID())
	}
	for _, now := range slices.Concat(s.Audio, s.Video) {
		c.ssrcs[now.SSRC] = m.endpoint
		if msid := now.MSID(); msid != "" {
			c.msids[msid] = now.Name
		}
	}
	c.revision++
	wish := append(named(api.Audio, s.Audio, s.AudioGroups), named(api.Video, s.Video, s.VideoGroups)...)
	for i := range wish {
		wish[i].Since = c.revision
		for _, old := range m.wish {
			if old.Name == wish[i].Name && slices.Equal(old.SSRCs, wish[i].SSRCs) {
				wish[i].Since = old.Since
			}
		}
	}
	m.sending = sending{sources: s, shown: s.StripSimulcast(), revision: c.revision, wish: wish}
	c.changed = true
}

// named groups sources by their names, in the order of signalling.
func named(kind string, sources []jingle.Source, groups []jingle.SourceGroup) []api.Source {
	var list []api.Source
	at := make(map[string]int)
	nameOf := make(map[uint32]string)
	for i := range sources {
		s := &sources[i]
		nameOf[s.SSRC] = s.Name
		if _, ok := at[s.Name]; !ok {
			at[s.Name] = len(list)
			list = append(list, api.Source{Name: s.Name, Kind: kind})
			if kind == api.Video {
				list[len(list)-1].VideoType = api.Camera
			}
		}
		to := &list[at[s.Name]]
		if s.VideoType == api.Desktop && kind == api.Video {
			to.VideoType = api.Desktop
		}
		to.SSRCs = append(to.SSRCs, s.SSRC)
	}
	for _, g := range groups {
		to := &list[at[nameOf[g.SSRCs[0]]]]
		to.Groups = append(to.Groups, api.Group{Semantics: g.Semantics, SSRCs: g.SSRCs})
	}
	return list
}

// others returns what a member's client has to know of the others, and notes that it knows it now. A client for which the
// bridge picks the SSRCs is told by the bridge (jitsi.md §10.3).
func (c *conference) others(m *member) []jingle.OwnedSources {
	m.knowledge = knowledge{of: make(map[string]toldOf), at: c.revision}
	if m.receive.Rewriting {
		return nil
	}
	var list []jingle.OwnedSources
	for _, o := range c.members {
		if o != m && !o.shown.Empty() {
			list = append(list, jingle.OwnedSources{Owner: o.endpoint, Sources: o.shown})
			m.of[o.endpoint] = toldOf{o.shown, o.revision}
		}
	}
	return list
}

// tell brings the knowledge of a client that has accepted up to date, by source-remove and source-add.
func (c *conference) tell(m *member) {
	if m.stage != active || m.receive.Rewriting || m.at == c.revision {
		return
	}
	m.at = c.revision
	var add, remove []jingle.OwnedSources
	change := func(owner string, to toldOf) {
		more, less := jingle.Changes(m.of[owner].sources, to.sources)
		if !less.Empty() {
			remove = append(remove, jingle.OwnedSources{Owner: owner, Sources: less})
		}
		if !more.Empty() {
			add = append(add, jingle.OwnedSources{Owner: owner, Sources: more})
		}
		if m.of[owner] = to; to.sources.Empty() {
			delete(m.of, owner)
		}
	}
	left := maps.Clone(m.of)
	for _, o := range c.members {
		if delete(left, o.endpoint); o != m && m.of[o.endpoint].revision != o.revision {
			change(o.endpoint, toldOf{o.shown, o.revision})
		}
	}
	for _, owner := range slices.Sorted(maps.Keys(left)) {
		change(owner, toldOf{})
	}
	c.signal(m, jingle.SourceRemove, remove)
	if id := c.signal(m, jingle.SourceAdd, add); id != "" {
		m.waiting = append(m.waiting, notice{id, c.revision})
	}
}

// signal sends an IQ about sources and returns its id, "" when there is nothing to say.
func (c *conference) signal(m *member, action jingle.Action, list []jingle.OwnedSources) string {
	if len(list) == 0 {
		return ""
	}
	j := jingle.Jingle{Action: action, Initiator: string(c.focus()), SID: m.sid}
	c.attach(&j, m, list)
	id := c.iq()
	c.emit(ask{m.endpoint, "set", id, j.Append(nil)})
	return id
}

// acknowledged takes the answer to an IQ, which may be a source-add. Clients take what they are told in order, so one answer
// stands for all before it. One that could not take it will not be able to later: an error counts too.
func (c *conference) acknowledged(m *member, id string) {
	i := slices.IndexFunc(m.waiting, func(n notice) bool { return n.id == id })
	if i < 0 {
		return
	}
	m.known = m.waiting[i].at
	m.waiting = slices.Clone(m.waiting[i+1:])
	c.changed = true
}
