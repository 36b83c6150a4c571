package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/internal/app"
	"parley/internal/limit"
	"parley/internal/token"
	"parley/portal/report"
)

// at writes a time from now as the API takes it.
func at(d time.Duration) string { return `"` + time.Now().Add(d).UTC().Format(time.RFC3339) + `"` }

func meetingBody(starts, ends time.Duration, more string) string {
	return `{"title":"Weekly","starts":` + at(starts) + `,"ends":` + at(ends) + more + `}`
}

func TestMeetingsAndInvitations(t *testing.T) {
	w := newWorld(t, nil)
	bob, _ := w.login("bob")
	ann, _ := w.login("ann")
	shop, other := w.key("shop", app.Meetings), w.key("other", app.Meetings)

	m := w.want(201, "", "POST", "/meetings", bob, meetingBody(time.Minute, time.Hour, ""))
	id, _ := m.body["id"].(string)
	room, _ := m.body["room"].(string)
	if len(id) != 26 || len(room) != 26 || m.body["title"] != "Weekly" {
		t.Fatal(m.text)
	}
	w.want(403, "scope", "POST", "/meetings", bob, meetingBody(0, time.Hour, `,"room":"boardroom"`)) // nobody becomes owner of another's room by this
	for _, key := range []string{ann, shop} {                                                        // whatever else they may
		w.want(404, "not-found", "GET", "/meetings/"+id, key, "")
		w.want(404, "not-found", "DELETE", "/meetings/"+id, key, "")
		w.want(404, "not-found", "POST", "/meetings/"+id+"/invitations", key, `{}`)
	}
	for _, bad := range []string{meetingBody(time.Hour, time.Minute, ""), meetingBody(-2*time.Hour, -time.Hour, ""), meetingBody(0, 25*time.Hour, ""), meetingBody(400*24*time.Hour, 401*24*time.Hour, "")} {
		w.want(422, "invalid", "POST", "/meetings", bob, bad)
	}

	invited := w.want(201, "", "POST", "/meetings/"+id+"/invitations", bob, `{"name":"Carl <b>","moderator":true}`)
	secret, _ := invited.body["invitation"].(string)
	guest, _ := invited.body["id"].(string)
	if got := w.want(200, "", "GET", "/meetings/"+id, bob, ""); !strings.Contains(got.text, guest) || strings.Contains(got.text, secret) {
		t.Errorf("%s", got.text)
	}
	let := w.want(200, "", "POST", "/invitations/token", "", `{"invitation":"`+secret+`"}`)
	raw, _ := let.body["token"].(string)
	c, err := w.parts.Tokens.Check(context.Background(), raw, "")
	if err != nil || c.Room != room || !c.Moderator || c.User.Name != "Carl <b>" || c.Once || c.Accounts || time.Until(c.Expires) > w.cfg.TokenLife {
		t.Errorf("%+v %v", c, err)
	}
	if let.body["room"] != room || let.body["title"] != "Weekly" {
		t.Error(let.text)
	}
	other26 := strings.Repeat("A", 26)
	for _, bad := range []string{"", "x", secret[:len(secret)-1] + "7", secret[:30] + other26, "pa" + secret[2:], bob} {
		if bad != secret {
			w.want(404, "not-found", "POST", "/invitations/token", "", `{"invitation":"`+bad+`"}`)
		}
	}
	w.want(401, "key.unknown", "GET", "/meetings", secret, "") // it is no key
	w.want(204, "", "DELETE", "/meetings/"+id+"/invitations/"+guest, bob, "")
	w.want(404, "not-found", "POST", "/invitations/token", "", `{"invitation":"`+secret+`"}`)

	named := w.want(201, "", "POST", "/meetings", shop, meetingBody(time.Hour, 2*time.Hour, `,"room":"boardroom"`))
	later, _ := named.body["id"].(string)
	secret, _ = w.want(201, "", "POST", "/meetings/"+later+"/invitations", shop, `{}`).body["invitation"].(string)
	w.want(403, "meeting.early", "POST", "/invitations/token", "", `{"invitation":"`+secret+`"}`)
	if got := w.want(200, "", "GET", "/meetings", shop, ""); !strings.Contains(got.text, later) || strings.Contains(got.text, id) {
		t.Errorf("%s", got.text)
	}
	w.want(404, "not-found", "GET", "/meetings/"+later, other, "")
	w.want(204, "", "DELETE", "/meetings/"+later, shop, "")
	w.want(404, "not-found", "POST", "/invitations/token", "", `{"invitation":"`+secret+`"}`)

	brief := w.want(201, "", "POST", "/meetings", bob, `{"title":"x","starts":`+at(-time.Hour)+`,"ends":"`+time.Now().Add(1500*time.Millisecond).UTC().Format(time.RFC3339Nano)+`"}`)
	soon, _ := brief.body["id"].(string)
	secret, _ = w.want(201, "", "POST", "/meetings/"+soon+"/invitations", bob, `{}`).body["invitation"].(string)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		a := w.ask("POST", "/invitations/token", "", `{"invitation":"`+secret+`"}`)
		if a.status == 200 {
			raw, _ = a.body["token"].(string)
			if c, err := w.parts.Tokens.Check(context.Background(), raw, ""); err == nil && time.Until(c.Expires) > 2*time.Second {
				t.Fatalf("the token is good past the meeting: %v", c.Expires)
			} else if e := (*token.Error)(nil); err != nil && !asTokenError(err, &e) {
				t.Fatal(err)
			}
		} else if a.code() == "meeting.over" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it does not end: %d %s", a.status, a.text)
		}
	}
}

func asTokenError(err error, e **token.Error) (ok bool) {
	*e, ok = err.(*token.Error)
	return ok
}

// Who is invited by mail gets the link that the answer has, and nobody is invited whom the letter does not reach.
func TestInvitationsByMail(t *testing.T) {
	var sent []report.Letter
	var fault error
	w := newWorld(t, func(cfg *Config, p *Parts) {
		cfg.MailRate = limit.Rate{PerSecond: 1e-6, Burst: 3}
		p.Link = func(room, invitation string) string {
			return "https://meet.example/" + room + "?invitation=" + invitation
		}
		p.Mail = func(_ context.Context, l report.Letter) error {
			if fault == nil {
				sent = append(sent, l)
			}
			return fault
		}
	})
	bob, _ := w.login("bob")
	ann, _ := w.login("ann")
	m := w.want(201, "", "POST", "/meetings", bob, meetingBody(time.Minute, time.Hour, ""))
	invitations := fmt.Sprint("/meetings/", m.body["id"], "/invitations")
	to := func(address string) string { return `{"name":"Carl","mail":"` + address + `"}` }
	a := w.want(201, "", "POST", invitations, bob, to("carl@example.org"))
	link, _ := a.body["link"].(string)
	if len(sent) != 1 || fmt.Sprint(sent[0].To) != "[carl@example.org]" || sent[0].Subject != "Invitation: Weekly" || !strings.Contains(sent[0].Text, "\n  "+link+"\n") {
		t.Fatalf("%+v", sent)
	}
	if want := fmt.Sprint("https://meet.example/", m.body["room"], "?invitation=", a.body["invitation"]); link != want {
		t.Errorf("%s, want %s", link, want)
	}
	if e := sent[0].Event; e == nil || e.Link != link || e.Title != "Weekly" || e.ID != "meeting."+strings.ToLower(fmt.Sprint(m.body["id"])) || !e.Starts.Before(e.Ends) {
		t.Errorf("%+v", sent[0].Event)
	}
	for _, bad := range []string{"carl", "carl@", "@example.org", "Carl <carl@example.org>", "a@example.org, b@example.org", "carl@example.org\\r\\nBcc: dan@example.org", "carl@example.org\u202e"} {
		if got := w.ask("POST", invitations, bob, to(bad)); got.status != 422 && got.status != 400 {
			t.Errorf("%q: %d %s", bad, got.status, got.text)
		}
	}
	fault = errors.New("550 no such mailbox")
	w.want(502, "mail.failed", "POST", invitations, bob, to("nobody@example.org"))
	fault = nil
	w.want(201, "", "POST", invitations, bob, to("dora@example.org"))
	w.want(429, "rate", "POST", invitations, bob, to("emil@example.org"))
	w.want(201, "", "POST", invitations, bob, `{"name":"Emil"}`) // without a letter
	if got := w.want(200, "", "GET", fmt.Sprint("/meetings/", m.body["id"]), bob, ""); strings.Count(got.text, `"moderator"`) != 3 {
		t.Error(got.text)
	}
	other := w.want(201, "", "POST", "/meetings", ann, meetingBody(time.Minute, time.Hour, ""))
	w.want(201, "", "POST", fmt.Sprint("/meetings/", other.body["id"], "/invitations"), ann, to("emil@example.org")) // each has an own allowance
	if len(sent) != 3 {
		t.Fatalf("%d letters", len(sent))
	}
	if a, b, c := sent[0].Event, sent[1].Event, sent[2].Event; a.ID != b.ID || a.Link == b.Link || a.ID == c.ID {
		t.Errorf("events of two guests, and of another meeting: %+v %+v %+v", a, b, c)
	}

	w = newWorld(t, nil)
	bob, _ = w.login("bob")
	m = w.want(201, "", "POST", "/meetings", bob, meetingBody(time.Minute, time.Hour, ""))
	w.want(409, "mail.none", "POST", fmt.Sprint("/meetings/", m.body["id"], "/invitations"), bob, to("carl@example.org"))
}
