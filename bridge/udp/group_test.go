package udp

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// groups returns the plan as lists of datagrams.
func (p *plan) lists() [][]int {
	var all [][]int
	for _, g := range p.groups[:p.n] {
		var list []int
		for i := g.first; ; i = p.next[i] {
			list = append(list, int(i))
			if i == g.last {
				break
			}
		}
		all = append(all, list)
	}
	return all
}

func TestPlan(t *testing.T) {
	for _, c := range []struct {
		name    string
		sizes   []uint16
		streams []uint32
		limit   int
		want    [][]int
	}{
		{"one", []uint16{100}, []uint32{1}, 1500, [][]int{{0}}},
		{"a frame", []uint16{1052, 1052, 1052, 400}, []uint32{1, 1, 1, 1}, 1500, [][]int{{0, 1, 2, 3}}},
		{"a larger one follows", []uint16{400, 1052}, []uint32{1, 1}, 1500, [][]int{{0}, {1}}},
		{"a larger one of another stream follows", []uint16{400, 1052}, []uint32{1, 2}, 1500, [][]int{{1, 0}}},
		{"sizes of a frame that differ by one", []uint16{646, 643, 1009, 1009, 1008}, []uint32{1, 1, 1, 1, 1}, 1500, [][]int{{0, 1}, {2, 3, 4}}},
		{"two streams in turn", []uint16{900, 500, 900, 500}, []uint32{1, 2, 1, 2}, 1500, [][]int{{0, 2}, {1, 3}}},
		{"order within a stream", []uint16{900, 500, 900}, []uint32{1, 1, 1}, 1500, [][]int{{0, 1}, {2}}},
		{"only one shorter at the end", []uint16{900, 500, 400}, []uint32{1, 2, 3}, 1500, [][]int{{0, 1}, {2}}},
		{"the kernel does not cut", []uint16{900, 900}, []uint32{1, 1}, 0, [][]int{{0}, {1}}},
		{"too large to be cut", []uint16{1400, 1400, 200, 200}, []uint32{1, 1, 2, 2}, 1300, [][]int{{0}, {1}, {2, 3}}},
		{"more bytes than a call takes", []uint16{30000, 30000, 30000}, []uint32{1, 1, 1}, 65535, [][]int{{0, 1}, {2}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p plan
			p.make(c.sizes, c.streams, c.limit)
			if got := p.lists(); fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// TestPlanKeepsTheRules: every datagram leaves once, those of a stream in order, and each group is one that the kernel
// cuts as it should.
func TestPlanKeepsTheRules(t *testing.T) {
	var p plan // used again and again, as it is in a writer
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, most).Draw(t, "n")
		some := rapid.SliceOfN(rapid.Uint16Range(1, 2000), 1, 5).Draw(t, "sizes used")
		sizes := rapid.SliceOfN(rapid.SampledFrom(some), n, n).Draw(t, "sizes")
		streams := rapid.SliceOfN(rapid.Uint32Range(1, 6), n, n).Draw(t, "streams")
		limit := rapid.SampledFrom([]int{0, 700, 1500, 65535}).Draw(t, "limit")
		p.make(sizes, streams, limit)
		var left []int
		for k, list := range p.lists() {
			left = append(left, list...)
			size, bytes := int(sizes[list[0]]), 0
			for at, i := range list {
				bytes += int(sizes[i])
				if n := int(sizes[i]); n > size || n < size && at != len(list)-1 {
					t.Fatalf("group %v has sizes that cannot be cut", list)
				}
			}
			g := p.groups[k]
			if len(list) > 1 && size > limit || bytes > largest || g.size != size || g.bytes != bytes || g.count != len(list) {
				t.Fatalf("group %v is %+v", list, g)
			}
		}
		last := make(map[uint32]int)
		for _, i := range left {
			if before, ok := last[streams[i]]; ok && before > i {
				t.Fatalf("stream %d: datagram %d leaves after %d: %v", streams[i], i, before, p.lists())
			}
			last[streams[i]] = i
		}
		slices.Sort(left)
		for i := range n {
			if len(left) != n || left[i] != i {
				t.Fatalf("%d datagrams: %v", n, left)
			}
		}
	})
}
