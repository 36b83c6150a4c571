// Package netem emulates a network path in user space, for measurements and tests: a bottleneck with a rate that follows a
// schedule and a drop-tail queue, behind it a line with propagation delay, jitter, loss (random, in two states, in exact
// bursts), reordering and duplication. Several paths may share a bottleneck. Each path has its own random numbers from a
// seed, so that the same packets at the same times have the same fate.
//
// The core (Bottleneck, Path) knows no clock and no packets, only times and sizes: since a schedule is known beforehand,
// what becomes of a packet is known when it enters. Driver carries real packets by it in real time. There are two carriers:
// Relay stands between UDP sockets of loopback and needs no rights; Router is an IPv4 router between network namespaces of
// which each has a TUN device that ends here, works for any program, and takes Linux and root.
//
// It emulates no medium access, no cross traffic by itself and no queue other than drop-tail; of ECN it does the marking of
// L4S packets above a threshold (RFC 9331, RFC 9332 §2.5 without the coupled queue).
package netem
