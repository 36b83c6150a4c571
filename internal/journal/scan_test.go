package journal

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"testing"
)

var discard = slog.New(slog.DiscardHandler)

type found struct {
	part   uint64
	record string
}

func read(b []byte) (all []found, err error) {
	err = scan(bytes.NewReader(b), int64(len(b)), func(part uint64, record []byte) error {
		all = append(all, found{part, string(record)})
		return nil
	})
	return all, err
}

// frame makes a frame of records.
func frame(records []byte) []byte {
	b := append(make([]byte, prefixSize), records...)
	seal(b)
	return b
}

// FuzzScan reads any bytes, as a file and as what is in a frame. What it finds is written and found again.
func FuzzScan(f *testing.F) {
	seed := appendRecord(nil, 0, whole, nil, []byte("p\x01sessions"))
	seed = appendRecord(seed, 1, shared, []byte("head"), []byte("the tail of two"))
	seed = appendRecord(seed, 2, again, []byte("other head"), nil)
	seed = appendRecord(seed, 1, whole, nil, nil)
	seed = appendRecord(seed, 0, whole, nil, []byte{sayWhole})
	f.Add(bytes.Clone(seed), false)
	f.Add(seed[:len(seed)-1], false)
	f.Add([]byte{1<<2 | 3, 0}, false)
	f.Add([]byte{1<<2 | 1, 3, 3, 'a', 'b', 'c', 'd', 'e'}, false)
	f.Add([]byte{1 << 2, 255, 255, 255, 255, 15, 'a'}, false)
	f.Add(appendRecord(nil, 1, again, nil, nil), false)
	seed = append(frame(seed), frame(appendRecord(nil, 2, again, []byte("of the frame before"), nil))...)
	f.Add(bytes.Clone(seed), true)
	f.Add(seed[:len(seed)-1], true)
	f.Add(append(bytes.Clone(seed), 9, 0, 0, 0, 1), true)
	f.Add([]byte{255, 255, 255, 255, 0, 0, 0, 0, 4}, true)
	f.Add(make([]byte, prefixSize), true)
	f.Fuzz(func(t *testing.T, b []byte, framed bool) {
		if !framed && len(b) > 0 { // past the checksum
			b = frame(b)
		}
		all, err := read(b)
		if len(b) > 0 && len(all) == 0 && err == nil {
			t.Fatal("bytes, but no record, and nothing is wrong")
		}
		var again []byte
		for _, r := range all {
			again = append(again, frame(appendRecord(nil, r.part, whole, nil, []byte(r.record)))...)
		}
		twice, err := read(again)
		if err != nil || len(twice) != len(all) {
			t.Fatalf("%d of %d records are found again: %v", len(twice), len(all), err)
		}
		for i := range all {
			if all[i] != twice[i] {
				t.Fatalf("record %d: %+v became %+v", i, all[i], twice[i])
			}
		}
	})
}

// A disk that cannot be read is told from a file that is too short.
func TestReadFails(t *testing.T) {
	b := frame(appendRecord(nil, 1, whole, nil, []byte("x")))
	r := io.MultiReader(bytes.NewReader(b), failing{})
	if err := scan(r, int64(len(b)+20), func(uint64, []byte) error { return nil }); !errors.Is(err, io.ErrNoProgress) {
		t.Error("a fault of the disk became", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrNoProgress }

func BenchmarkAppendFlush(b *testing.B) {
	for name, n := range map[string]int{"1 record": 1, "16 records": 16} {
		b.Run(name, func(b *testing.B) {
			j, err := Open(b.TempDir(), Options{})
			if err != nil {
				b.Fatal(err)
			}
			p := j.Part("a", &counters{values: make(map[string]int)})
			if err := j.Start(); err != nil {
				b.Fatal(err)
			}
			defer j.Close()
			head, tails := make([]byte, 12), [2][]byte{make([]byte, 200), make([]byte, 200)}
			b.ReportAllocs()
			for b.Loop() {
				for i := range n {
					p.AppendShared(head, tails[i&1])
				}
				j.Flush()
			}
		})
	}
}

func BenchmarkFlushNothing(b *testing.B) {
	j, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := j.Start(); err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	for b.Loop() {
		j.Flush()
	}
}
