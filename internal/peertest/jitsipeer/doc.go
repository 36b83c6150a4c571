// Package jitsipeer is a member of a Jitsi conference without a browser: it logs in by WebSocket, asks the focus for the
// conference, enters the room, answers the bridge's session, sends synthetic audio and video, and measures what it receives.
//
// It is made of pion's packages for ICE, DTLS, SRTP and SCTP, not of a PeerConnection: in this dialect sources come and go
// by signalling alone, so there is no SDP to negotiate, and a peer costs one goroutine for all of its media. Of our own code
// it shares the Jingle values and nothing of the bridge.
//
// The media are synthetic, but the RTP payload descriptors of VP8, VP9, AV1 and H264 are what browsers send, and every packet
// carries a stamp (frame, references, time; see stamp.go), so that a receiver knows what a decoder would: whether each frame
// is complete, whether what it was predicted from came, how long it took. A model of a jitter buffer and the rules of
// webrtc-stats make of that what a user hears and sees (Played, Shown), and what the receiver tells the bridge, and when, is
// what Chromium's tells, since estimates of the path are made of it. Nothing here needs package testing.
//
// An Endpoint is all of that without Jitsi's signalling, for members of other servers' conferences (package livekitpeer).
package jitsipeer
