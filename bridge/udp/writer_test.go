package udp

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// sink is a path that keeps what it is given: one list for each flush.
type sink struct {
	mu      sync.Mutex
	flushes [][]string
}

func (s *sink) send(w *waiting) {
	var list []string
	for i := range w.n {
		list = append(list, string(w.datagram(uint8(i))))
	}
	s.mu.Lock()
	s.flushes = append(s.flushes, list)
	s.mu.Unlock()
}

func (s *sink) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := fmt.Sprint(s.flushes)
	s.flushes = nil
	return got
}

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return start.Add(d) }

// TestWhenAWriterSends walks through the rules with a reader's batch.
func TestWhenAWriterSends(t *testing.T) {
	const ms = time.Millisecond
	type step struct {
		at      time.Duration
		write   string // one datagram for each letter; a capital ends a frame
		drained bool
		sent    string
		next    time.Duration // -1: never
	}
	for _, c := range []struct {
		name  string
		delay time.Duration
		steps []step
	}{
		{"without a delay, when all that came is handled", 0, []step{
			{0, "ab", false, "[]", ms},
			{ms / 2, "c", true, "[[a b c]]", -1},
			{ms, "", true, "[]", -1},
		}},
		{"without a delay, and more comes without an end", 0, []step{
			{0, "a", false, "[]", ms},
			{ms / 2, "b", false, "[]", ms},
			{ms, "c", false, "[[a b c]]", -1},
			{2 * ms, "d", true, "[[d]]", -1},
		}},
		{"with a delay, when the oldest has waited", 2 * ms, []step{
			{0, "a", true, "[]", 2 * ms},
			{ms, "b", true, "[]", 2 * ms},
			{2 * ms, "", true, "[[a b]]", -1},
			{3 * ms, "c", true, "[]", 5 * ms},
			{5 * ms, "", true, "[[c]]", -1},
		}},
		{"with a delay, when the frame is complete", 2 * ms, []step{
			{0, "a", true, "[]", 2 * ms},
			{ms / 4, "bC", true, "[[a b C]]", -1},
			{ms / 2, "d", true, "[]", 2*ms + ms/2},
		}},
		{"a delay is bounded", time.Hour, []step{
			{0, "a", true, "[]", 5 * ms},
			{5 * ms, "", true, "[[a]]", -1},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s sink
			w := &Writer{path: &s}
			w.SetDelay(c.delay)
			b := &Batch{returns: true}
			for i, step := range c.steps {
				b.Now = at(step.at)
				for _, letter := range step.write {
					w.Write(b, []byte(string(letter)), 1, letter < 'a')
				}
				want := time.Time{}
				if step.next >= 0 {
					want = at(step.next)
				}
				if next := b.settle(step.drained); !next.Equal(want) {
					t.Errorf("step %d: next at %v, want %v", i, next.Sub(start), step.next)
				}
				if got := s.take(); got != step.sent {
					t.Errorf("step %d: sent %s, want %s", i, got, step.sent)
				}
			}
		})
	}
}

func TestOneFlushForEachReceiver(t *testing.T) {
	var sinks [3]sink
	var writers [3]*Writer
	b := NewBatch(start)
	for i := range writers {
		writers[i] = &Writer{path: &sinks[i]}
	}
	for n := range 4 { // four incoming packets, each forwarded to all
		for _, w := range writers {
			w.Write(b, []byte{byte('a' + n)}, 1, true)
		}
	}
	b.Done()
	for i := range sinks {
		if got := sinks[i].take(); got != "[[a b c d]]" {
			t.Errorf("receiver %d: %s", i, got)
		}
	}
	b.Done()
	if got := sinks[0].take(); got != "[]" || len(b.list) != 0 {
		t.Errorf("sent again: %s, %d on the list", got, len(b.list))
	}
}

// TestTwoBatches: what a second goroutine makes ripe does not wait for the first, and the first forgets nothing.
func TestTwoBatches(t *testing.T) {
	var s sink
	w := &Writer{path: &s}
	w.SetDelay(time.Millisecond)
	first, second, other := &Batch{Now: start, returns: true}, &Batch{Now: start, returns: true}, NewBatch(start)

	w.Write(first, []byte("a"), 1, false)
	first.settle(true)
	w.Write(second, []byte("b"), 2, false)
	if second.settle(true); s.take() != "[]" || len(second.list) != 0 {
		t.Error("the second sends what the first comes back for")
	}
	w.Write(second, []byte("c"), 2, true)
	if second.settle(true); s.take() != "[[a b c]]" {
		t.Error("what has become ripe waits for the first")
	}
	w.SetDelay(longest)
	w.Write(second, []byte("x"), 1, true) // on the list of the first, which is in no hurry
	if next := second.settle(false); next != at(overload) || s.take() != "[]" {
		t.Errorf("while more comes, what is ripe is looked at again at %v", next)
	}
	if second.settle(true); s.take() != "[[x]]" || len(second.list) != 0 {
		t.Error("what is ripe waits for the first, when nothing more comes")
	}
	w.SetDelay(time.Millisecond)
	w.Write(other, []byte("d"), 3, false)
	if other.Done(); s.take() != "[[d]]" {
		t.Error("a goroutine that does not come back leaves something behind")
	}
	w.Write(second, []byte("e"), 1, false) // still on the list of the first
	first.Now = at(time.Millisecond)
	if first.settle(true); s.take() != "[[e]]" || len(first.list) != 0 || w.listed != nil {
		t.Error("the first does not come back")
	}
	w.Write(second, []byte("f"), 1, false)
	second.Now = at(time.Millisecond)
	if second.settle(true); s.take() != "[[f]]" {
		t.Error("the writer stays with a batch that has done with it")
	}
}

func TestReserve(t *testing.T) {
	var s sink
	w := &Writer{path: &s}
	b := NewBatch(start)
	for _, n := range []int{-1, 0, largest + 1} {
		if w.Reserve(n) != nil {
			t.Errorf("%d bytes are reserved", n)
		}
	}
	p := w.Reserve(100)
	if len(p) != 100 || cap(p) != 100 {
		t.Errorf("%d bytes, room for %d", len(p), cap(p))
	}
	w.Commit(b, 0, 1, true)
	if len(b.list) != 0 {
		t.Error("nothing was committed, and the batch comes back for it")
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("more is committed than was reserved")
			}
		}()
		w.Reserve(100)
		w.Commit(b, 101, 1, false)
	}()
	w.Commit(b, copy(w.Reserve(100), "short"), 1, false)
	if b.Done(); s.take() != "[[short]]" {
		t.Error("not what was committed")
	}

	for i := range most + 1 {
		w.Write(b, []byte{byte(i)}, 1, false)
	}
	if len(s.flushes) != 1 || len(s.flushes[0]) != most {
		t.Error("more datagrams than fit do not send the others")
	}
	s.take()
	w.Write(b, bytes.Repeat([]byte("x"), 40000), 1, false)
	w.Write(b, bytes.Repeat([]byte("y"), 40000), 1, false)
	b.Done()
	if len(s.flushes) != 2 || len(s.flushes[0]) != 2 || len(s.flushes[1]) != 1 || s.flushes[1][0][0] != 'y' {
		t.Error("more bytes than fit do not send the others")
	}

	s.take()
	w.Write(b, []byte("late"), 1, true)
	w.Close()
	if b.Done(); s.take() != "[]" || w.Reserve(1) != nil || w.Write(b, []byte("x"), 1, true) {
		t.Error("a closed writer sends")
	}
}

// TestWriterByMany commits from many goroutines, readers and others. Nothing is lost, and each one's own keep their order.
func TestWriterByMany(t *testing.T) {
	const each = 2000
	var s sink
	w := &Writer{path: &s}
	w.SetDelay(time.Millisecond)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			b := &Batch{Now: start, returns: g%2 == 0}
			for i := range each {
				b.Now = at(time.Duration(i) * 50 * time.Microsecond)
				p := w.Reserve(8)
				copy(p, fmt.Sprintf("%d %06d", g, i))
				w.Commit(b, 8, uint32(g), i%7 == 0)
				if i%3 == 0 && b.returns {
					b.settle(i%2 == 0)
				} else if i%3 == 0 {
					b.Done()
				}
			}
			b.returns = false
			b.Done()
		})
	}
	all.Wait()
	if w.w != nil || w.listed != nil {
		t.Error("something is left")
	}
	got := make(map[byte][]string)
	for _, list := range s.flushes {
		for _, d := range list {
			got[d[0]] = append(got[d[0]], d)
		}
	}
	for g := range 4 {
		list := got[byte('0'+g)]
		if len(list) != each || !slices.IsSorted(list) {
			t.Errorf("goroutine %d: %d of %d datagrams, sorted: %v", g, len(list), each, slices.IsSorted(list))
		}
	}
}
