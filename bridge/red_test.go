package bridge

import (
	"bytes"
	"slices"
	"testing"
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
