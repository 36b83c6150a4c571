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

// The head of a file, one page that stays mapped while the file is written to:
//
//	 0          8         12        16
//	+----------+---------+---------+---------+-----+----------------------+-----
//	| magic    | version | length  | boot id | ... | bytes that are whole | ...
//	|          | uint32  | of the id         |     | uint64 at lengthAt   |
//	+----------+---------+---------+---------+-----+----------------------+-----
//
// The count of bytes is stored after each write and needs no system call; since it lies in the page cache as the records
// do, it survives the process with them. It makes each write one that happened or did not, and shows a file that lost
// something.
const (
	magic     = "PARLEYJL"
	version   = 1
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

// file is a generation that is being written.
type file struct {
	f    *os.File
	head []byte // mapped
	size int64
}

// createFile makes a file that has its name when its head is whole.
func createFile(dir string, generation uint64, boot string) (*file, error) {
	f, err := os.OpenFile(filepath.Join(dir, "new"), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(newHead(boot))
	if err == nil {
		err = os.Rename(f.Name(), fileName(dir, generation))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	head, err := syscall.Mmap(int(f.Fd()), 0, headSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("map: %w", err), f.Close())
	}
	return &file{f: f, head: head, size: headSize}, nil
}

// append writes and then says that it is written.
func (f *file) append(b []byte) error {
	n, err := f.f.Write(b)
	if err != nil {
		return err
	}
	f.size += int64(n)
	return f.touch(func() { lengthOf(f.head).Store(uint64(f.size)) })
}

// spoil makes the file one that nobody reads, whether or not it can be removed.
func (f *file) spoil() error { return f.touch(func() { clear(f.head[:len(magic)]) }) }

// touch changes the mapped head. If the file system has no room even for that, or somebody has cut the file off, the
// kernel says so by a fault.
func (f *file) touch(change func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("head of the file: %v", fault)
		}
	}()
	change()
	return nil
}

func (f *file) close() error { return errors.Join(syscall.Munmap(f.head), f.f.Close()) }

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
