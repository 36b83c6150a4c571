package muc

import (
	"context"
	"testing"

	"parley/xmpp/wire"
)

// confer asks for a conference, and returns why there is none.
func (c *client) confer(room string) *wire.Error {
	c.w.t.Helper()
	var fault *wire.Error
	c.w.s.Conference(c, wire.Addr(room+"@muc.x"), FirstOwns, func(_ Meeting, err *wire.Error) { fault = err })
	c.w.settle()
	return fault
}

// A service that drains takes people into rooms in which somebody is, or is awaited, and into no other, whatever they are.
func TestV22ADrainingServiceOpensNoRooms(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo, juliet := w.client("romeo@x/1"), w.client("juliet@guest.x/1")
		romeo.join("kept", "romeo")
		romeo.configure("kept", cfgPersistent, "1")
		romeo.send("<presence type='unavailable' to='kept@muc.x/romeo'/>")
		romeo.join("busy", "romeo")
		if fault := romeo.confer("awaited"); fault != nil {
			t.Fatal(fault)
		}
		opens := func(want map[string]bool) {
			t.Helper()
			for room, open := range want {
				if got := w.s.Opens(context.Background(), wire.Addr(room+"@muc.x")); got != open {
					t.Errorf("%s opens: %v", room, got)
				}
			}
		}
		opens(map[string]bool{"kept": true, "busy": true, "awaited": true, "fresh": true})

		w.s.Drain(true)
		opens(map[string]bool{"kept": false, "busy": true, "awaited": true, "fresh": false})
		juliet.join("busy", "juliet")
		romeo.join("awaited", "romeo")
		for _, room := range []string{"fresh", "kept"} {
			romeo.send("<presence to='%s@muc.x/romeo'><x xmlns='"+NSMUC+"'/></presence>", room)
			romeo.want("type='error'", "from='"+room+"@muc.x/romeo'", " type='wait'>", "service-unavailable", "no new rooms")
			if fault := romeo.confer(room); fault == nil || fault.Type != "wait" || fault.Condition != "service-unavailable" {
				t.Errorf("a conference in %s: %v", room, fault)
			}
		}
		if got := w.count("room.drain"); got != 4 {
			t.Errorf("%d refusals are counted", got)
		}
		romeo.send("<presence type='unavailable' to='busy@muc.x/romeo'/>")
		juliet.send("<presence type='unavailable' to='busy@muc.x/juliet'/>")
		opens(map[string]bool{"busy": false})

		w.s.Drain(false)
		romeo.join("fresh", "romeo")
		romeo.join("kept", "romeo")
	})
}
