package jingle

import "slices"

// Source is an RTP stream (XEP-0339, RFC 5576).
type Source struct {
	SSRC       uint32 // never 0
	Parameters []Parameter

	// Jitsi's dialect.
	Name      string // <endpoint>-<a|v><index>
	VideoType string // camera or desktop, "" for camera
	Owner     string // who sends it, where the Jingle peer is not the sender
}

// SourceGroup joins sources (XEP-0339 §3): FID a stream and its retransmission, SIM the layers of a simulcast.
type SourceGroup struct {
	Semantics string
	SSRCs     []uint32
}

// Parameter returns the value of the first parameter of that name.
func (s *Source) Parameter(name string) string {
	for _, p := range s.Parameters {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// MSID returns the media stream and track (RFC 8830), "" for none.
func (s *Source) MSID() string { return s.Parameter("msid") }

// Sources are what one endpoint sends.
type Sources struct {
	Video       []Source
	VideoGroups []SourceGroup
	Audio       []Source
	AudioGroups []SourceGroup
}

// OwnedSources are the sources of one endpoint in Jitsi's compact form.
type OwnedSources struct {
	Owner string // endpoint id, or "jvb" for the bridge
	Sources
}

// SourcesIn collects the sources of all audio and video contents. The result shares memory with them.
func SourcesIn(contents []Content) Sources {
	var s Sources
	for _, c := range contents {
		d := c.Description
		if d == nil {
			continue
		}
		switch d.Media {
		case "audio":
			s.Audio, s.AudioGroups = append(s.Audio, d.Sources...), append(s.AudioGroups, d.SourceGroups...)
		case "video":
			s.Video, s.VideoGroups = append(s.Video, d.Sources...), append(s.VideoGroups, d.SourceGroups...)
		}
	}
	return s
}

// Contents returns the sources in the shape of a source-add or source-remove of Jitsi's dialect: contents audio and
// video, those without sources left out.
func (s Sources) Contents() []Content {
	var contents []Content
	add := func(media string, sources []Source, groups []SourceGroup) {
		if len(sources)+len(groups) > 0 {
			contents = append(contents, Content{Creator: Initiator, Name: media, Senders: Both,
				Description: &Description{Media: media, Sources: sources, SourceGroups: groups}})
		}
	}
	add("audio", s.Audio, s.AudioGroups)
	add("video", s.Video, s.VideoGroups)
	return contents
}

// Empty reports that there is no source.
func (s Sources) Empty() bool { return len(s.Video)+len(s.Audio) == 0 }

// Check applies the rules for the sources of one endpoint (Jitsi's dialect, also good sense): SSRCs are not 0 and used
// once; groups name sources that are there, at least two of them and all of one msid; FID has exactly two; an msid
// belongs to one name. The error is a *wire.Error.
func (s Sources) Check(l Limits) error {
	if len(s.Video)+len(s.Audio) > l.Sources {
		return tooMany("sources")
	}
	if len(s.VideoGroups)+len(s.AudioGroups) > l.Groups {
		return tooMany("source groups")
	}
	seen := make(map[uint32]bool)
	names := make(map[string]string) // by msid
	for _, list := range [][]Source{s.Video, s.Audio} {
		for i := range list {
			src := &list[i]
			if src.SSRC == 0 || seen[src.SSRC] {
				return badRequest("an SSRC is zero or used twice")
			}
			seen[src.SSRC] = true
			msid := src.MSID()
			if name, ok := names[msid]; ok && msid != "" && name != src.Name {
				return badRequest("an msid is used by two sources of different names")
			}
			names[msid] = src.Name
		}
	}
	if err := checkGroups(s.Video, s.VideoGroups); err != nil {
		return err
	}
	return checkGroups(s.Audio, s.AudioGroups)
}

func checkGroups(sources []Source, groups []SourceGroup) error {
	for _, g := range groups {
		if len(g.SSRCs) < 2 || g.Semantics == "FID" && len(g.SSRCs) != 2 {
			return badRequest("a source group of the wrong size")
		}
		for i, ssrc := range g.SSRCs {
			at := indexOf(sources, ssrc)
			if at < 0 {
				return badRequest("a source group names a source that is not there")
			}
			if slices.Contains(g.SSRCs[:i], ssrc) {
				return badRequest("a source group names a source twice")
			}
			if sources[at].MSID() != sources[indexOf(sources, g.SSRCs[0])].MSID() {
				return badRequest("a source group has sources of different msids")
			}
		}
	}
	return nil
}

func indexOf(sources []Source, ssrc uint32) int {
	return slices.IndexFunc(sources, func(s Source) bool { return s.SSRC == ssrc })
}

// Add returns s with the sources and groups of o; s is unchanged. It fails as Check does.
func (s Sources) Add(o Sources, l Limits) (Sources, error) {
	sum := Sources{
		Video: slices.Concat(s.Video, o.Video), VideoGroups: slices.Concat(s.VideoGroups, o.VideoGroups),
		Audio: slices.Concat(s.Audio, o.Audio), AudioGroups: slices.Concat(s.AudioGroups, o.AudioGroups),
	}
	if err := sum.Check(l); err != nil {
		return s, err
	}
	return sum, nil
}

// Remove returns s without the sources of o and without every group that named one of them; s is unchanged. A source
// that is not there is an error.
func (s Sources) Remove(o Sources) (Sources, error) {
	var rest Sources
	var err error
	if rest.Video, rest.VideoGroups, err = without(s.Video, s.VideoGroups, o.Video); err != nil {
		return s, err
	}
	if rest.Audio, rest.AudioGroups, err = without(s.Audio, s.AudioGroups, o.Audio); err != nil {
		return s, err
	}
	return rest, nil
}

func without(sources []Source, groups []SourceGroup, gone []Source) ([]Source, []SourceGroup, error) {
	for _, g := range gone {
		if indexOf(sources, g.SSRC) < 0 {
			return nil, nil, badRequest("a source to remove is not there")
		}
	}
	sources = slices.DeleteFunc(slices.Clone(sources), func(s Source) bool { return indexOf(gone, s.SSRC) >= 0 })
	groups = slices.DeleteFunc(slices.Clone(groups), func(g SourceGroup) bool {
		return slices.ContainsFunc(g.SSRCs, func(ssrc uint32) bool { return indexOf(sources, ssrc) < 0 })
	})
	return sources, groups, nil
}

// Changes returns what to add to before and what to remove from it to make after: a source whose fields or groups differ
// is removed and added. Apply the removal first.
func Changes(before, after Sources) (add, remove Sources) {
	add.Video, add.VideoGroups = minus(after.Video, after.VideoGroups, before.Video, before.VideoGroups)
	add.Audio, add.AudioGroups = minus(after.Audio, after.AudioGroups, before.Audio, before.AudioGroups)
	remove.Video, remove.VideoGroups = minus(before.Video, before.VideoGroups, after.Video, after.VideoGroups)
	remove.Audio, remove.AudioGroups = minus(before.Audio, before.AudioGroups, after.Audio, after.AudioGroups)
	return add, remove
}

// minus returns the sources of a that b has not in the same form, with the whole of the groups that they are in.
func minus(a []Source, ag []SourceGroup, b []Source, bg []SourceGroup) (sources []Source, groups []SourceGroup) {
	changed := make(map[uint32]bool)
	for i := range a {
		at := indexOf(b, a[i].SSRC)
		changed[a[i].SSRC] = at < 0 || !a[i].equal(&b[at])
	}
	for _, pair := range [][2][]SourceGroup{{ag, bg}, {bg, ag}} {
		for _, g := range pair[0] {
			if !slices.ContainsFunc(pair[1], g.equal) {
				for _, ssrc := range g.SSRCs {
					changed[ssrc] = true
				}
			}
		}
	}
	for grown := true; grown; { // a group goes and comes as a whole
		grown = false
		for _, g := range slices.Concat(ag, bg) {
			in := func(ssrc uint32) bool { return changed[ssrc] }
			if slices.ContainsFunc(g.SSRCs, in) && slices.ContainsFunc(g.SSRCs, func(s uint32) bool { return !in(s) }) {
				for _, ssrc := range g.SSRCs {
					changed[ssrc] = true
				}
				grown = true
			}
		}
	}
	for _, s := range a {
		if changed[s.SSRC] {
			sources = append(sources, s)
		}
	}
	for _, g := range ag {
		if len(g.SSRCs) > 0 && changed[g.SSRCs[0]] {
			groups = append(groups, g)
		}
	}
	return sources, groups
}

func (s *Source) equal(o *Source) bool {
	return s.SSRC == o.SSRC && s.Name == o.Name && s.VideoType == o.VideoType && s.Owner == o.Owner && slices.Equal(s.Parameters, o.Parameters)
}

func (g SourceGroup) equal(o SourceGroup) bool {
	return g.Semantics == o.Semantics && slices.Equal(g.SSRCs, o.SSRCs)
}

// StripSimulcast returns the sources as receivers are told of them: of each SIM group only the first source and what
// repairs it, without the group. The bridge projects every layer onto it.
func (s Sources) StripSimulcast() Sources {
	strip := func(sources []Source, groups []SourceGroup) ([]Source, []SourceGroup) {
		gone := make(map[uint32]bool)
		for _, g := range groups {
			if g.Semantics == "SIM" && len(g.SSRCs) > 0 {
				for _, ssrc := range g.SSRCs[1:] {
					gone[ssrc] = true
				}
			}
		}
		if len(gone) == 0 {
			return sources, slices.DeleteFunc(slices.Clone(groups), func(g SourceGroup) bool { return g.Semantics == "SIM" })
		}
		for _, g := range groups {
			if g.Semantics == "FID" && len(g.SSRCs) == 2 && gone[g.SSRCs[0]] {
				gone[g.SSRCs[1]] = true
			}
		}
		return slices.DeleteFunc(slices.Clone(sources), func(s Source) bool { return gone[s.SSRC] }),
			slices.DeleteFunc(slices.Clone(groups), func(g SourceGroup) bool {
				return g.Semantics == "SIM" || slices.ContainsFunc(g.SSRCs, func(ssrc uint32) bool { return gone[ssrc] })
			})
	}
	var out Sources
	out.Video, out.VideoGroups = strip(s.Video, s.VideoGroups)
	out.Audio, out.AudioGroups = strip(s.Audio, s.AudioGroups)
	return out
}
