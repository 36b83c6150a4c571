package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Options say what is measured.
type Options struct {
	Cases     []string      `help:"what to measure, cases of RFC 8867 §5 and of loss: 5.1 to 5.8, clean, loss-5, loss-10, loss-20, bursts-3, wifi, 300kbit, uplink, spike, jitter; all: every one that is possible; faults: faults that are seeded, and whether the server names the part of the way that they are in, or one of them: fault-uplink, fault-bridge, fault-downlink, fault-relay, and -up or -down of fault-loss, fault-spike, fault-wifi and fault-stalls" default:"all" sep:","`
	Duration  time.Duration `help:"how long each case takes: what happens in it is moved to fit; 0: as long as in the RFC; faults take their own time" default:"60s"`
	Warm      time.Duration `help:"how long everybody is there before a case begins" default:"2s"`
	Rounds    int           `help:"how often; medians are shown" default:"1"`
	Seed      uint64        `help:"of all random numbers; each round adds one" default:"1"`
	Senders   int           `help:"how many members send pictures and voice" default:"4"`
	Codec     string        `help:"of the pictures" enum:"VP8,VP9,AV1,H264" default:"VP8"`
	Queue     time.Duration `help:"that a full queue at the bottleneck makes packets wait" default:"300ms"`
	Packets   int           `help:"that the queue holds at most; 0: no bound" default:"0"`
	Mark      time.Duration `help:"packets of L4S flows that wait longer are marked; takes --tun; 0: none" default:"0"`
	Bystander bool          `help:"let somebody with a good network, 50 ms away, receive everything too, and show what becomes of that; with the case clean among the cases also how much better or worse it is than there"`
	TUN       bool          `name:"tun" help:"network namespaces and a router between them, in place of relays on loopback; takes root. Cases with TCP need it"`
	Chromium  string        `help:"script that drives a Chromium, internal/peertest/browser/member.mjs of the sources: it is the first receiver; takes --tun, VP8, node and Chromium" type:"existingfile" placeholder:"SCRIPT"`
	Binary    []string      `help:"builds of this program to compare, as NAME=PATH or PATH; NAME=livekit:PATH is a livekit-server, which takes --tun and VP8, and no faults; default: this one" sep:"none" placeholder:"PATH"`
	JSON      string        `name:"json" help:"file to append each measurement to, one JSON object a line" type:"path"`
	Plots     string        `help:"folder for a drawing of each measurement" type:"path"`

	Progress io.Writer `kong:"-" json:"-"` // lines on long work; nil: none

	self string // this program, for members in networks of their own
}

// build is a program whose server is measured.
type build struct{ name, kind, path string }

// bout is one measurement.
type bout struct {
	Build, Case string
	Round       int
	Seed        uint64
	Seconds     float64
	Load        float64 // average of the machine when it began
	Chromium    bool    `json:",omitempty"` // was the first receiver
	Figures
	Reports   []report
	Bystander report
}

// Run measures and writes a table.
func Run(ctx context.Context, o Options, w io.Writer) error {
	list, wrong, builds, err := o.chosen()
	if err != nil {
		return err
	}
	for _, b := range builds {
		if _, err := exec.LookPath(b.path); err != nil {
			return fmt.Errorf("%s: no program: %w", b.name, err)
		}
	}
	if o.Plots != "" {
		if err := os.MkdirAll(o.Plots, 0o755); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "parley-bench-network-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var bouts []bout
	var findings []finding
	var failed []error // cases that could not be measured; the others go on
	for round := range max(o.Rounds, 1) {
		for i, c := range list {
			for _, b := range builds {
				o.say("round %d of %d, case %d of %d: %s, %s (%s), %v", round+1, max(o.Rounds, 1), i+1, len(list), b.name, c.Name, c.Title, c.Length)
				r, err := o.measure(ctx, b, c, dir, round)
				if ctx.Err() != nil {
					return errors.Join(ctx.Err(), o.tables(w, list, wrong, builds, bouts, findings))
				}
				if err != nil {
					o.say("  not measured: %v", err)
					failed = append(failed, fmt.Errorf("%s, %s: %w", c.Name, b.name, err))
					continue
				}
				o.say("  use %.0f %%, queue %.0f ms, down %.1f s, up %.1f s, audio %.2f %%, freeze %.1f %%, away %.1f %%, %.1f fps, late %.1f ms, load %.1f",
					100*r.Use, r.Queue, r.Down, r.Up, 100*r.Audio, 100*r.Freeze, 100*r.Away, r.FPS, r.Late, r.Load)
				bouts = append(bouts, r)
			}
		}
		for i, f := range wrong {
			for _, b := range builds {
				o.say("round %d of %d, fault %d of %d: %s, %s (%s)", round+1, max(o.Rounds, 1), i+1, len(wrong), b.name, f.Name, f.Title)
				r, err := o.seed(ctx, b, f, dir, round)
				if ctx.Err() != nil {
					return errors.Join(ctx.Err(), o.tables(w, list, wrong, builds, bouts, findings))
				}
				if err = errors.Join(err, o.keep(r)); err != nil {
					o.say("  not measured: %v", err)
					failed = append(failed, fmt.Errorf("%s, %s: %w", f.Name, b.name, err))
					continue
				}
				o.say("  %s", r.words())
				findings = append(findings, r)
			}
		}
	}
	return errors.Join(append(failed, o.tables(w, list, wrong, builds, bouts, findings))...)
}

// tables writes that of the cases, and that of the faults.
func (o *Options) tables(w io.Writer, list []Case, wrong []Fault, builds []build, bouts []bout, findings []finding) error {
	var err error
	if len(list) > 0 {
		err = o.table(w, list, builds, bouts)
	}
	if len(list) > 0 && len(wrong) > 0 {
		fmt.Fprintln(w)
	}
	if len(wrong) > 0 {
		err = errors.Join(err, o.verdicts(w, wrong, builds, findings))
	}
	return err
}

func (o *Options) say(format string, args ...any) {
	if o.Progress != nil {
		fmt.Fprintf(o.Progress, format+"\n", args...)
	}
}

// chosen returns the cases, faults and builds to measure.
func (o *Options) chosen() (list []Case, wrong []Fault, builds []build, err error) {
	if o.Senders < 1 || o.Senders > 8 || o.Duration < 0 || o.Duration > 0 && o.Duration < 3*time.Second || o.Duration > time.Hour {
		return nil, nil, nil, errors.New("want 1 to 8 senders, and 3 s to an hour")
	}
	if o.Queue <= 0 || o.Packets < 0 || o.Mark < 0 || o.Mark > 0 && !o.TUN {
		return nil, nil, nil, errors.New("want a queue, and marks with --tun alone")
	}
	if o.Chromium != "" && (!o.TUN || o.Codec != "VP8") {
		return nil, nil, nil, errors.New("--chromium takes --tun, and pictures of VP8")
	}
	for _, name := range o.Cases {
		all := name == "all"
		n := len(list)
		if part := chosenFaults(name); len(part) > 0 {
			if o.Senders < 2 {
				return nil, nil, nil, errors.New("faults take two senders")
			}
			wrong = append(wrong, part...)
			continue
		}
		for _, c := range cases {
			if c.Name != name && !all {
				continue
			}
			if tcp := c.Long > 0 || c.Short > 0; tcp && !o.TUN {
				if !all {
					return nil, nil, nil, fmt.Errorf("case %s has TCP: it takes --tun", c.Name)
				}
				o.say("case %s is left out: it takes --tun", c.Name)
				continue
			}
			list = append(list, c.scaled(c.takes(o.Duration)))
		}
		if len(list) == n {
			return nil, nil, nil, fmt.Errorf("no case %q", name)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, nil, err
	}
	if o.self == "" {
		o.self = self
	}
	for _, spec := range o.Binary {
		name, path, ok := strings.Cut(spec, "=")
		if !ok {
			name, path = filepath.Base(spec), spec
		}
		kind := usualKind
		if k, rest, ok := strings.Cut(path, ":"); ok && kinds[k] != nil {
			kind, path = k, rest
		}
		if path, err = filepath.Abs(path); err != nil {
			return nil, nil, nil, err
		}
		if slices.ContainsFunc(builds, func(b build) bool { return b.name == name }) {
			return nil, nil, nil, fmt.Errorf("two builds are called %q", name)
		}
		if err := kinds[kind].fits(o, wrong); err != nil {
			return nil, nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		builds = append(builds, build{name, kind, path})
	}
	if len(builds) == 0 {
		builds = []build{{"parley", usualKind, self}}
	}
	return list, wrong, builds, nil
}

// measure plays a case and keeps what was asked for.
func (o *Options) measure(ctx context.Context, b build, c Case, dir string, round int) (r bout, err error) {
	r = bout{Build: b.name, Case: c.Name, Round: round + 1, Seed: o.Seed + uint64(round), Seconds: c.Length.Seconds(), Load: loadAverage(), Chromium: o.Chromium != ""}
	out, err := o.play(ctx, b, c, dir, r.Seed)
	if err != nil {
		return r, err
	}
	if r.Figures = out.figures(); r.Use == 0 {
		return r, errors.New("the receivers got nothing")
	}
	r.Reports, r.Bystander = out.Reports, out.Bystander
	if o.Plots != "" {
		name := filepath.Join(o.Plots, fmt.Sprintf("%s-%s-%d.svg", c.Name, b.name, r.Round))
		if err := os.WriteFile(name, out.plot(fmt.Sprintf("%s: %s, %s", c.Name, c.Title, b.name)), 0o644); err != nil {
			return r, err
		}
	}
	return r, o.keep(r)
}

// keep appends a measurement or a finding to the file of measurements.
func (o *Options) keep(r any) error {
	if o.JSON == "" {
		return nil
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(o.JSON, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// loadAverage is that of the last minute; 0 where the system does not say.
func loadAverage() (v float64) {
	b, _ := os.ReadFile("/proc/loadavg")
	fmt.Sscan(string(b), &v)
	return v
}
