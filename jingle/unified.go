package jingle

import (
	"slices"
	"strconv"
)

// Unified returns the session with one content per media stream of the side that describes it, as unified plan wants it
// (RFC 8829 §5.2.1): Jingle lets a content hold the sources of many, and SDP refuses to write those. The first stream stays
// where it is, with the direction, rids and simulcast of its content; every other gets a content at the end, sent by that
// side only, on the transport of the bundle that the first is in. j is unchanged and shares memory with the result. The
// error is a *wire.Error: a content of several streams that is in no bundle.
func (j *Jingle) Unified(by Role) (*Jingle, error) {
	out := *j
	out.Contents = slices.Clone(j.Contents)
	out.Groups = slices.Clone(j.Groups)
	for i := range j.Contents {
		c := &j.Contents[i]
		if c.Description == nil || c.Senders == RejectedContent {
			continue
		}
		streams := c.Description.split()
		if len(streams) < 2 {
			continue
		}
		group := slices.IndexFunc(out.Groups, func(g Group) bool { return g.Semantics == "BUNDLE" && slices.Contains(g.Contents, c.Name) })
		if group < 0 {
			return nil, notAcceptable("several streams in one content that is in no bundle")
		}
		g := &out.Groups[group]
		g.Contents = slices.Clone(g.Contents)
		first := *c.Description
		first.Sources, first.SourceGroups = streams[0].sources, streams[0].groups
		out.Contents[i].Description = &first
		for _, s := range streams[1:] {
			d := *c.Description
			d.Sources, d.SourceGroups, d.Streams = s.sources, s.groups, nil
			d.RIDs, d.Simulcast = nil, Simulcast{}
			more := Content{Creator: c.Creator, Name: out.fresh(c.Name), Senders: Nobody, Description: &d, Transport: c.Transport}
			if c.Senders.Has(by) {
				more.Senders = Senders(by)
			}
			out.Contents = append(out.Contents, more)
			g.Contents = append(g.Contents, more.Name)
		}
	}
	return &out, nil
}

// fresh returns a name for a content made out of the one named.
func (j *Jingle) fresh(name string) string {
	name = cut(name, maxName-8)
	for n := 2; ; n++ {
		if s := name + "-" + strconv.Itoa(n); j.Content(s) == nil {
			return s
		}
	}
}

// stream is the part of a description that belongs to one media stream.
type stream struct {
	msid    string
	sources []Source
	groups  []SourceGroup
}

// split sorts the sources by msid. Those without one go with the source that they are grouped with, or else with the
// first stream; groups across streams are dropped.
func (d *Description) split() []stream {
	at := make(map[string]int) // stream by msid
	of := make(map[uint32]int) // stream by SSRC
	var list []stream
	for i := range d.Sources {
		msid := d.Sources[i].MSID()
		if msid == "" {
			continue
		}
		if _, ok := at[msid]; !ok {
			at[msid] = len(list)
			list = append(list, stream{msid: msid})
		}
		of[d.Sources[i].SSRC] = at[msid]
	}
	if len(list) < 2 {
		return nil
	}
	for _, g := range d.SourceGroups {
		for _, ssrc := range g.SSRCs {
			if k, ok := of[ssrc]; ok {
				for _, other := range g.SSRCs {
					if _, ok := of[other]; !ok {
						of[other] = k
					}
				}
				break
			}
		}
	}
	for _, s := range d.Sources {
		k := of[s.SSRC]
		list[k].sources = append(list[k].sources, s)
	}
	for _, g := range d.SourceGroups {
		if len(g.SSRCs) > 0 && !slices.ContainsFunc(g.SSRCs, func(ssrc uint32) bool { return of[ssrc] != of[g.SSRCs[0]] }) {
			k := of[g.SSRCs[0]]
			list[k].groups = append(list[k].groups, g)
		}
	}
	return list
}
