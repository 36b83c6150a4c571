package rtp

import "testing"

func TestDatagramsAreToldApart(t *testing.T) {
	for _, c := range []struct {
		name, datagram string
		want           Kind
	}{
		{"binding request", "0001 0000 2112a442 000000000000000000000000", STUN},
		{"STUN without cookie", "0001 0000 00000000 000000000000000000000000", Other},
		{"STUN, cut", "0001 0000 2112a442 0000000000000000000000", Other},
		{"first byte 4", "0401 0000 2112a442 000000000000000000000000", Other},
		{"ZRTP", "1000 0000", ZRTP},
		{"ClientHello", "16 fefd 0000 000000000000 0000", DTLS},
		{"DTLS, cut", "16 fefd 0000 000000000000 00", Other},
		{"first byte 63", "3f fefd 0000 000000000000 0000", DTLS},
		{"ChannelData", "4000 0004 01020304", Channel},
		{"first byte 80", "5000 0004 01020304", Other},
		{"RTP", packets["plain"], RTP},
		{"RTP, cut", "8064 0102 03040506 070809", Other},
		{"RTP with marker and payload type 63", "80bf 0102 03040506 0708090a", RTP},
		{"RTP with marker and payload type 96", "80e0 0102 03040506 0708090a", RTP},
		{"receiver report", "80c9 0001 01020304", RTCP},
		{"lowest RTCP type", "80c0 0001 01020304", RTCP},
		{"highest RTCP type", "80df 0001 01020304", RTCP},
		{"RTCP, cut", "80c9 0000", Other},
		{"QUIC", "c001 0000 01020304", Other},
		{"nothing", "", Other},
		{"one byte", "80", Other},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Classify(unhex(t, c.datagram)); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	for _, c := range []struct {
		datagram string
		ssrc     uint32
		ok       bool
	}{{packets["plain"], 0x0708090a, true}, {"80c9 0001 01020304", 0x01020304, true}, {"4000 0004 01020304 01020304 01020304", 0, false}} {
		if ssrc, ok := SSRC(unhex(t, c.datagram)); ssrc != c.ssrc || ok != c.ok {
			t.Errorf("SSRC of %s: %x %v", c.datagram, ssrc, ok)
		}
	}
}

func FuzzClassify(f *testing.F) {
	f.Add([]byte{0x80, 0xc9, 0, 1, 1, 2, 3, 4})
	f.Add([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		kind := Classify(b)
		if _, ok := SSRC(b); ok != (kind == RTP || kind == RTCP) {
			t.Fatalf("%v has SSRC: %v", kind, ok)
		}
		var p Packet
		if kind != RTP && kind != RTCP && p.Parse(b) == nil {
			t.Fatalf("%v is an RTP packet", kind)
		}
		_ = kind.String()
	})
}
