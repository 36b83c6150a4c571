package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"parley/internal/peertest/jitsipeer"
)

// order is what a member is told to do. It answers each one.
type order struct {
	Do    string     // join, media, want, reset, report
	Spec  memberSpec // join
	LastN int        // want: how many pictures, -1 for all
}

// memberSpec says who joins.
type memberSpec struct {
	URL, Room, Domain, Nick string
	Loopback                bool
	Reach                   netip.AddrPort // of the bridge, in place of what it offers; zero: as it offers
	Camera                  *jitsipeer.Video
	Microphone              *jitsipeer.Audio
}

// answer is what a member says to an order.
type answer struct {
	Error  string `json:",omitempty"`
	Report report `json:",omitzero"`
}

// report is what a member has received since it was told to reset.
type report struct {
	Sources []received
	Nacked  uint64 // sequence numbers that it asked for again
	Begged  uint64 // requests for key frames
}

// received is one source of a report.
type received struct {
	Source    string
	Audio     bool
	Pictures  uint64  // that were shown
	Played    uint64  // frames of audio, with those from redundancy
	Recovered uint64  // of them, from redundancy
	Concealed uint64  // that nothing was there for
	Alive     float64 // s from the first picture to the last, without pauses of more than 5 s
	Freeze    float64 // share of the time that the picture stood still, pauses left out
	Freezes   uint64
	Height    int
	DelayP95  float64 // ms, from sender to receiver
}

// Member is a member of a conference that does what it reads, one order after the other, until there is no more to read: the
// rig starts members as processes of their own where each has a network of its own.
func Member(ctx context.Context, in io.Reader, out io.Writer) error {
	read, write := json.NewDecoder(in), json.NewEncoder(out)
	var m member
	defer m.leave()
	for {
		var o order
		if err := read.Decode(&o); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
				return nil
			}
			return err
		}
		a, err := m.do(ctx, o)
		if err != nil {
			a.Error = err.Error()
		}
		if err := write.Encode(a); err != nil {
			return err
		}
	}
}

type member struct {
	peer   *jitsipeer.Peer
	spec   memberSpec
	begged uint64 // before the reset
	nacked uint64
}

const joinTime = time.Minute

func (m *member) do(ctx context.Context, o order) (a answer, err error) {
	if m.peer == nil && o.Do != "join" {
		return a, errors.New("not there yet")
	}
	switch o.Do {
	case "join":
		return a, m.join(ctx, o.Spec)
	case "media":
		ctx, cancel := context.WithTimeout(ctx, joinTime)
		defer cancel()
		if err = m.peer.Media(ctx); err != nil {
			err = fmt.Errorf("%w; what happened: %s", err, m.happened())
		}
		return a, err
	case "want":
		return a, m.peer.Want(constraints(o.LastN))
	case "reset":
		t := m.peer.Transport()
		m.begged, m.nacked = t.PLIs, t.Nacked
		m.peer.Reset()
		return a, nil
	case "report":
		a.Report = m.report(time.Now())
		return a, nil
	}
	return a, fmt.Errorf("no order %q", o.Do)
}

// constraints ask for so many pictures in any size.
func constraints(lastN int) any {
	return map[string]any{"lastN": lastN, "assumedBandwidthBps": -1, "defaultConstraints": map[string]int{"maxHeight": 2160}}
}

func (m *member) join(ctx context.Context, s memberSpec) error {
	if m.peer != nil {
		return errors.New("is there already")
	}
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	p, err := jitsipeer.Join(ctx, jitsipeer.Options{URL: s.URL, Room: s.Room, Domain: s.Domain, Nick: s.Nick, Loopback: s.Loopback, Reach: s.Reach,
		Video: s.Camera, Audio: s.Microphone, Wanted: constraints(0), Rewriting: true, RED: true})
	if err != nil {
		return err
	}
	m.peer, m.spec = p, s
	return nil
}

func (m *member) report(now time.Time) (r report) {
	t := m.peer.Transport()
	r.Begged, r.Nacked = t.PLIs-m.begged, t.Nacked-m.nacked
	for _, name := range m.peer.Sources() {
		s := m.peer.Received(name)
		one := received{Source: name, Audio: strings.Contains(name, "-a"), Pictures: s.Shown.Frames,
			Played: s.Played.Frames + s.Played.Redundant + s.Played.FEC, Recovered: s.Played.Redundant + s.Played.FEC, Concealed: s.Played.Concealed,
			Freeze: s.Shown.FreezeRatio(now), Freezes: s.Shown.Freezes, Height: s.Height,
			DelayP95: float64(s.Latency.Quantile(0.95)) / float64(time.Millisecond)}
		if rate := s.Shown.FrameRate(); rate > 0 {
			one.Alive = float64(one.Pictures-1) / rate
		}
		r.Sources = append(r.Sources, one)
	}
	return r
}

// happened are the member's events in short, without those of others.
func (m *member) happened() string {
	var b strings.Builder
	for _, e := range m.peer.Events.Since(0) {
		switch e.Kind {
		case jitsipeer.Offered, jitsipeer.Accepted, jitsipeer.Refused, jitsipeer.Connected, jitsipeer.Disconnected, jitsipeer.Terminated, jitsipeer.StreamBroken, jitsipeer.Lost:
			fmt.Fprintf(&b, "%s %s %s; ", e.At.Format("05.000"), e.Kind, e.Text)
		}
	}
	return b.String()
}

func (m *member) leave() {
	if m.peer != nil {
		m.peer.Leave()
	}
}
