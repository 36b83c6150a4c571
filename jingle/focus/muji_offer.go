package focus

import (
	"slices"
	"strconv"
	"strings"

	"parley/bridge/api"
	"parley/jingle"
)

// mujiContents are those in which the focus takes part: at most one of audio and one of video, by the name that those have given it
// who came first, with the one codec that the bridge takes and each of them, under its number. So whoever sends encodes once for all
// (XEP-0272 §3). Whoever contradicts those who came before, or has no codec in common with them, is left out of account.
func (c *conference) mujiContents() (list []jingle.Content) {
	for _, media := range [...]string{api.Audio, api.Video} {
		var name string
		var common, numbered []jingle.PayloadType
		for _, p := range c.muji.peers {
			if !p.in {
				continue
			}
			i := slices.IndexFunc(p.contents, func(x jingle.Content) bool {
				return x.Description.Media == media && (name == "" || x.Name == name)
			})
			if i < 0 {
				continue // it takes no part in this content
			}
			types := p.contents[i].Description.PayloadTypes
			more := carried(media, types)
			if name == "" {
				if len(more) > 0 {
					name, common, numbered = p.contents[i].Name, more, types
				}
				continue
			}
			if contradicts(numbered, types) {
				p.strange(c, "numbers of payload types that mean something else to others")
				continue
			}
			more = slices.DeleteFunc(slices.Clone(common), func(t jingle.PayloadType) bool {
				return !slices.ContainsFunc(more, func(o jingle.PayloadType) bool { return sameCodec(&t, &o) })
			})
			if more = carried(media, more); len(more) == 0 {
				p.strange(c, "no codec in common with those who came before")
				continue
			}
			common, numbered = more, slices.Concat(numbered, types)
		}
		if one := chosen(media, common); len(one) > 0 && !slices.ContainsFunc(list, func(x jingle.Content) bool { return x.Name == name }) {
			list = append(list, jingle.Content{Creator: jingle.Initiator, Name: name, Senders: jingle.Both,
				Description: &jingle.Description{Media: media, PayloadTypes: one}})
		}
	}
	return list
}

// strange counts, once, that a participant is left out of account.
func (p *mujiPeer) strange(c *conference, why string) {
	if !p.odd {
		p.odd = true
		c.emit(note{"muji.reject", p.nick, why})
	}
}

// carried are those of payload types that the bridge carries, each codec before its repair.
func carried(media string, types []jingle.PayloadType) (list []jingle.PayloadType) {
	if media == api.Audio {
		if t := find(types, "opus", 48000, always); t != nil {
			list = append(list, *t)
		}
		return list
	}
	for _, name := range videoPreference {
		if t := find(types, name, 90000, forwardable); t != nil {
			list = append(list, *t)
			if r := repairOf(types, t); r != nil {
				list = append(list, *r)
			}
		}
	}
	return list
}

// chosen is the codec of those in common that is preferred, with its repair.
func chosen(media string, common []jingle.PayloadType) []jingle.PayloadType {
	list := carried(media, common)
	if len(list) > 1 && strings.EqualFold(list[1].Name, "rtx") {
		return list[:2]
	}
	return list[:min(len(list), 1)]
}

// repairOf is the payload type that retransmits another one (RFC 4588).
func repairOf(types []jingle.PayloadType, t *jingle.PayloadType) *jingle.PayloadType {
	return find(types, "rtx", t.ClockRate, func(r *jingle.PayloadType) bool { return parameter(r, "apt") == strconv.Itoa(int(t.ID)) })
}

// sameCodec reports that two payload types are one.
func sameCodec(a, b *jingle.PayloadType) bool {
	return a.ID == b.ID && strings.EqualFold(a.Name, b.Name) && a.ClockRate == b.ClockRate && max(a.Channels, 1) == max(b.Channels, 1) &&
		parameter(a, "apt") == parameter(b, "apt")
}

// contradicts reports that a number means something else in the second list than in the first.
func contradicts(first, second []jingle.PayloadType) bool {
	return slices.ContainsFunc(second, func(t jingle.PayloadType) bool {
		return slices.ContainsFunc(first, func(o jingle.PayloadType) bool { return t.ID == o.ID && !sameCodec(&t, &o) })
	})
}

func sameMuji(a, b jingle.Content) bool {
	return a.Name == b.Name && slices.EqualFunc(a.Description.PayloadTypes, b.Description.PayloadTypes, func(x, y jingle.PayloadType) bool { return sameCodec(&x, &y) })
}

// mujiOffer is what the focus offers a participant: those of its contents in which the other one takes part too; nil: none.
func mujiOffer(contents []jingle.Content, p *mujiPeer) *Offer {
	o := &Offer{}
	audio, video := ownMedia()
	for _, x := range contents {
		if !slices.ContainsFunc(p.contents, func(y jingle.Content) bool { return y.Name == x.Name && y.Description.Media == x.Description.Media }) {
			continue
		}
		types := slices.Clone(x.Description.PayloadTypes)
		d := audio
		if x.Description.Media == api.Video {
			d = video
			types[0].Feedback = video.PayloadTypes[0].Feedback
			o.Video = strings.ToLower(types[0].Name)
		}
		d.PayloadTypes = types
		content := ownContent(d)
		content.Name = x.Name
		o.parts = append(o.parts, proposal{ours: true, receive: api.Receive{Single: true}, contents: []jingle.Content{content}})
	}
	if len(o.parts) == 0 {
		return nil
	}
	return o
}
