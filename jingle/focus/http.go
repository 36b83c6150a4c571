package focus

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"parley/internal/limit"
	"parley/internal/token"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Tokens checks a token; internal/token's Checker does.
type Tokens interface {
	Check(ctx context.Context, raw, source string) (token.Claims, error)
}

const (
	maxBody     = 64 << 10
	conveneTime = 10 * time.Second
)

// ServeHTTP is the conference request as JSON, which a client sends before it connects by XMPP (jitsi.md §5).
func (f *Focus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if origin := r.Header.Get("Origin"); origin != "" && !f.originAllowed(origin, r) {
		f.rec.Reject("http.csrf", r.RemoteAddr, "origin", origin)
		http.Error(w, "this origin may not ask", http.StatusForbidden)
		return
	} else if origin != "" {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Vary", "Origin")
		h.Set("Access-Control-Allow-Methods", "POST")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	}
	switch r.Method {
	case http.MethodOptions:
		w.WriteHeader(http.StatusNoContent)
		return
	case http.MethodPost:
	default:
		w.Header().Set("Allow", "POST, OPTIONS")
		http.Error(w, "only POST", http.StatusMethodNotAllowed)
		return
	}
	if ct, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(ct), "application/json") {
		http.Error(w, "the content must be application/json", http.StatusUnsupportedMediaType)
		return
	}
	req, ok := f.readRequest(w, r)
	if !ok {
		return
	}
	asker := &visitor{source: limit.Source(remote(r))}
	if bearer, has := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); has && f.tokens != nil {
		claims, err := f.tokens.Check(r.Context(), bearer, asker.source.String())
		if err != nil {
			refuseToken(w, err)
			return
		}
		asker.claims = &claims
	}
	type result struct {
		answer Answer
		fault  *wire.Error
	}
	done := make(chan result, 1)
	f.convene(asker, req, func(a Answer, fault *wire.Error) { done <- result{a, fault} })
	select {
	case res := <-done:
		f.reply(w, res.answer, res.fault)
	case <-r.Context().Done():
	case <-time.After(conveneTime):
		http.Error(w, "the room does not answer", http.StatusServiceUnavailable)
	}
}

// refuseToken says why a token is not accepted, for programs too (RFC 9457, with the codes of package token).
func refuseToken(w http.ResponseWriter, err error) {
	p := struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}{http.StatusText(http.StatusForbidden), http.StatusForbidden, token.CodeReject, "the token is not valid"}
	if e := (*token.Error)(nil); errors.As(err, &e) {
		p.Code, p.Detail = e.Code, e.Text
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}

func (f *Focus) readRequest(w http.ResponseWriter, r *http.Request) (req Request, ok bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		var tooBig *http.MaxBytesError
		if errors.As(err, &tooBig) {
			http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
		} else {
			http.Error(w, "the body is cut", http.StatusBadRequest)
		}
		return req, false
	}
	var doc struct {
		Room       string          `json:"room"`
		MachineUID string          `json:"machineUid"`
		Properties json.RawMessage `json:"properties"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		http.Error(w, "the body is no JSON object of a conference request", http.StatusBadRequest)
		return req, false
	}
	room, ok := f.room(doc.Room)
	if !ok {
		http.Error(w, errNoRoom.Text, http.StatusBadRequest)
		return req, false
	}
	return Request{Room: room, Machine: doc.MachineUID}, true
}

func (f *Focus) reply(w http.ResponseWriter, a Answer, fault *wire.Error) {
	if fault != nil {
		code := http.StatusForbidden
		switch {
		case fault.Type == mstanza.Wait:
			code = http.StatusServiceUnavailable
			w.Header().Set("Retry-After", "2")
		case fault.Type == mstanza.Modify:
			code = http.StatusBadRequest
		}
		http.Error(w, fault.Text, code)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(struct {
		Ready      bool              `json:"ready"`
		FocusJID   string            `json:"focusJid"`
		Properties map[string]string `json:"properties"`
	}{a.Ready, string(wire.Addr(f.cfg.Address).Bare()), a.Properties})
}

func (f *Focus) originAllowed(origin string, r *http.Request) bool {
	u, err := url.Parse(origin)
	return err == nil && (strings.EqualFold(u.Host, r.Host) || slices.Contains(f.cfg.Origins, origin))
}

func remote(r *http.Request) netip.Addr {
	ap, _ := netip.ParseAddrPort(r.RemoteAddr)
	return ap.Addr().Unmap()
}

// visitor asks by HTTP: it has no session yet.
type visitor struct {
	source netip.Addr
	claims *token.Claims
}

func (v *visitor) Addr() wire.Addr                             { return "" }
func (v *visitor) Deliver(*wire.Batch, wire.Addr, wire.Stanza) {}
func (v *visitor) Guest() bool                                 { return true }
func (v *visitor) Source() netip.Addr                          { return v.source }
func (v *visitor) Claims() *token.Claims                       { return v.claims }
func (v *visitor) Room() string                                { return "" }
func (v *visitor) Tenant() string                              { return "" }
func (v *visitor) Hold() func()                                { return func() {} }
