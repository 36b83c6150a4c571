package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"parley/internal/store"
	"parley/portal"
	"parley/xmpp/wire"
)

// The admin socket is how commands reach a server that runs: HTTP over a Unix socket in the data directory, which only
// the user that runs the server can open. It offers store.Accounts, and ends the sessions of those whose password
// changed, who were disabled or deleted.

const controlFile = "admin.sock"

// accounts is what the commands need of the store, or of the server that holds it.
type accounts interface {
	CreateAccount(ctx context.Context, a store.Account) error
	SetCredentials(ctx context.Context, addr string, c []store.Credential) error
	DisableAccount(ctx context.Context, addr string, disabled bool) error
	DeleteAccount(ctx context.Context, addr string) error
	ListAccounts(ctx context.Context, after string, limit int) ([]store.Account, error)
}

// holder is all that commands need of the store, or of the server that holds it.
type holder interface {
	accounts
	App(ctx context.Context, name string) (store.App, error)
	AddApp(ctx context.Context, a store.App) error
	RemoveApp(ctx context.Context, name string) error
	ListApps(ctx context.Context, after string, limit int) ([]store.App, error)
	AddAppKey(ctx context.Context, k store.AppKey, most int) error
	RemoveAppKey(ctx context.Context, app, id string) error
	AppKeys(ctx context.Context, app string) ([]store.AppKey, error)
}

// serveControl opens the socket. A path of a Unix socket holds about 100 bytes, so a long one is named through the
// descriptor of its folder.
func (s *server) serveControl() error {
	name := s.data.file(controlFile)
	os.Remove(name) // left by a server that was killed: we have the lock
	dir, err := os.Open(s.data.path)
	if err != nil {
		return err
	}
	defer dir.Close()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: viaFolder(dir), Net: "unix"})
	if err != nil {
		return fmt.Errorf("admin socket %s: %w", name, err)
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(name, 0o600); err != nil {
		l.Close()
		return err
	}
	s.control = portal.AdminServer(s.controlRoutes(), s.log)
	s.serve("admin socket", func() error {
		defer os.Remove(name)
		return s.control.Serve(l)
	})
	return nil
}

func viaFolder(dir *os.File) string {
	return filepath.Join("/proc/self/fd", strconv.Itoa(int(dir.Fd())), controlFile)
}

type accountBody struct {
	Credentials []store.Credential `json:"credentials,omitempty"`
	Disabled    bool               `json:"disabled,omitempty"`
}

func (s *server) controlRoutes() http.Handler {
	mux := http.NewServeMux()
	// answer runs a change and then, if it is a reason to, ends the account's sessions (hardening HA8).
	change := func(revokes func(accountBody) bool, do func(ctx context.Context, addr string, b accountBody) error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var b accountBody
			if err := json.NewDecoder(io.LimitReader(r.Body, 64<<10)).Decode(&b); err != nil && !errors.Is(err, io.EOF) {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			addr := r.PathValue("addr")
			err := do(r.Context(), addr, b)
			if err == nil && revokes(b) {
				s.clients.Revoke(wire.Addr(addr))
			}
			reply(w, nil, err)
		}
	}
	always := func(accountBody) bool { return true }
	never := func(accountBody) bool { return false }
	mux.HandleFunc("POST /accounts/{addr}", change(never, func(ctx context.Context, addr string, b accountBody) error {
		return s.store.CreateAccount(ctx, store.Account{Addr: addr, Created: time.Now(), Credentials: b.Credentials})
	}))
	mux.HandleFunc("PUT /accounts/{addr}/credentials", change(always, func(ctx context.Context, addr string, b accountBody) error {
		return s.store.SetCredentials(ctx, addr, b.Credentials)
	}))
	mux.HandleFunc("PUT /accounts/{addr}/disabled", change(func(b accountBody) bool { return b.Disabled }, func(ctx context.Context, addr string, b accountBody) error {
		return s.store.DisableAccount(ctx, addr, b.Disabled)
	}))
	mux.HandleFunc("DELETE /accounts/{addr}", change(always, func(ctx context.Context, addr string, _ accountBody) error {
		return s.store.DeleteAccount(ctx, addr)
	}))
	mux.HandleFunc("GET /accounts", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.FormValue("limit"))
		list, err := s.store.ListAccounts(r.Context(), r.FormValue("after"), min(max(n, 1), 1000))
		reply(w, list, err)
	})
	s.controlApps(mux)
	s.controlReports(mux)
	s.controlDrain(mux)
	mux.HandleFunc("POST /federation/ping", func(w http.ResponseWriter, r *http.Request) {
		reply(w, nil, s.pingServer(r.Context(), r.FormValue("from"), r.FormValue("to")))
	})
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.details(), nil) })
	return mux
}

// statuses carry the errors that callers branch on.
var statuses = map[int]error{http.StatusNotFound: store.ErrNotFound, http.StatusConflict: store.ErrExists, http.StatusUnprocessableEntity: store.ErrInvalid, http.StatusInsufficientStorage: store.ErrQuota, http.StatusLocked: errEnding}

func reply(w http.ResponseWriter, v any, err error) {
	if err == nil {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(v)
		return
	}
	for status, e := range statuses {
		if errors.Is(err, e) {
			http.Error(w, err.Error(), status)
			return
		}
	}
	http.Error(w, err.Error(), http.StatusInternalServerError)
}

// remoteAccounts are the accounts of a server that runs.
type remoteAccounts struct{ http *http.Client }

// dialControl connects to the server of a data directory; an error says that none runs there.
func dialControl(data string) (*remoteAccounts, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		dir, err := os.Open(data)
		if err != nil {
			return nil, err
		}
		defer dir.Close()
		var d net.Dialer
		return d.DialContext(ctx, "unix", viaFolder(dir))
	}
	c, err := dial(context.Background(), "", "")
	if err != nil {
		return nil, err
	}
	c.Close()
	return &remoteAccounts{&http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}, nil
}

func (a *remoteAccounts) do(ctx context.Context, method, path string, body, result any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://parley"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	res, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode == http.StatusOK {
		if result != nil {
			return json.Unmarshal(answer, result)
		}
		return nil
	}
	if e := statuses[res.StatusCode]; e != nil {
		return e
	}
	return fmt.Errorf("the server says: %s", answer)
}

func at(addr string) string { return "/accounts/" + url.PathEscape(addr) }

func (a *remoteAccounts) CreateAccount(ctx context.Context, acc store.Account) error {
	return a.do(ctx, http.MethodPost, at(acc.Addr), accountBody{Credentials: acc.Credentials}, nil)
}

func (a *remoteAccounts) SetCredentials(ctx context.Context, addr string, c []store.Credential) error {
	return a.do(ctx, http.MethodPut, at(addr)+"/credentials", accountBody{Credentials: c}, nil)
}

func (a *remoteAccounts) DisableAccount(ctx context.Context, addr string, disabled bool) error {
	return a.do(ctx, http.MethodPut, at(addr)+"/disabled", accountBody{Disabled: disabled}, nil)
}

func (a *remoteAccounts) DeleteAccount(ctx context.Context, addr string) error {
	return a.do(ctx, http.MethodDelete, at(addr), accountBody{}, nil)
}

func (a *remoteAccounts) ListAccounts(ctx context.Context, after string, limit int) (list []store.Account, err error) {
	err = a.do(ctx, http.MethodGet, "/accounts?"+url.Values{"after": {after}, "limit": {strconv.Itoa(limit)}}.Encode(), nil, &list)
	return list, err
}
