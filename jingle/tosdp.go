package jingle

import (
	"strconv"

	"parley/jingle/sdp"
)

// SDP writes the contents and groups as the session description of one side, in the manner of RFC 8829 with candidates that
// trickle: every medium has port 9, or 0 if its senders are RejectedContent. Fields that a peer may have put there are
// checked again. A content of several streams needs Unified before. The error is a *wire.Error: a content that SDP cannot
// express, or a broken rule.
func (j *Jingle) SDP(by Role, origin sdp.Origin) (*sdp.Description, error) {
	all := Limits{Contents: 1 << 30, Candidates: 1 << 30, Sources: 1 << 30, Groups: 1 << 30}
	if err := j.checkContents(all); err != nil {
		return nil, err
	}
	if len(j.Contents) == 0 {
		return nil, notAcceptable("a session without contents")
	}
	d := &sdp.Description{Origin: origin, Name: "-"}
	for _, g := range j.Groups {
		value := g.Semantics
		for _, name := range g.Contents {
			if j.Content(name) != nil {
				value += " " + name
			}
		}
		if value != g.Semantics {
			d.Attributes.Add("group", value)
		}
	}
	d.Attributes.Add("msid-semantic", "WMS *")
	for i := range j.Contents {
		c := &j.Contents[i]
		if c.Transport != nil && c.Transport.Lite && !d.Attributes.Has("ice-lite") {
			d.Attributes.Add("ice-lite", "")
		}
		m, err := c.media(by)
		if err != nil {
			return nil, err
		}
		d.Media = append(d.Media, m)
	}
	return d, nil
}

// AppendSDP appends the description that SDP makes. The error is a *wire.Error.
func (j *Jingle) AppendSDP(dst []byte, by Role, origin sdp.Origin) ([]byte, error) {
	d, err := j.SDP(by, origin)
	if err != nil {
		return dst, err
	}
	out, err := d.Append(dst)
	if err != nil {
		return dst, notAcceptable("the session cannot be described in SDP")
	}
	return out, nil
}

func (c *Content) media(by Role) (sdp.Media, error) {
	if !isToken(c.Name) {
		return sdp.Media{}, notAcceptable("a content name that cannot be a mid")
	}
	t := c.Transport
	if t == nil {
		t = &Transport{}
	}
	data := t.SCTP != nil || c.Description != nil && c.Description.Media == "application"
	rejected := c.Senders == RejectedContent
	m := sdp.Media{Port: 9, Connection: &sdp.Connection{Type: "IP4", Address: "0.0.0.0"}}
	if rejected {
		m.Port = 0
	}
	a := &m.Attributes
	switch {
	case data && !rejected && (t.SCTP == nil || len(t.Fingerprints) == 0):
		return sdp.Media{}, notAcceptable("data without SCTP or without a fingerprint")
	case data && t.SCTP != nil && t.SCTP.Protocol != "webrtc-datachannel":
		return sdp.Media{}, notAcceptable("data of an unknown protocol")
	case data:
		m.Type, m.Protocol, m.Formats = "application", "UDP/DTLS/SCTP", []string{"webrtc-datachannel"}
		t.attributes(a)
		a.Add("mid", c.Name)
		if t.SCTP != nil {
			a.Add("sctp-port", strconv.Itoa(int(t.SCTP.Port)))
			if t.SCTP.MaxMessageSize > 0 {
				a.Add("max-message-size", strconv.FormatUint(t.SCTP.MaxMessageSize, 10))
			}
		}
		return m, nil
	case c.Description == nil:
		return sdp.Media{}, notAcceptable("a content without a description of media")
	}
	d := c.Description
	if !rejected && len(d.split()) > 1 {
		return sdp.Media{}, notAcceptable("several streams in one content") // that would be Plan B
	}
	m.Type, m.Protocol = d.Media, d.protocol(t, rejected)
	for _, p := range d.PayloadTypes {
		if p = p.mapped(d.Media); (p.Name == "" || p.ClockRate == 0) && !rejected {
			return sdp.Media{}, notAcceptable("a payload type without a name or clock rate")
		}
		m.Formats = append(m.Formats, strconv.Itoa(int(p.ID)))
	}
	if len(m.Formats) == 0 && !rejected {
		return sdp.Media{}, notAcceptable("a content without payload types")
	} else if rejected && len(m.Formats) == 0 {
		m.Formats = []string{"0"} // something must stand here
	}
	for _, b := range d.Bandwidth {
		m.Bandwidth = append(m.Bandwidth, sdp.Bandwidth(b))
	}
	a.Add("rtcp", "9 IN IP4 0.0.0.0")
	t.attributes(a)
	a.Add("mid", c.Name)
	d.attributes(a, by, c.Senders.direction(by), t)
	return m, nil
}

// mapped fills in what Jingle lets a payload type leave out (XEP-0167 §5): the name and clock rate of static ones, and the
// clock rate of video.
func (p PayloadType) mapped(media string) PayloadType {
	if s, ok := static[p.ID]; ok && p.Name == "" {
		p.Name, p.ClockRate, p.Channels = s.Name, s.ClockRate, s.Channels
	} else if ok && p.ClockRate == 0 && p.Name == s.Name {
		p.ClockRate = s.ClockRate
	}
	if p.ClockRate == 0 && media == "video" {
		p.ClockRate = 90000
	}
	return p
}

// protocol returns the transport protocol that fits the keys (RFC 8829 §5.1.2, RFC 5124, RFC 4585).
func (d *Description) protocol(t *Transport, rejected bool) string {
	switch {
	case len(t.Fingerprints) > 0 || rejected:
		return "UDP/TLS/RTP/SAVPF"
	case len(d.Crypto) > 0:
		return "RTP/SAVPF"
	}
	return "RTP/AVPF"
}
