package bridge

import (
	"testing"
	"time"

	"parley/bridge/api"
)

// The part of the way that is to blame is named within five seconds, and no other; when it is well again that is said too.
func TestTheGuiltyPartIsNamed(t *testing.T) {
	for name, tt := range map[string]struct {
		harm     func(w *world, n *narrow, m *mouth) // begins
		heal     func(w *world, n *narrow, m *mouth)
		endpoint string
		part     string
	}{
		"all is well": {func(*world, *narrow, *mouth) {}, func(*world, *narrow, *mouth) {}, "", ""},
		"the sender loses": {func(_ *world, _ *narrow, m *mouth) { m.lose = 10 },
			func(_ *world, _ *narrow, m *mouth) { m.lose = 0 }, "a", api.Uplink},
		"the sender's packets queue": {func(_ *world, _ *narrow, m *mouth) { m.hold = 15 },
			func(_ *world, _ *narrow, m *mouth) { m.hold = 0 }, "a", api.Uplink},
		"the receiver has little": {func(_ *world, n *narrow, _ *mouth) { n.rate = 400_000 },
			func(_ *world, n *narrow, _ *mouth) { n.rate = 8_000_000 }, "b", api.Downlink},
		"the receiver loses": {func(_ *world, n *narrow, _ *mouth) { n.lose = 12 },
			func(_ *world, n *narrow, _ *mouth) { n.lose = 0 }, "b", api.Downlink},
		"the bridge is slow": {func(_ *world, _ *narrow, m *mouth) { m.late = 120 * time.Millisecond },
			func(_ *world, _ *narrow, m *mouth) { m.late = 0 }, "b", api.Machine},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.join("a", nil, audioSource("a-a0", 1000), videoSource("a-v0", 2000, 3))
			w.join("b", nil)
			w.wants("b", -1)
			w.wants("a", -1)
			n := w.narrow("b", 8_000_000)
			m := &mouth{w: w, id: "a", ssrc: 1000}
			cam := w.camera3("a", 2000)
			live := func(d time.Duration) {
				for range int(d / (100 * time.Millisecond)) {
					m.speak(5)
					w.live(100*time.Millisecond, []*narrow{n}, cam)
				}
			}
			live(8 * time.Second)
			w.events = nil
			tt.harm(w, n, m)
			live(5 * time.Second)
			found := ""
			for _, e := range w.events {
				if q := e.Quality; q != nil && q.Part != "" {
					if q.Endpoint != tt.endpoint && tt.part != api.Machine || q.Part != tt.part {
						t.Errorf("%s of %s is blamed: %+v", q.Part, q.Endpoint, *q)
					}
					if q.Endpoint == tt.endpoint {
						found = q.Part
					}
				}
			}
			if found != tt.part {
				t.Errorf("blamed: %q, want %q", found, tt.part)
			}
			w.events = nil
			tt.heal(w, n, m)
			live(20 * time.Second)
			for _, e := range w.events {
				if q := e.Quality; q != nil && q.Endpoint == tt.endpoint {
					found = q.Part
				}
			}
			if found != "" {
				t.Errorf("in the end %q is blamed", found)
			}
		})
	}
}

// mouth sends audio, of which some is lost, or waits before some are sent together.
type mouth struct {
	w    *world
	id   string
	ssrc uint32
	seq  uint16
	n    int
	lose int // one in so many is lost
	hold int // so many wait for the last of them
	held []in
	late time.Duration // by which the bridge's next tick comes late
}

func (m *mouth) speak(n int) {
	m.w.bridge.lateness.last, m.w.bridge.lateness.at = m.w.now.Add(-Period-m.late), time.Time{}
	m.w.bridge.tick(m.w.now)
	for range n {
		m.n++
		m.seq++
		m.held = append(m.held, in{ssrc: m.ssrc, seq: m.seq, timestamp: 960 * uint32(m.seq), payload: 111, level: 30, body: make([]byte, 80)})
	}
	if len(m.held) < m.hold {
		return
	}
	for i, p := range m.held {
		if m.lose == 0 || i%m.lose != 0 {
			m.w.send(m.id, p)
		}
	}
	m.held = m.held[:0]
}
