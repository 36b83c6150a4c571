package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"parley/internal/app"
	"parley/internal/opaque"
	"parley/internal/store"
	"parley/xmpp/auth"
)

type loginInput struct {
	Body struct {
		User     string `json:"user" minLength:"1" maxLength:"1023" doc:"Name or address of the account." example:"ann"`
		Password string `json:"password" minLength:"1" maxLength:"1023" doc:"Its password."`
		Label    string `json:"label,omitempty" maxLength:"100" doc:"What the client calls itself, for the list of logins."`
	}
}

// tokens are what a login consists of.
type tokens struct {
	Account      string `json:"account" doc:"Address of the account."`
	Access       string `json:"access_token" doc:"For requests, as a bearer token."`
	Type         string `json:"token_type" doc:"Always Bearer."`
	Seconds      int    `json:"expires_in" doc:"Seconds that the access token is good."`
	Refresh      string `json:"refresh_token" doc:"For the next two tokens; good once. Who uses it twice ends the login."`
	RefreshUntil int    `json:"refresh_expires_in" doc:"Seconds that the refresh token is good."`
}

type tokensOutput struct{ Body tokens }

type refreshInput struct {
	Body struct {
		Refresh string `json:"refresh_token" maxLength:"100" doc:"The refresh token that came last."`
	}
}

type loginView struct {
	ID      string    `json:"id"`
	Label   string    `json:"label,omitempty"`
	Created time.Time `json:"created"`
	Used    time.Time `json:"used" doc:"When its tokens were made."`
	Expires time.Time `json:"expires" doc:"When it ends, if it is not refreshed."`
	Current bool      `json:"current" doc:"It is the one that asks."`
}

var (
	wrongLogin = problem(http.StatusUnauthorized, "login", "wrong user name or password")
	disabled   = problem(http.StatusForbidden, "disabled", "the account is disabled")
	guessing   = later(problem(http.StatusTooManyRequests, "login.rate", "too many tries, wait a while"), 30)
	spent      = problem(http.StatusUnauthorized, "refresh", "the refresh token is not good, or not any more: log in again")
)

func (a *API) addLogins() {
	operation(a, open, huma.Operation{
		OperationID: "log-in", Method: http.MethodPost, Path: "/auth/login", Tags: []string{"logins"}, Summary: "Log in",
		Description: "With the name and password that an account has in XMPP too. Tries are counted together with those there.",
		Errors:      []int{401, 403},
	}, a.logIn)
	operation(a, open, huma.Operation{
		OperationID: "refresh", Method: http.MethodPost, Path: "/auth/refresh", Tags: []string{"logins"}, Summary: "Get the next tokens",
		Description: "The access token of before is not good from then on. A refresh token that comes a second time was stolen, then or now: it ends the login.",
		Errors:      []int{401, 403},
	}, a.refresh)
	operation(a, app.Self, huma.Operation{
		OperationID: "log-out", Method: http.MethodPost, Path: "/auth/logout", Tags: []string{"logins"}, Summary: "End this login", DefaultStatus: 204,
	}, func(ctx context.Context, _ *struct{}) (*struct{}, error) {
		return nil, a.end(ctx, asker(ctx).login.ID)
	})
	operation(a, app.Self, huma.Operation{
		OperationID: "who-am-i", Method: http.MethodGet, Path: "/me", Tags: []string{"logins"}, Summary: "Whose login this is",
	}, func(ctx context.Context, _ *struct{}) (*meOutput, error) {
		who := asker(ctx)
		return &meOutput{me{Account: who.account(), Admin: who.admin}}, nil
	})
	operation(a, app.Self, huma.Operation{
		OperationID: "list-logins", Method: http.MethodGet, Path: "/me/logins", Tags: []string{"logins"}, Summary: "List the logins of this account",
	}, a.logins)
	operation(a, app.Self, huma.Operation{
		OperationID: "end-login", Method: http.MethodDelete, Path: "/me/logins/{id}", Tags: []string{"logins"}, Summary: "End a login of this account", DefaultStatus: 204,
		Errors: []int{404},
	}, a.endOther)
}

type me struct {
	Account string `json:"account" doc:"Address of the account."`
	Admin   bool   `json:"admin" doc:"It may administer the server."`
}

type meOutput struct{ Body me }

func (a *API) logIn(ctx context.Context, in *loginInput) (*tokensOutput, error) {
	if !plain(in.Body.Label) {
		return nil, invalid("the label holds control characters")
	}
	addr, err := a.parts.Password(ctx, asker(ctx).from, in.Body.User, in.Body.Password)
	if f := (*auth.Failure)(nil); errors.As(err, &f) {
		return nil, a.refuseLogin(ctx, f)
	} else if err != nil {
		return nil, err
	}
	now := time.Now()
	l := store.Login{ID: opaque.NewID(), Addr: string(addr), Label: in.Body.Label, Created: now}
	out := a.renew(&l, now)
	if err := a.parts.Store.AddLogin(ctx, l, a.cfg.Logins); errors.Is(err, store.ErrNotFound) {
		return nil, wrongLogin // deleted or disabled meanwhile
	} else if err != nil {
		return nil, err
	}
	return out, nil
}

// longestDelay is less than an answer may take.
const longestDelay = 10 * time.Second

// refuseLogin waits as long as the failure says, within reason, and answers.
func (a *API) refuseLogin(ctx context.Context, f *auth.Failure) error {
	if f.Delay > 0 {
		select {
		case <-time.After(min(f.Delay, longestDelay)):
		case <-ctx.Done():
		}
	}
	switch f.Condition {
	case "account-disabled":
		return disabled
	case "temporary-auth-failure":
		if f.Event == "auth.store" {
			return away
		}
		return guessing
	}
	return wrongLogin
}

// renew gives a login new tokens.
func (a *API) renew(l *store.Login, now time.Time) *tokensOutput {
	out := &tokensOutput{tokens{
		Account: l.Addr, Type: "Bearer", Seconds: int(a.cfg.AccessLife / time.Second), RefreshUntil: int(a.cfg.RefreshLife / time.Second),
	}}
	l.Used, l.Until, l.Expires = now, now.Add(a.cfg.AccessLife), now.Add(a.cfg.RefreshLife)
	out.Body.Access, l.Access = opaque.New(opaque.Access, l.ID)
	out.Body.Refresh, l.Refresh = opaque.New(opaque.Refresh, l.ID)
	return out
}

func (a *API) refresh(ctx context.Context, in *refreshInput) (*tokensOutput, error) {
	kind, id, digest := opaque.Read(in.Body.Refresh)
	if kind != opaque.Refresh {
		return nil, spent
	}
	l, err := a.parts.Store.Login(ctx, id)
	now := time.Now()
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, spent
	case err != nil:
		return nil, err
	case !now.Before(l.Expires):
		return nil, errors.Join(spent, a.end(ctx, id))
	}
	out := a.renew(&l, now)
	switch err := a.parts.Store.Refresh(ctx, digest, l); {
	case errors.Is(err, store.ErrUsed):
		a.parts.Recorder.Reject("api.replay", asker(ctx).from.String(), "text", "a refresh token was used twice; the login has ended")
		a.parts.EndRelay(relayUser(id))
		return nil, spent
	case errors.Is(err, store.ErrNotFound):
		return nil, spent
	case err != nil:
		return nil, err
	}
	return out, nil
}

// end ends a login and what it has at the relay.
func (a *API) end(ctx context.Context, id string) error {
	err := a.parts.Store.DropLogin(ctx, id)
	if err == nil {
		a.parts.EndRelay(relayUser(id))
	}
	return err
}

type loginsOutput struct{ Body []loginView }

func (a *API) logins(ctx context.Context, _ *struct{}) (*loginsOutput, error) {
	own := asker(ctx).login
	list, err := a.parts.Store.ListLogins(ctx, own.Addr)
	if err != nil {
		return nil, err
	}
	out := &loginsOutput{[]loginView{}}
	for _, l := range list {
		if time.Now().Before(l.Expires) {
			out.Body = append(out.Body, loginView{l.ID, l.Label, l.Created, l.Used, l.Expires, l.ID == own.ID})
		}
	}
	return out, nil
}

type loginPath struct {
	ID string `path:"id" pattern:"^[A-Z2-7]{26}$" doc:"Of the list of logins."`
}

func (a *API) endOther(ctx context.Context, in *loginPath) (*struct{}, error) {
	l, err := a.parts.Store.Login(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if l.Addr != asker(ctx).account() {
		return nil, notFound
	}
	return nil, a.end(ctx, l.ID)
}
