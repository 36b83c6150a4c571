package network

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"parley/internal/bench"
)

// verdicts writes what was named for each fault: of all rounds together.
func (o *Options) verdicts(w io.Writer, wrong []Fault, builds []build, findings []finding) error {
	if _, err := fmt.Fprintf(w, "Faults that %d members who send and receive find in their conference; what happens to paths happens to the first one's alone. Right is a part that was\n"+
		"named before any other and within %v; seconds are medians, of those that were named at all. %d rounds from seed %d.\n\n", o.Senders, inTime, max(o.Rounds, 1), o.Seed); err != nil {
		return err
	}
	var t bench.Table
	t.Row("fault", "build", "expected", "named", "right", "s", "longest s", "well again s", "late ms", "beside")
	for _, f := range wrong {
		for _, b := range builds {
			t.Row(row(&f, b, findings)...)
		}
	}
	_, err := t.WriteTo(w)
	return err
}

// row is that of a fault and a build.
func row(of *Fault, b build, findings []finding) []string {
	var parts, beside []string
	var named, healed, late []float64
	right, n := 0, 0
	note := func(list *[]string, s string) {
		if !slices.Contains(*list, s) {
			*list = append(*list, s)
		}
	}
	for _, f := range findings {
		if f.Fault != of.Name || f.Build != b.name {
			continue
		}
		n++
		late = append(late, f.Late)
		if f.right(of) {
			right++
		}
		if f.Part == "" {
			f.Part = "nothing"
		}
		note(&parts, f.Part)
		for _, s := range f.Beside {
			note(&beside, s)
		}
		if f.Named > 0 {
			named = append(named, f.Named)
		}
		if f.Healed >= 0 {
			healed = append(healed, f.Healed)
		}
	}
	figure := func(list []float64, of func([]float64) float64) string {
		if len(list) == 0 {
			return "–"
		}
		return tenth(of(list))
	}
	longest := func(list []float64) float64 { return slices.Max(list) }
	return []string{of.Name + " " + of.Title, b.name, of.Part, strings.Join(parts, ", "), fmt.Sprintf("%d of %d", right, n), figure(named, bench.Median),
		figure(named, longest), figure(healed, bench.Median), figure(late, bench.Median), strings.Join(beside, ", ")}
}
