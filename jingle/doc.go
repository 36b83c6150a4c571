// Package jingle holds Jingle sessions as values and turns them into XML, into session descriptions (jingle/sdp), and
// back. It does no I/O, knows no clock and keeps no state: what the values mean for a call is the focus's business.
//
// It implements XEP-0166 (sessions, contents, actions, reasons), XEP-0167 (RTP descriptions, session information),
// XEP-0176 (ICE-UDP), XEP-0293 (RTCP feedback), XEP-0294 (header extensions), XEP-0320 (DTLS), XEP-0338 (groups), XEP-0339
// (sources), XEP-0343 (SCTP over DTLS), XEP-0353 (message initiation), the extensions of Jitsi's dialect (source names,
// owners, compact sources, bridge-session, web-socket, initial-last-n ...), and the mapping to SDP of RFC 8829, RFC 8839, RFC
// 8841, RFC 8843, RFC 8851, RFC 8853, RFC 5576, RFC 8285 and RFC 4585.
//
// All values read from a peer are bounded (Limits) and checked by one function (Jingle.Check), whichever door they came
// through, so that no value breaks out of the XML or SDP that it is written to. Errors for a peer are *wire.Error.
//
// # What gets lost
//
// From XML: unknown attributes; unknown children of payload types, sources, candidates and the like. Unknown children of
// jingle, content, description, transport and of XEP-0353 messages are kept as Extensions if they are self-contained.
//
// From XML to SDP: extensions, candidate ids, source owners, ZRTP hashes, SDES keys beside a fingerprint, TCP candidates without
// tcptype (RFC 6544 §4.5 wants one), packet times of single payload types, SCTP stream counts, the dialect's elements. Names of
// contents that are no tokens are an error.
//
// From SDP: the origin, msid-semantic, rtcp (the address for RTCP without multiplexing), rtcp-xr, bundle-only (such media get the
// transport of their bundle instead), default candidates, network-cost, directions of data media, attributes that this package does not
// know, and everything about formats that the m= line does not list.
//
// From SDP to XML: the ice-lite property.
package jingle
