package focus

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"parley/bridge/api"
	"parley/jingle"
	"parley/muc"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// accept takes session-accept. Everything is checked before anything changes, so that a bad answer leaves the session as it
// was (hardening.md HB1). The event names what was refused.
func (c *conference) accept(m *member, o *muc.Occupant, j *jingle.Jingle) (why *wire.Error, event string) {
	if m.stage != offered {
		return jingle.ErrOutOfOrder, "sdp.reject"
	}
	receive := m.receive
	receive.Payloads, receive.Extensions = nil, make(map[string]int)
	var transport *jingle.Transport
	ours := jingle.Jingle{Contents: c.describe(m)}
	for i := range j.Contents {
		answer := &j.Contents[i]
		offer := ours.Content(answer.Name)
		if offer == nil {
			return bad("a content that was not offered"), "sdp.reject"
		}
		if answer.Name == contentData {
			continue // clients give it no description; it is on the same transport, and there is nothing to agree about
		}
		if answer.Description == nil || answer.Description.Media != offer.Description.Media {
			return bad("a content without its description"), "sdp.reject"
		}
		if why := agree(&receive, offer.Description, answer.Description, answer.Senders == jingle.RejectedContent); why != nil {
			return why, "sdp.reject"
		}
		if transport == nil && answer.Transport != nil {
			transport = answer.Transport
		}
	}
	if transport == nil {
		return bad("no transport"), "sdp.reject"
	}
	remote, why := c.remoteOf(m, transport)
	if why != nil {
		return why, "sdp.reject"
	}
	sources := jingle.SourcesIn(j.Contents)
	if why := c.checkSources(m, o, sources, sources); why != nil {
		return why, "media.ssrc"
	}
	m.stage, m.attempts = active, 0
	m.resultBy, m.acceptBy, m.offerID = time.Time{}, time.Time{}, ""
	m.remote, m.receive = remote, receive
	m.known = m.at // with what it accepts it knows what the offer says
	c.setSources(m, sources)
	c.changed = true
	return nil, ""
}

// agree adds what both sides of a description have in common. What was not offered is no part of the session; another
// meaning for an offered number is an error.
func agree(r *api.Receive, offer, answer *jingle.Description, rejected bool) *wire.Error {
	var any bool
	for _, p := range answer.PayloadTypes {
		for _, q := range offer.PayloadTypes {
			if p.ID != q.ID {
				continue
			}
			if !strings.EqualFold(p.Name, q.Name) || p.ClockRate != q.ClockRate {
				return bad("a payload type of another meaning than offered")
			}
			any = true
			payload := api.Payload{ID: q.ID, Name: q.Name, Clock: uint32(q.ClockRate)}
			if q.Name == "rtx" {
				apt, _ := strconv.Atoi(aptOf[q.ID])
				payload.Apt = uint8(apt)
				for _, x := range p.Parameters {
					if x.Name == "apt" && x.Value != aptOf[q.ID] {
						return bad("a retransmission of another payload type than offered")
					}
				}
			}
			r.Payloads = append(r.Payloads, payload)
		}
	}
	if !any && !rejected {
		return &wire.Error{Type: mstanza.Modify, Condition: mstanza.NotAcceptable, Text: "no payload type in common"}
	}
	for _, x := range answer.HeaderExtensions {
		for _, y := range offer.HeaderExtensions {
			switch {
			case x.ID == y.ID && x.URI == y.URI:
				r.Extensions[x.URI] = x.ID
			case x.ID == y.ID, x.URI == y.URI:
				return bad("a header extension of another meaning than offered")
			}
		}
	}
	r.Mixed = r.Mixed || answer.AllowMixed
	return nil
}

// remoteOf is the client's side of the transport, for the bridge.
func (c *conference) remoteOf(m *member, t *jingle.Transport) (*api.Remote, *wire.Error) {
	if t.Ufrag == "" {
		return nil, bad("a transport without ICE credentials")
	}
	r := &api.Remote{Ufrag: t.Ufrag, Pwd: t.Password}
	for _, f := range t.Fingerprints {
		switch f.Hash {
		case "sha-256", "sha-384", "sha-512":
		default:
			continue // weaker ones prove nothing
		}
		switch setup := string(f.Setup); {
		case setup != "active" && setup != "passive":
			return nil, bad("the setup of an answer is active or passive")
		case r.Setup != "" && r.Setup != setup:
			return nil, bad("two fingerprints of different setup")
		default:
			r.Setup = setup
		}
		r.Fingerprints = append(r.Fingerprints, api.Fingerprint{Hash: f.Hash, Value: f.Value})
	}
	if len(r.Fingerprints) == 0 {
		return nil, bad("no fingerprint of a hash that is strong enough")
	}
	r.Candidates = c.candidates(m, nil, t.Candidates)
	return r, nil
}

// candidates appends those that could be addresses. What is left out is counted (hardening.md HB2).
func (c *conference) candidates(m *member, have []api.Candidate, more []jingle.Candidate) []api.Candidate {
	have, unusable := usable(have, more)
	for range unusable {
		c.emit(note{"ice.filter", m.endpoint, "candidate"})
	}
	return have
}

// usable appends candidates that could be addresses, and counts the others: names are never resolved, and one that is there is
// not added twice. Which addresses the bridge checks is its own policy.
func usable(have []api.Candidate, more []jingle.Candidate) (list []api.Candidate, unusable int) {
	have = have[:len(have):len(have)]
next:
	for _, k := range more {
		ip, err := netip.ParseAddr(k.IP)
		if err != nil || ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() || k.Port == 0 || k.Component != 1 ||
			k.Protocol != "udp" && k.Protocol != "tcp" || len(have) >= jingle.DefaultLimits.Candidates {
			unusable++
			continue
		}
		k := api.Candidate{Foundation: k.Foundation, Protocol: k.Protocol, TCPType: k.TCPType, Priority: k.Priority, IP: ip.String(), Port: k.Port, Type: k.Type}
		for _, old := range have {
			if old == k {
				continue next
			}
		}
		have = append(have, k)
	}
	return have, unusable
}
