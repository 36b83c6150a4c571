package network

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"parley/internal/bench"
)

// column is one of the table.
type column struct {
	name string
	text func(v float64) string
	of   func(f *Figures) float64
}

var columns = []column{
	{"use %", whole, func(f *Figures) float64 { return 100 * f.Use }},
	{"queue p95 ms", bench.Number, func(f *Figures) float64 { return f.Queue }},
	{"begin s", tenth, func(f *Figures) float64 { return f.Begin }},
	{"down s", tenth, func(f *Figures) float64 { return f.Down }},
	{"up s", tenth, func(f *Figures) float64 { return f.Up }},
	{"Jain", hundredth, func(f *Figures) float64 { return f.Jain }},
	{"TCP %", whole, func(f *Figures) float64 { return 100 * f.TCP }},
	{"audio %", hundredth, func(f *Figures) float64 { return 100 * f.Audio }},
	{"freeze %", tenth, func(f *Figures) float64 { return 100 * f.Freeze }},
	{"away %", tenth, func(f *Figures) float64 { return 100 * f.Away }},
	{"fps", tenth, func(f *Figures) float64 { return f.FPS }},
	{"RTX+padding kB", bench.Number, func(f *Figures) float64 { return f.Repairs }},
	{"dropped %", hundredth, func(f *Figures) float64 { return 100 * f.Dropped }},
	{"key frames", whole, func(f *Figures) float64 { return f.Begged }},
	{"keyed /min", tenth, func(f *Figures) float64 { return f.Keyed }},
	{"others fps", tenth, func(f *Figures) float64 { return f.Others.FPS }},
	{"others delay ms", tenth, func(f *Figures) float64 { return f.Others.Delay }},
	{"late ms", tenth, func(f *Figures) float64 { return f.Late }},
}

// differences are shown in percent of what the same build did in the case clean.
var differences = []column{
	{"others fps Δ%", signed, func(f *Figures) float64 { return f.Others.FPS }},
	{"others delay Δ%", signed, func(f *Figures) float64 { return f.Others.Delay }},
}

func whole(v float64) string     { return fmt.Sprintf("%.0f", v) }
func tenth(v float64) string     { return fmt.Sprintf("%.1f", v) }
func signed(v float64) string    { return fmt.Sprintf("%+.1f", v) }
func hundredth(v float64) string { return fmt.Sprintf("%.2f", v) }

// applies reports that a column says something of a case.
func (k *column) applies(c *Case) bool {
	falls, rises := false, false
	for i := 1; i < len(c.Down); i++ {
		falls = falls || c.Down[i].Rate < c.Down[i-1].Rate
		rises = rises || c.Down[i].Rate > c.Down[i-1].Rate
	}
	switch k.name {
	case "down s":
		return falls
	case "up s":
		return rises
	case "Jain":
		return len(c.Flows)+c.Long > 1
	case "TCP %":
		return c.Long+c.Short > 0
	}
	return true
}

// table writes medians.
func (o *Options) table(w io.Writer, list []Case, builds []build, bouts []bout) error {
	over := "relays on loopback"
	if o.TUN {
		over = "a router between network namespaces"
	}
	if o.Chromium != "" {
		over += ", to a Chromium first of all"
	}
	if _, err := fmt.Fprintf(w, "Over %s; %d senders of 150, 500 and 1,800 kbit/s (%s) and of voice; medians of %d rounds from seed %d; %d CPUs, %s/%s.\n"+
		"Late is how much later than they should have packets were delivered by the emulation (p95): above a few ms the machine was too busy.\n\n",
		over, o.Senders, o.Codec, max(o.Rounds, 1), o.Seed, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH); err != nil {
		return err
	}
	shown, compared := columns, differences
	if !o.Bystander {
		shown = slices.DeleteFunc(slices.Clone(columns), func(k column) bool { return strings.HasPrefix(k.name, "others") })
	}
	if !o.Bystander || !slices.ContainsFunc(list, func(c Case) bool { return c.Name == clean }) {
		compared = nil
	}
	var t bench.Table
	head := []string{"case", "s", "build"}
	for _, k := range slices.Concat(shown, compared) {
		head = append(head, k.name)
	}
	t.Row(head...)
	for _, c := range list {
		for _, b := range builds {
			row := []string{c.Name + " " + c.Title, whole(c.Length.Seconds()), b.name}
			for _, k := range shown {
				row = append(row, k.cell(&c, b, bouts))
			}
			for _, k := range compared {
				row = append(row, k.difference(&c, b, bouts))
			}
			t.Row(row...)
		}
	}
	_, err := t.WriteTo(w)
	return err
}

// cell is the median of a column for a case and a build.
func (k *column) cell(c *Case, b build, bouts []bout) string {
	v, ok := k.median(c.Name, b, bouts)
	if !ok || !k.applies(c) {
		return "–"
	}
	return k.text(v)
}

// difference is that of the median to the one of the case clean.
func (k *column) difference(c *Case, b build, bouts []bout) string {
	v, _ := k.median(c.Name, b, bouts)
	base, _ := k.median(clean, b, bouts)
	if v == 0 || base == 0 {
		return "–"
	}
	return k.text(100 * (v/base - 1))
}

func (k *column) median(name string, b build, bouts []bout) (v float64, ok bool) {
	var all []float64
	for i := range bouts {
		if r := &bouts[i]; r.Case == name && r.Build == b.name {
			all = append(all, k.of(&r.Figures))
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	return bench.Median(all), true
}
