package archive

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestIDsAreOrderedUUIDsOfVersion7(t *testing.T) {
	var c clock
	start := time.Date(2026, 8, 1, 12, 0, 0, 123_456_789, time.UTC)
	last := uuid.Nil.String()
	seen := make(map[string]bool)
	for i, now := range []time.Time{
		start, start, start.Add(time.Microsecond), start.Add(time.Hour),
		start, start.Add(-time.Hour), // the clock of the machine goes back
		start.Add(2 * time.Hour), start.Add(2 * time.Hour).Add(time.Nanosecond),
	} {
		id := c.next(now)
		if text := id.String(); text <= last {
			t.Errorf("%d: %s does not follow %s", i, text, last)
		} else {
			last = text
		}
		if id.Version() != 7 || id.Variant() != uuid.RFC4122 {
			t.Errorf("%d: %s is no UUID of version 7", i, id)
		}
		if part := id.String()[19:]; seen[part] {
			t.Errorf("%d: %s repeats what is to be random", i, id)
		} else {
			seen[part] = true
		}
		if now.After(start.Add(90 * time.Minute)) {
			if got, want := time.Unix(id.Time().UnixTime()).UnixMilli(), now.UnixMilli(); got != want {
				t.Errorf("%d: the id says %d, it was %d", i, got, want)
			}
		}
	}
}

func TestManyIDsInOneMillisecond(t *testing.T) {
	var c clock
	now := time.UnixMilli(1_800_000_000_000)
	last := ""
	for range 10_000 { // more than fit into a millisecond of the counter
		text := c.next(now).String()
		if text <= last {
			t.Fatalf("%s follows %s", text, last)
		}
		last = text
	}
}

func TestIDsFollowWhatIsArchived(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name   string
		latest time.Time
		follow bool
	}{
		{"nothing", time.Time{}, true},
		{"earlier", now.Add(-time.Hour), true},
		{"a little later: the clock was set back", now.Add(time.Hour), true},
		{"much later: one of the two is wrong", now.Add(48 * time.Hour), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var k clock
			if got := k.follow(c.latest, now); got != c.follow {
				t.Fatalf("follow: %v", got)
			}
			id := k.next(now)
			ms := time.Unix(id.Time().UnixTime()).UnixMilli()
			if c.follow && ms < c.latest.UnixMilli() {
				t.Errorf("the id of %d is before %d", ms, c.latest.UnixMilli())
			}
			if !c.follow && ms != now.UnixMilli() {
				t.Errorf("the id is of %d, it is %d", ms, now.UnixMilli())
			}
		})
	}
}
