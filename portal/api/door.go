package api

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"parley/internal/app"
	"parley/internal/limit"
	"parley/internal/opaque"
	"parley/internal/store"
	"parley/xmpp/wire"
)

// Names of the ways to say who one is, in the description, and the header of keys.
const (
	byKey     = "applicationKey"
	byToken   = "accessToken"
	keyHeader = "X-Api-Key"
)

// scopeOf is under which operations name their scope.
const scopeOf = "scope"

// open is the scope of operations that anybody may call: to log in.
const open app.Scope = "open"

// principal is who asks: an application, or somebody who has logged in.
type principal struct {
	app   *store.App
	login *store.Login
	admin bool // of a login: its account is an administrator's
	from  netip.Addr
}

// may is all that decides who may do what.
func (p *principal) may(s app.Scope) bool {
	switch {
	case p.app != nil:
		return s != app.Self && app.May(p.app, s)
	case p.login != nil:
		return s == app.Self || s == app.IssueTokens || s == app.TURN || s == app.Meetings || p.admin
	}
	return false
}

// account is whose login it is, "" for an application.
func (p *principal) account() string {
	if p.login == nil {
		return ""
	}
	return p.login.Addr
}

func (p *principal) String() string {
	switch {
	case p.app != nil:
		return "application " + p.app.Name
	case p.login != nil:
		return p.login.Addr
	}
	return "anybody"
}

type principalKey struct{}

// asker is who asks for an operation.
func asker(ctx context.Context) *principal { return ctx.Value(principalKey{}).(*principal) }

// door lets a request through to its operation, or refuses it. It comes before anything of the request is read.
func (a *API) door(ctx huma.Context, next func(huma.Context)) {
	r, w := humachi.Unwrap(ctx)
	at, _ := netip.ParseAddrPort(r.RemoteAddr)
	from := at.Addr().Unmap()
	scope, _ := ctx.Operation().Metadata[scopeOf].(app.Scope)
	who, refusal := a.admit(r, scope, from)
	if refusal != nil {
		a.parts.Recorder.Reject("api.reject", limit.Source(from).String(), "code", refusal.Code, "operation", ctx.Operation().OperationID, "by", who.String())
		refusal.write(w)
		return
	}
	next(huma.WithValue(ctx, principalKey{}, who))
}

// admit says who asks, or why they may not.
func (a *API) admit(r *http.Request, scope app.Scope, from netip.Addr) (*principal, *Problem) {
	who := &principal{from: from}
	if !a.parts.Confidential(r) {
		return who, insecure
	}
	if scope == open {
		if !a.rates.strange.Allow(limit.Source(from), time.Now(), 1) {
			return who, tooMany
		}
		if origin := foreign(r); origin != "" && !slices.Contains(a.parts.Origins, origin) {
			return who, badOrigin
		}
		return who, nil
	}
	refusal := a.identify(r, who)
	if refusal != nil {
		if !a.rates.strange.Allow(limit.Source(from), time.Now(), 1) {
			return who, tooMany
		}
		return who, refusal
	}
	if !a.rates.allow(who) {
		return who, tooMany
	}
	if origin := foreign(r); origin != "" && !slices.Contains(a.parts.Origins, origin) && (who.app == nil || !app.Bound(who.app.Domains, origin)) {
		return who, badOrigin
	}
	if scope == "" || !who.may(scope) {
		return who, badScope
	}
	return who, nil
}

// identify finds who has the key or token of a request. The store is asked each time: what was removed there is refused at once.
func (a *API) identify(r *http.Request, who *principal) *Problem {
	text := r.Header.Get(keyHeader)
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && text == "" {
		text = bearer
	}
	if text == "" || len(r.Header.Values(keyHeader))+len(r.Header.Values("Authorization")) != 1 {
		return noKey
	}
	kind, id, digest := opaque.Read(text)
	switch kind {
	case opaque.AppKey:
		found, key, err := a.parts.Store.AppOfKey(r.Context(), id)
		if err != nil || !opaque.Is(digest, key.Digest) {
			return a.unknown(err)
		}
		who.app = &found
	case opaque.Access:
		login, err := a.parts.Store.Login(r.Context(), id)
		if err != nil || !opaque.Is(digest, login.Access) {
			return a.unknown(err)
		}
		if !time.Now().Before(login.Until) {
			return expired
		}
		who.login, who.admin = &login, slices.Contains(a.parts.Admins, login.Addr)
	default:
		return badKey
	}
	return nil
}

// unknown is why a key or token is not good.
func (a *API) unknown(err error) *Problem {
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		a.parts.Recorder.Hurt("api.store", "", "err", err.Error())
		return away
	}
	return badKey
}

// foreign is the origin of another site's page that asks, "" if none does.
func foreign(r *http.Request) string {
	origin := r.Header.Get("Origin")
	if origin == "" || strings.EqualFold(origin, "https://"+r.Host) || strings.EqualFold(origin, "http://"+r.Host) {
		return ""
	}
	return origin
}

// allowPages tells browsers that pages of other origins may ask. Whether they are answered is up to the door: what they ask with
// is in headers that no browser adds by itself.
func (a *API) allowPages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if origin := foreign(r); origin != "" {
			h := w.Header()
			h.Set("Access-Control-Allow-Origin", origin)
			h.Add("Vary", "Origin")
			h.Set("Access-Control-Expose-Headers", "Retry-After")
			h.Set("Cross-Origin-Resource-Policy", "cross-origin")
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
				h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, "+keyHeader)
				h.Set("Access-Control-Max-Age", "600")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// own returns the address of an account of this server, by its name or address.
func (a *API) own(name string) (wire.Addr, error) {
	local := strings.TrimSuffix(name, "@"+a.parts.Domain)
	addr, err := wire.ParseAddr(local + "@" + a.parts.Domain)
	if err != nil || !tame(local) || !addr.IsBare() || addr.Local() == "" || addr.Domain() != a.parts.Domain {
		return "", invalid("the name of an account, such as ann, is needed")
	}
	return addr, nil
}
