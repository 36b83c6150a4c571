package api

import (
	"net/http"
	"testing"
)

// Whoever runs the server sees who is in a room, throws one out and ends it; the tokens of those who were in it end too.
func TestRoomsAreRunByTheAPI(t *testing.T) {
	w := start(t, "tokens:issue", "rooms:read", "rooms:write")
	ann, bobs := w.token(t, `"room":"standup","moderator":true`), w.token(t, `"room":"standup"`)
	owner := w.enter(t, ann, "ann")
	unlock(owner)
	bob := w.enter(t, bobs, "bob")
	status, got := call(t, w.Parley, "GET", "/rooms/standup", w.key, "")
	list, _ := got["list"].([]any)
	if status != http.StatusOK || got["members"] != 2.0 || got["gate"] != "none" || len(list) != 2 {
		t.Fatal(status, got)
	}
	if m, _ := list[1].(map[string]any); m["nick"] != "bob" || m["door"] != "xmpp" || m["guest"] != true || m["address"] != bob.JID {
		t.Errorf("%v", m)
	}
	if status, got := call(t, w.Parley, "POST", "/rooms/standup/expel", w.key, `{"nick":"bob","reason":"late"}`); status != http.StatusNoContent {
		t.Fatal(status, got)
	}
	bob.Await("<presence", "code='307'", "late")
	_, answer := w.guest(t, bobs)
	refusedWith(t, "who was thrown out", answer, "token.replay")
	if status, got := call(t, w.Parley, "POST", "/rooms/standup/end", w.key, `{"reason":"over"}`); status != http.StatusNoContent {
		t.Fatal(status, got)
	}
	owner.Await("<presence", "<destroy", "over")
	if status, got := call(t, w.Parley, "GET", "/rooms/standup", w.key, ""); status != http.StatusNotFound {
		t.Error(status, got)
	}
	_, answer = w.guest(t, ann)
	refusedWith(t, "who was in it", answer, "token.replay")
}
