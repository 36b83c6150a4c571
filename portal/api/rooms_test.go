package api

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/app"
	"parley/muc"
	"parley/xmpp/wire"
)

// house has rooms, by address.
type house struct {
	mu    sync.Mutex
	rooms map[wire.Addr]muc.View
	said  []string
}

func newHouse() *house { return &house{rooms: make(map[wire.Addr]muc.View)} }

func (h *house) open(name string, nicks ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := muc.View{Room: wire.Addr(name) + "@rooms.example", Created: time.Unix(1e9, 0), Title: "T", Password: true}
	for _, n := range nicks {
		v.Occupants = append(v.Occupants, muc.Occupant{Nick: n, Addr: wire.Addr(n) + "@x/1", Affiliation: muc.Owner, Role: muc.Moderator})
	}
	h.rooms[v.Room] = v
}

func (h *house) InUse(after wire.Addr, limit int) []wire.Addr {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := slices.DeleteFunc(slices.Sorted(maps.Keys(h.rooms)), func(a wire.Addr) bool { return a <= after })
	return list[:min(len(list), limit)]
}

func (h *house) View(_ context.Context, room wire.Addr) (muc.View, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.rooms[room]
	if !ok || room.Local() == "ending" {
		return muc.View{}, muc.ErrNoRoom
	}
	return v, nil
}

func (h *house) Expel(_ context.Context, room wire.Addr, nick, reason string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range h.rooms[room].Occupants {
		if o.Nick == nick {
			h.said = append(h.said, "expel "+nick+" "+reason)
			return nil
		}
	}
	return muc.ErrNoOccupant
}

func (h *house) End(_ context.Context, room wire.Addr, reason string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch _, ok := h.rooms[room]; {
	case room.Local() == "busy":
		return muc.ErrBusy
	case !ok:
		return muc.ErrNoRoom
	}
	delete(h.rooms, room)
	h.said = append(h.said, "end "+reason)
	return nil
}

func TestRoomsAreShownAndEnded(t *testing.T) {
	w := newWorld(t, nil)
	for _, name := range []string{"a", "b", "c", "ending"} {
		w.house.open(name, "ann")
	}
	w.house.open("d", "ann", "bob")
	reads, writes := w.key("reads", app.ReadRooms), w.key("writes", app.WriteRooms)
	names := func(query string) (list string) {
		t.Helper()
		a := w.want(200, "", "GET", "/rooms"+query, reads, "")
		for _, part := range strings.Split(a.text, `{"room":"`)[1:] {
			list += part[:strings.IndexByte(part, '"')] + " "
		}
		return list
	}
	for query, want := range map[string]string{"": "a b c d ", "?limit=2": "a b ", "?after=b": "c d ", "?after=c&limit=2": "d ", "?after=z": "", "?after=" + escape("a@x'"): "b c d "} {
		if got := names(query); got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
	d := w.want(200, "", "GET", "/rooms/d", reads, "")
	list, _ := d.body["list"].([]any)
	if d.body["address"] != "d@rooms.example" || d.body["gate"] != "sfu" || d.body["callers"] != 2.0 || d.body["members"] != 2.0 || d.body["password"] != true || len(list) != 2 {
		t.Fatalf("%s", d.text)
	}
	if bob, _ := list[1].(map[string]any); bob["nick"] != "bob" || bob["door"] != "by bob" || bob["address"] != "bob@x/1" || bob["role"] != "moderator" || bob["affiliation"] != "owner" {
		t.Errorf("%v", bob)
	}
	if a := w.want(200, "", "GET", "/rooms/a", reads, ""); a.body["gate"] != "none" {
		t.Errorf("without a call: %s", a.text)
	}
	for _, name := range []string{"nobody", "d@rooms.example", "d%2Fx", "ending"} {
		w.want(404, "not-found", "GET", "/rooms/"+name, reads, "")
	}
	w.want(404, "not-found", "POST", "/rooms/d/expel", writes, `{"nick":"carl"}`)
	w.want(422, "invalid", "POST", "/rooms/d/expel", writes, `{"nick":"bob","reason":"a\u0000"}`)
	w.want(204, "", "POST", "/rooms/d/expel", writes, `{"nick":"bob","reason":"so"}`)
	w.want(503, "store", "POST", "/rooms/busy/end", writes, `{}`)
	w.want(204, "", "POST", "/rooms/d/end", writes, `{"reason":"over"}`)
	w.want(404, "not-found", "POST", "/rooms/d/end", writes, `{}`)
	if got := strings.Join(w.house.said, ", "); got != "expel bob so, end over" {
		t.Error(got)
	}
}
