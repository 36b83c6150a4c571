package jingle

import (
	"strings"
)

// static are the payload types that need no rtpmap (RFC 3551 §6), of those that anybody still offers.
var static = map[uint8]PayloadType{
	0: {ID: 0, Name: "PCMU", ClockRate: 8000}, 3: {ID: 3, Name: "GSM", ClockRate: 8000},
	4: {ID: 4, Name: "G723", ClockRate: 8000}, 8: {ID: 8, Name: "PCMA", ClockRate: 8000},
	9: {ID: 9, Name: "G722", ClockRate: 8000}, 10: {ID: 10, Name: "L16", ClockRate: 44100, Channels: 2},
	11: {ID: 11, Name: "L16", ClockRate: 44100}, 13: {ID: 13, Name: "CN", ClockRate: 8000},
	15: {ID: 15, Name: "G728", ClockRate: 8000}, 18: {ID: 18, Name: "G729", ClockRate: 8000},
	26: {ID: 26, Name: "JPEG", ClockRate: 90000}, 31: {ID: 31, Name: "H261", ClockRate: 90000},
	34: {ID: 34, Name: "H263", ClockRate: 90000},
}

// description reads an RTP medium.
func (r *reader) description(rejected bool) *Description {
	d := &Description{
		Media: r.m.Type, AllowMixed: r.m.Attributes.Has("extmap-allow-mixed") || r.d.Attributes.Has("extmap-allow-mixed"),
		RTCPMux: r.m.Attributes.Has("rtcp-mux"), ReducedSize: r.m.Attributes.Has("rtcp-rsize"),
		PTime: int(r.number("ptime", maxTime)), MaxPTime: int(r.number("maxptime", maxTime)),
	}
	r.payloadTypes(d, rejected)
	for _, b := range r.m.Bandwidth {
		if len(d.Bandwidth) < maxBandwidth {
			d.Bandwidth = append(d.Bandwidth, Bandwidth{b.Type, b.Value})
		}
	}
	for _, a := range r.m.Attributes {
		if r.err != nil {
			return d
		}
		switch a.Name {
		case "extmap":
			r.extmap(d, a.Value)
		case "crypto":
			r.crypto(d, a.Value)
		case "msid":
			stream, track, _ := strings.Cut(a.Value, " ")
			d.Streams = append(d.Streams, MediaStream{stream, track})
		case "ssrc":
			r.ssrc(d, a.Value)
		case "ssrc-group":
			r.ssrcGroup(d, a.Value)
		case "rid":
			r.rid(d, a.Value)
		case "content":
			d.Categories = append(d.Categories, strings.Split(a.Value, ",")...)
		}
		if len(d.Streams) > maxStreams {
			r.fail("too many media streams")
		}
	}
	if v, ok := r.one("simulcast"); ok {
		r.simulcast(d, v)
	}
	if len(d.Streams) > 0 {
		nameSources(d)
	}
	return d
}

// payloadTypes reads the formats of the m= line in their order with their rtpmap, fmtp and rtcp-fb.
func (r *reader) payloadTypes(d *Description, rejected bool) {
	at := make(map[string]int, len(r.m.Formats))
	for _, format := range r.m.Formats {
		id, ok := parseUint(format, 8)
		if _, twice := at[format]; twice || !ok || id > 127 {
			r.fail("bad payload types")
			return
		}
		p, ok := static[uint8(id)]
		if !ok {
			p = PayloadType{ID: uint8(id)}
		}
		at[format] = len(d.PayloadTypes)
		d.PayloadTypes = append(d.PayloadTypes, p)
	}
	mapped := make(map[string]bool)
	for _, a := range r.m.Attributes {
		format, value, _ := strings.Cut(a.Value, " ")
		switch a.Name {
		case "rtpmap", "fmtp":
		case "rtcp-fb":
			if format == "*" {
				r.feedback(&d.Feedback, value)
				continue
			}
		default:
			continue
		}
		i, ok := at[format]
		if !ok {
			continue
		}
		p := &d.PayloadTypes[i]
		switch a.Name {
		case "rtpmap":
			if mapped[format] {
				r.fail("two rtpmaps of one payload type")
			}
			mapped[format] = true
			r.rtpmap(p, value)
		case "fmtp":
			r.fmtp(p, value)
		case "rtcp-fb":
			r.feedback(&p.Feedback, value)
		}
	}
	for _, p := range d.PayloadTypes {
		if p.Name == "" && !rejected {
			r.fail("a payload type without rtpmap")
		}
	}
}

func (r *reader) rtpmap(p *PayloadType, value string) {
	f := strings.Split(value, "/")
	rate, channels, ok := uint64(0), uint64(0), len(f) == 2 || len(f) == 3
	if ok {
		rate, ok = parseUint(f[1], 31)
	}
	if ok && len(f) == 3 {
		channels, ok = parseUint(f[2], 8)
	}
	if !ok || rate == 0 || !isToken(f[0]) {
		r.fail("bad rtpmap")
		return
	}
	p.Name, p.ClockRate, p.Channels = f[0], int(rate), int(channels)
}

// fmtp splits the parameters at semicolons; one without an equals sign has no name.
func (r *reader) fmtp(p *PayloadType, value string) {
	for part := range strings.SplitSeq(value, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		name, v, ok := strings.Cut(part, "=")
		if name = strings.TrimSpace(name); !ok || name == "" || strings.Contains(name, " ") {
			name, v = "", part
		}
		if len(p.Parameters) == maxParameters {
			r.fail("too many parameters")
			return
		}
		p.Parameters = append(p.Parameters, Parameter{name, strings.TrimSpace(v)})
	}
}

func (r *reader) feedback(list *[]Feedback, value string) {
	kind, subtype, _ := strings.Cut(value, " ")
	if len(*list) == maxFeedback || kind == "" {
		r.fail("bad feedback, or too much")
		return
	}
	*list = append(*list, Feedback{kind, strings.TrimSpace(subtype)})
}

// extmap reads id[/direction] URI [attributes] (RFC 8285 §8).
func (r *reader) extmap(d *Description, value string) {
	f := strings.Fields(value)
	if len(f) < 2 || len(f) > 2+maxParameters || len(d.HeaderExtensions) == maxHeaderExtensions {
		r.fail("bad extmap, or too many")
		return
	}
	number, direction, ok := strings.Cut(f[0], "/")
	x := HeaderExtension{URI: f[1], Senders: Both}
	if ok {
		if x.Senders, ok = sendersOf(direction, r.by); !ok {
			r.fail("bad direction of an extmap")
			return
		}
	}
	id, ok := parseUint(number, 16)
	if !ok {
		r.fail("bad extmap")
		return
	}
	x.ID = int(id)
	for _, a := range f[2:] {
		name, v, ok := strings.Cut(a, "=")
		if !ok || strings.Contains(v, "=") {
			name, v = "", a
		}
		x.Parameters = append(x.Parameters, Parameter{name, v})
	}
	d.HeaderExtensions = append(d.HeaderExtensions, x)
}

// crypto reads tag suite key-params [session-params] (RFC 4568 §9.1).
func (r *reader) crypto(d *Description, value string) {
	f := strings.SplitN(value, " ", 4)
	tag, ok := parseUint(f[0], 29)
	if !ok || len(f) < 3 || len(d.Crypto) == maxCrypto {
		r.fail("bad crypto, or too many")
		return
	}
	c := Crypto{Tag: int(tag), Suite: f[1], KeyParams: f[2]}
	if len(f) == 4 {
		c.SessionParams = f[3]
	}
	d.Crypto = append(d.Crypto, c)
}
