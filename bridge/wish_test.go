package bridge

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/bridge/api"
	"parley/bridge/channel"
)

// constraintsOf are the heights that a client was told of its sources, in order.
func (c *conn) constraintsOf(source string) (heights []int) {
	for _, m := range c.messages {
		if m, ok := m.(channel.SenderSourceConstraints); ok && m.SourceName == source {
			heights = append(heights, m.MaxHeight)
		}
	}
	return heights
}

// TestNobodyEncodesWhatNobodySees: a sender is told the greatest height that anybody wants, each time that it changes, and 0
// as soon as everybody has said that it is not wanted.
func TestNobodyEncodesWhatNobodySees(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, videoSource("a-v0", 2000, 3), videoSource("a-v1", 2100, 1))
	w.join("b", nil)
	w.join("c", nil)
	a := w.conns["a"]
	told := func(step string, v0, v1 []int) {
		t.Helper()
		w.pass(time.Second)
		if got := a.constraintsOf("a-v0"); !slices.Equal(got, v0) {
			t.Errorf("%s: the camera: %v, want %v", step, got, v0)
		}
		if got := a.constraintsOf("a-v1"); !slices.Equal(got, v1) {
			t.Errorf("%s: the screen: %v, want %v", step, got, v1)
		}
		a.messages = nil
	}
	wants := func(id string, lastN, v0, v1 int) {
		w.bridge.Endpoint("c", id).Receive(channel.ReceiverVideoConstraints{LastN: &lastN,
			Constraints: map[string]channel.VideoConstraints{"a-v0": {MaxHeight: v0, MaxFrameRate: -1}, "a-v1": {MaxHeight: v1, MaxFrameRate: -1}}})
	}
	told("before anybody has spoken", nil, nil)
	w.bridge.Endpoint("c", "a").Receive(channel.ReceiverVideoConstraints{})
	wants("b", -1, 180, 0)
	told("b has spoken", []int{180}, nil)
	wants("c", -1, 0, 0)
	told("all have spoken", nil, []int{0})
	wants("c", -1, 720, -1)
	told("c wants more", []int{720}, []int{-1})
	wants("c", -1, 720, -1)
	told("the same again", nil, nil)
	wants("c", 0, 720, -1)
	told("c has no room", []int{180}, []int{0})
	w.change("a", func(e *api.Endpoint) { e.MuteVideo = true })
	told("muted by a moderator", []int{0}, nil)
	w.change("a", func(e *api.Endpoint) { e.MuteVideo = false })
	told("not any more", []int{180}, nil)
	w.wish.Endpoints = slices.DeleteFunc(slices.Clone(w.wish.Endpoints), func(e api.Endpoint) bool { return e.ID == "b" })
	w.apply()
	told("b has left", []int{0}, nil)
	w.join("d", nil)
	told("d has not spoken", nil, nil)
	w.wants("d", 360)
	told("d wants all", []int{360}, []int{360})
}

// TestASourceIsWantedBeforeItIsKnown: a new source is not stopped for the moment until receivers have acknowledged it.
func TestASourceIsWantedBeforeItIsKnown(t *testing.T) {
	w := newWorld(t)
	source := videoSource("a-v0", 2000, 3)
	source.Since = 5
	w.join("a", nil, source)
	w.join("b", nil)
	w.wants("a", 360)
	w.wants("b", 360)
	w.pass(time.Second)
	w.change("b", func(e *api.Endpoint) { e.Receive.Known = 5 })
	w.pass(time.Second)
	if got := w.conns["a"].constraintsOf("a-v0"); !slices.Equal(got, []int{360}) {
		t.Errorf("%v", got)
	}
}

// TestWhatIsKnownStaysKnown: a focus that was killed before it wrote an acknowledgement down does not stop what it started.
func TestWhatIsKnownStaysKnown(t *testing.T) {
	w := newWorld(t)
	source := audioSource("a-a0", 1000)
	source.Since = 5
	w.join("a", nil, source)
	w.join("b", func(e *api.Endpoint) { e.Receive.Known = 4 })
	seq := uint16(0)
	hears := func(step string, want bool) {
		t.Helper()
		w.pass(time.Second)
		w.legs["b"].packets = nil
		seq++
		w.send("a", in{ssrc: 1000, seq: seq, timestamp: 960 * uint32(seq), payload: 111, level: 30, body: []byte("voice")})
		if got := len(w.legs["b"].of(1000)) == 1; got != want {
			t.Errorf("%s: hears %v", step, got)
		}
	}
	hears("not yet told", false)
	w.change("b", func(e *api.Endpoint) { e.Receive.Known = 5 })
	hears("acknowledged", true)
	w.change("b", func(e *api.Endpoint) { e.Receive.Known = 4 })
	hears("forgotten by the focus", true)
	w.change("b", func(e *api.Endpoint) { e.Session++ })
	hears("a new session", false)
}

// TestForwardedSourcesOnChangeOnly: a receiver is told what it gets when that is something else.
func TestForwardedSourcesOnChangeOnly(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, audioSource("a-a0", 1000), videoSource("a-v0", 2000, 1))
	w.join("b", nil)
	b := w.conns["b"]
	b.messages = nil
	told := func(step string, want ...string) {
		t.Helper()
		w.pass(time.Second)
		var got []string
		for _, m := range b.messages {
			if m, ok := m.(channel.ForwardedSources); ok {
				got = append(got, fmt.Sprint(m.Sources))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", step, got, want)
		}
		b.messages = nil
	}
	told("at first")
	w.wants("b", 360)
	told("one", "[a-v0]")
	w.wants("b", 180)
	told("of another size")
	w.join("c", nil, videoSource("c-v0", 3000, 1))
	told("one more", "[a-v0 c-v0]")
	w.change("c", func(e *api.Endpoint) { e.MuteAudio = true })
	told("muted audio")
	w.wants("b", 0)
	told("none", "[]")
}

// TestLateJoinersStartIsPaced: what is kept since the last key frames of ten sources goes to a late joiner over many ticks, in
// no larger bursts than one source's live media make, and nobody is asked for a key frame.
func TestLateJoinersStartIsPaced(t *testing.T) {
	w := newWorld(t)
	const sources = 10
	var cams []*camera
	for i := range sources {
		id := fmt.Sprintf("s%d", i)
		ssrc := uint32(1000 * (i + 1))
		w.join(id, nil, videoSource(id+"-v0", ssrc, 1))
		cams = append(cams, &camera{w: w, id: id, ssrc: ssrc, packets: 8})
	}
	for i := range 20 {
		for _, c := range cams {
			c.frame(i == 0)
		}
		w.pass(33 * time.Millisecond)
	}
	kept := 20 * 8 * sources
	for _, l := range w.legs {
		l.control = nil
	}
	w.join("late", nil)
	w.bridge.Endpoint("c", "late").Receive(channel.ReceiverVideoConstraints{})
	late := w.legs["late"]
	ticks, most := 0, 0
	for before := -1; len(late.packets) < kept && ticks < 200; ticks++ {
		before = len(late.packets)
		w.pass(Period)
		bytes := 0
		for _, p := range late.packets[before:] {
			bytes += len(p.Bytes())
		}
		most = max(most, bytes)
	}
	if len(late.packets) != kept || most > replayTick+2000 || ticks < 20 {
		t.Errorf("%d of %d packets in %d ticks, up to %d bytes in one", len(late.packets), kept, ticks, most)
	}
	asked := 0
	for _, l := range w.legs {
		asked += l.plis(0)
	}
	if asked != 0 {
		t.Errorf("%d key frames asked for", asked)
	}
	for _, c := range cams {
		continuous(t, late.of(c.ssrc))
	}
	t.Logf("%d packets in %d ticks, up to %d bytes in one", len(late.packets), ticks, most)
}

// TestWhoAnswersChecksIsThere: an endpoint that sends nothing, because it has nothing to send or talks to another directly, is
// not told to be gone while its transport lives.
func TestWhoAnswersChecksIsThere(t *testing.T) {
	w := newWorld(t)
	a := w.join("a", nil)
	w.join("b", nil)
	a.State(api.Connected, "")
	w.pass(time.Minute)
	if m, ok := last[channel.EndpointConnectivityStatusChangeEvent](w.conns["b"]); ok {
		t.Errorf("%+v of an endpoint that is connected", m)
	}
	a.State(api.Disconnected, "")
	w.pass(Period)
	if m, ok := last[channel.EndpointConnectivityStatusChangeEvent](w.conns["b"]); !ok || m.Active || m.Endpoint != "a" {
		t.Errorf("%+v of an endpoint that is not", m)
	}
	a.State(api.Connected, "")
	w.pass(Period)
	if m, _ := last[channel.EndpointConnectivityStatusChangeEvent](w.conns["b"]); !m.Active {
		t.Error("not active again")
	}
}
