package codec

import "testing"

// whole checks that frames begin with Start and end with End, per encoding, and returns how many ended.
type whole map[string]bool // encoding and layer: a frame is open

func (w whole) add(t *testing.T, i int, key string, f Frame) (ended bool) {
	t.Helper()
	if f.Start == w[key] {
		t.Fatalf("packet %d of %s: start %v, while a frame is open: %v", i, key, f.Start, w[key])
	}
	w[key] = !f.End
	return f.End
}

func TestChromiumVP8(t *testing.T) {
	for _, name := range []string{"vp8", "vp8-plain"} {
		t.Run(name, func(t *testing.T) {
			open, last := whole{}, make(map[string]VP8)
			keys := make(map[[2]uint16]int)
			ended := 0
			var layers [4]int
			for i, p := range captured(t, name) {
				var d VP8
				if err := d.Parse(p.payload); err != nil {
					t.Fatalf("packet %d: %v", i, err)
				}
				f := d.Frame(p.marker)
				if f.Start && f.Key {
					keys[[2]uint16{f.Width, f.Height}]++
				}
				if name == "vp8-plain" {
					if !d.HasPicture || d.PictureBits != 15 || !d.HasTL0 || !d.HasTemporal {
						t.Fatalf("packet %d: %+v", i, d)
					}
					before, ok := last[p.encoding]
					if step := d.Picture - before.Picture; ok && (f.Start && step != 1 || !f.Start && step != 0) {
						t.Fatalf("packet %d: picture %d after %d", i, d.Picture, before.Picture)
					}
				} else if d.HasPicture || d.HasTemporal {
					t.Fatalf("packet %d: %+v", i, d) // Chromium leaves it to the dependency descriptor
				}
				last[p.encoding] = d
				if open.add(t, i, p.encoding, f) {
					ended++
					layers[f.Temporal]++
				}
			}
			if len(keys) < 2 || keys[[2]uint16{1280, 720}] == 0 && keys[[2]uint16{320, 180}] == 0 || ended < 20 {
				t.Errorf("key frames %v, %d frames", keys, ended)
			}
			if name == "vp8-plain" && (layers[0] == 0 || layers[1] == 0 || layers[2] == 0) {
				t.Errorf("frames of temporal layers: %v", layers)
			}
		})
	}
}

func TestChromiumVP9(t *testing.T) {
	for _, name := range []string{"vp9", "vp9-plain"} {
		t.Run(name, func(t *testing.T) {
			var s VP9Source
			var seen [3][3]int
			open, keys, upper := whole{}, 0, 0
			for i, p := range captured(t, name) {
				var d VP9
				if err := d.Parse(p.payload); err != nil {
					t.Fatalf("packet %d: %v", i, err)
				}
				f := s.Frame(&d)
				if f.Spatial > 2 || f.Temporal > 2 || !d.Flexible || d.PictureBits != 15 {
					t.Fatalf("packet %d: %+v", i, d)
				}
				open.add(t, i, string('0'+rune(f.Spatial)), f)
				seen[f.Spatial][f.Temporal]++
				if f.Start && f.Key && f.Spatial == 0 {
					keys++
					if !d.HasStructure || f.Width == 0 {
						t.Errorf("packet %d: key picture without structure", i)
					}
				}
				if f.Start && f.Key && d.InterLayer {
					upper++
				}
				if f.Spatial == 2 && (f.Width != 1280 || f.Height != 720) {
					t.Errorf("packet %d: layer 2 has %d x %d", i, f.Width, f.Height)
				}
			}
			if keys < 2 || upper < 2 || seen[0][2] == 0 || seen[2][2] == 0 || seen[1][1] == 0 {
				t.Errorf("%d key pictures, %d upper layers of them, packets of layers %v", keys, upper, seen)
			}
		})
	}
}

func TestChromiumH264(t *testing.T) {
	sizes := make(map[[2]uint16]int)
	last := make(map[string]string)
	dropped := 0
	for i, p := range captured(t, "h264") {
		var h H264
		if err := h.Parse(p.payload); err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		f := h.Frame(p.timestamp != last[p.encoding], p.marker)
		if f.Start == (p.timestamp == last[p.encoding]) || f.End != p.marker {
			t.Errorf("packet %d: %+v", i, f)
		}
		last[p.encoding] = p.timestamp
		if f.Discardable {
			dropped++
		}
		if h.SPS {
			if !h.PPS || !f.Key || !f.Start {
				t.Errorf("packet %d: %+v", i, h)
			}
			sizes[[2]uint16{f.Width, f.Height}]++
		}
	}
	if len(sizes) != 3 || sizes[[2]uint16{320, 180}] == 0 || sizes[[2]uint16{640, 360}] == 0 || sizes[[2]uint16{1280, 720}] == 0 || dropped == 0 {
		t.Errorf("key frames %v, %d discardable packets", sizes, dropped)
	}
}

func TestChromiumAV1(t *testing.T) {
	var sequences int
	last := ""
	for i, p := range captured(t, "av1") {
		var a AV1
		if err := a.Parse(p.payload); err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		f := a.Frame(p.timestamp != last, p.marker)
		last = p.timestamp
		if attached := len(p.descriptor) > 3 && p.descriptor[3]&0x80 != 0; attached != f.Key {
			t.Errorf("packet %d: key %v, structure %v", i, f.Key, attached)
		}
		if f.Key {
			sequences++
		}
	}
	if sequences < 2 {
		t.Errorf("%d sequences", sequences)
	}
}

// TestChromiumDescriptors reads the dependency descriptors of all codecs beside what their payloads say.
func TestChromiumDescriptors(t *testing.T) {
	for _, name := range []string{"vp8", "h264", "vp9", "av1"} {
		t.Run(name, func(t *testing.T) {
			sources := make(map[string]*DependencySource)
			open, numbers := whole{}, make(map[string]uint16)
			var seen [4][4]int
			keys, discardable := 0, 0
			for i, p := range captured(t, name) {
				e := p.encoding
				if sources[e] == nil {
					sources[e] = &DependencySource{}
				}
				s := sources[e]
				d := s.must(t, p.descriptor, uint16(i))
				f := d.Frame()
				open.add(t, i, e, f)
				if f.Start {
					// Frame numbers are counted over all encodings of a camera.
					if before, ok := numbers[e]; ok && (d.Number-before == 0 || d.Number-before > 20) {
						t.Errorf("packet %d: frame %d after %d", i, d.Number, before)
					}
					numbers[e] = d.Number
				}
				seen[f.Spatial][f.Temporal]++
				if d.Attached {
					keys++
					if !f.Key || !f.SwitchUp || !f.Start {
						t.Errorf("packet %d: %+v", i, f)
					}
				}
				if f.Discardable {
					discardable++
				}
				switch name {
				case "vp8":
					var v VP8
					if err := v.Parse(p.payload); err != nil {
						t.Fatal(err)
					}
					if w := v.Frame(p.marker); w.Start != f.Start || w.End != f.End || w.Start && (w.Key != f.Key || w.Discardable && !f.Discardable || w.Key && (w.Width != f.Width || w.Height != f.Height)) {
						t.Errorf("packet %d: %+v, payload says %+v", i, f, w)
					}
				case "vp9":
					var v VP9
					if err := v.Parse(p.payload); err != nil {
						t.Fatal(err)
					}
					if w := v.Frame(); w.Start != f.Start || w.End != f.End || w.Key != f.Key || w.Temporal != f.Temporal {
						t.Errorf("packet %d: %+v, payload says %+v", i, f, w)
					}
				}
				// The whole mask, sent along, changes nothing else.
				dst := make([]byte, len(p.descriptor)+DescriptorGrowth)
				n := d.Rewrite(dst, Rewrite{Number: d.Number, Restrict: true, Active: d.Active})
				copied := *s
				if again := copied.must(t, dst[:n], uint16(i)); again.Frame() != f || again.Active != d.Active || !again.HasActive {
					t.Errorf("packet %d: %+v became %+v", i, d, again)
				}
				if chains := s.Structure().Chains > 0; chains != (name != "vp8") {
					t.Fatalf("packet %d: chains %v", i, chains) // libwebrtc's VP8 has none
				}
			}
			if keys < 2 || discardable == 0 || seen[0][0] == 0 || seen[0][1] == 0 || seen[0][2] == 0 {
				t.Errorf("%d key frames, %d discardable packets, packets of layers %v", keys, discardable, seen)
			}
			if wide := seen[1][0] > 0; wide != (name == "vp9" || name == "av1") {
				t.Errorf("packets of layers %v", seen)
			}
		})
	}
}
