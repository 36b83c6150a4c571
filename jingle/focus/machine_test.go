package focus

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/bridge/api"
	"parley/jingle"
	"parley/muc"
	"parley/xmpp/wire"
)

const (
	meeting = "0f64c125-0000-4000-8000-000000000001"
	print   = "AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89"
)

func transport(conference, endpoint string, session, restart int) *api.Transport {
	return &api.Transport{
		Conference: conference, Endpoint: endpoint, Session: session, Restart: restart,
		Ufrag: fmt.Sprintf("e9Lu%d%d", session, restart), Pwd: "rmFZXbZzKTCbDCSCrxeXQmcb", Setup: "actpass",
		Fingerprint: api.Fingerprint{Hash: "sha-256", Value: print},
		Candidates:  []api.Candidate{{Foundation: "1", Protocol: "udp", Priority: 2130706431, IP: "203.0.113.7", Port: 10000, Type: "host"}},
		Channel:     "/colibri-ws/n1/" + conference + "/" + endpoint + "?pwd=s3cr3t",
	}
}

// play plays a conference without rooms, bridge and clock, and keeps what the clients of the members see.
type play struct {
	t    testing.TB
	c    *conference
	now  time.Time
	wish api.Conference
	seen []effect // since the last look
	// told is what each client knows of the others: SSRC → owner.
	told    map[string]map[uint32]string
	sid     map[string]string
	bridge  map[string]string // id of bridge-session
	offerID map[string]string
	silent  bool // the bridge does not answer
	tcp     bool // it has a candidate of TCP too
	tape    tape
}

func newPlay(t testing.TB) *play {
	n := 0
	random := func(bytes int) string {
		n++
		return fmt.Sprintf("%0*x", 2*bytes, 0xb1f00000+n)
	}
	p := &play{t: t, now: time.UnixMilli(1795208036275), told: make(map[string]map[uint32]string), sid: make(map[string]string),
		bridge: make(map[string]string), offerID: make(map[string]string)}
	p.c = newConference(room, meeting, p.now, random)
	p.c.channels = "wss://meet.example"
	p.do(func() { p.c.found(api.Hello{Bridge: "b1", Region: "eu-1"}, true, p.now) })
	return p
}

// do lets something happen and plays the bridge's and the network's part.
func (p *play) do(happens func()) {
	p.t.Helper()
	happens()
	p.c.settle(p.now)
	p.c.record()
	for len(p.c.out) > 0 {
		out := p.c.out
		p.c.out = nil
		for _, e := range out {
			p.seen = append(p.seen, e)
			switch e := e.(type) {
			case apply:
				p.apply(e.wish)
			case ask:
				p.asked(e)
			case record:
				p.c.ledger.write(&p.tape, e, e.entry.marshal(meeting))
			}
		}
		p.c.settle(p.now)
		p.c.record()
	}
}

func (p *play) apply(w api.Conference) {
	p.t.Helper()
	if w.Version <= p.wish.Version {
		p.t.Fatalf("version %d after %d", w.Version, p.wish.Version)
	}
	old := p.wish
	p.wish = w
	for _, e := range w.Endpoints {
		known := false
		for _, o := range old.Endpoints {
			known = known || o.ID == e.ID && o.Session == e.Session && o.Restart == e.Restart
		}
		if !known && !p.silent {
			t := transport(meeting, e.ID, e.Session, e.Restart)
			if p.tcp {
				t.Candidates = append(t.Candidates, api.Candidate{Foundation: "2", Protocol: "tcp", TCPType: "passive", Priority: 1677721343, IP: "203.0.113.7", Port: 10000, Type: "host"})
			}
			p.c.transport(t)
		}
	}
}

// asked does to a client's knowledge what the client does.
func (p *play) asked(a ask) {
	p.t.Helper()
	e := element(p.t, a.payload)
	if !e.Is("jingle", jingle.NSJingle) {
		return
	}
	j, err := jingle.Parse(e, jingle.Limits{Contents: 16, Candidates: 100, Sources: 10_000, Groups: 10_000})
	if err != nil {
		p.t.Fatalf("the focus sends %s: %v", a.payload, err)
	}
	list := j.Sources
	xml := jingle.SourcesIn(j.Contents)
	knows := p.told[a.nick]
	switch j.Action {
	case jingle.SessionInitiate:
		knows = make(map[uint32]string)
		p.told[a.nick], p.sid[a.nick], p.bridge[a.nick], p.offerID[a.nick] = knows, j.SID, j.Bridge.ID, a.id
		fallthrough
	case jingle.SourceAdd:
		add := func(ssrc uint32, owner string) {
			if was, ok := knows[ssrc]; ok {
				p.t.Fatalf("%s is told of SSRC %d of %s, and has it of %s", a.nick, ssrc, owner, was)
			}
			knows[ssrc] = owner
		}
		for _, o := range list {
			for _, s := range append(o.Video, o.Audio...) {
				add(s.SSRC, o.Owner)
			}
		}
		for _, s := range append(xml.Video, xml.Audio...) {
			add(s.SSRC, s.Owner[strings.IndexByte(s.Owner, '/')+1:])
		}
	case jingle.SourceRemove:
		for _, o := range list {
			xml.Video, xml.Audio = append(xml.Video, o.Video...), append(xml.Audio, o.Audio...)
		}
		for _, s := range append(xml.Video, xml.Audio...) {
			if _, ok := knows[s.SSRC]; !ok {
				p.t.Fatalf("%s is told that SSRC %d goes, and never had it", a.nick, s.SSRC)
			}
			delete(knows, s.SSRC)
		}
	case jingle.SessionTerminate:
		delete(p.told, a.nick)
	}
	if j.Action != jingle.SessionInitiate && j.SID != p.sid[a.nick] {
		p.t.Fatalf("%s gets %s of session %s", a.nick, j.Action, j.SID)
	}
	if j.Action == jingle.SessionTerminate {
		delete(p.sid, a.nick)
	}
}

func element(t testing.TB, b []byte) wire.Elem {
	t.Helper()
	s := wire.Scanner{Limits: wire.Limits{Size: 1 << 24, Depth: 32}}
	if _, _, err := s.Next(b); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return wire.ParseElem(b)
}

func (p *play) pass(d time.Duration) {
	p.t.Helper()
	p.now = p.now.Add(d)
	p.do(func() {})
}

func occupant(nick string) muc.Occupant {
	return muc.Occupant{Room: room, Nick: nick, Addr: wire.Addr(nick + "@x.net/1"), Jitsi: true, Role: muc.Participant}
}

// join brings in somebody whose client has the features; 0 leaves it silent.
func (p *play) join(nick string, f Features) {
	p.t.Helper()
	p.do(func() {
		p.c.occurred(muc.OccupantJoined{Occupant: occupant(nick)}, p.now)
		if m := p.c.members.of(nick); f != 0 {
			m.features, m.learned = f, true
		}
	})
}

func (p *play) leave(nick string) {
	p.t.Helper()
	p.do(func() { p.c.occurred(muc.OccupantLeft{Room: room, Nick: nick}, p.now) })
	delete(p.told, nick)
	delete(p.sid, nick)
}

// send sends an IQ from an occupant to the focus and returns the condition of the error that answers it, "" for a result, or
// "none".
func (p *play) send(from muc.Occupant, typ, id, payload string) string {
	p.t.Helper()
	s := wire.Scanner{Limits: wire.AfterAuth}
	_, pk, err := s.Next([]byte("<iq type='" + typ + "' id='" + id + "' to='" + room + "/focus'>" + payload + "</iq>"))
	if err != nil {
		p.t.Fatal(err)
	}
	p.seen = nil
	p.do(func() { p.c.occurred(muc.FocusStanza{Occupant: from, Packet: pk}, p.now) })
	for _, e := range p.seen {
		switch e := e.(type) {
		case answer:
			return ""
		case refuse:
			return string(e.why.Condition)
		}
	}
	return "none"
}

// jingle sends a Jingle element of the member's session.
func (p *play) jingle(nick string, action jingle.Action, inner string) string {
	p.t.Helper()
	return p.send(occupant(nick), "set", "x", fmt.Sprintf("<jingle xmlns='urn:xmpp:jingle:1' action='%s' sid='%s'>%s</jingle>", action, p.sid[nick], inner))
}

const clientTransport = "<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='abcd' pwd='0123456789012345678901'>" +
	"<fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256' setup='active'>" + print + "</fingerprint></transport>"

// contents are those of a session-accept with the sources.
func contents(audio, video string) string {
	return "<content creator='initiator' name='audio' senders='both'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>" +
		"<payload-type id='111' name='opus' clockrate='48000' channels='2'/>" +
		"<rtp-hdrext xmlns='urn:xmpp:jingle:apps:rtp:rtp-hdrext:0' id='1' uri='" + uriLevel + "'/><extmap-allow-mixed xmlns='urn:xmpp:jingle:apps:rtp:rtp-hdrext:0'/>" + audio + "</description>" + clientTransport + "</content>" +
		"<content creator='initiator' name='video' senders='both'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>" +
		"<payload-type id='41' name='AV1' clockrate='90000' channels='1'/><payload-type id='100' name='VP8' clockrate='90000' channels='1'/><payload-type id='96' name='rtx' clockrate='90000' channels='1'><parameter name='apt' value='100'/></payload-type>" +
		"<rtp-hdrext xmlns='urn:xmpp:jingle:apps:rtp:rtp-hdrext:0' id='5' uri='" + uriTCC + "'/>" + video + "</description>" + clientTransport + "</content>" +
		"<group xmlns='urn:xmpp:jingle:apps:grouping:0' semantics='BUNDLE'><content name='audio'/><content name='video'/></group>"
}

// only are the contents of a source-add or source-remove.
func only(media, inner string) string {
	return "<content creator='initiator' name='" + media + "'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='" + media + "'>" + inner + "</description></content>"
}

func source(ssrc uint32, name, msid string) string {
	return fmt.Sprintf("<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='%d' name='%s'><parameter name='msid' value='%s'/></source>", ssrc, name, msid)
}

func group(semantics string, ssrcs ...uint32) string {
	s := "<ssrc-group xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' semantics='" + semantics + "'>"
	for _, ssrc := range ssrcs {
		s += fmt.Sprintf("<source ssrc='%d'/>", ssrc)
	}
	return s + "</ssrc-group>"
}

// microphone is an audio source, camera a video source with its retransmission.
func microphone(nick string, ssrc uint32) string {
	return source(ssrc, nick+"-a0", nick+"-audio-0-1 t")
}

func camera(nick string, ssrc uint32) string {
	msid := nick + "-video-0-1 t"
	return source(ssrc, nick+"-v0", msid) + source(ssrc+1, nick+"-v0", msid) + group("FID", ssrc, ssrc+1)
}

// accept accepts the offer, sending a microphone with the SSRC and a camera with the next two.
func (p *play) accept(nick string, ssrc uint32) string {
	p.t.Helper()
	return p.jingle(nick, jingle.SessionAccept, contents(microphone(nick, ssrc), camera(nick, ssrc+1)))
}

func (p *play) endpoint(nick string) *api.Endpoint {
	for i := range p.wish.Endpoints {
		if p.wish.Endpoints[i].ID == nick {
			return &p.wish.Endpoints[i]
		}
	}
	return nil
}

// sent returns the Jingle actions that a member was sent since the last look.
func (p *play) sent(nick string) string {
	var list []string
	for _, e := range p.seen {
		if a, ok := e.(ask); ok && a.nick == nick {
			e := element(p.t, a.payload)
			if name := e.AttrString("action"); name != "" {
				list = append(list, name)
			} else {
				list = append(list, string(e.Local()))
			}
		}
	}
	p.seen = nil
	return strings.Join(list, " ")
}
