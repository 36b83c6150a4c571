package bridge

import "testing"

// A key frame counts as a usual picture; one of a stream of which no other is known counts in full, as does what is no larger.
func TestKeyFrameCountsAsAPicture(t *testing.T) {
	type packet struct {
		stamp      uint32
		starts     bool
		size, want int
	}
	for name, packets := range map[string][]packet{
		"the first":          {{1, true, 1000, 1000}, {1, false, 500, 500}, {2, false, 300, 300}},
		"between others":     {{1, true, 1000, 1000}, {2, false, 200, 200}, {2, false, 100, 100}, {3, true, 250, 250}, {3, false, 1000, 50}, {3, false, 1000, 0}, {4, false, 300, 300}},
		"as large as others": {{1, false, 400, 400}, {2, true, 400, 400}, {3, false, 400, 400}},
		"two in a row":       {{1, false, 400, 400}, {2, true, 900, 400}, {3, true, 900, 400}},
		"a mean of others":   {{1, false, 400, 400}, {2, false, 800, 800}, {3, true, 900, 500}},
	} {
		t.Run(name, func(t *testing.T) {
			var u usual
			for i, p := range packets {
				if got := u.count(p.stamp, p.starts, p.size); got != p.want {
					t.Errorf("packet %d counts as %d, want %d", i, got, p.want)
				}
			}
		})
	}
}
