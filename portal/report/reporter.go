package report

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"parley/internal/event"
	"parley/internal/store"
)

// Leases decides who mails.
type Leases interface {
	Store
	ReportKnown(ctx context.Context, day string) (bool, error)
	LeaseReport(ctx context.Context, day, owner string, now, until time.Time) (bool, error)
	ReportMailed(ctx context.Context, day, owner string, now time.Time) error
}

// Options are what New leaves to the caller.
type Options struct {
	Domain   string
	Store    Leases
	Recorder *event.Recorder
	Log      *slog.Logger // nil: nothing is logged

	// Fate is told, each time that a day's report was looked at, why this server could not mail it; nil: it has, or it is another's to
	// mail. It may be nil itself.
	Fate func(day string, err error)
}

// Reporter makes reports, and mails them at midnight. It is safe for concurrent use.
type Reporter struct {
	cfg   Config
	o     Options
	zone  *time.Location
	at    time.Time // of which the hour and the minute count
	owner string    // of leases: of this process alone
	now   func() time.Time
	trust *tls.Config
}

// New returns a reporter.
func New(cfg Config, o Options) (*Reporter, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	at, err := cfg.at()
	if err != nil {
		return nil, err
	}
	zone, err := cfg.zone()
	if cfg.From == "" {
		cfg.From = "parley@" + o.Domain
	}
	return &Reporter{cfg: cfg, o: o, zone: zone, at: at, owner: rand.Text(), now: time.Now}, err
}

// lease is how long a report is somebody's: longer than everything that he does may take.
const lease = 10 * time.Minute

// makeTime is how long making a report may take.
const makeTime = 5 * time.Minute

// Run mails the report of each day when it is due, and at once the one that was due last if nobody has. It ends with ctx.
func (r *Reporter) Run(ctx context.Context) {
	if len(r.cfg.To) == 0 {
		return
	}
	mailed := time.Time{}
	for {
		day, next := r.due(r.now())
		if !day.Equal(mailed) {
			done, err := r.once(ctx, day)
			if err != nil && ctx.Err() == nil {
				r.o.Recorder.Hurt("report.mail", "", "err", err.Error())
			}
			if done {
				mailed = day
			}
		}
		wait := min(next.Sub(r.now()), r.cfg.Retry) // clocks are set
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(wait, 10*time.Millisecond)):
		}
	}
}

// midnight is the beginning of the day in which a time is.
func (r *Reporter) midnight(t time.Time) time.Time {
	y, m, d := t.In(r.zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, r.zone)
}

// due is the beginning of the day whose report is due, the last that has ended or the one before, and when the next one is.
func (r *Reporter) due(now time.Time) (day, next time.Time) {
	today := r.midnight(now)
	at := func(days int) time.Time {
		y, m, d := today.AddDate(0, 0, days).Date()
		return time.Date(y, m, d, r.at.Hour(), r.at.Minute(), 0, 0, r.zone)
	}
	if now.Before(at(0)) {
		return today.AddDate(0, 0, -2), at(0)
	}
	return today.AddDate(0, 0, -1), at(1)
}

// once mails a day's report if that is this server's to do. False: it has to be looked at again.
func (r *Reporter) once(ctx context.Context, from time.Time) (done bool, err error) {
	day, now := from.Format(time.DateOnly), r.now()
	mine, err := r.o.Store.LeaseReport(ctx, day, r.owner, now, now.Add(lease))
	if err != nil || !mine {
		if err == nil && r.o.Log != nil {
			r.o.Log.Debug("the report is mailed, or another's to mail", "day", day)
		}
		if err == nil && r.o.Fate != nil {
			r.o.Fate(day, nil)
		}
		return false, err
	}
	if r.o.Fate != nil {
		defer func() { r.o.Fate(day, err) }()
	}
	making, cancel := context.WithTimeout(ctx, makeTime)
	defer cancel()
	d, err := Make(making, r.o.Store, from)
	if err != nil {
		return false, err
	}
	if d.empty() {
		if known, err := r.o.Store.ReportKnown(ctx, day); err != nil {
			return false, err
		} else if !known {
			return true, r.begin(ctx, day)
		}
	}
	if err := r.Mail(ctx, d); err != nil {
		return false, err
	}
	for {
		err := r.o.Store.ReportMailed(ctx, day, r.owner, r.now())
		if err == nil || errors.Is(err, store.ErrNotFound) {
			if r.o.Log != nil {
				r.o.Log.Info("the report is mailed", "day", day, "sessions", d.Sessions)
			}
			return true, nil
		}
		r.o.Recorder.Hurt("report.mail", "", "err", err.Error()) // the database is away: who may say that it is mailed is us
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case <-time.After(time.Second):
		}
		if _, err := r.o.Store.LeaseReport(ctx, day, r.owner, r.now(), r.now().Add(lease)); err != nil && ctx.Err() != nil {
			return true, err
		}
	}
}

// begin notes of the days before the first one of the server that nothing is to be mailed of them: that of the report, and yesterday,
// should its report not be due yet.
func (r *Reporter) begin(ctx context.Context, day string) error {
	if r.o.Log != nil {
		r.o.Log.Info("the first report will be that of today", "day", r.now().In(r.zone).Format(time.DateOnly))
	}
	if err := r.o.Store.ReportMailed(ctx, day, r.owner, r.now()); err != nil {
		return err
	}
	yesterday := r.midnight(r.now()).AddDate(0, 0, -1)
	if yesterday.Format(time.DateOnly) == day {
		return nil
	}
	d, err := Make(ctx, r.o.Store, yesterday)
	if err != nil || !d.empty() {
		return err
	}
	if mine, err := r.o.Store.LeaseReport(ctx, d.Date, r.owner, r.now(), r.now().Add(lease)); err != nil || !mine {
		return err
	}
	return r.o.Store.ReportMailed(ctx, d.Date, r.owner, r.now())
}

// Mail mails a report.
func (r *Reporter) Mail(ctx context.Context, d *Day) error {
	if len(r.cfg.To) == 0 {
		return errors.New("nobody is to get it: records.report.to is empty")
	}
	mail, err := message(d, r.cfg.From, r.cfg.To, r.o.Domain, r.now())
	if err != nil {
		return err
	}
	return r.cfg.send(ctx, r.trust, mail)
}

// Day makes the report of a day, such as 2026-08-01.
func (r *Reporter) Day(ctx context.Context, day string) (*Day, error) {
	from, err := time.ParseInLocation(time.DateOnly, day, r.zone)
	if err != nil || from.Year() < 2000 {
		return nil, store.ErrInvalid
	}
	if from.After(r.now()) {
		return nil, store.ErrNotFound
	}
	return Make(ctx, r.o.Store, from)
}

// Form makes the report of a day as text, html or csv, or its countries as csv.
func (r *Reporter) Form(ctx context.Context, day, form string) ([]byte, error) {
	d, err := r.Day(ctx, day)
	if err != nil {
		return nil, err
	}
	switch form {
	case "html":
		return d.HTML()
	case "csv":
		return d.CSV(), nil
	case "countries":
		return d.CountriesCSV(), nil
	case "text":
		return d.Text(), nil
	}
	return nil, store.ErrInvalid
}

// Send mails the report of a day, whether it was mailed before or not.
func (r *Reporter) Send(ctx context.Context, day string) error {
	d, err := r.Day(ctx, day)
	if err != nil {
		return err
	}
	return r.Mail(ctx, d)
}

// Yesterday is the day before the present one.
func (r *Reporter) Yesterday() string {
	return r.midnight(r.now()).AddDate(0, 0, -1).Format(time.DateOnly)
}
