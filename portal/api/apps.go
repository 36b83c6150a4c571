package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"parley/internal/app"
	"parley/internal/opaque"
	"parley/internal/store"
)

// AppBody is what an application is. Types that are embedded are exported: the library reads no others.
type AppBody struct {
	Name    string   `json:"name" minLength:"1" maxLength:"64" doc:"Letters, digits, points, dashes and underscores." example:"shop"`
	Scopes  []string `json:"scopes" maxItems:"20" nullable:"false" doc:"What it may do."`
	Domains []string `json:"domains,omitempty" maxItems:"50" nullable:"false" doc:"Domains whose pages may use its keys, sub-domains with them; localhost only if it is here."`
	Rate    float64  `json:"rate,omitempty" minimum:"0" maximum:"1000000" doc:"Requests a second; 0: as the configuration says."`
	Burst   float64  `json:"burst,omitempty" minimum:"0" maximum:"1000000" doc:"Requests at once, with rate."`
}

type newApp struct{ Body AppBody }

func (in *newApp) about() string { return in.Body.Name }

type appView struct {
	AppBody
	Created time.Time `json:"created"`
	Keys    []KeyView `json:"keys,omitempty" nullable:"false" doc:"Keys without their secrets."`
}

// KeyView is a key without its secret.
type KeyView struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
}

type keyBody struct {
	KeyView
	Key string `json:"key" doc:"The key. It is shown this once."`
}

type (
	appOutput  struct{ Body appView }
	appsOutput struct{ Body []appView }
	keyOutput  struct{ Body keyBody }
	// AppPath names an application.
	AppPath struct {
		App string `path:"app" maxLength:"64" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]*$" doc:"Name of the application."`
	}
	keyPath struct {
		AppPath
		Key string `path:"key" pattern:"^[A-Z2-7]{26}$" doc:"Id of the key."`
	}
	page struct {
		After string `query:"after" maxLength:"1023" doc:"Begin behind this one, the last of the list before."`
		Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many, at most."`
	}
)

func (in *AppPath) about() string { return in.App }
func (in *keyPath) about() string { return in.App + " " + in.Key }

func (a *API) addApps() {
	tags := []string{"applications"}
	operation(a, app.Admin, huma.Operation{OperationID: "list-applications", Method: http.MethodGet, Path: "/apps", Tags: tags, Summary: "List applications"}, a.apps)
	operation(a, app.Admin, huma.Operation{
		OperationID: "add-application", Method: http.MethodPost, Path: "/apps", Tags: tags, Summary: "Add an application", DefaultStatus: http.StatusCreated, Errors: []int{409},
		Description: "It has no key yet.",
	}, func(ctx context.Context, in *newApp) (*appOutput, error) {
		b := in.Body
		made := store.App{Name: b.Name, Scopes: b.Scopes, Domains: b.Domains, Rate: b.Rate, Burst: b.Burst, Created: time.Now()}
		if err := app.Check(&made); err != nil {
			return nil, invalid(err.Error())
		}
		if err := a.parts.Store.AddApp(ctx, made); err != nil {
			return nil, err
		}
		return &appOutput{viewOf(made, nil)}, nil
	})
	operation(a, app.Admin, huma.Operation{
		OperationID: "get-application", Method: http.MethodGet, Path: "/apps/{app}", Tags: tags, Summary: "Show an application and its keys", Errors: []int{404},
	}, func(ctx context.Context, in *AppPath) (*appOutput, error) {
		found, err := a.parts.Store.App(ctx, in.App)
		if err != nil {
			return nil, err
		}
		keys, err := a.parts.Store.AppKeys(ctx, in.App)
		if err != nil {
			return nil, err
		}
		return &appOutput{viewOf(found, keys)}, nil
	})
	operation(a, app.Admin, huma.Operation{
		OperationID: "remove-application", Method: http.MethodDelete, Path: "/apps/{app}", Tags: tags, Summary: "Remove an application and its keys", DefaultStatus: 204, Errors: []int{404},
	}, func(ctx context.Context, in *AppPath) (*struct{}, error) {
		return nil, a.parts.Store.RemoveApp(ctx, in.App)
	})
	operation(a, app.Admin, huma.Operation{
		OperationID: "add-key", Method: http.MethodPost, Path: "/apps/{app}/keys", Tags: tags, Summary: "Make a key", DefaultStatus: http.StatusCreated, Errors: []int{404, 409},
		Description: "An application has at most five, so that one can be replaced without a gap.",
	}, func(ctx context.Context, in *AppPath) (*keyOutput, error) {
		key, stored := NewKey(in.App, time.Now())
		if err := a.parts.Store.AddAppKey(ctx, stored, app.MostKeys); err != nil {
			return nil, err
		}
		return &keyOutput{keyBody{KeyView{stored.ID, stored.Created}, key}}, nil
	})
	operation(a, app.Admin, huma.Operation{
		OperationID: "remove-key", Method: http.MethodDelete, Path: "/apps/{app}/keys/{key}", Tags: tags, Summary: "Remove a key", DefaultStatus: 204, Errors: []int{404},
		Description: "It is refused from the next request on.",
	}, func(ctx context.Context, in *keyPath) (*struct{}, error) {
		return nil, a.parts.Store.RemoveAppKey(ctx, in.App, in.Key)
	})
}

// NewKey returns a new key of an application, and what is kept of it.
func NewKey(application string, now time.Time) (key string, stored store.AppKey) {
	stored = store.AppKey{ID: opaque.NewID(), App: application, Created: now.UTC().Truncate(time.Millisecond)}
	key, stored.Digest = opaque.New(opaque.AppKey, stored.ID)
	return key, stored
}

func (a *API) apps(ctx context.Context, in *page) (*appsOutput, error) {
	list, err := a.parts.Store.ListApps(ctx, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &appsOutput{[]appView{}}
	for _, found := range list {
		out.Body = append(out.Body, viewOf(found, nil))
	}
	return out, nil
}

func viewOf(a store.App, keys []store.AppKey) appView {
	v := appView{AppBody: AppBody{Name: a.Name, Scopes: append([]string{}, a.Scopes...), Domains: a.Domains, Rate: a.Rate, Burst: a.Burst}, Created: a.Created}
	for _, k := range keys {
		v.Keys = append(v.Keys, KeyView{k.ID, k.Created})
	}
	return v
}
