// Package congestion estimates what the path from this bridge to one receiver can carry.
//
// GCC is of the kind of Google Congestion Control (draft-ietf-rmcat-gcc-02), all of it at the sender: the receiver only says when
// each packet came (transport-wide feedback, draft-holmer-rmcat-transport-wide-cc-extensions-01). What differs in the delays of
// groups of packets tells that a queue grows; the rate is then cut to a part of what was acknowledged, and rises again while no
// queue grows. Loss bounds the rate when it grows with the rate, and only then. Probes, short clusters of packets that are sent
// faster than the rate, find room that nothing else would find while the bridge has less to send than the path could carry.
//
// The package has no clock, goroutine, lock or I/O: times are given, as durations since an epoch of the caller, who also keeps
// two goroutines from one estimator. Rates hold all bytes on the way, IP and UDP headers included, of all sources of a
// transport, audio too.
package congestion
