package api

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"parley/portal/hook"
)

func TestWebhooksOfApplications(t *testing.T) {
	w := newWorld(t, nil)
	w.key("shop")
	w.key("other")
	admin, _ := w.login("ann")
	made := w.want(201, "", "POST", "/apps/shop/hooks", admin, `{"url":"https://shop.example/x","events":["room.created","call.ended"]}`)
	id, _ := made.body["id"].(string)
	secret, _ := made.body["secret"].(string)
	if len(id) != 26 || !strings.HasPrefix(secret, "whsec_") {
		t.Fatal(made.text)
	}
	list := w.want(200, "", "GET", "/apps/shop/hooks", admin, "")
	var views []map[string]any
	if err := json.Unmarshal([]byte(list.text), &views); err != nil || len(views) != 1 || views[0]["id"] != id || views[0]["url"] != "https://shop.example/x" || strings.Contains(list.text, "whsec") || views[0]["secret"] != nil {
		t.Errorf("%s", list.text)
	}
	for _, body := range []string{
		`{"url":"http://shop.example/","events":["room.created"]}`, `{"url":"https://127.0.0.1/","events":["room.created"]}`, `{"url":"https://shop.example/","events":[]}`,
		`{"url":"https://shop.example/","events":["ping"]}`, `{"url":"https://shop.example/","events":["room.created","room.created"]}`, `{"events":["room.created"]}`,
	} {
		w.want(422, "invalid", "POST", "/apps/shop/hooks", admin, body)
	}
	w.want(404, "not-found", "GET", "/apps/nobody/hooks", admin, "")
	w.want(404, "not-found", "POST", "/apps/nobody/hooks", admin, `{"url":"https://shop.example/","events":["room.created"]}`)
	w.want(404, "not-found", "POST", "/apps/other/hooks/"+id+"/ping", admin, "")
	w.want(404, "not-found", "DELETE", "/apps/other/hooks/"+id, admin, "")
	w.want(204, "", "POST", "/apps/shop/hooks/"+id+"/ping", admin, "")
	if err := w.parts.Hooks.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if hooks, err := w.store.ListHooks(context.Background(), "shop"); err != nil || hooks[0].Waiting != 1 {
		t.Errorf("%+v %v", hooks, err)
	}
	for range hook.MostHooks - 1 {
		w.want(201, "", "POST", "/apps/shop/hooks", admin, `{"url":"https://shop.example/","events":["room.created"]}`)
	}
	w.want(409, "full", "POST", "/apps/shop/hooks", admin, `{"url":"https://shop.example/","events":["room.created"]}`)
	w.want(204, "", "DELETE", "/apps/shop/hooks/"+id, admin, "")
	w.want(404, "not-found", "DELETE", "/apps/shop/hooks/"+id, admin, "")
}
