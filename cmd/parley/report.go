package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"

	"parley/internal/config"
	"parley/internal/store"
	"parley/portal/report"
)

type reportCmd struct {
	common
	Date string `help:"The day, such as 2026-08-01; without, yesterday in the zone of the configuration." placeholder:"DAY"`
	Form string `help:"text, html, csv, or countries: the table of countries as CSV." enum:"text,html,csv,countries" default:"text"`
	Mail bool   `help:"Mail it to the receivers of the configuration, instead of printing it, even if it was mailed before."`
}

// Run prints or mails the report.
func (c *reportCmd) Run() error {
	return c.withStore(func(ctx context.Context, k holder, cfg config.Config) error {
		var s store.Talks
		remote, running := k.(*remoteAccounts)
		if !running {
			s = k.(store.Store)
		}
		r, err := report.New(cfg.Records.Report, report.Options{Domain: cfg.Domain, Store: s})
		if err != nil {
			return err
		}
		if c.Date == "" {
			c.Date = r.Yesterday()
		}
		var text []byte
		switch {
		case running && c.Mail:
			err = remote.do(ctx, http.MethodPost, "/reports/"+url.PathEscape(c.Date)+"/mail", nil, nil)
		case running:
			err = remote.do(ctx, http.MethodGet, "/reports/"+url.PathEscape(c.Date)+"/"+c.Form, nil, &text)
		case c.Mail:
			err = r.Send(ctx, c.Date)
		default:
			text, err = r.Form(ctx, c.Date, c.Form)
		}
		switch {
		case errors.Is(err, store.ErrInvalid):
			return errors.New("the date has to be like 2026-08-01")
		case errors.Is(err, store.ErrNotFound):
			return errors.New("there is no report of that day: it has not come yet, or no records are kept")
		case err != nil:
			return err
		}
		_, err = os.Stdout.Write(text)
		return err
	})
}

// controlReports offers the reports behind the admin socket.
func (s *server) controlReports(mux *http.ServeMux) {
	if s.reporter == nil {
		return
	}
	mux.HandleFunc("GET /reports/{day}/{form}", func(w http.ResponseWriter, r *http.Request) {
		text, err := s.reporter.Form(r.Context(), r.PathValue("day"), r.PathValue("form"))
		reply(w, text, err)
	})
	mux.HandleFunc("POST /reports/{day}/mail", func(w http.ResponseWriter, r *http.Request) {
		reply(w, nil, s.reporter.Send(r.Context(), r.PathValue("day")))
	})
}
