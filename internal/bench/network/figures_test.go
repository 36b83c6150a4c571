package network

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"parley/internal/netem"
)

// sends is a part of a flow: a rate from one time to another.
type sends struct {
	from, to float64 // s
	rate     netem.Bitrate
}

// recorded plays flows over the bottleneck of a case, in virtual time, in packets of 500 bytes.
func recorded(c Case, offer float64, load []sends, flows ...[]sends) *course {
	b := &netem.Bottleneck{Schedule: c.Down, Queue: netem.Queue{Time: 300 * milli}}
	out := &course{Case: c, Senders: 1, Queue: 300 * milli, Offer: offer, Load: new(netem.Record)}
	const size = 500
	type sender struct {
		path  *netem.Path
		parts []sends
		debt  float64
	}
	var all []*sender
	for i, parts := range append(flows, load) {
		p := netem.NewPath(b, netem.Line{}, uint64(i))
		if p.Record = out.Load; i < len(flows) {
			p.Record = new(netem.Record)
			out.Flows = append(out.Flows, p.Record)
		}
		all = append(all, &sender{path: p, parts: parts})
	}
	for at := time.Duration(0); at < c.Length; at += milli {
		for _, s := range all {
			for _, part := range s.parts {
				if now := at.Seconds(); now >= part.from && now < part.to {
					s.debt += float64(part.rate) / 1000
				}
			}
			for ; s.debt >= size*8; s.debt -= size * 8 {
				s.path.Pass(at, size, classMedia)
			}
		}
	}
	return out
}

func near(t *testing.T, what string, got, want, by float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > by {
		t.Errorf("%s is %.3f, want %.3f", what, got, want)
	}
}

var stepsCase = Case{Name: "steps", Length: 30 * second, Flows: []Flow{{}},
	Down: netem.Schedule{{At: 0, Rate: 1000 * kbit}, {At: 10 * second, Rate: 500 * kbit}, {At: 20 * second, Rate: 1000 * kbit}}}

func TestReactionsAreMeasured(t *testing.T) {
	// Begins after 2 s, gives way 1.5 s late, comes back 3 s late.
	c := recorded(stepsCase, 5e6, nil, []sends{{0, 2, 100 * kbit}, {2, 11.5, 900 * kbit}, {11.5, 23, 450 * kbit}, {23, 30, 900 * kbit}})
	f := c.figures()
	near(t, "begin", f.Begin, 2, 0.15)
	near(t, "down", f.Down, 1.5, 0.15)
	near(t, "up", f.Up, 3, 0.15)
	near(t, "use", f.Use, (0.2+7.2+5+0.45*3+6.3)/25, 0.02) // the queue holds 300 ms over the fall
	near(t, "rate", f.Rates[0], (0.2+7.2+5+0.45*3+6.3)*1000/30, 15)
	if f.Peak < 290 || f.Peak > 320 || f.Dropped == 0 || f.Jain != 0 {
		t.Errorf("%+v", f)
	}

	// Never reacts: as long as it could have.
	f = recorded(stepsCase, 5e6, nil, []sends{{0, 30, 600 * kbit}}).figures()
	near(t, "begin", f.Begin, 10, 0)
	near(t, "down", f.Down, 10, 0)
	near(t, "up", f.Up, 10, 0)

	// Who begins later is waited for.
	late := stepsCase
	late.Flows = []Flow{{Start: 4 * second}}
	near(t, "begin", recorded(late, 5e6, nil, []sends{{5, 30, 900 * kbit}}).figures().Begin, 1, 0.15)

	// At once, because there is no more to send than passes.
	f = recorded(stepsCase, 400e3, nil, []sends{{0, 30, 400 * kbit}}).figures()
	near(t, "begin", f.Begin, 0, 0)
	near(t, "down", f.Down, 0, 0)
	near(t, "up", f.Up, 0, 0)
	near(t, "use", f.Use, 1, 0.01)
	near(t, "queue", f.Queue, 0, 5)
}

func TestFairnessIsMeasured(t *testing.T) {
	two := Case{Name: "two", Length: 30 * second, Down: constant(1000 * kbit), Flows: []Flow{{}, {Start: 12 * second}}}
	before := []sends{{0, 12, 900 * kbit}}
	f := recorded(two, 5e6, nil, append(before, sends{12, 30, 400 * kbit}), []sends{{12, 30, 400 * kbit}}).figures()
	near(t, "Jain of equals", f.Jain, 1, 0.001)
	f = recorded(two, 5e6, nil, append(before, sends{12, 30, 600 * kbit}), []sends{{12, 30, 200 * kbit}}).figures()
	near(t, "Jain of one to three", f.Jain, 16.0/20, 0.01)
	f = recorded(two, 5e6, nil, append(before, sends{12, 30, 900 * kbit}), nil).figures()
	near(t, "Jain of one who gets all", f.Jain, 0.5, 0.01)
	near(t, "rate while active", f.Rates[1], 0, 0)

	against := Case{Name: "tcp", Length: 20 * second, Down: constant(1000 * kbit), Flows: []Flow{{}}, Long: 1}
	f = recorded(against, 600e3, []sends{{0, 20, 300 * kbit}}, []sends{{0, 20, 600 * kbit}}).figures()
	near(t, "Jain against TCP", f.Jain, 0.81/(2*0.45), 0.01)
	near(t, "TCP's share", f.TCP, 1.0/3, 0.01)
	near(t, "use with TCP", f.Use, 0.9, 0.01)
}

func TestPausesAreNoBadUse(t *testing.T) {
	c := Case{Name: "pause", Length: 20 * second, Down: constant(1000 * kbit), Flows: []Flow{{Pause: 5 * second, Resume: 15 * second}}}
	f := recorded(c, 5e6, nil, []sends{{0, 5, 900 * kbit}, {15, 20, 900 * kbit}}).figures()
	near(t, "use", f.Use, 0.9, 0.02)
	near(t, "rate while active", f.Rates[0], 900, 20)
}

func TestReceiversAreHeard(t *testing.T) {
	c := recorded(Case{Length: 10 * second, Down: constant(1000 * kbit), Flows: []Flow{{}, {Start: 5 * second}}}, 1e6, nil, nil, nil)
	c.Senders = 2
	c.Reports = []report{
		{Nacked: 3, Begged: 1, Sources: []received{{Source: "a-a0", Audio: true, Played: 490, Concealed: 10}, {Source: "a-v0", Pictures: 200, Alive: 8, Freeze: 0.1}}},
		{Nacked: 4, Begged: 2, Sources: []received{{Source: "a-a0", Audio: true, Played: 500}, {Source: "a-v0", Pictures: 100, Alive: 7, Freeze: 0.2}}},
	}
	c.Keyed, c.Bystander.Begged = 5, 1
	c.Bystander.Sources = []received{{Source: "a-v0", Pictures: 240, DelayP95: 7}, {Source: "b-v0", Pictures: 250, DelayP95: 9}, {Source: "a-a0", Audio: true, Played: 99, Concealed: 1, DelayP95: 3}}
	f := c.figures()
	if f.Others != (Others{FPS: 24.5, Delay: 9, Audio: 0.99, Begged: 1}) {
		t.Errorf("%+v", f.Others)
	}
	near(t, "audio", f.Audio, 0.99, 1e-9)
	near(t, "freeze", f.Freeze, 0.15, 1e-9)
	near(t, "pictures a second", f.FPS, 300.0/30, 1e-9) // two cameras, one of them never seen, for 10 s and for 5 s
	near(t, "away", f.Away, 1-13.0/30, 1e-9)
	near(t, "key frames of a camera in a minute", f.Keyed, 15, 1e-9)
	if f.Nacked != 7 || f.Begged != 3 {
		t.Errorf("%+v", f)
	}
}

func TestPlotIsADrawing(t *testing.T) {
	c := recorded(stepsCase, 5e6, []sends{{0, 30, 100 * kbit}}, []sends{{0, 30, 600 * kbit}})
	c.Case.Short = 1
	text := string(c.plot(`<5.1> & "more"`))
	d := xml.NewDecoder(strings.NewReader(text))
	paths := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "path" {
			for _, a := range e.Attr {
				if a.Name.Local == "fill" {
					paths++
				}
			}
		}
	}
	if paths != 4 { // capacity, flow, its queue, TCP
		t.Errorf("%d lines", paths)
	}
	for _, part := range []string{"&lt;5.1&gt; &amp; &#34;more&#34;", "receiver 1", ">TCP<", "30 s"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %s", part)
		}
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Error("numbers that are none")
	}
	// The line of the capacity goes down to half its height and up again.
	high, half := c.highest(), 0.0
	if half = 1.1e6; high != half {
		t.Errorf("the scale ends at %v", high)
	}
}

func TestABystanderIsComparedWithTheCleanCase(t *testing.T) {
	list := []Case{{Name: clean, Length: time.Minute}, {Name: "loss-5", Length: time.Minute}, {Name: "wifi", Length: time.Minute}}
	seen := func(name, build string, fps, delay float64) bout {
		return bout{Case: name, Build: build, Figures: Figures{Others: Others{FPS: fps, Delay: delay}}}
	}
	bouts := []bout{seen(clean, "a", 25, 50), seen("loss-5", "a", 24, 53), seen("loss-5", "b", 10, 99), seen(clean, "b", 0, 0)}
	for name, c := range map[string]struct {
		o    Options
		list []Case
		want []string
	}{
		"compared":     {Options{Bystander: true}, list, []string{"| others delay Δ% |", "| -4.0 | +6.0 |"}},
		"not measured": {Options{Bystander: true}, list[1:], []string{"| others delay ms"}},
		"nobody there": {Options{}, list, []string{"| key frames"}},
	} {
		var out strings.Builder
		if err := c.o.table(&out, c.list, []build{{name: "a"}, {name: "b"}}, bouts); err != nil {
			t.Fatal(err)
		}
		flat := strings.Join(strings.Fields(out.String()), " ")
		for _, part := range c.want {
			if !strings.Contains(flat, part) {
				t.Errorf("%s: no %q in\n%s", name, part, &out)
			}
		}
		if compares := strings.Contains(out.String(), "Δ"); compares != (name == "compared") || strings.Contains(out.String(), "Inf") || strings.Contains(out.String(), "+890") {
			t.Errorf("%s:\n%s", name, &out)
		}
	}
}
