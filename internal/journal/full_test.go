package journal

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"parley/internal/peertest/need"
)

// A failed write leaves nothing that could be read.
func TestWriteFails(t *testing.T) {
	for name, break_ := range map[string]func(t *testing.T, p *process){
		"cut off by somebody": func(t *testing.T, p *process) {
			if err := p.file.f.Truncate(0); err != nil {
				t.Fatal(err)
			}
		},
		"no room to grow": func(t *testing.T, p *process) {
			p.file.f.Close()
			p.b.part.Append(append([]byte("+"), make([]byte, leastMapped)...))
		},
		"record too long": func(t *testing.T, p *process) { p.b.part.Append(make([]byte, longest+1)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p := begin(t, dir, Options{Retry: time.Hour})
			p.a.set("x", 1)
			p.Flush()
			p.write.Lock()
			break_(t, p)
			p.write.Unlock()
			p.a.add("x")
			p.Flush()
			if left := files(t, dir); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			if p.count(t, EventFail) != 1 || p.a.part.On() {
				t.Errorf("%d events, on: %v", p.count(t, EventFail), p.a.part.On())
			}
			p.a.add("x")
			p.Flush()
			p.turn() // what it does after a while
			p.a.add("x")
			p.Flush()
			p.kill()
			p = begin(t, dir, Options{})
			p.a.is(t, map[string]int{"x": 4})
		})
	}
}

// The head is mapped: where the kernel cannot give its page the process goes on.
func TestHeadIsGone(t *testing.T) {
	dir := t.TempDir()
	f, err := newFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	if err := f.begin(fileName(dir, 1), "today"); err != nil {
		t.Fatal(err)
	}
	if err := f.f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if err := f.spoil(); err == nil {
		t.Error("a page that is not there was written to")
	}
	if err := f.append(frame([]byte("x"))); err == nil {
		t.Error("a record was written to nowhere")
	}
}

func TestTriesAgainByItself(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir, Options{Retry: time.Millisecond})
	p.a.set("x", 1)
	p.write.Lock()
	p.file.f.Truncate(0)
	p.write.Unlock()
	p.Flush()
	for deadline := time.Now().Add(10 * time.Second); !p.a.part.On(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the journal stays off")
		}
	}
	p.a.add("x")
	p.Flush()
	p.kill()
	p = begin(t, dir, Options{})
	p.a.is(t, map[string]int{"x": 2})
}

// A snapshot that fails takes the file before it along: that is not true any more.
func TestSnapshotFails(t *testing.T) {
	dir := t.TempDir()
	p := begin(t, dir, Options{Retry: time.Hour})
	p.a.set("x", 1)
	p.a.set("y", 1)
	p.a.during = func() {
		p.write.Lock()
		p.file.f.Truncate(0)
		p.write.Unlock()
		p.a.add("x")
		p.Flush()
	}
	p.turn()
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	p.kill()
	p = begin(t, dir, Options{})
	p.a.is(t, map[string]int{})
}

func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		if need.Required("root") {
			t.Fatal("PARLEY_PEERS wants what takes root, and nothing can be mounted: ", err)
		}
		t.Skip("mounting takes root:", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	p := begin(t, dir, Options{Retry: 10 * time.Millisecond})
	p.a.set("x", 1)
	p.Flush()
	filler := filepath.Join(dir, "filler")
	os.WriteFile(filler, make([]byte, 1<<20), 0o600) // as much as there is room for
	for i := 0; p.a.part.On(); i++ {
		if i > 1_000_000 {
			t.Fatal("the disk does not get full")
		}
		p.a.add("x")
		p.Flush()
	}
	if p.count(t, EventFail) == 0 {
		t.Error("not counted")
	}
	if all, err := generations(dir); err != nil || len(all) > 0 && !p.a.part.On() {
		t.Errorf("left: %v, %v", all, err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); !p.a.part.On(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the journal stays off")
		}
	}
	p.a.set("x", 2)
	p.Flush()
	p.kill()
	p = begin(t, dir, Options{})
	p.a.is(t, map[string]int{"x": 2})
	p.kill()
}
