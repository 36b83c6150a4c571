// Package stun reads and writes STUN messages (RFC 8489 §5) with the attributes that a TURN server meets (RFC 8656
// §18), and finds the borders of messages and of ChannelData in datagrams and streams (RFC 8656 §12.4, RFC 8489 §6.2.2).
//
// Reading is strict and comes before anything else: a message whose lengths, padding, attribute sizes or fingerprint are
// wrong is not a message. Nothing here allocates for each message, knows a socket or reads a clock.
package stun
