package livekitpeer

import "parley/internal/peertest/jitsipeer"

// What a member says: numbers of fields of a SignalRequest.
const (
	sayOffer  = 1
	sayAnswer = 2
	sayTrack  = 4
	sayWishes = 7
	sayLeave  = 8
	sayPing   = 16
)

// Values of enumerations.
const (
	kindVideo        = 1
	sourceCamera     = 1
	sourceMicrophone = 2
	bestQuality      = 2
)

// description is an offer or an answer.
type description struct {
	sdp string
	id  uint64 // of the offer; its answer has the same
}

func (d description) append(b []byte, kind string) []byte {
	return appendUint(appendBytes(appendBytes(b, 1, kind), 2, d.sdp), 3, d.id)
}

// appendTrack announces a source that is about to be offered, a camera with its layers. The server takes the cid from the offer's msid.
func appendTrack(b []byte, s jitsipeer.Sent) []byte {
	b = appendBytes(appendBytes(b, 1, cid(s)), 2, s.Name)
	if s.Video == nil {
		b = appendUint(b, 7, 1) // it sends in silence too
		b = appendUint(b, 8, sourceMicrophone)
		return appendUint(b, 13, 1) // no RED
	}
	top := s.Video.Heights[len(s.Video.Heights)-1]
	b = appendUint(b, 3, kindVideo)
	b = appendUint(appendUint(b, 4, width(top)), 5, uint64(top))
	b = appendUint(b, 8, sourceCamera)
	for i, h := range s.Video.Heights {
		rate := s.Video.Sizes[i] * 8 * s.Video.FPS
		layer := appendUint(nil, 1, uint64(i)) // the quality
		layer = appendUint(appendUint(layer, 2, width(h)), 3, uint64(h))
		layer = appendUint(layer, 4, uint64(rate))
		layer = appendUint(layer, 6, uint64(i)) // spatial
		b = appendBytes(b, 9, appendBytes(layer, 7, s.Video.RIDs[i]))
	}
	return b
}

// cid is the client's own name of a source.
func cid(s jitsipeer.Sent) string { return "cid-" + s.Name }

func width(height int) uint64 { return uint64(height * 16 / 9) }

// appendWishes wants tracks in the best quality, or does not want them.
func appendWishes(b []byte, tracks []string, wanted bool) []byte {
	for _, id := range tracks {
		b = appendBytes(b, 1, id)
	}
	if !wanted {
		b = appendUint(b, 3, 1)
	}
	return appendUint(b, 4, bestQuality)
}
