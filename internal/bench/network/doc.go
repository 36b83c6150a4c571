// Package network measures how a server's media fare on bad networks: it starts the server, lets some members of a
// conference send pictures in three sizes and voice, puts the others behind emulated paths (internal/netem), changes these
// paths as the test cases of RFC 8867 §5 say, scaled to what comes down from a forwarding unit, and reads from the
// bottleneck and from the receivers what became of it. Several builds are measured in turn, so that what else happens on
// the machine hits all of them; medians are shown.
//
// Members are jitsipeer's. Without root each receiver has a UDP relay on loopback in place of the server's media address,
// and the members run in this process. With network namespaces (--tun) server and members are processes of their own, each
// in a network that ends at an emulated router; only then can TCP compete. Signalling and bridge channels go around the
// path in both, so that what is measured begins when everybody is there.
//
// The first receiver may be a Chromium on the server's own page (--chromium). Cameras send it grey pictures that can be decoded,
// of fewer pixels and as many bytes as usual; freezes and what was concealed of voice are then what the browser says.
//
// A released livekit-server can stand beside our builds (--binary NAME=livekit:PATH, with --tun): the same paths, the same media and
// the same figures, with members that are livekitpeer's. No test has one; that it can be measured is tried by hand.
//
// What the emulation itself did late is in the table, so that figures of a machine that was too busy say so; what it was late
// to take from its sockets is not in that.
package network
