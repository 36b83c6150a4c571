package sqlstore

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/internal/store"
)

// What the test binary finds in its environment when it is the child that is going to be killed.
const (
	childURL   = "PARLEY_TEST_STORE"
	childRound = "PARLEY_TEST_ROUND"
)

const (
	killRooms = 4
	killUsers = 5
	inFlight  = 8
)

// kills is how often processes are killed.
func kills() int {
	if n, err := strconv.Atoi(os.Getenv("PARLEY_KILLS")); err == nil && n > 0 {
		return n
	}
	return 5
}

// step is the nth change of a round in a room: a message, one of the users' affiliations, and sometimes the config.
func step(room, round, n int, epoch int64) store.Change {
	addr, id := fmt.Sprint("r", room), fmt.Sprintf("%d-%d", round, n)
	c := store.Change{Room: addr, Epoch: epoch, Messages: messages(id),
		Affiliations: []store.Affiliation{{Addr: fmt.Sprint("u", n%killUsers), Name: "member", Nick: id}}}
	if n%10 == 1 {
		c.Put = &store.Room{Addr: addr, Config: []byte(id), Created: at(0)}
	}
	return c
}

// child writes until it is killed, and tells on file 3 what was acknowledged.
func child(url string) {
	round, _ := strconv.Atoi(os.Getenv(childRound))
	acknowledged := os.NewFile(3, "acknowledged")
	fail := func(err error) {
		fmt.Fprintln(acknowledged, "error", err)
		os.Exit(1)
	}
	s, err := Open(context.Background(), url, Options{})
	if err != nil {
		fail(err)
	}
	for room := range killRooms {
		epoch, err := s.Claim(context.Background(), fmt.Sprint("r", room), "child")
		if err != nil {
			fail(err)
		}
		go func() {
			free := make(chan struct{}, inFlight)
			for n := 1; ; n++ {
				free <- struct{}{}
				s.Write(step(room, round, n, epoch), func(err error) {
					if err != nil {
						fail(err)
					}
					fmt.Fprintln(acknowledged, room, n)
					<-free
				})
			}
		}()
	}
	time.Sleep(time.Minute) // only if the parent died
}

// killed runs a child on the store, kills it at a random time and returns the last acknowledged change of each room.
func killed(t *testing.T, url string, round int) (last [killRooms]int) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childURL+"="+url, childRound+"="+strconv.Itoa(round))
	cmd.ExtraFiles = []*os.File{w}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	lines := bufio.NewScanner(r)
	for first := true; lines.Scan(); first = false {
		var room, n int
		if _, err := fmt.Sscan(lines.Text(), &room, &n); err != nil {
			t.Errorf("the child says: %s", lines.Text())
			break
		}
		if n != last[room]+1 {
			t.Errorf("round %d, room %d: %d was acknowledged after %d", round, room, n, last[room])
		}
		last[room] = n
		if first {
			time.AfterFunc(rand.N(150*time.Millisecond), func() { cmd.Process.Kill() })
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	return last
}

// TestHF8HR9KilledServer kills the process that writes, again and again, and finds everything that was acknowledged: in
// order, once, and each change as a whole.
func TestHF8HR9KilledServer(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		rounds := kills()
		var acknowledged [][killRooms]int
		total, more := 0, 0
		for round := range rounds {
			acknowledged = append(acknowledged, killed(t, url, round))
			s := mustOpen(t, url, Options{})
			for room := range killRooms {
				written := checkRoom(t, s, room, round+1)
				for before, last := range acknowledged {
					if written[before] < last[room] {
						t.Errorf("round %d, room %d: %d changes of round %d are there, %d were acknowledged",
							round, room, written[before], before, last[room])
					}
				}
				total += acknowledged[round][room]
				more += written[round] - acknowledged[round][room]
			}
			s.Close()
		}
		if total == 0 {
			t.Error("nothing was acknowledged")
		}
		t.Logf("%d changes were acknowledged in %d rounds, %d more were stored", total, rounds, more)
	})
}

// checkRoom checks that a room's history holds, for each round, the changes from the first one on without gap, and that
// the other tables fit the last one. It returns the number of changes for each round.
func checkRoom(t *testing.T, s store.Store, room, rounds int) (written []int) {
	t.Helper()
	addr := fmt.Sprint("r", room)
	written = make([]int, rounds)
	nicks := make(map[string]string)
	config, current := "", 0
	for _, id := range history(t, s, addr, 1e9) {
		round, n, _ := strings.Cut(id, "-")
		r, _ := strconv.Atoi(round)
		i, _ := strconv.Atoi(n)
		if r < current || r >= rounds || i != written[r]+1 {
			t.Fatalf("%s: message %s follows number %d", addr, id, written[current])
		}
		written[r], current = i, r
		nicks[fmt.Sprint("u", i%killUsers)] = id
		if i%10 == 1 {
			config = id
		}
	}
	if current == 0 && written[0] == 0 {
		return written // killed before the first commit
	}
	stored, affiliations, err := s.Room(context.Background(), addr)
	if err != nil {
		t.Fatal(err)
	}
	if string(stored.Config) != config {
		t.Errorf("%s: config is of %s, messages are up to that of %s", addr, stored.Config, config)
	}
	for _, a := range affiliations {
		if a.Nick != nicks[a.Addr] {
			t.Errorf("%s: affiliation of %s is of %s, its message is %s", addr, a.Addr, a.Nick, nicks[a.Addr])
		}
	}
	if len(affiliations) != len(nicks) {
		t.Errorf("%s: %d affiliations, want %d", addr, len(affiliations), len(nicks))
	}
	return written
}

// TestHF7HF8KilledPostgres kills the database under load and starts it again. The patient store rides over it; with the
// impatient one writers get errors, and write the same again. Either way everything is there in order, once.
func TestHF7HF8KilledPostgres(t *testing.T) {
	for name, patience := range map[string]time.Duration{"patient": 20 * time.Second, "impatient": 30 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := peertest.OwnPostgres(t)
			database := server.Database(t)
			s := mustOpen(t, database, Options{Patience: patience})
			stop := make(chan struct{})
			var wg sync.WaitGroup
			var last [killRooms]int
			var failures [killRooms]int
			for room := range killRooms {
				epoch := mustClaim(t, s, fmt.Sprint("r", room))
				wg.Go(func() {
					for n := 1; ; n++ {
						select {
						case <-stop:
							return
						default:
						}
						for write1(s, step(room, 0, n, epoch)) != nil {
							failures[room]++
							time.Sleep(time.Millisecond)
						}
						last[room] = n
					}
				})
			}
			for range max(2, kills()/5) {
				time.Sleep(100*time.Millisecond + rand.N(200*time.Millisecond))
				server.Kill(t)
				time.Sleep(rand.N(100 * time.Millisecond))
				server.Start(t)
			}
			time.Sleep(200 * time.Millisecond)
			close(stop)
			wg.Wait()
			total, failed := 0, 0
			reader := mustOpen(t, database, Options{}) // a busy machine must not spoil the comparison
			for room := range killRooms {
				if written := checkRoom(t, reader, room, 1); written[0] != last[room] {
					t.Errorf("room %d: %d changes are there, %d were acknowledged", room, written[0], last[room])
				}
				total += last[room]
				failed += failures[room]
			}
			if name == "patient" && failed > 0 {
				t.Errorf("%d writes failed", failed)
			}
			if name == "impatient" && failed == 0 {
				t.Error("no write failed: the database was never away")
			}
			t.Logf("%d changes acknowledged, %d tries failed", total, failed)
		})
	}
}
