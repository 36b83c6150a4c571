package network

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/bridge/api"
	"parley/internal/netem"
	"parley/internal/peertest/jitsipeer"
)

// finding is what a server said of a seeded fault.
type finding struct {
	Build, Fault string
	Round        int
	Seed         uint64
	Load         float64  // average of the machine when it began
	Late         float64  // ms, as of Figures
	Part         string   // that was named first of all
	Nick         string   // of whose way
	Named        float64  // s from the begin of the fault until somebody was told the right part; 0: never
	Healed       float64  // s from its end until no part is named any more; below 0: not as long as it was looked at
	Beside       []string `json:",omitempty"` // whoever and whatever else was named meanwhile
}

// right reports that the part was named, in time and before any other.
func (f *finding) right(of *Fault) bool {
	return f.Part == of.Part && (f.Nick == sick || of.Part == api.Machine) && f.Named > 0 && f.Named <= inTime.Seconds()
}

// sick is the member that faults happen to.
const sick = "sick"

// seed plays a conference in which a fault begins, and returns what the server said of it.
func (o *Options) seed(ctx context.Context, b build, of Fault, dir string, round int) (out finding, err error) {
	out = finding{Build: b.name, Fault: of.Name, Round: round + 1, Seed: o.Seed + uint64(round), Load: loadAverage()}
	p, err := newPlace(ctx, o, b, dir, out.Seed, of.Relay)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	up, down := new(netem.Bottleneck), new(netem.Bottleneck)
	ways := netem.Ways{Up: netem.NewPath(up, netem.Line{}, out.Seed), Down: netem.NewPath(down, netem.Line{}, out.Seed+1)}
	queue := netem.Queue{Time: o.Queue, Packets: o.Packets}
	change := func(h Fault) error {
		p.driver.With(func(now time.Duration) {
			h.Up.put(ways.Up, up, queue, now)
			h.Down.put(ways.Down, down, queue, now)
		})
		if of.Relay == 0 || len(p.members) == 0 {
			return nil
		}
		lastN := 0
		if h.Relay > 0 {
			lastN = -1
		}
		return p.members[0].tell(order{Do: "want", LastN: lastN})
	}
	if err := errors.Join(change(Fault{}), o.assemble(p, ways, of.Relay > 0)); err != nil {
		return out, err
	}
	if err := o.calm(ctx, p); err != nil {
		return out, err
	}
	p.driver.Lateness()
	takes := faultTime
	if of.Takes > 0 {
		takes = of.Takes
	}
	begin := time.Now()
	if err := change(of); err != nil {
		return out, err
	}
	run, stop := context.WithTimeout(ctx, takes)
	defer stop()
	var working sync.WaitGroup
	var duty error
	working.Go(func() { duty = of.Duty.run(run, p.server.cmd.Process) })
	<-run.Done()
	working.Wait()
	if err := errors.Join(duty, ctx.Err()); err != nil {
		return out, err
	}
	end := time.Now()
	if err := change(Fault{}); err != nil {
		return out, err
	}
	late := p.driver.Lateness()
	out.Late = ms(late.Quantile(0.95))
	said, err := o.heals(ctx, p)
	if err != nil {
		return out, err
	}
	out.judge(&of, said, begin, end)
	return out, nil
}

// assemble lets all members join, send and receive; the first is behind the ways, or comes over the server's relay, without a
// camera and without a wish for pictures.
func (o *Options) assemble(p *place, ways netem.Ways, relayed bool) error {
	for i := range o.Senders {
		spec := memberSpec{Room: "bench", Nick: fmt.Sprintf("well%d", i), Camera: o.camera(), Microphone: &jitsipeer.Audio{Level: 30 + 10*i}}
		start := p.sender
		switch {
		case i == 0 && relayed:
			spec.Nick, spec.Relayed, spec.Camera = sick, true, nil
		case i == 0:
			spec.Nick = sick
			start = func(s memberSpec) (*handle, error) { return p.behind(0, s, ways) }
		}
		if _, err := start(spec); err != nil {
			return err
		}
	}
	for _, do := range []string{"media", "want"} {
		for i, h := range p.members {
			if i == 0 && relayed && do == "want" {
				continue
			}
			if err := h.tell(order{Do: do, LastN: -1}); err != nil {
				return err
			}
		}
	}
	return nil
}

// said is what a member was told.
type said struct {
	to string
	blame
}

// ask is what all members were told so far, in the order of time.
func (o *Options) ask(p *place) (all []said, err error) {
	for _, h := range p.members {
		r, err := h.ask(order{Do: "report"})
		if err != nil {
			return nil, err
		}
		for _, b := range r.Blamed {
			all = append(all, said{h.nick, b})
		}
	}
	slices.SortStableFunc(all, func(a, b said) int { return a.At.Compare(b.At) })
	return all, nil
}

// present is what is named at the end, by whom it was told to and whom it is about.
func present(all []said) map[[2]string]string {
	now := make(map[[2]string]string)
	for _, s := range all {
		if now[[2]string{s.to, s.Nick}] = s.Part; s.Part == "" {
			delete(now, [2]string{s.to, s.Nick})
		}
	}
	return now
}

var errSuffers = errors.New("media suffer before there is a fault")

// calm waits until nothing is named for a while: ways are taken for little when a conference begins.
func (o *Options) calm(ctx context.Context, p *place) error {
	if err := sleep(ctx, o.Warm); err != nil {
		return err
	}
	since := time.Now()
	for begin := since; time.Since(since) < quietTime; {
		all, err := o.ask(p)
		if err != nil {
			return err
		}
		switch now := present(all); {
		case time.Since(begin) > calmTime:
			return fmt.Errorf("%w: %v", errSuffers, now)
		case len(now) > 0:
			since = time.Now()
		case len(all) > 0 && all[len(all)-1].At.After(since):
			since = all[len(all)-1].At
		}
		if err := sleep(ctx, quietTime/10); err != nil {
			return err
		}
	}
	return nil
}

// heals waits until nothing is named any more, but not for long, and returns all that was said.
func (o *Options) heals(ctx context.Context, p *place) (all []said, err error) {
	for begin := time.Now(); ; {
		if all, err = o.ask(p); err != nil || len(present(all)) == 0 || time.Since(begin) > healTime {
			return all, err
		}
		if err := sleep(ctx, quietTime/10); err != nil {
			return nil, err
		}
	}
}

// judge takes what members were told of a fault.
func (f *finding) judge(of *Fault, all []said, begin, end time.Time) {
	for _, s := range all {
		switch {
		case s.At.Before(begin) || s.Part == "":
			continue
		case f.Part == "":
			f.Part, f.Nick = s.Part, s.Nick
		}
		whole := of.Part == api.Machine // which is everybody's
		if s.Part == of.Part && (s.Nick == sick || whole) {
			if f.Named == 0 {
				f.Named = s.At.Sub(begin).Seconds()
			}
		} else if beside := s.Nick + ": " + s.Part; !slices.Contains(f.Beside, beside) {
			f.Beside = append(f.Beside, beside)
		}
	}
	if f.Healed = -1; len(present(all)) > 0 {
		return
	}
	if last := len(all) - 1; last >= 0 {
		f.Healed = max(all[last].At.Sub(end).Seconds(), 0)
	}
}

// words are for a line of progress.
func (f *finding) words() string {
	if f.Part == "" {
		return "nothing is named"
	}
	healed := "not well again"
	if f.Healed >= 0 {
		healed = fmt.Sprintf("well again after %.1f s", f.Healed)
	}
	return fmt.Sprintf("named: %s of %s first, the right one after %.1f s; %s; beside: %s; late %.1f ms, load %.1f",
		f.Part, f.Nick, f.Named, healed, strings.Join(f.Beside, ", "), f.Late, f.Load)
}
