package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"parley/internal/app"
	"parley/internal/store"
	"parley/xmpp/auth"
	"parley/xmpp/wire"
)

type accountView struct {
	Account  string    `json:"account" doc:"Its address."`
	Disabled bool      `json:"disabled"`
	Created  time.Time `json:"created"`
}

type (
	accountOutput  struct{ Body accountView }
	accountsOutput struct{ Body []accountView }
	// AccountPath names an account.
	AccountPath struct {
		Name string `path:"name" maxLength:"1023" doc:"Name of the account." example:"ann"`
	}
	newAccount struct {
		Body struct {
			Name     string `json:"name" minLength:"1" maxLength:"1023" doc:"Its name, which is before the @ of its address." example:"ann"`
			Password string `json:"password" minLength:"1" maxLength:"1023"`
		}
	}
	newPassword struct {
		AccountPath
		Body struct {
			Password string `json:"password" minLength:"1" maxLength:"1023"`
		}
	}
	newState struct {
		AccountPath
		Body struct {
			Disabled bool `json:"disabled"`
		}
	}
)

func (in *AccountPath) about() string { return in.Name }
func (in *newAccount) about() string  { return in.Body.Name }

func (a *API) addAccounts() {
	tags := []string{"accounts"}
	operation(a, app.Admin, huma.Operation{OperationID: "list-accounts", Method: http.MethodGet, Path: "/accounts", Tags: tags, Summary: "List accounts"}, a.accounts)
	operation(a, app.Admin, huma.Operation{
		OperationID: "add-account", Method: http.MethodPost, Path: "/accounts", Tags: tags, Summary: "Add an account", DefaultStatus: http.StatusCreated, Errors: []int{409},
		Description: "It logs in here and by XMPP.",
	}, func(ctx context.Context, in *newAccount) (*accountOutput, error) {
		addr, err := a.own(in.Body.Name)
		if err != nil {
			return nil, err
		}
		credentials, err := auth.NewCredentials(in.Body.Password)
		if err != nil {
			return nil, invalid("the password cannot be one")
		}
		made := store.Account{Addr: string(addr), Created: time.Now(), Credentials: credentials}
		if err := a.parts.Store.CreateAccount(ctx, made); err != nil {
			return nil, err
		}
		return &accountOutput{accountView{made.Addr, false, made.Created.UTC()}}, nil
	})
	operation(a, app.Admin, huma.Operation{
		OperationID: "get-account", Method: http.MethodGet, Path: "/accounts/{name}", Tags: tags, Summary: "Show an account", Errors: []int{404},
	}, func(ctx context.Context, in *AccountPath) (*accountOutput, error) {
		addr, err := a.own(in.Name)
		if err != nil {
			return nil, err
		}
		found, err := a.parts.Store.Account(ctx, string(addr))
		if err != nil {
			return nil, err
		}
		return &accountOutput{accountView{found.Addr, found.Disabled, found.Created}}, nil
	})
	operation(a, app.Admin, huma.Operation{
		OperationID: "remove-account", Method: http.MethodDelete, Path: "/accounts/{name}", Tags: tags, Summary: "Delete an account", DefaultStatus: 204, Errors: []int{404},
		Description: "With all that hangs on it. Its sessions and logins end.",
	}, func(ctx context.Context, in *AccountPath) (*struct{}, error) {
		return nil, a.change(in.Name, true, func(addr string) error { return a.parts.Store.DeleteAccount(ctx, addr) })
	})
	operation(a, app.Admin, huma.Operation{
		OperationID: "set-password", Method: http.MethodPut, Path: "/accounts/{name}/password", Tags: tags, Summary: "Set a password", DefaultStatus: 204, Errors: []int{404},
		Description: "The account's sessions and logins end.",
	}, func(ctx context.Context, in *newPassword) (*struct{}, error) {
		if _, err := a.own(in.Name); err != nil {
			return nil, err // before the work
		}
		credentials, err := auth.NewCredentials(in.Body.Password)
		if err != nil {
			return nil, invalid("the password cannot be one")
		}
		return nil, a.change(in.Name, true, func(addr string) error { return a.parts.Store.SetCredentials(ctx, addr, credentials) })
	})
	operation(a, app.Admin, huma.Operation{
		OperationID: "set-state", Method: http.MethodPut, Path: "/accounts/{name}/disabled", Tags: tags, Summary: "Forbid or allow to log in", DefaultStatus: 204, Errors: []int{404},
		Description: "Where it is forbidden, sessions and logins end.",
	}, func(ctx context.Context, in *newState) (*struct{}, error) {
		return nil, a.change(in.Name, in.Body.Disabled, func(addr string) error { return a.parts.Store.DisableAccount(ctx, addr, in.Body.Disabled) })
	})
}

// change changes an account, and ends its sessions where that is a reason to (hardening HA8). Its logins the store has ended.
func (a *API) change(name string, revokes bool, do func(addr string) error) error {
	addr, err := a.own(name)
	if err != nil {
		return err
	}
	if err := do(string(addr)); err != nil {
		return err
	}
	if revokes {
		a.parts.Revoke(wire.Addr(addr))
	}
	return nil
}

func (a *API) accounts(ctx context.Context, in *page) (*accountsOutput, error) {
	list, err := a.parts.Store.ListAccounts(ctx, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &accountsOutput{[]accountView{}}
	for _, found := range list {
		out.Body = append(out.Body, accountView{found.Addr, found.Disabled, found.Created})
	}
	return out, nil
}
