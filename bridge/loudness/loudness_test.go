package loudness

import (
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"parley/internal/peertest/words"
)

// Levels are those of the sound that another decoder makes of the packets, in each of the three ways that Opus has to encode; pauses
// are found to be pauses.
func TestLevelIsThatOfTheSound(t *testing.T) {
	for _, encoding := range []string{"voice", "narrow", "wide"} {
		t.Run(encoding, func(t *testing.T) {
			var m Meter
			packets, levels := words.Packets(t, encoding)
			sum, n := 0.0, 0
			for i, packet := range packets {
				p, err := Parse(packet)
				if err != nil || p.Length != 20*time.Millisecond || p.Silent {
					t.Fatalf("packet %d: %+v, %v", i, p, err)
				}
				got, err := m.Level(packet)
				if err != nil {
					t.Fatalf("packet %d: %v", i, err)
				}
				if i < 5 { // the decoder has not heard what was before
					continue
				}
				d := float64(int(got) - levels[i])
				if levels[i] > 60 {
					if got < 50 {
						t.Errorf("packet %d is a pause of -%d dBov, and found to be one of -%d", i, levels[i], got)
					}
					continue
				}
				sum, n = sum+max(d, -d), n+1
			}
			if mean := sum / float64(n); mean > 1 {
				t.Errorf("levels are wrong by %.1f dB on average", mean)
			} else {
				t.Logf("levels of %d packets are right within %.2f dB on average", n, mean)
			}
		})
	}
}

func TestHeadOfPackets(t *testing.T) {
	ms := time.Millisecond
	for _, c := range []struct {
		packet string
		want   Packet
		wrong  bool
	}{
		{packet: "", wrong: true},
		{packet: "78", want: Packet{20 * ms, true}},
		{packet: "7800", want: Packet{20 * ms, true}},
		{packet: "780000", want: Packet{20 * ms, false}},
		{packet: "08ffff", want: Packet{20 * ms, false}},
		{packet: "18ffff", want: Packet{60 * ms, false}},
		{packet: "80ffff", want: Packet{2500 * time.Microsecond, false}},
		{packet: "7901020304", want: Packet{40 * ms, false}},
		{packet: "79010203", wrong: true},
		{packet: "7a01020304", want: Packet{40 * ms, false}},
		{packet: "7a05020304", wrong: true},
		{packet: "7afc", wrong: true},
		{packet: "7b", wrong: true},
		{packet: "7b00", wrong: true},
		{packet: "7b03010203", want: Packet{60 * ms, true}},
		{packet: "7b06010203040506", want: Packet{120 * ms, true}},
		{packet: "7b07", wrong: true},                           // 140 ms
		{packet: "7b4104aabbccdd", want: Packet{20 * ms, true}}, // all of it is padding
		{packet: "7b4105aabbccdd", wrong: true},
		{packet: "7b4102aabbccdd", want: Packet{20 * ms, false}},
		{packet: "7b820301020304", want: Packet{40 * ms, false}},
		{packet: "7b8209010203", wrong: true},
		{packet: "7b41ff", wrong: true},
		{packet: "7b02010203", wrong: true}, // three bytes for two frames of one size
	} {
		b, err := hex.DecodeString(c.packet)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(b)
		if c.wrong != errors.Is(err, ErrOpus) || !c.wrong && got != c.want {
			t.Errorf("%s: %+v, %v", c.packet, got, err)
		}
	}
}

// What is no Opus has no level, and does not harm what comes after.
func TestGarbageCostsItsOwnLevel(t *testing.T) {
	var m Meter
	packets, levels := words.Packets(t, "voice")
	for i := range 20 {
		if _, err := m.Level(packets[i]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Level([]byte{0x7b, 0x00}); !errors.Is(err, ErrOpus) {
		t.Errorf("garbage has a level: %v", err)
	}
	for i := 20; i < 40; i++ {
		got, err := m.Level(packets[i])
		if err != nil {
			t.Fatal(err)
		}
		if d := int(got) - levels[i]; i > 25 && levels[i] < 60 && (d > 10 || d < -10) {
			t.Errorf("packet %d: -%d dBov, not -%d", i, got, levels[i])
		}
	}
}

// A decoder that panics is not asked again.
func TestPanicIsKept(t *testing.T) {
	var faulty faulty
	m := Meter{decoder: &faulty}
	packets, _ := words.Packets(t, "voice")
	for range 2 {
		if _, err := m.Level(packets[0]); !errors.Is(err, ErrOpus) {
			t.Fatalf("%v", err)
		}
	}
	if faulty.asked != 1 {
		t.Errorf("it is asked %d times", faulty.asked)
	}
	m.Reset()
}

type faulty struct{ asked int }

func (f *faulty) Decode([]byte, []float32) (int, error) { f.asked++; panic("a fault") }
func (f *faulty) Reset()                                {}

// FuzzLevel gives packets to a decoder one after the other: a first byte before each says how many are its own.
func FuzzLevel(f *testing.F) {
	for _, encoding := range []string{"voice", "narrow", "wide"} {
		packets, _ := words.Packets(f, encoding)
		var seed []byte
		for _, p := range packets[:3] {
			seed = append(append(seed, byte(len(p))), p...)
		}
		f.Add(seed)
	}
	f.Add([]byte{5, 0x7b, 0x41, 2, 0xaa, 0xbb, 1, 0x78})
	f.Fuzz(func(t *testing.T, data []byte) {
		var m Meter
		for n := 0; len(data) > 1 && n < 8; n++ {
			size := min(int(data[0]), len(data)-1)
			packet := data[1 : 1+size]
			data = data[1+size:]
			p, err := Parse(packet)
			if err != nil {
				continue
			}
			if p.Length <= 0 || p.Length > mostSound {
				t.Fatalf("%v of sound in %x", p.Length, packet)
			}
			level, err := m.decode(packet) // without the recovery of Level
			if err != nil && !errors.Is(err, ErrOpus) || level > silence {
				t.Fatalf("level %d, %v of %x", level, err, packet)
			}
		}
	})
}

// BenchmarkLevel measures a packet of 20 ms.
func BenchmarkLevel(b *testing.B) {
	for _, encoding := range []string{"voice", "narrow", "wide"} {
		b.Run(encoding, func(b *testing.B) {
			var m Meter
			packets, _ := words.Packets(b, encoding)
			if _, err := m.Level(packets[0]); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for i := 1; b.Loop(); i++ {
				if _, err := m.Level(packets[i%len(packets)]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/packet")
		})
	}
}
