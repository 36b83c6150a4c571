package kill

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/peertest"
)

// deaths is how often the server of a test is killed.
func deaths() int {
	if os.Getenv("PARLEY_FULL") != "" {
		return 20
	}
	return 3
}

// The rooms of the test: a temporary one, which only the journal has, and a persistent one.
const (
	tent  = "tent@muc.localhost"
	house = "house@muc.localhost"
)

const (
	lines  = 150 // that each says in each room in a round
	unsaid = 12  // lines that are on their way at once
)

// tenant is somebody who talks in both rooms. What each of the others says comes in order, each once.
type tenant struct {
	*dweller
	nick    string
	inside  map[string]bool // rooms that were entered
	settled bool            // nothing more is to be heard of anybody
	sent    map[string]int  // by room
	heard   map[string]int  // by occupant address
	gone    map[string]int  // by occupant address: unavailable presence
	about   map[string]string
	answers map[string]string // by id
	present map[string]string // by occupant address: affiliation and role
}

func newTenant(t testing.TB, at *home, d door, name string) *tenant {
	v := &tenant{dweller: newDweller(t, at, d, name), nick: name, inside: make(map[string]bool), sent: make(map[string]int), heard: make(map[string]int),
		gone: make(map[string]int), about: make(map[string]string), answers: make(map[string]string), present: make(map[string]string)}
	v.on = v.take
	return v
}

func (v *tenant) take(e string) {
	start := startTag(e)
	from := peertest.Attr(start, "from")
	room, _, _ := strings.Cut(from, "/")
	switch {
	case strings.Contains(start, "type='error'"):
		v.t.Errorf("%s: %s", v.jid, e)
	case strings.HasPrefix(e, "<iq"):
		v.answers[peertest.Attr(start, "id")] = e
	case strings.HasPrefix(e, "<presence") && strings.Contains(start, "type='unavailable'"):
		v.gone[from]++
		delete(v.present, from)
	case strings.HasPrefix(e, "<presence"):
		_, item, _ := strings.Cut(e, "<item ")
		is := peertest.Attr(" "+item, "affiliation") + " " + peertest.Attr(" "+item, "role")
		if was := v.present[from]; was == is && v.settled {
			v.t.Errorf("%s is told again: %s", v.jid, e)
		}
		v.present[from] = is
	case strings.Contains(e, "<subject"):
		v.about[room] = inner(e, "subject")
		v.inside[room] = true
	case strings.Contains(e, "<body"):
		if want := fmt.Sprint(v.heard[from]); inner(e, "body") != want {
			v.t.Errorf("%s: line %s of %s is %s", v.jid, want, from, e)
		}
		v.heard[from]++
	}
}

// enter enters a room.
func (v *tenant) enter(room string) {
	v.send(fmt.Sprintf("<presence xmlns='jabber:client' to='%s/%s'><x xmlns='http://jabber.org/protocol/muc'/></presence>", room, v.nick))
	v.until("in "+room, func() bool { return v.inside[room] })
}

// request sends an IQ to a room and waits for its result.
func (v *tenant) request(room, typ, payload string) string {
	id := fmt.Sprint("q", v.acked, len(v.unacked))
	v.send(fmt.Sprintf("<iq xmlns='jabber:client' type='%s' id='%s' to='%s'>%s</iq>", typ, id, room, payload))
	v.until("answered", func() bool { return v.answers[id] != "" })
	return v.answers[id]
}

func admin(items string) string {
	return "<query xmlns='http://jabber.org/protocol/muc#admin'>" + items + "</query>"
}

// talk says so many lines in both rooms, and hears as many of everybody.
func (v *tenant) talk(goal int, nicks []string) {
	v.until("done", func() bool {
		done := true
		for _, room := range []string{tent, house} {
			for v.sent[room] < goal && len(v.unacked) < unsaid {
				v.send(fmt.Sprintf("<message xmlns='jabber:client' to='%s' type='groupchat' id='%s%d'><body>%d</body></message>", room, v.nick, v.sent[room], v.sent[room]))
				v.sent[room]++
				if v.sent[room] == goal || v.sent[room]%4 == 0 {
					v.ask()
				}
			}
			for _, nick := range nicks {
				done = done && v.heard[room+"/"+nick] >= goal
			}
			done = done && v.sent[room] == goal
		}
		return done && len(v.unacked) == 0
	})
}

// TestHF8HM12KilledServerKeepsItsRooms kills the server while people talk in a temporary and in a persistent room. Who comes
// back to his session is still there, as what he was; nobody is told of anybody anew; of what anybody says nothing is lost
// and nothing doubled. Who cannot come back has left, which the others are told once.
func TestHF8HM12KilledServerKeepsItsRooms(t *testing.T) {
	at := newHome(t, peertest.ParleyOptions{Args: []string{"--limits=off"}})
	names := []string{"ann", "bob", "carl", "dora"}
	for _, name := range append(names, "eve", "zoe") {
		at.server.AddUser(name, name)
	}
	var all []*tenant
	for i, name := range append(names, "guest") {
		d := starttls
		if i%2 == 0 {
			d = websocket
		}
		all = append(all, newTenant(t, at, d, name))
	}
	ann := all[0]
	nicks := append(names, "guest")
	for _, room := range []string{tent, house} {
		ann.enter(room)
		form := "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>" +
			"<field var='muc#roomconfig_roomname'><value>name of %s</value></field><field var='muc#roomconfig_persistentroom'><value>%d</value></field></x></query>"
		persistent := 0
		if room == house {
			persistent = 1
		}
		ann.request(room, "set", fmt.Sprintf(form, room, persistent))
		ann.request(room, "set", admin("<item affiliation='member' jid='carl@localhost'/>"))
		for _, v := range all[1:] {
			v.enter(room)
		}
		ann.request(room, "set", admin("<item nick='bob' role='moderator'/>"))
		ann.request(room, "set", admin("<item nick='dora' role='visitor'/>"))
		ann.send("<message xmlns='jabber:client' to='" + room + "' type='groupchat'><subject>about " + room + "</subject></message>")
	}
	eve := at.login(t, starttls, "eve", "") // without resumption
	for _, room := range []string{tent, house} {
		eve.Send(join(room, "eve", 0))
		entered(t, eve, room)
	}
	want := make(map[string]string)
	for _, room := range []string{tent, house} {
		for nick, is := range map[string]string{"ann": "owner moderator", "bob": "none moderator", "carl": "member participant",
			"dora": "none visitor", "guest": "none participant", "eve": "none participant"} {
			want[room+"/"+nick] = is
		}
	}
	for _, v := range all {
		v.until("shown everybody", func() bool {
			return maps.Equal(v.present, want) && v.about[tent] == "about "+tent && v.about[house] == "about "+house
		})
		for _, room := range []string{tent, house} { // and what came with that
			v.request(room+"/"+v.nick, "get", "<ping xmlns='urn:xmpp:ping'/>")
		}
		v.settled = true
	}
	for round := range deaths() {
		goal := (round + 1) * lines
		killed := make(chan struct{})
		var group sync.WaitGroup
		for _, v := range all {
			group.Go(func() {
				v.talk(goal, nicks)
				<-killed
				v.request(tent+"/"+v.nick, "get", "<ping xmlns='urn:xmpp:ping'/>")
			})
		}
		time.Sleep(rand.N(250 * time.Millisecond))
		at.kill()
		if round%2 == 1 { // once more, while they come back
			time.Sleep(rand.N(40 * time.Millisecond))
			at.kill()
		}
		close(killed)
		group.Wait()
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	delete(want, tent+"/eve")
	delete(want, house+"/eve")
	resumed := 0
	for _, v := range all {
		left := map[string]int{tent + "/eve": 1, house + "/eve": 1}
		v.until("told that eve has left", func() bool { return maps.Equal(v.gone, left) })
		if !maps.Equal(v.present, want) {
			t.Errorf("%s sees %v", v.jid, v.present)
		}
		resumed += v.resumed
	}
	if resumed < deaths()*len(all) {
		t.Errorf("%d resumptions", resumed)
	}

	zoe := newTenant(t, at, direct, "zoe") // sees what a newcomer sees
	for _, room := range []string{tent, house} {
		zoe.heard = map[string]int{}
		zoe.on = func(e string) {
			if !strings.Contains(e, "<body") {
				zoe.take(e)
			}
		}
		zoe.enter(room)
		want[room+"/zoe"] = "none participant"
		if zoe.about[room] != "about "+room {
			t.Errorf("%s is about %q", room, zoe.about[room])
		}
		info := zoe.request(room, "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>")
		if !strings.Contains(info, "name of "+room) {
			t.Errorf("%s says of itself: %s", room, info)
		}
		members := parse(t, ann.request(room, "get", admin("<item affiliation='member'/>"))).Items
		owners := parse(t, ann.request(room, "get", admin("<item affiliation='owner'/>"))).Items
		if len(members) != 1 || members[0].JID != "carl@localhost" || len(owners) != 1 || owners[0].JID != "ann@localhost" {
			t.Errorf("%s: members %v, owners %v", room, members, owners)
		}
	}
	if !maps.Equal(zoe.present, want) {
		t.Errorf("a newcomer sees %v", slices.Sorted(maps.Keys(zoe.present)))
	}
	t.Logf("%d resumptions", resumed)
}
