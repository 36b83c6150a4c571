// Package ice is the bridge's side of ICE: a full agent per endpoint (RFC 8445) behind the few sockets that all endpoints
// share. The bridge offers host candidates and learns its peers from their checks; candidates that a peer signals are
// taken too (RFC 8838), TCP in the passive role (RFC 6544), consent is kept fresh (RFC 7675), and a restart makes the new
// path before the old one breaks.
//
// There is no socket, goroutine or clock in here. Packets, signalling and time go in, with an [Out] that collects what
// has to be sent and what has happened:
//
//	server.Packet(path, bytes, now, &out)   a STUN message came
//	server.Tick(now, &out)                  time has passed
//	agent.SetRemote, AddRemote, Restart     signalling
//	server.Lookup(transport, from)          whose packet is it? once per packet of media: no lock, no memory
//
// Only an address that has answered a check of ours is found by Lookup: nothing else reaches DTLS or SRTP, and strangers
// get no answer at all.
//
// What it leaves out: gathering from STUN and TURN servers (the bridge has public addresses), names as candidates (they
// are never resolved), more than one component or stream, the lite mode of our own side, active TCP.
package ice
