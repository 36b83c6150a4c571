package livekitpeer

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"parley/internal/peertest/jitsipeer"
	"parley/jingle"
)

// What a member sends with: payload types, and ids of header extensions.
const (
	opusType = 111
	vp8Type  = 96
)

var (
	extensions = map[string]int{
		"urn:ietf:params:rtp-hdrext:ssrc-audio-level":                               1,
		"http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time":                2,
		"http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01": 3,
		"urn:ietf:params:rtp-hdrext:sdes:mid":                                       4,
		"urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id":                             5,
	}
	ofAudio = []int{1, 3, 4}
	ofVideo = []int{2, 3, 4, 5}
)

// sent is what the offer says, for the endpoint.
func sent() jitsipeer.Negotiated {
	return jitsipeer.Negotiated{Extensions: extensions, Opus: opusType, Video: map[jitsipeer.Codec]uint8{jitsipeer.VP8: vp8Type}}
}

// offer offers sources: a microphone of Opus, a camera of VP8 whose layers are streams with RIDs (RFC 8853).
func offer(name string, sources []jitsipeer.Sent, own *jingle.Transport) string {
	var l lines
	l.begin(1)
	l.add("a=msid-semantic: WMS *")
	var mids []string
	for _, s := range sources {
		mids = append(mids, s.MID)
	}
	l.add("a=group:BUNDLE %s", strings.Join(mids, " "))
	for _, s := range sources {
		kind, id, used := "audio", opusType, ofAudio
		if s.Video != nil {
			kind, id, used = "video", vp8Type, ofVideo
		}
		l.medium(kind, "UDP/TLS/RTP/SAVPF", []string{strconv.Itoa(id)}, own)
		l.add("a=rtcp:9 IN IP4 0.0.0.0")
		l.add("a=mid:%s", s.MID)
		l.add("a=sendonly")
		l.add("a=rtcp-mux")
		l.add("a=msid:stream-%s %s", name, cid(s))
		for _, uri := range slices.Sorted(maps.Keys(extensions)) {
			if n := extensions[uri]; slices.Contains(used, n) {
				l.add("a=extmap:%d %s", n, uri)
			}
		}
		if s.Video == nil {
			l.audio(name, s)
		} else {
			l.video(s)
		}
	}
	return l.String()
}

func (l *lines) audio(name string, s jitsipeer.Sent) {
	l.add("a=rtpmap:%d opus/48000/2", opusType)
	l.add("a=fmtp:%d minptime=10;useinbandfec=1", opusType)
	l.add("a=rtcp-fb:%d transport-cc", opusType)
	for _, ssrc := range s.SSRCs {
		l.add("a=ssrc:%d cname:%s", ssrc, name)
		l.add("a=ssrc:%d msid:stream-%s %s", ssrc, name, cid(s))
	}
}

func (l *lines) video(s jitsipeer.Sent) {
	l.add("a=rtpmap:%d VP8/90000", vp8Type)
	for _, feedback := range []string{"transport-cc", "ccm fir", "nack", "nack pli"} {
		l.add("a=rtcp-fb:%d %s", vp8Type, feedback)
	}
	rids := s.Video.RIDs[:len(s.SSRCs)]
	for _, rid := range rids {
		l.add("a=rid:%s send", rid)
	}
	l.add("a=simulcast:send %s", strings.Join(rids, ";"))
}
