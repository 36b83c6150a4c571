package focus

import (
	"slices"
	"strings"
	"testing"
	"time"

	"parley/bridge/api"
	"parley/jingle"
	"parley/muc"
	"parley/xmpp/wire"
)

// line is a Caller that keeps what it is told.
type line struct {
	accepted []*jingle.Jingle
	ended    []*jingle.Reason
	fed      []*jingle.Jingle
}

func (l *line) Accepted(j *jingle.Jingle) { l.accepted = append(l.accepted, j) }
func (l *line) Feed(j *jingle.Jingle)     { l.fed = append(l.fed, j) }
func (l *line) Ended(why *jingle.Reason)  { l.ended = append(l.ended, why) }

// hear carries out what the conference tells callers.
func (p *play) hear() {
	for _, e := range p.seen {
		switch e := e.(type) {
		case tell:
			e.do(nil, nil, nil)
		case bring:
			e.do(nil, nil, nil)
		}
	}
	p.seen = nil
}

func payloadType(id uint8, name string, clock int, parameters ...jingle.Parameter) jingle.PayloadType {
	return jingle.PayloadType{ID: id, Name: name, ClockRate: clock, Parameters: parameters}
}

// theOffer is what a client with a transport for each content offers, as Dino does.
func theOffer(video bool) *jingle.Jingle {
	transport := func(ufrag string) *jingle.Transport {
		return &jingle.Transport{Ufrag: ufrag, Password: "rmFZXbZzKTCbDCSCrxeXQmcb", Fingerprints: []jingle.Fingerprint{{Hash: "sha-256", Value: print, Setup: jingle.ActPass}},
			Candidates: []jingle.Candidate{
				{ID: "1", Component: 1, Foundation: "1", IP: "192.0.2.7", Port: 5000, Priority: 1, Protocol: "udp", Type: "host"},
				{ID: "2", Component: 2, Foundation: "1", IP: "192.0.2.7", Port: 5001, Priority: 1, Protocol: "udp", Type: "host"},
				{ID: "3", Component: 1, Foundation: "2", IP: "example.local", Port: 5002, Priority: 1, Protocol: "udp", Type: "host"},
			}}
	}
	j := &jingle.Jingle{Action: jingle.SessionInitiate, SID: "s", Contents: []jingle.Content{{
		Creator: jingle.Initiator, Name: "audio", Senders: jingle.Both, Transport: transport("aaaa"), Description: &jingle.Description{Media: "audio", RTCPMux: true,
			PayloadTypes: []jingle.PayloadType{payloadType(9, "G722", 8000), payloadType(96, "opus", 48000)}},
	}}}
	if video {
		fb := []jingle.Feedback{{Type: "goog-remb"}, {Type: "ccm", Subtype: "fir"}, {Type: "nack"}, {Type: "nack", Subtype: "pli"}, {Type: "nack", Subtype: "rpsi"}}
		vp8 := payloadType(98, "VP8", 90000)
		vp8.Feedback = fb
		j.Contents = append(j.Contents, jingle.Content{
			Creator: jingle.Initiator, Name: "video", Senders: jingle.Both, Transport: transport("vvvv"), Description: &jingle.Description{Media: "video", RTCPMux: true,
				PayloadTypes:     []jingle.PayloadType{payloadType(97, "VP9", 90000), vp8, payloadType(99, "rtx", 90000, jingle.Parameter{Name: "apt", Value: "98"})},
				HeaderExtensions: []jingle.HeaderExtension{{ID: 1, URI: "urn:3gpp:video-orientation", Senders: jingle.Both}, {ID: 2, URI: "urn:x:unknown", Senders: jingle.Both}}},
		})
	}
	return j
}

func readOffer(t testing.TB, j *jingle.Jingle) *Offer {
	t.Helper()
	o, why := ReadOffer(j)
	if why != nil {
		t.Fatalf("the offer is refused: %+v", why)
	}
	return o
}

// call has an ordinary client call and its occupant enter.
func (p *play) call(nick string, j *jingle.Jingle) *line {
	p.t.Helper()
	o, l := occupant(nick), new(line)
	p.do(func() {
		p.c.calls = map[wire.Addr]*call{o.Addr: p.c.newCall(o.Addr, readOffer(p.t, j), l)}
	})
	p.do(func() { p.c.occurred(muc.OccupantJoined{Occupant: o}, p.now) })
	p.hear()
	return l
}

func (p *play) endpointsOf(member string) (list []api.Endpoint) {
	for _, e := range p.wish.Endpoints {
		if e.ID == member || e.Member == member {
			list = append(list, e)
		}
	}
	return list
}

func TestCallIsAnswered(t *testing.T) {
	p := newPlay(t)
	p.tcp = true
	p.join("bob", modern)
	l := p.call("ann", theOffer(true))
	if len(l.accepted) != 1 || len(l.ended) != 0 {
		t.Fatalf("%d answers, %d ends", len(l.accepted), len(l.ended))
	}
	answer := l.accepted[0]
	if len(answer.Contents) != 2 || len(answer.Groups) != 0 {
		t.Fatalf("%d contents, %d groups", len(answer.Contents), len(answer.Groups))
	}
	codecs := map[string]string{"audio": "opus", "video": "VP8 rtx"}
	for _, c := range answer.Contents {
		var names []string
		for _, pt := range c.Description.PayloadTypes {
			names = append(names, pt.Name)
		}
		if got := strings.Join(names, " "); got != codecs[c.Name] {
			t.Errorf("%s is answered with %s", c.Name, got)
		}
		if f := c.Transport.Fingerprints; len(f) != 1 || f[0].Setup != jingle.Active || f[0].Required {
			t.Errorf("fingerprints %+v", f)
		}
		if len(c.Transport.Candidates) != 1 || c.Transport.Candidates[0].Protocol != "udp" || len(c.Transport.WebSockets) != 0 || len(c.Description.Sources) == 0 {
			t.Errorf("%s: %+v %+v", c.Name, c.Transport, c.Description)
		}
	}
	video := answer.Content("video").Description
	if want := []jingle.Feedback{{Type: "goog-remb"}, {Type: "ccm", Subtype: "fir"}, {Type: "nack"}, {Type: "nack", Subtype: "pli"}}; !slices.Equal(video.PayloadTypes[0].Feedback, want) {
		t.Errorf("feedback %+v", video.PayloadTypes[0].Feedback)
	}
	if len(video.HeaderExtensions) != 1 || video.HeaderExtensions[0].ID != 1 || len(video.SourceGroups) != 1 {
		t.Errorf("header extensions %+v, groups %+v", video.HeaderExtensions, video.SourceGroups)
	}
	// The bridge: an endpoint for each transport, of one member.
	parts := p.endpointsOf("ann")
	if len(parts) != 2 || parts[0].ID != "ann" || parts[0].Member != "" || parts[1].Member != "ann" {
		t.Fatalf("%+v", parts)
	}
	for i, e := range parts {
		if !e.Answers || !e.Receive.Single || e.Remote.Setup != "passive" || len(e.Remote.Candidates) != 1 || len(e.Sources) != 1 || !e.Sources[0].Found {
			t.Errorf("endpoint %+v, remote %+v", e, e.Remote)
		}
		media := []string{"audio", "video"}[i]
		if e.Sources[0].Kind != media || e.Sources[0].Name != "ann-"+media[:1]+"0" {
			t.Errorf("%s sends %+v", e.ID, e.Sources)
		}
		ours := answer.Content(media).Description.Sources[0].SSRC
		if e.Receive.AudioSSRC != ours && media == "audio" || e.Receive.VideoSSRC != ours && media == "video" {
			t.Errorf("%s: %+v, and %d in the answer", e.ID, e.Receive, ours)
		}
	}
	// Others are told of it as of any other member.
	p.accept("bob", 5000)
	owners := make(map[string]int)
	for _, owner := range p.told["bob"] {
		owners[owner]++
	}
	if owners["ann"] != 3 {
		t.Errorf("bob is told of %v", owners)
	}
	if p.c.gate != SFU {
		t.Errorf("the gate is %s", p.c.gate)
	}
	p.do(func() { p.c.leave("ann") })
	if len(p.endpointsOf("ann")) != 0 || len(p.c.calls) != 0 || len(l.ended) != 0 {
		t.Errorf("%d endpoints and %d calls are left, %d ends told", len(p.endpointsOf("ann")), len(p.c.calls), len(l.ended))
	}
	for ssrc, owner := range p.c.ssrcs {
		if owner == "ann" || owner == bridgeOwner && ssrc != p.c.audioSSRC && ssrc != p.c.videoSSRC {
			t.Errorf("SSRC %d is still of %s", ssrc, owner)
		}
	}
}

// Who calls an empty room is in the meeting and waits there.
func TestCallOfAnEmptyRoom(t *testing.T) {
	p := newPlay(t)
	l := p.call("ann", theOffer(false))
	if len(l.accepted) != 1 {
		t.Fatal("no answer")
	}
	p.pass(10 * loneliness)
	p.hear()
	if len(l.ended) != 0 || len(p.endpointsOf("ann")) != 1 {
		t.Errorf("ended with %+v, %d endpoints", l.ended, len(p.endpointsOf("ann")))
	}
}

func TestBundleIsOneTransport(t *testing.T) {
	p := newPlay(t)
	j := theOffer(true)
	j.Groups = []jingle.Group{{Semantics: "BUNDLE", Contents: []string{"audio", "video"}}}
	l := p.call("ann", j)
	if len(l.accepted) != 1 || len(l.accepted[0].Groups) != 1 || !slices.Equal(l.accepted[0].Groups[0].Contents, []string{"audio", "video"}) {
		t.Fatalf("%+v", l.accepted)
	}
	if e := p.endpointsOf("ann"); len(e) != 1 || len(e[0].Sources) != 2 || len(e[0].Receive.Payloads) != 3 {
		t.Errorf("%+v", e)
	}
}

// Video that comes later is a transport of its own, answered by itself; what is taken away is gone.
func TestContentsComeAndGo(t *testing.T) {
	p := newPlay(t)
	l := p.call("ann", theOffer(false))
	addr := occupant("ann").Addr
	more := theOffer(true)
	more.Contents = more.Contents[1:]
	more.Contents[0].Senders = jingle.InitiatorSends
	p.do(func() { p.c.extend(p.c.caller(addr), readOffer(t, more)) })
	p.hear()
	if len(l.accepted) != 2 || len(l.accepted[1].Contents) != 1 || l.accepted[1].Contents[0].Name != "video" {
		t.Fatalf("%+v", l.accepted)
	}
	if e := p.endpointsOf("ann"); len(e) != 2 || len(e[1].Sources) != 1 {
		t.Fatalf("%+v", e)
	}
	p.do(func() { p.c.reduce(p.c.caller(addr), []string{"video"}) })
	if e := p.endpointsOf("ann"); len(e) != 1 || len(p.c.caller(addr).sources.Video) != 0 {
		t.Errorf("%+v", e)
	}
	p.do(func() { p.c.reduce(p.c.caller(addr), []string{"audio"}) })
	p.hear()
	if len(l.ended) != 1 || len(p.endpointsOf("ann")) != 0 {
		t.Errorf("%+v", l.ended)
	}
}

// The endpoint that speaks has the member's name, whatever the order of the offer; a second picture is left out.
func TestOrderOfContents(t *testing.T) {
	p := newPlay(t)
	j := theOffer(true)
	second := j.Contents[1]
	second.Name = "screen"
	j.Contents = []jingle.Content{j.Contents[1], second, j.Contents[0]}
	l := p.call("ann", j)
	if len(l.accepted) != 1 || len(l.accepted[0].Contents) != 2 || l.accepted[0].Content("screen") != nil {
		t.Fatalf("%+v", l.accepted)
	}
	if e := p.endpointsOf("ann"); len(e) != 2 || e[0].ID != "ann" || e[0].Sources[0].Kind != api.Audio {
		t.Errorf("%+v", e)
	}
}

// Calls end with the process: nothing of them is written down.
func TestCallsAreNotInTheJournal(t *testing.T) {
	p := newPlay(t)
	p.c.written.on = true
	p.join("bob", modern)
	p.call("ann", theOffer(true))
	for _, r := range p.tape {
		if strings.Contains(string(r), `"Endpoint":"ann"`) {
			t.Errorf("%s", r)
		}
	}
	if len(p.tape) == 0 {
		t.Error("nothing is written at all")
	}
}

// News of a transport that was replaced are none.
func TestNewsOfAnotherSession(t *testing.T) {
	p := newPlay(t)
	l := p.call("ann", theOffer(true))
	e := p.endpointsOf("ann")[0]
	p.do(func() {
		p.c.state(&api.State{Conference: meeting, Endpoint: e.ID, Session: e.Session + 7, State: api.Failed, Reason: "timeout"}, p.now)
	})
	p.hear()
	if len(l.ended) != 0 {
		t.Errorf("%+v", l.ended[0])
	}
}

func TestCallsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		happens   func(*play)
		condition jingle.Condition
	}{
		"transport failed": {func(p *play) {
			e := p.endpointsOf("ann")[1]
			p.do(func() {
				p.c.state(&api.State{Conference: meeting, Endpoint: e.ID, Session: e.Session, State: api.Failed, Reason: "connectivity-error"}, p.now)
			})
		}, jingle.ConnectivityError},
		"wrong certificate (HB4)": {func(p *play) {
			e := p.endpointsOf("ann")[0]
			p.do(func() {
				p.c.state(&api.State{Conference: meeting, Endpoint: e.ID, Session: e.Session, State: api.Failed, Reason: "security-error"}, p.now)
			})
		}, jingle.SecurityError},
		"another bridge": {func(p *play) {
			p.do(func() { p.c.greeted(api.Hello{Bridge: "b2"}, p.now) })
		}, jingle.ConnectivityError},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t)
			l := p.call("ann", theOffer(true))
			c.happens(p)
			p.hear()
			if len(l.ended) != 1 || l.ended[0].Condition != c.condition || len(p.endpointsOf("ann")) != 0 {
				t.Errorf("%+v, %d endpoints", l.ended, len(p.endpointsOf("ann")))
			}
			p.pass(time.Minute)
			p.hear()
			if len(l.accepted) != 1 || len(l.ended) != 1 {
				t.Errorf("%d answers, %d ends", len(l.accepted), len(l.ended))
			}
		})
	}
}

func TestCallWithoutBridgeEnds(t *testing.T) {
	p := newPlay(t)
	p.silent = true
	l := p.call("ann", theOffer(true))
	p.pass(callTime)
	p.hear()
	if len(l.accepted) != 0 || len(l.ended) != 1 || l.ended[0].Condition != jingle.GeneralError {
		t.Errorf("%d answers, ends %+v", len(l.accepted), l.ended)
	}
}

func TestOffersThatCannotBeTaken(t *testing.T) {
	for name, c := range map[string]struct {
		change    func(*jingle.Jingle)
		condition jingle.Condition
	}{
		"no transport": {func(j *jingle.Jingle) { j.Contents[0].Transport = nil }, jingle.UnsupportedTransports},
		"no RTP":       {func(j *jingle.Jingle) { j.Contents[0].Description = nil }, jingle.UnsupportedApplications},
		"no common codec": {func(j *jingle.Jingle) {
			j.Contents[0].Description.PayloadTypes = j.Contents[0].Description.PayloadTypes[:1]
		}, jingle.FailedApplication},
		"SDES alone (HB4)":   {func(j *jingle.Jingle) { j.Contents[0].Transport.Fingerprints = nil }, jingle.SecurityError},
		"a weak hash (HB4)":  {func(j *jingle.Jingle) { j.Contents[0].Transport.Fingerprints[0].Hash = "sha-1" }, jingle.SecurityError},
		"no side for DTLS":   {func(j *jingle.Jingle) { j.Contents[0].Transport.Fingerprints[0].Setup = jingle.HoldConn }, jingle.SecurityError},
		"no ICE credentials": {func(j *jingle.Jingle) { j.Contents[0].Transport.Ufrag = "" }, jingle.FailedTransport},
	} {
		t.Run(name, func(t *testing.T) {
			j := theOffer(false)
			c.change(j)
			if o, why := ReadOffer(j); o != nil || why == nil || why.Condition != c.condition {
				t.Errorf("%+v, %+v", o, why)
			}
		})
	}
}

// Candidates that a caller finds later reach the bridge, those of another generation and those that are no addresses do not.
func TestCandidatesOfACall(t *testing.T) {
	p := newPlay(t)
	p.call("ann", theOffer(true))
	found := func(content, ufrag, ip string) {
		p.do(func() {
			p.c.trickle(occupant("ann").Addr, []jingle.Content{{Name: content, Transport: &jingle.Transport{Ufrag: ufrag, Candidates: []jingle.Candidate{
				{Component: 1, Foundation: "3", IP: ip, Port: 5000, Priority: 1, Protocol: "udp", Type: "host"}}}}})
		})
	}
	found("video", "vvvv", "192.0.2.8")
	found("video", "vvvv", "192.0.2.8")
	found("video", "aaaa", "192.0.2.9")
	found("video", "vvvv", "0.0.0.0")
	found("screen", "vvvv", "192.0.2.10")
	parts := p.endpointsOf("ann")
	if a, v := parts[0].Remote.Candidates, parts[1].Remote.Candidates; len(a) != 1 || len(v) != 2 || v[1].IP != "192.0.2.8" {
		t.Errorf("audio %+v, video %+v", a, v)
	}
}

// A room calls somebody: the offer has a transport for each content, and what the client answers is what the bridge is told.
func TestRoomCallsSomebody(t *testing.T) {
	p := newPlay(t)
	p.join("bob", modern)
	o, l := occupant("ann"), new(line)
	p.do(func() { p.c.calls = map[wire.Addr]*call{o.Addr: p.c.newCall(o.Addr, OwnOffer(), l)} })
	p.do(func() { p.c.occurred(muc.OccupantJoined{Occupant: o}, p.now) })
	p.hear()
	if len(l.accepted) != 1 || len(l.accepted[0].Contents) != 2 || len(l.accepted[0].Groups) != 0 {
		t.Fatalf("%+v", l.accepted)
	}
	for _, c := range l.accepted[0].Contents {
		if c.Transport.Fingerprints[0].Setup != jingle.ActPass {
			t.Errorf("the setup of the offer is %s", c.Transport.Fingerprints[0].Setup)
		}
	}
	for _, e := range p.endpointsOf("ann") {
		if e.Answers || e.Remote != nil || len(e.Sources) != 0 {
			t.Errorf("before the answer: %+v", e)
		}
	}
	answer := theOffer(true)
	for i := range answer.Contents {
		c := &answer.Contents[i]
		c.Transport.Fingerprints[0].Setup = jingle.Active
		c.Description.PayloadTypes = l.accepted[0].Contents[i].Description.PayloadTypes[:1]
		c.Description.HeaderExtensions = nil
	}
	p.do(func() { p.c.agreed(p.c.caller(o.Addr), answer) })
	parts := p.endpointsOf("ann")
	if len(parts) != 2 {
		t.Fatalf("%+v", parts)
	}
	for i, e := range parts {
		if e.Remote == nil || e.Remote.Setup != "active" || len(e.Sources) != 1 || e.Sources[0].Kind != []string{"audio", "video"}[i] || len(e.Receive.Payloads) != 1 {
			t.Errorf("%+v, remote %+v", e, e.Remote)
		}
	}
	p.accept("bob", 5000)
	n := 0
	for _, owner := range p.told["bob"] {
		if owner == "ann" {
			n++
		}
	}
	if n != 3 {
		t.Errorf("bob is told of %d SSRCs of ann's", n)
	}
	p.pass(time.Hour)
	p.hear()
	if len(l.ended) != 0 {
		t.Errorf("ended: %+v", l.ended[0])
	}
}

// What is offered over one transport is one endpoint of the bridge, and what the client refuses of it is left out.
func TestRoomCallsOverOneTransport(t *testing.T) {
	for name, kinds := range map[string][]string{"both": {"audio", "video"}, "no video": {"audio"}, "no audio": {"video"}} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t)
			o, l := occupant("ann"), new(line)
			p.do(func() { p.c.calls = map[wire.Addr]*call{o.Addr: p.c.newCall(o.Addr, BundledOffer(), l)} })
			p.do(func() { p.c.occurred(muc.OccupantJoined{Occupant: o}, p.now) })
			p.hear()
			offer := l.accepted[0]
			if len(offer.Contents) != 2 || len(offer.Groups) != 1 || len(offer.Groups[0].Contents) != 2 {
				t.Fatalf("%+v", offer)
			}
			answer := theOffer(true)
			for i := range answer.Contents {
				c := &answer.Contents[i]
				c.Transport.Ufrag, c.Transport.Password = "same", "samesamesamesamesamesame"
				c.Transport.Fingerprints[0].Setup = jingle.Active
				c.Description.PayloadTypes = offer.Contents[i].Description.PayloadTypes
				if !slices.Contains(kinds, c.Description.Media) {
					c.Senders = jingle.RejectedContent
				}
			}
			p.do(func() { p.c.agreed(p.c.caller(o.Addr), answer) })
			parts := p.endpointsOf("ann")
			if len(parts) != 1 || parts[0].Remote == nil || parts[0].Remote.Ufrag != "same" {
				t.Fatalf("%+v", parts)
			}
			var sent []string
			for _, s := range parts[0].Sources {
				sent = append(sent, s.Kind)
			}
			if r := parts[0].Receive; !slices.Equal(sent, kinds) || len(kinds) == 1 && r.AudioSSRC != r.VideoSSRC || len(kinds) == 2 && len(r.Payloads) != 9 {
				t.Errorf("it sends %v, receives %+v", sent, r)
			}
		})
	}
}

// Who does not answer is not waited for, and who has no codec is told so.
func TestRoomCallsInVain(t *testing.T) {
	for name, c := range map[string]struct {
		answers   func(*play, *member, *jingle.Jingle)
		condition jingle.Condition
	}{
		"no answer": {func(p *play, _ *member, _ *jingle.Jingle) { p.pass(callTime + acceptTime) }, jingle.GeneralError},
		"no codec": {func(p *play, m *member, _ *jingle.Jingle) {
			p.do(func() { p.c.agreed(m, theOffer(true)) })
		}, jingle.FailedApplication},
		"no fingerprint (HB4)": {func(p *play, m *member, offer *jingle.Jingle) {
			answer := theOffer(true)
			for i := range answer.Contents {
				answer.Contents[i].Description.PayloadTypes = offer.Contents[i].Description.PayloadTypes
				answer.Contents[i].Transport.Fingerprints = nil
			}
			p.do(func() { p.c.agreed(m, answer) })
		}, jingle.SecurityError},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t)
			o, l := occupant("ann"), new(line)
			p.do(func() { p.c.calls = map[wire.Addr]*call{o.Addr: p.c.newCall(o.Addr, OwnOffer(), l)} })
			p.do(func() { p.c.occurred(muc.OccupantJoined{Occupant: o}, p.now) })
			p.hear()
			c.answers(p, p.c.caller(o.Addr), l.accepted[0])
			p.hear()
			if len(l.ended) != 1 || l.ended[0].Condition != c.condition || len(p.endpointsOf("ann")) != 0 {
				t.Errorf("%+v, %d endpoints", l.ended, len(p.endpointsOf("ann")))
			}
		})
	}
}

// A call whose occupant does not come is taken back.
func TestCallThatDoesNotEnter(t *testing.T) {
	w := newWorld(t, true)
	ann := w.person("ann")
	asked := make(chan *wire.Error, 1)
	w.focus.Call(ann, room, readOffer(t, theOffer(false)), new(line), func(fault *wire.Error) { asked <- fault })
	if fault := <-asked; fault != nil {
		t.Fatal(fault)
	}
	c := w.focus.all()[0]
	count := func() (calls, ssrcs int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.calls), len(c.ssrcs)
	}
	if calls, ssrcs := count(); calls != 1 || ssrcs != 5 {
		t.Fatalf("%d calls, %d SSRCs", calls, ssrcs)
	}
	w.focus.Forget(room, ann.addr)
	if calls, ssrcs := count(); calls != 0 || ssrcs != 2 {
		t.Errorf("%d calls and %d SSRCs are left", calls, ssrcs)
	}
}
