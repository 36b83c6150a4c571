package sqlstore

import (
	"fmt"
	"sync"
	"testing"

	"parley/internal/store"
)

// BenchmarkWrites measures acknowledged messages per second when each of so many writers waits for one before it sends
// the next. Every writer has a room of its own, with a history of 20.
func BenchmarkWrites(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		for _, writers := range []int{1, 16, 256} {
			b.Run(fmt.Sprintf("%s/writers=%d", kind, writers), func(b *testing.B) {
				s := mustOpen(b, databases()[kind](b), Options{})
				tail := make([]byte, 300)
				epochs := make([]int64, writers)
				for w := range epochs {
					epochs[w] = newRoom(b, s, fmt.Sprint("r", w))
				}
				b.ResetTimer()
				var wg sync.WaitGroup
				for w := range writers {
					wg.Go(func() {
						for i := w; i < b.N; i += writers {
							m := store.Message{ID: fmt.Sprintf("%032d", i), At: at(i), Sender: "r@muc.localhost/romeo", Tail: tail}
							c := store.Change{Room: fmt.Sprint("r", w), Epoch: epochs[w], Messages: []store.Message{m}, Keep: 20}
							if err := write1(s, c); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
			})
		}
	}
}
