// Package udp is the socket of the bridge: one UDP port for all endpoints, read and written in as few passes through the
// kernel as it offers, and the same for a peer that reaches the bridge over TCP (ICE-TCP, RFC 6544, framed by RFC 4571).
//
// In: the kernel joins datagrams of one sender (UDP GRO of Linux), one call takes several of these, and a Handler gets
// them one by one, with their source, arrival time and traffic class. The bytes are the reader's; who keeps a packet
// copies or decrypts it into a Buffer, which is counted by references.
//
// Out: a Writer collects the datagrams for one receiver. What has one size, and perhaps a shorter one at the end, leaves in
// one call that the kernel cuts into datagrams again (UDP GSO). When it leaves is decided by the Batch, the list of the
// writers that a goroutine has touched:
//
//	the sender's frame is complete (Commit says so)      as soon as the reader has handled what has arrived
//	a writer without a delay                             the same
//	a writer with a delay                                when its oldest datagram has waited so long
//	64 datagrams or 64 KiB are waiting                   at once
//	a goroutine that is no reader                        when it calls Batch.Done
//
// Nothing here waits for a receiver: what the kernel does not take at once is dropped and counted. Where the system has no
// GRO or GSO, datagrams come and go one by one, and all else stays the same.
//
// The package knows no RTP, STUN or DTLS, opens nothing but what it is asked to, and does not pace: who has a budget asks
// it before Reserve.
package udp
