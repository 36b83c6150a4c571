package portal

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"parley/xmpp/invite"
)

func TestInvitationPage(t *testing.T) {
	expires := time.Date(2026, 5, 4, 3, 2, 0, 0, time.UTC)
	p := newPortal(t, func(_ *Config, parts *Parts) {
		parts.Invitation = func(_ context.Context, token string) (invite.Page, error) {
			switch token {
			case "CONTACT":
				return invite.Page{Inviter: "r<omeo@meet.example", URI: "xmpp:r%3Comeo@meet.example?roster;preauth=CONTACT", Contact: true, Expires: expires}, nil
			case "ACCOUNT":
				return invite.Page{Inviter: "boss@meet.example", URI: "xmpp:juliet@meet.example?register;preauth=ACCOUNT", Account: true, Name: "juliet@meet.example", Expires: expires}, nil
			}
			return invite.Page{}, errors.New("none")
		}
	})
	for _, c := range []struct {
		path, method string
		status       int
		has, hasNot  string
	}{
		{"CONTACT", "GET", 200, `href="xmpp:r%3Comeo@meet.example?roster;preauth=CONTACT"`, "r<omeo"},
		{"CONTACT", "GET", 200, "<bdi>r&lt;omeo@meet.example</bdi> invites you to chat", "made"},
		{"CONTACT", "GET", 200, "until 4 May 2026, 03:02 UTC", "script"},
		{"CONTACT", "GET", 200, `<meta name="viewport" content="width=device-width, initial-scale=1">`, " style="},
		{"ACCOUNT", "GET", 200, "The address <bdi>juliet@meet.example</bdi> is kept for you", "boss@"},
		{"ACCOUNT", "GET", 200, `href="xmpp:juliet@meet.example?register;preauth=ACCOUNT"`, "invites you to chat"},
		{"OTHER", "GET", 404, "This invitation is not good", "href=\"xmpp:"},
		{"CONTACT", "POST", 405, "", "xmpp:"},
		{"CONTACT/more", "GET", 404, "", "xmpp:"},
	} {
		w := ask(p, c.method, "https://meet.example/invite/"+c.path, "203.0.113.1:1000", nil)
		if body := w.Body.String(); w.Code != c.status || !strings.Contains(body, c.has) || strings.Contains(body, c.hasNot) {
			t.Errorf("%s %s: %d\n%s\nwant %d, %s and not %s", c.method, c.path, w.Code, body, c.status, c.has, c.hasNot)
		}
		if c.status == 200 && (w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Referrer-Policy") != "no-referrer" || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html")) {
			t.Errorf("%s: %v", c.path, w.Header())
		}
	}
	if w := ask(p, "GET", "https://meet.example/invite", "203.0.113.1:1000", nil); w.Code != 404 {
		t.Errorf("a room of that name: %d", w.Code)
	}
	none := newPortal(t, nil)
	if w := ask(none, "GET", "https://meet.example/invite/CONTACT", "203.0.113.1:1000", nil); w.Code != 404 {
		t.Errorf("without invitations: %d", w.Code)
	}
}
