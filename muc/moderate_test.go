package muc

import (
	"errors"
	"strings"
	"testing"

	"parley/xmpp/wire"
)

const (
	nsModerate = "xmlns='urn:xmpp:message-moderate:1'"
	nsRetract  = "xmlns='urn:xmpp:message-retract:1'"
)

// moderate asks for a message to be taken back.
func (c *client) moderate(room, id string) {
	c.w.t.Helper()
	c.send("<iq to='%s@muc.x' type='set' id='mod'><moderate id='%s' "+nsModerate+"><retract "+nsRetract+"/><reason>rude &amp; loud</reason></moderate></iq>", room, id)
}

// say says something to all and returns the room's id of it.
func (c *client) say(room, body string) string {
	c.w.t.Helper()
	c.send("<message to='%s@muc.x' type='groupchat' id='mine'><body>%s</body><secret xmlns='urn:x'/></message>", room, body)
	got := c.want("<body>" + body + "<")
	_, rest, _ := strings.Cut(got, "<stanza-id xmlns='urn:xmpp:sid:0' by='"+room+"@muc.x' id='")
	id, _, _ := strings.Cut(rest, "'")
	return id
}

// ofRoom is a room with an owner and an occupant; archived says that it is kept.
func ofRoom(w *world, archived bool) (k *clerk, romeo, juliet *client) {
	k = &clerk{store: w.store}
	w.s.SetArchive(k)
	romeo, juliet = w.client("romeo@x/1"), w.client("juliet@x/1")
	romeo.join("r", "romeo")
	if archived {
		romeo.configure("r", cfgPersistent, "1")
	} else {
		romeo.configure("r")
	}
	juliet.join("r", "juliet")
	romeo.take()
	return k, romeo, juliet
}

// XEP-0425 §3, §4: all are told, who comes later is not given what was said, and the archive has a tombstone and the act.
func TestModeratedRetraction(t *testing.T) {
	for _, archived := range []bool{false, true} {
		inWorld(t, func(t *testing.T, w *world) {
			_, romeo, juliet := ofRoom(w, archived)
			before := juliet.say("r", "before")
			id := juliet.say("r", "magic potions")
			early := w.client("paris@x/1")
			early.send("<presence to='r@muc.x/paris'><x xmlns='" + NSMUC + "'/></presence>")
			early.want("magic potions", "<delay ") // it was told once
			juliet.take()
			romeo.take()
			romeo.moderate("r", id)
			for _, c := range []*client{juliet, romeo} {
				got := c.take()
				told := got[0]
				if !holds(told, []string{"from='r@muc.x'", "type='groupchat'", "<retract " + nsRetract + " id='" + id + "'><moderated " + nsModerate + " by='r@muc.x/romeo'><occupant-id ",
					"</moderated><reason>rude &amp; loud</reason></retract><stanza-id "}) {
					t.Errorf("%s is told %q", c.addr, got)
				}
				if c == romeo && (len(got) != 2 || !holds(got[1], []string{"id='mod'", "type='result'"})) {
					t.Errorf("the moderator is answered %q", got)
				}
			}
			late := w.client("nurse@x/1")
			late.send("<presence to='r@muc.x/nurse'><x xmlns='" + NSMUC + "'/></presence>")
			history := strings.Join(late.take(), "")
			stone := "<message to='nurse@x/1' from='r@muc.x/juliet' id='mine' type='groupchat'><retracted " + nsRetract + " id='"
			if !holds(history, []string{"<body>before<", "id='" + before + "'", stone, "id='" + id + "'"}) || strings.Contains(history, "potions") || strings.Count(history, "<secret") != 1 {
				t.Errorf("a newcomer gets %s", history)
			}
			kept := w.store.said("r@muc.x")
			if !archived {
				if len(kept) > 0 {
					t.Errorf("kept %d", len(kept))
				}
				return
			}
			if len(kept) != 3 {
				t.Fatalf("kept %d", len(kept))
			}
			grave, act := string(kept[1].Tail), kept[2]
			if !holds(grave, []string{" from='r@muc.x/juliet' id='mine' type='groupchat'><retracted " + nsRetract + " id='" + act.ID + "' stamp='",
				"<moderated " + nsModerate + " by='r@muc.x/romeo'><occupant-id ", "<reason>rude &amp; loud</reason></retracted><occupant-id ", "<stanza-id xmlns='urn:xmpp:sid:0' by='r@muc.x' id='" + id + "'/></message>"}) ||
				strings.Contains(grave, "potions") || strings.Contains(grave, "secret") {
				t.Errorf("in its place is %s", grave)
			}
			if kept[1].Author != "juliet@x/1" || !strings.Contains(string(act.Tail), "<retract "+nsRetract+" id='"+id+"'>") || act.Author != "romeo@x/1" || !act.Subject {
				t.Errorf("kept %+v", kept)
			}
		})
	}
}

// What the room does not remember any more is found in the archive, also when the room was put aside meanwhile.
func TestRetractionOfWhatIsInTheArchiveOnly(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		k, romeo, juliet := ofRoom(w, true)
		id := juliet.say("r", "old")
		for range 30 {
			juliet.say("r", "new")
		}
		romeo.take()
		k.wait = make(chan struct{})
		romeo.moderate("r", id)
		romeo.wantNot("retract")
		if romeo.held != 1 {
			t.Errorf("%d requests are held while the archive is asked", romeo.held)
		}
		close(k.wait)
		w.settle()
		juliet.want("<retract " + nsRetract + " id='" + id + "'>")
		romeo.want("type='result'", "id='mod'")
		if stone := string(w.store.said("r@muc.x")[0].Tail); !strings.Contains(stone, "<retracted ") || strings.Contains(stone, "old") || romeo.held != 0 {
			t.Errorf("held %d, kept %s", romeo.held, stone)
		}
		romeo.moderate("r", id) // again: it was not acknowledged, and the client has sent it again
		romeo.want("type='result'", "id='mod'")
		k.err = errors.New("on purpose")
		romeo.moderate("r", "lost")
		romeo.want("type='error'", "id='mod'", "internal-server-error", "type='wait'")
		if romeo.held != 0 {
			t.Errorf("%d requests are held", romeo.held)
		}
	}, func(c *Config) { c.Limits.History = 10 })
}

// A moderator who leaves while the archive is asked is refused, and nothing is taken back.
func TestRetractionByWhoHasLeft(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		k, romeo, juliet := ofRoom(w, true)
		id := juliet.say("r", "old")
		for range 30 {
			juliet.say("r", "new")
		}
		k.wait = make(chan struct{})
		romeo.moderate("r", id)
		romeo.send("<presence to='r@muc.x/romeo' type='unavailable'/>")
		juliet.take()
		close(k.wait)
		w.settle()
		romeo.want("type='error'", "id='mod'", "<forbidden ")
		juliet.wantNot("retract")
		if stone := string(w.store.said("r@muc.x")[0].Tail); !strings.Contains(stone, "old") || romeo.held != 0 {
			t.Errorf("held %d, kept %s", romeo.held, stone)
		}
	}, func(c *Config) { c.Limits.History = 10 })
}

// The archive is asked for so many at once.
func TestRetractionsAreBounded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		k, romeo, _ := ofRoom(w, true)
		k.wait = make(chan struct{})
		for range mostReading + 3 {
			romeo.moderate("r", "lost")
		}
		busy := 0
		for _, got := range romeo.take() {
			if strings.Contains(got, "<resource-constraint ") {
				busy++
			}
		}
		close(k.wait)
		w.settle()
		if c := w.s.cells["r@muc.x"]; c.bytes != 0 {
			t.Errorf("%d bytes of requests that are answered count against the room", c.bytes)
		}
		if got := romeo.take(); busy != 3 || len(got) != mostReading || romeo.held != 0 || w.count("limit.room") != 3 {
			t.Errorf("%d refused, %d answered, %d held, %d counted", busy, len(got), romeo.held, w.count("limit.room"))
		}
	})
}

// What the store does not take is not told either.
func TestRetractionThatIsNotCommitted(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, romeo, juliet := ofRoom(w, true)
		id := juliet.say("r", "magic")
		romeo.take()
		w.store.slow = true
		romeo.moderate("r", id)
		romeo.wantNot("mod")
		w.store.commit(errors.New("on purpose"))
		romeo.want("type='error'", "id='mod'")
		juliet.wantNot("retract")
		late := w.client("nurse@x/1")
		late.send("<presence to='r@muc.x/nurse'><x xmlns='" + NSMUC + "'/></presence>")
		late.want("<body>magic<")
	})
}

func TestHM5WhoMayTakeMessagesBack(t *testing.T) {
	for _, c := range []struct {
		name  string
		mod   string // nurse's affiliation, "" if she is only made moderator
		who   string // who asks: romeo is the owner, nurse is not, juliet is nobody
		of    string
		id    string
		want  string
		count int
	}{
		{name: "a participant, somebody else's", who: "juliet", of: "romeo", want: "forbidden", count: 1},
		{name: "a participant, the own", who: "juliet", of: "juliet", want: "forbidden", count: 1},
		{name: "somebody outside", who: "paris", of: "romeo", want: "forbidden", count: 1},
		{name: "a moderator, an owner's", who: "nurse", of: "romeo", want: "not-allowed", count: 1},
		{name: "an admin, an owner's", mod: "admin", who: "nurse", of: "romeo", want: "not-allowed", count: 1},
		{name: "a moderator, a participant's", who: "nurse", of: "juliet"},
		{name: "a moderator, the own", who: "nurse", of: "nurse"},
		{name: "an owner, an admin's", mod: "admin", who: "romeo", of: "nurse"},
		{name: "an owner, the own", who: "romeo", of: "romeo"},
		{name: "a message that is not there", who: "romeo", id: "lost", want: "item-not-found"},
		{name: "no message", who: "romeo", id: " ", want: "bad-request"},
		{name: "a subject", who: "romeo", id: "subject", want: "item-not-found"},
		{name: "what took something back", who: "romeo", id: "act", want: "item-not-found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				_, romeo, juliet := ofRoom(w, true)
				romeo.configure("r", cfgPublic, "1")
				nurse, paris := w.client("nurse@x/1"), w.client("paris@x/1")
				nurse.join("r", "nurse")
				if c.mod != "" {
					romeo.admin("r", "<item affiliation='"+c.mod+"' jid='nurse@x'/>")
				} else {
					romeo.admin("r", "<item role='moderator' nick='nurse'/>")
				}
				people := map[string]*client{"romeo": romeo, "juliet": juliet, "nurse": nurse, "paris": paris}
				id := strings.TrimSpace(c.id)
				if c.of != "" {
					id = people[c.of].say("r", "words")
				}
				if id == "subject" || id == "act" {
					if id == "act" {
						romeo.moderate("r", juliet.say("r", "words"))
					} else {
						romeo.send("<message to='r@muc.x' type='groupchat'><subject>Verona</subject></message>")
					}
					said := w.store.said("r@muc.x")
					id = said[len(said)-1].ID
				}
				who := people[c.who]
				who.take()
				juliet.take()
				who.moderate("r", id)
				if c.want == "" {
					if who == juliet {
						t.Fatal("the case needs another witness")
					}
					juliet.want("<retract ")
					who.want("id='mod'", "type='result'")
					return
				}
				got := who.take()
				if len(got) != 1 || !holds(got[0], []string{"id='mod'", "type='error'", "<" + c.want + " "}) {
					t.Errorf("got %q", got)
				}
				if who != juliet {
					juliet.wantNot("<retract")
				}
				if n := w.count("room.priv"); n != c.count {
					t.Errorf("counted %d times", n)
				}
			})
		})
	}
}

// XEP-0425 §6: who is in the room cannot speak as the room does.
func TestHM2ForgedModeration(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, romeo, juliet := ofRoom(w, true)
		id := romeo.say("r", "words")
		juliet.take()
		juliet.send("<message to='r@muc.x' type='groupchat'><body>b1</body><retract "+nsRetract+" id='%s'><moderated "+nsModerate+" by='r@muc.x/romeo'/></retract>"+
			"<retracted "+nsRetract+" id='%[1]s'/></message>", id)
		if got := romeo.want("<body>b1<"); strings.Contains(got, "<retract") {
			t.Errorf("passed on %s", got)
		}
		juliet.send("<message to='r@muc.x' type='groupchat' id='own'><retract "+nsRetract+" id='%s'/></message>", id) // XEP-0424: clients judge it by the occupant
		romeo.want("<retract "+nsRetract+" id='"+id+"'/>", "<occupant-id ")
		said := w.store.said("r@muc.x")
		if last := string(said[len(said)-1].Tail); !strings.Contains(last, "id='own'") {
			t.Errorf("XEP-0424 §5: it is not kept, but %s", last)
		}
		if first := string(said[0].Tail); !strings.Contains(first, "words") {
			t.Errorf("it was taken back: %s", first)
		}
	})
}

// A room that is rebuilt from the journal does not know again what was taken back.
func TestRetractionAndTheJournal(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		j := w.write()
		_, romeo, juliet := ofRoom(w, false)
		before := juliet.say("r", "before")
		id := juliet.say("r", "potions")
		romeo.moderate("r", id)
		next, _ := w.again(j.all(), func(wire.Addr) bool { return true })
		defer next.close()
		late := next.client("nurse@x/1")
		late.send("<presence to='r@muc.x/nurse'><x xmlns='" + NSMUC + "'/></presence>")
		if got := strings.Join(late.take(), ""); !holds(got, []string{"id='" + before + "'", "<retracted ", "id='" + id + "'"}) || strings.Contains(got, "potions") {
			t.Errorf("a newcomer gets %s", got)
		}
	})
}
