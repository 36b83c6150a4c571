package jingle

import (
	"strconv"
	"strings"

	"parley/jingle/sdp"
)

func (t *Transport) attributes(a *sdp.Attributes) {
	for i := range t.Candidates {
		if c := &t.Candidates[i]; c.inSDP() {
			a.Add("candidate", string(c.appendSDP(nil)))
		}
	}
	if t.GatheringComplete {
		a.Add("end-of-candidates", "")
	}
	if t.Ufrag != "" {
		a.Add("ice-ufrag", t.Ufrag)
		a.Add("ice-pwd", t.Password)
	}
	if len(t.Options) > 0 {
		a.Add("ice-options", strings.Join(t.Options, " "))
	}
	var setup Setup
	cryptex := false
	for _, f := range t.Fingerprints {
		a.Add("fingerprint", f.Hash+" "+f.Value)
		if setup == "" {
			setup = f.Setup
		}
		cryptex = cryptex || f.Cryptex
	}
	if setup != "" {
		a.Add("setup", string(setup))
	}
	if cryptex {
		a.Add("cryptex", "")
	}
}

func (d *Description) attributes(a *sdp.Attributes, by Role, direction string, t *Transport) {
	for _, x := range d.HeaderExtensions {
		value := strconv.Itoa(x.ID)
		if x.Senders != Both {
			value += "/" + x.Senders.direction(by)
		}
		value += " " + x.URI
		for _, p := range x.Parameters {
			value += " " + pair(p)
		}
		a.Add("extmap", value)
	}
	if d.AllowMixed {
		a.Add("extmap-allow-mixed", "")
	}
	a.Add(direction, "")
	for _, s := range d.streams() {
		a.Add("msid", strings.TrimRight(s.Stream+" "+s.Track, " "))
	}
	if len(d.Categories) > 0 {
		a.Add("content", strings.Join(d.Categories, ","))
	}
	if d.RTCPMux || t.RTCPMux {
		a.Add("rtcp-mux", "")
	}
	if d.ReducedSize {
		a.Add("rtcp-rsize", "")
	}
	if len(t.Fingerprints) == 0 {
		for _, c := range d.Crypto {
			a.Add("crypto", strings.TrimRight(strconv.Itoa(c.Tag)+" "+c.Suite+" "+c.KeyParams+" "+c.SessionParams, " "))
		}
	}
	d.codecs(a)
	d.rids(a)
	d.sources(a)
}

// streams returns the medium's streams, or else that of its first source.
func (d *Description) streams() []MediaStream {
	if len(d.Streams) > 0 {
		return d.Streams
	}
	for i := range d.Sources {
		if f := strings.Fields(d.Sources[i].MSID()); len(f) == 2 && isWord(f[0], maxName) && isWord(f[1], maxName) {
			return []MediaStream{{f[0], f[1]}}
		}
	}
	return nil
}

func (d *Description) codecs(a *sdp.Attributes) {
	for _, f := range d.Feedback {
		a.Add("rtcp-fb", strings.TrimRight("* "+f.Type+" "+f.Subtype, " "))
	}
	for _, p := range d.PayloadTypes {
		if p = p.mapped(d.Media); p.Name == "" {
			continue
		}
		id := strconv.Itoa(int(p.ID)) + " "
		value := id + p.Name + "/" + strconv.Itoa(p.ClockRate)
		if p.Channels > 0 {
			value += "/" + strconv.Itoa(p.Channels)
		}
		a.Add("rtpmap", value)
		for _, f := range p.Feedback {
			a.Add("rtcp-fb", strings.TrimRight(id+f.Type+" "+f.Subtype, " "))
		}
		if len(p.Parameters) > 0 {
			list := make([]string, len(p.Parameters))
			for i, q := range p.Parameters {
				list[i] = pair(q)
			}
			a.Add("fmtp", id+strings.Join(list, ";"))
		}
	}
	if d.PTime > 0 {
		a.Add("ptime", strconv.Itoa(d.PTime))
	}
	if d.MaxPTime > 0 {
		a.Add("maxptime", strconv.Itoa(d.MaxPTime))
	}
}

func pair(p Parameter) string {
	if p.Name == "" {
		return p.Value
	}
	return p.Name + "=" + p.Value
}

func (d *Description) rids(a *sdp.Attributes) {
	for _, r := range d.RIDs {
		direction := " send "
		if r.Receive {
			direction = " recv "
		}
		a.Add("rid", strings.TrimRight(r.ID+direction+r.Restrictions, " "))
	}
	var f []string
	if len(d.Simulcast.Send) > 0 {
		f = append(f, "send", strings.Join(d.Simulcast.Send, ";"))
	}
	if len(d.Simulcast.Receive) > 0 {
		f = append(f, "recv", strings.Join(d.Simulcast.Receive, ";"))
	}
	if len(f) > 0 {
		a.Add("simulcast", strings.Join(f, " "))
	}
}

// sources writes groups and sources as RFC 5576 says, with the attributes name and videoType that lib-jitsi-meet knows
// there. A source without attributes gets its number as cname, for SDP has no line without.
func (d *Description) sources(a *sdp.Attributes) {
	for _, g := range d.SourceGroups {
		if len(g.SSRCs) == 0 {
			continue
		}
		value := g.Semantics
		for _, ssrc := range g.SSRCs {
			value += " " + strconv.FormatUint(uint64(ssrc), 10)
		}
		a.Add("ssrc-group", value)
	}
	for i := range d.Sources {
		s := &d.Sources[i]
		id := strconv.FormatUint(uint64(s.SSRC), 10)
		list := s.Parameters
		if len(list) == 0 {
			list = []Parameter{{"cname", id}}
		}
		for _, p := range list {
			a.Add("ssrc", id+" "+p.Name+suffix(p.Value))
		}
		if s.Name != "" {
			a.Add("ssrc", id+" name"+suffix(s.Name))
		}
		if s.VideoType != "" {
			a.Add("ssrc", id+" videoType"+suffix(s.VideoType))
		}
	}
}

func suffix(value string) string {
	if value == "" {
		return ""
	}
	return ":" + value
}
