package jingle

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"unicode/utf8"
)

// The compact form of sources in Jitsi's dialect, the text of <json-message xmlns='http://jitsi.org/jitmeet'/>:
//
//	{"sources":{"<owner>":[[video sources],[video groups],[audio sources],[audio groups]]}}
//
// where a source is {"s":ssrc,"n":name,"m":msid,"v":"d" for desktop} and a group is ["f" for FID or "s" for SIM, ssrc ...].
// Empty lists at the end may be left out.

const maxOwners = 1000

type compactSource struct {
	SSRC      uint32 `json:"s"`
	Name      string `json:"n"`
	MSID      string `json:"m"`
	VideoType string `json:"v"`
}

// ParseCompact reads compact sources. Owners come in the order of the text; each may stand once and may have as many
// sources and groups as the limits allow to one endpoint. The error is a *wire.Error.
func ParseCompact(text string, l Limits) ([]OwnedSources, error) {
	bad := badRequest("the compact sources cannot be read")
	if !utf8.ValidString(text) {
		return nil, bad
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.DisallowUnknownFields()
	if !delim(dec, '{') || !key(dec, "sources") || !delim(dec, '{') {
		return nil, bad
	}
	all := []OwnedSources{}
	seen := make(map[string]bool)
	for dec.More() {
		token, err := dec.Token()
		owner, ok := token.(string)
		if err != nil || !ok || seen[owner] || !isText(owner, maxName) {
			return nil, bad
		}
		if seen[owner] = true; len(all) == maxOwners {
			return nil, tooMany("owners of sources")
		}
		var lists []json.RawMessage
		if dec.Decode(&lists) != nil || len(lists) > 4 {
			return nil, bad
		}
		o := OwnedSources{Owner: owner}
		ok = true
		for i, raw := range lists {
			switch i {
			case 0:
				ok = compactSources(raw, &o.Video, l.Sources)
			case 1:
				ok = compactGroups(raw, &o.VideoGroups, l)
			case 2:
				ok = compactSources(raw, &o.Audio, l.Sources)
			case 3:
				ok = compactGroups(raw, &o.AudioGroups, l)
			}
			if !ok {
				return nil, bad
			}
		}
		if err := o.Check(l); err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	if inner, outer := delim(dec, '}'), delim(dec, '}'); !inner || !outer {
		return nil, bad
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, bad
	}
	return all, nil
}

func delim(dec *json.Decoder, d json.Delim) bool {
	t, err := dec.Token()
	return err == nil && t == d
}

func key(dec *json.Decoder, name string) bool {
	t, err := dec.Token()
	return err == nil && t == name
}

func compactSources(raw []byte, to *[]Source, most int) bool {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if !delim(dec, '[') {
		return false
	}
	for dec.More() {
		var c compactSource
		if len(*to) == most || dec.Decode(&c) != nil || !isText(c.Name, maxName) || !isText(c.MSID, maxText) {
			return false
		}
		s := Source{SSRC: c.SSRC, Name: c.Name}
		if c.MSID != "" {
			s.Parameters = []Parameter{{"msid", c.MSID}}
		}
		switch c.VideoType {
		case "", "c":
		case "d":
			s.VideoType = "desktop"
		default:
			return false
		}
		*to = append(*to, s)
	}
	return true
}

func compactGroups(raw []byte, to *[]SourceGroup, l Limits) bool {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if !delim(dec, '[') {
		return false
	}
	for dec.More() {
		var fields []json.RawMessage
		if len(*to) == l.Groups || dec.Decode(&fields) != nil || len(fields) == 0 || len(fields) > 1+l.Sources {
			return false
		}
		var g SourceGroup
		switch string(fields[0]) {
		case `"f"`:
			g.Semantics = "FID"
		case `"s"`:
			g.Semantics = "SIM"
		default:
			return false
		}
		for _, f := range fields[1:] {
			ssrc, err := strconv.ParseUint(string(f), 10, 32)
			if err != nil {
				return false
			}
			g.SSRCs = append(g.SSRCs, uint32(ssrc))
		}
		*to = append(*to, g)
	}
	return true
}

// AppendCompact appends the compact form. Of a source's parameters only msid is kept, of groups only FID and SIM: there is
// no way to write the others.
func AppendCompact(dst []byte, all []OwnedSources) []byte {
	dst = append(dst, `{"sources":{`...)
	for i, o := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSON(dst, o.Owner)
		dst = append(dst, ":["...)
		if last := lastList(o.Sources); last >= 0 {
			dst = appendCompactSources(dst, o.Video)
			if last >= 1 {
				dst = appendCompactGroups(append(dst, ','), o.VideoGroups)
			}
			if last >= 2 {
				dst = appendCompactSources(append(dst, ','), o.Audio)
			}
			if last >= 3 {
				dst = appendCompactGroups(append(dst, ','), o.AudioGroups)
			}
		}
		dst = append(dst, ']')
	}
	return append(dst, "}}"...)
}

// lastList returns the index of the last list that is not empty, -1 for none.
func lastList(s Sources) int {
	switch {
	case len(s.AudioGroups) > 0:
		return 3
	case len(s.Audio) > 0:
		return 2
	case len(s.VideoGroups) > 0:
		return 1
	case len(s.Video) > 0:
		return 0
	}
	return -1
}

func appendCompactSources(dst []byte, sources []Source) []byte {
	dst = append(dst, '[')
	for i := range sources {
		s := &sources[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"s":`...)
		dst = strconv.AppendUint(dst, uint64(s.SSRC), 10)
		if s.Name != "" {
			dst = appendJSON(append(dst, `,"n":`...), s.Name)
		}
		if msid := s.MSID(); msid != "" {
			dst = appendJSON(append(dst, `,"m":`...), msid)
		}
		if s.VideoType == "desktop" {
			dst = append(dst, `,"v":"d"`...)
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendCompactGroups(dst []byte, groups []SourceGroup) []byte {
	dst = append(dst, '[')
	first := true
	for _, g := range groups {
		code := map[string]string{"FID": `"f"`, "SIM": `"s"`}[g.Semantics]
		if code == "" {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, '[')
		dst = append(dst, code...)
		for _, ssrc := range g.SSRCs {
			dst = strconv.AppendUint(append(dst, ','), uint64(ssrc), 10)
		}
		dst = append(dst, ']')
	}
	return append(dst, ']')
}

// appendJSON appends a string.
func appendJSON(dst []byte, s string) []byte {
	b, _ := json.Marshal(s) // a string cannot fail
	return append(dst, b...)
}
