// Package sdp reads and writes the Session Description Protocol (RFC 8866) as lines: which fields stand where, in which
// order, and attributes as names and values. What an attribute means is the business of package jingle, which turns a
// description into contents and back.
//
// The reader is strict about the grammar and bounded in everything before memory is taken; nothing that it returns holds
// a line break or another control character, and the writer refuses to write one. Fields without a use in WebRTC (i, u,
// e, p, r, z, k, and the times of t) are checked, then dropped.
package sdp
