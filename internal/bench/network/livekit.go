package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"parley/internal/netem"
	"parley/internal/peertest/livekitpeer"
)

// livekit is a released livekit-server, and members who join as its clients do. It is in no Debian package, so make test does not run it:
// that it starts and that its members meet is tried by hand.
type livekit struct{}

// Of a server that nobody else reaches.
const (
	livekitKey    = "bench"
	livekitSecret = "secret-of-at-least-32-characters"
)

// Where it listens, on a host of its own.
const (
	livekitPort      = 7880 // signalling
	livekitMediaPort = 7882
)

// livekitAgain is how long the server has for its members to leave, which it waits for when it is told to end the first time.
const livekitAgain = 3 * time.Second

// livekitConfiguration gives it the best that it has for bad networks: the newer estimate of the path, made of transport-wide
// feedback, and leave to pause pictures that do not fit.
const livekitConfiguration = `port: %d
bind_addresses:
  - 127.0.0.1
rtc:
  udp_port: %d
  tcp_port: 0
  node_ip: %s
  use_external_ip: false
  congestion_control:
    use_send_side_bwe: true
    allow_pause: true
keys:
  %s: %s
logging:
  level: warn
`

func (livekit) fits(o *Options, faults []Fault) error {
	switch {
	case !o.TUN:
		return errors.New("servers of LiveKit take --tun")
	case o.Codec != "VP8" || o.Chromium != "":
		return errors.New("servers of LiveKit take pictures of VP8, and no --chromium")
	case len(faults) > 0:
		return errors.New("faults are for builds of this program: LiveKit names no part of the way")
	}
	return nil
}

func (livekit) start(ctx context.Context, binary, dir string, host *netem.Host, _ netem.Bitrate) (*server, error) {
	s, err := newServer(dir)
	if err != nil {
		return nil, err
	}
	s.repairs = repairs{97: true, 99: true, 101: true} // of VP8 and VP9, in its offers
	s.again = livekitAgain
	s.signalling = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), livekitPort)
	s.media = netip.AddrPortFrom(host.Addr, livekitMediaPort)
	s.url = "ws://" + s.signalling.String()
	file := filepath.Join(s.data, "livekit.yaml")
	text := fmt.Appendf(nil, livekitConfiguration, livekitPort, livekitMediaPort, host.Addr, livekitKey, livekitSecret)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	listens := func() (bool, error) {
		c, err := host.Dial(ctx, s.signalling.String())
		if err != nil {
			return false, nil // not yet
		}
		return true, c.Close()
	}
	if err := s.run(ctx, host, listens, binary, "--config", file); err != nil {
		return nil, err
	}
	return s, nil
}

func (livekit) join(ctx context.Context, s memberSpec) (participant, error) {
	p, err := livekitpeer.Join(ctx, livekitpeer.Options{URL: s.URL, Room: s.Room, Name: s.Nick, Key: livekitKey, Secret: livekitSecret, Loopback: s.Loopback, Audio: s.Microphone, Video: s.Camera})
	if err != nil {
		return nil, err
	}
	return livekitMember{p}, nil
}

// livekitMember is a member in the manner of LiveKit's clients.
type livekitMember struct{ *livekitpeer.Member }

// Blamed is nothing: the server does not tell members whose media suffer, and where.
func (livekitMember) Blamed() []blame { return nil }

func (p livekitMember) Happened() string { return happened(p.Events) }
