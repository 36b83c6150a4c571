package jingle

func (t *Transport) append(w *writer) {
	w.open("transport", NSICE)
	w.optional("ufrag", t.Ufrag)
	w.optional("pwd", t.Password)
	w.count("ice-generation", int64(t.ICEGeneration))
	w.inner()
	for _, o := range t.Options {
		w.mark(o, NSICEOption, true)
	}
	for _, f := range t.Fingerprints {
		w.open("fingerprint", NSDTLS)
		w.attr("hash", f.Hash)
		w.flag("required", f.Required)
		w.flag("cryptex", f.Cryptex)
		w.optional("setup", string(f.Setup))
		w.inner()
		w.text(f.Value)
		w.end("fingerprint")
	}
	w.mark("rtcp-mux", "", t.RTCPMux)
	for i := range t.Candidates {
		t.Candidates[i].append(w)
	}
	w.mark("gathering-complete", "", t.GatheringComplete)
	if s := t.SCTP; s != nil {
		w.open("sctpmap", NSSCTP)
		w.number("number", int64(s.Port))
		w.attr("protocol", s.Protocol)
		w.count("streams", int64(s.Streams))
		w.count("max-message-size", int64(s.MaxMessageSize))
		w.empty()
	}
	for _, url := range t.WebSockets {
		w.open("web-socket", NSColibri)
		w.attr("url", url)
		w.empty()
	}
	w.extensions(t.Extensions)
	w.end("transport")
}

// append writes the candidate with every attribute that XEP-0176 §5.4 requires.
func (c *Candidate) append(w *writer) {
	w.open("candidate", "")
	w.number("component", int64(c.Component))
	w.attr("foundation", c.Foundation)
	w.number("generation", int64(c.Generation))
	w.optional("id", c.ID)
	w.attr("ip", c.IP)
	w.number("network", int64(c.Network))
	w.number("port", int64(c.Port))
	w.number("priority", int64(c.Priority))
	w.attr("protocol", c.Protocol)
	w.optional("rel-addr", c.RelAddr)
	if c.RelAddr != "" {
		w.number("rel-port", int64(c.RelPort))
	}
	w.optional("tcptype", c.TCPType)
	w.attr("type", c.Type)
	w.empty()
}
