package focus

import (
	"slices"
	"strings"

	"parley/jingle"
)

// Nobody translates between codecs. What a client can read depends on its door:
//
//	Jitsi's dialect      every codec is offered; the client says in its presence what it reads
//	XEP-0521, streams    every codec is offered for each stream; what the client does not take is not brought to it
//	RoomServer           every codec is offered in each session
//	AppRTC               every codec that it offers, or takes, is agreed on: browsers change between them at any time
//	XEP-0166, 0167       one codec: clients build what decodes it once
//
// The doors of the lower three say in codecList, in the place of their clients, what Reads returns: the others choose by it what they send
// (jitsi.md §10.4). So only a client that cannot read a codec keeps a room from it.

// everyCodec is how all codecs of video are offered: first what clients should send that send one only.
func everyCodec() (list []jingle.PayloadType) {
	for _, name := range videoPreference {
		for _, v := range videoCodecs {
			if v.name != name {
				continue
			}
			codec := jingle.PayloadType{ID: v.pt, Name: v.name, ClockRate: 90000, Feedback: []jingle.Feedback{
				{Type: "ccm", Subtype: "fir"}, {Type: "nack"}, {Type: "nack", Subtype: "pli"}, {Type: "goog-remb"}, {Type: "transport-cc"}}}
			if v.name == "H264" {
				codec.Parameters = []jingle.Parameter{{Name: "profile-level-id", Value: "42e01f"}, {Name: "level-asymmetry-allowed", Value: "1"}, {Name: "packetization-mode", Value: "1"}}
			}
			list = append(list, codec, jingle.PayloadType{ID: v.rtx, Name: "rtx", ClockRate: 90000,
				Parameters: []jingle.Parameter{{Name: "apt", Value: aptOf[v.rtx]}}})
		}
	}
	return list
}

// Reads lists the codecs of video that a client has offered or taken, and that can be forwarded to it: in lower case, with commas
// between, as in codecList; "" without any.
func Reads(j *jingle.Jingle) string {
	var list []string
	for i := range j.Contents {
		d := j.Contents[i].Description
		if d == nil || d.Media != "video" || j.Contents[i].Senders == jingle.RejectedContent {
			continue
		}
		for _, name := range videoPreference {
			if low := strings.ToLower(name); find(d.PayloadTypes, name, 90000, forwardable) != nil && !slices.Contains(list, low) {
				list = append(list, low)
			}
		}
	}
	return strings.Join(list, ",")
}
