// Package channel is the bridge channel: the JSON messages, each an object with a colibriClass, that an endpoint and
// the bridge exchange beside the media, over a WebSocket at /colibri-ws/{bridge}/{conference}/{endpoint}?pwd=SECRET or
// over an SCTP data channel.
//
// FromClient and FromServer decode a message to a value, one struct per class, and Append encodes it. The reader of
// JSON is ours and strict: RFC 8259 with the rules of RFC 7493 (UTF-8, no lone surrogates, no name twice in an object),
// at most MaxMessage bytes and MaxDepth levels. Nothing of what a client wrote is passed on as it was written: relayed
// fields are encoded again, and who sent a message is stamped from the connection, never believed.
//
// A Server hands out a Ticket for each endpoint and serves the WebSockets; a Data carries the same messages over a data
// channel. To the bridge both are a Conn, whose Send never blocks. What a message means for the media is not known here.
package channel
