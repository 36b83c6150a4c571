package codec

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// scalability is a structure as the tables of the AV1 RTP specification §A.10.2 give it.
type scalability struct {
	protected []int    // decode_target_protected_by
	rows      []string // S T fdiffs chains DTIs
	sizes     [][2]int
}

var l1t3 = scalability{
	protected: []int{0, 0, 0},
	rows: []string{
		"0 0 - 0 SSS",
		"0 0 4 4 SSS",
		"0 1 2 2 SD-",
		"0 2 1 1 D--",
		"0 2 1 3 D--",
	},
}

var l3t3 = scalability{
	protected: []int{2, 2, 2, 1, 1, 1, 0, 0, 0},
	rows: []string{
		"0 0 - 0,0,0 SSSSSSSSS",
		"0 0 12 12,11,10 RRRRRRSSS",
		"0 1 6 6,5,4 RR-RR-SD-",
		"0 2 3 3,2,1 R--R--D--",
		"0 2 3 9,8,7 R--R--D--",
		"1 0 1 1,1,1 SSSSSS---",
		"1 0 12,1 1,1,1 RRRSSS---",
		"1 1 6,1 7,6,5 RR-SD----",
		"1 2 3,1 4,3,2 R--D-----",
		"1 2 3,1 10,9,8 R--D-----",
		"2 0 1 2,1,1 SSS------",
		"2 0 12,1 2,1,1 SSS------",
		"2 1 6,1 8,7,6 SD-------",
		"2 2 3,1 5,4,3 D--------",
		"2 2 3,1 11,10,9 D--------",
	},
	sizes: [][2]int{{320, 180}, {640, 360}, {1280, 720}},
}

func numbers(s string) (all []int) {
	for _, n := range strings.Split(s, ",") {
		if n != "-" {
			var v int
			fmt.Sscan(n, &v)
			all = append(all, v)
		}
	}
	return all
}

func bin(n, v int) string { return fmt.Sprintf("%0*b", n, v) }

// ns writes ns(n) as §A.8.2 says.
func ns(n, v int) string {
	if n == 1 {
		return ""
	}
	w := len(fmt.Sprintf("%b", n))
	if m := 1<<w - n; v >= m {
		return bin(w, v+m)
	}
	return bin(w-1, v)
}

func dtis(s string) (b string) {
	for _, c := range s {
		b += bin(2, strings.IndexRune("-DSR", c))
	}
	return b
}

// bits writes the structure as §A.8.2 says, independently of the code under test.
func (s scalability) bits(offset int) string {
	b := bin(6, offset) + bin(5, len(s.protected)-1)
	fields := make([][]string, len(s.rows))
	for i, row := range s.rows {
		fields[i] = strings.Fields(row)
	}
	for i := range fields {
		switch {
		case i+1 == len(fields):
			b += "11"
		case fields[i+1][0] != fields[i][0]:
			b += "10"
		case fields[i+1][1] != fields[i][1]:
			b += "01"
		default:
			b += "00"
		}
	}
	for _, f := range fields {
		b += dtis(f[4])
	}
	for _, f := range fields {
		for _, d := range numbers(f[2]) {
			b += "1" + bin(4, d-1)
		}
		b += "0"
	}
	chains := slices.Max(s.protected) + 1
	b += ns(len(s.protected)+1, chains)
	for _, p := range s.protected {
		b += ns(chains, p)
	}
	for _, f := range fields {
		for _, c := range numbers(f[3]) {
			b += bin(4, c)
		}
	}
	if len(s.sizes) == 0 {
		return b + "0"
	}
	b += "1"
	for _, size := range s.sizes {
		b += bin(16, size[0]-1) + bin(16, size[1]-1)
	}
	return b
}

// key is the descriptor of the first packet of a key frame: template id of the first template.
func (s scalability) key(t testing.TB, offset, number int) []byte {
	return pack(t, "10"+bin(6, offset)+bin(16, number)+"10000"+s.bits(offset))
}

// short is a descriptor of three bytes.
func short(t testing.TB, template, number int) []byte {
	return pack(t, "11"+bin(6, template%64)+bin(16, number&0xffff))
}

func (s *DependencySource) must(t testing.TB, raw []byte, seq uint16) *Descriptor {
	t.Helper()
	var d Descriptor
	if err := s.Parse(raw, seq, &d); err != nil {
		t.Fatalf("%x: %v", raw, err)
	}
	return &d
}

func letters(d *Descriptor, targets int) (s string) {
	for i := range targets {
		s += "-DSR"[d.Indications.Of(i) : d.Indications.Of(i)+1]
	}
	return s
}

func TestNonSymmetricNumbers(t *testing.T) {
	// The table of §A.8.2 for n = 5.
	for want, bits := range []string{"00", "01", "10", "110", "111"} {
		r := bitReader{b: pack(t, bits)}
		if got := r.nonSymmetric(5); int(got) != want || r.at != len(bits) {
			t.Errorf("%s is %d after %d bits, want %d", bits, got, r.at, want)
		}
	}
	for n := 1; n <= 33; n++ {
		for v := range n {
			r := bitReader{b: pack(t, ns(n, v)+"0")}
			if got := r.nonSymmetric(uint32(n)); int(got) != v {
				t.Errorf("ns(%d): %d is %d", n, v, got)
			}
		}
	}
}

func TestStructuresOfTheSpecification(t *testing.T) {
	for _, c := range []struct {
		name string
		scalability
	}{{"L1T3", l1t3}, {"L3T3", l3t3}} {
		t.Run(c.name, func(t *testing.T) {
			const offset = 60 // template ids wrap
			var s DependencySource
			d := s.must(t, c.key(t, offset, 1000), 1)
			if all := uint32(1)<<len(c.protected) - 1; !d.Attached || !d.Key || !d.Start || d.End || d.Active != all || s.Active() != all || d.HasActive {
				t.Errorf("key frame %+v", d)
			}
			for i, row := range c.rows {
				f := strings.Fields(row)
				d := s.must(t, short(t, offset+i, 1010), 2)
				if got := fmt.Sprintf("%d %d", d.Spatial, d.Temporal); got != f[0]+" "+f[1] {
					t.Errorf("template %d: layers %s", i, got)
				}
				fdiffs := numbers(f[2])
				slices.Sort(fdiffs)
				for j, want := range fdiffs {
					if d.References != len(fdiffs) || int(d.Fdiffs[j]) != want {
						t.Errorf("template %d: fdiffs %v", i, d.Fdiffs[:d.References])
					}
				}
				for j, want := range numbers(f[3]) {
					if int(d.ChainFdiffs[j]) != want {
						t.Errorf("template %d: chains %v", i, d.ChainFdiffs)
					}
				}
				if got := letters(d, len(c.protected)); got != f[4] {
					t.Errorf("template %d: %s, want %s", i, got, f[4])
				}
				frame := d.Frame()
				if want := strings.Trim(f[4], "-D") == ""; frame.Discardable != want {
					t.Errorf("template %d: discardable %v", i, frame.Discardable)
				}
				if !frame.Known || frame.Start != true || frame.End != true || frame.Key != (f[2] == "-") {
					t.Errorf("template %d: %+v", i, frame)
				}
				if len(c.sizes) > 0 && (int(frame.Width) != c.sizes[d.Spatial][0] || int(frame.Height) != c.sizes[d.Spatial][1]) {
					t.Errorf("template %d: %d x %d", i, frame.Width, frame.Height)
				}
			}
			for target, chain := range c.protected {
				if got, ok := s.Structure().ProtectedBy(target); got != chain || !ok {
					t.Errorf("target %d is protected by %d", target, got)
				}
				spatial, temporal, _ := s.Structure().Layer(target)
				if want := len(c.protected) - 1 - target; int(spatial)*3+int(temporal) != want/3*3+want%3 {
					t.Errorf("target %d is layer %d %d", target, spatial, temporal)
				}
			}
		})
	}
}

func TestDecodeTargetsAreChosen(t *testing.T) {
	var s DependencySource
	s.must(t, l3t3.key(t, 0, 0), 1)
	st := s.Structure()
	for _, c := range []struct {
		spatial, temporal uint8
		active            uint32
		want              int
		ok                bool
	}{
		{2, 2, 0x1ff, 0, true}, {2, 0, 0x1ff, 2, true}, {0, 2, 0x1ff, 6, true}, {7, 7, 0x1ff, 0, true},
		{2, 2, 0x1f8, 3, true}, {1, 1, 0x1c0, 7, true}, {0, 0, 0x0ff, 0, false}, {2, 2, 0, 0, false},
	} {
		if got, ok := st.Target(c.spatial, c.temporal, c.active); got != c.want || ok != c.ok {
			t.Errorf("%+v: got %d %v", c, got, ok)
		}
	}
	if got := st.UpTo(1, 1); got != 1<<4|1<<5|1<<7|1<<8 {
		t.Errorf("up to 1, 1: %b", got)
	}
	if _, _, ok := st.Layer(9); ok {
		t.Error("a tenth target")
	}
	if _, _, ok := st.Resolution(3); ok {
		t.Error("a fourth layer")
	}
}

func TestPointsToSwitchAt(t *testing.T) {
	for _, c := range []struct {
		scalability
		template int
		want     bool
	}{{l1t3, 0, true}, {l1t3, 1, true}, {l1t3, 2, true}, {l1t3, 3, false}, {l3t3, 1, true}, {l3t3, 3, false}, {l3t3, 6, true}, {l3t3, 7, true}, {l3t3, 8, false}, {l3t3, 12, true}} {
		var s DependencySource
		s.must(t, c.key(t, 7, 0), 1)
		if got := s.must(t, short(t, 7+c.template, 1), 2).Frame().SwitchUp; got != c.want {
			t.Errorf("%s: %v", c.rows[c.template], got)
		}
	}
}

func TestNothingIsLeftOfStructuresBefore(t *testing.T) {
	var s DependencySource
	for i := range uint16(4) {
		s.must(t, l3t3.key(t, 0, int(i)), i)
	}
	s.must(t, l1t3.key(t, 0, 10), 10)
	s.must(t, l1t3.key(t, 0, 11), 11)
	d := s.must(t, short(t, 1, 12), 12)
	if d.References != 1 || d.Fdiffs[0] != 4 || d.ChainFdiffs != [maxChains]uint8{4} || d.Width != 0 {
		t.Errorf("%+v", d)
	}
}

func TestIndicationsOfOtherLayers(t *testing.T) {
	for _, c := range []struct {
		dtis                  string
		switchUp, discardable bool
	}{{"SSSSSSRRR", false, false}, {"RRRRRRRSR", true, false}, {"---------", false, false}, {"DDDDDDD--", false, true}, {"DDDDDDS--", true, false}} {
		var s DependencySource
		s.must(t, l3t3.key(t, 0, 0), 1)
		f := s.must(t, pack(t, "11"+bin(6, 1)+bin(16, 3)+"00100"+dtis(c.dtis)), 2).Frame()
		if f.SwitchUp != c.switchUp || f.Discardable != c.discardable {
			t.Errorf("%s: %+v", c.dtis, f)
		}
	}
}

func TestUpperLayersOfAKeyPictureAreKey(t *testing.T) {
	var s DependencySource
	s.must(t, l3t3.key(t, 0, 65535), 1)
	for i, c := range []struct {
		template, number int
		want             bool
	}{{5, 0, true}, {10, 1, true}, {3, 2, false}, {8, 3, false}, {13, 4, false}, {5, 0, true}, {0, 50, true}, {5, 51, true}, {10, 53, false}} {
		if got := s.must(t, short(t, c.template, c.number), uint16(2+i)).Frame().Key; got != c.want {
			t.Errorf("frame %d, template %d: %v", c.number, c.template, got)
		}
	}
}

func TestCustomDependencies(t *testing.T) {
	var s DependencySource
	s.must(t, l1t3.key(t, 0, 0), 1)
	raw := pack(t, "10"+bin(6, 2)+bin(16, 77)+"01111"+"011"+dtis("RS-")+"01"+bin(4, 4)+"10"+bin(8, 254)+"11"+bin(12, 4095)+"00"+bin(8, 200))
	d := s.must(t, raw, 2)
	if got := letters(d, 3); got != "RS-" || d.Temporal != 1 {
		t.Errorf("indications %s of layer %d", got, d.Temporal)
	}
	if got := d.Fdiffs[:d.References]; !slices.Equal(got, []uint16{5, 255, 4096}) || d.ChainFdiffs[0] != 200 {
		t.Errorf("fdiffs %v, chain %d", got, d.ChainFdiffs[0])
	}
	if d.Active != 3 || !d.HasActive || s.Active() != 3 {
		t.Errorf("active %b", d.Active)
	}
	if d := s.must(t, short(t, 1, 78), 3); d.Active != 3 || d.HasActive {
		t.Errorf("active afterwards %b", d.Active)
	}
	late := pack(t, "10"+bin(6, 2)+bin(16, 77)+"01000"+"101")
	if d := s.must(t, late, 1); d.Active != 5 || s.Active() != 3 {
		t.Errorf("a late packet changed what is active to %b", s.Active())
	}
}

func TestHB10MalformedDescriptorsChangeNothing(t *testing.T) {
	whole := l3t3.key(t, 5, 9)
	many := strings.Repeat("1"+bin(4, 3), 17) + "0"
	for _, c := range []struct {
		name string
		raw  []byte
	}{
		{"nothing", nil},
		{"two bytes", []byte{0xc0, 0}},
		{"template beyond the structure", short(t, 5, 1)},
		{"template before the structure", short(t, 63, 1)},
		{"bitmask cut", pack(t, "11"+bin(6, 0)+bin(16, 1)+"01100"+"101")},
		{"custom chains cut", pack(t, "11"+bin(6, 0)+bin(16, 1)+"00001"+"101")},
		{"five spatial layers", scalability{protected: []int{0}, rows: []string{"0 0 - 0 S", "1 0 - 0 S", "2 0 - 0 S", "3 0 - 0 S", "4 0 - 0 S"}}.key(t, 0, 0)},
		{"nine temporal layers", scalability{protected: []int{0}, rows: []string{"0 0 - 0 S", "0 1 - 0 S", "0 2 - 0 S", "0 3 - 0 S", "0 4 - 0 S",
			"0 5 - 0 S", "0 6 - 0 S", "0 7 - 0 S", "0 8 - 0 S"}}.key(t, 0, 0)},
		{"templates without end", append(pack(t, "11"+bin(6, 0)+bin(16, 1)+"10000"+bin(6, 0)+bin(5, 0)), make([]byte, 200)...)},
		{"seventeen differences", pack(t, "11"+bin(6, 0)+bin(16, 1)+"10000"+bin(6, 0)+bin(5, 0)+"11"+"10"+many+strings.Repeat("0", 40))},
		{"seventeen custom differences", pack(t, "11"+bin(6, 0)+bin(16, 1)+"00010"+strings.Repeat("010000", 17)+"00")},
		{"key frame's template beyond its structure", pack(t, "11"+bin(6, 9)+bin(16, 1)+"10000"+l1t3.bits(10))},
	} {
		t.Run("HB10 "+c.name, func(t *testing.T) {
			var s DependencySource
			s.must(t, l1t3.key(t, 0, 0), 1)
			before := s
			var d Descriptor
			if err := s.Parse(c.raw, 2, &d); err == nil {
				t.Error("taken")
			}
			if d.Frame() != (Frame{}) {
				t.Errorf("frame %+v", d.Frame())
			}
			if s.Active() != before.Active() || s.current != before.current || s.must(t, short(t, 4, 1), 3).Temporal != 2 {
				t.Error("the source changed")
			}
		})
	}
	for size := range whole {
		var s DependencySource
		var d Descriptor
		if s.Parse(whole[:size], 1, &d) == nil || s.Structure() != nil {
			t.Fatalf("%d bytes of %d are taken", size, len(whole))
		}
	}
}

func TestALateStructureIsReadButNotTakenOver(t *testing.T) {
	var s DependencySource
	s.must(t, l1t3.key(t, 0, 0), 65530)
	s.must(t, l3t3.key(t, 10, 50), 5)
	if d := s.must(t, l1t3.key(t, 0, 0), 65530); !d.Attached || d.Active != 7 {
		t.Errorf("the copy is %+v", d)
	}
	if s.Structure().Targets != 9 || s.Active() != 0x1ff {
		t.Errorf("%d targets, %b active", s.Structure().Targets, s.Active())
	}
	if d := s.must(t, short(t, 10+13, 51), 6); d.Spatial != 2 {
		t.Errorf("layer %d", d.Spatial)
	}
	// A source that begins anew is far away, and not late.
	s.must(t, l1t3.key(t, 0, 0), 40000)
	if s.Structure().Targets != 3 {
		t.Error("the new structure was not taken over")
	}
}

func TestDescriptorsAreRewritten(t *testing.T) {
	key := bin(16, 500) + "10000"
	for _, c := range []struct {
		name string
		raw  string
		w    Rewrite
		want string
	}{
		{"three bytes", "11" + bin(6, 1) + bin(16, 500), Rewrite{Number: 7}, "11" + bin(6, 1) + bin(16, 7)},
		{"three bytes, shifted", "01" + bin(6, 1) + bin(16, 500), Rewrite{Number: 7, Shift: 63}, "01" + bin(6, 0) + bin(16, 7)},
		{"three bytes, restricted", "11" + bin(6, 1) + bin(16, 500), Rewrite{Number: 7, Restrict: true, Active: 5},
			"11" + bin(6, 1) + bin(16, 7) + "01000" + "101"},
		{"bitmask replaced", "11" + bin(6, 1) + bin(16, 500) + "01010" + "111" + "01001100", Rewrite{Number: 7, Restrict: true, Active: 2},
			"11" + bin(6, 1) + bin(16, 7) + "01010" + "010" + "01001100"},
		{"bitmask kept", "11" + bin(6, 1) + bin(16, 500) + "01010" + "111" + "01001100", Rewrite{Number: 7},
			"11" + bin(6, 1) + bin(16, 7) + "01010" + "111" + "01001100"},
		{"bitmask before custom values", "11" + bin(6, 1) + bin(16, 500) + "00010" + "01001100", Rewrite{Number: 7, Restrict: true, Active: 2},
			"11" + bin(6, 1) + bin(16, 7) + "01010" + "010" + "01001100"},
		{"structure shifted", "10" + bin(6, 0) + key + l1t3.bits(0), Rewrite{Number: 7, Shift: 20},
			"10" + bin(6, 20) + bin(16, 7) + "10000" + l1t3.bits(20)},
		{"structure shifted and restricted", "10" + bin(6, 63) + key + l1t3.bits(63), Rewrite{Number: 7, Shift: 20, Restrict: true, Active: 1},
			"10" + bin(6, 19) + bin(16, 7) + "11000" + l1t3.bits(19) + "001"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s DependencySource
			s.must(t, l1t3.key(t, 0, 0), 1)
			raw := pack(t, c.raw)
			d := s.must(t, raw, 2)
			dst := bytes.Repeat([]byte{0xff}, len(raw)+DescriptorGrowth)
			n := d.Rewrite(dst, c.w)
			if want := pack(t, c.want); !bytes.Equal(dst[:n], want) {
				t.Errorf("got\n%x, want\n%x", dst[:n], want)
			}
			if d.Rewrite(dst[:n-1], c.w) != 0 {
				t.Error("no room, yet written")
			}
		})
	}
	if new(Descriptor).Rewrite(make([]byte, 10), Rewrite{}) != 0 {
		t.Error("nothing was parsed, yet written")
	}
}

func FuzzDescriptor(f *testing.F) {
	f.Add(l1t3.key(f, 0, 1), short(f, 3, 2), uint8(1), uint32(5))
	f.Add(l3t3.key(f, 50, 1), short(f, 51, 2), uint8(60), uint32(0x1ff))
	f.Add(l1t3.key(f, 0, 1), pack(f, "10"+bin(6, 2)+bin(16, 77)+"01111"+"011"+dtis("RS-")+"01"+bin(4, 4)+"00"+bin(8, 200)), uint8(0), uint32(0))
	var last []byte
	for _, p := range captured(f, "av1") {
		f.Add(p.descriptor, last, uint8(3), uint32(1))
		last = p.descriptor
	}
	f.Fuzz(func(t *testing.T, a, b []byte, shift uint8, active uint32) {
		var s, out DependencySource
		dst := make([]byte, len(a)+len(b)+DescriptorGrowth)
		for i, raw := range [][]byte{a, b, a} {
			var d, again Descriptor
			if s.Parse(raw, uint16(i), &d) != nil {
				if d.Frame() != (Frame{}) {
					t.Fatalf("unknown frame %+v", d.Frame())
				}
				continue
			}
			n := d.Rewrite(dst, Rewrite{Number: 9, Shift: shift, Restrict: true, Active: active})
			if n == 0 || n > len(raw)+DescriptorGrowth {
				t.Fatalf("%x is %d bytes", raw, n)
			}
			if err := out.Parse(dst[:n], uint16(i), &again); err != nil {
				t.Fatalf("%x became %x: %v", raw, dst[:n], err)
			}
			if again.Number != 9 || again.Template != (d.Template+shift)&63 || again.Active != active&(1<<d.targets-1) ||
				again.Indications != d.Indications || again.Fdiffs != d.Fdiffs || again.ChainFdiffs != d.ChainFdiffs ||
				again.Spatial != d.Spatial || again.Temporal != d.Temporal || again.Attached != d.Attached || again.Width != d.Width ||
				again.Start != d.Start || again.End != d.End || again.References != d.References {
				t.Fatalf("%x became %x:\n%+v\n%+v", raw, dst[:n], d, again)
			}
			s.Structure().Target(1, 1, d.Active)
		}
	})
}

func TestDescriptorsAreNotAllocated(t *testing.T) {
	var s DependencySource
	var d Descriptor
	raw := l3t3.key(t, 0, 0)
	dst := make([]byte, 255)
	free(t, "descriptor", func() {
		if s.Parse(raw, 1, &d) != nil || d.Rewrite(dst, Rewrite{Number: 1, Restrict: true, Active: 7}) == 0 {
			t.Error("refused")
		}
	})
}

func BenchmarkDescriptor(b *testing.B) {
	var s DependencySource
	var d Descriptor
	s.must(b, l3t3.key(b, 0, 0), 1)
	dst := make([]byte, 255)
	for _, c := range []struct {
		name string
		raw  []byte
	}{{"three-bytes", short(b, 6, 1)}, {"structure", l3t3.key(b, 0, 0)}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if s.Parse(c.raw, 1, &d) != nil || d.Rewrite(dst, Rewrite{Number: 1, Restrict: true, Active: 7}) == 0 {
					b.Fatal("refused")
				}
			}
		})
	}
}
