package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// The head of a file, one page:
//
//	 0          8         12        16
//	+----------+---------+---------+---------+-----+----------------------+-----
//	| magic    | version | length  | boot id | ... | bytes that are whole | ...
//	|          | uint32  | of the id         |     | uint64 at lengthAt   |
//	+----------+---------+---------+---------+-----+----------------------+-----
//
// A file is mapped while it is written to. What is stored in it is in the page cache, where it survives the process as
// what is written by a system call does, and costs no such call. The count of bytes is stored after the bytes: it makes
// each write one that happened or did not, and shows a file that lost something.
const (
	magic     = "PARLEYJL"
	version   = 2
	headSize  = 4096
	idAt      = 16
	longestID = 256
	lengthAt  = 2048
)

// newHead makes the head of an empty file.
func newHead(boot string) []byte {
	head := make([]byte, headSize)
	copy(head, magic)
	binary.LittleEndian.PutUint32(head[8:], version)
	n := copy(head[idAt:idAt+longestID], boot)
	binary.LittleEndian.PutUint32(head[12:], uint32(n))
	lengthOf(head).Store(headSize)
	return head
}

func lengthOf(head []byte) *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&head[lengthAt])) }

// file is a generation that is being written, or one that is used again.
type file struct {
	f    *os.File
	name string
	mem  []byte // the mapped file
	size int    // bytes that are whole
}

const (
	spareName   = "spare"
	leastMapped = 256 << 10
)

// newFile makes a file that is no generation yet.
func newFile(dir string) (*file, error) {
	f, err := os.OpenFile(filepath.Join(dir, spareName), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	made := &file{f: f, name: f.Name()}
	if err := made.grow(leastMapped); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return made, nil
}

// grow makes the file larger and maps it. The file system is asked for the room, so that a full disk shows here.
func (f *file) grow(capacity int) error {
	if err := allocate(f.f, int64(capacity)); err != nil {
		return fmt.Errorf("allocate %d bytes: %w", capacity, err)
	}
	mem, err := syscall.Mmap(int(f.f.Fd()), 0, capacity, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map %d bytes: %w", capacity, err)
	}
	if f.mem != nil {
		syscall.Munmap(f.mem)
	}
	f.mem = mem
	return nil
}

// begin makes it an empty file of a generation. It gets its name when the head is whole.
func (f *file) begin(name, boot string) error {
	if err := f.touch(func() { copy(f.mem, newHead(boot)) }); err != nil {
		return err
	}
	f.size = headSize
	return f.rename(name)
}

func (f *file) rename(name string) error {
	if err := os.Rename(f.name, name); err != nil {
		return err
	}
	f.name = name
	return nil
}

// append writes a frame and then says that it is written. It fills in the frame's head.
func (f *file) append(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if !seal(b) {
		return errTooLong
	}
	if need := f.size + len(b); need > len(f.mem) {
		if err := f.grow(max(2*len(f.mem), (need+headSize-1)/headSize*headSize)); err != nil {
			return err
		}
	}
	err := f.touch(func() {
		copy(f.mem[f.size:], b)
		lengthOf(f.mem).Store(uint64(f.size + len(b)))
	})
	if err == nil {
		f.size += len(b)
	}
	return err
}

// rest gives up the pages that are mapped, which count as the process's memory. Their content stays in the page cache.
func (f *file) rest() error { return syscall.Madvise(f.mem, syscall.MADV_DONTNEED) }

// spoil makes the file one that nobody reads, whether or not it can be removed.
func (f *file) spoil() error { return f.touch(func() { clear(f.mem[:len(magic)]) }) }

// touch changes the mapped file. If the file system has no room for that after all, or somebody has cut the file off, the
// kernel says so by a fault.
func (f *file) touch(change func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("store: %v", fault)
		}
	}()
	change()
	return nil
}

func (f *file) close() error { return errors.Join(syscall.Munmap(f.mem), f.f.Close()) }

const suffix = ".journal"

func fileName(dir string, generation uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016d", generation)+suffix)
}

// generations lists what is in a directory, in ascending order.
func generations(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []uint64
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), suffix)
		if n, err := strconv.ParseUint(digits, 10, 63); ok && err == nil && e.Name() == filepath.Base(fileName(dir, n)) {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all, nil
}

// removeBefore removes the generations below one. What cannot be removed is emptied.
func removeBefore(dir string, generation uint64) error {
	all, err := generations(dir)
	for _, n := range all {
		if n >= generation {
			break
		}
		name := fileName(dir, n)
		if e := os.Remove(name); e != nil && !errors.Is(e, fs.ErrNotExist) && os.Truncate(name, 0) != nil {
			err = errors.Join(err, e)
		}
	}
	return err
}
