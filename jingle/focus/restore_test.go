package focus

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/bridge/api"
	"parley/jingle"
	"parley/muc"
	"parley/xmpp/wire"
)

// tape is a journal in memory.
type tape [][]byte

func (j *tape) Append(record []byte) { *j = append(*j, slices.Clone(record)) }

// journal has the play written down from now on.
func (p *play) journal() {
	p.c.written.on = true
	p.do(func() {})
}

// kill ends the conference as the death of the process does, and goes on with what the journal has. The bridge is the same.
// Nobody is told anything, and what is wished is what it was.
func (p *play) kill() {
	p.t.Helper()
	var occupants []muc.Occupant
	for _, m := range p.c.members {
		occupants = append(occupants, m.last)
	}
	if p.rebuild(occupants); p.wish.Version > 0 {
		p.greeted()
	}
}

// rebuild is kill up to the bridge's greeting.
func (p *play) rebuild(occupants []muc.Occupant) {
	p.t.Helper()
	before, shown := p.c, p.c.shown
	f := &Focus{conferences: make(map[wire.Addr]*conference), byID: make(map[string]*conference), journal: &p.tape}
	for _, record := range p.tape {
		if err := f.Replay(record); err != nil {
			p.t.Fatalf("%v: %s", err, record)
		}
	}
	f.restore([]wire.Addr{room})
	p.c = f.conferences[room]
	if p.c == nil || f.byID[meeting] != p.c {
		p.t.Fatal("the conference is not there")
	}
	p.c.random, p.c.caps, p.c.restoring = before.random, before.caps, false
	p.now = p.now.Add(3 * time.Second)
	p.seen = nil
	p.do(func() { p.c.resume(muc.RoomRestored{Room: room, Occupants: occupants, Shown: []byte(shown)}, p.now) })
	p.quiet()
}

func (p *play) greeted() {
	p.t.Helper()
	want := p.wish
	p.do(func() {
		p.c.greeted(api.Hello{Bridge: p.c.serving, Conferences: map[string]uint64{meeting: p.wish.Version}}, p.now)
	})
	p.quiet()
	if was, is := spell(want.Endpoints), spell(p.wish.Endpoints); was != is || p.wish.Version <= want.Version {
		p.t.Fatalf("version %d was\n%s\nand %d is\n%s", want.Version, was, p.wish.Version, is)
	}
}

func spell(v any) string {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		panic(err)
	}
	return string(b)
}

// quiet checks that nobody was told anything.
func (p *play) quiet() {
	p.t.Helper()
	for _, e := range p.seen {
		switch e := e.(type) {
		case apply, record:
		case ask:
			p.t.Fatalf("%s is told %s", e.nick, e.payload)
		default:
			p.t.Fatalf("it is told: %T", e)
		}
	}
	p.seen = nil
}

// TestAConferenceGoesOnAfterAKill: whatever its members were doing (the rest is in TestEveryoneKnowsTheSourcesOfTheOthers).
func TestAConferenceGoesOnAfterAKill(t *testing.T) {
	p := two(t)
	p.journal()
	p.kill()

	if got := p.accept("bbbbbbbb", 200); got != "" { // an offer that was sent before
		t.Fatalf("accepting after the kill: %q", got)
	}
	if got := p.sent("aaaaaaaa"); got != "source-add" {
		t.Errorf("the other is told %q", got)
	}
	p.kill()
	p.join("cccccccc", 0) // is asked what it can do
	p.kill()
	p.pass(patience)
	p.quiet() // it may still answer
	p.pass(comeback)
	if got := p.sent("cccccccc"); got != "session-initiate" {
		t.Errorf("who does not answer gets %q", got)
	}
	p.do(func() { p.c.members.of("cccccccc").audio.on = true; p.c.changed = true })
	p.kill()
	if !p.endpoint("cccccccc").MuteAudio {
		t.Error("what was muted sounds again")
	}
	p.pass(acceptTime)
	p.quiet()
	p.pass(comeback)
	if got := p.sent("cccccccc"); got != "session-terminate session-initiate" {
		t.Errorf("who has not accepted in time gets %q", got)
	}
	p.kill()
	if got := p.accept("cccccccc", 300); got != "" {
		t.Error(got)
	}
	if m := p.c.members.of("cccccccc"); m.attempts != 0 || m.stage != active {
		t.Errorf("%+v", m.session)
	}
	p.kill()
	for range 2 { // the second is too soon after the first, kill or not
		got := p.jingle("aaaaaaaa", jingle.SessionInfo, bridgeSession(p.bridge["aaaaaaaa"], "ice-restart='true'"))
		if strings.Contains(got, "constraint") != (p.c.members.of("aaaaaaaa").restart == 1 && len(p.c.members.of("aaaaaaaa").restarts.last) == 1 && got != "") {
			t.Errorf("an ICE restart: %q", got)
		}
		p.seen = nil
		p.now = p.now.Add(-3 * time.Second) // what the kill takes
		p.kill()
	}
	if n := p.c.members.of("aaaaaaaa").restart; n != 1 {
		t.Errorf("%d ICE restarts", n)
	}
}

// TestWhoDoesNotComeBackIsOut of the conference; the others are told of the sources.
func TestWhoDoesNotComeBackIsOut(t *testing.T) {
	p := two(t)
	p.accept("bbbbbbbb", 200)
	p.join("cccccccc", modern)
	p.accept("cccccccc", 300)
	p.journal()
	p.kill()
	p.leave("bbbbbbbb")
	if got := p.sent("aaaaaaaa"); got != "source-remove" {
		t.Errorf("the others are told %q", got)
	}
	p.kill()
	if p.c.members.of("bbbbbbbb") != nil || len(p.wish.Endpoints) != 2 {
		t.Error("who has left is there again")
	}
}

// TestASessionThatTheBridgeAloneKnows: it was told of it, and the process was killed before the journal was. That somebody is not in the
// conference any more is not told to the bridge when they are back before that could be sent; it has said before what their transport is.
func TestASessionThatTheBridgeAloneKnows(t *testing.T) {
	p := two(t)
	p.accept("bbbbbbbb", 200)
	p.journal()
	there, written := []muc.Occupant{occupant("aaaaaaaa"), occupant("bbbbbbbb")}, len(p.tape)
	for range 2 {
		p.join("cccccccc", modern)
		before := p.endpoint("cccccccc").Session
		p.tape = p.tape[:written]
		p.rebuild(there)
		p.do(func() {
			p.c.greeted(api.Hello{Bridge: p.c.serving, Conferences: map[string]uint64{meeting: p.wish.Version}}, p.now)
			p.c.occurred(muc.OccupantJoined{Occupant: occupant("cccccccc")}, p.now)
			m := p.c.members.of("cccccccc")
			m.features, m.learned = modern, true
		})
		if now := p.endpoint("cccccccc").Session; now == before {
			t.Errorf("session %d is begun again", now)
		}
		if got := p.sent("cccccccc"); got != "session-initiate" {
			t.Errorf("who came is told %q", got)
		}
	}
}

// TestAnotherBridgeAfterAKill: the sessions begin again, as when the bridge alone dies.
func TestAnotherBridgeAfterAKill(t *testing.T) {
	for _, what := range []string{"another bridge", "the same, which has given it up", "none in time"} {
		t.Run(what, func(t *testing.T) {
			p := two(t)
			p.accept("bbbbbbbb", 200)
			p.journal()
			occupants := []muc.Occupant{occupant("aaaaaaaa"), occupant("bbbbbbbb")}
			p.rebuild(occupants)
			sessions := p.c.sessions
			switch what {
			case "none in time":
				if strings.Contains(p.c.shown, "value='0'") {
					t.Error("the bridge is missed at once")
				}
				p.pass(adoptTime)
				if !strings.Contains(p.c.shown, "'bridge-count' value='0'") {
					t.Errorf("the bridge is not missed: %s", p.c.shown)
				}
				return
			case "another bridge":
				p.do(func() { p.c.greeted(api.Hello{Bridge: "b2"}, p.now) })
			default:
				p.do(func() { p.c.greeted(api.Hello{Bridge: "b1"}, p.now) })
			}
			if got := p.sent("aaaaaaaa"); got != "session-terminate session-initiate" {
				t.Errorf("got %q", got)
			}
			for _, m := range p.c.members {
				if m.number <= sessions {
					t.Errorf("session %d again", m.number)
				}
			}
		})
	}
}

// TestSnapshotOfAConference: it says the same as the records before it, and a conference without all of its parts is none.
func TestSnapshotOfAConference(t *testing.T) {
	p := two(t)
	p.accept("bbbbbbbb", 200)
	p.journal()
	p.leave("bbbbbbbb")
	p.join("bbbbbbbb", modern)
	before := p.tape
	p.tape = nil
	p.c.ledger.snapshot(meeting, p.tape.Append)
	if len(p.tape) != 1 {
		t.Fatalf("%d records", len(p.tape))
	}
	p.kill()
	p.tape = append(before, p.tape...)
	p.kill()

	f := &Focus{}
	for _, record := range p.tape {
		var e entry
		if json.Unmarshal(record, &e) != nil || e.Conference != nil || e.Whole != nil {
			continue
		}
		if err := f.Replay(record); err != nil || len(f.replayed) != 0 {
			t.Errorf("of an unknown conference: %v, %v", err, f.replayed)
		}
	}
	for _, bad := range []string{"", "{}", "[]", `{"meeting":"m"}`, `{"meeting":"m","whole":[{"meeting":"n","ended":true}]}`} {
		f := &Focus{}
		f.Replay([]byte(fmt.Sprintf(`{"meeting":"m","conference":{"Room":%q}}`, room)))
		if err := f.Replay([]byte(bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

// FuzzReplay: no record brings the focus down, and what it makes of one it can go on with.
func FuzzReplay(f *testing.F) {
	f.Add([]byte(`{"meeting":"m","ended":true}`), []byte(`{"meeting":"m","left":"aaaaaaaa"}`))
	p := two(&testing.T{})
	p.journal()
	for i, record := range p.tape {
		f.Add(p.tape[0], record)
		f.Add(record, p.tape[(i+1)%len(p.tape)])
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		foc := &Focus{conferences: make(map[wire.Addr]*conference), byID: make(map[string]*conference)}
		if foc.Replay(first) != nil || foc.Replay(second) != nil {
			return
		}
		var rooms []wire.Addr
		for _, c := range foc.replayed {
			rooms = append(rooms, c.room)
		}
		foc.restore(rooms)
		for _, c := range foc.conferences {
			now := time.UnixMilli(1795208036275)
			c.resume(muc.RoomRestored{Occupants: []muc.Occupant{occupant("aaaaaaaa"), occupant("bbbbbbbb")}}, now)
			c.greeted(api.Hello{Bridge: "b1"}, now)
			c.settle(now)
			c.settle(now.Add(time.Hour))
			c.record()
		}
	})
}

// replayed gives a focus records, and returns the conference.
func replayed(t *testing.T, records ...entry) *conference {
	t.Helper()
	f := &Focus{conferences: make(map[wire.Addr]*conference), byID: make(map[string]*conference)}
	for _, e := range records {
		if err := f.Replay(e.marshal(meeting)); err != nil {
			t.Fatal(err)
		}
	}
	f.restore([]wire.Addr{room})
	return f.conferences[room]
}

// TestProgressIsOfASession: what a client has acknowledged in one session says nothing of the next.
func TestProgressIsOfASession(t *testing.T) {
	first := entry{Member: &savedMember{Endpoint: "aaaaaaaa", Stage: waiting, Number: 1}}
	progress := entry{Progress: &savedProgress{Endpoint: "aaaaaaaa", Known: 7, Waiting: []savedNotice{{"f1", 8}}}}
	for number, want := range map[int]string{1: "7 [{f1 8}]", 2: "0 []"} {
		next := *first.Member
		next.Number = number
		c := replayed(t, entry{Conference: &savedConference{Room: room}}, first, progress, entry{Member: &next})
		m := c.members.of("aaaaaaaa")
		if got := fmt.Sprint(m.known, m.waiting); got != want {
			t.Errorf("session %d after session 1: %s, want %s", number, got, want)
		}
	}
}

// TestStreamsOfOthersAfterAKill: the name of a stream stays its owner's, and may be had again when it is free.
func TestStreamsOfOthersAfterAKill(t *testing.T) {
	p := two(t)
	p.accept("bbbbbbbb", 200)
	p.journal()
	p.kill()
	if got := p.jingle("aaaaaaaa", jingle.SourceAdd, only("audio", source(900, "aaaaaaaa-a1", "bbbbbbbb-audio-0-1 t"))); got == "" {
		t.Error("a stream of another's is taken")
	}
	p.leave("bbbbbbbb")
	if got := p.jingle("aaaaaaaa", jingle.SourceAdd, only("audio", source(900, "aaaaaaaa-a1", "bbbbbbbb-audio-0-1 t"))); got != "" {
		t.Errorf("a stream that is free: %q", got)
	}
}

// TestAnOfferSaysWhatItSaid: who accepts an offer from before the kill knows what was in it, and no more.
func TestAnOfferSaysWhatItSaid(t *testing.T) {
	p := two(t)
	p.accept("bbbbbbbb", 200)
	p.join("cccccccc", modern)
	p.journal()
	at := p.c.members.of("cccccccc").at
	if at == 0 {
		t.Fatal("the offer is of no revision")
	}
	p.jingle("aaaaaaaa", jingle.SourceAdd, only("video", source(950, "aaaaaaaa-v1", "more m")))
	p.kill()
	if m := p.c.members.of("cccccccc"); m.at != at || m.at == p.c.revision {
		t.Errorf("the offer was of revision %d and is of %d, now is %d", at, m.at, p.c.revision)
	}
	if got := p.accept("cccccccc", 300); got != "" {
		t.Fatal(got)
	}
	if got := p.c.members.of("cccccccc").known; got != at {
		t.Errorf("with the offer it knows revision %d, which was %d", got, at)
	}
	if _, ok := p.told["cccccccc"][950]; !ok {
		t.Error("who accepts is not told what is new")
	}
}

// TestMembersWhoAreNotInTheRoomAreOut, whom the room does not say to have left.
func TestMembersWhoAreNotInTheRoomAreOut(t *testing.T) {
	p := two(t)
	p.accept("bbbbbbbb", 200)
	p.journal()
	p.now = p.now.Add(time.Second)
	f := &Focus{conferences: make(map[wire.Addr]*conference), byID: make(map[string]*conference), journal: &p.tape}
	for _, record := range p.tape {
		if err := f.Replay(record); err != nil {
			t.Fatal(err)
		}
	}
	f.restore([]wire.Addr{room})
	c := f.conferences[room]
	c.random, c.restoring = p.c.random, false
	p.c, p.seen = c, nil
	p.do(func() { c.resume(muc.RoomRestored{Room: room, Occupants: []muc.Occupant{occupant("aaaaaaaa")}}, p.now) })
	if c.members.of("bbbbbbbb") != nil || p.endpoint("aaaaaaaa") != nil && p.endpoint("bbbbbbbb") != nil {
		t.Error("a member that is not in the room is in the conference")
	}
	if got := p.sent("aaaaaaaa"); got != "source-remove" {
		t.Errorf("the others are told %q", got)
	}
}
