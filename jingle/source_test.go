package jingle

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// canonical sorts sources and groups, for order means nothing between sources.
func canonical(s Sources) Sources {
	sorted := func(list []Source) []Source {
		list = append([]Source{}, list...)
		slices.SortFunc(list, func(a, b Source) int { return int(int64(a.SSRC) - int64(b.SSRC)) })
		return list
	}
	groups := func(list []SourceGroup) []SourceGroup {
		list = append([]SourceGroup{}, list...)
		slices.SortFunc(list, func(a, b SourceGroup) int {
			return strings.Compare(a.Semantics, b.Semantics)*2 + slices.Compare(a.SSRCs, b.SSRCs)
		})
		return list
	}
	return Sources{sorted(s.Video), groups(s.VideoGroups), sorted(s.Audio), groups(s.AudioGroups)}
}

func cameraSources(t *testing.T) Sources { return SourcesIn(parse(t, sourceAdd).Contents) }

func TestSourcesOfACamera(t *testing.T) {
	s := cameraSources(t)
	if err := s.Check(DefaultLimits); err != nil || len(s.Video) != 6 || len(s.VideoGroups) != 4 {
		t.Fatalf("%v %+v", err, s)
	}
	stripped := s.StripSimulcast()
	want := Sources{Video: []Source{s.Video[0], s.Video[3]}, VideoGroups: []SourceGroup{{"FID", []uint32{1, 11}}}}
	if !reflect.DeepEqual(canonical(stripped), canonical(want)) {
		t.Errorf("stripped: %+v", stripped)
	}
	if len(s.Video) != 6 || s.Video[1].SSRC != 2 || len(s.VideoGroups) != 4 {
		t.Error("stripping changed the original")
	}
	rest, err := s.Remove(Sources{Video: []Source{{SSRC: 2}}})
	if err != nil || len(rest.Video) != 5 || len(rest.VideoGroups) != 2 {
		t.Errorf("removed one: %v %+v", err, rest)
	}
	if _, err := rest.Remove(Sources{Video: []Source{{SSRC: 2}}}); err == nil {
		t.Error("what is gone can be removed")
	}
	if _, err := s.Remove(Sources{Audio: []Source{{SSRC: 2}}}); err == nil {
		t.Error("video can be removed as audio")
	}
}

func TestHB5SourcesRefused(t *testing.T) {
	msid := func(v string) []Parameter { return []Parameter{{"msid", v}} }
	many := Sources{}
	for i := range 21 {
		many.Audio = append(many.Audio, Source{SSRC: uint32(i + 1000)})
	}
	for name, s := range map[string]Sources{
		"SSRC 0":                        {Audio: []Source{{}}},
		"SSRC of the camera as audio":   {Audio: []Source{{SSRC: 2}}},
		"SSRC twice":                    {Audio: []Source{{SSRC: 50}, {SSRC: 50}}},
		"21 sources":                    many,
		"21 groups":                     {VideoGroups: slices.Repeat([]SourceGroup{{"X", []uint32{1, 2}}}, 17)},
		"FID of three":                  {VideoGroups: []SourceGroup{{"FID", []uint32{1, 2, 3}}}},
		"group of one":                  {VideoGroups: []SourceGroup{{"SIM", []uint32{1}}}},
		"group of one twice":            {VideoGroups: []SourceGroup{{"SIM", []uint32{1, 1}}}},
		"group of a stranger":           {VideoGroups: []SourceGroup{{"FID", []uint32{1, 99}}}},
		"group across media":            {Audio: []Source{{SSRC: 50, Parameters: msid("m t"), Name: "e-v0"}}, AudioGroups: []SourceGroup{{"FID", []uint32{50, 1}}}},
		"group of two msids":            {Video: []Source{{SSRC: 50, Parameters: msid("x y")}}, VideoGroups: []SourceGroup{{"FID", []uint32{1, 50}}}},
		"msid of another source's name": {Video: []Source{{SSRC: 50, Parameters: msid("m t"), Name: "e-v1"}}},
	} {
		before := cameraSources(t)
		after, err := before.Add(s, DefaultLimits)
		if err == nil || !reflect.DeepEqual(before, after) || !reflect.DeepEqual(before, cameraSources(t)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := cameraSources(t).Add(Sources{Audio: []Source{{SSRC: 50, Name: "e-a0"}}}, DefaultLimits); err != nil {
		t.Error(err)
	}
}

func TestChangesLeadFromOneToTheOther(t *testing.T) {
	full := cameraSources(t)
	none := Sources{}
	renamed := cameraSources(t)
	renamed.Video[0].VideoType = "desktop"
	screen, err := full.Add(Sources{Video: []Source{{SSRC: 70}, {SSRC: 71}}, VideoGroups: []SourceGroup{{"FID", []uint32{70, 71}}},
		Audio: []Source{{SSRC: 80}}}, DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	all := []Sources{none, full, full.StripSimulcast(), renamed, screen}
	for _, a := range all {
		for _, b := range all {
			changes(t, a, b)
		}
	}
	if add, remove := Changes(full, screen); len(add.Video) != 2 || len(add.Audio) != 1 || !remove.Empty() || len(add.VideoGroups) != 1 {
		t.Errorf("a screen more: %+v, %+v", add, remove)
	}
	if add, remove := Changes(full, full); !add.Empty() || !remove.Empty() {
		t.Error("no change is a change")
	}
}

func TestSourcesAsContents(t *testing.T) {
	s := cameraSources(t)
	s.Audio = []Source{{SSRC: 9, Name: "e-a0"}}
	j := &Jingle{Action: SourceRemove, SID: "s", Contents: s.Contents()}
	back := SourcesIn(parse(t, string(j.Append(nil))).Contents)
	if !reflect.DeepEqual(back, s) || len(j.Contents) != 2 {
		t.Errorf("got %+v", back)
	}
	if len((Sources{}).Contents()) != 0 {
		t.Error("no sources make a content")
	}
}

func TestCompactSources(t *testing.T) {
	all, err := ParseCompact(compactExample, DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || all[0].Owner != "jvb" || all[1].Video[0].VideoType != "desktop" || all[1].Video[1].MSID() != "64f125c7-video-0-1 t1" ||
		!reflect.DeepEqual(all[1].VideoGroups, []SourceGroup{{"FID", []uint32{1358971238, 1358971999}}}) || all[1].Audio[0].SSRC != 3984908583 {
		t.Errorf("%+v", all)
	}
	if out := string(AppendCompact(nil, all)); out != compactExample {
		t.Errorf("got  %s\nwant %s", out, compactExample)
	}
}

func TestHB6CompactSourcesRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":            ``,
		"no object":          `[]`,
		"other key":          `{"source":{}}`,
		"owner twice":        `{"sources":{"a":[],"a":[]}}`,
		"unknown member":     `{"sources":{"a":[[{"s":1,"x":2}]]}}`,
		"five lists":         `{"sources":{"a":[[],[],[],[],[]]}}`,
		"SSRC 0":             `{"sources":{"a":[[{"s":0}]]}}`,
		"SSRC over 32 bits":  `{"sources":{"a":[[{"s":4294967296}]]}}`,
		"SSRC with fraction": `{"sources":{"a":[[{"s":1.5}]]}}`,
		"SSRC as text":       `{"sources":{"a":[[{"s":"1"}]]}}`,
		"unknown group":      `{"sources":{"a":[[{"s":1},{"s":2}],[["q",1,2]]]}}`,
		"empty group":        `{"sources":{"a":[[{"s":1}],[[]]]}}`,
		"group of strangers": `{"sources":{"a":[[{"s":1}],[["f",1,2]]]}}`,
		"control character":  `{"sources":{"a":[[{"s":1,"n":"a\u0000"}]]}}`,
		"line break":         `{"sources":{"a":[[{"s":1,"m":"a\r\nb"}]]}}`,
		"unknown video type": `{"sources":{"a":[[{"s":1,"v":"z"}]]}}`,
		"cut off":            `{"sources":{"a":[[{"s":1}`,
		"more after the end": `{"sources":{}}{}`,
		"a brace more":       `{"sources":{}}}`,
		"more before":        `x{"sources":{}}`,
		"another member":     `{"sources":{},"y":1}`,
		"deep":               `{"sources":{"a":[` + strings.Repeat("[", 100_000) + `]}}`,
		"many sources":       `{"sources":{"a":[[` + strings.Repeat(`{"s":1},`, 30) + `{"s":2}]]}}`,
		"no UTF-8":           "{\"sources\":{\"\xff\":[]}}",
		"null":               `null`,
		"list of null":       `{"sources":{"a":[[null]]}}`,
	} {
		if all, err := ParseCompact(text, DefaultLimits); err == nil {
			t.Errorf("%s: %+v", name, all)
		}
	}
}
