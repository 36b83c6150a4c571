package bridge

import (
	"testing"
	"time"

	"parley/bridge/api"
	"parley/bridge/channel"
	"parley/bridge/rtp"
	"parley/internal/peertest/words"
)

// bare has an endpoint without the extension that says how loud a packet is.
func bare(e *api.Endpoint) {
	e.Receive.Extensions = map[string]int{uriTransport: 5}
	e.Receive.Payloads = append([]api.Payload{{ID: 112, Name: "red", Clock: 48000}}, payloads...)
}

// talker sends a stream of Opus without levels, 20 ms each.
type talker struct {
	w       *world
	id      string
	seq     uint16
	payload uint8
	wrap    func([]byte) []byte
}

// say sends n packets, these in turn, as time goes on.
func (k *talker) say(packets [][]byte, n int) {
	for i := range n {
		body := packets[i%len(packets)]
		if k.wrap != nil {
			body = k.wrap(body)
		}
		k.seq++
		k.w.send(k.id, in{ssrc: uint32(k.id[0]), seq: k.seq, timestamp: uint32(k.seq) * words.Frame, payload: k.payload, body: body})
		k.w.pass(Period)
	}
}

func dominant(w *world, at string) string {
	m, _ := last[channel.DominantSpeakerEndpointChangeEvent](w.conns[at])
	return m.DominantSpeakerEndpoint
}

// Whoever speaks without saying how loud becomes the dominant speaker as the others do, by plain Opus and by RED, and is not while
// nothing, silence or noise is sent.
func TestSpeakerWithoutLevels(t *testing.T) {
	said, _ := words.Packets(t, "voice")
	silence := [][]byte{{0x78}} // as an encoder has it that pauses
	for name, c := range map[string]struct {
		payload uint8
		wrap    func([]byte) []byte
	}{
		"opus": {payload: 111},
		"red":  {112, func(b []byte) []byte { return append([]byte{111}, b...) }},
		"red with what was before": {112, func(b []byte) []byte {
			return rtp.AppendRED(nil, 111, 2*words.Frame, b, []rtp.Earlier{{Timestamp: words.Frame, Data: []byte{0x78, 1, 2, 3}}})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := w.join("a", bare, audioSource("a-a0", 'a'))
			w.join("b", nil, audioSource("b-a0", 'b'))
			w.join("c", nil)
			w.pass(Period)
			k := &talker{w: w, id: "a", payload: c.payload, wrap: c.wrap}
			k.say(silence, 100)
			if got := dominant(w, "c"); got != "" {
				t.Errorf("%q is dominant in silence", got)
			}
			k.say(said, 75)
			if got := dominant(w, "c"); got != "a" {
				t.Fatalf("%q is dominant after a second and a half of a", got)
			}
			var seq uint16
			speak(w, 2*time.Second, &seq, map[string]func(int) int{"b": func(n int) int { return 20 + n%7 }})
			if got := dominant(w, "c"); got != "b" {
				t.Fatalf("%q is dominant after two seconds of b", got)
			}
			k.say(said, 75)
			if got := dominant(w, "c"); got != "a" {
				t.Errorf("%q is dominant when a speaks again", got)
			}
			if n := a.Dropped(DropOpus) + a.Dropped(DropUnheard); n != 0 {
				t.Errorf("%d packets were not heard", n)
			}
			if n := len(w.legs["c"].of('a')); n != 250 {
				t.Errorf("%d packets were forwarded of 250", n)
			}
		})
	}
}

// What is no Opus is counted and forwarded, and makes nobody a speaker; who sends too much of it is listened to within the budget.
func TestListeningHasBounds(t *testing.T) {
	w := newWorld(t)
	a := w.join("a", bare, audioSource("a-a0", 'a'))
	w.join("c", nil)
	w.pass(Period)
	k := &talker{w: w, id: "a", payload: 111}
	k.say([][]byte{{0x7b, 0}, {0x7a, 9, 1}}, 100)
	if n := a.Dropped(DropOpus); n != 100 {
		t.Errorf("%d of 100 packets are found to be no Opus", n)
	}
	said, _ := words.Packets(t, "voice")
	for i := range 400 { // eight seconds of sound in one
		k.seq++
		w.send("a", in{ssrc: 'a', seq: k.seq, timestamp: uint32(k.seq) * words.Frame, payload: 111, body: said[i%len(said)]})
		w.now = w.now.Add(2500 * time.Microsecond)
		w.listen()
	}
	if n := a.Dropped(DropUnheard); n < 150 || n > 250 {
		t.Errorf("%d of 400 packets were not heard", n)
	}
	before := a.Dropped(DropUnheard)
	w.pass(3 * time.Second)
	for i := range soundWaiting + 7 { // nobody listens meanwhile: some find no room, and the endpoint's budget ends
		k.seq++
		w.send("a", in{ssrc: 'a', seq: k.seq, timestamp: uint32(k.seq) * words.Frame, payload: 111, body: said[i]})
	}
	if n := a.Dropped(DropUnheard) - before; n < 7 {
		t.Errorf("%d more packets were not heard", n)
	}
	large := append([]byte{0x78}, make([]byte, soundSize)...)
	w.listen()
	w.pass(3 * time.Second)
	before = a.Dropped(DropUnheard)
	k.say([][]byte{large}, 1)
	if n := a.Dropped(DropUnheard) - before; n != 1 {
		t.Errorf("%d large packets were not heard", n)
	}
	if n, want := len(w.legs["c"].of('a')), 100+400+soundWaiting+7+1; n != want {
		t.Errorf("%d packets were forwarded of %d", n, want)
	}
	if got := dominant(w, "c"); got != "" && got != "a" {
		t.Errorf("%q is dominant", got)
	}
}

// All endpoints together have a budget too.
func TestListeningOfABridgeHasABound(t *testing.T) {
	w := newWorld(t)
	l := &w.bridge.listener
	a := w.join("a", bare, audioSource("a-a0", 'a'))
	said, _ := words.Packets(t, "voice")
	for i := range 1000 { // twenty seconds of sound at once
		s := sound{endpoint: a, at: w.now, length: 20 * time.Millisecond, clock: 48000, step: words.Frame}
		s.size = copy(s.payload[:], said[i%len(said)])
		l.hear(&s)
	}
	if n := a.Dropped(DropUnheard); n < 490 || n > 510 {
		t.Errorf("%d of 1000 packets were not heard", n)
	}
}

// BenchmarkAudioIn measures one packet of audio on its way in, in front of one receiver: with a level, without one, and without one
// and beyond the budget. What listening itself costs is measured in bridge/loudness.
func BenchmarkAudioIn(b *testing.B) {
	said, _ := words.Packets(b, "voice")
	for _, c := range []struct {
		name   string
		level  int
		budget bool
	}{{"level", 20, false}, {"listened", 0, true}, {"unheard", 0, false}} {
		b.Run(c.name, func(b *testing.B) {
			w := newWorld(b)
			a := w.join("a", nil, audioSource("a-a0", 'a'))
			w.join("c", nil)
			w.pass(time.Second)
			w.legs["c"].forget = true
			raw := in{ssrc: 'a', payload: 111, level: c.level, body: said[20]}.bytes()
			b.ReportAllocs()
			for n := uint16(1); b.Loop(); n++ {
				raw[2], raw[3], raw[5], raw[6] = byte(n>>8), byte(n), byte(n>>6), byte(n<<2)
				buffer := w.pool.Copy(raw)
				w.now = w.now.Add(20 * time.Millisecond)
				w.batch.Now = w.now
				if !c.budget {
					a.in.sounds.Take(w.now, 2)
				}
				a.RTP(w.batch, buffer, w.now)
				buffer.Release()
				if l := &w.bridge.listener; len(l.waiting) > 0 {
					<-l.waiting
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/packet")
		})
	}
}
