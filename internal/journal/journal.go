// Package journal keeps what a process must find again after it was killed: an append-only file of opaque records of
// several parts, replaced now and then by a snapshot of what is live.
//
// It is for the death of the process, not of the machine: nothing is synced, and after a reboot, when what the kernel had
// not written is lost, the content is ignored. What is found is therefore either exact or nothing:
//
//   - Everything that was appended before a Flush returned is in the file, in the order of appending.
//   - What was appended between Begin and End is found together or not at all.
//   - A file that is shorter than what was written to it, or that holds a wrong byte, is not used, nor is any other.
//   - When a write fails, the disk being full, the files are removed before Flush returns, and the journal is off until a
//     new snapshot is whole.
//
// A file is called a generation. It begins with a snapshot of every part, while appending goes on, and the one before it
// is removed when that snapshot is whole.
package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/event"
)

// Events that a journal counts.
const (
	EventFail    = "journal.fail"    // the files could not be written
	EventDamaged = "journal.damaged" // the files could not be used
)

// Options of a journal. The zero value is what a server uses, without counters and log.
type Options struct {
	Events *event.Recorder
	Log    *slog.Logger  // nil: no log
	Size   int           // bytes of a file before it is replaced, if it is also four times what its snapshot took; 0: 4 MiB
	Retry  time.Duration // from a failure to the next try; 0: 10 s
	Boot   string        // tells one life of the machine from the next; empty: the kernel's boot id
}

// Journal is safe for concurrent use once it is started. A nil Journal does nothing.
type Journal struct {
	dir   string
	o     Options
	parts []*Part // fixed by Start

	wake   chan struct{} // a file is large, or the buffer is
	failed chan struct{}
	cancel context.CancelFunc
	done   chan struct{}

	// gate is held for reading by those who append a group, and for writing while the buffer is taken. The order is
	// write, gate, a lock of a source, mu.
	gate sync.RWMutex

	// write is held while a file is written to or changed. It guards what follows.
	write     sync.Mutex
	file      *file // nil: the journal is off
	old       *file // the one before, while the snapshot is not complete
	spareFile *file // an old one, to be used again
	limit     int   // bytes of the file at which it is replaced
	turned    bool  // the file is asked to be replaced
	seen      int   // bytes of the file at the last tick
	rested    int   // bytes of the file when its pages were given up
	spare     []byte
	spareLate []Latecomer

	mu     sync.Mutex // guards what follows; Append takes it with locks of the sources held
	on     bool
	buf    []byte // a frame without its head
	late   []Latecomer
	tail   []byte // of the last record with a shared tail in this file
	broken error  // something could not be appended; the next Flush fails

	appended atomic.Uint64 // grows with each record; changed with mu held
	written  atomic.Uint64 // what appended was when what is now in the kernel, or given up, was in the buffer; changed with write held
}

// Open returns a journal in a directory, which is made if need be. It reads nothing: see Start.
func Open(dir string, o Options) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if o.Size == 0 {
		o.Size = 4 << 20
	}
	if o.Retry == 0 {
		o.Retry = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Boot == "" {
		id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
		if err != nil {
			return nil, fmt.Errorf("journal: it is not known when the machine was started: %w", err)
		}
		o.Boot = strings.TrimSpace(string(id))
	}
	return &Journal{dir: dir, o: o, wake: make(chan struct{}, 1), failed: make(chan struct{}, 1)}, nil
}

// Source is what a part of the journal is about: sessions, rooms.
type Source interface {
	// Replay is given each record in the order of appending, during Start; it is valid during the call. A record may be
	// about an object of which nothing was said before: then it was appended while the snapshot was being taken, the
	// snapshot of the object follows, and the record is to be ignored. An error ends the use of the whole content.
	Replay(record []byte) error

	// Reset forgets what was replayed.
	Reset()

	// Snapshot says everything that is live, as records that replace what was said before of the same thing. It is called
	// from the journal's goroutine, or from Start, while Append goes on elsewhere: the source holds an object's lock from
	// reading it to put.
	//
	// One with much to say may call Flush now and then, without a lock, so that the buffer stays small.
	Snapshot(put func(record []byte))
}

// Finisher is a Source that wants to know when everything was replayed, and nothing was appended yet: the place to bring
// to life what was found. It is called by Start in the order of the calls of Part, also when nothing was found.
type Finisher interface{ Replayed() }

// Latecomer has something to say that the next value replaces, such as a count. To append it when it is written costs less
// than to append it whenever it changes.
type Latecomer interface {
	// Late appends it. It is called before what was appended is written, with no group under way, or when the journal has
	// failed, which forgets it. It may take a lock of the source, and must neither begin a group nor flush. Where the order
	// matters, the source appends the value itself before it appends what comes behind.
	Late()
}

// Part is one source's share of the journal. A nil Part does nothing.
type Part struct {
	j      *Journal
	name   string
	number uint64 // in the files of this process
	source Source
}

// Part adds a source under a name that stays the same. Call it before Start. A record whose meaning changes takes a new
// name.
func (j *Journal) Part(name string, s Source) *Part {
	if j == nil {
		return nil
	}
	p := &Part{j: j, name: name, number: uint64(len(j.parts) + 1), source: s}
	j.parts = append(j.parts, p)
	return p
}

// Append adds a record. It is copied. The order of calls is the order of replay, across parts too. Nothing is written
// before the next Flush.
func (p *Part) Append(record []byte) {
	if p != nil {
		p.j.append(p.number, whole, nil, record)
	}
}

// AppendShared adds a record of two pieces, which is replayed as one. If the tail is the same slice as in the last call,
// of whatever part, it is not written again. The tail's bytes must never change.
func (p *Part) AppendShared(head, tail []byte) {
	if p != nil {
		p.j.append(p.number, shared, head, tail)
	}
}

// AppendLate has l.Late called by the next Flush: the source need not ask again until then. Called in a group, what Late
// appends is in that group. False is that the journal is off, and Late will not be called.
func (p *Part) AppendLate(l Latecomer) bool {
	if p == nil {
		return false
	}
	j := p.j
	lock(&j.mu)
	defer j.mu.Unlock()
	if j.on {
		j.late = append(j.late, l)
		j.appended.Add(1)
	}
	return j.on
}

// Begin begins a group of records: until End nothing that anybody appends is written, so that a group is found whole or not
// at all. It is for moments: everybody's Flush waits for it. Between them the caller must neither call Begin again nor
// Flush, nor wait for somebody who does.
func (j *Journal) Begin() {
	if j != nil {
		j.gate.RLock()
	}
}

// End ends a group.
func (j *Journal) End() {
	if j != nil {
		j.gate.RUnlock()
	}
}

// On reports that appending is of use now. What is appended while it is off is dropped.
func (p *Part) On() bool {
	if p == nil {
		return false
	}
	p.j.mu.Lock()
	defer p.j.mu.Unlock()
	return p.j.on
}

// wakeAt is how much may wait in the buffer before the journal's goroutine writes it unasked.
const wakeAt = 256 << 10

func (j *Journal) append(part uint64, k kind, head, tail []byte) {
	lock(&j.mu)
	if !j.on {
		j.mu.Unlock()
		return
	}
	before := len(j.buf)
	if before == 0 {
		j.buf = append(j.buf, noFrame[:]...)
	}
	if len(head)+len(tail) > longest {
		j.broken = errTooLong
	} else if k == shared && len(tail) > 0 && len(tail) == len(j.tail) && &tail[0] == &j.tail[0] {
		j.buf = appendRecord(j.buf, part, again, head, nil)
	} else {
		j.buf = appendRecord(j.buf, part, k, head, tail)
		if k == shared {
			j.tail = tail
		}
	}
	j.appended.Add(1) // also if it is not in the buffer
	wake := before < wakeAt && len(j.buf) >= wakeAt
	j.mu.Unlock()
	if wake {
		signal(j.wake)
	}
}

// lock takes a lock that is held for less time than it costs to sleep and be woken.
func lock(mu *sync.Mutex) {
	for range 10 {
		if mu.TryLock() {
			return
		}
		pause()
	}
	mu.Lock()
}

// pause lasts some ten nanoseconds, in which the lock's owner is not disturbed.
//
//go:noinline
func pause() {
	for range 32 {
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// A frame in a file, which is what one Flush writes:
//
//	 0        4        8
//	+--------+--------+---------+---------+-----
//	| length | CRC-32C| record  | record  | ...
//	| uint32 | uint32 |         |         |
//	+--------+--------+---------+---------+-----
//	                  |<-- length bytes, covered by the checksum ... ->|
//
// A record:
//
//	+------------------+------------------------+------------------------+------+-----+
//	| part << 2 | kind | length of the head     | length of the tail     | head | tail|
//	| uvarint          | uvarint; not if whole  | uvarint; not if again  |      |     |
//	+------------------+------------------------+------------------------+------+-----+
//
// Numbers are little-endian. Part 0 is the journal's own.
type kind byte

const (
	whole  kind = iota // a tail, which is the record
	shared             // a head and a tail
	again              // a head; the tail is that of the last shared record
)

var errTooLong = errors.New("a record is too long")

const (
	prefixSize = 8
	longest    = 16 << 20 // bytes of a record
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	noFrame    [prefixSize]byte // the place of a frame's head
)

func appendRecord(dst []byte, part uint64, k kind, head, tail []byte) []byte {
	dst = binary.AppendUvarint(dst, part<<2|uint64(k))
	if k != whole {
		dst = binary.AppendUvarint(dst, uint64(len(head)))
	}
	if k != again {
		dst = binary.AppendUvarint(dst, uint64(len(tail)))
	}
	return append(append(dst, head...), tail...)
}

// seal fills in the head of a frame; false is that it is too long.
func seal(frame []byte) bool {
	body := frame[prefixSize:]
	if uint64(len(body)) > math.MaxUint32 {
		return false
	}
	binary.LittleEndian.PutUint32(frame, uint32(len(body)))
	binary.LittleEndian.PutUint32(frame[4:], crc32.Checksum(body, castagnoli))
	return true
}
