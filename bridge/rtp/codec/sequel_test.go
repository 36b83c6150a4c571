package codec

import "testing"

func TestDescriptorsGoOnAcrossSwitches(t *testing.T) {
	var one, two, receiver DependencySource
	var q Sequel
	seq := uint16(0)
	send := func(s *DependencySource, raw []byte, number uint16) *Descriptor {
		t.Helper()
		seq++
		d := s.must(t, raw, seq)
		w, ok := q.Map(d)
		if !ok || w.Number != number {
			t.Fatalf("frame %d: %+v %v, want %d", d.Number, w, ok, number)
		}
		dst := make([]byte, len(raw)+DescriptorGrowth)
		got := receiver.must(t, dst[:d.Rewrite(dst, w)], seq)
		if got.Spatial != d.Spatial || got.Temporal != d.Temporal || got.Indications != d.Indications || got.Fdiffs != d.Fdiffs || got.Number != number {
			t.Fatalf("%+v became %+v", d, got)
		}
		return got
	}
	first := send(&one, l1t3.key(t, 0, 65534), 65534)
	send(&one, short(t, 3, 65535), 65535)
	send(&one, short(t, 2, 1), 1) // 0 was dropped
	send(&one, short(t, 4, 0), 0) // late
	if first.Template != 0 {
		t.Errorf("the first source's template ids are moved to %d", first.Template)
	}
	two.must(t, l3t3.key(t, 0, 499), 1)
	q.Switch()
	if w, ok := q.Map(two.must(t, short(t, 1, 500), 2)); ok {
		t.Errorf("a source began in its middle: %+v", w)
	}
	if d := send(&two, l3t3.key(t, 0, 700), 2); d.Template != 5 {
		t.Errorf("template ids overlap: %d", d.Template)
	}
	send(&two, short(t, 14, 702), 4)
	q.Switch()
	if d := send(&one, l1t3.key(t, 60, 9), 5); d.Template != 20 {
		t.Errorf("template ids overlap: %d", d.Template)
	}
	// Structures of one source keep their distance.
	if d := send(&one, l1t3.key(t, 2, 10), 6); d.Template != 26 {
		t.Errorf("template id %d", d.Template)
	}
	if _, ok := q.Map(&Descriptor{}); ok {
		t.Error("nothing was parsed, yet mapped")
	}
}
