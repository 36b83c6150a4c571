package conform

import (
	"fmt"
	"sort"
	"strings"
	"sync"
)

// table counts what became of the cases.
type table struct {
	mu    sync.Mutex // guards cells
	cells map[cell]count
}

type cell struct{ spec, store, transport string }

type count struct{ passed, all int }

// add notes a case under its specification; the paragraph does not matter.
func (t *table) add(paragraph, store, transport string, passed bool) {
	spec, _, _ := strings.Cut(paragraph, " §")
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cells == nil {
		t.cells = make(map[cell]count)
	}
	at := cell{spec, store, transport}
	c := t.cells[at]
	c.all++
	if passed {
		c.passed++
	}
	t.cells[at] = c
}

func (t *table) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	specs := make(map[string]bool)
	for c := range t.cells {
		specs[c.spec] = true
	}
	var names []string
	for s := range specs {
		names = append(names, s)
	}
	sort.Strings(names)
	var b strings.Builder
	fmt.Fprintf(&b, "%-10s", "")
	columns := func(f func(store, transport string)) {
		for _, store := range []string{"sqlite", "postgres"} {
			for _, transport := range transports {
				f(store, transport)
			}
		}
	}
	columns(func(store, transport string) { fmt.Fprintf(&b, " %18s", store+" "+transport) })
	for _, name := range names {
		fmt.Fprintf(&b, "\n%-10s", name)
		columns(func(store, transport string) {
			c, ok := t.cells[cell{name, store, transport}]
			text := "–"
			if ok {
				text = fmt.Sprintf("%d/%d", c.passed, c.all)
			}
			fmt.Fprintf(&b, " %18s", text)
		})
	}
	return b.String()
}
