package bridge

import (
	"slices"
	"testing"
	"time"

	"parley/bridge/api"
	"parley/bridge/channel"
)

// obedient is a camera that does what its client is told: at height 0 it rests, and when it is wanted again it begins with a key
// frame, a while later. Whose camera is off sends nothing, whatever it is told.
type obedient struct {
	camera
	name  string
	off   bool
	awake time.Time // since when it is wanted; zero: it rests
}

// wake is how long a client takes to start a camera that rests.
const wake = 200 * time.Millisecond

func (o *obedient) step(w *world) {
	told := w.conns[o.id].constraintsOf(o.name)
	if o.off || len(told) > 0 && told[len(told)-1] == 0 {
		o.awake = time.Time{}
		return
	}
	if o.awake.IsZero() {
		o.awake, o.frames = w.now, 0
	}
	if w.now.Sub(o.awake) >= wake {
		o.frame(o.frames == 0 || w.legs[o.id].plis(o.ssrc) > 0)
	}
}

// stage is a conference of members of the Jitsi dialect who watch nobody, and of one who takes one stream of each medium.
type stage struct {
	*world
	cameras []*obedient
	voices  []string
	seq     uint16
}

func newStage(t *testing.T, members ...string) *stage {
	s := &stage{world: newWorld(t), voices: members}
	for i, id := range members {
		ssrc := uint32(2000 + 1000*i)
		s.join(id, nil, audioSource(id+"-a0", uint32(id[0])), videoSource(id+"-v0", ssrc, 1))
		s.cameras = append(s.cameras, &obedient{camera: camera{w: s.world, id: id, ssrc: ssrc}, name: id + "-v0"})
	}
	s.join("r", caller("r"))
	for _, id := range members {
		s.wants(id, 0)
	}
	return s
}

// camera finds the camera of a member.
func (s *stage) camera(id string) *obedient {
	return s.cameras[slices.IndexFunc(s.cameras, func(o *obedient) bool { return o.id == id })]
}

// talk has one member speak, or nobody, for a time.
func (s *stage) talk(who string, d time.Duration) {
	for end := s.now.Add(d); s.now.Before(end); {
		s.seq++
		for _, id := range s.voices {
			level := 127
			if id == who {
				level = 20
			}
			s.send(id, in{ssrc: uint32(id[0]), seq: s.seq, timestamp: 960 * uint32(s.seq), payload: 111, level: level, body: []byte(id)})
		}
		for _, o := range s.cameras {
			o.step(s.world)
		}
		for _, id := range s.voices {
			s.legs[id].control = nil
		}
		s.pass(Period)
	}
}

// leave takes a member out.
func (s *stage) leave(id string) {
	s.wish.Endpoints = slices.DeleteFunc(slices.Clone(s.wish.Endpoints), func(e api.Endpoint) bool { return e.ID == id })
	s.apply()
	s.cameras = slices.DeleteFunc(s.cameras, func(o *obedient) bool { return o.id == id })
	s.voices = slices.DeleteFunc(slices.Clone(s.voices), func(v string) bool { return v == id })
}

// sees checks whose picture comes to the viewer now, "" for none, and which sources are to be sent.
func (s *stage) sees(step, source string, awake ...string) {
	s.t.Helper()
	before, shown := len(s.legs["r"].of(72)), ""
	s.talk(s.speaking(), 500*time.Millisecond)
	if v := s.bridge.Endpoint("c", "r").out.video; len(v) == 1 && v[0].source != nil && len(s.legs["r"].of(72))-before >= 20 {
		shown = v[0].source.name
	}
	if shown != source {
		s.t.Errorf("%s: the viewer sees %q, not %q", step, shown, source)
	}
	var told []string
	for _, o := range s.cameras {
		if h := s.conns[o.id].constraintsOf(o.name); len(h) > 0 && h[len(h)-1] != 0 {
			if told = append(told, o.name); h[len(h)-1] != singleHeight {
				s.t.Errorf("%s: %s is wanted in %d", step, o.name, h[len(h)-1])
			}
		}
	}
	if !slices.Equal(told, awake) {
		s.t.Errorf("%s: %q are wanted, not %q", step, told, awake)
	}
}

// speaking is who speaks while the viewer is asked.
func (s *stage) speaking() string {
	if r := s.bridge.Conference("c").speaker.recent; len(r) > 0 && slices.Contains(s.voices, r[0]) {
		return r[0]
	}
	return ""
}

// settles is how long it may take until the viewer sees who speaks: to be the dominant speaker, to be told, to start.
const settles = 1500 * time.Millisecond

// A camera that rests since nobody watches it is woken when its owner speaks, for somebody who sees one picture: that of who
// speaks; and it rests again when somebody else does.
func TestARestingCameraIsWokenByItsSpeaker(t *testing.T) {
	s := newStage(t, "a", "b", "d")
	s.talk("", 3*time.Second)
	s.sees("before anybody has spoken", "a-v0", "a-v0")
	for _, who := range []string{"b", "a", "d", "b", "a"} {
		s.talk(who, settles)
		s.sees(who+" speaks", who+"-v0", who+"-v0")
	}
	s.talk("", 5*time.Second)
	s.sees("silence", "a-v0", "a-v0")
	continuous(t, s.legs["r"].of(72))
}

// Whose camera is off without a word does not take the picture away from who spoke before; when it goes on it is seen at once.
func TestACameraThatIsOffIsWaitedFor(t *testing.T) {
	s := newStage(t, "a", "b", "d")
	s.talk("b", 2*time.Second)
	s.sees("b speaks", "b-v0", "b-v0")
	s.camera("a").off = true
	s.talk("a", 3*time.Second)
	s.sees("a speaks without camera", "b-v0", "a-v0", "b-v0")
	s.camera("a").off = false
	s.talk("a", settles)
	s.sees("a has one now", "a-v0", "a-v0")
	s.camera("a").off = true
	s.talk("a", 3*time.Second)
	s.sees("a has none again", "b-v0", "a-v0", "b-v0")
	s.talk("d", settles)
	s.sees("d speaks", "d-v0", "d-v0")
}

// Whose client says that its camera is off is not asked for anything; when it says that it is on it is.
func TestACameraThatIsSaidToBeOffIsNotWanted(t *testing.T) {
	s := newStage(t, "a", "b")
	a := s.bridge.Endpoint("c", "a")
	says := func(v channel.VideoType) {
		s.camera("a").off = v == channel.None
		a.Receive(channel.SourceVideoTypeMessage{SourceName: "a-v0", VideoType: v})
	}
	says(channel.None)
	s.talk("a", settles)
	s.sees("a speaks without camera", "b-v0", "b-v0")
	says(channel.Camera)
	s.talk("a", settles)
	s.sees("a has one now", "a-v0", "a-v0")
	says(channel.None)
	s.talk("a", settles)
	s.sees("a has none again", "b-v0", "b-v0")
}

// Members without cameras may speak as much as they like.
func TestWhoHasNoCameraTakesNoPicture(t *testing.T) {
	s := newStage(t, "a", "b")
	s.voices = append(s.voices, "m")
	s.join("m", nil, audioSource("m-a0", 'm'))
	s.wants("m", 0)
	s.talk("b", 2*time.Second)
	s.talk("m", settles)
	s.sees("m speaks", "b-v0", "b-v0")
	s.talk("a", settles)
	s.sees("a speaks", "a-v0", "a-v0")
	s.talk("m", settles)
	s.sees("m speaks again", "a-v0", "a-v0")
}

// When who speaks leaves, the one who spoke before is woken; when all have left nothing comes, and who comes back is seen.
func TestTheSpeakerLeaves(t *testing.T) {
	s := newStage(t, "a", "b", "d")
	s.talk("b", 2*time.Second)
	s.talk("a", 2*time.Second)
	s.sees("a speaks", "a-v0", "a-v0")
	s.leave("a")
	s.talk("", settles)
	s.sees("a has left", "b-v0", "b-v0")
	s.leave("b")
	s.talk("", settles)
	s.sees("b has left", "d-v0", "d-v0")
	s.leave("d")
	s.talk("", settles)
	s.sees("all have left", "")
}

// A screen that rests since nobody watches it is what somebody who sees one picture is shown; while it sends nothing, who speaks.
func TestARestingScreenIsWoken(t *testing.T) {
	s := newStage(t, "a", "b")
	screen := videoSource("b-v1", 7000, 1)
	screen.VideoType = api.Desktop
	s.talk("a", 2*time.Second)
	o := &obedient{camera: camera{w: s.world, id: "b", ssrc: 7000}, name: "b-v1", off: true}
	s.cameras = append(s.cameras, o)
	s.change("b", func(e *api.Endpoint) { e.Sources = append(slices.Clone(e.Sources), screen) })
	s.talk("a", settles)
	s.sees("nothing of the screen comes", "a-v0", "a-v0", "b-v1")
	o.off = false
	s.talk("a", settles)
	s.sees("the screen", "b-v1", "b-v1")
	s.talk("b", settles)
	s.sees("who shows it speaks", "b-v1", "b-v1")
	s.change("b", func(e *api.Endpoint) { e.Sources = e.Sources[:2] })
	s.cameras = s.cameras[:2]
	s.talk("b", settles)
	s.sees("no screen any more", "b-v0", "b-v0")
}

// Of a screen on which nothing moves browsers send a picture a second. It is not taken for one that is off meanwhile.
func TestAStillScreenStays(t *testing.T) {
	s := newStage(t, "a", "b")
	screen := videoSource("b-v1", 7000, 1)
	screen.VideoType = api.Desktop
	s.change("b", func(e *api.Endpoint) { e.Sources = append(slices.Clone(e.Sources), screen) })
	s.wants("b", singleHeight) // so that the camera of a does not rest
	s.talk("a", time.Second)
	slides, away := &camera{w: s.world, id: "b", ssrc: 7000}, 0
	for range 12 {
		slides.frame(slides.frames == 0)
		for end := s.now.Add(1100 * time.Millisecond); s.now.Before(end); {
			s.talk("a", Period)
			if v := s.bridge.Endpoint("c", "r").out.video; slides.frames > 1 && v[0].source.name != "b-v1" {
				away++
			}
		}
	}
	if away > 0 {
		t.Errorf("for %v the viewer sees something else", time.Duration(away)*Period)
	}
	s.talk("a", 4*time.Second)
	s.sees("nothing of it comes any more", "a-v0", "a-v0")
}
