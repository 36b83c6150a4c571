package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// once is a test file whose tests fail the first time and pass from then on, but for one.
const once = `package sample
import ("os"; "testing")
func first(t *testing.T) {
	if _, err := os.Stat(t.Name()); err != nil {
		os.WriteFile(t.Name(), nil, 0o600)
		t.Fatal("the first time")
	}
}
func TestA(t *testing.T) { first(t) }
func TestB(t *testing.T) { t.Run("part", func(t *testing.T) { os.Mkdir("TestB", 0o700); first(t) }) }
func TestC(t *testing.T) { first(t) }
func TestD(t *testing.T) { first(t) }
func TestE(t *testing.T) { first(t) }
func TestAlways(t *testing.T) { t.Error("every time") }
func TestPanics(t *testing.T) { if _, err := os.Stat("p"); err != nil { os.WriteFile("p", nil, 0o600); panic("!") } }
func TestGood(t *testing.T) {}
`

func TestWhatFailsIsRunAgainAlone(t *testing.T) {
	for _, c := range []struct {
		pattern  string
		failed   int
		unstable int
	}{
		{"^(TestGood|TestA)$", 0, 1},
		{"^(TestA|TestB)$", 0, 3}, // with its part
		{"^Test[A-E]$", 7, 0},
		{"^(TestA|TestAlways)$", 3, 0},
		{"^TestPanics$", 2, 0},
	} {
		t.Run(c.pattern, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{"go.mod": "module sample\ngo 1.26\n", "sample_test.go": once} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			t.Chdir(dir)
			var r results
			r.goTest(nil, "-run="+c.pattern, ".")
			r.settle()
			if _, failed, _ := r.count(); failed != c.failed || len(r.unstable) != c.unstable {
				t.Errorf("%d failed, %d unstable; want %d, %d", failed, len(r.unstable), c.failed, c.unstable)
			}
		})
	}
}

func TestSaid(t *testing.T) {
	why := said([]string{"=== RUN   TestX\n", "    x_test.go:1: lost\n", "    parley.go:1: log of the server:\n", "    a thousand lines\n"})
	if strings.Join(why, "|") != "    x_test.go:1: lost" {
		t.Errorf("%q", why)
	}
}
