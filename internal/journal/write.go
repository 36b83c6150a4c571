package journal

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"time"
)

// lazily is how often what nobody waits for is written.
const lazily = 200 * time.Millisecond

// keptBuffer is how large a buffer may be that is kept for the next records.
const keptBuffer = 1 << 20

// Flush returns when everything that was appended before is in the kernel's pages: it survives the death of the process,
// not of the machine. It makes no system call. When it fails to write the files are gone when it returns.
//
// It waits for groups that are under way: do not call it between Begin and End, nor with a lock that one who appends a
// group may want.
func (j *Journal) Flush() {
	if j == nil {
		return
	}
	upto := j.appended.Load()
	if j.written.Load() >= upto {
		return
	}
	j.write.Lock()
	defer j.write.Unlock()
	if j.written.Load() < upto {
		j.flushLocked()
	}
}

// flushLocked writes the buffer. Called with write held.
func (j *Journal) flushLocked() {
	j.shut()
	j.mu.Lock()
	out, upto, broken := j.buf, j.appended.Load(), j.broken
	j.buf, j.spare = j.spare, nil
	j.mu.Unlock()
	j.gate.Unlock()
	if broken != nil {
		j.failLocked(broken)
		return
	}
	if len(out) > 0 {
		if err := j.file.append(out); err != nil {
			j.failLocked(err)
			return
		}
	}
	if cap(out) <= keptBuffer {
		j.spare = out[:0]
	}
	j.written.Store(upto)
	if j.file != nil && j.file.size > j.limit && !j.turned {
		j.turned = true
		signal(j.wake)
	}
}

// shut closes the gate. A group takes a microsecond or two, which is less than to sleep and be woken costs.
func (j *Journal) shut() {
	for range 300 {
		if j.gate.TryLock() {
			return
		}
	}
	j.gate.Lock()
}

// failLocked gives the files up, so that nobody ever reads what is not true any more. Called with write held.
func (j *Journal) failLocked(err error) {
	j.mu.Lock()
	j.on, j.buf, j.tail, j.broken = false, nil, nil, nil
	j.appended.Add(1) // whoever flushes from now on waits for us
	j.mu.Unlock()
	j.spare = nil
	for _, f := range []*file{j.old, j.file, j.spareFile} {
		if f != nil {
			f.spoil()
			f.close()
		}
	}
	j.old, j.file, j.spareFile = nil, nil, nil
	os.Remove(filepath.Join(j.dir, spareName))
	if left := removeBefore(j.dir, math.MaxInt64); left != nil {
		j.o.Log.Error("the journal cannot be removed", "err", left)
	}
	j.o.Events.Hurt(EventFail, "journal", "err", err.Error())
	j.written.Store(j.appended.Load()) // only now: nobody's Flush returns while the files are there
	signal(j.failed)
}

// Close writes what is left and ends the journal. The files stay: they say what the sources left alive.
func (j *Journal) Close() error {
	if j == nil || j.cancel == nil {
		return nil
	}
	j.cancel()
	<-j.done
	j.write.Lock()
	defer j.write.Unlock()
	if j.file != nil {
		j.flushLocked()
	}
	if j.file == nil {
		return nil
	}
	j.mu.Lock()
	j.on, j.buf, j.tail = false, nil, nil
	j.written.Store(j.appended.Load())
	j.mu.Unlock()
	err := j.file.close()
	if j.spareFile != nil {
		err = errors.Join(err, j.spareFile.close(), os.Remove(j.spareFile.name))
	}
	j.file, j.spareFile = nil, nil
	return err
}

// run replaces files that have grown, writes what nobody flushes, and tries again after a failure.
func (j *Journal) run(ctx context.Context) {
	defer close(j.done)
	tick := time.NewTicker(lazily)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			j.Flush()
		case <-j.wake:
			j.Flush()
			j.write.Lock()
			turned := j.turned
			j.write.Unlock()
			if turned {
				j.turn()
			}
		case <-j.failed:
			if !sleep(ctx, j.o.Retry) {
				return
			}
			j.turn()
		}
	}
}
