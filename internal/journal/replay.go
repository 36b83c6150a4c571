package journal

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

var errDamaged = errors.New("the content is damaged")

// replay gives the sources what the last process left: the newest complete generation and what follows it. Nothing is
// given before all of it was found whole.
func (j *Journal) replay() error {
	all, err := generations(j.dir)
	if err != nil {
		return err
	}
	var use []uint64 // from the newest complete one on
	for _, n := range all {
		state, err := j.check(n)
		switch {
		case err != nil:
			return fmt.Errorf("generation %d: %w", n, err)
		case state == foreign:
			j.o.Log.Info("the journal is of another start of the machine, or of another version, and is not used")
			return nil
		case state == complete:
			use = append(use[:0], n)
		case len(use) > 0:
			use = append(use, n)
		}
	}
	for _, n := range use {
		if err := j.replayFile(n); err != nil {
			return fmt.Errorf("generation %d: %w", n, err)
		}
	}
	return nil
}

type state int

const (
	foreign    state = iota // not of this life of the machine, or not of this version
	incomplete              // the snapshot at the beginning was interrupted
	complete
)

// check reads a file without using it.
func (j *Journal) check(generation uint64) (state, error) {
	is := incomplete
	ok, err := j.read(generation, func(part uint64, record []byte) error {
		if part == 0 && len(record) == 1 && record[0] == sayWhole {
			is = complete
		}
		return nil
	})
	if !ok {
		is = foreign
	}
	return is, err
}

// replayFile gives the sources the content of a file.
func (j *Journal) replayFile(generation uint64) error {
	numbers := make(map[uint64]Source) // a part's number in this file
	_, err := j.read(generation, func(part uint64, record []byte) error {
		if part != 0 {
			if s := numbers[part]; s != nil {
				return s.Replay(record)
			}
			return nil
		}
		if len(record) == 0 || record[0] != sayPart {
			return nil
		}
		number, n := binary.Uvarint(record[1:])
		if n <= 0 {
			return errDamaged
		}
		for _, p := range j.parts {
			if p.name == string(record[1+n:]) {
				numbers[number] = p.source
			}
		}
		return nil
	})
	return err
}

// read calls f with every record of a file; ok is false if the file is foreign.
func (j *Journal) read(generation uint64, f func(part uint64, record []byte) error) (ok bool, err error) {
	in, err := os.Open(fileName(j.dir, generation))
	if err != nil {
		return false, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return false, err
	}
	r := bufio.NewReaderSize(in, 256<<10)
	head := make([]byte, headSize)
	if _, err := io.ReadFull(r, head); err != nil {
		return true, short(err)
	}
	if want := newHead(j.o.Boot); !bytes.Equal(head[:lengthAt], want[:lengthAt]) {
		return false, nil
	}
	said := int64(lengthOf(head).Load())
	if said < headSize || said > info.Size() {
		return true, fmt.Errorf("%w: %d bytes are left of %d", errDamaged, info.Size(), said)
	}
	// What is behind was being written when the process died, and nobody was told of it.
	return true, scan(r, said-headSize, f)
}

// scan reads records in frames that take size bytes. A record is valid during the call.
func scan(r io.Reader, size int64, f func(part uint64, record []byte) error) error {
	var at int64
	var prefix [prefixSize]byte
	var body []byte
	var last lastTail
	for at < size {
		next, err := readFrame(r, prefix[:], body, size-at)
		if err != nil {
			return fmt.Errorf("at %d: %w", at, err)
		}
		body = next
		at += prefixSize + int64(len(body))
		for left := body; len(left) > 0; {
			part, record, n := last.record(left)
			if n == 0 {
				return fmt.Errorf("before %d: %w", at, errDamaged)
			}
			left = left[n:]
			if err := f(part, record); err != nil {
				return err
			}
		}
	}
	return nil
}

// lastTail is what records of kind again refer to.
type lastTail struct {
	said   bool // there is a tail
	tail   []byte
	joined []byte // the last record that is not in one piece
}

// record reads the record that b begins with and how long it is, 0 if that cannot be.
func (l *lastTail) record(b []byte) (part uint64, record []byte, size int) {
	word, at := binary.Uvarint(b)
	part, k := word>>2, kind(word&3)
	if at <= 0 || k > again || k == again && !l.said {
		return 0, nil, 0
	}
	var lengths [2]uint64
	for i := range lengths {
		if i == 0 && k == whole || i == 1 && k == again {
			continue
		}
		n, took := binary.Uvarint(b[at:])
		if took <= 0 || n > longest {
			return 0, nil, 0
		}
		lengths[i], at = n, at+took
	}
	head, tail := int(lengths[0]), int(lengths[1])
	if head+tail > len(b)-at {
		return 0, nil, 0
	}
	content := b[at : at+head+tail]
	if k == shared {
		l.tail, l.said = append(l.tail[:0], content[head:]...), true
	}
	if k == again {
		l.joined = append(append(l.joined[:0], content...), l.tail...)
		return part, l.joined, at + head
	}
	return part, content, at + head + tail
}

// readFrame reads the next frame's body into buf.
func readFrame(r io.Reader, prefix, buf []byte, left int64) ([]byte, error) {
	if left < prefixSize {
		return nil, errDamaged
	}
	if _, err := io.ReadFull(r, prefix); err != nil {
		return nil, short(err)
	}
	n := binary.LittleEndian.Uint32(prefix)
	if n == 0 || int64(n) > left-prefixSize {
		return nil, errDamaged
	}
	if int(n) > cap(buf) {
		buf = make([]byte, n, n+n/2)
	}
	buf = buf[:n]
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, short(err)
	}
	if crc32.Checksum(buf, castagnoli) != binary.LittleEndian.Uint32(prefix[4:]) {
		return nil, errDamaged
	}
	return buf, nil
}

// short tells a file that is shorter than it was a moment ago from a fault of the disk.
func short(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errDamaged
	}
	return err
}
