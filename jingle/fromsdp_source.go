package jingle

import (
	"slices"
	"strings"
)

// ssrc reads ssrc-id attribute[:value] (RFC 5576 §4.1).
func (r *reader) ssrc(d *Description, value string) {
	number, attribute, _ := strings.Cut(value, " ")
	id, ok := parseUint(number, 32)
	name, v, _ := strings.Cut(attribute, ":")
	if !ok || name == "" {
		r.fail("bad ssrc")
		return
	}
	i := indexOf(d.Sources, uint32(id))
	if i < 0 {
		if i = len(d.Sources); i == r.limits.Sources {
			r.err = tooMany("sources")
			return
		}
		d.Sources = append(d.Sources, Source{SSRC: uint32(id)})
	}
	s := &d.Sources[i]
	switch {
	case name == "name":
		s.Name = v
	case name == "videoType":
		s.VideoType = v
	case len(s.Parameters) == maxParameters:
		r.fail("too many attributes of a source")
	default:
		s.Parameters = append(s.Parameters, Parameter{name, v})
	}
}

func (r *reader) ssrcGroup(d *Description, value string) {
	f := strings.Fields(value)
	if len(f) < 2 || len(f) > 1+r.limits.Sources || len(d.SourceGroups) == r.limits.Groups {
		r.fail("bad ssrc-group, or too many")
		return
	}
	g := SourceGroup{Semantics: f[0]}
	for _, number := range f[1:] {
		id, ok := parseUint(number, 32)
		if !ok {
			r.fail("bad ssrc-group")
		}
		g.SSRCs = append(g.SSRCs, uint32(id))
	}
	d.SourceGroups = append(d.SourceGroups, g)
}

// rid reads id direction [restrictions] (RFC 8851 §10).
func (r *reader) rid(d *Description, value string) {
	f := strings.Fields(value)
	if len(f) < 2 || len(f) > 3 || f[1] != "send" && f[1] != "recv" || len(d.RIDs) == maxRIDs {
		r.fail("bad rid, or too many")
		return
	}
	rid := RID{ID: f[0], Receive: f[1] == "recv"}
	if len(f) == 3 {
		rid.Restrictions = f[2]
	}
	d.RIDs = append(d.RIDs, rid)
}

// simulcast reads pairs of direction and list (RFC 8853 §5.1).
func (r *reader) simulcast(d *Description, value string) {
	f := strings.Fields(value)
	if len(f) != 2 && len(f) != 4 {
		r.fail("bad simulcast")
		return
	}
	for i := 0; i < len(f); i += 2 {
		list := &d.Simulcast.Send
		switch f[i] {
		case "send":
		case "recv":
			list = &d.Simulcast.Receive
		default:
			r.fail("bad simulcast")
			return
		}
		if *list != nil {
			r.fail("bad simulcast")
			return
		}
		*list = strings.Split(f[i+1], ";")
	}
}

// nameSources gives sources that do not say it the stream of the others, or else the medium's: Jingle knows msid as
// theirs only (XEP-0339). Where the others are of several streams there is no telling.
func nameSources(d *Description) {
	msid := ""
	for i := range d.Sources {
		switch own := d.Sources[i].MSID(); {
		case own == "" || own == msid:
		case msid == "":
			msid = own
		default:
			return
		}
	}
	if msid == "" {
		msid = strings.TrimRight(d.Streams[0].Stream+" "+d.Streams[0].Track, " ")
	}
	for i := range d.Sources {
		s := &d.Sources[i]
		if !slices.ContainsFunc(s.Parameters, func(p Parameter) bool { return p.Name == "msid" }) {
			s.Parameters = append(s.Parameters, Parameter{"msid", msid})
		}
	}
}
