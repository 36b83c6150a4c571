package focus

import (
	"slices"
	"testing"

	"parley/bridge/api"
	"parley/jingle"
)

// screenOffer is that of a session in which a client sends its screen.
func screenOffer() *jingle.Jingle {
	j := sendOffer(true)
	j.Contents = j.Contents[1:]
	j.Contents[0].Description.Categories = []string{jingle.Slides}
	return j
}

// share has a client that has called begin a further session.
func (p *play) share(nick string, number int, j *jingle.Jingle) *line {
	p.t.Helper()
	l := new(line)
	p.do(func() {
		k := p.c.calls[occupant(nick).Addr]
		k.raised = append(k.raised, newUplink(number, readOffer(p.t, j), l))
	})
	p.hear()
	return l
}

func (p *play) shared(nick string, number int, j *jingle.Jingle) {
	p.t.Helper()
	p.do(func() {
		m := p.c.members.of(nick)
		for _, u := range m.call.raised {
			if u.number == number {
				p.c.answerUplink(m, m.call, u, j)
				return
			}
		}
		p.t.Fatalf("there is no session %d", number)
	})
	p.hear()
}

// names are the sources of a member, as the bridge is told of them.
func (p *play) names(nick string) (list []string) {
	for _, e := range p.endpointsOf(nick) {
		for _, s := range e.Sources {
			list = append(list, s.Name)
		}
	}
	slices.Sort(list)
	return list
}

// A further session is an endpoint of the same member with sources of its own, and is brought to others by itself (XEP-0521 §4); it
// comes and goes without the first, and the first without it.
func TestFurtherSessions(t *testing.T) {
	p := meet(t)
	before := len(p.c.ssrcs)
	ann := p.call("ann", sendOffer(true))
	screen := p.share("ann", 1, screenOffer())
	if len(screen.accepted) != 1 || len(screen.ended) != 0 || len(ann.accepted) != 1 {
		t.Fatalf("%d answers, %d ends", len(screen.accepted), len(screen.ended))
	}
	answer := screen.accepted[0]
	if c := answer.Contents; len(c) != 1 || c[0].Name != "video" || c[0].Senders != jingle.InitiatorSends || len(c[0].Description.Sources) != 0 ||
		!slices.Equal(c[0].Description.Categories, []string{jingle.Slides}) {
		t.Errorf("the answer is %+v", c)
	}
	if got := p.names("ann"); !slices.Equal(got, []string{"ann-a0", "ann-v0", "ann-v1"}) {
		t.Errorf("the bridge is told of %q", got)
	}
	for _, e := range p.endpointsOf("ann") {
		for _, s := range e.Sources {
			if (s.VideoType == api.Desktop) != (s.Name == "ann-v1") || !s.Found || !e.Receive.Chosen || s.Name == "ann-v1" && (e.Member != "ann" || !e.Answers || e.Remote == nil) {
				t.Errorf("%+v of endpoint %+v", s, e)
			}
		}
	}
	// Candidates and directions are those of the session.
	p.shared("ann", 1, &jingle.Jingle{Action: jingle.TransportInfo, Contents: []jingle.Content{{Name: "video", Transport: &jingle.Transport{
		Candidates: []jingle.Candidate{{ID: "9", Component: 1, Foundation: "9", IP: "192.0.2.9", Port: 9000, Priority: 9, Protocol: "udp", Type: "host"}}}}}})
	for _, e := range p.endpointsOf("ann") {
		has := slices.ContainsFunc(e.Remote.Candidates, func(k api.Candidate) bool { return k.Port == 9000 })
		if has != slices.ContainsFunc(e.Sources, func(s api.Source) bool { return s.Name == "ann-v1" }) {
			t.Errorf("endpoint %s has candidates %+v", e.ID, e.Remote.Candidates)
		}
	}
	// The first session ends, and the call goes on.
	p.do(func() { p.c.reduce(p.c.members.of("ann"), []string{"audio", "video"}) })
	p.hear()
	if got := p.names("ann"); !slices.Equal(got, []string{"ann-v1"}) || len(ann.ended) != 0 {
		t.Errorf("sent is %q, the call ended %d times", got, len(ann.ended))
	}
	p.shared("ann", 1, &jingle.Jingle{Action: jingle.SessionTerminate})
	if len(ann.ended) != 1 || len(screen.ended) != 0 || len(p.endpointsOf("ann")) != 0 {
		t.Errorf("%d and %d ends, %d endpoints", len(ann.ended), len(screen.ended), len(p.endpointsOf("ann")))
	}
	p.leave("ann")
	if n := len(p.c.ssrcs); n > before {
		t.Errorf("%d SSRCs are left of %d", n, before)
	}
}

// Others are brought a further session in one of its own, which says what it shows.
func TestFurtherSessionsAreBroughtByThemselves(t *testing.T) {
	p := meet(t)
	l := p.attend("ann", sendOffer(true), "")
	l.fed = nil
	mine := p.share("ann", 1, screenOffer())
	if len(mine.accepted) != 1 || len(l.fed) != 0 {
		t.Fatalf("%d answers, %d said of what is its own", len(mine.accepted), len(l.fed))
	}
	if got := p.jingle("bob", jingle.SourceAdd, contents("", `<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='5005' name='bob-v1' videoType='desktop'><parameter name='msid' value='bob-v1 s'/></source>`)); got != "" {
		t.Fatal(got)
	}
	p.hear()
	j := l.next(t, jingle.SessionInitiate)
	if u := j.Conference.Users; len(u) != 1 || !slices.Equal(u[0].Media, []jingle.UserMedia{{ID: "video", Name: "screen", Type: "video"}}) {
		t.Errorf("it is said to be of %+v", u)
	}
	if len(j.Contents) != 1 || !slices.Equal(j.Contents[0].Description.Categories, []string{jingle.Slides}) {
		t.Errorf("the screen is brought as %+v", j.Contents)
	}
	// Bob is told of ann's screen as such.
	var told bool
	for _, s := range p.c.members.of("ann").shown.Video {
		told = told || s.Name == "ann-v1" && s.VideoType == api.Desktop
	}
	if !told {
		t.Errorf("others are told of %+v", p.c.members.of("ann").shown.Video)
	}
}

// A session that comes to nothing ends alone; with the call all end.
func TestFurtherSessionsEnd(t *testing.T) {
	begin := func(t *testing.T) (*play, *line, *line) {
		p := meet(t)
		l := p.attend("ann", sendOffer(true), "")
		return p, l, p.share("ann", 1, screenOffer())
	}
	last := func(p *play) api.Endpoint {
		for _, e := range p.endpointsOf("ann") {
			if len(e.Sources) > 0 && e.Sources[0].Name == "ann-v1" {
				return e
			}
		}
		return api.Endpoint{}
	}
	alone := func(t *testing.T, p *play, l, screen *line, why jingle.Condition) {
		t.Helper()
		if len(screen.ended) != 1 || screen.ended[0].Condition != why || len(l.ended) != 0 || slices.Contains(p.names("ann"), "ann-v1") || !slices.Contains(p.names("ann"), "ann-v0") {
			t.Errorf("it ended with %+v, the call with %+v, sent is %q", screen.ended, l.ended, p.names("ann"))
		}
	}
	t.Run("its way is lost", func(t *testing.T) {
		p, l, screen := begin(t)
		e := last(p)
		p.do(func() {
			p.c.state(&api.State{Conference: meeting, Endpoint: e.ID, Session: e.Session + 1, State: api.Failed}, p.now)
		})
		p.hear()
		if len(screen.ended) != 0 {
			t.Error("a transport that was ends the session")
		}
		p.do(func() {
			p.c.state(&api.State{Conference: meeting, Endpoint: e.ID, Session: e.Session, State: api.Failed}, p.now)
		})
		p.hear()
		alone(t, p, l, screen, jingle.ConnectivityError)
	})
	t.Run("the way of the first is lost", func(t *testing.T) {
		p, l, screen := begin(t)
		e := p.endpointsOf("ann")[0]
		if len(e.Sources) == 0 || e.Sources[0].Name != "ann-a0" {
			t.Fatalf("the first endpoint is %+v", e)
		}
		l.accepted = nil
		p.do(func() {
			p.c.state(&api.State{Conference: meeting, Endpoint: e.ID, Session: e.Session, State: api.Failed}, p.now)
		})
		p.hear()
		if len(l.accepted) != 1 || l.accepted[0].Action != jingle.SessionTerminate || l.accepted[0].Reason.Condition != jingle.ConnectivityError ||
			len(l.ended)+len(screen.ended) != 0 || !slices.Equal(p.names("ann"), []string{"ann-v1"}) {
			t.Errorf("it is told %+v; %d and %d ends, sent is %q", l.accepted, len(l.ended), len(screen.ended), p.names("ann"))
		}
	})
	t.Run("nothing is left in it", func(t *testing.T) {
		p, l, screen := begin(t)
		p.shared("ann", 1, &jingle.Jingle{Action: jingle.ContentRemove, Contents: []jingle.Content{{Name: "video"}}})
		alone(t, p, l, screen, jingle.Success)
	})
	t.Run("the bridge says nothing", func(t *testing.T) {
		p := meet(t)
		l := p.attend("ann", sendOffer(true), "")
		p.silent = true
		screen := p.share("ann", 1, screenOffer())
		p.pass(callTime)
		p.hear()
		alone(t, p, l, screen, jingle.Timeout)
	})
	t.Run("the bridge is lost", func(t *testing.T) {
		p, l, screen := begin(t)
		p.do(func() { p.c.found(api.Hello{Bridge: "b2"}, true, p.now) })
		p.hear()
		if len(screen.ended) != 1 || len(l.ended) != 1 || len(p.endpointsOf("ann")) != 0 {
			t.Errorf("%d and %d ends, %d endpoints", len(screen.ended), len(l.ended), len(p.endpointsOf("ann")))
		}
	})
	t.Run("the occupant leaves", func(t *testing.T) {
		p, l, screen := begin(t)
		p.leave("ann")
		p.hear()
		if len(screen.ended)+len(l.ended) != 0 || len(p.endpointsOf("ann")) != 0 {
			t.Errorf("%d and %d ends, %d endpoints", len(screen.ended), len(l.ended), len(p.endpointsOf("ann")))
		}
		for ssrc, owner := range p.c.ssrcs {
			if owner == "ann" {
				t.Errorf("SSRC %d is still of ann", ssrc)
			}
		}
	})
	t.Run("it pauses", func(t *testing.T) {
		p, _, _ := begin(t)
		p.shared("ann", 1, &jingle.Jingle{Action: jingle.ContentModify, Contents: []jingle.Content{{Name: "video", Senders: jingle.Nobody}}})
		if slices.Contains(p.names("ann"), "ann-v1") {
			t.Errorf("sent is %q", p.names("ann"))
		}
		p.shared("ann", 1, &jingle.Jingle{Action: jingle.ContentModify, Contents: []jingle.Content{{Name: "video", Senders: jingle.InitiatorSends}}})
		if !slices.Contains(p.names("ann"), "ann-v1") {
			t.Errorf("sent is %q", p.names("ann"))
		}
	})
}
