package api

import (
	"context"
	"errors"
	"strings"
	"testing"

	"parley/internal/app"
	"parley/xmpp/wire"
)

// media are those of bob, wherever he is.
func (h *house) media(_ context.Context, room wire.Addr) (map[wire.Addr]Media, error) {
	if room.Local() == "bridgeless" {
		return nil, errors.New("there is no bridge")
	}
	return map[wire.Addr]Media{"bob@x/1": {In: Flow{1000, 10, 1}, Out: Flow{5000, 40, 0}, Rate: 2_000_000, RTT: 30_000, Trouble: "uplink"}, "eve@x/1": {}}, nil
}

func TestMediaOfThoseInARoom(t *testing.T) {
	w := newWorld(t, nil)
	w.house.open("d", "ann", "bob")
	w.house.open("bridgeless", "ann")
	reads := w.key("reads", app.ReadRooms)
	a := w.want(200, "", "GET", "/rooms/d/media", reads, "")
	list, _ := a.body["members"].([]any)
	if len(list) != 1 || a.body["at"] == nil {
		t.Fatalf("%s", a.text)
	}
	bob, _ := list[0].(map[string]any)
	in, _ := bob["in"].(map[string]any)
	if bob["nick"] != "bob" || bob["rate"] != 2e6 || bob["rtt"] != 3e4 || bob["trouble"] != "uplink" || in["bytes"] != 1000.0 || in["packets"] != 10.0 || in["lost"] != 1.0 {
		t.Errorf("%v", bob)
	}
	w.want(404, "not-found", "GET", "/rooms/nobody/media", reads, "")
	w.want(503, "store", "GET", "/rooms/bridgeless/media", reads, "")
	if n := w.count("api.bridge"); n != 1 {
		t.Errorf("the bridge was away %v times", n)
	}
}

func TestHealthIsToldWhereTheServerIsNotReady(t *testing.T) {
	w := newWorld(t, nil)
	admin := w.key("admins", app.Admin)
	a := w.want(200, "", "GET", "/health", admin, "")
	if a.body["ready"] != false || a.body["reason"] != "the store cannot be written" || !strings.Contains(a.text, `"rooms":{"open":3}`) {
		t.Errorf("%s", a.text)
	}
}
