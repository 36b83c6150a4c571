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

// keptLate is how many may have waited with a list that is kept for the next.
const keptLate = 1 << 10

// Flush returns when everything that was appended before is in the kernel's pages: it survives the death of the process,
// not of the machine. It makes no system call. When it fails to write the files are gone when it returns.
//
// It waits for groups that are under way: do not call it between Begin and End, nor with a lock that one who appends a
// group may want.
func (j *Journal) Flush() {
	if j == nil {
		return
	}
	j.FlushTo(j.Position())
}

// Position tells how much has been appended, for FlushTo.
func (j *Journal) Position() uint64 {
	if j == nil {
		return 0
	}
	return j.appended.Load()
}

// FlushTo is Flush for what had been appended at a position. It does nothing if that was written meanwhile, for others.
func (j *Journal) FlushTo(position uint64) {
	if j == nil || !j.ahead(position) {
		return
	}
	defer j.write.Unlock()
	if j.written.Load() < position {
		j.flushLocked()
	}
}

// ahead takes write, unless another one has written that much meanwhile.
func (j *Journal) ahead(upto uint64) bool {
	for range 60 {
		if j.written.Load() >= upto {
			return false
		}
		if j.write.TryLock() {
			return true
		}
		pause()
	}
	j.write.Lock()
	return true
}

// flushLocked writes the buffer. Called with write held.
func (j *Journal) flushLocked() {
	j.shut()
	j.hearLate()
	out, upto, broken := j.buf, j.appended.Load(), j.broken
	j.buf, j.spare = j.spare, nil
	j.mu.Unlock()
	j.gate.Unlock()
	if broken == nil {
		broken = j.file.append(out)
	}
	if broken != nil {
		j.failLocked(broken)
		return
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

// hearLate lets those append who waited for it, and returns with mu held and nobody left. Called with write held and, while
// the journal is on, the gate.
func (j *Journal) hearLate() {
	lock(&j.mu)
	for len(j.late) > 0 {
		list := j.late
		j.late, j.spareLate = j.spareLate, nil
		j.mu.Unlock()
		for i, l := range list {
			l.Late()
			list[i] = nil
		}
		if cap(list) <= keptLate {
			j.spareLate = list[:0]
		}
		lock(&j.mu)
	}
}

// shut closes the gate. A group takes a microsecond or two, which is less than to sleep and be woken costs.
func (j *Journal) shut() {
	for range 60 {
		if j.gate.TryLock() {
			return
		}
		pause()
	}
	j.gate.Lock()
}

// failLocked gives the files up, so that nobody ever reads what is not true any more. Called with write held.
func (j *Journal) failLocked(err error) {
	j.mu.Lock()
	j.on, j.buf, j.tail, j.broken = false, nil, nil, nil
	j.appended.Add(1) // whoever flushes from now on waits for us
	j.mu.Unlock()
	j.hearLate() // they shall ask again
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
			j.rest()
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

// rest has a journal in which nothing is written take no memory.
func (j *Journal) rest() {
	j.write.Lock()
	defer j.write.Unlock()
	if j.file == nil || j.file.size == j.rested {
		return
	}
	quiet := j.file.size == j.seen
	if j.seen = j.file.size; !quiet {
		return
	}
	j.rested = j.seen
	for _, f := range []*file{j.file, j.old, j.spareFile} {
		if f != nil {
			f.rest() // or they stay
		}
	}
}
