package sqlstore

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"parley/internal/store"
)

// What the test binary finds in its environment when it is the child that archives and is going to be killed.
const (
	archivingURL  = "PARLEY_TEST_ARCHIVING"
	archivingFrom = "PARLEY_TEST_ARCHIVING_FROM"
)

// archivingKeep is small, so that messages go while others come.
const archivingKeep = 500

func archivingOwners() []string { return []string{"a@x", "b@x", "c@x"} }

// archivingChild archives messages of one account with the next one until it is killed, and tells on file 3 what was
// acknowledged.
func archivingChild(url string) {
	from, _ := strconv.Atoi(os.Getenv(archivingFrom))
	acknowledged := os.NewFile(3, "acknowledged")
	fail := func(err error) {
		fmt.Fprintln(acknowledged, "error", err)
		os.Exit(1)
	}
	s, err := Open(context.Background(), url, Options{})
	if err != nil {
		fail(err)
	}
	limit := store.ArchiveLimit{Messages: archivingKeep}
	free := make(chan struct{}, 2*inFlight)
	go func() {
		for n := from; ; n++ {
			free <- struct{}{}
			owners := archivingOwners()
			sender, recipient := owners[n%3], owners[(n+1)%3]
			s.Append([]store.Appended{appended(sender, n, recipient, limit), appended(recipient, n, sender, limit)}, func(err error) {
				if err != nil {
					fail(err)
				}
				fmt.Fprintln(acknowledged, n)
				<-free
			})
		}
	}()
	time.Sleep(time.Minute) // only if the parent died
}

// TestHF8HR9KilledArchive kills the process that archives, again and again: every acknowledged message is in both archives, in
// order and once, and what the archives say of themselves is so.
func TestHF8HR9KilledArchive(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		s := mustOpen(t, url, Options{})
		newAccount(t, s, archivingOwners()...)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		next, total := 1, 0
		for range kills() {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), archivingURL+"="+url, archivingFrom+"="+strconv.Itoa(next))
			cmd.ExtraFiles = []*os.File{w}
			cmd.Stderr = os.Stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			w.Close()
			last := next - 1
			lines := bufio.NewScanner(r)
			for first := true; lines.Scan(); first = false {
				n, err := strconv.Atoi(lines.Text())
				if err != nil || n != last+1 {
					t.Errorf("the child says %q after %d", lines.Text(), last)
					break
				}
				last = n
				if first {
					time.AfterFunc(rand.N(150*time.Millisecond), func() { cmd.Process.Kill() })
				}
			}
			cmd.Process.Kill()
			cmd.Wait()
			r.Close()
			total += last - next + 1

			s := mustOpen(t, url, Options{})
			highest := 0
			var ends []int
			for i, owner := range archivingOwners() {
				got, _ := archived(t, s, store.ArchiveQuery{Owner: owner, Limit: 10_000})
				e, err := s.ArchiveEnds(context.Background(), owner)
				if err != nil || e.Count != len(got) {
					t.Errorf("%s: %d are counted, %d are there: %v", owner, e.Count, len(got), err)
				}
				var want []int // those that the account sent and got, from the first one that is there
				for n := first(got); n <= last; n++ {
					if n%3 == i || (n+1)%3 == i {
						want = append(want, n)
					}
				}
				if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
					t.Errorf("%s: %d messages are there, %d to %d were to be", owner, len(got), first(want), last)
				}
				if len(got) > archivingKeep || last > 2*archivingKeep && len(got) < archivingKeep*9/10 {
					t.Errorf("%s: %d messages", owner, len(got))
				}
				if len(got) > 0 {
					ends = append(ends, got[len(got)-1])
					highest = max(highest, got[len(got)-1])
				}
			}
			// Both archives have a message or none has: of three accounts two have the highest number.
			if n := count(ends, highest); highest > 0 && n != 2 {
				t.Errorf("the last message %d is in %d archives", highest, n)
			}
			s.Close()
			next = max(next, highest+1)
		}
		if total == 0 {
			t.Error("nothing was acknowledged")
		}
		t.Logf("%d messages were acknowledged", total)
	})
}

func first(list []int) int {
	if len(list) == 0 {
		return 1
	}
	return list[0]
}

func count(list []int, n int) (times int) {
	for _, v := range list {
		if v == n {
			times++
		}
	}
	return times
}
