package muc

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/xmpp/wire"
)

// inJournal runs a test with a world whose rooms are in a journal.
func inJournal(t *testing.T, f func(t *testing.T, w *world, j *tape)) {
	t.Helper()
	inWorld(t, func(t *testing.T, w *world) { f(t, w, w.write()) })
}

func except(dead ...wire.Addr) func(wire.Addr) bool {
	return func(a wire.Addr) bool {
		for _, d := range dead {
			if a == d {
				return false
			}
		}
		return true
	}
}

// TestHM12WhoDoesNotComeBackLeaves as if the connection was lost; the others were never told that they were away.
func TestHM12WhoDoesNotComeBackLeaves(t *testing.T) {
	inJournal(t, func(t *testing.T, w *world, j *tape) {
		ann, bob, carl := w.client("ann@x/1"), w.client("bob@x/1"), w.client("carl@guest.x/1")
		ann.join("r", "ann")
		bob.join("r", "bob")
		carl.join("r", "carl")
		next, k := w.again(j.all(), except("bob@x/1"))
		for _, a := range []wire.Addr{"ann@x/1", "carl@guest.x/1"} {
			got := next.clients[a].take()
			if len(got) != 1 || !holds(got[0], []string{"from='r@muc.x/bob'", "type='unavailable'", "code='333'"}) {
				t.Errorf("%s is told:\n%s", a, strings.Join(got, "\n"))
			}
		}
		var events []string
		for _, e := range next.events {
			switch e := e.(type) {
			case Restoring:
				events = append(events, fmt.Sprint("restoring ", e.Rooms))
			case RoomRestored:
				events = append(events, fmt.Sprintf("%s with %d, seat %v", e.Room, len(e.Occupants), e.Meeting.Seat != nil))
			case OccupantLeft:
				events = append(events, fmt.Sprint(e.Nick, " has left, ", e.Why))
			default:
				events = append(events, fmt.Sprintf("%T", e))
			}
		}
		if got := strings.Join(events, "; "); got != "restoring [r@muc.x]; r@muc.x with 3, seat false; bob has left, 1" {
			t.Errorf("observers: %s", got)
		}
		if next.s.index.in("bob@x/1", "r@muc.x") || next.s.Stats() != (Stats{Rooms: 1, Occupants: 2}) {
			t.Errorf("%+v", next.s.Stats())
		}
		// The owner of a temporary room does not come back either; when all are gone it is over, and the journal knows.
		last, l := next.again(append(j.all(), k.all()...), except("ann@x/1", "carl@guest.x/1"))
		if last.roomState("r@muc.x") != nil || last.s.Stats() != (Stats{}) {
			t.Error("an empty temporary room is still there")
		}
		end, _ := last.again(append(append(j.all(), k.all()...), l.all()...), all)
		if len(end.events) != 1 || end.roomState("r@muc.x") != nil {
			t.Errorf("a room that was over is there again: %v", end.events)
		}
		next.close()
		last.close()
		end.close()
	})
}

// TestHF8WhatWasCommittedIsSaidOnce: a message that the store has got and the occupants have not is delivered when the
// room is there again, and its sender, who was not told and says it again, is not heard twice: whatever was killed when.
func TestHF8WhatWasCommittedIsSaidOnce(t *testing.T) {
	inJournal(t, func(t *testing.T, w *world, j *tape) {
		ann, bob := w.client("ann@x/1"), w.client("bob@x/1")
		ann.join("r", "ann")
		ann.configure("r", cfgPersistent, "1")
		bob.join("r", "bob")
		say := func(c *client, text string) {
			c.send("<message to='r@muc.x' type='groupchat' id='%s'><body>%s</body></message>", text, text)
		}
		said := func(c *client) (list []string) {
			for _, raw := range c.take() {
				if m := wire.ParseElem([]byte(raw)); m.Child("body", "").Ok() {
					list = append(list, m.Child("body", "").Text())
				}
			}
			return list
		}
		say(ann, "told")
		before := len(j.all())
		say(ann, "one") // the store has these two, and then the process was killed
		say(bob, "two")
		records := j.all()[:before]

		next, k := w.again(records, all)
		ann, bob = next.clients["ann@x/1"], next.clients["bob@x/1"]
		if got := fmt.Sprint(said(ann), said(bob)); got != "[one two] [one two]" {
			t.Errorf("after the kill they hear %s", got)
		}
		say(ann, "one")
		if got := fmt.Sprint(said(ann), said(bob)); got != "[] []" {
			t.Errorf("said again it is heard: %s", got)
		}
		if ann.holds() != 0 {
			t.Error("said again it is not acknowledged")
		}
		last, _ := next.again(append(records, k.all()...), all) // killed again, before bob has said his again
		ann, bob = last.clients["ann@x/1"], last.clients["bob@x/1"]
		if got := fmt.Sprint(said(ann), said(bob)); got != "[] []" {
			t.Errorf("after the second kill they hear %s", got)
		}
		say(bob, "two")
		say(bob, "three")
		if got := fmt.Sprint(said(ann), said(bob)); got != "[three] [three]" {
			t.Errorf("then they hear %s", got)
		}
		if n := len(last.store.rooms["r@muc.x"].messages); n != 4 {
			t.Errorf("the store has %d messages", n)
		}
		say(bob, "two") // by now it is a new one
		if got := fmt.Sprint(said(ann), said(bob)); got != "[two] [two]" {
			t.Errorf("said anew they hear %s", got)
		}
		next.close()
		last.close()
	})
}

// TestTheStoreKnowsBetter: what was committed, and not told any more, holds.
func TestTheStoreKnowsBetter(t *testing.T) {
	inJournal(t, func(t *testing.T, w *world, j *tape) {
		ann, bob := w.client("ann@x/1"), w.client("bob@x/1")
		ann.join("r", "ann")
		bob.join("r", "bob")
		say := func(c *client) { c.send("<message to='r@muc.x' type='groupchat'><body>a</body></message>") }
		say(ann)
		said := j.all()
		ann.configure("r", cfgPersistent, "1", cfgName, "new")

		next, k := w.again(said, all) // that it is persistent was not told
		r := next.roomState("r@muc.x")
		if !r.stored || r.settings.Name != "new" || len(r.history) != 1 || len(r.occupants) != 2 {
			t.Errorf("%+v", r.settings)
		}
		if got := heard([]*client{next.clients["ann@x/1"], next.clients["bob@x/1"]}); strings.Contains(got, "<") {
			t.Errorf("they are told %s", got)
		}
		other, _ := next.again(append(said, k.all()...), all) // and that is in the journal now
		if was, is := next.dump("r@muc.x"), other.dump("r@muc.x"); was != is {
			t.Errorf("was\n%s\nis\n%s", was, is)
		}
		other.close()
		next.close()

		persistent := j.all()
		ann.admin("r", "<item affiliation='outcast' jid='bob@x'/>")
		next, _ = w.again(persistent, all) // the ban was not told
		next.clients["bob@x/1"].want("type='unavailable'", "code='301'")
		next.clients["ann@x/1"].want("type='unavailable'", "from='r@muc.x/bob'")
		next.close()

		persistent = j.all()
		ann.send("<iq to='r@muc.x' type='set' id='d'><query xmlns='" + NSOwner + "'><destroy/></query></iq>")
		next, _ = w.again(persistent, all) // nor the end: ann asks for it again
		if r := next.roomState("r@muc.x"); r == nil || r.stored || len(r.occupants) != 1 {
			t.Error("a room whose end was not told is not there")
		}
		next.clients["ann@x/1"].send("<iq to='r@muc.x' type='set' id='d'><query xmlns='" + NSOwner + "'><destroy/></query></iq>")
		next.clients["ann@x/1"].want("id='d'", "type='result'")
		next.close()
	})
}

// TestARoomThatCannotBeHad: who was in it is told to come again.
func TestARoomThatCannotBeHad(t *testing.T) {
	inJournal(t, func(t *testing.T, w *world, j *tape) {
		ann := w.client("ann@x/1")
		ann.join("r", "ann")
		w.store.err = errors.New("no disk")
		records := j.all()
		broken := w.store.clone()
		broken.err = w.store.err
		w.store.err = nil
		old := w.store
		w.store = broken
		next := &world{t: t, clients: make(map[wire.Addr]*client), store: broken}
		next.start()
		next.s.Journal(&tape{}, all)
		c := next.client("ann@x/1")
		for _, record := range records {
			if err := next.s.Replay(record); err != nil {
				t.Fatal(err)
			}
		}
		next.s.Replayed()
		synctest.Wait()
		c.want("type='unavailable'", "code='333'", "from='r@muc.x/ann'")
		if next.s.index.in("ann@x/1", "r@muc.x") || next.roomState("r@muc.x") != nil {
			t.Error("and still counts as there")
		}
		w.store = old
		next.close()
	})
}

// TestASlowRoomAcknowledgesNothing before it is done: also what only follows something that waits for the store.
func TestASlowRoomAcknowledgesNothing(t *testing.T) {
	inJournal(t, func(t *testing.T, w *world, j *tape) {
		ann := w.client("ann@x/1")
		ann.join("r", "ann")
		ann.configure("r", cfgPersistent, "1")
		w.store.slow = true
		ann.send("<message to='r@muc.x' type='groupchat'><body>a</body></message>")
		ann.send("<message to='r@muc.x' type='groupchat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
		if got := ann.holds(); got != 2 {
			t.Errorf("%d acknowledgements are held", got)
		}
		w.store.commit(nil)
		if got := ann.holds(); got != 0 {
			t.Errorf("%d acknowledgements are held in the end", got)
		}
		ann.want("<composing")
		w.store.slow = false
	})
}

// TestAFocusStanzaIsAcknowledgedWithItsAnswer if an observer holds it, and at once otherwise.
func TestAFocusStanzaIsAcknowledgedWithItsAnswer(t *testing.T) {
	inJournal(t, func(t *testing.T, w *world, j *tape) {
		var seat *Seat
		hold := false
		var given FocusStanza
		var release func()
		w.s.Observe(func(e Event) {
			if e, ok := e.(FocusStanza); ok && hold {
				given, release = e, e.Hold()
			}
		})
		ann := w.client("ann@x/1")
		w.s.Conference(ann, "r@muc.x", FirstOwns, func(m Meeting, _ *wire.Error) { seat = m.Seat })
		synctest.Wait()
		ann.join("r", "aaaaaaaa")
		ask := "<iq to='r@muc.x/focus' type='set' id='q'><query xmlns='a'/></iq>"
		ann.send("%s", ask)
		if ann.holds() != 0 {
			t.Error("nobody holds it, and it is not acknowledged")
		}
		hold = true
		ann.send("%s", ask)
		if ann.holds() != 1 {
			t.Error("it is acknowledged before it is answered")
		}
		before := len(j.all())
		noted := 0
		seat.Together(func(s *Seat) {
			s.Note(func() { noted = len(j.all()) - before })
			s.Answer(given, nil)
			s.Ask("aaaaaaaa", "set", "f1", nil)
			s.Done(func() {
				ann.mu.Lock()
				if len(ann.got) != 2 || noted != 0 || len(j.all()) != before+1 || j.open == 0 {
					t.Errorf("when it is acknowledged %d stanzas are delivered, %d records written", len(ann.got), len(j.all())-before)
				}
				ann.mu.Unlock()
				release()
			})
			ann.take()
		})
		synctest.Wait()
		if ann.holds() != 0 || noted != 0 {
			t.Error("it is not acknowledged")
		}
		ann.want("id='f1'")
		ann.send("<presence to='r@muc.x/aaaaaaaa' type='unavailable'/>")
		seat.Leave()
		w.pass(time.Second)
		done := false
		seat.Together(func(s *Seat) { s.Done(func() { done = true }) })
		synctest.Wait()
		if !done {
			t.Error("without a room it is never acknowledged")
		}
	})
}

// TestNobodyIsAskedForTheFocus after a kill: it has no session, and no other server has it.
func TestNobodyIsAskedForTheFocus(t *testing.T) {
	inJournal(t, func(t *testing.T, w *world, j *tape) {
		ann := w.client("ann@x/1")
		w.s.Conference(ann, "r@muc.x", FirstOwns, func(Meeting, *wire.Error) {})
		synctest.Wait()
		ann.join("r", "aaaaaaaa")
		var asked []wire.Addr
		next, _ := w.again(j.all(), func(a wire.Addr) bool {
			asked = append(asked, a)
			return true
		})
		if slices.Contains(asked, next.s.focus) || !slices.Contains(asked, wire.Addr("ann@x/1")) || len(next.s.index.rooms(next.s.focus)) != 0 {
			t.Errorf("asked for %v; the focus is in %v", asked, next.s.index.rooms(next.s.focus))
		}
	})
}

// TestARoomEndsWithItsFocus when nobody has come: it does not wait for who was to come, with or without a kill.
func TestARoomEndsWithItsFocus(t *testing.T) {
	inJournal(t, func(t *testing.T, w *world, j *tape) {
		ann := w.client("ann@x/1")
		var seat *Seat
		w.s.Conference(ann, "r@muc.x", FirstOwns, func(m Meeting, _ *wire.Error) { seat = m.Seat })
		synctest.Wait()
		seat.Leave()
		synctest.Wait()
		if w.roomState("r@muc.x") != nil {
			t.Error("the room waits for somebody")
		}
	})
}

// FuzzReplay: no journal brings the rooms down, and one that is taken makes rooms that can be used.
func FuzzReplay(f *testing.F) {
	const next = "\xff\xfe\xfd" // between records
	records := sample(f)
	f.Add(strings.Join(records, next))
	for _, r := range records[1:] {
		f.Add(records[0] + next + r)
	}
	f.Fuzz(func(t *testing.T, text string) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.s.Journal(&tape{}, func(a wire.Addr) bool { return a != "c1@guest.x/1" })
			ann := w.client("ann@x/1")
			delete(w.clients, ann.addr) // a payload that was damaged may be no XML
			for i, record := range strings.Split(text, next) {
				if i > 20 || w.s.Replay([]byte(record)) != nil {
					w.s.Reset()
					break
				}
			}
			again := newWorld(t)
			w.s.Snapshot(func(record []byte) {
				if err := again.s.Replay(record); err != nil {
					t.Errorf("%v: %q", err, record)
				}
			})
			w.s.Replayed()
			synctest.Wait()
			ann.post("<presence to='r@muc.x/ann'>%s</presence>", join)
			ann.post("<message to='r@muc.x' type='groupchat'><body>a</body></message>")
			ann.post("<presence to='r@muc.x/ann' type='unavailable'/>")
			w.pass(time.Second)
			if w.count("panic") > 0 {
				t.Error("a room has panicked")
			}
			w.close()
			again.close()
		})
	})
}

// sample is what a journal looks like.
func sample(f *testing.F) (records []string) {
	s, out := benchmarkService(f, Limits{})
	j := &tape{}
	s.Journal(j, all)
	var people []*visitor
	for i := range 3 {
		v := &visitor{wire.Addr(fmt.Sprintf("c%d@guest.x/1", i)), out}
		s.Conference(v, "r@muc.x", FirstOwns, func(Meeting, *wire.Error) {})
		v.join(f, s, i)
		until(func() bool { return s.Stats().Occupants == i+1 })
		people = append(people, v)
	}
	for _, xml := range []string{
		"<message to='r@muc.x' type='groupchat'><body>a</body></message>", "<message to='r@muc.x' type='groupchat'><subject>b</subject></message>",
		"<iq to='r@muc.x/00000001' type='get' id='i'><query xmlns='a'/></iq>", "<presence to='r@muc.x/00000000' type='unavailable'/>",
	} {
		p := parse(f, xml)
		to, _ := wire.ParseRawAddr(p.To())
		s.Handle(nil, people[0], to, p)
	}
	until(func() bool { return s.Stats().Occupants == 2 })
	for _, record := range j.all() {
		records = append(records, string(record))
	}
	s.Snapshot(func(record []byte) { records = append(records, string(record)) })
	return records
}

// TestARoomThatBecomesLasting, or is so no longer: what was said before is neither said again nor forgotten.
func TestARoomThatBecomesLasting(t *testing.T) {
	inJournal(t, func(t *testing.T, w *world, j *tape) {
		ann := w.client("ann@x/1")
		ann.join("r", "ann")
		ann.send("<message to='r@muc.x' type='groupchat'><body>before</body></message>")
		for _, lasting := range []string{"1", "0"} {
			ann.configure("r", cfgPersistent, lasting)
			next, _ := w.again(j.all(), all)
			if got := next.clients["ann@x/1"].take(); len(got) != 0 {
				t.Errorf("lasting %s: after the kill she is told\n%s", lasting, strings.Join(got, "\n"))
			}
			if was, is := w.dump("r@muc.x"), next.dump("r@muc.x"); was != is {
				t.Errorf("lasting %s: was\n%s\nis\n%s", lasting, was, is)
			}
			bob := next.client("bob@x/1")
			bob.join("r", "bob")
			next.close()
		}
	})
}

// TestKilledTwiceBeforeAnybodySpoke: what was delivered late may be said again, after the second kill as well.
func TestKilledTwiceBeforeAnybodySpoke(t *testing.T) {
	inJournal(t, func(t *testing.T, w *world, j *tape) {
		ann := w.client("ann@x/1")
		ann.join("r", "ann")
		ann.configure("r", cfgPersistent, "1")
		records := j.all()
		say := func(c *client) { c.send("<message to='r@muc.x' type='groupchat' id='1'><body>once</body></message>") }
		say(ann) // the store has it, and then the process was killed
		next, k := w.again(records, all)
		next.clients["ann@x/1"].want("<body>once</body>")
		last, _ := next.again(append(records, k.all()...), all)
		ann = last.clients["ann@x/1"]
		say(ann)
		if got := ann.take(); len(got) != 0 || ann.holds() != 0 {
			t.Errorf("said again it is heard, or not acknowledged (%d):\n%s", ann.holds(), strings.Join(got, "\n"))
		}
		next.close()
		last.close()
	})
}

// TestPresenceOutlivesAKill: the last one of each session, and which ones each session has been told.
func TestPresenceOutlivesAKill(t *testing.T) {
	large := func(c *Config) { c.Limits.CoalesceAbove = 1 }
	inWorld(t, func(t *testing.T, w *world) {
		j := w.write()
		ann, bob, carl := w.client("ann@x/1"), w.client("bob@x/1"), w.client("carl@x/1")
		for _, c := range []*client{ann, bob, carl} {
			c.join("r", c.addr.Local())
		}
		w.pass(time.Second)
		bob.send("<presence to='r@muc.x/bob'><show>away</show></presence>")
		ann.take()
		ann.join("r", "ann") // again, and is told of bob what the others are told later
		next, _ := w.again(j.all(), all, large)
		next.pass(time.Second)
		next.clients["carl@x/1"].want("from='r@muc.x/bob'", "<show>away</show>")
		for _, raw := range next.clients["ann@x/1"].take() {
			if holds(raw, []string{"from='r@muc.x/bob'"}) {
				t.Errorf("ann is told again: %s", raw)
			}
		}
		dora := next.client("dora@x/1")
		dora.send("<presence to='r@muc.x/dora'><x xmlns='" + NSMUC + "'/></presence>")
		dora.want("from='r@muc.x/bob'", "<show>away</show>")
		next.close()
	}, large)
}
