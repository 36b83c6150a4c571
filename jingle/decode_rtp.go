package jingle

import (
	"bytes"

	"parley/xmpp/wire"
)

const maxTime = 1 << 16 // milliseconds of ptime and maxptime

// description reads an RTP description; c takes what clients put into it although it belongs beside it.
func (d *decoder) description(e wire.Elem, c *Content) *Description {
	r := &Description{
		Media: e.AttrString("media"),
		PTime: int(d.number(e, "ptime", 0, maxTime, 0)), MaxPTime: int(d.number(e, "maxptime", 0, maxTime, 0)),
	}
	for it := e.Children(); it.Next() && d.err == nil; {
		switch x := it.Elem; {
		case x.Is("payload-type", NSRTP):
			put(d, &r.PayloadTypes, maxPayloadTypes, "payload types", d.payloadType(x))
		case d.feedback(x, &r.Feedback):
		case x.Is("rtp-hdrext", NSHeaderExt):
			put(d, &r.HeaderExtensions, maxHeaderExtensions, "header extensions", d.headerExtension(x))
		case x.Is("extmap-allow-mixed", NSHeaderExt):
			r.AllowMixed = true
		case x.Is("bandwidth", NSRTP):
			if n, ok := parseUint(string(bytes.TrimSpace([]byte(x.Text()))), 64); ok {
				put(d, &r.Bandwidth, maxBandwidth, "bandwidths", Bandwidth{x.AttrString("type"), n})
			} else {
				d.fail(badRequest("a bandwidth is no number"))
			}
		case x.Is("encryption", NSRTP):
			d.encryption(x, r)
		case x.Is("rtcp-mux", NSRTP):
			r.RTCPMux = true
		case x.Is("rtcp-reduced-size", NSRTP):
			r.ReducedSize = true
		case x.Is("source", NSSources):
			d.source(x, r)
		case x.Is("ssrc-group", NSSources):
			put(d, &r.SourceGroups, d.limits.Groups, "source groups", d.sourceGroup(x))
		case x.Is("rid-group", NSSources):
			d.ridGroup(x, r)
		case x.Is("stream", NSStream):
			put(d, &r.Streams, maxStreams, "media streams", MediaStream{x.AttrString("id"), x.AttrString("track")})
		case x.Is("category", NSCategory):
			put(d, &r.Categories, maxCategories, "categories", x.AttrString("name"))
		case x.Is("initial-last-n", NSColibri2):
			d.lastN(x, c)
		default:
			d.extension(&r.Extensions, x, NSRTP)
		}
	}
	return r
}

func (d *decoder) payloadType(e wire.Elem) PayloadType {
	p := PayloadType{
		ID: uint8(d.number(e, "id", 0, 127, must)), Name: e.AttrString("name"),
		ClockRate: int(d.number(e, "clockrate", 0, 1<<31-1, 0)), Channels: int(d.number(e, "channels", 0, 255, 0)),
		PTime: int(d.number(e, "ptime", 0, maxTime, 0)), MaxPTime: int(d.number(e, "maxptime", 0, maxTime, 0)),
	}
	for it := e.Children(); it.Next() && d.err == nil; {
		if !d.feedback(it.Elem, &p.Feedback) {
			d.parameter(it.Elem, NSRTP, &p.Parameters)
		}
	}
	return p
}

// parameter reads a <parameter/>, if e is one that says anything.
func (d *decoder) parameter(e wire.Elem, ns string, list *[]Parameter) {
	if !e.Is("parameter", ns) {
		return
	}
	if p := (Parameter{e.AttrString("name"), e.AttrString("value")}); p != (Parameter{}) {
		put(d, list, maxParameters, "parameters", p)
	}
}

// feedback reads an <rtcp-fb/> or <rtcp-fb-trr-int/>, and reports that e is one.
func (d *decoder) feedback(e wire.Elem, list *[]Feedback) bool {
	switch {
	case e.Is("rtcp-fb", NSFeedback):
		put(d, list, maxFeedback, "feedback messages", Feedback{e.AttrString("type"), e.AttrString("subtype")})
	case e.Is("rtcp-fb-trr-int", NSFeedback):
		put(d, list, maxFeedback, "feedback messages", Feedback{"trr-int", e.AttrString("value")})
	default:
		return false
	}
	return true
}

func (d *decoder) headerExtension(e wire.Elem) HeaderExtension {
	x := HeaderExtension{ID: int(d.number(e, "id", 1, maxExtID, must)), URI: e.AttrString("uri"), Senders: Senders(e.AttrString("senders"))}
	if x.Senders == "" {
		x.Senders = Both
	}
	for it := e.Children(); it.Next() && d.err == nil; {
		d.parameter(it.Elem, NSHeaderExt, &x.Parameters)
	}
	return x
}

func (d *decoder) encryption(e wire.Elem, r *Description) {
	r.CryptoRequired = d.flag(e, "required")
	for it := e.Children(); it.Next() && d.err == nil; {
		if x := it.Elem; x.Is("crypto", NSRTP) {
			put(d, &r.Crypto, maxCrypto, "keys", Crypto{Tag: int(d.number(x, "tag", 0, 999_999_999, must)), Suite: x.AttrString("crypto-suite"),
				KeyParams: x.AttrString("key-params"), SessionParams: x.AttrString("session-params")})
		}
	}
}

// source reads a <source/>, which is an SSRC or, in Jitsi's dialect, a rid.
func (d *decoder) source(e wire.Elem, r *Description) {
	if _, ok := e.Attr("rid"); ok {
		rid := RID{ID: e.AttrString("rid"), Restrictions: e.AttrString("restrictions")}
		rid.Receive = e.AttrString("direction") == "recv"
		put(d, &r.RIDs, maxRIDs, "rids", rid)
		return
	}
	s := Source{SSRC: d.ssrc(e), Name: e.AttrString("name"), VideoType: e.AttrString("videoType")}
	for it := e.Children(); it.Next() && d.err == nil; {
		if x := it.Elem; x.Is("ssrc-info", NSJitmeet) {
			s.Owner = x.AttrString("owner")
		} else {
			d.parameter(x, NSSources, &s.Parameters)
		}
	}
	if d.sources++; d.sources > d.limits.Sources {
		d.fail(tooMany("sources"))
		return
	}
	r.Sources = append(r.Sources, s)
}

func (d *decoder) ssrc(e wire.Elem) uint32 { return uint32(d.number(e, "ssrc", 1, 1<<32-1, must)) }

func (d *decoder) sourceGroup(e wire.Elem) SourceGroup {
	g := SourceGroup{Semantics: e.AttrString("semantics")}
	for it := e.Children(); it.Next() && d.err == nil; {
		if it.Elem.Is("source", NSSources) {
			put(d, &g.SSRCs, d.limits.Sources, "sources of a group", d.ssrc(it.Elem))
		}
	}
	return g
}

func (d *decoder) ridGroup(e wire.Elem, r *Description) {
	list := &r.Simulcast.Send
	if e.AttrString("direction") == "recv" {
		list = &r.Simulcast.Receive
	}
	if e.AttrString("semantics") != "SIM" || len(*list) > 0 {
		d.fail(badRequest("a rid group of unknown semantics, or a second one"))
		return
	}
	for it := e.Children(); it.Next() && d.err == nil; {
		if it.Elem.Is("source", NSSources) {
			put(d, list, maxRIDs, "rids", it.Elem.AttrString("rid"))
		}
	}
}
