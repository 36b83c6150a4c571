package focus

import (
	"slices"
	"strconv"
	"strings"

	"parley/bridge/api"
	"parley/jingle"
)

// Offer is what a client that calls a room has offered (XEP-0166, 0167, 0176, 0320), as far as the bridge can take part: Opus, and
// one codec of video, or every one. It does not change.
type Offer struct {
	Video   string       // the codec of video that the client is to send, in lower case; "" without video
	Screen  bool         // the video is a screen (XEP-0507)
	OneWay  bool         // the client wants nothing in this session (XEP-0521 §5)
	Muji    *MujiSession // whose session it is; nil: it is none of a Muji conference's
	parts   []proposal
	names   map[string]string // of the contents, by medium
	bundles bool              // the client puts several contents on one transport
}

// proposal is one transport with the contents on it: one for each content, or one for all in a BUNDLE group (XEP-0338).
type proposal struct {
	ours     bool             // the focus has offered it
	contents []jingle.Content // as they are answered, but for the transport and the sources
	remote   api.Remote
	receive  api.Receive
}

// videoPreference is the order in which codecs of video are chosen: by what the others in a room can read.
var videoPreference = [...]string{"VP8", "H264", "VP9", "AV1"}

// understood are the header extensions that an answer keeps.
var understood = []string{uriLevel, uriTCC, uriSendTime, uriMID, uriDependency, "urn:3gpp:video-orientation"}

// ReadOffer reads the contents of a session-initiate or content-add. What the bridge can do nothing with it leaves out; when
// nothing remains it says why.
func ReadOffer(j *jingle.Jingle) (*Offer, *jingle.Reason) { return readAs(j, false) }

// ReadOfferOfAll is ReadOffer for a client that reads every codec that it has offered, and changes between them as they come.
func ReadOfferOfAll(j *jingle.Jingle) (*Offer, *jingle.Reason) { return readAs(j, true) }

func readAs(j *jingle.Jingle, every bool) (*Offer, *jingle.Reason) {
	o := &Offer{}
	why := &jingle.Reason{Condition: jingle.UnsupportedApplications}
	bundle := j.Bundle()
	o.OneWay, o.bundles = true, bundle != nil
	bundled := -1 // the part of the group
	for i := range j.Contents {
		c := &j.Contents[i]
		if c.Description == nil {
			continue
		}
		if c.Transport == nil {
			why = &jingle.Reason{Condition: jingle.UnsupportedTransports}
			continue
		}
		var part proposal
		content := jingle.Content{Creator: c.Creator, Name: c.Name, Senders: c.Senders}
		if content.Description = part.agree(c.Description, every); content.Description == nil {
			why = &jingle.Reason{Condition: jingle.FailedApplication, Text: "no codec in common"}
			continue
		}
		if c.Description.Media == "video" {
			if o.Video != "" {
				continue // a second picture: there is one
			}
			o.Video = strings.ToLower(content.Description.PayloadTypes[0].Name)
			o.Screen = screen(content.Description)
		} else if o.has("audio") {
			continue
		}
		if bundle != nil && bundled >= 0 && slices.Contains(bundle.Contents, c.Name) {
			p := &o.parts[bundled]
			p.contents = append(p.contents, content)
			p.receive.Payloads = append(p.receive.Payloads, part.receive.Payloads...)
			for uri, id := range part.receive.Extensions {
				p.receive.Extensions[uri] = id
			}
			continue
		}
		if part.remote, why = remoteIn(c.Transport); why != nil {
			return nil, why
		}
		part.contents = []jingle.Content{content}
		if bundle != nil && slices.Contains(bundle.Contents, c.Name) {
			bundled = len(o.parts)
		}
		o.parts = append(o.parts, part)
	}
	if len(o.parts) == 0 {
		return nil, why
	}
	o.names = make(map[string]string)
	for name, media := range o.Contents() {
		o.names[media] = name
	}
	for _, p := range o.parts {
		o.OneWay = o.OneWay && !slices.ContainsFunc(p.contents, func(c jingle.Content) bool { return c.Senders.Has(jingle.Responder) })
	}
	return o, nil
}

// Contents returns the medium of each content.
func (o *Offer) Contents() map[string]string {
	m := make(map[string]string)
	for _, p := range o.parts {
		for i := range p.contents {
			m[p.contents[i].Name] = p.contents[i].Description.Media
		}
	}
	return m
}

func (o *Offer) has(media string) bool {
	for _, p := range o.parts {
		if p.content(media) != nil {
			return true
		}
	}
	return false
}

// content returns the content of a medium.
func (p *proposal) content(media string) *jingle.Content {
	for i := range p.contents {
		if p.contents[i].Description.Media == media {
			return &p.contents[i]
		}
	}
	return nil
}

// agree answers a description, and notes what was agreed on; nil when there is no codec in common. The numbers are those of the
// offer.
func (p *proposal) agree(d *jingle.Description, every bool) *jingle.Description {
	out := &jingle.Description{Media: d.Media, Categories: d.Categories, RTCPMux: true, AllowMixed: d.AllowMixed}
	p.receive = api.Receive{Single: true, Mixed: d.AllowMixed, Extensions: make(map[string]int)}
	for _, x := range d.HeaderExtensions {
		if slices.Contains(understood, x.URI) && (x.Senders == jingle.Both || x.Senders == "") {
			out.HeaderExtensions = append(out.HeaderExtensions, jingle.HeaderExtension{ID: x.ID, URI: x.URI, Senders: jingle.Both})
			p.receive.Extensions[x.URI] = x.ID
		}
	}
	switch d.Media {
	case "audio":
		if codec := find(d.PayloadTypes, "opus", 48000, always); codec != nil {
			p.settle(d, codec, out)
		}
	case "video":
		for _, name := range videoPreference {
			if codec := find(d.PayloadTypes, name, 90000, forwardable); codec != nil && (every || len(out.PayloadTypes) == 0) {
				p.settle(d, codec, out)
			}
		}
	}
	if len(out.PayloadTypes) == 0 {
		return nil
	}
	return out
}

// settle takes a codec of an offer into the answer, with its repair.
func (p *proposal) settle(d *jingle.Description, codec *jingle.PayloadType, out *jingle.Description) {
	_, tcc := p.receive.Extensions[uriTCC]
	answer := jingle.PayloadType{ID: codec.ID, Name: codec.Name, ClockRate: codec.ClockRate, Channels: codec.Channels, Parameters: codec.Parameters}
	for _, f := range slices.Concat(d.Feedback, codec.Feedback) {
		if !slices.Contains(answer.Feedback, f) && serves(f, d.Media == "video", tcc) {
			answer.Feedback = append(answer.Feedback, f)
		}
	}
	out.PayloadTypes = append(out.PayloadTypes, answer)
	p.receive.Payloads = append(p.receive.Payloads, api.Payload{ID: codec.ID, Name: codec.Name, Clock: uint32(codec.ClockRate)})
	repair := find(d.PayloadTypes, "rtx", codec.ClockRate, func(t *jingle.PayloadType) bool { return parameter(t, "apt") == strconv.Itoa(int(codec.ID)) })
	if repair != nil && d.Media == "video" {
		out.PayloadTypes = append(out.PayloadTypes, jingle.PayloadType{ID: repair.ID, Name: repair.Name, ClockRate: repair.ClockRate, Parameters: repair.Parameters})
		p.receive.Payloads = append(p.receive.Payloads, api.Payload{ID: repair.ID, Name: "rtx", Clock: uint32(repair.ClockRate), Apt: codec.ID})
	}
}

// screen reports that a medium is described as a shared screen.
func screen(d *jingle.Description) bool { return slices.Contains(d.Categories, jingle.Slides) }

// find returns the first payload type of a codec, of those that fit.
func find(list []jingle.PayloadType, name string, clock int, fits func(*jingle.PayloadType) bool) *jingle.PayloadType {
	for i := range list {
		if t := &list[i]; strings.EqualFold(t.Name, name) && t.ClockRate == clock && t.ID != 0 && fits(t) {
			return t
		}
	}
	return nil
}

func always(*jingle.PayloadType) bool { return true }

// forwardable says that the packets of others are what the client can read: H264 in fragments (RFC 6184 §6.3).
func forwardable(t *jingle.PayloadType) bool {
	return !strings.EqualFold(t.Name, "H264") || parameter(t, "packetization-mode") == "1"
}

func parameter(t *jingle.PayloadType, name string) string {
	for _, p := range t.Parameters {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// serves reports that the bridge gives and takes a kind of feedback.
func serves(f jingle.Feedback, video, tcc bool) bool {
	switch f {
	case jingle.Feedback{Type: "transport-cc"}:
		return tcc
	case jingle.Feedback{Type: "goog-remb"}:
		return video && !tcc
	case jingle.Feedback{Type: "nack"}, jingle.Feedback{Type: "nack", Subtype: "pli"}, jingle.Feedback{Type: "ccm", Subtype: "fir"}:
		return video
	}
	return false
}

// remoteIn is the client's side of a transport that it has offered.
func remoteIn(t *jingle.Transport) (r api.Remote, why *jingle.Reason) {
	if t.Ufrag == "" {
		return r, &jingle.Reason{Condition: jingle.FailedTransport, Text: "a transport without ICE credentials"}
	}
	r = api.Remote{Ufrag: t.Ufrag, Pwd: t.Password}
	for _, f := range t.Fingerprints {
		switch f.Hash {
		case "sha-256", "sha-384", "sha-512":
		default:
			continue // weaker ones prove nothing
		}
		side := "passive" // who may be both waits for us (RFC 5763 §5)
		if f.Setup == jingle.Active {
			side = "active"
		}
		if f.Setup == jingle.HoldConn || r.Setup != "" && r.Setup != side {
			return r, &jingle.Reason{Condition: jingle.SecurityError, Text: "setup is actpass"}
		}
		r.Setup = side
		r.Fingerprints = append(r.Fingerprints, api.Fingerprint{Hash: f.Hash, Value: f.Value})
	}
	if len(r.Fingerprints) == 0 {
		return r, &jingle.Reason{Condition: jingle.SecurityError, Text: "media are encrypted by DTLS (XEP-0320), with sha-256 or better"}
	}
	r.Candidates, _ = usable(nil, t.Candidates)
	return r, nil
}
