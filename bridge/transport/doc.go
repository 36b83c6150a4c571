// Package transport carries the media of endpoints between the sockets and the conference: ICE, DTLS and SRTP (RFC 5764) of
// every endpoint behind one port of UDP and, for clients whose network has no UDP, of TCP (RFC 6544), and a data channel
// over SCTP (RFC 8831) where it was offered.
//
//	socket ─ Port ─┬─ STUN ──────────────────────────► ice.Server ─► the way of an Endpoint
//	               ├─ DTLS of a proven address ──────► the handshake of its Endpoint ─► keys
//	               ├─ RTP, RTCP of a proven address ─► decrypted ─► Receiver
//	               └─ all else, and all strangers ───► dropped and counted (hardening HB3)
//
//	conference ─ Endpoint.Reserve, Commit, RTCP ─► encrypted in place ─► udp.Writer
//
// Packets of media are handled by the goroutine that reads the socket, from the kernel to the Receiver and back to the
// writers of other endpoints: no goroutine, no memory and no clock for a packet. Goroutines exist for DTLS, and for SCTP
// where there is some.
//
// It knows nothing of sources, codecs and conferences: which SSRC belongs to whom and how many packets one may send is the
// Receiver's to decide. It offers host candidates only, and no DTLS 1.3 or renegotiation.
package transport
