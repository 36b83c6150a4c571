package records

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// fileSize is from which size on a file of the spool is finished, and another one begun.
const fileSize = 1 << 20

// spool is a folder of numbered files. Lines are added to the latest; the others are finished, to be read and removed. What was
// written survives the process, not the machine: nothing is synced.
type spool struct {
	folder string
	most   int64 // bytes

	mu    sync.Mutex // guards what follows
	files []*file    // by number; the last one is open if now is not nil
	now   *os.File
	size  int64 // of all
}

type file struct {
	number uint64
	size   int64
}

// openSpool opens the folder, with what is in it.
func openSpool(folder string, most int64) (*spool, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("records: %w", err)
	}
	list, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("records: %w", err)
	}
	s := &spool{folder: folder, most: most}
	for _, d := range list {
		name, ok := strings.CutSuffix(d.Name(), ".jsonl")
		number, err := strconv.ParseUint(name, 10, 64)
		info, gone := d.Info()
		if !ok || err != nil || gone != nil || !d.Type().IsRegular() {
			continue
		}
		s.files = append(s.files, &file{number, info.Size()})
		s.size += info.Size()
	}
	slices.SortFunc(s.files, func(a, b *file) int { return cmp.Compare(a.number, b.number) })
	return s, nil
}

func (s *spool) path(number uint64) string {
	return filepath.Join(s.folder, fmt.Sprintf("%012d.jsonl", number))
}

var errFull = errors.New("records: the spool is full")

// add adds a line, or says that there is no room: minor lines leave a quarter to others.
func (s *spool) add(line []byte, minor bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := s.most
	if minor {
		most -= most / 4
	}
	if s.size+int64(len(line)) > most {
		return errFull
	}
	if s.now == nil {
		number := uint64(1)
		if n := len(s.files); n > 0 {
			number = s.files[n-1].number + 1
		}
		f, err := os.OpenFile(s.path(number), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		s.now, s.files = f, append(s.files, &file{number: number})
	}
	n, err := s.now.Write(line)
	latest := s.files[len(s.files)-1]
	latest.size += int64(n)
	s.size += int64(n)
	if err != nil || latest.size >= fileSize { // behind half a line nothing else is written
		s.finish()
	}
	return err
}

// finish ends the file that is being written. Called with mu held.
func (s *spool) finish() {
	if s.now != nil {
		s.now.Close()
		s.now = nil
	}
}

// oldest returns the number and the text of the oldest file, which is finished now; ok is false when there is none.
func (s *spool) oldest() (number uint64, text []byte, ok bool, err error) {
	s.mu.Lock()
	if len(s.files) == 0 {
		s.mu.Unlock()
		return 0, nil, false, nil
	}
	if len(s.files) == 1 {
		s.finish()
	}
	number = s.files[0].number
	s.mu.Unlock()
	text, err = os.ReadFile(s.path(number))
	if errors.Is(err, fs.ErrNotExist) { // somebody has removed it
		s.remove(number)
		return s.oldest()
	}
	return number, text, err == nil, err
}

// remove removes the oldest file, whose lines are delivered.
func (s *spool) remove(number uint64) error {
	err := os.Remove(s.path(number))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.files) > 0 && s.files[0].number == number {
		s.size -= s.files[0].size
		s.files = s.files[1:]
	}
	return nil
}

// bytes is how much waits.
func (s *spool) bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

func (s *spool) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish()
}
