package rtp

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"
)

// controls are RTCP packets by hand, after the drawings of their RFCs.
var controls = map[string]string{
	"sender report": "81c8000c 01020304 dd3c1000 80000000 0000ea60 00000064 00002710" +
		"0a0b0c0d 40000010 00010002 00000003 10008000 00010000",
	"receiver report":       "81c90007 01020304 0a0b0c0d 01ffffff 00010002 00000003 00000000 00000000",
	"empty receiver report": "80c90001 01020304",
	"description":           "81ca0003 01020304 01026162 00000000",
	"two chunks":            "82ca0006 01020304 0101610202 6263 00 05060708 01000000 00000000",
	"four zeros":            "82ca0005 01020304 01026162 00000000 05060708 01016300",
	"goodbye":               "82cb0003 01020304 05060708 03627965",
	"NACK":                  "81cd0004 01020304 0a0b0c0d 00648001 fffe0003",
	"PLI":                   "81ce0002 01020304 0a0b0c0d",
	"FIR":                   "84ce0006 01020304 00000000 0a0b0c0d 07000000 0e0f1011 08000000",
	// draft-alvestrand-rmcat-remb-03 §2.2: 2 sources, exponent 6, mantissa 31,250: 2,000,000 bits/s
	"REMB": "8fce0006 01020304 00000000 52454d42 02187a12 0a0b0c0d 0e0f1011",
	// base 5, 7 packets, reference 6, run of 2 small, one-bit vector 10110..., padding
	"transport-cc": "8fcd0007 01020304 0a0b0c0d 00050007 00000603 2002 ac00 00 01 02 03 04 000000",
	// two-bit vector: small, large, none, large, none, none, none
	"transport-cc, large": "8fcd0006 01020304 0a0b0c0d fffe0007 ffffff00 d880 04 ff38 0190 00",
	"padded":              "a1ce0003 01020304 0a0b0c0d 00000004",
	"application":         "80cc0002 01020304 6e616d65",
}

// first is the first packet of a compound.
func first(t testing.TB, raw []byte) *Control {
	t.Helper()
	c, err := ParseCompound(raw)
	if err != nil {
		t.Fatalf("%x: %v", raw, err)
	}
	var p Control
	if !c.Next(&p) {
		t.Fatalf("%x holds nothing", raw)
	}
	return &p
}

func TestReportsAreRead(t *testing.T) {
	p := first(t, unhex(t, controls["sender report"]))
	sr, ok := p.SenderReport()
	if want := (SenderReport{0x01020304, 0xdd3c100080000000, 60000, 100, 10000}); !ok || sr != want {
		t.Errorf("got %+v %v", sr, ok)
	}
	block, ok := p.Report(0)
	if want := (ReportBlock{0x0a0b0c0d, 64, 16, 0x00010002, 3, 0x10008000, 0x10000}); !ok || block != want || p.Reports() != 1 {
		t.Errorf("got %+v %v", block, ok)
	}
	if _, ok := p.Report(1); ok {
		t.Error("a second block")
	}
	p = first(t, unhex(t, controls["receiver report"]))
	if block, _ := p.Report(0); block.Lost != -1 || block.Fraction != 1 {
		t.Errorf("lost %d of fraction %d", block.Lost, block.Fraction)
	}
	if ssrc, ok := p.Sender(); ssrc != 0x01020304 || !ok {
		t.Errorf("sender %x", ssrc)
	}
	if _, ok := p.SenderReport(); ok {
		t.Error("a receiver report is a sender report")
	}
}

func TestHB8CountsAreNotBelieved(t *testing.T) {
	for _, c := range []struct{ name, packet string }{
		{"31 reports in an empty one", "9fc90001 01020304"},
		{"sender report without sender's part", "81c80001 01020304"},
		{"31 goodbyes of one", "9fcb0001 01020304"},
		{"FIR without entries", "84ce0002 01020304 00000000"},
		{"NACK without pairs", "81cd0002 01020304 0a0b0c0d"},
		{"PLI without source", "81ce0001 01020304"},
		{"REMB without bitrate", "8fce0003 01020304 00000000 52454d42"},
		{"REMB of another name", "8fce0004 01020304 00000000 52454d43 02187a12"},
		{"31 chunks of none", "9fca0000"},
		{"item beyond the end", "81ca0002 01020304 01ff6162"},
		{"description cut", "81ca0001 01020304"},
		{"transport-cc of 0 packets", "8fcd0005 01020304 0a0b0c0d 00050000 00000603 20020000"},
		{"transport-cc of 65535 packets", "8fcd0009 01020304 0a0b0c0d 0005ffff 00000603 1fff1fff 1fff1fff 1fff1fff 1fff1fff 1fff1fff"},
		{"transport-cc without deltas", "8fcd0005 01020304 0a0b0c0d 00050007 00000603 20070000"},
		{"transport-cc, one delta less", "8fcd0005 01020304 0a0b0c0d 00050003 00000603 20030000"},
		{"transport-cc without chunks", "8fcd0004 01020304 0a0b0c0d 00050007 00000603"},
		{"transport-cc, chunks end", "8fcd0005 01020304 0a0b0c0d 00050007 00000603 00020002"},
		{"transport-cc of empty runs", "8fcd0005 01020304 0a0b0c0d 00050007 00000603 00000000"},
		{"transport-cc, reserved status in a run", "8fcd0005 01020304 0a0b0c0d 00050007 00000603 60070000"},
		{"transport-cc, reserved status in a vector", "8fcd0006 01020304 0a0b0c0d 00050007 00000603 f0000000 00000000"},
	} {
		t.Run("HB8 "+c.name, func(t *testing.T) {
			p := first(t, unhex(t, c.packet))
			nacks, items := p.Nacks(), p.Description()
			_, nacked := nacks.Next()
			_, described := items.Next()
			_, pli := p.PLI()
			_, remb := p.REMB()
			_, tcc := p.TransportCC()
			_, sr := p.SenderReport()
			n := p.Goodbyes()
			if c.name == "31 goodbyes of one" {
				n--
			}
			if p.Reports() != 0 || n != 0 || p.FIRs() != 0 || nacked || described || pli || remb || tcc || sr {
				t.Error("something was read")
			}
		})
	}
}

func TestHB8MalformedCompoundsAreRefused(t *testing.T) {
	good := controls["PLI"]
	for _, c := range []struct {
		name, compound string
		want           error
	}{
		{"nothing", "", ErrShort},
		{"three bytes", "80c900", ErrShort},
		{"length beyond the end", "80c90002 01020304", ErrControl},
		{"length of the second beyond the end", good + "80c90002 01020304", ErrControl},
		{"rest of two bytes", good + "80c9", ErrControl},
		{"version of the second", good + "00c90001 01020304", ErrVersion},
		{"padding of 0", "a0c90001 01020300", ErrPadding},
		{"padding longer than the packet", "a0c90001 01020305", ErrPadding},
		{"padding in a packet without body", "a0c90000", ErrPadding},
	} {
		t.Run("HB8 "+c.name, func(t *testing.T) {
			if _, err := ParseCompound(unhex(t, c.compound)); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestCompoundsAreWalkedOver(t *testing.T) {
	var all []byte
	want := []uint8{TypeSenderReport, TypeDescription, TypePayload, TypeTransport, TypeGoodbye}
	for _, name := range []string{"sender report", "description", "padded", "NACK", "goodbye"} {
		all = append(all, unhex(t, controls[name])...)
	}
	c, err := ParseCompound(all)
	if err != nil {
		t.Fatal(err)
	}
	var p Control
	var got []uint8
	for c.Next(&p) {
		got = append(got, p.Type)
		if media, ok := p.PLI(); ok && media != 0x0a0b0c0d {
			t.Errorf("PLI of %x", media)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestDescriptionsAndGoodbyesAreRead(t *testing.T) {
	items := first(t, unhex(t, controls["two chunks"])).Description()
	var got []Item
	for item, ok := items.Next(); ok; item, ok = items.Next() {
		got = append(got, item)
	}
	want := []Item{{0x01020304, 1, []byte("a")}, {0x01020304, 2, []byte("bc")}, {0x05060708, 1, []byte{}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	items, got = first(t, unhex(t, controls["four zeros"])).Description(), nil
	for item, ok := items.Next(); ok; item, ok = items.Next() {
		got = append(got, item)
	}
	if want := []Item{{0x01020304, 1, []byte("ab")}, {0x05060708, 1, []byte("c")}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	p := first(t, unhex(t, controls["goodbye"]))
	if ssrc, ok := p.Goodbye(1); p.Goodbyes() != 2 || ssrc != 0x05060708 || !ok {
		t.Errorf("goodbye of %x", ssrc)
	}
	if _, ok := p.Sender(); ok {
		t.Error("a goodbye has no sender apart from its sources")
	}
}

func sequences(p *Control) (all []uint16) {
	n := p.Nacks()
	for seq, ok := n.Next(); ok; seq, ok = n.Next() {
		all = append(all, seq)
	}
	return all
}

func TestFeedbackIsRead(t *testing.T) {
	p := first(t, unhex(t, controls["NACK"]))
	if got, want := sequences(p), []uint16{100, 101, 116, 65534, 65535, 0}; !slices.Equal(got, want) {
		t.Errorf("NACK of %v", got)
	}
	if sender, media, ok := p.Feedback(); sender != 0x01020304 || media != 0x0a0b0c0d || !ok {
		t.Errorf("feedback of %x about %x", sender, media)
	}
	p = first(t, unhex(t, controls["FIR"]))
	if media, number, ok := p.FIR(1); p.FIRs() != 2 || media != 0x0e0f1011 || number != 8 || !ok {
		t.Errorf("FIR %d of %x", number, media)
	}
	if _, ok := p.PLI(); ok {
		t.Error("a FIR is a PLI")
	}
	e, ok := first(t, unhex(t, controls["REMB"])).REMB()
	if ssrc, _ := e.SSRC(1); !ok || e.Bitrate != 2_000_000 || e.SSRCs() != 2 || ssrc != 0x0e0f1011 {
		t.Errorf("REMB %d for %d", e.Bitrate, e.SSRCs())
	}
}

func TestHB8AbsurdValuesAreClamped(t *testing.T) {
	t.Run("HB8 REMB", func(t *testing.T) {
		for word, want := range map[string]uint64{"00ffffff": maxBitrate, "00fc0000": 0, "00fc0001": maxBitrate, "00000001": 1, "01000001": 1, "00b40001": 1 << 45} {
			e, ok := first(t, unhex(t, "8fce0004 01020304 00000000 52454d42"+word)).REMB()
			if want = min(want, maxBitrate); !ok || e.Bitrate != want || e.SSRCs() != 0 {
				t.Errorf("%s: %d, %d sources", word, e.Bitrate, e.SSRCs())
			}
		}
	})
	t.Run("HB8 NACK of everything", func(t *testing.T) {
		raw := unhex(t, "81cd0000 01020304 0a0b0c0d")
		for range 300 {
			raw = append(raw, 0, 1, 0xff, 0xff)
		}
		raw[2], raw[3] = byte((len(raw)/4-1)>>8), byte(len(raw)/4-1)
		if n := len(sequences(first(t, raw))); n != maxNacked {
			t.Errorf("%d sequence numbers", n)
		}
	})
	t.Run("HB8 wild clock", func(t *testing.T) {
		for _, c := range []struct {
			block ReportBlock
			now   uint32
			want  time.Duration
			ok    bool
		}{
			{ReportBlock{LastSR: 0x10000000, Delay: 0x8000}, 0x10010000, 500 * time.Millisecond, true},
			{ReportBlock{LastSR: 0xffffff00, Delay: 0}, 0x100, 512 * time.Second / 65536, true},
			{ReportBlock{LastSR: 0x10000000, Delay: 10}, 0x10000000, 0, true},
			{ReportBlock{LastSR: 0x10000000, Delay: 0x10000}, 0x10000000, 0, false},
			{ReportBlock{LastSR: 0x50000000}, 0x10000000, 0, false},
			{ReportBlock{LastSR: 0x10000000}, 0x20000000, 4096 * time.Second, false},
			{ReportBlock{}, 0x10000000, 0, false},
		} {
			if got, ok := c.block.RoundTrip(c.now); got != c.want || ok != c.ok {
				t.Errorf("%+v at %x: %v %v", c.block, c.now, got, ok)
			}
		}
	})
}

func TestTimes(t *testing.T) {
	// RFC 3550 §6.4.1, figure 2: 0xb44db705:20000000 is 10 Nov 1995 11:33:25.125 UTC.
	at := time.Date(1995, 11, 10, 11, 33, 25, 125_000_000, time.UTC)
	if ntp := NTP(at); ntp != 0xb44db70520000000 || Compact(ntp) != 0xb7052000 {
		t.Errorf("NTP %x", ntp)
	}
	if got := SendTime(time.Unix(64*1000+3, 500_000_000)); got != (ntpUnix+3)%64<<18|1<<17 {
		t.Errorf("send time %x", got)
	}
	for d, want := range map[time.Duration]uint32{0: 0, -time.Second: 0, time.Second: 90000, 20 * time.Millisecond: 1800, 1 << 62: 1<<32 - 1, 15 * time.Hour: 1<<32 - 1} {
		if got := Ticks(d, 90000); got != want {
			t.Errorf("%v: %d ticks", d, got)
		}
	}
}

// builders are packets as the builders make them, and as pion reads them.
var builders = []struct {
	name string
	raw  []byte
	want rtcp.Packet
}{
	{"sender report", AppendSenderReport(nil, SenderReport{1, 2 << 40, 3, 4, 5}, []ReportBlock{{6, 7, 8, 9, 10, 11, 12}}),
		&rtcp.SenderReport{SSRC: 1, NTPTime: 2 << 40, RTPTime: 3, PacketCount: 4, OctetCount: 5,
			Reports: []rtcp.ReceptionReport{{SSRC: 6, FractionLost: 7, TotalLost: 8, LastSequenceNumber: 9, Jitter: 10, LastSenderReport: 11, Delay: 12}}}},
	{"receiver report", AppendReceiverReport(nil, 1, []ReportBlock{{SSRC: 6, Lost: 1 << 30}, {SSRC: 7, Lost: -1 << 30}}),
		&rtcp.ReceiverReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{SSRC: 6, TotalLost: 1<<23 - 1}, {SSRC: 7, TotalLost: 1 << 23}}}},
	{"CNAME", AppendCNAME(nil, 1, "abcde"), &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{Source: 1, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "abcde"}}}}}},
	{"CNAME, four zeros", AppendCNAME(nil, 1, "abcdef"), &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{Source: 1, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "abcdef"}}}}}},
	{"goodbye", AppendGoodbye(nil, 1, 2), &rtcp.Goodbye{Sources: []uint32{1, 2}}},
	{"NACK", AppendNACK(nil, 1, 2, []uint16{65535, 0, 15, 16, 16, 33}), &rtcp.TransportLayerNack{SenderSSRC: 1, MediaSSRC: 2,
		Nacks: []rtcp.NackPair{{PacketID: 65535, LostPackets: 1<<15 | 1}, {PacketID: 16}, {PacketID: 33}}}},
	{"PLI", AppendPLI(nil, 1, 2), &rtcp.PictureLossIndication{SenderSSRC: 1, MediaSSRC: 2}},
	{"FIR", AppendFIR(nil, 1, 2, 3), &rtcp.FullIntraRequest{SenderSSRC: 1, FIR: []rtcp.FIREntry{{SSRC: 2, SequenceNumber: 3}}}},
	{"REMB", AppendREMB(nil, 1, 2_000_000, 3, 4), &rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: 1, Bitrate: 2_000_000, SSRCs: []uint32{3, 4}}},
}

func TestBuildersMakeWhatPionReads(t *testing.T) {
	for _, c := range builders {
		t.Run(c.name, func(t *testing.T) {
			got, err := rtcp.Unmarshal(c.raw)
			if err != nil || len(got) != 1 {
				t.Fatalf("%x: %v", c.raw, err)
			}
			g, w := reflect.ValueOf(got[0]).Elem(), reflect.ValueOf(c.want).Elem()
			for i := range w.NumField() {
				f := w.Field(i)
				if w.Type().Field(i).Name == "ProfileExtensions" || f.Kind() == reflect.Struct {
					continue
				}
				if !reflect.DeepEqual(g.Field(i).Interface(), f.Interface()) {
					t.Errorf("%s: %v, want %v", w.Type().Field(i).Name, g.Field(i), f)
				}
			}
			alike(t, c.raw)
		})
	}
	if AppendNACK(nil, 1, 2, nil) != nil {
		t.Error("a NACK of nothing")
	}
	if n := len(AppendReceiverReport(nil, 1, make([]ReportBlock, 40))); n != 8+24*31 {
		t.Errorf("40 blocks make %d bytes", n)
	}
	if n := len(AppendCNAME(nil, 1, string(make([]byte, 300)))); n != 268 {
		t.Errorf("300 bytes of name make %d bytes", n)
	}
}

// alike compares what we read of a compound with what pion reads, packet by packet, where pion reads it.
func alike(t *testing.T, raw []byte) {
	t.Helper()
	c, err := ParseCompound(raw)
	if err != nil {
		return
	}
	var p Control
	for {
		start := len(raw) - len(c.rest)
		if !c.Next(&p) {
			return
		}
		one := raw[start : len(raw)-len(c.rest)]
		if one[0]&paddingBit != 0 {
			continue // pion's packets keep their padding
		}
		all, err := rtcp.Unmarshal(bytes.Clone(one))
		if err != nil || len(all) != 1 {
			continue
		}
		switch q := all[0].(type) {
		case *rtcp.SenderReport:
			sr, ok := p.SenderReport()
			if want := (SenderReport{q.SSRC, q.NTPTime, q.RTPTime, q.PacketCount, q.OctetCount}); !ok || sr != want {
				t.Fatalf("%x: %+v, pion's %+v", one, sr, want)
			}
			reports(t, &p, q.Reports)
		case *rtcp.ReceiverReport:
			reports(t, &p, q.Reports)
		case *rtcp.Goodbye:
			for i, want := range q.Sources {
				if got, ok := p.Goodbye(i); got != want || !ok || p.Goodbyes() != len(q.Sources) {
					t.Fatalf("%x: goodbye %d", one, i)
				}
			}
		case *rtcp.PictureLossIndication:
			if media, ok := p.PLI(); media != q.MediaSSRC || !ok {
				t.Fatalf("%x: PLI", one)
			}
		case *rtcp.FullIntraRequest:
			for i, want := range q.FIR {
				if media, number, ok := p.FIR(i); media != want.SSRC || number != want.SequenceNumber || !ok {
					t.Fatalf("%x: FIR %d", one, i)
				}
			}
		case *rtcp.TransportLayerNack:
			var want []uint16
			for _, pair := range q.Nacks {
				want = append(want, pair.PacketList()...)
			}
			if got := sequences(&p); !slices.Equal(got, want[:min(len(want), maxNacked)]) {
				t.Fatalf("%x: NACK of %v, pion's %v", one, got, want)
			}
		case *rtcp.ReceiverEstimatedMaximumBitrate:
			e, ok := p.REMB()
			if e.Bitrate == 0 {
				continue // pion reads a mantissa of 0 with an exponent as something else
			}
			if !ok || e.SSRCs() != len(q.SSRCs) || uint64(min(float64(q.Bitrate), maxBitrate)) != e.Bitrate {
				t.Fatalf("%x: REMB %d, pion's %f", one, e.Bitrate, q.Bitrate)
			}
		case *rtcp.SourceDescription:
			items := p.Description()
			for _, chunk := range q.Chunks {
				for _, want := range chunk.Items {
					if item, ok := items.Next(); !ok || item.SSRC != chunk.Source || item.Type != uint8(want.Type) || string(item.Text) != want.Text {
						t.Fatalf("%x: item %+v, pion's %+v", one, item, want)
					}
				}
			}
		case *rtcp.TransportLayerCC:
			f, ok := p.TransportCC()
			if !ok {
				continue // pion reads feedback of nothing, and more of it than it may hold
			}
			feedbackAlike(t, one, f, q)
		}
	}
}

func reports(t *testing.T, p *Control, want []rtcp.ReceptionReport) {
	t.Helper()
	if p.Reports() != len(want) {
		t.Fatalf("%d reports, pion's %d", p.Reports(), len(want))
	}
	for i, q := range want {
		r, ok := p.Report(i)
		if !ok || r.SSRC != q.SSRC || r.Fraction != q.FractionLost || uint32(r.Lost)&0xffffff != q.TotalLost || r.Highest != q.LastSequenceNumber ||
			r.Jitter != q.Jitter || r.LastSR != q.LastSenderReport || r.Delay != q.Delay {
			t.Fatalf("report %+v, pion's %+v", r, q)
		}
	}
}

func feedbackAlike(t *testing.T, one []byte, f TransportFeedback, q *rtcp.TransportLayerCC) {
	t.Helper()
	if f.Base != q.BaseSequenceNumber || f.Count != int(q.PacketStatusCount) || f.Reference != q.ReferenceTime || f.Number != q.FbPktCount {
		t.Fatalf("%x: %+v, pion's %v", one, f, q)
	}
	var at int64
	deltas := q.RecvDeltas
	n := 0
	for a, ok := f.Next(); ok; a, ok = f.Next() {
		if a.Sequence != f.Base+uint16(n) {
			t.Fatalf("%x: sequence %d", one, a.Sequence)
		}
		n++
		if a.Received {
			at += deltas[0].Delta
			deltas = deltas[1:]
			if a.At != time.Duration(at)*time.Microsecond {
				t.Fatalf("%x: %d came at %v, pion's %d µs", one, a.Sequence, a.At, at)
			}
		}
	}
	if n != int(q.PacketStatusCount) {
		t.Fatalf("%x: %d packets", one, n)
	}
}

func TestControlsAreReadAsPionReadsThem(t *testing.T) {
	for name, s := range controls {
		t.Run(name, func(t *testing.T) { alike(t, unhex(t, s)) })
	}
}

func FuzzCompound(f *testing.F) {
	for _, s := range controls {
		f.Add(unhex(f, s))
	}
	f.Add(append(unhex(f, controls["sender report"]), unhex(f, controls["transport-cc"])...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := ParseCompound(raw)
		if err != nil {
			return
		}
		var p Control
		for c.Next(&p) {
			p.Sender()
			p.Feedback()
			for i := range p.Reports() + 1 {
				p.Report(i)
			}
			for i := range p.FIRs() + 1 {
				p.FIR(i)
			}
			for i := range p.Goodbyes() + 1 {
				p.Goodbye(i)
			}
			items := p.Description()
			for _, ok := items.Next(); ok; _, ok = items.Next() {
			}
			if e, ok := p.REMB(); ok {
				e.SSRC(e.SSRCs() - 1)
				if e.Bitrate > maxBitrate {
					t.Fatal(e.Bitrate)
				}
			}
			if f, ok := p.TransportCC(); ok {
				n := 0
				for _, ok := f.Next(); ok; _, ok = f.Next() {
					n++
				}
				if n != f.Count {
					t.Fatalf("%d of %d packets", n, f.Count)
				}
			}
			if len(sequences(&p)) > maxNacked {
				t.Fatal("NACK of too many")
			}
		}
		alike(t, raw)
	})
}

func TestNothingIsAllocatedForControl(t *testing.T) {
	var raw []byte
	for _, name := range []string{"sender report", "two chunks", "NACK", "FIR", "REMB", "transport-cc", "goodbye"} {
		raw = append(raw, unhex(t, controls[name])...)
	}
	free(t, "walk", func() {
		c, err := ParseCompound(raw)
		if err != nil {
			t.Error(err)
		}
		var p Control
		seen := 0
		for c.Next(&p) {
			p.Report(0)
			n, items := p.Nacks(), p.Description()
			for _, ok := n.Next(); ok; _, ok = n.Next() {
				seen++
			}
			for _, ok := items.Next(); ok; _, ok = items.Next() {
				seen++
			}
			if f, ok := p.TransportCC(); ok {
				for _, ok := f.Next(); ok; _, ok = f.Next() {
					seen++
				}
			}
			p.REMB()
			p.FIR(1)
		}
		if seen != 6+3+7 {
			t.Errorf("saw %d", seen)
		}
	})
	dst := make([]byte, 0, 1500)
	blocks := []ReportBlock{{SSRC: 1}}
	lost := []uint16{1, 2, 3}
	free(t, "builders", func() {
		b := AppendSenderReport(dst, SenderReport{}, blocks)
		b = AppendCNAME(b, 1, "name")
		b = AppendNACK(b, 1, 2, lost)
		b = AppendPLI(b, 1, 2)
		b = AppendFIR(b, 1, 2, 3)
		b = AppendREMB(b, 1, 2, 3)
		b = AppendGoodbye(b, 1)
		if _, err := ParseCompound(b); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkTransportCCRead(b *testing.B) {
	var a Arrivals
	for seq := range uint16(100) {
		a.Record(seq, time.Duration(seq)*time.Millisecond)
	}
	raw, _ := a.Append(nil, 1, 2, 1200)
	b.ReportAllocs()
	for b.Loop() {
		c, _ := ParseCompound(raw)
		var p Control
		c.Next(&p)
		f, _ := p.TransportCC()
		for _, ok := f.Next(); ok; _, ok = f.Next() {
		}
	}
}
