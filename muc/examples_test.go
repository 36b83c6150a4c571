package muc

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// The first and the last example of XEP-0045 §7 to §10, in version 1.35.5.
const (
	firstExample = 18
	lastExample  = 204
)

func TestEveryExampleHasASceneOrAReason(t *testing.T) {
	known := make(map[string]bool)
	for _, script := range scripts(t) {
		for _, scene := range script.Scenes {
			known[script.Name+": "+scene.Name] = true
		}
	}
	b, err := os.ReadFile("testdata/xep0045.txt")
	if err != nil {
		t.Fatal(err)
	}
	next := firstExample
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 4 {
			t.Fatalf("not four fields: %s", line)
		}
		if n, err := strconv.Atoi(f[0]); err != nil || n != next {
			t.Fatalf("example %d is missing before: %s", next, line)
		}
		next++
		reason, excused := strings.CutPrefix(f[3], "- ")
		switch {
		case excused && len(reason) < 10:
			t.Errorf("example %s: %q is no reason", f[0], reason)
		case !excused && !known[f[3]]:
			t.Errorf("example %s: there is no scene %q", f[0], f[3])
		}
	}
	if next != lastExample+1 {
		t.Errorf("the table ends before example %d", next)
	}
}
