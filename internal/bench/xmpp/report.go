package xmpp

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"parley/internal/bench"
)

// own is the name of the server whose share of the best other one is shown.
const own = "parley"

func (r *Report) faults() (n int) {
	for _, m := range r.All {
		if m.Error != "" || m.Lost > 0 {
			n++
		}
	}
	return n
}

// cell is what one server did in one row, all rounds.
type cell struct {
	values []float64
	sys    []float64 // share of system time
	lost   int64
}

// Write writes the table of medians and below it what went wrong.
func (r *Report) Write(w io.Writer) error {
	var servers, rows []string
	first := make(map[string]Figure)
	heaps := make(map[string][]string)
	cells := make(map[[2]string]*cell)
	for _, m := range r.All {
		if !slices.Contains(servers, m.Server) {
			servers = append(servers, m.Server)
		}
		if m.Row == "" {
			continue
		}
		if !slices.Contains(rows, m.Row) {
			rows = append(rows, m.Row)
			first[m.Row] = m.Figure
		}
		c := cells[[2]string{m.Row, m.Server}]
		if c == nil {
			c = new(cell)
			cells[[2]string{m.Row, m.Server}] = c
		}
		c.values = append(c.values, m.Value)
		if h := heaps[m.Row]; !slices.Contains(h, m.Heap) {
			heaps[m.Row] = append(h, m.Heap)
		}
		c.lost += m.Lost
		if total := m.User + m.Sys; total > 0 {
			c.sys = append(c.sys, 100*float64(m.Sys)/float64(total))
		}
	}
	var t bench.Table
	head := append([]string{"what", "unit", "heap"}, servers...)
	against := slices.Contains(servers, own) && len(servers) > 1
	if against {
		head = append(head, own+" / best other")
	}
	t.Row(head...)
	for _, row := range rows {
		f := first[row]
		line := []string{row, f.Unit, strings.Join(heaps[row], "/")}
		best := 0.0
		for _, s := range servers {
			c := cells[[2]string{row, s}]
			if c == nil {
				line = append(line, "–")
				continue
			}
			v := bench.Median(c.values)
			text := bench.Number(v)
			if len(c.sys) > 0 {
				text += fmt.Sprintf(" (%.0f%% sys)", bench.Median(c.sys))
			}
			if c.lost > 0 {
				text += fmt.Sprintf(" LOST %d", c.lost)
			}
			line = append(line, text)
			if s != own && c.lost == 0 && (best == 0 || f.Higher == (v > best)) {
				best = v
			}
		}
		if against {
			text := "–"
			if c := cells[[2]string{row, own}]; c != nil && best > 0 && f.Unit != "%" {
				text = bench.Number(bench.Median(c.values)/best) + "×"
			}
			line = append(line, text)
		}
		t.Row(line...)
	}
	fewest, most := r.Options.Rounds, 0
	for _, c := range cells {
		fewest, most = min(fewest, len(c.values)), max(most, len(c.values))
	}
	rounds := fmt.Sprintf("medians of %d", most)
	if fewest < most {
		rounds = fmt.Sprintf("medians of %d to %d", fewest, most)
	}
	fmt.Fprintf(w, "%s, Linux %s, %d CPUs; %s; processor time of the server alone, user and system\n\n", r.Started.Format(time.DateTime), r.Kernel, r.CPUs, rounds)
	if _, err := t.WriteTo(w); err != nil {
		return err
	}
	if len(r.Scans) > 0 {
		var t bench.Table
		t.Row("reading a stanza", "ns", "allocations")
		for _, s := range r.Scans {
			t.Row(fmt.Sprintf("%s of %d B", s.Kind, s.Size), bench.Number(s.Nanoseconds), bench.Number(s.Allocations))
		}
		fmt.Fprintln(w)
		if _, err := t.WriteTo(w); err != nil {
			return err
		}
	}
	var b strings.Builder
	for _, m := range r.All {
		if m.Error != "" {
			fmt.Fprintf(&b, "\nround %d, %s, %s: %s", m.Round, m.Server, m.Workload, m.Error)
		}
		if m.Lost > 0 {
			fmt.Fprintf(&b, "\nround %d, %s, %s: %d never came", m.Round, m.Server, m.Row, m.Lost)
		}
	}
	if b.Len() > 0 {
		_, err := fmt.Fprintf(w, "\nwhat went wrong:\n%s\n", b.String())
		return err
	}
	return nil
}
