package focus

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/jingle"
	"parley/muc"
	"parley/xmpp/wire"
)

const (
	mujiAudio = "<payload-type id='96' name='opus' clockrate='48000' channels='2'/><payload-type id='9' name='G722' clockrate='8000'/>"
	mujiVideo = "<payload-type id='97' name='VP9' clockrate='90000'/><payload-type id='98' name='VP8' clockrate='90000'/><payload-type id='99' name='rtx' clockrate='90000'><parameter name='apt' value='98'/></payload-type>"
)

// mujiElement writes what somebody shows of its contents: name, medium and payload types of each.
func mujiElement(preparing bool, contents ...[3]string) string {
	s := "<muji xmlns='urn:xmpp:jingle:muji:0'>"
	for _, x := range contents {
		s += "<content xmlns='urn:xmpp:jingle:1' name='" + x[0] + "'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='" + x[1] + "'>" + x[2] + "</description></content>"
	}
	if preparing {
		s += "<preparing/>"
	}
	return s + "</muji>"
}

var mujiBoth = mujiElement(false, [3]string{"voice", "audio", mujiAudio}, [3]string{"cam", "video", mujiVideo})

// mujiPlay is a play in which the focus speaks Muji.
type mujiPlay struct {
	*play
	lines  map[wire.Addr]*line
	called []*Offer
	shown  string // what the focus's presence has said last
	fences []mujiFence
	slow   bool // the room does not answer by itself
}

func newMujiPlay(t *testing.T) *mujiPlay {
	p := &mujiPlay{play: newPlay(t), lines: make(map[wire.Addr]*line)}
	p.c.muji.begin("x.net")
	return p
}

// settle carries out what the focus does about Muji, until it does nothing more.
func (p *mujiPlay) settle() {
	p.t.Helper()
	for len(p.seen) > 0 {
		seen := p.seen
		p.seen = nil
		for _, e := range seen {
			switch e := e.(type) {
			case present:
				p.shown = string(e.children)
			case mujiFence:
				if p.slow {
					p.fences = append(p.fences, e)
					continue
				}
				p.do(func() { p.c.mujiShown(e.shown, p.now) })
			case mujiCall:
				p.called = append(p.called, e.offer)
				p.enter(e.offer)
			case tell:
				e.do(nil, nil, nil)
			case bring:
				e.do(nil, nil, nil)
			}
		}
	}
}

// seatOf is the occupant by which a participant's media are in the room.
func seatOf(nick string) muc.Occupant {
	return muc.Occupant{Room: room, Nick: nick + "_m", Addr: wire.Addr(nick + "@x.net/parley-call-1"), Role: muc.Participant}
}

// enter has a session begin, and its occupant come.
func (p *mujiPlay) enter(o *Offer) *line {
	l, seat := new(line), seatOf(o.Muji.Peer.Local())
	p.lines[o.Muji.Peer] = l
	p.do(func() {
		if p.c.calls == nil {
			p.c.calls = make(map[wire.Addr]*call)
		}
		p.c.calls[seat.Addr] = p.c.newCall(seat.Addr, o, l)
	})
	p.do(func() { p.c.occurred(muc.OccupantJoined{Occupant: seat}, p.now) })
	return l
}

func mujiAddr(nick string) wire.Addr { return wire.Addr(nick + "@x.net/1") }

// says has an occupant who chats show something.
func (p *mujiPlay) says(nick, element string) {
	p.t.Helper()
	o := occupant(nick)
	o.Jitsi, o.Open = false, true
	p.do(func() {
		var e wire.Elem
		if element != "" {
			e = wire.ParseElem([]byte(element))
		}
		p.c.mujiSays(&o, e)
	})
	p.settle()
}

func (p *mujiPlay) comes(nick string) {
	p.t.Helper()
	p.join(nick, modern)
	p.settle()
}

func (p *mujiPlay) goes(nick string) {
	p.t.Helper()
	p.leave(nick)
	p.settle()
}

// shows compares what the focus's presence says: "preparing", and the names of its contents.
func (p *mujiPlay) shows(want ...string) {
	p.t.Helper()
	var got []string
	if e := wire.ParseElem([]byte("<p>"+p.shown+"</p>")).Child("muji", jingle.NSMuji); e.Ok() {
		m, err := jingle.ParseMuji(e)
		if err != nil {
			p.t.Fatal(err)
		}
		if m.Preparing {
			got = append(got, "preparing")
		}
		for _, x := range m.Contents {
			text := x.Name
			for _, t := range x.Description.PayloadTypes {
				text += fmt.Sprint(" ", t.ID, " ", t.Name)
			}
			got = append(got, text)
		}
	}
	if !slices.Equal(got, want) {
		p.t.Errorf("the focus shows %q, not %q", got, want)
	}
}

func TestFocusJoinsMuji(t *testing.T) {
	p := newMujiPlay(t)
	p.says("ann", mujiElement(true))
	p.comes("jim")
	p.shows() // she does not take part yet
	p.says("ann", mujiBoth)
	p.shows("voice 96 opus", "cam 98 VP8 99 rtx")
	if len(p.called) != 1 || p.called[0].Muji.Peer != mujiAddr("ann") || !p.called[0].Muji.Ours || p.called[0].Contents()["voice"] != "audio" || p.called[0].Video != "vp8" {
		t.Fatalf("%+v", p.called)
	}
	l := p.lines[mujiAddr("ann")]
	if len(l.accepted) != 1 || l.accepted[0].Content("cam") == nil || l.accepted[0].Content("cam").Description.PayloadTypes[0].ID != 98 {
		t.Fatalf("%+v", l.accepted)
	}
	// Who comes later begins the session.
	p.says("bob", mujiElement(true))
	p.says("bob", mujiBoth)
	if len(p.called) != 1 || !p.c.muji.takes(mujiAddr("bob")) || p.c.muji.takes(mujiAddr("jim")) {
		t.Errorf("%d are called", len(p.called))
	}
	// The last one for whom the focus stands goes: first its part, then the sessions.
	p.slow = true
	p.goes("jim")
	p.shows()
	if len(l.ended) != 0 {
		t.Error("the session has ended before the room knew")
	}
	p.do(func() { p.c.mujiShown(p.fences[0].shown, p.now) })
	p.settle()
	if len(l.ended) != 1 {
		t.Errorf("the session has ended %d times", len(l.ended))
	}
}

func TestNobodyHearsParticipantsTwice(t *testing.T) {
	p := newMujiPlay(t)
	p.says("ann", mujiBoth)
	p.says("bob", mujiBoth)
	p.comes("jim")
	p.do(func() {
		m := p.c.members.of("jim")
		p.c.setSources(m, jingle.Sources{Audio: []jingle.Source{{SSRC: 7, Name: "jim-a0"}}})
	})
	for nick := range map[string]bool{"ann": true, "bob": true} {
		p.do(func() {
			m := p.c.members.of(nick + "_m")
			p.c.agreed(m, mujiAnswer(p.lines[mujiAddr(nick)].accepted[0]))
		})
	}
	for _, nick := range []string{"ann_m", "bob_m"} {
		list := p.endpointsOf(nick)
		if len(list) != 2 {
			t.Fatalf("%s has %d transports", nick, len(list))
		}
		for _, e := range list {
			if !e.Receive.Single || !e.Receive.Chosen || !slices.Equal(e.Receive.Names, []string{"jim-a0"}) {
				t.Errorf("%s gets %+v", e.ID, e.Receive)
			}
			if len(e.Sources) != 1 {
				t.Errorf("%s sends %+v", e.ID, e.Sources)
			}
		}
	}
	// An ordinary caller is one who does not speak Muji: it is brought, and hears all.
	p.says("cat", "")
	l := p.call("cat", theOffer(true))
	p.settle()
	if len(l.accepted) != 1 {
		t.Fatal("the call is not answered")
	}
	if e := p.endpointsOf("cat")[0]; e.Receive.Chosen {
		t.Errorf("the caller gets %+v", e.Receive)
	}
	if e := p.endpointsOf("ann_m")[0]; !slices.Equal(e.Receive.Names, []string{"cat-a0", "cat-v0", "jim-a0"}) {
		t.Errorf("%q", e.Receive.Names)
	}
}

// mujiAnswer accepts what is offered.
func mujiAnswer(offer *jingle.Jingle) *jingle.Jingle {
	out := &jingle.Jingle{Action: jingle.SessionAccept}
	for n, x := range offer.Contents {
		x.Transport = theOffer(false).Contents[0].Transport
		x.Transport.Ufrag = fmt.Sprint("muji", n)
		x.Transport.Fingerprints[0].Setup = jingle.Active
		out.Contents = append(out.Contents, x)
	}
	return out
}

func TestFocusWaitsForWhoPrepares(t *testing.T) {
	p := newMujiPlay(t)
	p.says("ann", mujiBoth)
	p.says("bob", mujiElement(true))
	p.slow = true
	p.comes("jim")
	p.shows("preparing")
	shown := p.fences[0]
	p.slow = false
	p.do(func() { p.c.mujiShown(shown.shown, p.now) })
	p.settle()
	p.shows("preparing")
	p.says("cat", mujiElement(true)) // waits for us
	p.says("bob", mujiBoth)
	p.shows("voice 96 opus", "cam 98 VP8 99 rtx")
	if len(p.called) != 2 {
		t.Errorf("%d are called", len(p.called))
	}
	p.says("cat", mujiBoth)
	if len(p.called) != 2 {
		t.Error("who came later is called")
	}
}

func TestFocusDoesNotWaitForEver(t *testing.T) {
	p := newMujiPlay(t)
	p.says("bob", mujiElement(true))
	p.says("ann", mujiBoth)
	p.comes("jim")
	p.shows("preparing")
	if next := p.c.muji.deadline(); next.Sub(p.now) != mujiWait {
		t.Errorf("it waits for %v", next.Sub(p.now))
	}
	p.pass(mujiWait)
	p.settle()
	p.shows("voice 96 opus", "cam 98 VP8 99 rtx")
	if len(p.called) != 1 {
		t.Errorf("%d are called", len(p.called))
	}
}

func TestMujiRoomsWithoutOthersAreLeftAlone(t *testing.T) {
	for what, change := range map[string]func(p *mujiPlay){
		"nobody else":       func(p *mujiPlay) { p.says("ann", mujiBoth); p.says("bob", mujiBoth) },
		"nobody's contents": func(p *mujiPlay) { p.says("ann", mujiElement(false)); p.comes("jim") },
		"no codec": func(p *mujiPlay) {
			p.says("ann", mujiElement(false, [3]string{"a", "audio", "<payload-type id='9' name='G722' clockrate='8000'/>"}))
			p.comes("jim")
		},
		"no bridge":    func(p *mujiPlay) { p.c.there = false; p.says("ann", mujiBoth); p.comes("jim") },
		"switched off": func(p *mujiPlay) { p.c.muji.domain = ""; p.says("ann", mujiBoth); p.comes("jim") },
	} {
		t.Run(what, func(t *testing.T) {
			p := newMujiPlay(t)
			change(p)
			p.shows()
			if len(p.called) != 0 {
				t.Errorf("%d are called", len(p.called))
			}
		})
	}
}

// Who does not know the others' addresses, or is of another server, does not take part with the focus.
func TestWhoCannotBeReached(t *testing.T) {
	p := newMujiPlay(t)
	for what, x := range map[string]struct {
		change func(o *muc.Occupant)
		want   bool
	}{
		"anybody":            {func(*muc.Occupant) {}, true},
		"hidden":             {func(o *muc.Occupant) { o.Open = false }, false},
		"barred":             {func(o *muc.Occupant) { o.Barred = true }, false},
		"of another dialect": {func(o *muc.Occupant) { o.Jitsi = true }, false},
		"far":                {func(o *muc.Occupant) { o.Addr = "ann@y.net/1" }, false},
		"of another name":    {func(o *muc.Occupant) { o.Addr = "ann@notx.net/1" }, false},
	} {
		o := muc.Occupant{Room: room, Nick: "ann", Addr: "ann@x.net/1", Open: true}
		if x.change(&o); p.c.muji.meets(&o) != x.want {
			t.Errorf("%s: %v", what, !x.want)
		}
	}
	for addr, want := range map[wire.Addr]bool{"a@x.net/1": true, "a@guest.x.net/1": true, "a@x.net.y/1": false} {
		if p.c.muji.reaches(addr) != want {
			t.Errorf("%s: %v", addr, !want)
		}
	}
}

func TestParticipantStops(t *testing.T) {
	p := newMujiPlay(t)
	p.says("ann", mujiBoth)
	p.says("bob", mujiBoth)
	p.comes("jim")
	p.says("ann", mujiElement(false))
	if l := p.lines[mujiAddr("ann")]; len(l.ended) != 1 {
		t.Errorf("the session of who shows nothing more has ended %d times", len(l.ended))
	}
	p.says("bob", "")
	if l := p.lines[mujiAddr("bob")]; len(l.ended) != 1 {
		t.Errorf("the session of who has left has ended %d times", len(l.ended))
	}
	p.shows()
	p.says("ann", mujiBoth)
	p.shows("voice 96 opus", "cam 98 VP8 99 rtx")
	if len(p.called) != 3 {
		t.Errorf("%d are called", len(p.called))
	}
}

func TestContentIsAdded(t *testing.T) {
	p := newMujiPlay(t)
	voice, cam := [3]string{"voice", "audio", mujiAudio}, [3]string{"cam", "video", mujiVideo}
	p.says("ann", mujiElement(false, voice))
	p.comes("jim")
	p.shows("voice 96 opus")
	p.says("ann", mujiElement(true, voice))
	p.slow = true
	p.says("ann", mujiElement(false, voice, cam))
	p.shows("preparing", "voice 96 opus")
	shown := p.fences[0]
	p.slow = false
	p.do(func() { p.c.mujiShown(shown.shown, p.now) })
	p.settle()
	p.shows("voice 96 opus", "cam 98 VP8 99 rtx")
	if l := p.lines[mujiAddr("ann")]; len(p.called) != 1 || len(l.ended) != 0 {
		t.Errorf("%d are called, %d have ended", len(p.called), len(l.ended))
	}
}

func TestStrangeParticipants(t *testing.T) {
	notes := func(p *mujiPlay) (n int) {
		for _, e := range p.seen {
			if e, ok := e.(note); ok && e.event == "muji.reject" {
				n++
			}
		}
		return n
	}
	p := newMujiPlay(t)
	p.comes("jim")
	var many strings.Builder
	for n := range 2000 {
		fmt.Fprintf(&many, "<content xmlns='urn:xmpp:jingle:1' name='c%d'/>", n)
	}
	o := occupant("eve")
	for _, inner := range []string{many.String(), "<content name='a'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'><payload-type id='4711' name='opus'/></description></content>"} {
		p.seen = nil
		p.do(func() {
			p.c.mujiSays(&o, wire.ParseElem([]byte("<muji xmlns='urn:xmpp:jingle:muji:0'>"+inner+"</muji>")))
		})
		if notes(p) != 1 || len(p.c.muji.peers) != 0 {
			t.Errorf("%d notes, %d participants", notes(p), len(p.c.muji.peers))
		}
	}
	// Numbers mean what they meant to those who came first.
	p.says("ann", mujiElement(false, [3]string{"voice", "audio", mujiAudio}))
	p.seen = nil
	p.do(func() {
		p.c.mujiSays(&o, wire.ParseElem([]byte(mujiElement(false, [3]string{"voice", "audio", "<payload-type id='96' name='speex' clockrate='8000'/><payload-type id='111' name='opus' clockrate='48000'/>"}))))
	})
	if notes(p) != 1 {
		t.Errorf("%d notes", notes(p))
	}
	p.settle()
	p.shows("voice 96 opus")
	// A few take part.
	for n := range 2 * mujiMost {
		p.says(fmt.Sprint("p", n), mujiBoth)
	}
	if n := len(p.c.muji.peers); n != mujiMost {
		t.Errorf("%d participants", n)
	}
}

// Who comes and goes at will does not have the focus do so.
func TestMujiIsPaced(t *testing.T) {
	p := newMujiPlay(t)
	p.says("ann", mujiBoth)
	for range 100 {
		p.comes("jim")
		p.goes("jim")
	}
	if n := len(p.called); n < 2 || n > 2*mujiMost {
		t.Errorf("%d sessions were begun", n)
	}
	p.comes("jim")
	if p.c.muji.again.IsZero() {
		t.Error("it is not looked at again")
	}
	p.pass(2 * time.Second)
	p.settle()
	p.shows("voice 96 opus", "cam 98 VP8 99 rtx")
}

// The sessions are in the journal until they have ended, and are ended after the process was killed.
func TestMujiAfterTheProcessWasKilled(t *testing.T) {
	p := newMujiPlay(t)
	p.says("ann", mujiBoth)
	p.comes("jim")
	saved := p.c.saved()
	if saved.Muji == "" {
		t.Fatal("the journal does not know the session")
	}
	q := newMujiPlay(t)
	q.c.load(&saved)
	q.shown = "old"
	q.c.shown = p.shown
	a := occupant("ann")
	a.Jitsi, a.Open = false, true
	q.do(func() { q.c.resume(muc.RoomRestored{Shown: []byte(p.shown)}, q.now) })
	var broke []MujiSession
	for _, e := range q.seen {
		if e, ok := e.(mujiBroke); ok {
			broke = append(broke, e.session)
		}
	}
	if len(broke) != 1 || broke[0] != *p.called[0].Muji {
		t.Errorf("%+v is told to have ended, not %+v", broke, p.called[0].Muji)
	}
	q.settle()
	q.shows()
	if text := q.c.saved().Muji; text != "" {
		t.Errorf("the journal has %s", text)
	}
	p.goes("jim")
	if text := p.c.saved().Muji; text != "" {
		t.Errorf("the journal has %s", text)
	}
}
