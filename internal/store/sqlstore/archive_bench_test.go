package sqlstore

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/internal/store"
)

const benchArchive = 100_000

// fill gives an account an archive of 100,000 messages with ten others.
func fill(b *testing.B, s *db, owner string) {
	b.Helper()
	newAccount(b, s, owner)
	var wg sync.WaitGroup
	for from := 0; from < benchArchive; from += 500 {
		var list []store.Appended
		for n := from; n < from+500; n++ {
			m := appended(owner, n, fmt.Sprintf("peer%d@x.net/resource", n%10), store.ArchiveLimit{})
			m.Message.Tail = []byte(fmt.Sprintf(" to='%s' from='%s' type='chat' id='%d'><body>%d %s</body></message>", owner, m.Message.Peer, n, n, strings.Repeat("x", 150)))
			list = append(list, m)
		}
		wg.Add(1)
		s.Append(list, func(err error) {
			if err != nil {
				b.Error(err)
			}
			wg.Done()
		})
	}
	wg.Wait()
}

// cpu is the processor time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkArchivePage measures a page of 50 out of 100,000 messages, wherever it is.
func BenchmarkArchivePage(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		s := mustOpen(b, databases()[kind](b), Options{})
		fill(b, s, "a@x.net")
		for _, c := range []struct {
			name string
			q    store.ArchiveQuery
		}{
			{"first", store.ArchiveQuery{}},
			{"middle", store.ArchiveQuery{After: []string{archiveID(benchArchive / 2)}}},
			{"last", store.ArchiveQuery{Backward: true}},
			{"by-time", store.ArchiveQuery{Start: at(benchArchive / 3)}},
			{"with", store.ArchiveQuery{With: "peer3@x.net", Before: []string{archiveID(benchArchive / 2)}, Backward: true}},
		} {
			c.q.Owner, c.q.Limit, c.q.Bytes = "a@x.net", 50, 128<<10
			b.Run(kind+"/"+c.name, func(b *testing.B) {
				start := cpu()
				for b.Loop() {
					list, more, err := s.ArchivePage(context.Background(), c.q)
					if err != nil || len(list) != 50 || !more {
						b.Fatalf("%d messages, more %v: %v", len(list), more, err)
					}
				}
				b.ReportMetric(float64((cpu()-start).Microseconds())/float64(b.N), "µs-CPU/page")
			})
		}
	}
}

// BenchmarkArchiveAppend measures committed messages per second when each of so many writers waits for one before it sends
// the next. Each message goes into two archives.
func BenchmarkArchiveAppend(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		for _, writers := range []int{1, 16, 256} {
			b.Run(fmt.Sprintf("%s/writers=%d", kind, writers), func(b *testing.B) {
				s := mustOpen(b, databases()[kind](b), Options{})
				for w := range writers {
					newAccount(b, s, fmt.Sprintf("u%d@x", w))
				}
				tail := make([]byte, 300)
				b.ResetTimer()
				start := cpu()
				var wg sync.WaitGroup
				for w := range writers {
					wg.Go(func() {
						for i := w; i < b.N; i += writers {
							me, other := fmt.Sprintf("u%d@x", w), fmt.Sprintf("u%d@x", (w+1)%writers)
							limit := store.ArchiveLimit{Messages: benchArchive, Bytes: 256 << 20}
							list := []store.Appended{appended(me, 2*i, other, limit), appended(other, 2*i+1, me, limit)}
							list[0].Message.Tail, list[1].Message.Tail = tail, tail
							if err := append1(s, list...); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
				b.ReportMetric(float64((cpu()-start).Microseconds())/float64(b.N), "µs-CPU/message")
			})
		}
	}
}
