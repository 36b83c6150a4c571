package muc

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestAPanicEndsOneRoomOnly(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo, juliet := w.client("romeo@x/1"), w.client("juliet@x/1")
		romeo.join("r", "romeo")
		juliet.join("other", "juliet")
		w.s.post("r@muc.x", &input{do: func(*room, *input, *effects) { panic("a fault of ours") }, fail: func(*refusal) {}})
		w.settle()
		romeo.want("type='unavailable'", "from='r@muc.x/romeo'", "code='333'")
		if w.count("panic") != 1 || w.s.index.in("romeo@x/1", "r@muc.x") {
			t.Error("it was not counted, or romeo is still in the index")
		}
		juliet.send("<message to='other@muc.x' type='groupchat'><body>Hi</body></message>")
		juliet.want("<body>Hi</body>")
		romeo.join("r", "romeo")
		if got := w.s.Stats(); got != (Stats{2, 2}) {
			t.Errorf("stats %+v", got)
		}
	})
}

func TestTheMailboxIsBounded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo := w.client("romeo@x/1")
		romeo.join("r", "romeo")
		hold := make(chan struct{})
		w.s.post("r@muc.x", &input{do: func(*room, *input, *effects) { <-hold }, fail: func(*refusal) {}})
		w.settle()
		for i := range 20 {
			romeo.post("<message to='r@muc.x' type='groupchat' id='%d'><body>Hi</body></message>", i)
		}
		refused := 0
		for _, raw := range romeo.take() {
			if holds(raw, refusedWith("wait", "resource-constraint")) {
				refused++
			}
		}
		if refused != 10 || romeo.holds() != 10 {
			t.Errorf("%d were refused, %d are held", refused, romeo.holds())
		}
		close(hold)
		w.settle()
		if romeo.holds() != 0 || len(romeo.take()) != 10 {
			t.Error("the others were not handled")
		}
	}, func(c *Config) { c.Limits.Mailbox = 10 })
}

func TestASessionIsInAFewRoomsAndMakesAFew(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo, other := w.client("romeo@x/1"), w.client("romeo@x/2")
		for i := range 3 {
			romeo.join(fmt.Sprintf("r%d", i), "romeo")
		}
		romeo.send("<presence to='r3@muc.x/romeo'>%s</presence>", join)
		romeo.want("too many rooms", "resource-constraint")
		other.send("<presence to='r3@muc.x/romeo'>%s</presence>", join)
		other.want("created too many rooms", "resource-constraint")
		romeo.send("<presence to='r0@muc.x/romeo' type='unavailable'/>")
		romeo.join("r3", "romeo")
	}, func(c *Config) { c.Limits.Joined, c.Limits.Created = 3, 3 })
}

func TestAConferenceThatNobodyComesToEnds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ann := w.client("ann@guest.x/1")
		m := w.meet(ann, FirstOwns)
		w.pass(50 * time.Second)
		if again := w.meet(ann, FirstOwns); again.Born || again.ID != m.ID {
			t.Errorf("another request brings %+v", again)
		}
		w.pass(50 * time.Second)
		if got := w.s.Stats(); got.Rooms != 1 {
			t.Error("the room does not wait for who asked last")
		}
		w.pass(2 * time.Minute)
		if got := w.s.Stats(); got.Rooms != 0 {
			t.Error("the room is still there")
		}
		if _, ok := w.last(t).(RoomDestroyed); !ok {
			t.Errorf("the last event is %#v", w.last(t))
		}
		m.Seat.Say([]byte("<body>anybody?</body>")) // is lost, and harms nothing
		w.settle()
	})
}

func TestRoomInfoForConferences(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ann := w.client("ann@guest.x/1")
		m := w.meet(ann, FirstOwns)
		ann.join("r", "0f3a9c1e")
		m.Seat.SetInfo(Field{"muc#roominfo_lobbyroom", "r@lobby.x"})
		w.settle()
		ann.want("<message", "from='r@muc.x'", "code='104'")
		ann.send("<iq to='r@muc.x' type='get' id='1'><query xmlns='" + NSDiscoInfo + "'/></iq>")
		ann.want("<field var='muc#roominfo_meetingId' type='text-single'><value>"+m.ID, "muc#roominfo_created_timestamp",
			"<value>r@lobby.x</value>", "muc#roominfo_occupants' type='text-single' label='Number of occupants'><value>1<")
		ann.send("<iq to='r@muc.x' type='get' id='2'><query xmlns='" + NSOwner + "'/></iq>")
		ann.want(cfgSecret, cfgProtected, cfgMembers, cfgWhois, fieldMeeting, m.ID)
		ann.configure("r", cfgWhois, "anyone")
		ben := w.client("ben@guest.x/1")
		w.meet(ben, FirstOwns)
		ben.send("<presence to='r@muc.x/11111111'>%s</presence>", join)
		// A full address, and not the real one.
		if got := ben.want("from='r@muc.x/0f3a9c1e'", "@muc.x/0f3a9c1e'/>"); strings.Contains(got, "ann@guest.x") {
			t.Error(got)
		}
		ben.join("r2", "ben")
	})
}

func TestRequestsWithoutWhatTheyNeed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo := w.client("romeo@x/1")
		romeo.join("r", "romeo")
		for _, request := range []string{
			"<iq to='r@muc.x' type='get' id='1'><query xmlns='" + NSAdmin + "'/></iq>",
			"<iq to='r@muc.x' type='get' id='1'><query xmlns='" + NSAdmin + "'><item/></query></iq>",
			"<iq to='r@muc.x' type='set' id='1'><query xmlns='" + NSAdmin + "'/></iq>",
			"<iq to='r@muc.x' type='set' id='1'><query xmlns='" + NSAdmin + "'><item affiliation='owner' role='none' nick='romeo'/></query></iq>",
			"<iq to='r@muc.x' type='set' id='1'><query xmlns='" + NSOwner + "'/></iq>",
			"<iq to='r@muc.x' type='set' id='1'><query xmlns='" + NSOwner + "'><x xmlns='" + NSData + "'/></query></iq>",
			"<iq to='r@muc.x' type='set' id='1'><query xmlns='" + NSRegister + "'/></iq>",
			"<message to='r@muc.x' id='1'><x xmlns='" + NSData + "'/></message>",
			"<message to='r@muc.x' id='1'><body>to whom?</body></message>",
		} {
			romeo.send("%s", request)
			if got := romeo.take(); len(got) != 1 || !holds(got[0], refusedWith("modify", "bad-request")) {
				t.Errorf("%s\nis answered %q", request, got)
			}
		}
		if w.count("panic") != 0 {
			t.Error("there was a panic")
		}
	})
}

func TestTheHistoryIsBoundedInBytes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		romeo, juliet := w.client("romeo@x/1"), w.client("juliet@x/1")
		romeo.join("r", "romeo")
		for i := range 10 {
			romeo.send("<message to='r@muc.x' type='groupchat' id='%d'><body>%s</body></message>", i, strings.Repeat("x", 100<<10))
		}
		juliet.send("<presence to='r@muc.x/juliet'>%s</presence>", join)
		n := 0
		for _, raw := range juliet.take() {
			if strings.Contains(raw, "<delay") {
				n++
			}
		}
		if n != 5 {
			t.Errorf("juliet is given %d messages of 100 KiB", n)
		}
	})
}
