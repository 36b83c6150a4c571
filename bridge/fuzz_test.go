package bridge

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"parley/bridge/api"
	"parley/bridge/channel"
	"parley/bridge/rtp"
)

// FuzzMedia gives any packets (each behind its length in two bytes) to a conference as those of one of its endpoints: nothing
// may panic, what goes out is well-formed (the leg of the tests checks it), and no sequence number goes out twice (HB9, HB10).
func FuzzMedia(f *testing.F) {
	for codec, payload := range map[string]uint8{"vp8": 100, "vp9": 101, "av1": 41, "h264": 107} {
		var all []byte
		for n, p := range captured(f, codec, payload)[:40] {
			p.ssrc, p.seq = 2000+p.ssrc, uint16(n)
			b := p.bytes()
			all = append(binary.BigEndian.AppendUint16(all, uint16(len(b))), b...)
			if n == 20 {
				p.ssrc, p.payload, p.body = 2010, p.payload-4, append([]byte{0, 5}, p.body...)
				b = p.bytes()
				all = append(binary.BigEndian.AppendUint16(all, uint16(len(b))), b...)
			}
		}
		f.Add(all)
	}
	var audio []byte
	for n, body := range [][]byte{{111, 1, 2, 3}, {0x80 | 111, 15, 0, 2, 111, 1, 2, 3, 4, 5}, {0x80 | 111, 15, 0, 200, 111}, {0x80}} {
		b := in{ssrc: 1000, seq: uint16(n), timestamp: 960 * uint32(n), payload: 112, level: 20, transport: n + 1, body: body}.bytes()
		audio = append(binary.BigEndian.AppendUint16(audio, uint16(len(b))), b...)
	}
	f.Add(audio)
	sr := rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: 2000, Timestamp: 3000}, nil)
	f.Add(append([]byte{0, byte(len(sr))}, sr...))
	f.Fuzz(func(t *testing.T, data []byte) {
		w := newWorld(t)
		w.join("a", withRED, audioSource("a-a0", 1000), videoSource("a-v0", 2000, 3))
		w.join("b", nil)
		w.join("c", withRED)
		d := w.join("d", func(e *api.Endpoint) {
			e.Receive.Rewriting, e.Receive.MidDemux, e.Receive.Mixed = true, true, false
			e.Receive.Payloads = payloads[:5] // no AV1, no H264
		})
		w.wants("b", 720)
		w.wants("c", 180)
		w.wants("d", 360)
		for n := 0; len(data) > 2; n++ {
			size := min(int(binary.BigEndian.Uint16(data)), len(data)-2)
			b := data[2 : 2+size]
			data = data[2+size:]
			if rtp.Classify(b) == rtp.RTCP {
				for _, id := range []string{"a", "b", "d"} {
					w.control(id, b)
				}
			} else {
				w.sendBytes("a", b)
			}
			if n%8 == 7 {
				for id, ssrc := range map[string]uint32{"b": 2000, "d": d.out.video[0].ssrc} { // whatever went out can be sent again
					if got := w.legs[id].of(ssrc); len(got) > 0 {
						w.control(id, rtp.AppendNACK(nil, 9, ssrc, []uint16{got[n%len(got)].Sequence()}))
					}
				}
				w.pass(Period)
			}
		}
		w.pass(time.Second)
		for _, id := range []string{"b", "c", "d"} {
			seen := make(map[[2]uint32]bool)
			for _, p := range w.legs[id].packets {
				k := [2]uint32{p.SSRC(), uint32(p.Sequence())}
				if seen[k] && len(w.legs[id].packets) < 1000 {
					t.Fatalf("%d of %d goes out twice", p.Sequence(), p.SSRC())
				}
				seen[k] = true
			}
		}
	})
}

// withRED is an endpoint that knows redundant audio.
func withRED(e *api.Endpoint) {
	e.Receive.Payloads = append(slices.Clone(payloads), api.Payload{ID: 112, Name: "red", Clock: 48000})
}

// FuzzMessages gives what a client may write on its channel, one message a line, to a conference: nothing may panic, what
// others are told is well-formed (the conn of the tests checks it), and what the sender is given fits its constraints (HB6).
func FuzzMessages(f *testing.F) {
	for _, seed := range []string{
		`{"colibriClass":"ReceiverVideoConstraints","lastN":1,"selectedSources":["a-v1"],"onStageSources":["b-v0"],"defaultConstraints":{"maxHeight":180},"constraints":{"a-v0":{"maxHeight":-1,"maxFrameRate":7.5}}}`,
		`{"colibriClass":"ReceiverVideoConstraints","lastN":0}` + "\n" + `{"colibriClass":"LastNChangedEvent","lastN":-1}`,
		`{"colibriClass":"ReceiverAudioSubscription","all":true,"exclude":["a-a0"]}`,
		`{"colibriClass":"ReceiverAudioSubscription","mode":"Include","list":["a-a0"]}`,
		`{"colibriClass":"SourceVideoTypeMessage","sourceName":"r-v0","videoType":"none"}` + "\n" + `{"colibriClass":"SourceVideoTypeMessage","sourceName":"r-v0","videoType":"desktop"}`,
		`{"colibriClass":"VideoTypeMessage","videoType":"camera"}`,
		`{"colibriClass":"EndpointMessage","to":"a","msgPayload":{"x":[1]}}` + "\n" + `{"colibriClass":"EndpointStats","bitrate":{"upload":1}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		w := newWorld(t)
		w.join("a", nil, audioSource("a-a0", 1000), videoSource("a-v0", 2000, 2), videoSource("a-v1", 2100, 1))
		w.join("b", nil, videoSource("b-v0", 3000, 1))
		r := w.join("r", func(e *api.Endpoint) { e.Receive.Rewriting = true }, videoSource("r-v0", 4000, 1))
		w.wants("a", 360)
		cams := []*camera{{w: w, id: "a", ssrc: 2000}, {w: w, id: "a", ssrc: 2100}, {w: w, id: "b", ssrc: 3000}, {w: w, id: "r", ssrc: 4000}}
		for line := range bytes.SplitSeq(text, []byte("\n")) {
			if m, err := channel.FromClient(line); err == nil {
				if stats, ok := m.(channel.EndpointStats); ok {
					stats.From = "r"
					m = stats
				}
				r.Receive(m)
			}
			w.send("a", in{ssrc: 1000, seq: uint16(len(w.legs["r"].packets)), payload: 111, body: []byte("x")})
			for _, c := range cams {
				c.frame(true)
			}
			w.pass(Period)
		}
		on := 0
		for _, s := range r.out.video {
			if s.want.on {
				on++
			}
		}
		if n := r.receive.lastN; n >= 0 && on > n {
			t.Fatalf("%d videos for lastN %d", on, n)
		}
	})
}
