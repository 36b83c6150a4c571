package network

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/bridge/api"
	"parley/internal/netem"
)

func TestFaultsAreSound(t *testing.T) {
	seen := make(map[string]bool)
	for _, f := range faults {
		if seen[f.Name] || !strings.HasPrefix(f.Name, "fault-") || f.Title == "" || !slices.Contains([]string{api.Uplink, api.Downlink, api.Machine, api.Relay}, f.Part) {
			t.Errorf("fault %q", f.Name)
		}
		seen[f.Name] = true
		for _, s := range []netem.Schedule{f.Up.Rate, f.Down.Rate} {
			for i, step := range s {
				if i == 0 && step.At != 0 || i > 0 && step.At <= s[i-1].At || step.At >= faultTime {
					t.Errorf("fault %s: step %d", f.Name, i)
				}
			}
		}
		if list := chosenFaults(f.Name); len(list) != 1 || list[0].Name != f.Name {
			t.Errorf("%s chooses %d faults", f.Name, len(list))
		}
	}
	if len(chosenFaults("faults")) != len(faults) || len(chosenFaults("fault")) != 0 {
		t.Error("faults are all of them, or none")
	}
}

// What was said before a fault is none of its findings; the first part that is named counts, and what else is.
func TestFindings(t *testing.T) {
	begin := time.Unix(1000, 0)
	end := begin.Add(faultTime)
	say := func(s float64, to, nick, part string) said {
		return said{to, blame{begin.Add(time.Duration(s * float64(time.Second))), nick, part}}
	}
	before := say(-2, sick, sick, api.Downlink)
	well := say(-1, sick, sick, "")
	for name, c := range map[string]struct {
		part  string
		said  []said
		want  finding
		right bool
	}{
		"nothing": {api.Uplink, []said{before, well}, finding{}, false},
		"in time": {api.Uplink, []said{before, well, say(2, "well1", sick, api.Uplink), say(2.5, sick, sick, api.Uplink), say(11, "well1", sick, ""), say(12, sick, sick, "")},
			finding{Part: api.Uplink, Nick: sick, Named: 2, Healed: 4}, true},
		"too late": {api.Uplink, []said{say(5.5, sick, sick, api.Uplink)}, finding{Part: api.Uplink, Nick: sick, Named: 5.5, Healed: -1}, false},
		"another first": {api.Uplink, []said{say(1, sick, sick, api.Downlink), say(2, sick, sick, api.Uplink), say(4, sick, sick, "")},
			finding{Part: api.Downlink, Nick: sick, Named: 2, Beside: []string{"sick: downlink"}}, false},
		"of another": {api.Uplink, []said{say(1, "well1", "well1", api.Uplink), say(2, "well1", "well1", "")},
			finding{Part: api.Uplink, Nick: "well1", Beside: []string{"well1: uplink"}}, false},
		"of another first": {api.Uplink, []said{say(1, "well1", "well1", api.Uplink), say(2, sick, sick, api.Uplink), say(3, "well1", "well1", ""), say(3, sick, sick, "")},
			finding{Part: api.Uplink, Nick: "well1", Named: 2, Beside: []string{"well1: uplink"}}, false},
		"the bridge, of anybody": {api.Machine, []said{say(1, "well1", "well1", api.Machine), say(9, "well1", "well1", "")},
			finding{Part: api.Machine, Nick: "well1", Named: 1, Healed: 1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			var f finding
			of := Fault{Part: c.part}
			f.judge(&of, c.said, begin, end)
			if f.Part != c.want.Part || f.Nick != c.want.Nick || f.Named != c.want.Named || !slices.Equal(f.Beside, c.want.Beside) || f.Healed != c.want.Healed || f.right(&of) != c.right {
				t.Errorf("%+v, right: %v", f, f.right(&of))
			}
		})
	}
}

func TestTheTableOfFaults(t *testing.T) {
	o := Options{Senders: 3, Rounds: 2, Seed: 7}
	list := []Fault{{Name: "fault-a", Title: "of a kind", Part: api.Uplink}, {Name: "fault-b", Title: "of another", Part: api.Machine}}
	var out bytes.Buffer
	err := o.verdicts(&out, list, []build{{name: "this"}}, []finding{
		{Build: "this", Fault: "fault-a", Part: api.Uplink, Nick: sick, Named: 2, Healed: 3},
		{Build: "this", Fault: "fault-a", Part: api.Downlink, Nick: sick, Named: 4, Healed: -1, Beside: []string{"sick: downlink"}},
		{Build: "other", Fault: "fault-b", Part: api.Machine, Named: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, row := range []string{
		"| fault-a of a kind | this | uplink | uplink, downlink | 1 of 2 | 3.0 | 4.0 | 3.0 | 0.0 | sick: downlink |",
		"| fault-b of another | this | bridge | | 0 of 0 | – | – | – | – | |",
	} {
		if !strings.Contains(text, row) {
			t.Errorf("no row %q in\n%s", row, &out)
		}
	}
}
