package seat

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"parley/muc"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

const (
	room = wire.Addr("room@muc.x.net")
	who  = wire.Addr("somebody@x.net/seat")
)

// world is the room, the router, and who sits in the seat.
type world struct {
	t      *testing.T
	seat   *Seat
	full   bool   // there is no address
	answer string // to presence, with %s for the sender's address in the room; "": none
	sent   []string
	told   []string
	seated int
}

func newWorld(t *testing.T, change func(*Place)) *world {
	w := &world{t: t, answer: inside}
	p := Place{Router: w, Rooms: w, Client: w, Room: room, Nick: "ann", Addr: who, Type: "phone", Features: []string{"urn:f"}}
	if change != nil {
		change(&p)
	}
	w.seat = New(p)
	return w
}

const (
	inside = " from='%s'><x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x></presence>"
	fresh  = " from='%s'><x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/><status code='201'/></x></presence>"
	taken  = " from='%s' type='error'><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
	away   = " from='%s' type='unavailable'/>"
)

func (w *world) Seat(route.Receiver) bool {
	w.seated++
	return !w.full
}
func (w *world) Unseat(route.Receiver) { w.seated-- }

func (w *world) Handle(_ *wire.Batch, from muc.Sender, to wire.Addr, p *wire.Packet) {
	if from != muc.Sender(w.seat) {
		w.t.Error("another one speaks")
	}
	w.sent = append(w.sent, string(p.Raw()))
	if p.Kind == wire.Presence && w.answer != "" {
		w.says(wire.Presence, fmt.Sprintf(w.answer, to))
	}
}

// says has the room say something to the seat.
func (w *world) says(kind wire.Kind, tail string) {
	w.seat.Deliver(nil, "", wire.Stanza{Kind: kind, Tail: []byte(tail)})
}

func (w *world) Presence(nick string) []byte { return []byte("<shown>" + nick + "</shown>") }
func (w *world) Entered()                    { w.told = append(w.told, "in") }
func (w *world) Left(e Exit) {
	w.told = append(w.told, fmt.Sprintf("out was=%t cause=%d", e.Was, e.Cause))
	if e.Fault != nil {
		w.told[len(w.told)-1] += " " + string(e.Fault.Condition) + " " + e.Fault.Text
	}
}

// tells compares what the client was told since it was asked last.
func (w *world) tells(want ...string) {
	w.t.Helper()
	if !slices.Equal(w.told, want) {
		w.t.Errorf("the client is told %q, not %q", w.told, want)
	}
	w.told = nil
}

// spoke takes the only stanza that the seat has sent since it was asked last, and wants parts in it.
func (w *world) spoke(parts ...string) string {
	w.t.Helper()
	if len(w.sent) != 1 {
		w.t.Fatalf("the seat has sent %q", w.sent)
	}
	s := w.sent[0]
	w.sent = nil
	for _, part := range parts {
		if !strings.Contains(s, part) {
			w.t.Errorf("no %s in %s", part, s)
		}
	}
	return s
}

func TestOccupantComesAndGoes(t *testing.T) {
	w := newWorld(t, func(p *Place) { p.Password = "a<b" })
	w.seat.Show()
	if len(w.sent) > 0 {
		t.Errorf("who is not in has sent %q", w.sent)
	}
	w.seat.Join()
	w.spoke("to='room@muc.x.net/ann'", "<history maxstanzas='0'/><password>a&lt;b</password></x><shown>ann</shown>")
	w.tells("in")
	w.seat.Show()
	if s := w.spoke("to='room@muc.x.net/ann'", "<shown>ann</shown>"); strings.Contains(s, "history") {
		t.Errorf("it enters again: %s", s)
	}
	w.tells()
	w.answer = away
	w.seat.Leave()
	w.spoke("type='unavailable'", "to='room@muc.x.net/ann'")
	w.seat.Leave()
	w.seat.Show()
	w.tells()
	if len(w.sent) > 0 {
		t.Errorf("who has left has sent %q", w.sent)
	}
}

func TestOccupantOpensTheRoomItHasMade(t *testing.T) {
	w := newWorld(t, nil)
	w.answer = fresh
	w.seat.Join()
	w.tells()
	if len(w.sent) != 2 || !strings.Contains(w.sent[1], "to='room@muc.x.net'") || !strings.Contains(w.sent[1], "muc#owner'><x xmlns='jabber:x:data' type='submit'/>") {
		t.Fatalf("%q", w.sent)
	}
	// Only the room's answer says that it is open, and it says so once.
	w.says(wire.IQ, " from='room@muc.x.net/bob' type='result' id='instant'/>")
	w.says(wire.IQ, " from='mallory@x.net' type='result' id='instant'/>")
	w.says(wire.IQ, " from='room@muc.x.net' type='result' id='other'/>")
	w.tells()
	w.says(wire.IQ, " from='room@muc.x.net' type='result' id='instant'/>")
	w.says(wire.IQ, " from='room@muc.x.net' type='result' id='instant'/>")
	w.tells("in")
}

func TestOccupantTriesOtherNicknames(t *testing.T) {
	w := newWorld(t, nil)
	w.answer = taken
	w.seat.Join()
	if len(w.sent) != 1+triesMost {
		t.Fatalf("%d nicknames", len(w.sent))
	}
	for i, s := range w.sent {
		if again := strings.Contains(s, "<shown>ann_"); again != (i > 0) {
			t.Errorf("try %d is %s", i, s)
		}
		if i > 0 && !strings.Contains(s, "<history") {
			t.Errorf("try %d does not enter: %s", i, s)
		}
	}
	w.tells("out was=false cause=0 conflict ")

	w = newWorld(t, nil)
	w.answer = ""
	w.seat.Join()
	w.says(wire.Presence, fmt.Sprintf(taken, room+"/ann"))
	nick := w.seat.Nick()
	if !strings.HasPrefix(nick, "ann_") {
		t.Fatalf("the nickname is %s", nick)
	}
	// What is said of the first nickname is of somebody else now.
	w.says(wire.Presence, fmt.Sprintf(inside, room+"/ann"))
	w.says(wire.Presence, fmt.Sprintf(away, room+"/ann"))
	w.tells()
	w.says(wire.Presence, fmt.Sprintf(inside, room+"/"+wire.Addr(nick)))
	w.tells("in")
}

func TestWhySomebodyIsNotIn(t *testing.T) {
	refused := func(condition string) string {
		return " from='%s' type='error'><error type='auth'><" + condition + " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>why</text></error></presence>"
	}
	gone := func(inner string) string {
		return " from='%s' type='unavailable'><x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/>" + inner + "</x></presence>"
	}
	for name, c := range map[string]struct {
		in   bool
		says string
		told []string
	}{
		"password":        {false, refused("not-authorized"), []string{"out was=false cause=0 not-authorized why"}},
		"error unnamed":   {false, " from='%s' type='error'/>", []string{"out was=false cause=0"}},
		"leaves at once":  {false, gone("<status code='307'/>"), []string{"out was=false cause=1"}},
		"error when in":   {true, refused("not-allowed"), nil},
		"banned":          {true, gone("<status code='301'/>"), []string{"out was=true cause=1"}},
		"kicked":          {true, gone("<status code='307'/>"), []string{"out was=true cause=1"}},
		"affiliation":     {true, gone("<status code='321'/>"), []string{"out was=true cause=1"}},
		"members only":    {true, gone("<status code='322'/>"), []string{"out was=true cause=1"}},
		"server stops":    {true, gone("<status code='332'/>"), []string{"out was=true cause=2"}},
		"destroyed":       {true, gone("<destroy/>"), []string{"out was=true cause=0"}},
		"foreign element": {true, gone("<status xmlns='urn:x' code='307'/>"), []string{"out was=true cause=0"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			if !c.in {
				w.answer = ""
			}
			w.seat.Join()
			w.told, w.sent = nil, nil
			for range 2 { // it is told once
				w.says(wire.Presence, fmt.Sprintf(c.says, room+"/ann"))
			}
			w.tells(c.told...)
			w.seat.Leave()
			if told := len(c.told) > 0; told != (len(w.sent) == 0) {
				t.Errorf("when it leaves it sends %q", w.sent)
			}
			if w.seated != 0 {
				t.Error("it keeps its address")
			}
		})
	}
	t.Run("no address", func(t *testing.T) {
		w := newWorld(t, nil)
		w.full = true
		w.seat.Join()
		w.tells("out was=false cause=0 internal-server-error ")
		w.seat.Leave()
		if len(w.sent) > 0 {
			t.Errorf("it has sent %q", w.sent)
		}
	})
}

func TestOthersAreNotBelieved(t *testing.T) {
	w := newWorld(t, nil)
	w.answer = ""
	w.seat.Join()
	w.sent = nil
	for _, from := range []string{"room@muc.x.net/bob", "other@muc.x.net/ann", "mallory@x.net", "@", "room@muc.x.net"} {
		w.says(wire.Presence, fmt.Sprintf(inside, from))
	}
	w.tells()
	w.says(wire.Presence, fmt.Sprintf(inside, room+"/ann"))
	w.tells("in")
	for _, from := range []string{"room@muc.x.net/bob", "other@muc.x.net/ann", "mallory@x.net", "room@muc.x.net/ann_1"} {
		w.says(wire.Presence, fmt.Sprintf(away, from))
	}
	w.says(wire.IQ, " from='mallory@x.net' type='get' id='q'><ping xmlns='urn:xmpp:ping'/></iq>")
	w.says(wire.Message, " from='room@muc.x.net' type='groupchat'><body>x</body></message>")
	w.says(wire.IQ, " from='room@muc.x.net/bob'><broken")
	w.tells()
	if len(w.sent) > 0 {
		t.Errorf("it has answered %q", w.sent)
	}
}

func TestPresenceOfOthersIsShown(t *testing.T) {
	var saw []string
	w := newWorld(t, func(p *Place) {
		p.Saw = func(nick string, p *wire.Packet) { saw = append(saw, nick+" "+string(p.Type())) }
	})
	w.seat.Join()
	w.says(wire.Presence, fmt.Sprintf(inside, room+"/bob"))
	w.says(wire.Presence, fmt.Sprintf(inside, "other@muc.x.net/eve"))
	w.says(wire.Presence, fmt.Sprintf(inside, room+"/ann"))
	w.says(wire.Presence, fmt.Sprintf(inside, room))
	w.says(wire.Presence, fmt.Sprintf(away, room+"/bob"))
	w.answer = away
	w.seat.Leave()
	w.says(wire.Presence, fmt.Sprintf(inside, room+"/bob")) // on its way when it left
	if want := []string{"bob ", "bob unavailable"}; !slices.Equal(saw, want) {
		t.Errorf("seen is %q, not %q", saw, want)
	}
	w.tells("in")
}

func TestClientAnswers(t *testing.T) {
	asked := 0
	var w *world
	w = newWorld(t, func(p *Place) {
		p.Asked = func(from wire.Addr, q *wire.Packet) bool {
			asked++
			if from.Resource() != "focus" || !q.ChildIs("mute", "urn:m") {
				return false
			}
			w.seat.Reply(from, q)
			return true
		}
	})
	w.seat.Join()
	w.sent = nil
	w.says(wire.IQ, " from='room@muc.x.net/bob' type='get' id='q&lt;'><query xmlns='"+nsInfo+"' node='n#&apos;v'/></iq>")
	w.spoke("to='room@muc.x.net/bob'", "type='result'", "id='q&lt;'", "<identity category='client' type='phone'/>", "<feature var='urn:f'/>", "<feature var='"+nsPing+"'/>", "node='n#&apos;v'")
	w.says(wire.IQ, " from='room@muc.x.net/bob' type='get' id='q'><ping xmlns='urn:xmpp:ping'/></iq>")
	w.spoke("type='result'", "id='q'")
	w.says(wire.IQ, " from='room@muc.x.net/bob' type='set' id='q'><mute xmlns='urn:m'/></iq>")
	w.spoke("type='error'", string(mstanza.ServiceUnavailable))
	w.says(wire.IQ, " from='room@muc.x.net/focus' type='set' id='q'><mute xmlns='urn:m'/></iq>")
	w.spoke("type='result'", "to='room@muc.x.net/focus'")
	w.says(wire.IQ, " from='room@muc.x.net/bob' type='result' id='q'/>")
	if asked != 2 || len(w.sent) > 0 {
		t.Errorf("asked %d times; sent is %q", asked, w.sent)
	}
}

func TestNicknames(t *testing.T) {
	for name, want := range map[string]string{
		"Ann_9": "Ann_9", "Zoë <b>": "Zob", "": "other", "日本": "other", "focus": "other", "f o c u s": "other",
		strings.Repeat("a", 30): strings.Repeat("a", nickMost),
	} {
		if got := Nick(name, "other"); got != want {
			t.Errorf("%q is %q, not %q", name, got, want)
		}
	}
}
