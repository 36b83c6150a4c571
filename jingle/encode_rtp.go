package jingle

import "strconv"

func (d *Description) append(w *writer) {
	w.open("description", NSRTP)
	w.attr("media", d.Media)
	w.count("ptime", int64(d.PTime))
	w.count("maxptime", int64(d.MaxPTime))
	w.inner()
	for _, name := range d.Categories {
		w.open("category", NSCategory)
		w.attr("name", name)
		w.empty()
	}
	for i := range d.PayloadTypes {
		d.PayloadTypes[i].append(w)
	}
	appendFeedback(w, d.Feedback)
	for _, x := range d.HeaderExtensions {
		w.open("rtp-hdrext", NSHeaderExt)
		w.number("id", int64(x.ID))
		w.attr("uri", x.URI)
		if x.Senders != Both {
			w.attr("senders", string(x.Senders))
		}
		appendParameters(w, "rtp-hdrext", x.Parameters)
	}
	w.mark("extmap-allow-mixed", NSHeaderExt, d.AllowMixed)
	for _, b := range d.Bandwidth {
		w.open("bandwidth", "")
		w.attr("type", b.Type)
		w.inner()
		w.b = strconv.AppendUint(w.b, b.Value, 10)
		w.end("bandwidth")
	}
	d.appendEncryption(w)
	w.mark("rtcp-mux", "", d.RTCPMux)
	w.mark("rtcp-reduced-size", "", d.ReducedSize)
	for _, s := range d.Streams {
		w.open("stream", NSStream)
		w.attr("id", s.Stream)
		w.optional("track", s.Track)
		w.empty()
	}
	d.appendSources(w)
	w.extensions(d.Extensions)
	w.end("description")
}

func (d *Description) appendEncryption(w *writer) {
	if len(d.Crypto) == 0 && !d.CryptoRequired {
		return
	}
	w.open("encryption", "")
	w.flag("required", d.CryptoRequired)
	w.inner()
	for _, c := range d.Crypto {
		w.open("crypto", "")
		w.attr("crypto-suite", c.Suite)
		w.attr("key-params", c.KeyParams)
		w.optional("session-params", c.SessionParams)
		w.number("tag", int64(c.Tag))
		w.empty()
	}
	w.end("encryption")
}

func (p *PayloadType) append(w *writer) {
	w.open("payload-type", "")
	w.number("id", int64(p.ID))
	w.optional("name", p.Name)
	w.count("clockrate", int64(p.ClockRate))
	w.count("channels", int64(p.Channels))
	w.count("ptime", int64(p.PTime))
	w.count("maxptime", int64(p.MaxPTime))
	if len(p.Parameters)+len(p.Feedback) == 0 {
		w.empty()
		return
	}
	w.inner()
	for _, q := range p.Parameters {
		appendParameter(w, q)
	}
	appendFeedback(w, p.Feedback)
	w.end("payload-type")
}

func appendParameter(w *writer, p Parameter) {
	w.open("parameter", "")
	w.optional("name", p.Name)
	w.optional("value", p.Value)
	w.empty()
}

// appendParameters ends the open start tag of name with parameters inside, if there are any.
func appendParameters(w *writer, name string, list []Parameter) {
	if len(list) == 0 {
		w.empty()
		return
	}
	w.inner()
	for _, p := range list {
		appendParameter(w, p)
	}
	w.end(name)
}

func appendFeedback(w *writer, list []Feedback) {
	for _, f := range list {
		if f.Type == "trr-int" {
			w.open("rtcp-fb-trr-int", NSFeedback)
			w.attr("value", f.Subtype)
		} else {
			w.open("rtcp-fb", NSFeedback)
			w.attr("type", f.Type)
			w.optional("subtype", f.Subtype)
		}
		w.empty()
	}
}

func (d *Description) appendSources(w *writer) {
	for i := range d.Sources {
		s := &d.Sources[i]
		w.open("source", NSSources)
		w.number("ssrc", int64(s.SSRC))
		w.optional("name", s.Name)
		w.optional("videoType", s.VideoType)
		if s.Owner == "" {
			appendParameters(w, "source", s.Parameters)
			continue
		}
		w.inner()
		for _, p := range s.Parameters {
			appendParameter(w, p)
		}
		w.open("ssrc-info", NSJitmeet)
		w.attr("owner", s.Owner)
		w.empty()
		w.end("source")
	}
	for _, g := range d.SourceGroups {
		w.open("ssrc-group", NSSources)
		w.attr("semantics", g.Semantics)
		w.inner()
		for _, ssrc := range g.SSRCs {
			w.open("source", "")
			w.number("ssrc", int64(ssrc))
			w.empty()
		}
		w.end("ssrc-group")
	}
	for _, r := range d.RIDs {
		w.open("source", NSSources)
		w.attr("rid", r.ID)
		if r.Receive {
			w.attr("direction", "recv")
		}
		w.optional("restrictions", r.Restrictions)
		w.empty()
	}
	appendRIDGroup(w, d.Simulcast.Send, "")
	appendRIDGroup(w, d.Simulcast.Receive, "recv")
}

func appendRIDGroup(w *writer, list []string, direction string) {
	if len(list) == 0 {
		return
	}
	w.open("rid-group", NSSources)
	w.attr("semantics", "SIM")
	w.optional("direction", direction)
	w.inner()
	for _, rid := range list {
		w.open("source", "")
		w.attr("rid", rid)
		w.empty()
	}
	w.end("rid-group")
}
