package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"
)

// Records of part 0 begin with one of these.
const (
	sayPart  = 'p' // number (uvarint) and name of a part
	sayWhole = 'w' // the snapshot is complete
)

// Start replays what the last process left and begins a new generation. When it returns the old files are gone. It fails
// only if the old files can neither be read nor removed: a journal that cannot be written is off, is logged, and is tried
// again.
func (j *Journal) Start() error {
	if j == nil {
		return nil
	}
	if err := j.replay(); err != nil {
		j.o.Events.Hurt(EventDamaged, "journal", "err", err.Error())
		for _, p := range j.parts {
			p.source.Reset()
		}
		if err := removeBefore(j.dir, math.MaxInt64); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
	}
	for _, p := range j.parts {
		if f, ok := p.source.(Finisher); ok {
			f.Replayed()
		}
	}
	j.turn()
	ctx, cancel := context.WithCancel(context.Background())
	j.cancel, j.done = cancel, make(chan struct{})
	go j.run(ctx)
	return nil
}

// turn begins a new generation: what is appended goes there from now on, every source says what is live, and then the
// old files are not needed any more.
func (j *Journal) turn() {
	next, err := j.begin()
	if err == nil {
		for _, p := range j.parts {
			p.source.Snapshot(func(record []byte) { j.append(p.number, whole, nil, record) })
		}
		j.append(0, whole, nil, []byte{sayWhole})
		j.Flush()
	}
	j.write.Lock()
	defer j.write.Unlock()
	if err == nil && j.file == nil {
		return // it failed meanwhile, and all files are gone
	}
	if err == nil {
		j.limit, j.turned = max(j.o.Size, 4*j.file.size), false
	}
	if err == nil && j.old != nil {
		err = j.retire()
	}
	if err == nil {
		err = removeBefore(j.dir, next)
	}
	if err != nil {
		j.failLocked(err)
	}
}

// retire keeps the old file for the next generation: to write where something was written before costs a fraction. Called
// with write held; the new generation is complete.
func (j *Journal) retire() error {
	old := j.old
	if len(old.mem) > 4*max(j.limit, leastMapped) { // from a time with more to say
		j.old = nil
		return old.close() // removeBefore removes it
	}
	if err := old.rename(filepath.Join(j.dir, spareName)); err != nil {
		return err
	}
	j.old, j.spareFile = nil, old
	return nil
}

// begin makes the file of a new generation and switches to it. The old one stays until the snapshot is complete: then
// they are read one after the other.
func (j *Journal) begin() (next uint64, err error) {
	all, err := generations(j.dir)
	if err != nil {
		return 0, err
	}
	if len(all) > 0 {
		next = all[len(all)-1] + 1
	}
	j.write.Lock()
	f := j.spareFile
	j.spareFile = nil
	j.write.Unlock()
	if f == nil {
		if f, err = newFile(j.dir); err != nil {
			return 0, err
		}
	}
	if err := f.begin(fileName(j.dir, next), j.o.Boot); err != nil {
		return 0, errors.Join(err, f.close())
	}
	j.write.Lock()
	defer j.write.Unlock()
	j.gate.Lock()
	defer j.gate.Unlock()
	j.hearLate()
	defer j.mu.Unlock()
	j.old, j.file = j.file, f
	if j.old != nil {
		if j.broken != nil {
			return 0, j.broken
		}
		if err := j.old.append(j.buf); err != nil {
			return 0, err
		}
	}
	j.buf = append(j.buf[:0], noFrame[:]...)
	for _, p := range j.parts {
		record := binary.AppendUvarint([]byte{sayPart}, p.number)
		j.buf = appendRecord(j.buf, 0, whole, nil, append(record, p.name...))
	}
	j.written.Store(j.appended.Load())
	j.appended.Add(uint64(len(j.buf)))
	j.tail, j.on = nil, true
	j.limit, j.turned = math.MaxInt, true // not again before this one is complete
	return next, nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
