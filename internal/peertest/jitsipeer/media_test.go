package jitsipeer

import (
	"reflect"
	"testing"
	"time"

	"parley/bridge/rtp/codec"

	"github.com/pion/rtp/codecs"
)

var allCodecs = []Codec{VP8, VP9, AV1, H264}

func testEncoder(c Codec) *encoder {
	e := &encoder{codec: c, heights: []int{720}, sizes: []int{1500}, active: 1, wanted: true, unit: 0x7ffd, number: 0xfffa, tl0: 0xfe}
	if c.layered() {
		e.heights, e.sizes, e.active = []int{184, 360, 720}, []int{300, 800, 2500}, 3
	}
	return e
}

// walk makes the packets of some temporal units, with a key frame in the middle of the pattern.
func walk(c Codec, units int, f func(p *picture, payload []byte)) {
	e := testEncoder(c)
	for n := range units {
		if n == 6 {
			e.wanted = true
		}
		list := e.next()
		for i := range list {
			p := &list[i]
			p.count, p.name = uint16(p.packets(c)), []byte("ann-v0")
			for index := range p.count {
				p.index = index
				e.packet++
				p.packet = e.packet
				f(p, p.stamp.append(p.appendPayload(nil, c)))
			}
		}
	}
}

// What the payloads say is what other implementations read from them: pion's for all codecs, the bridge's for sizes, layers
// and what begins anew.
func TestPayloadsAreWhatOthersRead(t *testing.T) {
	for _, c := range allCodecs {
		n := 0
		var deps codec.DependencySource
		walk(c, 12, func(p *picture, payload []byte) {
			n++
			switch c {
			case VP8:
				var d codecs.VP8Packet
				if _, err := d.Unmarshal(payload); err != nil {
					t.Fatal(err)
				}
				if d.PictureID != p.unit&0x7fff || d.TL0PICIDX != p.tl0 || d.TID != p.temporal || (d.S == 1) != (p.index == 0) {
					t.Errorf("%+v of %+v", d, p)
				}
				var own codec.VP8
				if err := own.Parse(payload); err != nil {
					t.Fatal(err)
				}
				if own.Frame(p.index == p.count-1).Key != (p.key && p.index == 0) || p.key && p.index == 0 && (own.Width != 1280 || own.Height != 720) {
					t.Errorf("%+v of %+v", own, p)
				}
			case VP9:
				var d codecs.VP9Packet
				if _, err := d.Unmarshal(payload); err != nil {
					t.Fatal(err)
				}
				if d.PictureID != p.unit&0x7fff || d.TL0PICIDX != p.tl0 || d.TID != p.temporal || d.SID != p.spatial || d.B != (p.index == 0) ||
					d.E != (p.index == p.count-1) || d.P == p.intra || d.D != (p.intra && p.spatial > 0) || d.V != (p.key && p.index == 0) {
					t.Errorf("%+v of %+v", d, p)
				}
				if d.V && (!reflect.DeepEqual(d.Height, []uint16{184, 360, 720}) || !reflect.DeepEqual(d.PGTID, []uint8{0, 2, 1, 2})) {
					t.Errorf("structure %+v", d)
				}
			case AV1:
				var d codec.AV1
				if err := d.Parse(payload); err != nil || d.Sequence != (p.key && p.index == 0) {
					t.Errorf("%+v %v", d, err)
				}
				dd, ok := readDescriptor(&deps, p, uint16(n))
				if !ok {
					t.Fatalf("descriptor %x is not read", p.appendDescriptor(nil))
				}
				back := 0
				if p.refs > 0 {
					back = int(p.frame - p.references[0])
				}
				if dd.Number != p.number || dd.Spatial != p.spatial || dd.Temporal != p.temporal || dd.Start != (p.index == 0) || dd.End != (p.index == p.count-1) ||
					dd.References != p.refs || back > 0 && int(dd.Fdiffs[0]) != back || dd.Key != p.intra {
					t.Errorf("%+v of %+v", dd, p)
				}
				if p.key && p.index == 0 && dd.Height == 0 {
					t.Error("no height")
				}
			case H264:
				var d codec.H264
				if err := d.Parse(payload); err != nil {
					t.Fatal(err)
				}
				if p.key && p.index == 0 && (d.Width != 1280 || d.Height != 720 || !d.SPS || !d.PPS) || p.key && p.index > 0 && !d.IDR && p.index == 1 {
					t.Errorf("%+v of %+v", d, p)
				}
			}
			var st stamp
			if _, ok := st.parse(payload); !ok || st.frame != p.frame || string(st.name) != "ann-v0" {
				t.Errorf("%s: stamp %+v", c, st)
			}
		})
		if n < 12 {
			t.Errorf("%d packets", n)
		}
	}
}

// Sizes that are no multiple of a macroblock are in the parameter set too.
func TestSPSHeights(t *testing.T) {
	for _, h := range []int{184, 360, 720, 1080} {
		payload := append([]byte{}, appendSPS(nil, h*16/9, h)...)
		var d codec.H264
		if err := d.Parse(payload); err != nil || int(d.Height) != h {
			t.Errorf("%d is read as %d: %v", h, d.Height, err)
		}
	}
}

// receiveAll feeds packets through what a receiver does, without those that drop names, and returns the statistics.
func receiveAll(c Codec, units int, drop func(p *picture) bool) Stats {
	s := &received{stats: Stats{Source: "ann-v0"}}
	var d descriptors
	at, seq := time.Unix(1, 0), uint32(1<<16)
	walk(c, units, func(p *picture, payload []byte) {
		if drop(p) {
			return
		}
		seq++
		var st stamp
		st.parse(payload)
		v := packetView{stamp: uint32(p.unit) * 4500, body: payload}
		if c == AV1 {
			v.descriptor = p.appendDescriptor(nil)
		}
		st.sent = int64(p.unit)
		at = at.Add(time.Millisecond)
		d.take(s, seq, c, &v, &st)
		s.take(&st, at, false)
	})
	s.expire(at.Add(2 * patience))
	return s.stats
}

func TestReceiverSeesWhatADecoderWould(t *testing.T) {
	nothing := func(*picture) bool { return false }
	for _, c := range allCodecs {
		s := receiveAll(c, 12, nothing)
		layers := uint64(1)
		if c.layered() {
			layers = 3
		}
		if s.Frames != 12*layers || s.KeyFrames != 2 || s.Broken+s.Incomplete+s.Faults+s.Missing > 0 || s.Height != 720 {
			t.Errorf("%s, all of it: %+v %s", c, s, s.Fault)
		}
		if c == H264 {
			continue
		}
		s = receiveAll(c, 12, func(p *picture) bool { return p.temporal == 2 })
		if s.Frames != 6*layers || s.Broken+s.Incomplete > 0 {
			t.Errorf("%s without the highest temporal layer: %d frames, %d broken", c, s.Frames, s.Broken)
		}
		s = receiveAll(c, 12, func(p *picture) bool { return p.temporal == 1 })
		if s.Broken == 0 {
			t.Errorf("%s without a layer that others need: %d frames, none broken", c, s.Frames)
		}
		if c.layered() {
			s = receiveAll(c, 12, func(p *picture) bool { return p.spatial == 2 })
			if s.Height != 360 || s.Broken+s.Incomplete > 0 {
				t.Errorf("%s without the highest spatial layer: %+v", c, s)
			}
			s = receiveAll(c, 12, func(p *picture) bool { return p.spatial == 1 && p.intra })
			if s.Broken == 0 {
				t.Errorf("%s without the frame that the highest layer began with: none broken", c)
			}
		}
	}
	s := receiveAll(VP8, 12, func(p *picture) bool { return p.unit == 0x7fff && p.index == 1 })
	if s.Incomplete == 0 || s.Missing == 0 {
		t.Errorf("a lost packet: %d frames incomplete, %d packets missing", s.Incomplete, s.Missing)
	}
	// A whole picture is left out and the numbers are not closed up. In VP9 that is how it is with higher temporal layers.
	highest := func(p *picture) bool { return p.position == 3 }
	if s := receiveAll(VP8, 12, highest); s.Faults == 0 {
		t.Error("VP8: a gap in the picture ids is not seen")
	}
	if s := receiveAll(VP9, 12, highest); s.Faults != 0 {
		t.Errorf("VP9: without pictures of the highest temporal layer: %s", s.Fault)
	}
	if s := receiveAll(VP9, 12, func(p *picture) bool { return p.position == 0 && !p.intra }); s.Faults == 0 {
		t.Error("VP9: a gap in the base layer is not seen")
	}
}

func TestDescriptorFaultsAreSeen(t *testing.T) {
	s := &received{}
	var d descriptors
	seq := uint32(1 << 16)
	walk(AV1, 5, func(p *picture, payload []byte) {
		seq++
		var st stamp
		st.parse(payload)
		v := packetView{stamp: uint32(p.unit), descriptor: p.appendDescriptor(nil)}
		if p.frame > 3 {
			v.descriptor[2]++ // another frame number
		}
		d.take(s, seq, AV1, &v, &st)
	})
	if s.stats.Faults == 0 {
		t.Error("a wrong frame number is not seen")
	}
}

func TestSequenceNumbersAcrossTheirEnd(t *testing.T) {
	i := &incoming{holes: make(map[uint32]hole)}
	at := time.Unix(1, 0)
	for _, step := range []struct {
		sequence      uint16
		fresh, newest bool
		holes         int
	}{{65533, true, true, 0}, {65534, true, true, 0}, {1, true, true, 2}, {65535, true, false, 1}, {65535, false, false, 1}, {0, true, false, 0}, {2, true, true, 0}} {
		if _, fresh, newest := i.number(step.sequence, at, false); fresh != step.fresh || newest != step.newest || len(i.holes) != step.holes {
			t.Errorf("%d: fresh %v, newest %v, %d holes", step.sequence, fresh, newest, len(i.holes))
		}
	}
}

func TestLatencyQuantiles(t *testing.T) {
	var l Latency
	for n := range 1000 {
		l.add(time.Duration(n) * 100 * time.Microsecond)
	}
	for _, q := range []struct{ q, ms float64 }{{0.5, 50}, {0.9, 90}, {0.99, 99}} {
		if got := float64(l.Quantile(q.q).Microseconds()) / 1000; got < q.ms*0.85 || got > q.ms*1.05 {
			t.Errorf("quantile %v is %v ms", q.q, got)
		}
	}
}

func FuzzStamp(f *testing.F) {
	for _, c := range allCodecs {
		walk(c, 7, func(p *picture, payload []byte) {
			if p.index == 0 {
				f.Add(payload)
			}
		})
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s, again stamp
		if _, ok := s.parse(b); !ok {
			return
		}
		if behind, ok := again.parse(s.append(nil)); !ok || len(behind) > 0 || !reflect.DeepEqual(s, again) {
			t.Errorf("%+v becomes %+v", s, again)
		}
	})
}

// Any packet of the bridge leaves a receiver standing.
func FuzzReceive(f *testing.F) {
	x := &session{extensions: extensions{level: 1, mid: 10, time: 3, tcc: 5, descriptor: 11}}
	for n, c := range allCodecs {
		walk(c, 7, func(p *picture, payload []byte) {
			h := header{payload: uint8(96 + n), sequence: uint16(p.packet), stamp: uint32(p.unit), ssrc: 7, mid: midVideo, hasTime: true}
			if c == AV1 {
				h.descriptor = p.appendDescriptor(nil)
			}
			f.Add(append(x.appendHeader(nil, &h, time.Unix(1, 0)), payload...))
		})
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x := &session{peer: &Peer{receiver: newReceiver()}, extensions: extensions{level: 1, mid: 10, time: 3, tcc: 5, descriptor: 11}}
		x.codecs[96], x.codecs[97], x.codecs[98], x.codecs[99], x.apt[100] = VP8, VP9, AV1, H264, 96
		x.peer.receiver.repairs[8] = 7
		at := time.Unix(1, 0)
		x.rtp(b, at)
		x.rtp(b, at)
		for _, s := range x.peer.receiver.sources {
			s.expire(at.Add(2 * patience))
		}
	})
}

func readDescriptor(s *codec.DependencySource, p *picture, sequence uint16) (*codec.Descriptor, bool) {
	var d codec.Descriptor
	err := s.Parse(p.appendDescriptor(nil), sequence, &d)
	return &d, err == nil
}

// BenchmarkReceive is what a packet costs a receiver behind SRTP.
func BenchmarkReceive(b *testing.B) {
	x := &session{peer: &Peer{receiver: newReceiver()}, extensions: extensions{level: 1, mid: 10, time: 3, tcc: 5, descriptor: 11}}
	x.codecs[96] = VP8
	var packets [][]byte
	walk(VP8, 256, func(p *picture, payload []byte) {
		h := header{payload: 96, sequence: uint16(p.packet), stamp: uint32(p.unit) * 4500, ssrc: 7, hasTime: true}
		packets = append(packets, append(x.appendHeader(nil, &h, time.Unix(1, 0)), payload...))
	})
	at := time.Unix(1, 0)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		at = at.Add(time.Millisecond)
		if i%len(packets) == 0 {
			x.peer.receiver.anew(1) // else all are duplicates
		}
		x.rtp(packets[i%len(packets)], at)
		if i%100 == 0 {
			x.peer.receiver.arrivals.BuildFeedbackPacket()
		}
	}
}
