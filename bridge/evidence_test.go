package bridge

import (
	"testing"
	"time"

	"parley/bridge/congestion"
)

func TestSharesOfLosses(t *testing.T) {
	for name, c := range map[string]struct {
		now, before tally
		loss, rows  float64
	}{
		"nothing":                   {},
		"one of a hundred":          {tally{300, 3, 0}, tally{200, 2, 0}, 0.01, 0},
		"in a row":                  {tally{200, 10, 8}, tally{100, 0, 0}, 0.1, 0.08},
		"too few to say":            {tally{119, 10, 8}, tally{100, 0, 0}, 0, 0},
		"more came than was due":    {tally{200, 3, 0}, tally{100, 5, 0}, 0, 0},
		"a row that came after all": {tally{200, 1, 8}, tally{100, 0, 0}, 0.01, 0.01},
		"counted anew":              {tally{100, 4, 4}, tally{5000, 70, 60}, 0.04, 0.04},
	} {
		if loss, rows := c.now.since(c.before).shares(); loss != c.loss || rows != c.rows {
			t.Errorf("%s: %v lost, %v in rows", name, loss, rows)
		}
	}
}

func TestSharesOfWhatIsCarried(t *testing.T) {
	for name, c := range map[string]struct {
		now, before Carried
		want        float64
	}{
		"all taken":      {Carried{500, 7}, Carried{100, 7}, 0},
		"a tenth":        {Carried{190, 10}, Carried{100, 0}, 0.1},
		"too few to say": {Carried{110, 5}, Carried{100, 0}, 0},
		"counted anew":   {Carried{90, 10}, Carried{5000, 3}, 0.1},
	} {
		if got := c.now.share(c.before); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Rows are counted over the wrap of the numbers; what is late or comes twice is none.
func TestRowsOfNumbers(t *testing.T) {
	for name, c := range map[string]struct {
		numbers []uint16
		want    int64
	}{
		"one after the other":     {[]uint16{65534, 65535, 0, 1}, 0},
		"a short hole":            {[]uint16{10, 14}, 0},
		"a row":                   {[]uint16{10, 15}, congestion.RowLeast},
		"a row at the wrap":       {[]uint16{65530, 4}, 9},
		"late, twice, then a row": {[]uint16{10, 8, 10, 20}, 9},
	} {
		var r rows
		for _, n := range c.numbers {
			r.take(n)
		}
		if r.lost != c.want {
			t.Errorf("%s: %d", name, r.lost)
		}
	}
}

func TestOthersHearOfWhatIsOnTheirSide(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		j    judge
		want part
	}{
		"an uplink":           {judge{told: upward}, upward},
		"a downlink":          {judge{told: downward}, nowhere},
		"the bridge":          {judge{told: machine}, nowhere},
		"the relay, upward":   {judge{told: between, relayUp: now.Add(-time.Second)}, between},
		"the relay, downward": {judge{told: between}, nowhere},
	} {
		if got := c.j.othersFault(now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// What a second was like is blamed on one part, or on one each way.
func TestBlame(t *testing.T) {
	now := time.Now()
	well, lost, late := evidence{}, evidence{loss: 0.1, all: 0.1}, evidence{late: 200 * time.Millisecond}
	for name, c := range map[string]struct {
		j        judge
		s        strain
		up, down evidence
		relay    dropped
		short    bool
		want     []part
	}{
		"nothing":                            {},
		"little loss":                        {up: evidence{loss: 0.02, all: 0.02}, down: evidence{loss: 0.02, all: 0.02}},
		"rows":                               {up: evidence{loss: 0.01, all: 0.01, rows: 0.01}, want: []part{upward}},
		"both ways":                          {up: lost, down: late, want: []part{upward, downward}},
		"late ticks":                         {s: strain{late: lateBad}, up: lost, down: lost, want: []part{machine}},
		"full sockets":                       {s: strain{full: takenBad}, up: lost, want: []part{machine}},
		"no room":                            {short: true, want: []part{downward}},
		"no room, just after the bridge":     {j: judge{cause: machine, since: now.Add(-time.Second)}, short: true},
		"no room, long after":                {j: judge{cause: machine, since: now.Add(-excuse)}, short: true, want: []part{downward}},
		"no room, just after the relay":      {j: judge{cause: between, since: now.Add(-time.Second)}, short: true, want: []part{between}},
		"loss, just after the bridge":        {j: judge{cause: machine, since: now.Add(-time.Second)}, down: lost, want: []part{downward}},
		"the relay's, up":                    {up: lost, relay: dropped{up: 0.09}, want: []part{between}},
		"the relay's, down":                  {down: lost, relay: dropped{down: 0.09}, want: []part{between}},
		"less at the relay than altogether":  {up: lost, down: lost, relay: dropped{up: 0.02, down: 0.02}, want: []part{upward, downward}},
		"late before the relay":              {up: late, relay: dropped{up: 0.02}, want: []part{upward}},
		"no room, and the relay drops":       {short: true, relay: dropped{down: 0.02}, want: []part{between}},
		"a relay's drop that nobody notices": {relay: dropped{up: 0.02, down: 0.02}},
		"well":                               {up: well, down: well},
	} {
		want := uint8(0)
		for _, p := range c.want {
			want |= 1 << p
		}
		if got := c.j.blame(now, c.s, &c.up, &c.down, c.relay, c.short); got != want {
			t.Errorf("%s: %05b, want %05b", name, got, want)
		}
	}
}

// An estimate that is low after the bridge or the relay was bad is theirs for a while.
func TestBlameIsRemembered(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		s     strain
		relay dropped
		soon  uint8
	}{
		"the bridge": {s: strain{late: lateBad}},
		"the relay":  {relay: dropped{down: 0.05}, soon: 1 << between},
		"neither":    {soon: 1 << downward},
	} {
		var j judge
		var well evidence
		j.blame(now, c.s, &well, &well, c.relay, true)
		if got := j.blame(now.Add(excuse-time.Second), strain{}, &well, &well, dropped{}, true); got != c.soon {
			t.Errorf("%s: %05b soon after", name, got)
		}
		if got := j.blame(now.Add(excuse), strain{}, &well, &well, dropped{}, true); got != 1<<downward {
			t.Errorf("%s: %05b long after", name, got)
		}
	}
}
