// Package event counts and logs what the server refused, dropped or survived: one counter per kind of event and, per
// kind and source, at most one log line in ten seconds with the count of the rest. Peers' text is quoted and cut.
package event

import (
	"context"
	"log/slog"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// LevelCritical is for what hurts the whole node.
const LevelCritical = slog.LevelError + 4

const (
	every   = 10 * time.Second // one line per event and source
	sources = 4096             // sources remembered; beyond that, lines of unknown sources share one allowance
	longest = 256              // bytes of a peer's text in a log line
)

// Metric is the name of the counters, which have the label "event".
const Metric = "parley_reject_total"

// Recorder is safe for concurrent use. A nil Recorder records nothing.
type Recorder struct {
	log    *slog.Logger
	redact bool
	counts *prometheus.CounterVec

	mu    sync.Mutex // guards lines
	lines map[line]*allowance
}

type line struct{ name, source string }

type allowance struct {
	next    time.Time
	skipped int
}

// New returns a recorder whose counters are registered with reg under parley_reject_total. With redact, addresses of
// peers are shortened to their network.
func New(log *slog.Logger, reg prometheus.Registerer, redact bool) *Recorder {
	r := &Recorder{
		log: log, redact: redact, lines: make(map[line]*allowance),
		counts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: Metric, Help: "What was refused, dropped or limited, by event.",
		}, []string{"event"}),
	}
	reg.MustRegister(r.counts)
	return r
}

// Reject records a fault of a client or peer, at level warn. Source is what the allowance of log lines is kept for: an
// address, a user. The attributes are slog's.
func (r *Recorder) Reject(name, source string, attrs ...any) {
	r.record(slog.LevelWarn, name, source, attrs)
}

// Debug records something that is no fault, at level debug.
func (r *Recorder) Debug(name, source string, attrs ...any) {
	r.record(slog.LevelDebug, name, source, attrs)
}

// Hurt records that one session, room or link suffered from a fault of ours, at level error.
func (r *Recorder) Hurt(name, source string, attrs ...any) {
	r.record(slog.LevelError, name, source, attrs)
}

// Step writes, at level info, that something went as it should. It is not counted, and written once in ten seconds for a source, which is
// whatever tells those who do it apart and is not written itself.
func (r *Recorder) Step(name, source string, attrs ...any) {
	if r == nil || !r.log.Enabled(context.Background(), slog.LevelInfo) {
		return
	}
	r.write(slog.LevelInfo, "step", name, source, append([]any{"event", name}, attrs...))
}

// Count only counts: for paths where a log line is too dear.
func (r *Recorder) Count(name string) {
	if r != nil {
		r.counts.WithLabelValues(name).Inc()
	}
}

// Add counts what another process has counted.
func (r *Recorder) Add(name string, n float64) {
	if r != nil && n > 0 {
		r.counts.WithLabelValues(name).Add(n)
	}
}

func (r *Recorder) record(level slog.Level, name, source string, attrs []any) {
	if r == nil {
		return
	}
	r.counts.WithLabelValues(name).Inc()
	if !r.log.Enabled(context.Background(), level) {
		return
	}
	r.write(level, "refused", name, source, append([]any{"event", name, "remote", r.remote(source)}, attrs...))
}

// write writes a line, where the allowance has one left.
func (r *Recorder) write(level slog.Level, text, name, source string, attrs []any) {
	skipped, ok := r.allow(name, source)
	if !ok {
		return
	}
	for i := 1; i < len(attrs); i += 2 {
		if s, ok := attrs[i].(string); ok {
			attrs[i] = Clean(s)
		}
	}
	if skipped > 0 {
		attrs = append(attrs, "count", skipped+1)
	}
	r.log.Log(context.Background(), level, text, attrs...)
}

// allow reports that a line may be written and how many were not since the last one.
func (r *Recorder) allow(name, source string) (skipped int, ok bool) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	key := line{name, source}
	a := r.lines[key]
	if a == nil {
		if len(r.lines) >= sources {
			r.forget(now)
		}
		if len(r.lines) >= sources {
			key.source = ""
			a = r.lines[key]
		}
		if a == nil {
			a = &allowance{}
			r.lines[key] = a
		}
	}
	if now.Before(a.next) {
		a.skipped++
		return 0, false
	}
	skipped, a.skipped, a.next = a.skipped, 0, now.Add(every)
	return skipped, true
}

// forget drops the allowances that are whole again. Called with mu held.
func (r *Recorder) forget(now time.Time) {
	for key, a := range r.lines {
		if now.After(a.next) {
			delete(r.lines, key)
		}
	}
}

func (r *Recorder) remote(source string) string {
	if !r.redact {
		return source
	}
	addr, err := netip.ParseAddr(source)
	if err != nil {
		return source
	}
	bits := 16
	if addr.Unmap().Is6() {
		bits = 32
	}
	prefix, _ := addr.Unmap().Prefix(bits)
	return prefix.String()
}

// Clean makes a peer's text fit for a log line: quoted where it holds anything but plain characters, and cut.
func Clean(s string) string {
	if len(s) > longest {
		s = s[:longest] + "…"
	}
	for _, c := range s {
		if c < ' ' || c == 0x7F || c >= 0x2028 && c <= 0x202E || c >= 0x2066 && c <= 0x2069 || c == '\uFFFD' {
			return strconv.QuoteToASCII(s)
		}
	}
	return s
}
