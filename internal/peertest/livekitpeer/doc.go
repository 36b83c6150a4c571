// Package livekitpeer is a member of a room of a LiveKit server without a browser: it joins by WebSocket, sends synthetic audio
// and video or receives what others send, and measures that as package jitsipeer does, whose Endpoint has all of its media.
//
// The server's signalling are messages of Protocol Buffers, of which this package knows those few fields that it needs, by
// number (wire.go, request.go, response.go). There are two transports, one for each direction: a member offers on the first, the server offers
// on the second. A member here either sends or receives, and so it has one of them.
//
// The tests play the server with pion's PeerConnection. LiveKit itself is in no Debian package: the runner that uses this,
// parley bench network --binary NAME=livekit:PATH, is tried by hand.
package livekitpeer
