// Package turn is the STUN and TURN server: RFC 8489 and RFC 8656 over UDP, TCP and TLS, with credentials that anyone who
// knows the shared secret can issue and that end by themselves (the REST scheme that coturn has).
//
// A message passes through four rooms. The door (datagram.go, stream.go) reads it from a socket that the caller has
// bound; package stun checks every length in it. The desk (request.go) authenticates it, applies the peer policy and the
// quotas, and answers strangers with no more than twice of what they sent. Allocate and Refresh go on to pion (pion.go), as
// requests that we have written anew: pion keeps five-tuples, lifetimes and retransmissions, and never sees a byte that
// came from a peer. Data goes from door to relay socket and back (relay.go) by permissions and channels that are ours
// (table.go), so that quotas, shaping and the end of an allocation are ours as well.
//
// The package offers UDP relays only: no TCP allocations (RFC 6062) and no mobility (RFC 8016). It knows no XMPP: a user
// is a string.
package turn
