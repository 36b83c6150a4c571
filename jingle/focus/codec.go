package focus

import (
	"parley/jingle"
)

// The numbers of Jicofo's offers (jitsi.md §7.1), which clients, recorders and our bridge know by heart.
const (
	ptRED       = 112
	ptOpus      = 111
	ptTelephone = 126

	extLevel      = 1
	extSendTime   = 3
	extTCC        = 5
	extMID        = 10
	extDependency = 11
)

// The header extensions of the offer.
const (
	uriLevel      = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
	uriMID        = "urn:ietf:params:rtp-hdrext:sdes:mid"
	uriTCC        = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
	uriSendTime   = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
	uriDependency = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
)

// videoCodecs in the order of the offer.
var videoCodecs = [...]struct {
	name    string
	pt, rtx uint8
	profile string
}{
	{"AV1", 41, 42, ""},
	{"VP8", 100, 96, ""},
	{"H264", 107, 99, "42e01f;level-asymmetry-allowed=1;packetization-mode=1;"}, // one parameter, joined
	{"VP9", 101, 97, ""},
}

var aptOf = map[uint8]string{42: "41", 96: "100", 99: "107", 97: "101"}

// describeAudio is the description of audio for a client of these features.
func describeAudio(f Features, red bool) *jingle.Description {
	d := &jingle.Description{Media: "audio", MaxPTime: 60, AllowMixed: true, RTCPMux: true}
	opus := jingle.PayloadType{ID: ptOpus, Name: "opus", ClockRate: 48000, Channels: 2, Parameters: []jingle.Parameter{{Name: "minptime", Value: "10"}}}
	opus.Parameters = append(opus.Parameters, jingle.Parameter{Name: "useinbandfec", Value: "1"})
	if f.Has(TCC) {
		opus.Feedback = []jingle.Feedback{{Type: "transport-cc"}}
	}
	d.PayloadTypes = append(d.PayloadTypes, opus)
	if red && f.Has(RED) { // behind Opus: clients read it, and do not send it
		d.PayloadTypes = append(d.PayloadTypes, jingle.PayloadType{ID: ptRED, Name: "red", ClockRate: 48000, Channels: 2,
			Parameters: []jingle.Parameter{{Value: "111/111"}}})
	}
	d.PayloadTypes = append(d.PayloadTypes, jingle.PayloadType{ID: ptTelephone, Name: "telephone-event", ClockRate: 8000})
	d.HeaderExtensions = extensions(f, extLevel, uriLevel, extMID, uriMID, extTCC, uriTCC)
	return d
}

// describeVideo is the description of video for a client of these features.
func describeVideo(f Features) *jingle.Description {
	d := &jingle.Description{Media: "video", AllowMixed: true, RTCPMux: true}
	feedback := []jingle.Feedback{{Type: "ccm", Subtype: "fir"}, {Type: "nack"}, {Type: "nack", Subtype: "pli"}}
	switch {
	case f.Has(TCC):
		feedback = append(feedback, jingle.Feedback{Type: "transport-cc"})
	case f.Has(REMB):
		feedback = append(feedback, jingle.Feedback{Type: "goog-remb"})
	}
	for _, c := range videoCodecs {
		p := jingle.PayloadType{ID: c.pt, Name: c.name, ClockRate: 90000, Feedback: feedback}
		if c.profile != "" {
			p.Parameters = []jingle.Parameter{{Name: "profile-level-id", Value: c.profile}}
		}
		d.PayloadTypes = append(d.PayloadTypes, p)
	}
	if f.Has(RTX) {
		for _, c := range videoCodecs {
			d.PayloadTypes = append(d.PayloadTypes, jingle.PayloadType{ID: c.rtx, Name: "rtx", ClockRate: 90000,
				Parameters: []jingle.Parameter{{Name: "apt", Value: aptOf[c.rtx]}}})
		}
	}
	d.HeaderExtensions = extensions(f, extDependency, uriDependency, extMID, uriMID, extSendTime, uriSendTime, extTCC, uriTCC)
	return d
}

// extensions lists pairs of id and URI, without transport-cc where the client has none.
func extensions(f Features, pairs ...any) []jingle.HeaderExtension {
	var list []jingle.HeaderExtension
	for i := 0; i < len(pairs); i += 2 {
		if id := pairs[i].(int); id != extTCC || f.Has(TCC) {
			list = append(list, jingle.HeaderExtension{ID: id, URI: pairs[i+1].(string), Senders: jingle.Both})
		}
	}
	return list
}

// contentData is the name of the content with the bridge channel as a data channel (jitsi.md §7.3).
const contentData = "data"

// describe returns what the session of a member is about: audio and video as far as the client has them, and a data channel
// where there is no WebSocket for the bridge channel: a client that is offered both takes the data channel.
func (c *conference) describe(m *member) []jingle.Content {
	var list []jingle.Content
	if m.features.Has(Audio) {
		list = append(list, jingle.Content{Creator: jingle.Initiator, Name: "audio", Senders: jingle.Both, Description: describeAudio(m.features, c.red)})
	}
	if m.features.Has(Video) {
		list = append(list, jingle.Content{Creator: jingle.Initiator, Name: "video", Senders: jingle.Both, Description: describeVideo(m.features)})
	}
	if m.features.Has(DataChannel) && c.channels == "" {
		list = append(list, jingle.Content{Creator: jingle.Initiator, Name: contentData, Senders: jingle.Both, Description: &jingle.Description{Media: "application"}})
	}
	return list
}
