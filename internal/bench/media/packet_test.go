package media

import (
	"testing"
	"time"

	"parley/bridge/rtp"
	"parley/bridge/rtp/codec"
)

// What the generator writes is read by the bridge's own parsers.
func TestPacketsAreWellFormed(t *testing.T) {
	tr, err := embedded("camera720")
	if err != nil {
		t.Fatal(err)
	}
	s := &source{trace: tr, video: true, height: 720, ssrc: 77, begins: true}
	memory := make([]byte, 2048)
	now := time.Now()
	asked := 0
	var before rtp.Packet
	var picture codec.VP8
	frames := 0
	for i := range 2*len(tr.packets) + 3 {
		want := tr.packets[i%len(tr.packets)]
		due := s.due()
		b := s.packet(memory, uint16(i), now.Add(time.Duration(i)), func() bool { asked++; return asked%50 == 1 })
		if len(b) != want.size-tag {
			t.Fatalf("packet %d has %d bytes, want %d", i, len(b), want.size-tag)
		}
		var p rtp.Packet
		if err := p.Parse(append([]byte(nil), b...)); err != nil {
			t.Fatal(err)
		}
		if n, ok := rtp.TransportSequence(p.Extension(idTransport)); !ok || n != uint16(i) {
			t.Errorf("packet %d has the transport-wide number %d", i, n)
		}
		if at, ok := stamped(p.Payload()); !ok || !at.Equal(now.Add(time.Duration(i))) {
			t.Errorf("packet %d is stamped %v", i, at)
		}
		var v codec.VP8
		if err := v.Parse(p.Payload()); err != nil {
			t.Fatal(err)
		}
		f := v.Frame(p.Marker())
		if f.Start {
			frames++
		}
		first := i == 0 || before.Marker()
		switch {
		case p.SSRC() != 77 || p.PayloadType() != payloadVideo || p.Marker() != want.marker:
			t.Errorf("packet %d: %x", i, b[:12])
		case f.Start != first:
			t.Errorf("packet %d: start of a frame %v, want %v", i, f.Start, first)
		case first && f.Key != (frames%50 == 1):
			t.Errorf("frame %d: key %v", frames, f.Key)
		case first && f.Key && (f.Width != 1280 || f.Height != 720):
			t.Errorf("frame %d: %d × %d", frames, f.Width, f.Height)
		case i > 0 && p.Sequence() != before.Sequence()+1:
			t.Errorf("packet %d follows %d as %d", i, before.Sequence(), p.Sequence())
		case i > 0 && first == (p.Timestamp() == before.Timestamp()):
			t.Errorf("packet %d: timestamp %d after %d", i, p.Timestamp(), before.Timestamp())
		case i > 0 && first && v.Picture != (picture.Picture+1)&0x7fff:
			t.Errorf("picture %d after %d", v.Picture, picture.Picture)
		case s.due() < due:
			t.Errorf("packet %d is due before the one before it", i+1)
		}
		before, picture = p, v
	}
	if asked != frames {
		t.Errorf("%d frames, asked %d times whether one is to be a key frame", frames, asked)
	}
}

func TestVoiceTellsItsLevel(t *testing.T) {
	tr, err := embedded("voice")
	if err != nil {
		t.Fatal(err)
	}
	s := &source{trace: tr, ssrc: 78, begins: true}
	var last uint32
	for i := range 20 {
		var p rtp.Packet
		if err := p.Parse(s.packet(make([]byte, 2048), uint16(i), time.Now(), nil)); err != nil {
			t.Fatal(err)
		}
		if level, _, ok := rtp.AudioLevel(p.Extension(idAudioLevel)); !ok || level != 30 || p.PayloadType() != payloadVoice {
			t.Errorf("level %d, %v, type %d", level, ok, p.PayloadType())
		}
		if i > 0 && (p.Timestamp()-last < 480 || p.Timestamp()-last > 1920) { // 10 to 40 ms
			t.Errorf("%d ticks", p.Timestamp()-last)
		}
		last = p.Timestamp()
	}
	if _, ok := stamped([]byte("short")); ok {
		t.Error("a stamp in five bytes")
	}
}

// The senders of a case begin at different times, within a repetition, each with the first packet of a frame.
func TestSendersBeginAtDifferentTimes(t *testing.T) {
	for _, c := range cases {
		if err := c.load(""); err != nil {
			t.Fatal(err)
		}
		const frame = time.Second / 30
		seen, ssrcs := make(map[time.Duration]bool), make(map[uint32]bool)
		for i := range c.Senders {
			list := c.sources(i)
			if want := map[bool]int{true: 2, false: 1}[c.Voice]; len(list) != want {
				t.Fatalf("%s: %d sources", c.Name, len(list))
			}
			for _, s := range list {
				if s.due() < 0 || s.due() > s.trace.period/4 {
					t.Errorf("%s: sender %d begins at %v", c.Name, i, s.due())
				}
				if ssrcs[s.ssrc] {
					t.Errorf("%s: SSRC %d twice", c.Name, s.ssrc)
				}
				ssrcs[s.ssrc] = true
			}
			if n := list[0].next; n > 0 && !list[0].trace.packets[n-1].marker {
				t.Errorf("%s: sender %d begins within a frame", c.Name, i)
			}
			seen[list[0].due()%frame/100/time.Microsecond] = true
		}
		if len(seen) != c.Senders {
			t.Errorf("%s: %d senders begin at %d places of a frame's time", c.Name, c.Senders, len(seen))
		}
	}
}
