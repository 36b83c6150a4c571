package journal

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"parley/internal/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counters is a source whose objects are named numbers: "=name value" says what a number is, "+name" adds one, "-name"
// ends it.
type counters struct {
	part   *Part
	refuse bool // Replay fails

	mu     sync.Mutex
	values map[string]int
	resets int
	during func() // called once in the middle of a snapshot, with mu not held
}

func (c *counters) Replay(record []byte) error {
	if c.refuse {
		return fmt.Errorf("%q is not understood", record)
	}
	name := string(record[1:])
	switch record[0] {
	case '=':
		var value int
		fmt.Sscanf(name, "%s %d", &name, &value)
		c.values[name] = value
	case '+':
		if _, ok := c.values[name]; ok {
			c.values[name]++
		}
	case '-':
		delete(c.values, name)
	}
	return nil
}

func (c *counters) Reset() { c.values = make(map[string]int); c.resets++ }

func (c *counters) Snapshot(put func([]byte)) {
	c.mu.Lock()
	names := slices.Sorted(maps.Keys(c.values))
	c.mu.Unlock()
	for i, name := range names {
		if during := c.during; during != nil && i == len(names)/2 {
			c.during = nil
			during()
		}
		c.mu.Lock()
		if value, ok := c.values[name]; ok {
			put(fmt.Appendf(nil, "=%s %d", name, value))
		}
		c.mu.Unlock()
	}
}

func (c *counters) set(name string, value int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values[name] = value
	c.part.Append(fmt.Appendf(nil, "=%s %d", name, value))
}

func (c *counters) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values[name]++
	c.part.AppendShared([]byte("+"), []byte(name))
}

func (c *counters) end(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.values, name)
	c.part.Append([]byte("-" + name))
}

func (c *counters) is(t *testing.T, want map[string]int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !maps.Equal(c.values, want) {
		t.Errorf("found %v, want %v", c.values, want)
	}
}

// process is one life of a process with a journal of two parts.
type process struct {
	*Journal
	a, b   *counters
	events *prometheus.Registry
}

// begin starts a process on a directory. It dies when the test ends, at the latest.
func begin(t *testing.T, dir string, o Options) *process {
	t.Helper()
	p := open(t, dir, o)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

func open(t *testing.T, dir string, o Options) *process {
	t.Helper()
	p := &process{a: &counters{values: make(map[string]int)}, b: &counters{values: make(map[string]int)}, events: prometheus.NewRegistry()}
	o.Events = event.New(discard, p.events, false)
	if o.Boot == "" {
		o.Boot = "today"
	}
	j, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	p.Journal = j
	p.a.part, p.b.part = j.Part("a", p.a), j.Part("b", p.b)
	t.Cleanup(func() { p.kill() })
	return p
}

// kill ends a process as SIGKILL does: what is in the buffer is lost, the files are as they are.
func (p *process) kill() {
	if p.cancel == nil {
		return
	}
	p.cancel()
	<-p.done
	p.cancel = nil
	p.write.Lock()
	defer p.write.Unlock()
	for _, f := range []*file{p.old, p.file, p.spareFile} {
		if f != nil {
			f.close()
		}
	}
	p.file, p.old, p.spareFile = nil, nil, nil
	p.mu.Lock()
	p.on, p.buf = false, nil
	p.mu.Unlock()
}

func (p *process) count(t *testing.T, name string) int {
	t.Helper()
	found, err := p.events.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range found {
		for _, m := range family.Metric {
			if m.Label[0].GetValue() == name {
				return int(m.Counter.GetValue())
			}
		}
	}
	return 0
}

// only returns the name of the only file there is.
func only(t *testing.T, dir string) string {
	t.Helper()
	all := files(t, dir)
	if len(all) != 1 {
		t.Fatalf("files: %v", all)
	}
	return all[0]
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestFoundAfterKill(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir, Options{})
	p.a.set("x", 1)
	p.b.set("x", 10)
	p.a.add("x")
	p.a.set("gone", 5)
	p.a.end("gone")
	p.Flush()
	p.a.add("x") // not flushed: nobody was told
	p.kill()

	p = begin(t, dir, Options{})
	p.a.is(t, map[string]int{"x": 2})
	p.b.is(t, map[string]int{"x": 10})
	only(t, dir)
	p.kill() // before anything is appended

	p = begin(t, dir, Options{})
	p.a.is(t, map[string]int{"x": 2})
	p.a.add("x")
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p.a.add("x") // after the end

	p = begin(t, dir, Options{})
	p.a.is(t, map[string]int{"x": 3})
	if n := p.count(t, EventDamaged) + p.count(t, EventFail); n != 0 {
		t.Errorf("%d events", n)
	}
}

func TestOrderAcrossParts(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir, Options{})
	tail := []byte("x")
	p.a.part.Append([]byte("=x 0"))
	for range 3 {
		p.a.part.AppendShared([]byte("+"), tail)
		p.b.part.AppendShared([]byte("="), []byte("y 1"))
		p.b.part.AppendShared([]byte("+"), []byte("y"))
		p.b.part.AppendShared([]byte("+"), []byte("y"))
	}
	p.Flush()
	p.kill()
	p = begin(t, dir, Options{})
	p.a.is(t, map[string]int{"x": 3})
	p.b.is(t, map[string]int{"y": 3})
}

func TestSharedTailIsWrittenOnce(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir, Options{})
	tail := []byte("x " + strings.Repeat("1", 5)) // the value
	grown := func(f func()) int64 {
		before := said(t, only(t, dir))
		f()
		p.Flush()
		return said(t, only(t, dir)) - before
	}
	one := grown(func() { p.a.part.AppendShared([]byte("="), tail) })
	if more := grown(func() {
		for range 10 {
			p.b.part.AppendShared([]byte("="), tail)
		}
	}); more != 10*int64(len(appendRecord(nil, 2, again, []byte("="), nil)))+prefixSize {
		t.Errorf("ten more take %d bytes, the first %d", more, one)
	}
	if same := grown(func() { p.a.part.AppendShared([]byte("="), slices.Clone(tail)) }); same != one {
		t.Errorf("another slice takes %d bytes, want %d", same, one)
	}
	p.kill()
	p = begin(t, dir, Options{})
	p.a.is(t, map[string]int{"x": 11111})
	p.b.is(t, map[string]int{"x": 11111})
}

// A new file does not lean on the one before it.
func TestSharedTailAcrossFiles(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir, Options{})
	p.a.set("x", 0)
	tail := []byte("x")
	p.a.part.AppendShared([]byte("+"), tail)
	p.a.mu.Lock()
	p.a.values["x"]++
	p.a.mu.Unlock()
	p.turn()
	p.a.part.AppendShared([]byte("+"), tail)
	p.Flush()
	p.kill()
	p = begin(t, dir, Options{})
	p.a.is(t, map[string]int{"x": 2})
}

func TestReplacedFile(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir, Options{Size: 64 << 10})
	want := make(map[string]int)
	for i := range 100 {
		p.a.set(fmt.Sprint("n", i), 0)
	}
	first := only(t, dir)
	for i := range 20_000 {
		name := fmt.Sprint("n", i%100)
		p.a.add(name)
		want[name]++
		if i%50 == 0 {
			p.Flush()
		}
	}
	p.Flush()
	for deadline := time.Now().Add(10 * time.Second); files(t, dir)[0] == first || len(files(t, dir)) > 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the file was not replaced")
		}
	}
	p.kill()
	p = begin(t, dir, Options{})
	p.a.is(t, want)
	if size := said(t, only(t, dir)); size > headSize+100*30 {
		t.Errorf("a snapshot of 100 numbers takes %d bytes", size)
	}
}

func TestLimitFollowsSnapshot(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir, Options{})
	for i := range 1000 {
		p.a.set(fmt.Sprint("n", i), 0)
	}
	p.Flush()
	p.kill()
	p = begin(t, dir, Options{Size: 1})
	p.write.Lock()
	defer p.write.Unlock()
	if p.limit != 4*p.file.size || p.file.size < 10_000 {
		t.Errorf("a file of %d bytes is replaced at %d", p.file.size, p.limit)
	}
}

// A process that dies while a snapshot is being taken leaves two files.
func TestKilledDuringSnapshot(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir, Options{})
	want := map[string]int{"late": 1}
	for i := range 10 {
		p.a.set(fmt.Sprint("n", i), i)
		want[fmt.Sprint("n", i)] = i
	}
	copies := t.TempDir()
	p.a.during = func() {
		p.a.add("n0") // already in the snapshot
		p.a.add("n9") // not yet
		p.a.end("n1")
		p.a.end("n8")
		p.a.set("late", 1)
		p.Flush()
		if n := len(files(t, dir)); n != 2 {
			t.Errorf("%d files during the snapshot", n)
		}
		if err := os.CopyFS(copies, os.DirFS(dir)); err != nil {
			t.Error(err)
		}
	}
	p.turn()
	want["n0"]++
	want["n9"]++
	delete(want, "n1")
	delete(want, "n8")
	p.kill()
	only(t, dir)
	for name, dir := range map[string]string{"complete": dir, "interrupted": copies} {
		t.Run(name, func(t *testing.T) {
			p := begin(t, dir, Options{})
			p.a.is(t, want)
		})
	}
}

// A process that dies while it takes the first snapshot leaves what it had found, and the beginning of a file.
func TestKilledDuringStart(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir, Options{})
	p.a.set("x", 1)
	p.a.set("y", 2)
	p.Flush()
	p.kill()
	copies := t.TempDir()
	p = open(t, dir, Options{})
	p.a.during = func() {
		p.Flush()
		if err := os.CopyFS(copies, os.DirFS(dir)); err != nil {
			t.Error(err)
		}
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if n := len(files(t, copies)); n != 2 {
		t.Fatalf("%d files", n)
	}
	p = begin(t, copies, Options{})
	p.a.is(t, map[string]int{"x": 1, "y": 2})
	only(t, copies)
}

func TestNotUsed(t *testing.T) {
	inRecords := int64(headSize + 20)
	flip := func(at int64) func(testing.TB, string) {
		return func(t testing.TB, name string) { edit(t, name, func(b []byte) []byte { b[at] ^= 0x10; return b }) }
	}
	for name, c := range map[string]struct {
		spoil   func(testing.TB, string)
		o       Options
		refuse  bool
		damaged int
	}{
		"flipped byte":       {spoil: flip(inRecords), damaged: 1},
		"flipped last byte":  {spoil: func(t testing.TB, name string) { flip(said(t, name)-1)(t, name) }, damaged: 1},
		"flipped length":     {spoil: flip(headSize + 3), damaged: 1},
		"cut in a record":    {spoil: cut(3), damaged: 1},
		"cut between frames": {spoil: cut(int64(prefixSize + 2 + len("=y 7"))), damaged: 1},
		"cut in the head":    {spoil: func(t testing.TB, name string) { os.Truncate(name, 100) }, damaged: 1},
		"empty":              {spoil: func(t testing.TB, name string) { os.Truncate(name, 0) }, damaged: 1},
		"count too high":     {spoil: func(t testing.TB, name string) { edit(t, name, func(b []byte) []byte { lengthOf(b).Add(1); return b }) }, damaged: 1},
		"count higher by a frame": {spoil: func(t testing.TB, name string) {
			edit(t, name, func(b []byte) []byte { lengthOf(b).Add(prefixSize); return b })
		}, damaged: 1},
		"count absurd": {spoil: func(t testing.TB, name string) {
			edit(t, name, func(b []byte) []byte { lengthOf(b).Store(1 << 63); return b })
		}, damaged: 1},
		"other magic":    {spoil: flip(0)},
		"other version":  {spoil: flip(8)},
		"after a reboot": {o: Options{Boot: "tomorrow"}},
		"source refuses": {refuse: true, damaged: 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p := begin(t, dir, Options{})
			p.a.set("x", 1)
			p.Flush()
			p.b.set("y", 7)
			p.Flush()
			p.kill()
			if c.spoil != nil {
				c.spoil(t, only(t, dir))
			}
			p = open(t, dir, c.o)
			p.b.refuse = c.refuse
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			p.a.is(t, map[string]int{})
			p.b.is(t, map[string]int{})
			if p.count(t, EventDamaged) != c.damaged || p.a.resets != c.damaged || p.b.resets != c.damaged {
				t.Errorf("%d events, %d and %d resets", p.count(t, EventDamaged), p.a.resets, p.b.resets)
			}
			// And everything works.
			p.a.set("z", 3)
			p.Flush()
			p.kill()
			only(t, dir)
			p = begin(t, dir, c.o)
			p.a.is(t, map[string]int{"z": 3})
		})
	}
}

// What was being written when the process died is not used, and takes nothing with it.
func TestInterruptedWrite(t *testing.T) {
	whole := frame(appendRecord(nil, 2, whole, nil, []byte("=y 8")))
	for n := range len(whole) + 1 {
		dir := t.TempDir()
		p := begin(t, dir, Options{})
		p.a.set("x", 1)
		p.b.set("y", 7)
		p.Flush()
		p.kill()
		at := said(t, only(t, dir))
		edit(t, only(t, dir), func(b []byte) []byte { copy(b[at:], whole[:n]); return b })
		p = begin(t, dir, Options{})
		p.a.is(t, map[string]int{"x": 1})
		p.b.is(t, map[string]int{"y": 7})
		if n := p.count(t, EventDamaged); n != 0 {
			t.Errorf("%d events", n)
		}
		p.kill()
	}
}

// A group is found whole or not at all, whoever else writes meanwhile, and whenever files are replaced.
func TestGroups(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir, Options{Size: 16 << 10})
	const writers = 4
	for i := range writers {
		p.a.set(fmt.Sprint(i), 0)
		p.b.set(fmt.Sprint(i), 0)
	}
	p.Flush()
	stop := make(chan struct{})
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for name := fmt.Sprint(i); ; {
				select {
				case <-stop:
					return
				default:
				}
				p.Begin()
				p.a.add(name)
				runtime.Gosched()
				p.b.add(name)
				p.End()
				p.Flush()
			}
		})
	}
	for range 20 {
		copies := t.TempDir()
		for err := errors.New(""); err != nil; { // a new file may be in the making
			os.RemoveAll(copies)
			p.write.Lock() // between two writes, which is what a process that dies leaves
			err = os.CopyFS(copies, os.DirFS(dir))
			p.write.Unlock()
		}
		again := begin(t, copies, Options{})
		if again.count(t, EventDamaged) > 0 || len(again.a.values) != writers {
			t.Errorf("%v is left", again.a.values)
		}
		again.b.is(t, again.a.values)
		again.kill()
	}
	close(stop)
	all.Wait()
}

type finisher struct {
	*counters
	found map[string]int
}

func (f *finisher) Replayed() { f.found = maps.Clone(f.values) }

func TestReplayed(t *testing.T) {
	dir := t.TempDir()
	for want := range 3 {
		j, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		f := &finisher{counters: &counters{values: make(map[string]int)}}
		f.part = j.Part("a", f)
		if err := j.Start(); err != nil {
			t.Fatal(err)
		}
		if len(f.found) != want {
			t.Errorf("found %v, want %d", f.found, want)
		}
		f.set(fmt.Sprint(want), 1)
		j.Close()
	}
}

func TestUnknownPart(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir, Options{})
	p.a.set("x", 1)
	p.b.set("y", 7)
	p.Flush()
	p.kill()
	j, err := Open(dir, Options{Boot: "today"})
	if err != nil {
		t.Fatal(err)
	}
	b := &counters{values: make(map[string]int)}
	b.part = j.Part("b", b)
	if err := j.Start(); err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	b.is(t, map[string]int{"y": 7})
}

// Writers on many goroutines, with files replaced under them, and a kill at any time: each finds at least what it had
// flushed.
func TestConcurrentAppend(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir, Options{Size: 32 << 10})
	const writers, each = 8, 2000
	var all sync.WaitGroup
	want := make(map[string]int)
	for i := range writers {
		name := fmt.Sprint("w", i)
		want[name] = each
		p.a.set(name, 0)
		all.Go(func() {
			for range each {
				p.a.add(name)
				p.Flush()
			}
		})
	}
	all.Wait()
	p.kill()
	p = begin(t, dir, Options{})
	p.a.is(t, want)
}

func TestNilDoesNothing(t *testing.T) {
	var j *Journal
	p := j.Part("a", &counters{})
	p.Append([]byte("x"))
	p.AppendShared([]byte("x"), []byte("y"))
	j.Flush()
	if err := j.Start(); err != nil || p.On() {
		t.Error(err, p.On())
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

func edit(t testing.TB, name string, f func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, f(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

// said is how many bytes the file says to hold.
func said(t testing.TB, name string) int64 {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return int64(lengthOf(b).Load())
}

func cut(n int64) func(testing.TB, string) {
	return func(t testing.TB, name string) {
		if err := os.Truncate(name, said(t, name)-n); err != nil {
			t.Fatal(err)
		}
	}
}
