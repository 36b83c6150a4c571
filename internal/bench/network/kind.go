package network

import (
	"context"
	"fmt"
	"strings"

	"parley/internal/netem"
	"parley/internal/peertest/jitsipeer"
)

// kind is a kind of server: how one is started, and how a member gets into a conference of its. The emulated paths, the media
// of the members and the figures are the same for all.
type kind interface {
	// start starts a program on a host of a router, or on loopback without one. Its data are in a folder of its own in dir. With
	// a rate above 0 it has a relay too, which lets each client have so much.
	start(ctx context.Context, binary, dir string, host *netem.Host, relay netem.Bitrate) (*server, error)
	// fits says what of the options, and of the faults that they choose, servers of this kind cannot be measured with.
	fits(o *Options, faults []Fault) error
	// join joins, in the network of this process.
	join(ctx context.Context, s memberSpec) (participant, error)
}

// kinds are those that can be measured, by the name that stands before the path of a build.
var kinds = map[string]kind{usualKind: parley{}, "livekit": livekit{}}

const usualKind = "parley"

// happened are events of a member, without those of others.
func happened(list *jitsipeer.Events) string {
	var b strings.Builder
	for _, e := range list.Since(0) {
		switch e.Kind {
		case jitsipeer.Offered, jitsipeer.Accepted, jitsipeer.Refused, jitsipeer.Connected, jitsipeer.Disconnected, jitsipeer.Terminated,
			jitsipeer.StreamBroken, jitsipeer.StreamEnded, jitsipeer.Lost:
			fmt.Fprintf(&b, "%s %s %s; ", e.At.Format("05.000"), e.Kind, e.Text)
		}
	}
	return b.String()
}

// participant is a member of a conference. Before it is told to show anything, it wants no pictures.
type participant interface {
	Media(ctx context.Context) error // waits until media can go
	Show(lastN int) error            // wants so many pictures in any size; -1: all
	Reset()                          // forgets what was received
	Sources() []string
	Received(source string) jitsipeer.Stats
	Transport() jitsipeer.Transport
	Blamed() []blame  // for media that suffer, as the server has told it so far
	Happened() string // to it, in short, where something went wrong
	Leave()
}
