package api

import (
	"context"
	"net/http"
	"net/mail"
	"strings"
	"time"

	"parley/internal/store"
	"parley/portal/report"
)

// mailTime is how long somebody who invites waits for the mail server.
const mailTime = 20 * time.Second

var (
	noMail     = problem(http.StatusConflict, "mail.none", "this server sends no mail: send the link yourself")
	mailFailed = problem(http.StatusBadGateway, "mail.failed", "the mail server did not take the letter; nobody is invited")
	manyMails  = later(problem(http.StatusTooManyRequests, "rate", "too many letters"), 60)
)

// mayMail says why no letter with the link may go to the address, in the name of who asks.
func (a *API) mayMail(who *principal, to, link string) error {
	if a.parts.Mail == nil || link == "" {
		return noMail
	}
	if p, err := mail.ParseAddress(to); err != nil || p.Address != to || !plain(to) {
		return invalid("that is no mail address")
	}
	name := who.account() // of an application it is none
	if who.app != nil {
		name = who.app.Name
	}
	if !a.rates.letters.Allow(name, time.Now(), 1) {
		a.parts.Recorder.Reject("api.letters", name)
		return manyMails
	}
	return nil
}

// mail sends the letter to somebody who is invited, or takes the invitation back. If the server dies meanwhile nobody was told that
// there is an invitation, unless by the letter, and then it is good.
func (a *API) mail(ctx context.Context, m store.Meeting, g store.Guest, to, link string) error {
	limited, cancel := context.WithTimeout(ctx, mailTime)
	defer cancel()
	err := a.parts.Mail(limited, letter(a.parts.Domain, m, g, to, link))
	if err == nil {
		return nil
	}
	if a.parts.Log != nil {
		a.parts.Log.Warn("an invitation was not mailed", "meeting", m.ID, "err", err)
	}
	if err := a.parts.Store.RemoveGuest(context.WithoutCancel(ctx), m.ID, g.ID); err != nil {
		return err
	}
	return mailFailed
}

func letter(domain string, m store.Meeting, g store.Guest, to, link string) report.Letter {
	const layout = "Monday, 2 January 2006, 15:04"
	var b strings.Builder
	if g.Name != "" {
		b.WriteString("Hello " + g.Name + ",\n\n")
	}
	b.WriteString("you are invited to a meeting:\n\n  " + m.Title + "\n  " + m.Starts.UTC().Format(layout) + " to " + m.Ends.UTC().Format("15:04") + " (UTC)\n\n")
	b.WriteString("This link lets you in, from a quarter of an hour before it begins until it ends. It is yours alone:\n\n  " + link + "\n\n")
	b.WriteString("It opens in a web browser; there is nothing to install.\n\n" + domain + "\n")
	return report.Letter{ID: "invitation." + strings.ToLower(g.ID), To: []string{to}, Subject: "Invitation: " + m.Title, Text: b.String(), Time: g.Created,
		Event: &report.Event{ID: "meeting." + strings.ToLower(m.ID), Title: m.Title, Starts: m.Starts, Ends: m.Ends, Link: link, Told: g.Created}}
}
