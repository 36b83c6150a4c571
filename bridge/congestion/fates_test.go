package congestion

import "testing"

func TestRowsOfLosses(t *testing.T) {
	for name, c := range map[string]struct {
		lost []int64
		want int64
	}{
		"one by one":        {[]int64{1, 3, 5, 7, 9}, 0},
		"three in a row":    {[]int64{1, 2, 3, 5, 6, 7}, 0},
		"four in a row":     {[]int64{1, 2, 3, 4, 6}, 4},
		"six, then four":    {[]int64{1, 2, 3, 4, 5, 6, 8, 9, 10, 11}, 10},
		"the first are not": {[]int64{0, 1, 2}, 0},
	} {
		var f Fates
		r := row{last: -9}
		for _, n := range c.lost {
			f.add(n, &r)
		}
		if f.InRows != c.want || f.Lost != int64(len(c.lost)) || f.Total != f.Lost {
			t.Errorf("%s: %+v", name, f)
		}
	}
}
