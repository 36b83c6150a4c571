package focus

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"parley/bridge/api"
	"parley/internal/limit"
	"parley/jingle"
)

// sending is an offer of which only the client sends.
func sendOffer(video bool) *jingle.Jingle {
	j := theOffer(video)
	for i := range j.Contents {
		j.Contents[i].Senders = jingle.InitiatorSends
	}
	return j
}

// attend has a client call that is brought each stream in a session of its own.
func (p *play) attend(nick string, j *jingle.Jingle, muji string) *line {
	p.t.Helper()
	l := p.call(nick, j)
	p.do(func() {
		k := p.c.calls[occupant(nick).Addr]
		k.every, k.muji, k.pace = true, muji, limit.NewBucket(feedRate)
	})
	p.hear()
	return l
}

// next is what the client was told next in sessions that bring streams: "ACTION SID", and the element.
func (l *line) next(t testing.TB, action jingle.Action) *jingle.Jingle {
	t.Helper()
	if len(l.fed) == 0 {
		t.Fatalf("nothing is said, not %s", action)
	}
	j := l.fed[0]
	l.fed = l.fed[1:]
	if j.Action != action {
		t.Fatalf("%s is said, not %s", j.Action, action)
	}
	return j
}

// fedAnswer accepts a session that brings a stream.
func fedAnswer(j *jingle.Jingle) *jingle.Jingle {
	out := &jingle.Jingle{Action: jingle.SessionAccept, SID: j.SID}
	for n, c := range j.Contents {
		c.Transport = theOffer(false).Contents[0].Transport
		c.Transport.Ufrag = fmt.Sprint("feed", n)
		c.Transport.Fingerprints[0].Setup = jingle.Active
		out.Contents = append(out.Contents, c)
	}
	return out
}

func (p *play) fed(nick string, j *jingle.Jingle) {
	p.t.Helper()
	p.do(func() {
		m := p.c.members.of(nick)
		for _, f := range m.call.feeds {
			if f.sid == j.SID && f.stage != barren {
				p.c.answerFeed(m, f, j)
				return
			}
		}
	})
	p.hear()
}

// brought are the endpoints of the bridge for the sessions that bring streams to a member, as "NAMES".
func (p *play) brought(nick string) (list []string) {
	for _, e := range p.wish.Endpoints {
		if e.Member == nick && strings.HasPrefix(e.ID, nick+".") && len(e.Sources) == 0 && e.Receive.Chosen && len(e.Receive.Names) > 0 {
			list = append(list, strings.Join(e.Receive.Names, " "))
		}
	}
	slices.Sort(list)
	return list
}

// meet has bob send a voice and a picture.
func meet(t *testing.T) *play {
	p := newPlay(t)
	p.join("bob", modern)
	p.join("zoe", modern)
	if got := p.accept("bob", 5000); got != "" {
		t.Fatal(got)
	}
	return p
}

func TestStreamsAreBroughtOneByOne(t *testing.T) {
	for name, bundle := range map[string]bool{"a transport for each medium": false, "one for all": true} {
		t.Run(name, func(t *testing.T) {
			p := meet(t)
			before := len(p.c.ssrcs)
			offer := sendOffer(true)
			if bundle {
				offer.Groups = []jingle.Group{{Semantics: "BUNDLE", Contents: []string{"audio", "video"}}}
			}
			l := p.attend("ann", offer, "")
			if len(l.accepted) != 1 || len(l.ended) != 0 {
				t.Fatalf("%d answers, %d ends", len(l.accepted), len(l.ended))
			}
			for _, c := range l.accepted[0].Contents {
				if c.Senders != jingle.InitiatorSends || len(c.Description.Sources) != 0 {
					t.Errorf("the answer promises %+v", c)
				}
			}
			j := l.next(t, jingle.SessionInitiate)
			if u := j.Conference.Users; !j.Conference.Focus || len(u) != 1 || u[0].Entity != "xmpp:"+string(room)+"/bob" || u[0].Name != "bob" || j.Muji != nil {
				t.Errorf("the stream is of %+v", j.Conference)
			}
			if len(j.Contents) != 2 || (len(j.Groups) == 1) != bundle {
				t.Fatalf("%d contents, groups %+v", len(j.Contents), j.Groups)
			}
			for _, c := range j.Contents {
				if c.Senders != jingle.InitiatorSends || len(c.Description.Sources) == 0 || c.Transport.Fingerprints[0].Setup != jingle.ActPass || c.Creator != jingle.Initiator {
					t.Errorf("offered is %+v", c)
				}
			}
			if err := j.Check(jingle.DefaultLimits); err != nil {
				t.Error(err)
			}
			want := []string{"bob-a0", "bob-v0"}
			if bundle {
				want = []string{"bob-a0 bob-v0"}
			}
			if got := p.brought("ann"); !slices.Equal(got, want) {
				t.Errorf("of the bridge is wished %q", got)
			}
			for _, e := range p.endpointsOf("ann") {
				if !e.Receive.Single || !e.Receive.Chosen || len(e.Receive.Names) == 0 != e.Answers {
					t.Errorf("endpoint %+v", e)
				}
			}
			p.fed("ann", fedAnswer(j))
			for range 2 { // the presence does not say that it is heard
				if i := l.next(t, jingle.SessionInfo); i.Info.Kind != jingle.Mute || i.SID != j.SID {
					t.Errorf("%+v", i.Info)
				}
			}
			for _, e := range p.endpointsOf("ann") {
				if e.Remote == nil || len(e.Receive.Payloads) == 0 {
					t.Errorf("endpoint %+v", e)
				}
			}
			// Another one comes, whose stream is a session too; nobody gets what is its own.
			if got := p.accept("zoe", 6000); got != "" {
				t.Fatal(got)
			}
			p.hear()
			second := l.next(t, jingle.SessionInitiate)
			p.fed("ann", fedAnswer(second))
			l.fed = nil
			if n := len(p.c.members.of("ann").call.feeds); n != 2 {
				t.Fatalf("%d sessions", n)
			}
			// A source goes, then its owner, then who was brought them.
			if got := p.jingle("bob", jingle.SourceRemove, contents("", camera("bob", 5001))); got != "" {
				t.Fatal(got)
			}
			p.hear()
			if gone := l.next(t, jingle.ContentRemove); len(gone.Contents) != 1 || gone.Contents[0].Name != "video" || gone.SID != j.SID {
				t.Errorf("gone is %+v", gone)
			}
			p.leave("bob")
			p.hear()
			if end := l.next(t, jingle.SessionTerminate); end.SID != j.SID {
				t.Errorf("the session %s ends, not %s", end.SID, j.SID)
			}
			p.leave("ann")
			p.hear()
			if end := l.next(t, jingle.SessionTerminate); end.SID != second.SID {
				t.Errorf("the session %s ends, not %s", end.SID, second.SID)
			}
			p.leave("zoe")
			if n := len(p.c.ssrcs); n > before || len(l.fed) != 0 {
				t.Errorf("%d SSRCs are left of %d; %d more is said", n, before, len(l.fed))
			}
		})
	}
}

// Whoever does not want a stream, or cannot take it, is not asked for ever.
func TestStreamsThatComeToNothing(t *testing.T) {
	begin := func(t *testing.T) (*play, *line, *jingle.Jingle) {
		p := meet(t)
		l := p.attend("ann", sendOffer(false), "")
		return p, l, l.next(t, jingle.SessionInitiate)
	}
	silent := func(t *testing.T, p *play, l *line) {
		t.Helper()
		p.pass(callTime + acceptTime)
		p.pass(callTime + acceptTime)
		p.hear()
		if len(l.fed) != 0 || len(l.ended) != 0 || len(p.brought("ann")) != 0 {
			t.Errorf("it is told %d things, the call ended %d times, wished is %q", len(l.fed), len(l.ended), p.brought("ann"))
		}
	}
	t.Run("refused", func(t *testing.T) {
		p, l, j := begin(t)
		p.fed("ann", &jingle.Jingle{Action: jingle.SessionTerminate, SID: j.SID})
		silent(t, p, l)
		if got := p.jingle("bob", jingle.SourceRemove, contents(microphone("bob", 5000), camera("bob", 5001))); got != "" {
			t.Fatal(got)
		}
		if got := p.jingle("bob", jingle.SourceAdd, contents(microphone("bob", 5000), "")); got != "" {
			t.Fatal(got)
		}
		p.hear()
		l.next(t, jingle.SessionInitiate)
	})
	t.Run("no answer", func(t *testing.T) {
		p, l, j := begin(t)
		p.pass(callTime + acceptTime)
		p.hear()
		if end := l.next(t, jingle.SessionTerminate); end.SID != j.SID || end.Reason.Condition != jingle.Timeout {
			t.Errorf("%+v", end)
		}
		if again := l.next(t, jingle.SessionInitiate); again.SID == j.SID {
			t.Error("the session has the id of the one before")
		}
		p.pass(callTime + acceptTime)
		p.hear()
		l.next(t, jingle.SessionTerminate)
		silent(t, p, l)
	})
	t.Run("no codec", func(t *testing.T) {
		p, l, j := begin(t)
		answer := fedAnswer(j)
		for i := range answer.Contents {
			d := *answer.Contents[i].Description
			d.PayloadTypes = []jingle.PayloadType{payloadType(8, "PCMA", 8000)}
			answer.Contents[i].Description = &d
		}
		p.fed("ann", answer)
		if end := l.next(t, jingle.SessionTerminate); end.Reason.Condition != jingle.FailedApplication {
			t.Errorf("%+v", end.Reason)
		}
		silent(t, p, l)
	})
	t.Run("it would send", func(t *testing.T) {
		p, l, j := begin(t)
		answer := fedAnswer(j)
		for i := range answer.Contents {
			answer.Contents[i].Senders = jingle.Both
		}
		p.fed("ann", answer)
		l.next(t, jingle.SessionTerminate)
		silent(t, p, l)
	})
	t.Run("no encryption", func(t *testing.T) {
		p, l, j := begin(t)
		for range feedTries {
			answer := fedAnswer(j)
			for i := range answer.Contents {
				answer.Contents[i].Transport.Fingerprints = nil
			}
			p.fed("ann", answer)
			if end := l.next(t, jingle.SessionTerminate); end.Reason.Condition != jingle.SecurityError {
				t.Errorf("%+v", end.Reason)
			}
			if len(l.fed) > 0 {
				j = l.next(t, jingle.SessionInitiate)
			}
		}
		silent(t, p, l)
	})
	t.Run("one medium", func(t *testing.T) {
		p, l, j := begin(t)
		answer := fedAnswer(j)
		answer.Contents = answer.Contents[:1]
		p.fed("ann", answer)
		if got := p.brought("ann"); len(got) != 1 {
			t.Errorf("wished is %q", got)
		}
		l.fed = nil
		p.fed("ann", &jingle.Jingle{Action: jingle.ContentRemove, SID: j.SID, Contents: []jingle.Content{{Name: answer.Contents[0].Name}}})
		l.next(t, jingle.SessionTerminate)
		silent(t, p, l)
	})
	t.Run("the way is lost", func(t *testing.T) {
		p, l, j := begin(t)
		p.fed("ann", fedAnswer(j))
		l.fed = nil
		var id string
		var number int
		for _, e := range p.wish.Endpoints {
			if strings.HasPrefix(e.ID, "ann.") {
				id, number = e.ID, e.Session
			}
		}
		p.do(func() {
			p.c.state(&api.State{Conference: meeting, Endpoint: id, Session: number + 1, State: api.Failed}, p.now)
		})
		p.hear()
		if len(l.fed) != 0 {
			t.Errorf("a transport that was ends the session: %+v", l.fed[0])
		}
		p.do(func() {
			p.c.state(&api.State{Conference: meeting, Endpoint: id, Session: number, State: api.Failed}, p.now)
		})
		p.hear()
		l.next(t, jingle.SessionTerminate)
		l.next(t, jingle.SessionInitiate)
	})
	t.Run("the bridge is lost", func(t *testing.T) {
		p, l, j := begin(t)
		p.do(func() { p.c.found(api.Hello{Bridge: "b2"}, true, p.now) })
		p.hear()
		if end := l.next(t, jingle.SessionTerminate); end.SID != j.SID || len(l.ended) != 1 {
			t.Errorf("%+v, the call ended %d times", end, len(l.ended))
		}
	})
}

// However many send, and however often their sources come and go, a client gets a bounded number of sessions.
func TestStreamsAreBounded(t *testing.T) {
	p := newPlay(t)
	for n := range feedsMost + 5 {
		nick := fmt.Sprintf("m%d", n)
		p.join(nick, modern)
		if n > 0 {
			continue
		}
	}
	for n := range feedsMost + 5 {
		if got := p.accept(fmt.Sprintf("m%d", n), uint32(1000+10*n)); got != "" {
			t.Fatal(got)
		}
	}
	p.seen = nil
	l := p.attend("ann", sendOffer(false), "")
	if n := len(l.fed); n != feedsMost {
		t.Errorf("%d sessions", n)
	}
	q := meet(t)
	l = q.attend("ann", sendOffer(false), "")
	voice := contents(microphone("bob", 5000), "")
	for range 3 * feedsMost {
		if got := q.jingle("bob", jingle.SourceRemove, voice); got != "" {
			t.Fatal(got)
		}
		if got := q.jingle("bob", jingle.SourceAdd, voice); got != "" {
			t.Fatal(got)
		}
	}
	q.hear()
	begun := 0
	for _, j := range l.fed {
		if j.Action == jingle.SessionInitiate {
			begun++
		}
	}
	if begun > feedsMost {
		t.Errorf("%d sessions were begun at once", begun)
	}
	for range 3 {
		q.pass(feedAgain)
	}
	q.hear()
	if got := q.brought("ann"); !slices.Contains(got, "bob-a0") {
		t.Errorf("after a while it is brought %q", got)
	}
}

// In a conference of a chat room the contents have the names that the client has given them there (XEP-0272 §3).
func TestStreamsOfAMujiRoom(t *testing.T) {
	p := meet(t)
	offer := sendOffer(false)
	offer.Contents[0].Name = "voice"
	l := p.attend("ann", offer, string(room))
	j := l.next(t, jingle.SessionInitiate)
	if j.Muji == nil || j.Muji.Room != string(room) || j.Content("voice") == nil || j.Content("video") == nil {
		t.Errorf("%+v", j)
	}
}

// Whose a stream is, the session says by the address that everybody in the room may know.
func TestWhoseStream(t *testing.T) {
	o := occupant("b o/b")
	o.Addr = "b%x@x.net/1"
	for open, want := range map[bool]string{true: "xmpp:b%25x@x.net", false: "xmpp:" + string(room) + "/b%20o%2Fb"} {
		o.Open = open
		m := member{endpoint: o.Nick, addr: o.Addr, last: o}
		if u := m.user(); u.Entity != want || u.Name != o.Nick {
			t.Errorf("%+v, not %s", u, want)
		}
	}
	if got := uriOf("x.net/a b"); got != "xmpp:x.net/a%20b" {
		t.Error(got)
	}
}
