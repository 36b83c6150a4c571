package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRun runs the targets of a small module: one that passes, one whose seed fails, and one whose failing input has to
// be found.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module small\n\ngo 1.24\n")
	write("none/none.go", "package none\n")
	write("good/good_test.go", `package good
import "testing"
func FuzzGood(f *testing.F) { f.Fuzz(func(*testing.T, byte) {}) }
`)
	write("bad/bad_test.go", `package bad
import "testing"
func FuzzFound(f *testing.F) { f.Fuzz(func(t *testing.T, b byte) { if b > 100 { t.Error("too much") } }) }
func FuzzSeed(f *testing.F) { f.Add(byte(7)); f.Fuzz(func(t *testing.T, b byte) { if b == 7 { t.Error("unlucky") } }) }
`)
	for _, c := range []struct {
		packages string
		status   int
		wants    []string
	}{
		{"./good", 0, []string{"1 targets, 500ms each", "ok   1/1 small/good FuzzGood", "execs: ", "1 targets passed, 0 failed"}},
		{"./none", 1, []string{"no fuzz targets in ./none"}},
		{"./absent", 1, []string{"absent"}},
		{"./...", 1, []string{"3 targets", "FAIL 1/3 small/bad FuzzFound", "too much", "FAIL 2/3 small/bad FuzzSeed", "unlucky", "ok   3/3 small/good FuzzGood",
			"FAILED small/bad FuzzFound: the input is " + filepath.Join(dir, "bad/testdata/fuzz/FuzzFound"), "again by: go test -run '^FuzzFound$/^",
			"FAILED small/bad FuzzSeed: a seed fails", "1 targets passed, 2 failed"}},
	} {
		var out strings.Builder
		if status := run(t.Context(), dir, &out, 500*time.Millisecond, []string{c.packages}); status != c.status {
			t.Errorf("%s: status %d, want %d", c.packages, status, c.status)
		}
		for _, want := range c.wants {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: %q is missing in\n%s", c.packages, want, out.String())
			}
		}
	}
}
