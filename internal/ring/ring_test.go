package ring

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func (r *Ring[T]) all() (list []T) {
	for i := range r.Len() {
		list = append(list, *r.At(i))
	}
	return list
}

// TestLikeASlice: whatever is done, the queue holds what a slice would, and nothing of what it has forgotten.
func TestLikeASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r Ring[*int]
		var want []*int
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1, 2:
				v := new(int)
				r.Push(v, 4)
				want = append(want, v)
			case 3:
				if len(want) > 0 {
					r.Pop()
					want = want[1:]
				}
			case 4:
				n := rapid.IntRange(0, len(want)).Draw(t, "n")
				r.Cut(n)
				want = want[:n:n]
			default:
				r.Rest(rapid.IntRange(0, 16).Draw(t, "most"))
			}
			if got := r.all(); !slices.Equal(got, want) {
				t.Fatalf("holds %v, want %v", got, want)
			}
			held := 0
			for _, v := range r.memory {
				if v != nil {
					held++
				}
			}
			if held != len(want) {
				t.Fatalf("remembers %d of %d", held, len(want))
			}
		}
		r.Cut(0)
		if r.Rest(0); r.memory != nil {
			t.Fatal("an empty queue holds memory")
		}
	})
}

// TestMemoryIsUsedAgain: a queue that is as long as it gets allocates no more.
func TestMemoryIsUsedAgain(t *testing.T) {
	var r Ring[[7]int]
	for range 16 {
		r.Push([7]int{}, 16)
	}
	if n := testing.AllocsPerRun(1000, func() {
		r.Pop()
		r.Push([7]int{}, 16)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
