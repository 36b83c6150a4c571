package jingle

import "strings"

// transport reads what RFC 8839 and RFC 8842 put beside a medium or beside the session. The result is nil where there is
// nothing.
func (r *reader) transport() *Transport {
	t := &Transport{Lite: r.d.Attributes.Has("ice-lite"), GatheringComplete: r.m.Attributes.Has("end-of-candidates")}
	t.Ufrag, _ = r.inherited("ice-ufrag")
	t.Password, _ = r.inherited("ice-pwd")
	t.Options = r.options()
	t.Fingerprints = r.fingerprints()
	for value := range r.m.Attributes.All("candidate") {
		if len(t.Candidates) == r.limits.Candidates {
			r.err = tooMany("candidates")
			break
		}
		c, _, err := ParseCandidate(value)
		if err != nil {
			r.err = err
			break
		}
		t.Candidates = append(t.Candidates, c)
	}
	if t.Ufrag == "" && t.Password == "" && len(t.Fingerprints) == 0 && len(t.Candidates) == 0 {
		return nil
	}
	return t
}

// options reads ice-options (RFC 8839 §5.6): the medium's, and those of the session that it does not repeat.
func (r *reader) options() (list []string) {
	add := func(value string) {
		for o := range strings.FieldsSeq(value) {
			known := false
			for _, have := range list {
				known = known || have == o
			}
			if !known && isName(o) && len(list) < maxOptions {
				list = append(list, o)
			}
		}
	}
	for v := range r.m.Attributes.All("ice-options") {
		add(v)
	}
	for v := range r.d.Attributes.All("ice-options") {
		add(v)
	}
	return list
}

// fingerprints reads the medium's fingerprints or else the session's (RFC 8122 §5), those of weak or unknown hashes left
// out, and gives each the setup role (RFC 8842 §5.1).
func (r *reader) fingerprints() (list []Fingerprint) {
	setup, _ := r.inherited("setup")
	cryptex := r.m.Attributes.Has("cryptex") || r.d.Attributes.Has("cryptex")
	from := r.m.Attributes
	if !from.Has("fingerprint") {
		from = r.d.Attributes
	}
	for value := range from.All("fingerprint") {
		hash, hex, ok := strings.Cut(value, " ")
		hash = strings.ToLower(hash)
		if !ok || len(list) == maxFingerprints {
			r.fail("bad fingerprint, or too many")
			return nil
		}
		if hashBytes[hash] == 0 {
			continue
		}
		list = append(list, Fingerprint{Hash: hash, Value: strings.ToUpper(hex), Setup: Setup(setup), Cryptex: cryptex})
	}
	return list
}

// sctp reads sctp-port and max-message-size (RFC 8841 §5 and §6), or the sctpmap of its drafts.
func (r *reader) sctp() *SCTP {
	s := &SCTP{Protocol: "webrtc-datachannel", MaxMessageSize: r.number("max-message-size", 1<<53)}
	if s.Port = uint16(r.number("sctp-port", 1<<16-1)); s.Port != 0 {
		if r.m.Formats[0] != s.Protocol {
			r.fail("data media of an unknown protocol")
		}
		return s
	}
	value, ok := r.one("sctpmap")
	if !ok {
		return nil
	}
	f := strings.Fields(value)
	if len(f) < 2 || f[1] != s.Protocol || f[0] != r.m.Formats[0] {
		r.fail("bad sctpmap")
		return nil
	}
	port, ok := parseUint(f[0], 16)
	if !ok || port == 0 {
		r.fail("bad sctpmap")
		return nil
	}
	s.Port = uint16(port)
	if len(f) > 2 {
		streams, _ := parseUint(f[2], 16)
		s.Streams = int(streams)
	}
	return s
}
