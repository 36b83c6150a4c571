// Package media measures what a bridge uses for each packet that it forwards. It starts the bridge afresh for each
// measurement, brings endpoints into a conference over the bridge's own control connection, lets some of them send what a
// browser was recorded to send, or equal packets, counts what the others get, and reads the bridge's processor time from
// /proc. Several builds are measured in turn (A B, A B, A B), so that what else happens on the machine hits all of them;
// medians are shown.
//
// The kernel runs the receiving half of a datagram's way in the sender's context, on loopback and over a pair of veth
// alike: the bridge is charged for that too, and for the cutting of what it sends in one call, unless the receivers take
// it uncut (GRO). So would be any other server, measured like this.
package media
