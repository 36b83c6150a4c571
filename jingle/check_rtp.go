package jingle

import (
	"slices"
	"strings"
)

func (d *Description) check() error {
	switch {
	case !isToken(d.Media):
		return badRequest("bad media")
	case len(d.PayloadTypes) > maxPayloadTypes, len(d.HeaderExtensions) > maxHeaderExtensions, len(d.Bandwidth) > maxBandwidth,
		len(d.Crypto) > maxCrypto, len(d.Streams) > maxStreams, len(d.RIDs) > maxRIDs:
		return tooMany("entries in a description")
	case !unique(d.PayloadTypes, func(p *PayloadType) uint8 { return p.ID }):
		return badRequest("two payload types of one number")
	case !unique(d.HeaderExtensions, func(x *HeaderExtension) int { return x.ID }):
		return badRequest("two header extensions of one number")
	case !isTime(d.PTime), !isTime(d.MaxPTime):
		return badRequest("bad packet time")
	}
	if len(d.Categories) > maxCategories || slices.ContainsFunc(d.Categories, func(s string) bool { return !isToken(s) }) {
		return badRequest("bad category")
	}
	if err := checkFeedback(d.Feedback); err != nil {
		return err
	}
	for i := range d.PayloadTypes {
		if err := d.PayloadTypes[i].check(); err != nil {
			return err
		}
	}
	for _, x := range d.HeaderExtensions {
		if x.ID < 1 || x.ID > maxExtID || x.ID > 255 && x.ID < 4096 || !isWord(x.URI, maxText) || !x.Senders.known() || !areWords(x.Parameters) {
			return badRequest("bad header extension")
		}
	}
	for _, b := range d.Bandwidth {
		if !isToken(b.Type) {
			return badRequest("bad bandwidth")
		}
	}
	for _, c := range d.Crypto {
		if c.Tag < 0 || !isToken(c.Suite) || !isWord(c.KeyParams, maxText) || !isText(c.SessionParams, maxText) {
			return badRequest("bad key")
		}
	}
	for _, s := range d.Streams {
		if !isWord(s.Stream, maxName) || s.Track != "" && !isWord(s.Track, maxName) {
			return badRequest("bad media stream")
		}
	}
	if err := d.checkSources(); err != nil {
		return err
	}
	return d.checkRIDs()
}

func isTime(ms int) bool { return ms >= 0 && ms <= maxTime }

func (p *PayloadType) check() error {
	switch {
	case p.ID > 127, p.ClockRate < 0, p.Channels < 0, p.Channels > 255, !isTime(p.PTime), !isTime(p.MaxPTime):
		return badRequest("bad payload type")
	case p.Name != "" && !isToken(p.Name), len(p.Parameters) > maxParameters:
		return badRequest("bad payload type")
	}
	for _, q := range p.Parameters {
		if q == (Parameter{}) || q.Name != "" && !isWord(q.Name, maxName) || strings.ContainsAny(q.Name, "=;") || !isText(q.Value, maxText) {
			return badRequest("bad parameter of a payload type")
		}
	}
	return checkFeedback(p.Feedback)
}

func checkFeedback(list []Feedback) error {
	if len(list) > maxFeedback {
		return tooMany("feedback messages")
	}
	for _, f := range list {
		if !isToken(f.Type) || !isText(f.Subtype, maxName) {
			return badRequest("bad feedback message")
		}
	}
	return nil
}

// areWords reports that the parameters may be parted by spaces and equals signs.
func areWords(list []Parameter) bool {
	if len(list) > maxParameters {
		return false
	}
	for _, p := range list {
		if p == (Parameter{}) || strings.ContainsAny(p.Name, " =") || strings.Contains(p.Value, " ") ||
			!isText(p.Name, maxName) || !isText(p.Value, maxText) {
			return false
		}
	}
	return true
}

func (d *Description) checkSources() error {
	for i := range d.Sources {
		s := &d.Sources[i]
		if s.SSRC == 0 || len(s.Parameters) > maxParameters {
			return badRequest("bad source")
		}
		for _, word := range []string{s.Name, s.VideoType, s.Owner} {
			if word != "" && !isText(word, maxAddress) {
				return badRequest("bad name of a source")
			}
		}
		for _, p := range s.Parameters {
			if !isToken(p.Name) || !isText(p.Value, maxText) {
				return badRequest("bad parameter of a source")
			}
		}
	}
	for _, g := range d.SourceGroups {
		if !isToken(g.Semantics) || slices.Contains(g.SSRCs, 0) || !unique(g.SSRCs, func(n *uint32) uint32 { return *n }) {
			return badRequest("bad source group")
		}
	}
	return nil
}

func (d *Description) checkRIDs() error {
	if !unique(d.RIDs, func(r *RID) string { return r.ID }) {
		return badRequest("two rids of one name")
	}
	for _, r := range d.RIDs {
		if !isRID(r.ID) || r.Restrictions != "" && !isWord(r.Restrictions, maxText) {
			return badRequest("bad rid")
		}
	}
	for _, list := range [][]string{d.Simulcast.Send, d.Simulcast.Receive} {
		if len(list) > maxRIDs {
			return tooMany("simulcast streams")
		}
		for _, stream := range list {
			for rid := range strings.SplitSeq(stream, ",") {
				if !isRID(strings.TrimPrefix(rid, "~")) {
					return badRequest("bad simulcast stream")
				}
			}
		}
	}
	return nil
}

// isRID follows RFC 8852 §3.3 for what comes over the wire and allows the hyphen and underscore of RFC 8851 §10.
func isRID(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '-', c == '_':
		default:
			return false
		}
	}
	return s != "" && len(s) <= 255
}
