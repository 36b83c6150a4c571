package focus

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"parley/bridge/api"
	"parley/jingle"
	"parley/muc"
)

// meshed has an occupant come, and be given the others one by one.
func (p *play) meshed(nick string, sends bool) *line {
	p.t.Helper()
	o, l := occupant(nick), new(line)
	p.do(func() { p.c.occurred(muc.OccupantJoined{Occupant: o}, p.now) })
	p.do(func() { p.c.meshed(o.Addr, sends, l) })
	p.hear()
	return l
}

// meshAnswer accepts a session of a mesh, on one transport.
func meshAnswer(j *jingle.Jingle, senders jingle.Senders) *jingle.Jingle {
	out := &jingle.Jingle{Action: jingle.SessionAccept, SID: j.SID, Groups: j.Groups}
	for _, c := range j.Contents {
		c.Senders, c.Transport = senders, theOffer(false).Contents[0].Transport
		c.Transport.Fingerprints[0].Setup = jingle.Active
		out.Contents = append(out.Contents, c)
	}
	return out
}

func (p *play) agree(nick string, answer *jingle.Jingle) {
	p.t.Helper()
	p.do(func() { p.c.agreed(p.c.members.of(nick), answer) })
	p.hear()
}

// offered takes the last session that a client was offered by Accepted.
func (l *line) offered(t testing.TB) *jingle.Jingle {
	t.Helper()
	if len(l.accepted) != 1 || len(l.ended) != 0 {
		t.Fatalf("%d offers, ends %+v", len(l.accepted), l.ended)
	}
	j := l.accepted[0]
	l.accepted = nil
	return j
}

// whose is the media stream id of each content of a session, and who sends.
func whose(j *jingle.Jingle) (list []string) {
	for _, c := range j.Contents {
		id := ""
		for _, s := range c.Description.Sources {
			for _, x := range s.Parameters {
				if x.Name == "msid" {
					id, _, _ = strings.Cut(x.Value, " ")
				}
			}
		}
		list = append(list, c.Name+" of "+id+" by "+string(c.Senders))
	}
	return list
}

// shows are the sources of the sessions of a member, by session: "*" for those of who speaks.
func (p *play) shows(nick string) (list []string) {
	for _, e := range p.endpointsOf(nick) {
		names := strings.Join(e.Receive.Names, " ")
		if !e.Receive.Chosen {
			names = "*"
		}
		list = append(list, names)
	}
	slices.Sort(list)
	return list
}

func same(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, not %q", what, got, want)
	}
}

func TestMeshGivesEachMemberASession(t *testing.T) {
	p := meet(t) // bob sends, zoe does not yet
	before := len(p.c.ssrcs)
	l := p.meshed("ann", true)
	main := l.offered(t)
	if len(main.Groups) != 1 || len(l.fed) != 0 {
		t.Fatalf("%d groups, %d more sessions", len(main.Groups), len(l.fed))
	}
	same(t, "the anchor's session", whose(main), []string{"audio of bob by both", "video of bob by both"})
	if setup := main.Contents[0].Transport.Fingerprints[0].Setup; setup != jingle.ActPass {
		t.Errorf("setup is %s", setup)
	}
	p.agree("ann", meshAnswer(main, jingle.Both))
	feed := l.next(t, jingle.SessionInitiate)
	same(t, "the other's session", whose(feed), []string{"audio of zoe by initiator", "video of zoe by initiator"})
	p.fed("ann", meshAnswer(feed, jingle.InitiatorSends))
	same(t, "of the bridge is wished", p.shows("ann"), []string{"", "bob-a0 bob-v0"})
	own := p.c.members.of("ann").wish
	if len(own) != 2 || own[0].Name != "ann-a0" && own[1].Name != "ann-a0" {
		t.Fatalf("the member sends %+v", own)
	}

	// What zoe sends comes without a word to the client; so does that it ends.
	if got := p.accept("zoe", 6000); got != "" {
		t.Fatal(got)
	}
	p.hear()
	same(t, "of the bridge is wished", p.shows("ann"), []string{"bob-a0 bob-v0", "zoe-a0 zoe-v0"})
	if len(l.fed)+len(l.accepted) != 0 {
		t.Errorf("the client is told %d and %d things", len(l.fed), len(l.accepted))
	}

	// The anchor goes: the next one is it, in a session anew, and what the client sends has the names and SSRCs that it had.
	p.leave("bob")
	p.hear()
	main = l.offered(t)
	same(t, "the new anchor's session", whose(main), []string{"audio of zoe by both", "video of zoe by both"})
	if end := l.next(t, jingle.SessionTerminate); end.SID != feed.SID {
		t.Errorf("%s ends, not %s", end.SID, feed.SID)
	}
	if now := p.c.members.of("ann").wish; fmt.Sprint(now) != fmt.Sprint(own) {
		t.Errorf("the member sends %v, not %v", now, own)
	}
	p.agree("ann", meshAnswer(main, jingle.Both))
	same(t, "of the bridge is wished", p.shows("ann"), []string{"zoe-a0 zoe-v0"})
	if now := p.c.members.of("ann").wish; fmt.Sprint(now) != fmt.Sprint(own) {
		t.Errorf("the member sends %v, not %v", now, own)
	}

	// Nobody is left: there is no session; then somebody comes.
	p.leave("zoe")
	p.hear()
	if n := len(p.endpointsOf("ann")); n != 0 || len(l.accepted) != 0 {
		t.Errorf("%d endpoints", n)
	}
	l.ended = nil
	p.join("eve", modern)
	p.hear()
	same(t, "the anchor's session", whose(l.offered(t)), []string{"audio of eve by both", "video of eve by both"})
	p.leave("eve")
	p.do(func() { p.c.unmeshed(occupant("ann").Addr) })
	p.leave("ann")
	if n := len(p.c.ssrcs); n >= before || len(p.c.calls) != 0 {
		t.Errorf("%d SSRCs are left of %d, %d calls", n, before, len(p.c.calls))
	}
}

func TestMeshOfThoseWhoSendNothing(t *testing.T) {
	p := meet(t)
	l := p.meshed("ann", false)
	main := l.offered(t)
	same(t, "the anchor's session", whose(main), []string{"audio of bob by initiator", "video of bob by initiator"})
	p.agree("ann", meshAnswer(main, jingle.InitiatorSends))
	if own := p.c.members.of("ann").wish; len(own) != 0 {
		t.Errorf("the member sends %+v", own)
	}
	same(t, "of the bridge is wished", p.shows("ann"), []string{"", "bob-a0 bob-v0"})

	// One who was asked, and refuses to send.
	l = p.meshed("dan", true)
	p.agree("dan", meshAnswer(l.offered(t), jingle.InitiatorSends))
	if own := p.c.members.of("dan").wish; len(own) != 0 {
		t.Errorf("the member sends %+v", own)
	}
	// One that takes the voice alone.
	l = p.meshed("eve", true)
	answer := meshAnswer(l.offered(t), jingle.Both)
	answer.Contents[1].Senders = jingle.RejectedContent
	p.agree("eve", answer)
	if own := p.c.members.of("eve").wish; len(own) != 1 || own[0].Kind != api.Audio {
		t.Errorf("the member sends %+v", own)
	}
}

func TestMeshOfManyShowsWhoSpeaks(t *testing.T) {
	p := meet(t)
	l := p.meshed("ann", true)
	p.agree("ann", meshAnswer(l.offered(t), jingle.Both))
	l.fed = nil
	for n := range meshMost - 2 {
		p.join(fmt.Sprintf("m%d", n), modern)
	}
	p.hear()
	if got := p.shows("ann"); len(got) != meshMost || slices.Contains(got, "*") {
		t.Fatalf("%q are shown", got)
	}
	l.fed = nil
	p.join("more", modern)
	p.hear()
	same(t, "with one more", p.shows("ann"), []string{"*"})
	if len(l.fed) != meshMost-1 || len(l.accepted) != 0 {
		t.Errorf("%d sessions end", len(l.fed))
	}
	l.fed = nil
	p.leave("more")
	p.hear()
	if got := p.shows("ann"); len(got) != meshMost || slices.Contains(got, "*") {
		t.Errorf("without it %q are shown", got)
	}
}

// A mesh that is not answered ends, and the caller may begin another one.
func TestMeshThatIsNotAnswered(t *testing.T) {
	p := meet(t)
	l := p.meshed("ann", true)
	l.offered(t)
	p.pass(callTime + acceptTime)
	p.hear()
	if len(l.ended) != 1 || len(p.endpointsOf("ann")) != 0 {
		t.Fatalf("ends %+v, endpoints %+v", l.ended, p.endpointsOf("ann"))
	}
	again := new(line)
	p.do(func() { p.c.meshed(occupant("ann").Addr, true, again) })
	p.hear()
	p.agree("ann", meshAnswer(again.offered(t), jingle.Both))
	if n := len(p.endpointsOf("ann")); n != 2 || len(l.ended) != 1 {
		t.Errorf("%d endpoints", n)
	}
	// The bridge is another one.
	p.do(func() { p.c.greeted(api.Hello{Bridge: "b2"}, p.now) })
	p.hear()
	if len(again.ended) != 1 {
		t.Errorf("ends %+v", again.ended)
	}
}
