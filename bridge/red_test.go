package bridge

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/bridge/rtp"
)

// TestREDIsStrippedForWhoHasNone: a receiver without RED gets the primary block as Opus, under the same numbers (RFC 2198 §3).
func TestREDIsStrippedForWhoHasNone(t *testing.T) {
	w := newWorld(t)
	w.join("a", withRED, audioSource("a-a0", 1000))
	w.join("b", nil)
	w.join("c", withRED)
	w.pass(Period)
	primary, before := []byte("the newest frame"), []byte("the one before")
	whole := append([]byte{0x80 | 111, 960 >> 6, byte(960&0x3f<<2) & 0xff, byte(len(before)), 111}, append(slices.Clone(before), primary...)...)
	seq := uint16(0)
	send := func(payload uint8, body []byte) {
		seq++
		w.send("a", in{ssrc: 1000, seq: seq, timestamp: 960 * uint32(seq), payload: payload, level: 30, body: body})
	}
	send(112, whole)
	send(112, append([]byte{111}, primary...)) // without redundancy
	send(111, primary)
	send(112, []byte{0x80 | 111, 0, 0, 200, 111, 1}) // malformed
	send(112, []byte{111})                           // an empty block
	send(112, append([]byte{100}, primary...))       // RED of something else
	send(112, whole)

	b, c := w.legs["b"].of(1000), w.legs["c"].of(1000)
	if len(b) != 4 || len(c) != 7 {
		t.Fatalf("%d packets without RED and %d with it", len(b), len(c))
	}
	for i, p := range b {
		if p.PayloadType() != 111 || !bytes.Equal(p.Payload(), primary) || !bytes.Equal(p.Extension(1), []byte{30}) {
			t.Errorf("packet %d: type %d, %q", i, p.PayloadType(), p.Payload())
		}
	}
	continuous(t, b)
	if c[0].PayloadType() != 112 || !bytes.Equal(c[0].Payload(), whole) || c[2].PayloadType() != 111 {
		t.Errorf("with RED: type %d, %q", c[0].PayloadType(), c[0].Payload())
	}
	if d := b[3].Timestamp() - b[0].Timestamp(); d != 6*960 {
		t.Errorf("timestamps %d apart", d)
	}
}

// Who loses audio, and can read RED, gets what was sent before once more: the more, the more is lost. It ends ten seconds after
// the loss.
func TestREDIsAddedForWhoLosesAudio(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, audioSource("a-a0", 1000))
	w.join("b", nil)
	w.join("c", withRED)
	w.join("d", withRED)
	w.pass(Period)
	seq := uint16(0)
	speak := func(n int) {
		for range n {
			seq++
			w.send("a", in{ssrc: 1000, seq: seq, timestamp: 960 * uint32(seq), payload: 111, level: 30, body: fmt.Appendf(nil, "frame %d", seq)})
			w.pass(Period)
		}
	}
	speak(5)
	var r rtp.RED
	for _, step := range []struct {
		fraction uint8
		wait     time.Duration
		blocks   int
	}{{0, 0, 1}, {4, 0, 1}, {13, 0, 2}, {26, 0, 3}, {51, 0, 4}, {0, 5 * time.Second, 4}, {0, 6 * time.Second, 1}, {13, 0, 2}} {
		w.pass(step.wait)
		for _, id := range []string{"b", "c"} {
			w.control(id, rtp.AppendReceiverReport(nil, 9, []rtp.ReportBlock{{SSRC: 1000, Fraction: step.fraction}}))
		}
		for _, l := range w.legs {
			l.packets = nil
		}
		speak(3)
		for i, p := range w.legs["c"].of(1000) {
			blocks := 1
			if p.PayloadType() == 112 {
				if err := r.Parse(p.Payload()); err != nil {
					t.Fatal(err)
				}
				blocks = len(r.Blocks())
				for n, b := range r.Blocks() {
					back := uint16(blocks - 1 - n)
					if want := fmt.Sprint("frame ", seq-2+uint16(i)-back); string(b.Data) != want || b.Ago != back*960 {
						t.Errorf("block %d of %d: %q of %d ticks ago, want %q", n, blocks, b.Data, b.Ago, want)
					}
				}
			}
			if blocks != step.blocks {
				t.Errorf("packet %d at a loss of %d/256: %d blocks, want %d", i, step.fraction, blocks, step.blocks)
			}
		}
		for id, kind := range map[string]uint8{"b": 111, "d": 111} {
			for _, p := range w.legs[id].of(1000) {
				if p.PayloadType() != kind {
					t.Errorf("%s gets type %d", id, p.PayloadType())
				}
			}
		}
	}
	continuous(t, w.legs["c"].of(1000))
}
