package media

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"parley/internal/bench"
	"parley/internal/peertest/mediapeer"
)

// Options say what is measured.
type Options struct {
	Case     []string      `help:"what to measure: cameras, gallery, lecture, equal-5x20, equal-10x20, equal-1x50" default:"cameras,gallery,lecture,equal-5x20,equal-10x20,equal-1x50" sep:","`
	Equal    bool          `help:"only the cases of equal packets"`
	Trace    string        `help:"capture to send in place of the recorded streams: time in seconds, source port, destination port, SSRC, payload type, marker, bytes" type:"existingfile"`
	Veth     bool          `help:"put the bridge into a network namespace of its own, behind a pair of veth; takes root"`
	GRO      bool          `help:"let receivers take datagrams as the bridge sent them, in one piece: what a network card that cuts them would save"`
	Rounds   int           `help:"how often; medians are shown" default:"3"`
	Warm     time.Duration `help:"how long a load runs before it is measured" default:"3s"`
	Duration time.Duration `help:"how long it is measured" default:"10s"`
	Binary   []string      `help:"builds of this program to compare, as NAME=PATH or PATH; default: this one" sep:"none" placeholder:"PATH"`
	Profile  string        `help:"folder for a profile of the bridge's processor in each measurement" type:"path"`
	JSON     string        `help:"file to write everything measured to" type:"path"`

	Progress io.Writer `kong:"-" json:"-"` // lines on long work; nil: none
}

type counter = atomic.Uint64

// build is a program whose bridge is measured.
type build struct{ name, path string }

// bout is one measurement.
type bout struct {
	Build, Case string
	Load        float64 // average of the machine when it began

	Forwarded float64 // packets a second that receivers got
	CPU       float64 // µs of the bridge for each of them
	User, Sys float64 // of that
	PerSend   float64 // datagrams in a call
	PerRead   float64
	Allocs    float64 // allocations for each forwarded packet
	P50, P99  float64 // ms from sender to receiver
	Lost      float64 // share of the packets that should have come
	Dropped   float64 // that the bridge's kernel did not take, or had no room for
	RSS       float64 // kB for each participant
	Generator float64 // µs of this program for each packet
}

// Run measures and writes a table.
func Run(ctx context.Context, o Options, w io.Writer) (err error) {
	list, builds, err := o.chosen()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "parley-bench-media-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	n := loopback()
	if o.Veth {
		if n, err = veth(ctx); err != nil {
			return err
		}
		defer n.remove()
	}
	var bouts []bout
	for round := range max(o.Rounds, 1) {
		for _, c := range list {
			for _, b := range builds {
				o.say("round %d, %s, %s", round+1, c.Name, b.name)
				r, err := o.measure(ctx, b, c, n, dir)
				if ctx.Err() != nil {
					return errors.Join(ctx.Err(), o.report(w, list, builds, bouts, n))
				}
				if err != nil {
					return fmt.Errorf("%s, %s: %w", c.Name, b.name, err)
				}
				o.say("  %.2f µs a packet (user %.2f, system %.2f), %.2f packets a send, %.0f packets/s, delay %.2f / %.2f ms, lost %.3f %%, load %.1f",
					r.CPU, r.User, r.Sys, r.PerSend, r.Forwarded, r.P50, r.P99, 100*r.Lost, r.Load)
				bouts = append(bouts, r)
			}
		}
	}
	return o.report(w, list, builds, bouts, n)
}

func (o *Options) say(format string, args ...any) {
	if o.Progress != nil {
		fmt.Fprintf(o.Progress, format+"\n", args...)
	}
}

// chosen returns the cases and builds to measure.
func (o *Options) chosen() (list []Case, builds []build, err error) {
	for _, name := range o.Case {
		i := slices.IndexFunc(cases, func(c Case) bool { return c.Name == name })
		if i < 0 {
			return nil, nil, fmt.Errorf("no case %q", name)
		}
		c := cases[i]
		if o.Equal && c.Camera != "equal" {
			continue
		}
		if err := c.load(o.Trace); err != nil {
			return nil, nil, err
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, nil, errors.New("nothing to measure")
	}
	for _, spec := range o.Binary {
		name, path, ok := strings.Cut(spec, "=")
		if !ok {
			name, path = filepath.Base(spec), spec
		}
		if path, err = filepath.Abs(path); err != nil {
			return nil, nil, err
		}
		builds = append(builds, build{name, path})
	}
	if len(builds) == 0 {
		path, err := os.Executable()
		if err != nil {
			return nil, nil, err
		}
		builds = []build{{"parley", path}}
	}
	return list, builds, nil
}

// reading is everything that is read before and after the measured time.
type reading struct {
	at       time.Time
	cpu, own bench.CPU
	counts   counts
	got      mediapeer.Count
	sent     uint64
}

func (k *call) read(ctx context.Context, sent *counter) (r reading, err error) {
	if r.counts, err = k.bridge.counts(ctx); err != nil {
		return r, err
	}
	for _, p := range k.receivers {
		n := p.peer.Count()
		r.got.Packets += n.Packets
		r.got.Expected += n.Expected
		r.got.Bad += n.Bad
	}
	if r.cpu, err = bench.ReadCPU(k.bridge.pid); err != nil {
		return r, err
	}
	r.own, err = bench.ReadCPU(os.Getpid())
	r.own = r.own.Sub(r.cpu) // the bridge is a child of this process
	r.at, r.sent = time.Now(), sent.Load()
	return r, err
}

// measure runs one case on a bridge of its own.
func (o *Options) measure(ctx context.Context, b build, c Case, n *network, dir string) (r bout, err error) {
	r = bout{Build: b.name, Case: c.Name, Load: loadAverage()}
	bridge, err := start(ctx, b.path, n, dir)
	if err != nil {
		return r, err
	}
	defer bridge.end()
	empty, err := bench.ReadMemory(bridge.pid)
	if err != nil {
		return r, err
	}
	k, err := open(ctx, bridge, c, n, o.GRO)
	if err != nil {
		return r, err
	}
	defer k.close()

	var sent counter
	playing, stop := context.WithCancel(ctx)
	played := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // its sleep is exact to some 60 µs then
		defer runtime.UnlockOSThread()
		played <- k.play(playing, &sent)
	}()
	defer func() {
		stop()
		err = errors.Join(err, <-played)
	}()
	if err := pause(ctx, o.Warm, played); err != nil {
		return r, err
	}
	before, err := k.read(ctx, &sent)
	if err != nil {
		return r, err
	}
	k.delays.want(true)
	profiled := make(chan error, 1)
	if o.Profile != "" {
		name := filepath.Join(o.Profile, c.Name+"-"+b.name+".pprof")
		go func() { profiled <- bridge.profile(ctx, name, o.Duration) }()
	} else {
		profiled <- nil
	}
	if err := pause(ctx, o.Duration, played); err != nil {
		return r, err
	}
	k.delays.want(false)
	after, err := k.read(ctx, &sent)
	if err != nil {
		return r, err
	}
	full, err := bench.ReadMemory(bridge.pid)
	if err != nil {
		return r, err
	}
	if err := <-profiled; err != nil {
		return r, err
	}
	r.fill(before, after)
	r.RSS = float64(full.RSS-empty.RSS) / 1024 / float64(c.Senders+c.Receivers)
	r.P50, r.P99 = ms(bench.Percentile(k.delays.list, 0.5)), ms(bench.Percentile(k.delays.list, 0.99))
	switch {
	case after.got.Packets == before.got.Packets:
		return r, errors.New("the receivers got nothing")
	case after.got.Bad > 0:
		return r, fmt.Errorf("%d packets could not be decrypted", after.got.Bad)
	case len(k.delays.list) == 0:
		return r, errors.New("no packet had a stamp")
	}
	return r, nil
}

// pause waits, unless sending ends before.
func pause(ctx context.Context, d time.Duration, played chan error) error {
	select {
	case <-time.After(d):
		return nil
	case err := <-played:
		played <- nil
		return fmt.Errorf("sending has ended: %w", err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fill computes what is said of the time between two readings.
func (r *bout) fill(before, after reading) {
	packets := float64(after.got.Packets - before.got.Packets)
	if packets == 0 {
		return
	}
	cpu := after.cpu.Sub(before.cpu)
	each := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) / packets }
	r.Forwarded = packets / after.at.Sub(before.at).Seconds()
	r.CPU, r.User, r.Sys = each(cpu.Total()), each(cpu.User), each(cpu.Sys)
	r.Generator = each(after.own.Sub(before.own).Total())
	a, b := after.counts, before.counts
	r.PerSend = ratio(a.sent-b.sent, a.sends-b.sends)
	r.PerRead = ratio(a.received-b.received, a.reads-b.reads)
	r.Allocs = (a.mallocs - b.mallocs) / packets
	r.Dropped = a.dropped - b.dropped + a.overflow - b.overflow
	if expected := float64(after.got.Expected - before.got.Expected); expected > packets {
		r.Lost = (expected - packets) / expected
	}
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// loadAverage is that of the last minute; 0 where the system does not say.
func loadAverage() (v float64) {
	b, _ := os.ReadFile("/proc/loadavg")
	fmt.Sscan(string(b), &v)
	return v
}

// report writes medians as a table, and everything as JSON if asked.
func (o *Options) report(w io.Writer, list []Case, builds []build, bouts []bout, n *network) error {
	cut := "receivers take datagrams one by one"
	if o.GRO {
		cut = "receivers take datagrams uncut (GRO)"
	}
	if _, err := fmt.Fprintf(w, "Over %s; %s; medians of %d rounds of %v; %d CPUs, %s/%s. Loss is in %%, delays in ms.\n\n",
		n, cut, max(o.Rounds, 1), o.Duration, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH); err != nil {
		return err
	}
	var t bench.Table
	t.Row("case", "build", "packets/s", "µs/packet", "user", "system", "packets/send", "delay p50", "p99", "lost", "allocs/packet", "kB/participant", "generator µs", "load")
	for _, c := range list {
		for _, b := range builds {
			of := func(value func(bout) float64) float64 {
				var all []float64
				for _, r := range bouts {
					if r.Case == c.Name && r.Build == b.name {
						all = append(all, value(r))
					}
				}
				return bench.Median(all)
			}
			number := func(value func(bout) float64) string { return bench.Number(of(value)) }
			t.Row(c.title(), b.name, number(func(r bout) float64 { return r.Forwarded }), number(func(r bout) float64 { return r.CPU }),
				number(func(r bout) float64 { return r.User }), number(func(r bout) float64 { return r.Sys }),
				number(func(r bout) float64 { return r.PerSend }), number(func(r bout) float64 { return r.P50 }),
				number(func(r bout) float64 { return r.P99 }), fmt.Sprintf("%.3f", of(func(r bout) float64 { return 100 * r.Lost })),
				fmt.Sprintf("%.3f", of(func(r bout) float64 { return r.Allocs })), number(func(r bout) float64 { return r.RSS }),
				number(func(r bout) float64 { return r.Generator }), number(func(r bout) float64 { return r.Load }))
		}
	}
	if _, err := t.WriteTo(w); err != nil {
		return err
	}
	if o.JSON == "" {
		return nil
	}
	b, err := json.MarshalIndent(bouts, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(o.JSON, append(b, '\n'), 0o644)
}
