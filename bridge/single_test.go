package bridge

import (
	"slices"
	"testing"
	"time"

	"parley/bridge/api"
	"parley/bridge/rtp"
)

// caller is the wish for somebody who takes one stream of each medium and signals no SSRCs.
func caller(id string) func(*api.Endpoint) {
	return func(e *api.Endpoint) {
		e.Answers = true
		e.Receive = api.Receive{Single: true, AudioSSRC: 71, VideoSSRC: 72,
			Payloads: []api.Payload{{ID: 96, Name: "opus", Clock: 48000}, {ID: 98, Name: "VP8", Clock: 90000}}}
		e.Sources = []api.Source{
			{Name: id + "-a0", Kind: api.Audio, Found: true, SSRCs: []uint32{81}},
			{Name: id + "-v0", Kind: api.Video, Found: true, VideoType: api.Camera, SSRCs: []uint32{82}},
		}
	}
}

// A caller hears and sees who speaks, as one stream of each medium that never breaks; whose camera is off does not take the
// picture from who shows one.
func TestCallerGetsWhoSpeaks(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, audioSource("a-a0", 'a'), videoSource("a-v0", 2000, 1))
	w.join("b", nil, audioSource("b-a0", 'b'), videoSource("b-v0", 3000, 1))
	w.join("m", nil, audioSource("m-a0", 'm'), videoSource("m-v0", 4000, 1)) // its camera is off
	w.join("r", caller("r"))
	cameras := map[string]*camera{"a": {w: w, id: "a", ssrc: 2000}, "b": {w: w, id: "b", ssrc: 3000}}
	var seqs [256]uint16
	talk := func(who string, d time.Duration) {
		for end := w.now.Add(d); w.now.Before(end); {
			for _, id := range []string{"a", "b", "m"} {
				level := 127
				if id == who {
					level = 20
				}
				seq := &seqs[id[0]]
				*seq++
				w.send(id, in{ssrc: uint32(id[0]), seq: *seq, timestamp: 960 * uint32(*seq), payload: 111, level: level, body: []byte(id)})
			}
			for id, c := range cameras {
				key := c.frames == 0 || w.legs[id].plis(0) > 0
				w.legs[id].control = nil
				c.frame(key)
			}
			w.pass(Period)
		}
	}
	last := func() string {
		p := w.legs["r"].of(71)
		if len(p) == 0 {
			return ""
		}
		return string(p[len(p)-1].Payload())
	}
	picture := func() uint32 { // the source of the video slot
		e := w.bridge.Endpoint("c", "r")
		if len(e.out.video) != 1 || e.out.video[0].source == nil {
			return 0
		}
		return e.out.video[0].source.ssrc
	}
	for _, step := range []struct {
		who     string
		picture uint32
	}{{"a", 2000}, {"b", 3000}, {"a", 2000}, {"m", 2000}} {
		talk(step.who, 3*time.Second)
		if last() != step.who {
			t.Errorf("while %s speaks the caller hears %q", step.who, last())
		}
		if picture() != step.picture {
			t.Errorf("while %s speaks the caller sees %d, not %d", step.who, picture(), step.picture)
		}
	}
	l := w.legs["r"]
	voice, video := l.of(71), l.of(72)
	if len(voice)+len(video) != len(l.packets) || len(voice) < 500 || len(video) < 700 {
		t.Fatalf("%d packets of audio, %d of video, %d in all", len(voice), len(video), len(l.packets))
	}
	continuous(t, voice)
	continuous(t, video)
	for _, p := range voice {
		if p.PayloadType() != 96 {
			t.Fatalf("audio has the payload type %d", p.PayloadType())
		}
	}
}

// The floor goes to who speaks as soon as nobody else does, before he is the dominant speaker.
func TestCallerHearsTheFirstWords(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, audioSource("a-a0", 'a'))
	w.join("b", nil, audioSource("b-a0", 'b'))
	w.join("r", caller("r"))
	var seq uint16
	w.pass(time.Second)
	speak(w, 2*time.Second, &seq, map[string]func(int) int{"a": func(int) int { return 20 }, "b": func(int) int { return 127 }})
	speak(w, time.Second, &seq, map[string]func(int) int{"a": func(int) int { return 127 }, "b": func(int) int { return 127 }})
	before := len(w.legs["r"].packets)
	speak(w, 400*time.Millisecond, &seq, map[string]func(int) int{"a": func(int) int { return 127 }, "b": func(int) int { return 20 }})
	if e := w.bridge.Endpoint("c", "r"); e.out.audio[0].source.name != "b-a0" {
		t.Errorf("after 400 ms the caller hears %s", e.out.audio[0].source.name)
	}
	if n := len(w.legs["r"].packets) - before; n < 15 {
		t.Errorf("%d packets in 400 ms", n)
	}
}

// What a caller sends without having signalled it is its source, under the SSRC that others were told; key frames and reports are
// asked for and given under the one that it has.
func TestSourcesAreFound(t *testing.T) {
	w := newWorld(t)
	x := w.join("r", caller("r"))
	w.join("a", nil)
	w.wants("a", 720)
	cam := &camera{w: w, id: "r", ssrc: 5555}
	shoot := func(n int) {
		for range n {
			cam.frameAs(98, cam.frames == 0)
			w.pass(Period)
		}
	}
	shoot(40)
	got := w.legs["a"].of(82)
	if len(got) < 60 {
		t.Fatalf("%d packets under the signalled SSRC of %d", len(got), len(w.legs["a"].packets))
	}
	continuous(t, got)
	w.legs["r"].control = nil
	w.control("a", rtp.AppendPLI(rtp.AppendReceiverReport(nil, 9, nil), 9, 82))
	w.pass(time.Second)
	if w.legs["r"].plis(5555) != 1 || w.legs["r"].plis(0) != 1 {
		t.Errorf("%d key frames are asked for under its SSRC, %d in all", w.legs["r"].plis(5555), w.legs["r"].plis(0))
	}
	reports := 0
	w.legs["r"].each(func(c *rtp.Control) {
		if c.Type == rtp.TypeReceiverReport && c.Count > 0 {
			reports++
		}
	})
	if reports == 0 {
		t.Error("no report about what it sends")
	}
	// Another SSRC beside the first is nobody's; when the first is silent it is the source.
	dropped := x.Dropped(DropSource)
	for n := range 10 {
		w.send("r", in{ssrc: 6666, seq: uint16(n), payload: 98, body: []byte{0x10, 1, 0, 0}})
		cam.frameAs(98, false)
		w.pass(100 * time.Millisecond)
	}
	if x.Dropped(DropSource)-dropped != 10 {
		t.Errorf("%d packets of another SSRC were dropped", x.Dropped(DropSource)-dropped)
	}
	before := len(w.legs["a"].of(82))
	cam = &camera{w: w, id: "r", ssrc: 7777, ts: 99, seq: 9000}
	for n := range 60 {
		cam.frameAs(98, n%10 == 0)
		w.pass(Period)
	}
	got = w.legs["a"].of(82)
	if len(got)-before < 40 {
		t.Errorf("%d packets after the client has taken another SSRC", len(got)-before)
	}
	continuous(t, got)
	// Retransmissions come under an SSRC that nobody has signalled either, of which one is remembered.
	w.change("r", func(e *api.Endpoint) {
		e.Receive.Payloads = append(slices.Clone(e.Receive.Payloads), api.Payload{ID: 99, Name: "rtx", Clock: 90000, Apt: 98})
	})
	before = len(w.legs["a"].of(82))
	for n := range 5 {
		lost := len(cam.sent)
		cam.skip = func(n int) bool { return n == lost }
		cam.frameAs(98, false)
		p := cam.sent[lost]
		p.ssrc, p.payload, p.seq, p.body = 8000+uint32(n), 99, uint16(n), append([]byte{byte(p.seq >> 8), byte(p.seq)}, p.body...)
		w.send("r", p)
		w.pass(Period)
	}
	if n := len(w.legs["a"].of(82)) - before; n != 10 {
		t.Errorf("%d of 10 packets, of which every second was sent again", n)
	}
	if n := len(x.in.table); n != 2 {
		t.Errorf("%d SSRCs are remembered", n)
	}
}

// A shared screen is what a caller sees, whoever speaks.
func TestCallerSeesTheScreen(t *testing.T) {
	w := newWorld(t)
	screen := videoSource("b-v1", 4000, 1)
	screen.VideoType = api.Desktop
	w.join("a", nil, videoSource("a-v0", 2000, 1))
	w.join("b", nil, videoSource("b-v0", 3000, 1), screen)
	r := w.join("r", caller("r"))
	cameras := []*camera{{w: w, id: "a", ssrc: 2000}, {w: w, id: "b", ssrc: 3000}, {w: w, id: "b", ssrc: 4000}}
	shoot := func(cameras ...*camera) {
		for range 200 {
			for _, c := range cameras {
				c.frame(c.frames == 0 || w.legs[c.id].plis(c.ssrc) > 0)
			}
			for _, id := range []string{"a", "b"} {
				w.legs[id].control = nil
			}
			w.pass(Period)
		}
	}
	for _, step := range []struct {
		cameras []*camera
		source  string
	}{{cameras[:2], "a-v0"}, {cameras, "b-v1"}, {cameras[:2], "a-v0"}} {
		shoot(step.cameras...)
		if got := r.out.video[0].source.name; got != step.source {
			t.Errorf("of %d pictures the caller sees %s", len(step.cameras), got)
		}
	}
	continuous(t, w.legs["r"].of(72))
}

// A member with a transport for each medium is one member: it gets nothing of its own, and others know its sources by its name.
func TestMemberOfSeveralTransports(t *testing.T) {
	w := newWorld(t)
	part := func(member string, kind string) func(*api.Endpoint) {
		return func(e *api.Endpoint) {
			caller(member)(e)
			e.Member = member
			if kind == api.Audio {
				e.Sources, e.Receive.Payloads = e.Sources[:1], e.Receive.Payloads[:1]
				e.Receive.VideoSSRC = e.Receive.AudioSSRC
			} else {
				e.Sources, e.Receive.Payloads = e.Sources[1:], e.Receive.Payloads[1:]
				e.Receive.AudioSSRC = e.Receive.VideoSSRC
			}
		}
	}
	w.join("r", part("r", api.Audio))
	w.join("r/video", part("r", api.Video))
	b := w.join("b", func(e *api.Endpoint) { e.Receive.Rewriting = true })
	w.wants("b", 720)
	defer func() { // what others send goes over the transport of its medium
		w.join("c", nil, audioSource("c-a0", 'c'), videoSource("c-v0", 3000, 1))
		w.pass(Period)
		other := &camera{w: w, id: "c", ssrc: 3000}
		for n := range 100 {
			w.send("c", in{ssrc: 'c', seq: uint16(n), timestamp: uint32(n) * 960, payload: 111, body: []byte("x")})
			other.frame(n == 0 || w.legs["c"].plis(0) > 0)
			w.legs["c"].control = nil
			w.pass(Period)
		}
		for id, ssrc := range map[string]uint32{"r": 71, "r/video": 72} {
			if l := w.legs[id]; len(l.packets) < 80 || len(l.of(ssrc)) != len(l.packets) {
				t.Errorf("%d packets to %s, %d of them of its medium", len(l.packets), id, len(l.of(ssrc)))
			}
		}
	}()
	var seq uint16
	cam := &camera{w: w, id: "r/video", ssrc: 5555}
	for range 100 {
		seq++
		w.send("r", in{ssrc: 'r', seq: seq, timestamp: uint32(seq) * 960, payload: 96, body: []byte("x")})
		cam.frameAs(98, cam.frames == 0 || w.legs["r/video"].plis(0) > 0)
		w.legs["r/video"].control = nil
		w.pass(Period)
	}
	if n := len(w.legs["r"].packets) + len(w.legs["r/video"].packets); n != 0 {
		t.Errorf("%d packets of its own", n)
	}
	for _, s := range append(b.out.audio, b.out.video...) {
		if m := s.mapping(); m.Owner != "r" {
			t.Errorf("%s is said to be of %s", m.Source, m.Owner)
		}
	}
	if len(b.out.audio) != 1 || len(b.out.video) != 1 || len(w.legs["b"].packets) < 150 {
		t.Errorf("%d voices, %d pictures, %d packets", len(b.out.audio), len(b.out.video), len(w.legs["b"].packets))
	}
}

// Sender reports of a stream that changes its source go by the bridge's clock and name one sender.
func TestReportsOfAStreamOfSeveralSources(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, audioSource("a-a0", 'a'))
	w.join("r", caller("r"))
	var seq uint16
	w.pass(Period)
	speak(w, time.Second, &seq, map[string]func(int) int{"a": func(int) int { return 20 }})
	w.legs["r"].control = nil
	w.control("a", rtp.AppendCNAME(rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: 'a', NTP: 1 << 40, Timestamp: uint32(seq) * 960, Packets: 1}, nil), 'a', "a"))
	voice := w.legs["r"].of(71)
	newest := voice[len(voice)-1].Timestamp()
	found := false
	w.legs["r"].each(func(c *rtp.Control) {
		if r, ok := c.SenderReport(); ok && c.Type == rtp.TypeSenderReport {
			found = true
			if r.SSRC != 71 || r.NTP != rtp.NTP(w.now) || r.Timestamp-newest > 4800 {
				t.Errorf("SSRC %d at %x with %d, the newest packet had %d", r.SSRC, r.NTP, r.Timestamp, newest)
			}
		}
	})
	if !found {
		t.Error("no sender report")
	}
}

// A receiver of a chosen source gets it whoever speaks, and nothing of others; of none it gets nothing. Its reports are by the
// clock of the source, so that voice and picture of one person fit together.
func TestChosenSourceIsAllThatIsSent(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, audioSource("a-a0", 'a'))
	w.join("b", nil, audioSource("b-a0", 'b'))
	listener := func(names ...string) func(*api.Endpoint) {
		return func(e *api.Endpoint) {
			e.Receive = api.Receive{Single: true, Chosen: true, Names: names, AudioSSRC: 71, VideoSSRC: 71, Payloads: []api.Payload{{ID: 96, Name: "opus", Clock: 48000}}}
		}
	}
	w.join("r", listener("a-a0"))
	w.join("n", listener())
	var seq uint16
	heard := func() string {
		var who []byte
		for _, p := range w.legs["r"].of(71) {
			if name := p.Payload()[0]; len(who) == 0 || who[len(who)-1] != name {
				who = append(who, name)
			}
		}
		return string(who)
	}
	talk := func(who string) {
		for range 100 {
			for _, id := range []string{"a", "b"} {
				level := 127
				if id == who {
					level = 20
				}
				w.send(id, in{ssrc: uint32(id[0]), seq: seq, timestamp: 960 * uint32(seq), payload: 111, level: level, body: []byte(id)})
			}
			seq++
			w.pass(20 * time.Millisecond)
		}
	}
	talk("a")
	talk("b")
	if heard() != "a" || len(w.legs["r"].packets) < 190 {
		t.Errorf("it hears %q in %d packets", heard(), len(w.legs["r"].packets))
	}
	w.change("r", listener("b-a0"))
	talk("a")
	if heard() != "ab" {
		t.Errorf("after the choice has changed it hears %q", heard())
	}
	w.change("r", listener())
	w.pass(time.Second)
	before := len(w.legs["r"].packets)
	talk("b")
	if n := len(w.legs["r"].packets) - before; n != 0 {
		t.Errorf("%d packets of nothing", n)
	}
	if n := len(w.legs["n"].packets); n != 0 {
		t.Errorf("%d packets to who has chosen nothing", n)
	}
	continuous(t, w.legs["r"].of(71))
}
