package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"parley/internal/store"
)

// Problem is the answer to a request that failed (RFC 9457).
type Problem struct {
	Type   string  `json:"type" doc:"Always about:blank: the code says what it is." example:"about:blank"`
	Title  string  `json:"title" doc:"The status in words." example:"Forbidden"`
	Status int     `json:"status" doc:"The HTTP status." example:"403"`
	Detail string  `json:"detail,omitempty" doc:"What went wrong, for people."`
	Code   string  `json:"code" doc:"What went wrong, for programs." example:"scope"`
	Errors []Fault `json:"errors,omitempty" doc:"What of the request is not acceptable."`

	retry int // seconds
}

// Fault is a part of a request that is not acceptable. What it holds is not repeated: it may be a secret.
type Fault struct {
	Location string `json:"location,omitempty" doc:"Where, such as body.room."`
	Message  string `json:"message" doc:"What is wrong there."`
}

func (p *Problem) Error() string             { return p.Code + ": " + p.Detail }
func (p *Problem) GetStatus() int            { return p.Status }
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders implements huma.HeadersError.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retry))
	}
	if p.Status == http.StatusUnauthorized && p != wrongLogin && p != badSession && p != notVouched {
		h.Set("WWW-Authenticate", `Bearer realm="parley"`) // RFC 9110 §15.5.2
	}
	return h
}

func (p *Problem) write(w http.ResponseWriter) {
	for k, v := range p.GetHeaders() {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}

func problem(status int, code, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

func invalid(detail string) *Problem {
	return problem(http.StatusUnprocessableEntity, "invalid", detail)
}

func later(p *Problem, seconds int) *Problem { p.retry = seconds; return p }

// The refusals of the door and of all operations.
var (
	noKey      = problem(http.StatusUnauthorized, "key.missing", "one key of an application or one access token is needed")
	badKey     = problem(http.StatusUnauthorized, "key.unknown", "the key or token is not known")
	expired    = problem(http.StatusUnauthorized, "key.expired", "the access token has expired: refresh it")
	badScope   = problem(http.StatusForbidden, "scope", "the key or token does not allow this")
	badOrigin  = problem(http.StatusForbidden, "origin", "the page that asks is at none of the application's domains")
	insecure   = problem(http.StatusForbidden, "encryption", "secrets are taken over TLS only: ask by https; of a proxy that does TLS, http.proxies has to know")
	tooMany    = later(problem(http.StatusTooManyRequests, "rate", "too many requests"), 5)
	away       = later(problem(http.StatusServiceUnavailable, "store", "this cannot be done now"), 5)
	notFound   = problem(http.StatusNotFound, "not-found", "there is no such thing")
	exists     = problem(http.StatusConflict, "exists", "it exists already")
	full       = problem(http.StatusConflict, "full", "there are as many as may be")
	unreadable = problem(http.StatusUnprocessableEntity, "invalid", "it cannot be stored")
	internal   = problem(http.StatusInternalServerError, "internal", "the server made a mistake")
)

// problem says what to answer to an error. What is not foreseen is for our log, and told to nobody.
func (a *API) problem(ctx context.Context, operation string, err error) *Problem {
	p := (*Problem)(nil)
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, store.ErrNotFound):
		return notFound
	case errors.Is(err, store.ErrExists):
		return exists
	case errors.Is(err, store.ErrQuota):
		return full
	case errors.Is(err, store.ErrInvalid):
		return unreadable
	}
	a.parts.Recorder.Hurt("api.store", asker(ctx).from.String(), "operation", operation, "err", err.Error())
	return away
}

// wrongMethod says which methods there are (RFC 9110 §15.5.6).
func (a *API) wrongMethod(w http.ResponseWriter, r *http.Request) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		if a.router.Match(newRoute(), method, r.URL.Path) {
			w.Header().Add("Allow", method)
		}
	}
	problem(http.StatusMethodNotAllowed, "method", "this is not done by "+r.Method).write(w)
}

func init() {
	huma.ValidateStrictCasing = true
	// What the library refuses by itself looks like all other problems.
	huma.NewError = func(status int, detail string, errs ...error) huma.StatusError {
		code := "invalid"
		switch {
		case status >= 500:
			return internal
		case status == http.StatusUnsupportedMediaType:
			code = "media-type"
		case status == http.StatusRequestEntityTooLarge:
			code = "size"
		}
		p := problem(status, code, detail)
		for _, err := range errs {
			if d := (huma.ErrorDetailer)(nil); errors.As(err, &d) {
				p.Errors = append(p.Errors, Fault{d.ErrorDetail().Location, d.ErrorDetail().Message})
			}
		}
		return p
	}
}
