package portal

import (
	"context"
	_ "embed"
	"html/template"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"parley/xmpp/invite"
)

//go:embed invite.html
var inviteText string

var inviteTemplate = template.Must(template.New("invite").Parse(inviteText))

// inviteView is what the template is given.
type inviteView struct {
	Domain string
	Found  bool
	invite.Page
	Link template.URL // the xmpp: link, which html/template would take for a dangerous one
	Days string
}

// invitation shows what an invitation is for, and how it is taken (XEP-0379 §3.3, XEP-0401 §5.2). Looking at the page uses nothing
// up. Nobody keeps it: it holds a secret.
func (p *Portal) invitation(w http.ResponseWriter, r *http.Request) {
	ctx, done := context.WithTimeout(r.Context(), 10*time.Second)
	defer done()
	v := inviteView{Domain: p.parts.Domain}
	if page, err := p.parts.Invitation(ctx, chi.URLParam(r, "token")); err == nil {
		v.Found, v.Page = true, page
		v.Link = template.URL(page.URI) // of our making, escaped
		v.Days = page.Expires.UTC().Format("2 January 2006, 15:04 MST")
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Robots-Tag", "noindex")
	if !v.Found {
		w.WriteHeader(http.StatusNotFound)
	}
	inviteTemplate.Execute(w, v)
}
