package sqlstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/store"
)

func TestRooms(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		const addr = "r@muc.localhost"
		if _, _, err := s.Room(ctx, addr); err != store.ErrNotFound {
			t.Errorf("unknown room: %v", err)
		}
		equal(t, "history of an unknown room", history(t, s, addr, 5), []string{})
		epoch := mustClaim(t, s, addr)
		if _, _, err := s.Room(ctx, addr); err != store.ErrNotFound {
			t.Errorf("claimed room: %v", err)
		}
		write := func(c store.Change) {
			t.Helper()
			c.Room, c.Epoch = addr, epoch
			mustWrite(t, s, c)
		}
		get := func(what string, want store.Room, affiliations ...store.Affiliation) {
			t.Helper()
			got, list, err := s.Room(ctx, addr)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			equal(t, what, got, want)
			equal(t, what, list, affiliations)
		}
		room := store.Room{Addr: addr, Config: []byte("1"), Created: at(0)}
		write(store.Change{Put: &room})
		get("put", room)
		owner := store.Affiliation{Addr: "b", Name: "owner"}
		member := store.Affiliation{Addr: "a", Name: "member", Nick: "nick", Reason: "reason"}
		write(store.Change{Affiliations: []store.Affiliation{owner, member}, Messages: messages("1", "2")})
		get("affiliations", room, member, owner)

		room = store.Room{Addr: addr, Config: []byte("2"), Created: at(1), Subject: []byte("s"), SubjectAt: at(2)}
		write(store.Change{Put: &room})
		get("replaced", room, member, owner)
		equal(t, "history", history(t, s, addr, 9), []string{"1", "2"})

		member.Name, member.Nick = "outcast", ""
		write(store.Change{Affiliations: []store.Affiliation{{Addr: "b", Name: "none"}, member, {Addr: "c", Name: "none"}}})
		get("changed affiliations", room, member)
		write(store.Change{Affiliations: []store.Affiliation{{Addr: "d", Name: "admin"}, {Addr: "d", Name: "none"},
			{Addr: "a", Name: "none"}, member}})
		get("the last one counts", room, member)

		write(store.Change{Messages: messages("3", "4", "5")})
		for limit, want := range [][]string{{}, {"5"}, {"4", "5"}, {"3", "4", "5"}} {
			equal(t, fmt.Sprint("limit ", limit), history(t, s, addr, limit), want)
		}
		write(store.Change{Messages: messages("4", "6", "6", "1")})
		equal(t, "known messages", history(t, s, addr, 9), []string{"1", "2", "3", "4", "5", "6"})

		write(store.Change{Delete: true, Put: &room, Messages: messages("7")})
		if _, _, err := s.Room(ctx, addr); err != store.ErrNotFound {
			t.Errorf("deleted room: %v", err)
		}
		equal(t, "history of a deleted room", history(t, s, addr, 5), []string{})
		write(store.Change{Delete: true})
		if got := mustClaim(t, s, addr); got != epoch+1 {
			t.Errorf("epoch after deletion is %d, was %d", got, epoch)
		}
		epoch++
		write(store.Change{Put: &room, Messages: messages("1")})
		get("again", room)
		equal(t, "history of the new room", history(t, s, addr, 5), []string{"1"})
	})
}

func TestKeepBoundsTheHistory(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		epoch := newRoom(t, s, "r")
		other := newRoom(t, s, "other")
		mustWrite(t, s, store.Change{Room: "other", Epoch: other, Messages: messages("1", "2", "3")})
		for _, step := range []struct {
			ids  string
			keep int
			want string
		}{
			{"1 2 3", 0, "1 2 3"}, {"4", 3, "2 3 4"}, {"5 6 7 8 9", 2, "8 9"}, {"10", 5, "8 9 10"}, {"8", 2, "9 10"},
			{"10 10", 1, "10"}, {"11 12", 4, "10 11 12"}, {"13", 1000, "10 11 12 13"}, {"", 1, "10 11 12 13"}, {"14", -1, "10 11 12 13 14"},
		} {
			mustWrite(t, s, store.Change{Room: "r", Epoch: epoch, Messages: messages(strings.Fields(step.ids)...), Keep: step.keep})
			equal(t, fmt.Sprintf("after %q, keep %d", step.ids, step.keep), history(t, s, "r", 99), strings.Fields(step.want))
		}
		equal(t, "history of the other room", history(t, s, "other", 99), []string{"1", "2", "3"})
	})
}

// A message that is there gets another tail and nothing else; one that is not, or is no more, stays away.
func TestReplacedMessages(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		epoch, other := newRoom(t, s, "r"), newRoom(t, s, "other")
		mustWrite(t, s, store.Change{Room: "other", Epoch: other, Messages: messages("2")})
		mustWrite(t, s, store.Change{Room: "r", Epoch: epoch, Messages: messages("1", "2", "3", "4"), Keep: 3})
		stone := func(id string) store.Message {
			return store.Message{ID: id, At: at(7), Sender: "nobody", Author: "nobody", Tail: []byte("<retracted/>")}
		}
		mustWrite(t, s, store.Change{Room: "r", Epoch: epoch, Replace: []store.Message{stone("1"), stone("2"), stone("5"), stone("6")}, Messages: messages("5")})
		want := messages("3", "4", "5")
		two := message("2")
		two.Tail, want[2].Tail = []byte("<retracted/>"), []byte("<retracted/>")
		list, err := s.History(context.Background(), "r", 9)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "history", list, append([]store.Message{two}, want...))
		if list, err = s.History(context.Background(), "other", 9); err != nil {
			t.Fatal(err)
		}
		equal(t, "the other room", list, messages("2"))
		mustWrite(t, s, store.Change{Room: "r", Epoch: epoch, Delete: true})
		if err := write1(s, store.Change{Room: "r", Epoch: epoch, Replace: []store.Message{stone("3")}}); err != store.ErrNotFound {
			t.Errorf("of a room that is no more: %v", err)
		}
	})
}

// TestBatchMeansTheSameAsSingleWrites applies the same changes one at a time and all at once.
func TestBatchMeansTheSameAsSingleWrites(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		script := func(addr string, epoch int64) (list []store.Change) {
			add := func(c store.Change) {
				c.Room = addr
				if c.Epoch == 0 {
					c.Epoch = epoch
				}
				if c.Put != nil {
					c.Put.Addr = addr
				}
				list = append(list, c)
			}
			add(store.Change{Messages: messages("before the room")})
			add(store.Change{})
			add(store.Change{Put: &store.Room{Config: []byte("1")}, Affiliations: []store.Affiliation{{Addr: "a", Name: "owner"}}})
			add(store.Change{Messages: messages("1", "2", "3")})
			add(store.Change{Messages: messages("3", "4"), Keep: 2})
			add(store.Change{Messages: messages("stale"), Epoch: epoch + 1})
			add(store.Change{Delete: true})
			add(store.Change{Affiliations: []store.Affiliation{{Addr: "gone", Name: "owner"}}})
			add(store.Change{Put: &store.Room{Config: []byte("2")}, Messages: messages("3", "1")})
			add(store.Change{Affiliations: []store.Affiliation{{Addr: "b", Name: "admin"}, {Addr: "c", Name: "member"}}})
			add(store.Change{Affiliations: []store.Affiliation{{Addr: "d", Name: "king"}}, Put: &store.Room{Config: []byte("bad")}})
			add(store.Change{Affiliations: []store.Affiliation{{Addr: "b", Name: "none"}, {Addr: "c", Name: "owner"}}})
			add(store.Change{Messages: messages("5", "6", "7"), Keep: 3})
			add(store.Change{Messages: messages("8"), Keep: 100})
			add(store.Change{Epoch: epoch - 1, Delete: true})
			return list
		}
		single, batched := "single", "batched"
		mustClaim(t, s, single) // so that the epoch before the script's is one too
		mustClaim(t, s, batched)
		var one []error
		for _, c := range script(single, mustClaim(t, s, single)) {
			one = append(one, write1(s, c))
		}
		// A first batch is held up so that the second holds all changes.
		release := hold(s)
		changes := script(batched, mustClaim(t, s, batched))
		all := make([]error, len(changes))
		var wg sync.WaitGroup
		for i, c := range changes {
			wg.Add(1)
			s.Write(c, func(err error) { all[i] = err; wg.Done() })
		}
		release()
		wg.Wait()
		equal(t, "results", all, one)
		n, i, st := error(nil), store.ErrInvalid, store.ErrStale
		equal(t, "results", one, []error{store.ErrNotFound, n, n, n, n, st, n, store.ErrNotFound, n, n, i, n, n, n, st})
		for _, addr := range []string{single, batched} {
			room, affiliations, err := s.Room(context.Background(), addr)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, addr+" config", string(room.Config), "2")
			equal(t, addr+" affiliations", affiliations, []store.Affiliation{{Addr: "c", Name: "owner"}})
			equal(t, addr+" history", history(t, s, addr, 99), []string{"5", "6", "7", "8"})
		}
	})
}

// TestRandomBatchMeansTheSameAsSingleWrites does the same with scripts that nobody thought of: few names, so that they
// meet again, and histories that are cut.
func TestRandomBatchMeansTheSameAsSingleWrites(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		random := func(r *rand.Rand, epoch int64) (c store.Change) {
			c.Epoch = epoch
			switch r.IntN(12) {
			case 0:
				c.Epoch--
			case 1:
				c.Delete = true
			case 2, 3, 4:
				c.Put = &store.Room{Created: at(0), Config: []byte(fmt.Sprint(r.IntN(100)))}
			}
			for range r.IntN(3) {
				c.Affiliations = append(c.Affiliations, store.Affiliation{Addr: fmt.Sprint("u", r.IntN(3)),
					Name: []string{"owner", "admin", "member", "outcast", "none", "none", "none", "king"}[r.IntN(8)], Nick: fmt.Sprint(r.IntN(9))})
			}
			for range r.IntN(4) {
				c.Messages = append(c.Messages, message(fmt.Sprint("m", r.IntN(6))))
			}
			c.Keep = r.IntN(4)
			for range r.IntN(3) {
				m := message(fmt.Sprint("m", r.IntN(6)))
				m.Tail = []byte(fmt.Sprint("tombstone", r.IntN(100)))
				c.Replace = append(c.Replace, m)
			}
			return c
		}
		for seed := range uint64(12) {
			var results [2][]error
			var ends [2]string
			for way, addr := range []string{fmt.Sprint("single", seed), fmt.Sprint("batched", seed)} {
				r := rand.New(rand.NewPCG(seed, 0))
				mustClaim(t, s, addr)
				epoch := mustClaim(t, s, addr)
				var changes []store.Change
				for range 40 {
					c := random(r, epoch)
					if c.Room = addr; c.Put != nil {
						c.Put.Addr = addr
					}
					changes = append(changes, c)
				}
				if way == 0 {
					for _, c := range changes {
						results[way] = append(results[way], write1(s, c))
					}
				} else {
					release := hold(s)
					done := make(chan []error)
					go func() { done <- writeAll(s, changes...) }()
					for s.queue.length() < len(changes) {
						time.Sleep(time.Millisecond)
					}
					release()
					results[way] = <-done
				}
				room, affiliations, err := s.Room(ctx, addr)
				said, _ := s.History(ctx, addr, 99)
				ends[way] = fmt.Sprintf("%s %v %v", room.Config, affiliations, err)
				for _, m := range said {
					ends[way] += fmt.Sprintf(" %s:%s", m.ID, m.Tail)
				}
			}
			equal(t, fmt.Sprint("results of script ", seed), results[1], results[0])
			equal(t, fmt.Sprint("end of script ", seed), ends[1], ends[0])
		}
	})
}

func TestClaimCountsUp(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		var mu sync.Mutex
		var epochs []int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 5 {
					epoch, err := s.Claim(context.Background(), "r", "node")
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					epochs = append(epochs, epoch)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		slices.Sort(epochs)
		for i, epoch := range epochs {
			if epoch != int64(i+1) {
				t.Fatalf("epochs are %v", epochs)
			}
		}
	})
}

// TestFencing has two nodes write to one room: two stores on PostgreSQL, one on SQLite, which only one can open.
func TestFencing(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		ctx := context.Background()
		first := mustOpen(t, url, Options{})
		second := first
		if first.name == "postgres" {
			second = mustOpen(t, url, Options{})
		}
		old := newRoom(t, first, "r")
		mine := newRoom(t, first, "mine")
		mustWrite(t, first, store.Change{Room: "r", Epoch: old, Messages: messages("1"),
			Affiliations: []store.Affiliation{{Addr: "a", Name: "owner"}}})
		epoch, err := second.Claim(ctx, "r", "second")
		if err != nil || epoch != old+1 {
			t.Fatalf("claim: %d %v", epoch, err)
		}
		results := writeAll(first,
			store.Change{Room: "mine", Epoch: mine, Messages: messages("1")},
			store.Change{Room: "r", Epoch: old, Messages: messages("stale"), Put: &store.Room{Addr: "r", Config: []byte("stale")},
				Affiliations: []store.Affiliation{{Addr: "a", Name: "none"}, {Addr: "b", Name: "owner"}}, Keep: 1},
			store.Change{Room: "mine", Epoch: mine, Messages: messages("2")},
			store.Change{Room: "r", Epoch: old, Delete: true},
			store.Change{Room: "r", Epoch: old},
			store.Change{Room: "r", Epoch: epoch + 1, Messages: messages("from the future")},
			store.Change{Room: "never claimed", Epoch: 0, Put: &store.Room{Addr: "never claimed"}},
			store.Change{Room: "mine", Epoch: mine, Messages: messages("3")},
		)
		stale := store.ErrStale
		equal(t, "results", results, []error{nil, stale, nil, stale, stale, stale, stale, nil})
		mustWrite(t, second, store.Change{Room: "r", Epoch: epoch, Messages: messages("2")})
		room, affiliations, err := second.Room(ctx, "r")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "room", room, store.Room{Addr: "r", Created: at(0)})
		equal(t, "affiliations", affiliations, []store.Affiliation{{Addr: "a", Name: "owner"}})
		equal(t, "history", history(t, second, "r", 9), []string{"1", "2"})
		equal(t, "history of the neighbour", history(t, second, "mine", 9), []string{"1", "2", "3"})
	})
}

// TestFencingUnderLoad has nodes take a room from each other while all write: whatever was acknowledged is there, and no
// message of an epoch follows one of a later epoch.
func TestFencingUnderLoad(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		ctx := context.Background()
		first := mustOpen(t, url, Options{})
		nodes := []*db{first, first, first}
		if first.name == "postgres" {
			nodes = []*db{first, mustOpen(t, url, Options{}), mustOpen(t, url, Options{})}
		}
		newRoom(t, first, "r")
		var mu sync.Mutex
		acknowledged := make(map[string]bool)
		var wg sync.WaitGroup
		for _, s := range nodes {
			wg.Go(func() {
				for range 15 {
					epoch, err := s.Claim(ctx, "r", "node")
					if err != nil {
						t.Error(err)
						return
					}
					var changes []store.Change
					for i := range 10 {
						changes = append(changes, store.Change{Room: "r", Epoch: epoch, Messages: messages(fmt.Sprintf("%04d-%02d", epoch, i))})
					}
					for i, err := range writeAll(s, changes...) {
						mu.Lock()
						if err == nil {
							acknowledged[changes[i].Messages[0].ID] = true
						} else if err != store.ErrStale {
							t.Error(err)
						}
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		got := history(t, first, "r", 10000)
		if !slices.IsSorted(got) {
			t.Error("a message of an old epoch came late")
		}
		if len(got) != len(acknowledged) {
			t.Errorf("%d messages are there, %d were acknowledged", len(got), len(acknowledged))
		}
		for _, id := range got {
			if !acknowledged[id] {
				t.Errorf("%s was refused and is there", id)
			}
		}
	})
}

func TestOrderIsThatOfTheCalls(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		const rooms, each = 7, 150
		epochs := make([]int64, rooms)
		for i := range epochs {
			epochs[i] = newRoom(t, s, fmt.Sprint("r", i))
		}
		var answered []int // written by the store's goroutine until the last one
		finished := make(chan struct{})
		want := make([][]string, rooms)
		for i := range rooms * each {
			r, id := i%rooms, fmt.Sprint(rooms*each-i) // ids in another order than the calls
			want[r] = append(want[r], id)
			s.Write(store.Change{Room: fmt.Sprint("r", r), Epoch: epochs[r], Messages: messages(id)}, func(err error) {
				if err != nil {
					t.Error(err)
				}
				if answered = append(answered, i); len(answered) == rooms*each {
					close(finished)
				}
			})
		}
		<-finished
		if !slices.IsSorted(answered) {
			t.Error("answers came out of order")
		}
		for r := range rooms {
			equal(t, fmt.Sprint("room ", r), history(t, s, fmt.Sprint("r", r), 1000), want[r])
		}
	})
}

// TestRefusedDataFailsAlone has the database refuse one change of a batch for a reason that the store does not know.
func TestRefusedDataFailsAlone(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		rule := `ALTER TABLE room_message ADD CHECK (id <> 'poison')`
		if s.name == "sqlite" {
			rule = `CREATE TRIGGER rule BEFORE INSERT ON room_message WHEN new.id = 'poison' BEGIN SELECT RAISE(ABORT, 'poison'); END`
		}
		if _, err := s.writer.Exec(rule); err != nil {
			t.Fatal(err)
		}
		epoch := newRoom(t, s, "r")
		release := hold(s)
		var changes []store.Change
		for _, id := range []string{"1", "2", "poison", "3"} {
			changes = append(changes, store.Change{Room: "r", Epoch: epoch, Messages: messages(id)})
		}
		done := make(chan []error)
		go func() { done <- writeAll(s, changes...) }()
		for s.queue.length() < len(changes) {
			time.Sleep(time.Millisecond)
		}
		release()
		results := <-done
		if results[2] == nil {
			t.Error("the poison was taken")
		}
		results[2] = nil
		equal(t, "other results", results, make([]error, 4))
		equal(t, "history", history(t, s, "r", 9), []string{"1", "2", "3"})
	})
}

// hold keeps the store from committing until release is called.
func hold(s store.Store) (release func()) {
	holding, free := make(chan struct{}), make(chan struct{})
	s.Write(store.Change{Room: "nobody"}, func(error) { close(holding); <-free })
	<-holding
	return func() { close(free) }
}

func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

func TestConcurrentUse(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		var wg sync.WaitGroup
		for w := range 6 {
			wg.Go(func() {
				addr := fmt.Sprint("r", w)
				epoch := newRoom(t, s, addr)
				var want []string
				for i := range 30 {
					id := fmt.Sprint(i)
					want = append(want, id)
					c := store.Change{Room: addr, Epoch: epoch, Messages: messages(id), Put: &store.Room{Addr: addr, Config: []byte(id)},
						Affiliations: []store.Affiliation{{Addr: "a", Name: "member", Nick: id}}}
					if err := write1(s, c); err != nil {
						t.Error(err)
					}
					room, affiliations, err := s.Room(ctx, addr) // what was acknowledged can be read, and is of one piece
					if err != nil || string(room.Config) != id || affiliations[0].Nick != id {
						t.Errorf("read %q %v %v after %s was written", room.Config, affiliations, err, id)
					}
				}
				equal(t, addr, history(t, s, addr, 100), want)
			})
		}
		wg.Go(func() {
			for i := range 30 {
				if err := s.CreateAccount(ctx, store.Account{Addr: fmt.Sprint("u", i)}); err != nil {
					t.Error(err)
				}
				if _, err := s.ListRooms(ctx, "", 10); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Wait()
	})
}
