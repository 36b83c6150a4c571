package bridge

import (
	"cmp"
	"strings"

	"parley/bridge/api"
	"parley/bridge/rtp"
)

// kind is a codec.
type kind uint8

const (
	unknown kind = iota
	opus
	red
	vp8
	vp9
	av1
	h264
	rtx
	tone // telephone-event
	kinds
)

var kindNames = map[string]kind{
	"opus": opus, "red": red, "vp8": vp8, "vp9": vp9, "av1": av1, "h264": h264, "rtx": rtx, "telephone-event": tone,
}

func (k kind) video() bool { return k >= vp8 && k <= h264 }

// dialect is what was negotiated with one endpoint, as tables for the path of packets. It does not change.
type dialect struct {
	kinds   [128]kind    // by payload type
	apt     [128]uint8   // of a payload type of rtx: that which it retransmits
	rtx     [128]uint8   // of a media payload type: its rtx; 0 is none
	padding uint8        // one of those, for padding before any media; 0 is none
	payload [kinds]uint8 // by codec; 0 is none
	clock   [128]uint32
	rewrite rtp.Rewriter

	rewriting, midDemux  bool
	single, chosen       bool
	audioSSRC, videoSSRC uint32
	repairSSRC           uint32
}

const (
	uriAudioLevel  = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
	uriOrientation = "urn:3gpp:video-orientation"
	uriDescriptor  = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
	uriSendTime    = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
	uriTransport   = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
	uriMID         = "urn:ietf:params:rtp-hdrext:sdes:mid"
)

func newDialect(r api.Receive) *dialect {
	d := &dialect{rewriting: r.Rewriting, midDemux: r.Rewriting && r.MidDemux, single: r.Single && !r.Rewriting, chosen: r.Chosen,
		audioSSRC: r.AudioSSRC, videoSSRC: r.VideoSSRC, repairSSRC: r.RepairSSRC}
	for _, p := range r.Payloads {
		if p.ID == 0 || p.ID > 127 || d.kinds[p.ID] != unknown {
			continue
		}
		k := kindNames[strings.ToLower(p.Name)]
		d.kinds[p.ID], d.clock[p.ID] = k, p.Clock
		switch {
		case k == rtx:
			if p.Apt != 0 && p.Apt < 128 {
				d.apt[p.ID] = p.Apt
				d.rtx[p.Apt] = p.ID
				d.padding = cmp.Or(d.padding, p.ID)
			}
		case d.payload[k] == 0:
			d.payload[k] = p.ID
		}
	}
	id := func(uri string) uint8 {
		if n := r.Extensions[uri]; n > 0 && n < 256 {
			return uint8(n)
		}
		return 0
	}
	d.rewrite = rtp.Rewriter{Mixed: r.Mixed, IDs: rtp.IDs{
		AudioLevel: id(uriAudioLevel), VideoOrientation: id(uriOrientation), DependencyDescriptor: id(uriDescriptor),
		AbsSendTime: id(uriSendTime), TransportCC: id(uriTransport), MID: id(uriMID),
	}}
	if !d.midDemux {
		d.rewrite.IDs.MID = 0
	}
	return d
}
