// Package congestion estimates what the path from this bridge to one receiver can carry.
//
// GCC is of the kind of Google Congestion Control (draft-ietf-rmcat-gcc-02), all of it at the sender: the receiver only says when
// each packet came (transport-wide feedback, draft-holmer-rmcat-transport-wide-cc-extensions-01). What differs in the delays of
// groups of packets tells that a queue grows; the rate is then cut to a part of what was acknowledged, and rises again while no
// queue grows. Loss bounds the rate when it grows with the rate, and only then. Probes, short clusters of packets that are sent
// faster than the rate, find room that nothing else would find while the bridge has less to send than the path could carry.
//
// The owner tells Sent of each packet that leaves, Report of each feedback, calls Tick with each tick of its pacer, and Demand when
// what it would like to send changes. While State names a Probe, it sends at that rate and marks all packets with its ID. A
// receiver without transport-wide feedback is not for this package: there is nothing to estimate from.
//
// Beyond that draft, a cut is small, and followed by an emptying of the queue, unless that is short. When the queue stays, twice,
// it is of others who fill it, as TCP does. Then for a while the rate is fought for by loss, as TCP does it, and now and then it is tried whether the queue is
// not ours after all.
//
// The package has no clock, goroutine, lock or I/O: times are given, as durations since an epoch of the caller, who also keeps
// two goroutines from one estimator. Rates hold all bytes on the way, IP and UDP headers included, of all sources of a
// transport, audio too.
package congestion
