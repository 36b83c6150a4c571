// Package stun reads and writes STUN messages (RFC 8489 §5) for the two that speak it: ICE (RFC 8445 §16) and the TURN
// server (RFC 8656 §18). It finds the borders of messages and of ChannelData in datagrams and streams (RFC 8656 §12.4,
// RFC 8489 §6.2.2), and makes and checks MESSAGE-INTEGRITY and FINGERPRINT.
//
// Reading is strict and comes before anything else: a message whose lengths, padding, attribute sizes or fingerprint are
// wrong is not a message. What an attribute means, and which ones must be understood, depends on who reads: see Usage.
// Nothing here allocates for each message, knows a socket or reads a clock. MESSAGE-INTEGRITY-SHA256 is
// offered to nobody and not known.
package stun
