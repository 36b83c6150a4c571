package jingle

import (
	"strconv"
	"strings"

	"parley/jingle/sdp"
)

// ParseSDP reads a session description of one side as the contents and groups of a session; see FromSDP. The error is a
// *wire.Error whatever is wrong.
func ParseSDP(text string, by Role, l Limits) (*Jingle, error) {
	d, err := sdp.Parse(text, sdp.DefaultLimits)
	if err != nil {
		return nil, badRequest(err.Error())
	}
	return FromSDP(d, by, l)
}

// FromSDP turns a session description of one side into contents and groups. Action and SID are left to the caller; the
// creator of every content is Initiator, to be changed for what the responder added. Names are the mids or, where there are
// none, the media's places counted from 0. The result has passed Check but for action and SID, and shares memory with d. The
// error is a *wire.Error.
func FromSDP(d *sdp.Description, by Role, l Limits) (*Jingle, error) {
	if len(d.Media) == 0 {
		return nil, badRequest("a session description without media")
	}
	if len(d.Media) > l.Contents {
		return nil, tooMany("media")
	}
	j := &Jingle{}
	for value := range d.Attributes.All("group") {
		f := strings.Fields(value)
		if len(f) == 0 || len(j.Groups) == maxGroups {
			return nil, badRequest("bad group")
		}
		if len(f) > 1 { // a group of nothing says nothing
			j.Groups = append(j.Groups, Group{Semantics: f[0], Contents: f[1:]})
		}
	}
	for i := range d.Media {
		r := reader{d: d, m: &d.Media[i], by: by, limits: l}
		c := r.content(i)
		if r.err != nil {
			return nil, r.err
		}
		j.Contents = append(j.Contents, c)
	}
	if err := j.checkContents(l); err != nil {
		return nil, err
	}
	if err := j.inheritBundle(); err != nil {
		return nil, err
	}
	for i := range d.Media {
		if err := secured(&d.Media[i], &j.Contents[i]); err != nil {
			return nil, err
		}
	}
	return j, nil
}

// inheritBundle gives the media of a bundle that have no transport of their own that of the bundle's first medium, the
// tagged one (RFC 9143 §7.2): Jingle has no word for bundle-only.
func (j *Jingle) inheritBundle() error {
	for _, g := range j.Groups {
		if g.Semantics != "BUNDLE" {
			continue
		}
		var tagged *Transport
		for i, name := range g.Contents {
			c := j.Content(name)
			if c == nil {
				return badRequest("a bundle of a medium that is not there")
			}
			if i == 0 {
				tagged = c.Transport
			}
			if tagged == nil || c.Senders == RejectedContent || c.Transport != nil && c.Transport.Ufrag != "" {
				continue
			}
			if c.Transport == nil {
				c.Transport = &Transport{}
			}
			c.Transport.Ufrag, c.Transport.Password = tagged.Ufrag, tagged.Password
			c.Transport.Lite = tagged.Lite
			if len(c.Transport.Options) == 0 {
				c.Transport.Options = tagged.Options
			}
			if len(c.Transport.Fingerprints) == 0 {
				c.Transport.Fingerprints = tagged.Fingerprints
			}
		}
	}
	return nil
}

// secured reports a medium that asks for DTLS without saying which certificate: it would otherwise be written on as one
// without encryption.
func secured(m *sdp.Media, c *Content) error {
	if c.Senders == RejectedContent || !strings.Contains(m.Protocol, "TLS") {
		return nil
	}
	if c.Transport == nil || len(c.Transport.Fingerprints) == 0 {
		return notAcceptable("a medium over DTLS without a fingerprint")
	}
	return nil
}

// reader turns one medium into a content. It keeps the first fault.
type reader struct {
	d      *sdp.Description
	m      *sdp.Media
	by     Role
	limits Limits
	err    error
}

func (r *reader) fail(text string) {
	if r.err == nil {
		r.err = badRequest(text)
	}
}

// one returns the value of an attribute of the medium that may stand once.
func (r *reader) one(name string) (value string, ok bool) {
	n := 0
	for v := range r.m.Attributes.All(name) {
		value = v
		n++
	}
	if n > 1 {
		r.fail("the attribute " + name + " stands twice")
	}
	return value, n > 0
}

// inherited returns an attribute of the medium, or else of the session.
func (r *reader) inherited(name string) (value string, ok bool) {
	if value, ok = r.one(name); !ok {
		value, ok = r.d.Attributes.Get(name)
	}
	return value, ok
}

// number returns an attribute of the medium that is a number up to most, 0 for none.
func (r *reader) number(name string, most uint64) uint64 {
	v, ok := r.one(name)
	if !ok {
		return 0
	}
	n, ok := parseUint(v, 64)
	if !ok || n > most {
		r.fail("the attribute " + name + " is out of range")
		return 0
	}
	return n
}

func (r *reader) content(index int) Content {
	c := Content{Creator: Initiator, Name: strconv.Itoa(index), Senders: Both}
	if mid, ok := r.one("mid"); ok {
		if !isToken(mid) {
			r.fail("bad mid")
		}
		c.Name = mid
	}
	rejected := r.m.Port == 0 && !r.m.Attributes.Has("bundle-only")
	c.Transport = r.transport()
	switch r.m.Protocol {
	case "UDP/TLS/RTP/SAVPF", "TCP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "TCP/TLS/RTP/SAVP",
		"RTP/SAVPF", "RTP/SAVP", "RTP/AVPF", "RTP/AVP":
		c.Description = r.description(rejected)
		c.Senders = r.senders()
	case "UDP/DTLS/SCTP", "TCP/DTLS/SCTP", "DTLS/SCTP":
		if r.m.Type != "application" {
			r.fail("SCTP outside application media")
		}
		c.Description = &Description{Media: "application"}
		if sctp := r.sctp(); sctp != nil {
			if c.Transport == nil {
				c.Transport = &Transport{}
			}
			c.Transport.SCTP = sctp
		} else if !rejected {
			r.fail("data media without an SCTP port")
		}
	default:
		if r.err == nil {
			r.err = notAcceptable("unknown transport protocol of a medium")
		}
	}
	if rejected {
		c.Senders = RejectedContent
	}
	return c
}

// senders reads the direction (RFC 8866 §6.7), which a session may state for all its media.
func (r *reader) senders() Senders {
	senders, n := Both, 0
	for _, a := range r.m.Attributes {
		if s, ok := sendersOf(a.Name, r.by); ok && a.Value == "" {
			senders = s
			n++
		}
	}
	if n > 1 {
		r.fail("a medium of two directions")
	}
	if n == 0 {
		for _, a := range r.d.Attributes {
			if s, ok := sendersOf(a.Name, r.by); ok && a.Value == "" {
				return s
			}
		}
	}
	return senders
}
