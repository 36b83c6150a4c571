// Package congestion estimates what the path from this bridge to one receiver can carry.
//
// GCC is of the kind of Google Congestion Control (draft-ietf-rmcat-gcc-02), all of it at the sender: the receiver only says when
// each packet came (transport-wide feedback, draft-holmer-rmcat-transport-wide-cc-extensions-01). What differs in the delays of
// groups of packets tells that a queue grows; the rate is then cut to a part of what was acknowledged, and rises again while no
// queue grows. Loss bounds the rate when it grows with the rate, and only then. Probes, short clusters of packets that are sent
// faster than the rate, find room that nothing else would find while the bridge has less to send than the path could carry.
//
// The owner tells Sent of each packet that leaves, Report of each feedback, calls Tick with each tick of its pacer, and Demand when
// what it would like to send changes. While State names a Probe, it sends at that rate and marks all packets with its ID. Towards
// receivers without transport-wide feedback there is Plain, which knows loss and the receiver's own estimate (REMB) only.
//
// Beyond that draft, a cut is followed by an emptying of a long queue. When the queue stays, it is of others who fill it, as
// TCP does, and for a while our cuts are gentle and the threshold of overuse stays as high as they made it.
//
// The package has no clock, goroutine, lock or I/O: times are given, as durations since an epoch of the caller, who also keeps
// two goroutines from one estimator. Rates hold all bytes on the way, IP and UDP headers included, of all sources of a
// transport, audio too.
package congestion
