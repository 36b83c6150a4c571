package focus

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/bridge/api"
	"parley/xmpp/wire"
)

// Who takes part in the call is told when it changes, and only then; who only chats does not.
func TestAttendanceIsTold(t *testing.T) {
	w := newWorld(t, true)
	var mu sync.Mutex
	var told []Attendance
	denied := make(map[string]int)
	w.focus.Attend(func(a Attendance) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, a)
	}, func(room wire.Addr, cause string) {
		mu.Lock()
		defer mu.Unlock()
		denied[string(room)+" "+cause]++
	})
	expect := func(want string) {
		t.Helper()
		got := ""
		for end := time.Now().Add(30 * time.Second); got != want; time.Sleep(time.Millisecond) {
			mu.Lock()
			var list []string
			for i, a := range told {
				who := a.Gate.String()
				for _, one := range a.Attendees {
					if one.Addr == "" || one.Joined.IsZero() || one.Endpoints[0] != one.Nick || one.Calls {
						t.Errorf("%+v", one)
					}
					who += " " + one.Nick[:1]
				}
				if a.Room != room || a.Meeting != told[0].Meeting || i > 0 && list[i-1] == who {
					t.Errorf("%+v", a)
				}
				list = append(list, who)
			}
			mu.Unlock()
			if got = strings.Join(list, ", "); time.Now().After(end) {
				t.Fatalf("told: %s, want %s", got, want)
			}
		}
	}
	ann, bob, carl, dan := w.person("ann"), w.person("bob"), w.person("carl"), w.person("dan")
	for _, p := range []*person{ann, bob, carl} {
		p.request()
	}
	ann.join("aaaaaaaa")
	expect("closed a")
	bob.join("bbbbbbbb")
	dan.send("<presence to='" + room + "/dan'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	dan.expect("code='110'")
	expect("closed a, p2p a b")
	w.calls.restart("b2") // things happen, and nobody comes or goes
	carl.join("cccccccc")
	expect("closed a, p2p a b, sfu a b c")
	carl.send("<presence to='" + room + "/cccccccc' type='unavailable'/>")
	w.rooms.Gone(bob.addr)
	expect("closed a, p2p a b, sfu a b c, p2p a b, closed a")
	w.rooms.Gone(dan.addr)
	w.rooms.Gone(ann.addr)
	expect("closed a, p2p a b, sfu a b c, p2p a b, closed a, closed")
	if len(denied) != 0 {
		t.Errorf("denied: %v", denied)
	}
}

// What an attendee sends is part of the attendance, also when it says so later.
func TestAttendanceSaysWhatIsSent(t *testing.T) {
	p := newPlay(t)
	p.join("aaaaaaaa", modern)
	p.join("bbbbbbbb", modern)
	kinds := func() string {
		p.c.out = nil
		p.c.attending()
		s := ""
		for _, e := range p.c.out {
			if a, ok := e.(attended); ok {
				for _, one := range a.now.Attendees {
					s += fmt.Sprintf("%s %t %t ", one.Nick[:1], one.Audio, one.Video)
				}
			}
		}
		return s
	}
	if got := kinds(); got != "a false false b false false " {
		t.Error(got)
	}
	p.c.members[0].wish = []api.Source{{Name: "aaaaaaaa-a0", Kind: api.Audio}}
	if got := kinds(); got != "a true false b false false " {
		t.Error(got)
	}
	p.c.members[0].wish = append(p.c.members[0].wish, api.Source{Name: "aaaaaaaa-v0", Kind: api.Video})
	if got := kinds(); got != "a true true b false false " {
		t.Error(got)
	}
	if got := kinds(); got != "" {
		t.Error("told twice: " + got)
	}
}
