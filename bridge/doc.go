// Package bridge forwards media between the endpoints of conferences: a selective forwarding unit (RFC 7667 §3.7) with the
// words of Jitsi Videobridge (endpoint, named source, layer, receiver constraint).
//
// What one endpoint sends is a source: one stream for audio, and for video one stream, or several of different size
// (simulcast), or one with layers inside (SVC). What a receiver gets is a slot: an SSRC towards it that the bridge points at a
// source. With SSRC rewriting, slots come from a pool and are announced over the bridge channel; without, there is one for
// each source, which has the SSRC that the receiver learned by signalling. All else is the same for both.
//
// The way of a packet: Endpoint.RTP finds the stream by SSRC, numbers it, keeps it for retransmission, describes its frame,
// and hands it to the slots that are pointed at its source; each slot decides whether its receiver gets it, gives it its place
// in the outgoing stream and writes it. Who receives is read from an atomic snapshot. Locks, in the order in which they may be
// held together: Conference.mu; ingress.mu of the sender; egress.mu of the receiver; stream.mu; keyframes.mu; those of the Leg.
//
// What is wished comes by Apply as a whole (package api); what is periodic is done by Conference.Tick, to which the time is
// passed. The bridge opens no socket: an endpoint gets its Leg from whoever opens transports, and calls of that are its input.
package bridge
