package bridge

import (
	"slices"
	"testing"
	"time"

	"parley/bridge/api"
	"parley/bridge/channel"
)

// speak sends 20 ms packets of the given levels; 0 sends nothing.
func speak(w *world, d time.Duration, seq *uint16, levels map[string]func(n int) int) {
	for n := range int(d / Period) {
		for id, level := range levels {
			if l := level(n); l != 0 {
				w.send(id, in{ssrc: uint32(id[0]), seq: *seq, timestamp: uint32(*seq) * 960, payload: 111, level: l, body: []byte("x")})
			}
		}
		*seq++
		w.pass(Period)
	}
}

func TestDominantSpeaker(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"a", "b", "c"} {
		w.join(id, nil, audioSource(id+"-a0", uint32(id[0])))
	}
	var seq uint16
	talk := func(n int) int { // syllables: 160 ms of voice, 40 ms of pause
		if n%10 >= 8 {
			return 75
		}
		return 25 + n%7
	}
	noise := func(int) int { return 90 }
	dominant := func() string {
		m, _ := last[channel.DominantSpeakerEndpointChangeEvent](w.conns["c"])
		return m.DominantSpeakerEndpoint
	}
	speak(w, 2*time.Second, &seq, map[string]func(int) int{"a": noise, "b": noise, "c": noise})
	if dominant() != "" {
		t.Errorf("%q is dominant in silence", dominant())
	}
	for start := range 10 {
		speak(w, time.Second, &seq, map[string]func(int) int{"b": func(n int) int {
			if n >= start && n < start+5 {
				return 1
			}
			return 90
		}})
		if dominant() != "" {
			t.Fatalf("a cough of 100 ms made %q dominant where nobody was", dominant())
		}
	}
	speak(w, time.Second, &seq, map[string]func(int) int{"a": talk, "b": noise, "c": noise})
	if dominant() != "a" {
		t.Fatalf("%q is dominant after a second of a", dominant())
	}
	cough := func(start int) func(int) int {
		return func(n int) int {
			if n >= start && n < start+5 {
				return 1
			}
			return 90
		}
	}
	for start := range 10 { // wherever it falls; a talks, and a is silent
		speak(w, time.Second, &seq, map[string]func(int) int{"a": talk, "b": cough(20 + start), "c": noise})
		speak(w, 1500*time.Millisecond, &seq, map[string]func(int) int{"a": noise, "b": cough(20 + start), "c": noise})
		if dominant() != "a" {
			t.Fatalf("a cough of 100 ms at %d made %q dominant", start, dominant())
		}
	}
	for range 5 { // a cough of 120 ms, the packets of which come 100 ms apart
		for range 6 {
			w.send("b", in{ssrc: 'b', seq: seq, timestamp: uint32(seq) * 960, payload: 111, level: 1, body: []byte("x")})
			seq++
			w.pass(100 * time.Millisecond)
		}
		speak(w, time.Second, &seq, map[string]func(int) int{"b": noise, "c": noise})
		if dominant() != "a" {
			t.Fatalf("a cough that was held up made %q dominant", dominant())
		}
	}
	speak(w, time.Second, &seq, map[string]func(int) int{"a": talk, "b": noise, "c": noise})
	speak(w, time.Second, &seq, map[string]func(int) int{"a": noise, "b": talk, "c": noise})
	if dominant() != "b" {
		t.Fatalf("%q is dominant after a second of b", dominant())
	}
	speak(w, 3*time.Second, &seq, map[string]func(int) int{"a": talk, "b": talk, "c": noise})
	if dominant() != "b" {
		t.Errorf("%q is dominant although b went on", dominant())
	}
	speak(w, time.Second, &seq, map[string]func(int) int{"c": talk})
	m, _ := last[channel.DominantSpeakerEndpointChangeEvent](w.conns["a"])
	if m.DominantSpeakerEndpoint != "c" || len(m.PreviousSpeakers) != 2 || m.PreviousSpeakers[0] != "b" || m.PreviousSpeakers[1] != "a" || m.Silence {
		t.Errorf("%+v", m)
	}
	w.pass(5 * time.Second)
	if m, _ := last[channel.DominantSpeakerEndpointChangeEvent](w.conns["a"]); !m.Silence {
		t.Error("no silence after 5 s of it")
	}
}

// A member of several transports speaks over any of them under its own name, and is heard no more when the last of them goes.
func TestSpeakerOfSeveralTransports(t *testing.T) {
	w := newWorld(t)
	part := func(e *api.Endpoint) { e.Member = "a" }
	w.join("a", nil, audioSource("a-a0", 'a'))
	w.join("a.2", part, audioSource("a-a1", 'b'))
	w.join("c", nil, audioSource("c-a0", 'c'))
	var seq uint16
	loud := func(int) int { return 20 }
	noise := func(int) int { return 90 }
	say := func(first, second, other func(int) int) {
		for n := range int(time.Second / Period) {
			for id, p := range map[string]in{"a": {ssrc: 'a', level: first(n)}, "a.2": {ssrc: 'b', level: second(n)}, "c": {ssrc: 'c', level: other(n)}} {
				if w.bridge.Endpoint("c", id) != nil {
					p.seq, p.timestamp, p.payload, p.body = seq, uint32(seq)*960, 111, []byte("x")
					w.send(id, p)
				}
			}
			seq++
			w.pass(Period)
		}
	}
	heard := func() channel.DominantSpeakerEndpointChangeEvent {
		m, _ := last[channel.DominantSpeakerEndpointChangeEvent](w.conns["c"])
		return m
	}
	say(noise, loud, noise)
	if m := heard(); m.DominantSpeakerEndpoint != "a" {
		t.Fatalf("%q speaks, not a over its second transport", m.DominantSpeakerEndpoint)
	}
	say(loud, noise, noise)
	if m := heard(); m.DominantSpeakerEndpoint != "a" || len(m.PreviousSpeakers) != 0 {
		t.Errorf("%+v, and it is a over its first", m)
	}
	leave := func(id string) {
		w.wish.Endpoints = slices.DeleteFunc(w.wish.Endpoints, func(e api.Endpoint) bool { return e.ID == id })
		w.apply()
	}
	leave("a")
	if m := heard(); m.DominantSpeakerEndpoint != "a" {
		t.Errorf("%+v, and a is still there", m)
	}
	leave("a.2")
	say(noise, noise, loud)
	if m := heard(); m.DominantSpeakerEndpoint != "c" || len(m.PreviousSpeakers) != 0 {
		t.Errorf("%+v, and a is gone", m)
	}
}
