package jitsipeer

import (
	"encoding/binary"
	"testing"
)

// A decoder reads a frame up to its last partition; the stamp stands behind the first, where the search for it ends later.
func TestGreyPicturesAreFramesWithStamps(t *testing.T) {
	for _, height := range []int{88, 184, 360} {
		g, err := greyOf(height)
		if err != nil {
			t.Fatal(err)
		}
		e := encoder{codec: VP8, heights: []int{height}, sizes: []int{700}, fps: 25, grey: g}
		e.activate(1)
		for n := range 6 {
			p := &e.next()[0]
			p.count, p.name, p.sent = 1, []byte("a-v0"), 7
			b := p.stamp.append(p.appendPayload(nil, VP8))
			const descriptor = 6
			tag := uint32(b[descriptor]) | uint32(b[descriptor+1])<<8 | uint32(b[descriptor+2])<<16 // RFC 6386 §9.1
			if key := tag&1 == 0; key != (n == 0) || tag>>4&1 != 1 || int(tag>>5) >= len(g.key) {
				t.Errorf("%d, frame %d: tag %06x", height, n, tag)
			}
			if n == 0 && (string(b[descriptor+3:descriptor+6]) != "\x9d\x01\x2a" || int(binary.LittleEndian.Uint16(b[descriptor+8:])) != height) {
				t.Errorf("%d: %x", height, b[:16])
			}
			var st stamp
			if _, ok := st.parse(b); !ok || st.height != height || st.key != (n == 0) || string(st.name) != "a-v0" {
				t.Errorf("%d, frame %d: the stamp is %+v", height, n, st)
			}
		}
	}
}

func TestGreyPicturesAreOfSomeHeights(t *testing.T) {
	for name, c := range map[string]struct {
		v  Video
		ok bool
	}{
		"all":           {Video{Grey: true, Codec: VP8, Heights: []int{88, 184, 360}}, true},
		"not that one":  {Video{Grey: true, Codec: VP8, Heights: []int{88, 720}}, false},
		"another codec": {Video{Grey: true, Codec: AV1, Heights: []int{88}}, false},
		"no grey":       {Video{Codec: AV1, Heights: []int{720}}, true},
	} {
		if err := c.v.check(); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
