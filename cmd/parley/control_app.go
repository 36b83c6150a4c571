package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"parley/internal/app"
	"parley/internal/store"
)

// controlApps offers what commands need of store.Apps behind the admin socket.
func (s *server) controlApps(mux *http.ServeMux) {
	read := func(w http.ResponseWriter, r *http.Request, v any) bool {
		err := json.NewDecoder(io.LimitReader(r.Body, 64<<10)).Decode(v)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
		return err == nil
	}
	mux.HandleFunc("GET /apps", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.FormValue("limit"))
		list, err := s.store.ListApps(r.Context(), r.FormValue("after"), min(max(n, 1), 1000))
		reply(w, list, err)
	})
	mux.HandleFunc("POST /apps", func(w http.ResponseWriter, r *http.Request) {
		if a := (store.App{}); read(w, r, &a) {
			if err := app.Check(&a); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			reply(w, nil, s.store.AddApp(r.Context(), a))
		}
	})
	mux.HandleFunc("GET /apps/{app}", func(w http.ResponseWriter, r *http.Request) {
		a, err := s.store.App(r.Context(), r.PathValue("app"))
		reply(w, a, err)
	})
	mux.HandleFunc("DELETE /apps/{app}", func(w http.ResponseWriter, r *http.Request) {
		reply(w, nil, s.store.RemoveApp(r.Context(), r.PathValue("app")))
	})
	mux.HandleFunc("GET /apps/{app}/keys", func(w http.ResponseWriter, r *http.Request) {
		list, err := s.store.AppKeys(r.Context(), r.PathValue("app"))
		reply(w, list, err)
	})
	mux.HandleFunc("POST /apps/{app}/keys", func(w http.ResponseWriter, r *http.Request) {
		if k := (store.AppKey{}); read(w, r, &k) {
			k.App = r.PathValue("app")
			reply(w, nil, s.store.AddAppKey(r.Context(), k, app.MostKeys))
		}
	})
	mux.HandleFunc("DELETE /apps/{app}/keys/{key}", func(w http.ResponseWriter, r *http.Request) {
		reply(w, nil, s.store.RemoveAppKey(r.Context(), r.PathValue("app"), r.PathValue("key")))
	})
}

func atApp(name string) string { return "/apps/" + url.PathEscape(name) }

// App implements holder, as the others below do.
func (a *remoteAccounts) App(ctx context.Context, name string) (found store.App, err error) {
	err = a.do(ctx, http.MethodGet, atApp(name), nil, &found)
	return found, err
}

func (a *remoteAccounts) AddApp(ctx context.Context, new store.App) error {
	return a.do(ctx, http.MethodPost, "/apps", new, nil)
}

func (a *remoteAccounts) RemoveApp(ctx context.Context, name string) error {
	return a.do(ctx, http.MethodDelete, atApp(name), nil, nil)
}

func (a *remoteAccounts) ListApps(ctx context.Context, after string, limit int) (list []store.App, err error) {
	err = a.do(ctx, http.MethodGet, "/apps?"+url.Values{"after": {after}, "limit": {strconv.Itoa(limit)}}.Encode(), nil, &list)
	return list, err
}

// AddAppKey adds a key. Most is the server's matter.
func (a *remoteAccounts) AddAppKey(ctx context.Context, k store.AppKey, most int) error {
	return a.do(ctx, http.MethodPost, atApp(k.App)+"/keys", k, nil)
}

func (a *remoteAccounts) RemoveAppKey(ctx context.Context, app, id string) error {
	return a.do(ctx, http.MethodDelete, atApp(app)+"/keys/"+url.PathEscape(id), nil, nil)
}

func (a *remoteAccounts) AppKeys(ctx context.Context, app string) (list []store.AppKey, err error) {
	err = a.do(ctx, http.MethodGet, atApp(app)+"/keys", nil, &list)
	return list, err
}
