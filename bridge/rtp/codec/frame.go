// Package codec reads what the payload of a video packet says about its frame, and rewrites the numbers that must go on when
// the bridge switches between sources or drops frames: VP8 (RFC 7741), VP9 (RFC 9628), H264 (RFC 6184), AV1's aggregation
// header and its dependency descriptor (RTP Payload Format for AV1 v1.0, appendix A).
//
// Payloads are views: nothing is copied, nothing is allocated for a packet, and bytes that make no sense give an error, never a
// panic. The frame of such a packet is the zero Frame: unknown, and nothing to switch at (HB10). Pictures are not decoded.
package codec

import "errors"

// ErrInvalid is every failure to read a payload.
var ErrInvalid = errors.New("codec: payload descriptor is malformed")

// Frame is what one packet says about the frame that it is a part of, for all codecs. Frames of one picture that differ in
// their spatial layer are different frames.
type Frame struct {
	// Known says that the rest means something. A packet that is not Known must not be taken for a point to switch at.
	Known bool
	// Key says that the frame needs no earlier picture. Frames of higher spatial layers are Key too when they need no more than
	// the layer below in their own picture; so a receiver that has nothing starts at a Key frame of layer 0.
	Key bool
	// Start and End say that the packet is the first or the last of the frame. For H264 and for AV1 without dependency
	// descriptor a frame is all that has one timestamp.
	Start, End bool
	// Discardable says that no other frame needs this one. It is false where the codec does not tell.
	Discardable bool
	// SwitchUp says that frames of higher temporal layers that follow need nothing before this one but its own layer and lower
	// ones: a receiver that can decode it may be given more of them from here on (VP9, dependency descriptor).
	SwitchUp bool
	// Sync says that the frame needs the base layer only: a receiver may begin with this temporal layer here (VP8).
	Sync bool
	// Spatial and Temporal are the numbers of the layers, 0 when the codec does not tell.
	Spatial, Temporal uint8
	// Width and Height of the frame in pixels, 0 when unknown. Only some packets of key frames tell.
	Width, Height uint16
}
