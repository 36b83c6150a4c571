package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"parley/internal/app"
	"parley/internal/opaque"
	"parley/internal/store"
	"parley/portal/hook"
)

// HookView is a webhook without its secret.
type HookView struct {
	ID      string    `json:"id"`
	URL     string    `json:"url" doc:"Where messages are posted."`
	Events  []string  `json:"events" doc:"What is told."`
	Created time.Time `json:"created"`
	Waiting int       `json:"waiting" doc:"Messages that are not delivered yet."`
}

type hookBody struct {
	HookView
	Secret string `json:"secret" doc:"Signs the messages, as Standard Webhooks says. It is shown this once."`
}

type (
	newHook struct {
		AppPath
		Body struct {
			URL    string   `json:"url" minLength:"1" maxLength:"2048" doc:"Where messages are posted: https." example:"https://shop.example/parley"`
			Events []string `json:"events" minItems:"1" maxItems:"20" nullable:"false" doc:"What is to be told." example:"[\"call.ended\"]"`
		}
	}
	hookPath struct {
		AppPath
		Hook string `path:"hook" pattern:"^[A-Z2-7]{26}$" doc:"Id of the webhook."`
	}
	hooksOutput struct{ Body []HookView }
	hookOutput  struct{ Body hookBody }
)

func (in *newHook) about() string  { return in.App }
func (in *hookPath) about() string { return in.App + " " + in.Hook }

func (a *API) addHooks() {
	if a.parts.Hooks == nil {
		return
	}
	tags := []string{"webhooks"}
	operation(a, app.Admin, huma.Operation{
		OperationID: "list-webhooks", Method: http.MethodGet, Path: "/apps/{app}/hooks", Tags: tags, Summary: "List the webhooks of an application", Errors: []int{404},
	}, func(ctx context.Context, in *AppPath) (*hooksOutput, error) {
		if _, err := a.parts.Store.App(ctx, in.App); err != nil {
			return nil, err
		}
		list, err := a.parts.Store.ListHooks(ctx, in.App)
		if err != nil {
			return nil, err
		}
		out := &hooksOutput{[]HookView{}}
		for _, h := range list {
			out.Body = append(out.Body, viewOfHook(h))
		}
		return out, nil
	})
	operation(a, app.Admin, huma.Operation{
		OperationID: "add-webhook", Method: http.MethodPost, Path: "/apps/{app}/hooks", Tags: tags, Summary: "Have an application told of what happens", DefaultStatus: http.StatusCreated, Errors: []int{404, 409},
		Description: "Events are " + strings.Join(hook.Types, ", ") + ". Each is posted as JSON with type, timestamp and data, at least once and until the answer is 2xx, with the headers Webhook-Id, " +
			"Webhook-Timestamp and Webhook-Signature of Standard Webhooks 1.0.0.",
	}, a.addHook)
	operation(a, app.Admin, huma.Operation{
		OperationID: "remove-webhook", Method: http.MethodDelete, Path: "/apps/{app}/hooks/{hook}", Tags: tags, Summary: "Remove a webhook, and what waits for it", DefaultStatus: 204, Errors: []int{404},
	}, func(ctx context.Context, in *hookPath) (*struct{}, error) {
		err := a.parts.Store.RemoveHook(ctx, in.App, in.Hook)
		if err == nil {
			a.parts.Hooks.Changed(ctx)
		}
		return nil, err
	})
	operation(a, app.Admin, huma.Operation{
		OperationID: "ping-webhook", Method: http.MethodPost, Path: "/apps/{app}/hooks/{hook}/ping", Tags: tags, Summary: "Send a message of the type ping", DefaultStatus: 204, Errors: []int{404},
	}, func(ctx context.Context, in *hookPath) (*struct{}, error) {
		list, err := a.parts.Store.ListHooks(ctx, in.App)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(list, func(h store.Hook) bool { return h.ID == in.Hook })
		if i < 0 {
			return nil, notFound
		}
		a.parts.Hooks.Ping(list[i])
		return nil, nil
	})
}

func (a *API) addHook(ctx context.Context, in *newHook) (*hookOutput, error) {
	if err := a.parts.Hooks.CheckURL(in.Body.URL); err != nil {
		return nil, invalid(err.Error())
	}
	for i, e := range in.Body.Events {
		if !slices.Contains(hook.Types, e) || slices.Contains(in.Body.Events[:i], e) {
			return nil, invalid("events are, each at most once, " + strings.Join(hook.Types, ", "))
		}
	}
	secret, text := hook.NewSecret()
	made := store.Hook{ID: opaque.NewID(), App: in.App, URL: in.Body.URL, Events: in.Body.Events, Secret: secret, Created: time.Now().UTC().Truncate(time.Millisecond)}
	if err := a.parts.Store.AddHook(ctx, made, hook.MostHooks); err != nil {
		return nil, err
	}
	a.parts.Hooks.Changed(ctx)
	return &hookOutput{hookBody{viewOfHook(made), text}}, nil
}

func viewOfHook(h store.Hook) HookView {
	return HookView{ID: h.ID, URL: h.URL, Events: append([]string{}, h.Events...), Created: h.Created, Waiting: h.Waiting}
}
