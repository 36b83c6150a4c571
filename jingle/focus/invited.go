package focus

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"parley/bridge/api"
	"parley/jingle"
	"parley/xmpp/wire"
)

// OwnOffer is what a room offers somebody whom it calls: Opus and VP8, each over a transport of its own, since not every client
// bundles.
func OwnOffer() *Offer {
	audio, video := ownMedia()
	part := func(d *jingle.Description) proposal {
		return proposal{ours: true, receive: api.Receive{Single: true}, contents: []jingle.Content{ownContent(d)}}
	}
	return &Offer{Video: "vp8", parts: []proposal{part(audio), part(video)}}
}

// BundledOffer is Opus and every codec of video over one transport (RFC 9143), for clients that insist on that.
func BundledOffer() *Offer {
	audio, video := ownMedia()
	video.PayloadTypes = everyCodec()
	tcc := video.HeaderExtensions[0] // congestion control is the transport's
	audio.HeaderExtensions = append(audio.HeaderExtensions, tcc)
	audio.PayloadTypes[0].Feedback = []jingle.Feedback{{Type: "transport-cc"}}
	return &Offer{Video: "vp8", bundles: true, parts: []proposal{{ours: true, receive: api.Receive{Single: true}, contents: []jingle.Content{ownContent(audio), ownContent(video)}}}}
}

func ownContent(d *jingle.Description) jingle.Content {
	return jingle.Content{Creator: jingle.Initiator, Name: d.Media, Senders: jingle.Both, Description: d}
}

// ownMedia describes Opus and VP8.
func ownMedia() (audio, video *jingle.Description) {
	level := jingle.HeaderExtension{ID: extLevel, URI: uriLevel, Senders: jingle.Both}
	tcc := jingle.HeaderExtension{ID: extTCC, URI: uriTCC, Senders: jingle.Both}
	audio = &jingle.Description{Media: "audio", RTCPMux: true, HeaderExtensions: []jingle.HeaderExtension{level}, PayloadTypes: []jingle.PayloadType{
		{ID: ptOpus, Name: "opus", ClockRate: 48000, Channels: 2, Parameters: []jingle.Parameter{{Name: "minptime", Value: "10"}, {Name: "useinbandfec", Value: "1"}}},
	}}
	video = &jingle.Description{Media: "video", RTCPMux: true, HeaderExtensions: []jingle.HeaderExtension{tcc}, PayloadTypes: []jingle.PayloadType{
		{ID: 100, Name: "VP8", ClockRate: 90000, Feedback: []jingle.Feedback{
			{Type: "ccm", Subtype: "fir"}, {Type: "nack"}, {Type: "nack", Subtype: "pli"}, {Type: "goog-remb"}, {Type: "transport-cc"}}},
		{ID: 96, Name: "rtx", ClockRate: 90000, Parameters: []jingle.Parameter{{Name: "apt", Value: "100"}}},
	}}
	return audio, video
}

// client is the client's side of the session that the offer begins.
func (o *Offer) client() jingle.Role {
	if len(o.parts) > 0 && o.parts[0].ours {
		return jingle.Responder
	}
	return jingle.Initiator
}

// offers reports that something was offered that the client has not answered.
func (k *call) offers() bool {
	return slices.ContainsFunc(k.parts, func(p *part) bool { return p.ours && p.remote.Ufrag == "" })
}

// Agree takes the answer of somebody whom a room has called (XEP-0166 §6.3).
func (f *Focus) Agree(room, occupant wire.Addr, answer *jingle.Jingle) {
	f.inRoom(room, func(c *conference, _ time.Time) {
		if m := c.caller(occupant); m != nil && m.stage == offered {
			c.agreed(m, answer)
		}
	})
}

func (c *conference) agreed(m *member, answer *jingle.Jingle) {
	for _, p := range m.call.parts {
		transport := p.take(answer)
		if transport == nil {
			continue // refused
		}
		p.hear(m.call.voices)
		var why *jingle.Reason
		if p.remote, why = remoteIn(transport); why != nil {
			c.hangUp(m, why)
			return
		}
	}
	m.call.parts = slices.DeleteFunc(m.call.parts, func(p *part) bool { return len(p.contents) == 0 })
	c.changed = true
	if len(m.call.parts) == 0 {
		c.hangUp(m, &jingle.Reason{Condition: jingle.FailedApplication, Text: "no codec in common"})
		return
	}
	m.stage, m.call.by = active, time.Time{}
	c.publish(m)
}

// take notes what of the offered contents is agreed on: their numbers are those of the offer, and who sends is what the answer says.
// It returns the client's side of the transport; nil: there is none, or no codec.
func (p *part) take(answer *jingle.Jingle) (transport *jingle.Transport) {
	p.receive.Payloads, p.receive.Extensions = nil, make(map[string]int)
	var contents []jingle.Content
	for _, offer := range p.contents {
		content := answer.Content(offer.Name)
		if content == nil || content.Description == nil || content.Transport == nil || content.Senders == jingle.RejectedContent || !p.agreed(&offer, content) {
			continue
		}
		if transport == nil {
			transport = content.Transport
		}
		offer.Senders = content.Senders
		contents = append(contents, offer)
	}
	p.contents = contents
	return transport
}

// agreed adds what of one offered content is agreed on.
func (p *part) agreed(offer, answer *jingle.Content) bool {
	chosen := make(map[uint8]bool)
	for _, q := range offer.Description.PayloadTypes {
		if !slices.ContainsFunc(answer.Description.PayloadTypes, func(t jingle.PayloadType) bool { return t.ID == q.ID && strings.EqualFold(t.Name, q.Name) }) {
			continue
		}
		payload := api.Payload{ID: q.ID, Name: q.Name, Clock: uint32(q.ClockRate)}
		if q.Name == "rtx" {
			apt, _ := strconv.ParseUint(parameter(&q, "apt"), 10, 8)
			if payload.Apt = uint8(apt); !chosen[payload.Apt] {
				continue // of a codec that is none of theirs
			}
		}
		chosen[q.ID] = true
		p.receive.Payloads = append(p.receive.Payloads, payload)
	}
	for _, x := range offer.Description.HeaderExtensions {
		if slices.ContainsFunc(answer.Description.HeaderExtensions, func(y jingle.HeaderExtension) bool { return x.ID == y.ID && x.URI == y.URI }) {
			p.receive.Extensions[x.URI] = x.ID
		}
	}
	return len(chosen) > 0
}
