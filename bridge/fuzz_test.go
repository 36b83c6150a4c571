package bridge

import (
	"encoding/binary"
	"testing"
	"time"

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
	sr := rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: 2000, Timestamp: 3000}, nil)
	f.Add(append([]byte{0, byte(len(sr))}, sr...))
	f.Fuzz(func(t *testing.T, data []byte) {
		w := newWorld(t)
		w.join("a", nil, audioSource("a-a0", 1000), videoSource("a-v0", 2000, 3))
		w.join("b", nil)
		w.join("c", nil)
		w.wants("b", 720)
		w.wants("c", 180)
		for n := 0; len(data) > 2; n++ {
			size := min(int(binary.BigEndian.Uint16(data)), len(data)-2)
			b := data[2 : 2+size]
			data = data[2+size:]
			if rtp.Classify(b) == rtp.RTCP {
				w.control("a", b)
				w.control("b", b)
			} else {
				w.sendBytes("a", b)
			}
			if n%8 == 7 {
				w.pass(Period)
			}
		}
		w.pass(time.Second)
		for _, id := range []string{"b", "c"} {
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
