// Package wire turns bytes into packets and packets into bytes.
//
// One strict scanner serves every transport (TCP, TLS, WebSocket), negotiation included. It splits a byte stream
// into top-level elements, refuses what RFC 6120 §11 refuses (comments, processing instructions, document type
// declarations, entities other than the five, malformed UTF-8, unbound or doubled names ...), bounds size, depth and
// counts before anything is decoded, and yields a Packet: head fields as slices of the input, the body untouched. A
// server never writes somebody else's payload anew; it writes a new start tag and copies the body.
//
// The package knows no sockets, no sessions and no clock. It implements RFC 6120 §4.8, §8.1 and §11, the addresses of
// RFC 7622, and the limits of XEP-0478.
package wire
