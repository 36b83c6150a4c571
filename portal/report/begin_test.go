package report

import (
	"context"
	"testing"
	"time"

	"parley/internal/store"
)

// mailed reports that nobody may mail a day's report any more, from that time on.
func mailed(t testing.TB, s store.Store, day string, now time.Time) bool {
	t.Helper()
	ok, err := s.LeaseReport(context.Background(), day, "somebody else", now, now.Add(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	return !ok
}

// A server that starts for the first time has nothing to say of yesterday; that nobody called on its first day is said, also by a
// server that is started later. What is there of yesterday, from a time without reports, is mailed.
func TestNoReportOfTheTimeBeforeTheFirstStart(t *testing.T) {
	ctx := context.Background()
	s, db := newSink(t), sqlite(t)
	begin := day.Add(22 * time.Hour)
	if done, err := reporter(t, s.config(), db, begin).once(ctx, day.AddDate(0, 0, -1)); !done || err != nil {
		t.Fatal(done, err)
	}
	if done, err := reporter(t, s.config(), db, begin).once(ctx, day.AddDate(0, 0, -1)); done || err != nil {
		t.Errorf("a second server: %v %v", done, err)
	}
	if n := len(s.got()); n != 0 {
		t.Fatalf("%d mails on the first day", n)
	}
	if done, err := reporter(t, s.config(), db, begin.Add(4*time.Hour)).once(ctx, day); !done || err != nil || len(s.got()) != 1 {
		t.Errorf("the day after: %v %v, %d mails", done, err, len(s.got()))
	}

	old := sqlite(t)
	fixture(t, old)
	if done, err := reporter(t, s.config(), old, begin.Add(4*time.Hour)).once(ctx, day); !done || err != nil || len(s.got()) != 2 {
		t.Errorf("records without reports: %v %v, %d mails", done, err, len(s.got()))
	}
}

// Before the time of day at which reports are mailed, the report of the day before yesterday is due; also then nothing is said of the
// days before the first start.
func TestReportsAtATimeOfDay(t *testing.T) {
	ctx := context.Background()
	s, db := newSink(t), sqlite(t)
	c := s.config()
	c.At = "06:30"
	for now, want := range map[time.Time][2]time.Time{
		day.Add(6*time.Hour + 29*time.Minute): {day.AddDate(0, 0, -2), day.Add(6*time.Hour + 30*time.Minute)},
		day.Add(6*time.Hour + 30*time.Minute): {day.AddDate(0, 0, -1), day.Add(30*time.Hour + 30*time.Minute)},
		// The night in which clocks are set forward: 05:30 hours after midnight.
		time.Date(2026, 3, 29, 6, 29, 0, 0, berlin): {time.Date(2026, 3, 27, 0, 0, 0, 0, berlin), time.Date(2026, 3, 29, 4, 30, 0, 0, time.UTC)},
	} {
		due, next := reporter(t, c, db, now).due(now)
		if !due.Equal(want[0]) || !next.Equal(want[1]) {
			t.Errorf("%v: due %v, next %v", now, due, next)
		}
	}
	night := day.Add(3 * time.Hour)
	r := reporter(t, c, db, night)
	due, _ := r.due(night)
	if done, err := r.once(ctx, due); !done || err != nil || len(s.got()) != 0 {
		t.Errorf("%v %v, %d mails", done, err, len(s.got()))
	}
	for _, d := range []string{"2026-07-30", "2026-07-31"} {
		if !mailed(t, db, d, night.Add(12*time.Hour)) {
			t.Errorf("the report of %s will be mailed", d)
		}
	}
	if mailed(t, db, "2026-08-01", night.Add(48*time.Hour)) {
		t.Error("the first day has no report")
	}

	c.At = "24:00"
	if c.Check() == nil {
		t.Error("24:00 is a time of day")
	}
	for _, bad := range []string{"", "6:30", "06:30:00", "noon"} {
		if c.At = bad; c.Check() == nil {
			t.Errorf("%q is a time of day", bad)
		}
	}
}
