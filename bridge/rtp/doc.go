// Package rtp reads, rewrites and builds RTP and RTCP as views of bytes: RFC 3550, header extensions of RFC 8285, RTX of
// RFC 4588, RED of RFC 2198, the feedback of RFC 4585 and RFC 5104, REMB and transport-wide congestion control
// (draft-holmer-rmcat-transport-wide-cc-extensions-01), and the demultiplexing of RFC 7983.
//
// Nothing here allocates for a packet, starts a goroutine, reads a clock or keeps a reference to the caller's bytes longer
// than the value that was made from them. Bytes are clear text: SRTP is taken off before and put on after. No type is safe
// for concurrent use. What may arrive is any bytes: a parser answers with one of the errors of this package and never panics.
//
// What a payload says about its frame is package codec's business.
package rtp

import "errors"

// Errors of the parsers. They are sentinels, so that a caller counts by kind and nothing is allocated for rubbish.
var (
	ErrShort     = errors.New("rtp: packet is too short")
	ErrVersion   = errors.New("rtp: version is not 2")
	ErrExtension = errors.New("rtp: header extension reaches beyond its end")
	ErrPadding   = errors.New("rtp: padding is empty or longer than the packet")
	ErrSpace     = errors.New("rtp: no room in the buffer")
	ErrRTX       = errors.New("rtp: retransmission without an original packet")
	ErrRED       = errors.New("rtp: redundant payload is malformed")
	ErrControl   = errors.New("rtp: RTCP packet is malformed")
)
