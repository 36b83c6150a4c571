package journal

import (
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// gauge is a source's value that is appended late.
type gauge struct {
	c     *counters
	name  string
	value atomic.Int64
	asked atomic.Bool
	heard atomic.Int64
	also  func() // called by Late
}

func (g *gauge) set(v int64) {
	g.value.Store(v)
	if !g.asked.Load() {
		g.asked.Store(g.c.part.AppendLate(g))
	}
}

func (g *gauge) Late() {
	g.asked.Store(false)
	g.heard.Add(1)
	g.c.set(g.name, int(g.value.Load()))
	if g.also != nil {
		g.also()
	}
}

func TestLateOnceForManyChanges(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir, Options{})
	g := &gauge{c: p.a, name: "g", also: func() {
		if p.gate.TryRLock() {
			p.gate.RUnlock()
			t.Error("a group may come between what it says and what is written")
		}
	}}
	for v := range int64(100) {
		g.set(v)
	}
	p.Flush()
	if n := g.heard.Load(); n != 1 {
		t.Errorf("it was heard %d times", n)
	}
	p.Flush()
	g.set(100) // and not flushed
	p.kill()
	p = begin(t, dir, Options{})
	p.a.is(t, map[string]int{"g": 99})
}

// Who asks while the others are heard is heard as well.
func TestLateWhileOthersAreHeard(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir, Options{})
	second := &gauge{c: p.b, name: "second"}
	first := &gauge{c: p.a, name: "first", also: func() { second.set(2) }}
	first.set(1)
	p.Flush()
	p.kill()
	p = begin(t, dir, Options{})
	p.a.is(t, map[string]int{"first": 1})
	p.b.is(t, map[string]int{"second": 2})
}

// What is said late is in the group in which it was announced.
func TestLateIsInItsGroup(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir, Options{Size: 16 << 10})
	const writers = 4
	stop := make(chan struct{})
	var all sync.WaitGroup
	for i := range writers {
		g := &gauge{c: p.a, name: string(rune('a' + i))}
		p.b.set(g.name, 0)
		all.Go(func() {
			for v := int64(1); ; v++ {
				select {
				case <-stop:
					return
				default:
				}
				p.Begin()
				p.b.add(g.name)
				g.set(v)
				p.End()
				p.FlushTo(p.Position())
			}
		})
	}
	copies, checked := t.TempDir(), 0
	for tries := 0; checked < 20 && tries < 2000; tries++ {
		time.Sleep(time.Millisecond)
		p.write.Lock()
		name := fileName(copies, 0)
		if p.old == nil && p.file != nil { // between two writes
			b, err := os.ReadFile(p.file.name)
			if err == nil {
				err = os.WriteFile(name, b, 0o600)
			}
			if err != nil {
				t.Error(err)
			}
		}
		p.write.Unlock()
		if len(files(t, copies)) == 0 {
			continue
		}
		found := begin(t, copies, Options{})
		for name, v := range found.a.values {
			if v != found.b.values[name] {
				t.Errorf("%s: %d was said late, and %d were counted", name, v, found.b.values[name])
			}
		}
		found.kill()
		if err := removeBefore(copies, math.MaxInt64); err != nil {
			t.Fatal(err)
		}
		checked += len(found.a.values)
	}
	close(stop)
	all.Wait()
	if checked == 0 {
		t.Error("nothing was found")
	}
}

// A journal that fails lets everybody ask again when it works again.
func TestLateWhileTheJournalIsOff(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir, Options{Retry: 1 << 50})
	g := &gauge{c: p.a, name: "g"}
	g.set(1)
	p.write.Lock()
	p.failLocked(syscall.ENOSPC)
	p.write.Unlock()
	if g.asked.Load() {
		t.Fatal("it still waits to be heard")
	}
	if g.set(2); g.asked.Load() {
		t.Error("a journal that is off took it")
	}
	p.turn()
	g.set(3)
	p.Flush()
	p.kill()
	p = begin(t, dir, Options{})
	p.a.is(t, map[string]int{"g": 3})
}

// FlushTo writes what was appended up to a position, and nothing when that is written.
func TestFlushTo(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir, Options{})
	p.a.set("x", 1)
	at := p.Position()
	p.Flush()
	p.a.set("x", 2)
	before := said(t, only(t, dir))
	p.FlushTo(at)
	if now := said(t, only(t, dir)); now != before {
		t.Errorf("%d bytes more were written for nothing", now-before)
	}
	p.FlushTo(p.Position())
	p.kill()
	p = begin(t, dir, Options{})
	p.a.is(t, map[string]int{"x": 2})
}

// A new file does not part what was said from what is said late.
func TestLateWhenAFileIsReplaced(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir, Options{})
	p.a.set("x", 1)
	g := &gauge{c: p.b, name: "g"}
	g.set(1)
	if _, err := p.Journal.begin(); err != nil {
		t.Fatal(err)
	}
	p.kill() // before the snapshot
	p = begin(t, dir, Options{})
	p.a.is(t, map[string]int{"x": 1})
	p.b.is(t, map[string]int{"g": 1})
}

// A journal that is left alone gives up the memory of what is mapped, and nothing of its content.
func TestQuietJournalTakesNoMemory(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir, Options{})
	resident := func() (kb int) {
		b, err := os.ReadFile("/proc/self/smaps")
		if err != nil {
			t.Fatal(err)
		}
		_, rest, ok := strings.Cut(string(b), only(t, dir))
		if !ok {
			t.Fatal("it is not mapped")
		}
		_, rest, _ = strings.Cut(rest, "\nRss:")
		fmt.Sscan(rest, &kb)
		return kb
	}
	for range 5000 {
		p.a.set("x", 7)
	}
	p.Flush()
	if kb := resident(); kb < 20 {
		t.Fatalf("%d kB are resident", kb)
	}
	p.rest()
	p.rest()
	p.rest()
	if kb := resident(); kb != 0 {
		t.Errorf("%d kB are resident", kb)
	}
	p.a.set("y", 8)
	p.Flush()
	p.kill()
	p = begin(t, dir, Options{})
	p.a.is(t, map[string]int{"x": 7, "y": 8})
}
