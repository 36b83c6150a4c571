package main

import (
	"context"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"parley/internal/config"
)

// process watches how near the process is to its limits (hardening HC3).
type process struct {
	share  float64
	memory int64    // bytes; 0: no limit
	files  uint64   // descriptors
	fds    *os.File // /proc/self/fd, kept open, for when no other file can be opened; nil where there is none
	full   atomic.Bool

	openFiles atomic.Int64
	used      atomic.Int64 // bytes
}

// newProcess sets the memory limit of the runtime and returns the watch.
func newProcess(cfg config.Limits) *process {
	setGCPercent()
	p := &process{share: cfg.Full, memory: cfg.Memory}
	if p.memory == 0 && os.Getenv("GOMEMLIMIT") == "" {
		p.memory = groupLimit() / 10 * 9
	}
	if p.memory > 0 {
		debug.SetMemoryLimit(p.memory)
	} else if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		p.memory = limit
	}
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) == nil {
		p.files = files.Cur // package os has raised it to what it may be
	}
	p.fds, _ = os.Open("/proc/self/fd")
	p.look()
	return p
}

// groupLimit is the memory that the control group allows, 0 if any.
func groupLimit() int64 {
	names := []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}
	if text, err := os.ReadFile("/proc/self/cgroup"); err == nil {
		if _, path, ok := strings.Cut(string(text), "0::"); ok { // cgroups(7), version 2
			path, _, _ = strings.Cut(path, "\n")
			names = append([]string{filepath.Join("/sys/fs/cgroup", path, "memory.max")}, names...)
		}
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		n, err2 := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err == nil && err2 == nil && n < 1<<50 {
			return n
		}
	}
	return 0
}

// run looks again and again until ctx ends.
func (p *process) run(ctx context.Context) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	rest := quiet{since: time.Now()}
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			p.look()
			rest.look(now)
		}
	}
}

func (p *process) look() {
	open := p.countFiles()
	p.openFiles.Store(int64(open))
	used := liveMemory()
	p.used.Store(used)
	p.full.Store(p.files > 0 && float64(open) >= p.share*float64(p.files) ||
		p.memory > 0 && float64(used) >= p.share*float64(p.memory))
}

// liveMemory is what the process cannot do without: what the last collection found alive, and what is not heap.
func liveMemory() int64 {
	sample := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(sample)
	used := int64(sample[0].Value.Uint64() + sample[1].Value.Uint64())
	for _, s := range sample[2:] {
		used -= int64(s.Value.Uint64())
	}
	return used
}

// countFiles counts the descriptors of the process.
func (p *process) countFiles() int {
	if p.fds == nil {
		return 0
	}
	if info, err := p.fds.Stat(); err == nil && info.Size() > 0 {
		return int(info.Size()) // what Linux 6.2 and later say without a walk
	}
	if _, err := p.fds.Seek(0, io.SeekStart); err != nil {
		return 0
	}
	names, _ := p.fds.Readdirnames(-1)
	return len(names)
}
