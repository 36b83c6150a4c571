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
	Kind                    string // of the server
	URL, Room, Domain, Nick string
	Loopback                bool
	Relayed                 bool           // over the server's relay alone
	Reach                   netip.AddrPort // of the bridge, in place of what it offers; zero: as it offers
	Camera                  *jitsipeer.Video
	Microphone              *jitsipeer.Audio
	Browser                 bool // it is one, and sends nothing
}

// answer is what a member says to an order.
type answer struct {
	Error  string `json:",omitempty"`
	Report report `json:",omitzero"`
}

// report is what a member has received since it was told to reset.
type report struct {
	Sources []received
	Nacked  uint64  // sequence numbers that it asked for again
	Begged  uint64  // requests for key frames
	Keyed   uint64  // key frames that were asked of it, of each size
	Blamed  []blame `json:",omitempty"` // since it joined
}

// blame is a part of the way of somebody's media that the server says is bad.
type blame struct {
	At         time.Time
	Nick, Part string // no part: media do not suffer any more
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
	KeyFrames uint64  // among the pictures
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
	peer   participant
	before jitsipeer.Transport // the reset
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
			err = fmt.Errorf("%w; what happened: %s", err, m.peer.Happened())
		}
		return a, err
	case "want":
		return a, m.peer.Show(o.LastN)
	case "reset":
		m.before = m.peer.Transport()
		m.peer.Reset()
		return a, nil
	case "report":
		a.Report = m.report(time.Now())
		return a, nil
	}
	return a, fmt.Errorf("no order %q", o.Do)
}

func (m *member) join(ctx context.Context, s memberSpec) error {
	if m.peer != nil {
		return errors.New("is there already")
	}
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	k := kinds[s.Kind]
	if k == nil {
		return fmt.Errorf("no servers of the kind %q", s.Kind)
	}
	p, err := k.join(ctx, s)
	if err != nil {
		return err
	}
	m.peer = p
	return nil
}

func (m *member) report(now time.Time) (r report) {
	t := m.peer.Transport()
	r.Begged, r.Nacked, r.Keyed = t.PLIs-m.before.PLIs, t.Nacked-m.before.Nacked, t.Keyed-m.before.Keyed
	r.Blamed = m.peer.Blamed()
	for _, name := range m.peer.Sources() {
		s := m.peer.Received(name)
		one := received{Source: name, Audio: strings.Contains(name, "-a"), Pictures: s.Shown.Frames,
			Played: s.Played.Frames + s.Played.Redundant + s.Played.FEC, Recovered: s.Played.Redundant + s.Played.FEC, Concealed: s.Played.Concealed,
			Freeze: s.Shown.FreezeRatio(now), Freezes: s.Shown.Freezes, Height: s.Height, KeyFrames: s.KeyFrames,
			DelayP95: float64(s.Latency.Quantile(0.95)) / float64(time.Millisecond)}
		if rate := s.Shown.FrameRate(); rate > 0 {
			one.Alive = float64(one.Pictures-1) / rate
		}
		r.Sources = append(r.Sources, one)
	}
	return r
}

func (m *member) leave() {
	if m.peer != nil {
		m.peer.Leave()
	}
}
