package mailbox

import (
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestInOrderAndOneAtATime(t *testing.T) {
	var b Box
	got := make([][]int, 4) // guarded by the box alone
	var all sync.WaitGroup
	for who := range got {
		all.Go(func() {
			for i := range 500 {
				if i%2 == 0 {
					b.Post(func() { got[who] = append(got[who], i) })
				} else {
					b.Do(func() { got[who] = append(got[who], i) })
				}
			}
		})
	}
	all.Wait()
	b.Do(func() {})
	for who, list := range got {
		if len(list) != 500 || !slices.IsSorted(list) {
			t.Errorf("of %d: %v", who, list)
		}
	}
}

func TestHF13PanicIsKeptToWhatCausedIt(t *testing.T) {
	var hurt []any
	b := Box{Hurt: func(err any, stack []byte) { hurt = append(hurt, err) }}
	done := 0
	b.Post(func() { panic("one") })
	b.Do(func() { done++; panic("two") })
	b.Do(func() { done++ })
	if done != 2 || !slices.Equal(hurt, []any{"one", "two"}) {
		t.Errorf("%d done, %v", done, hurt)
	}
}
