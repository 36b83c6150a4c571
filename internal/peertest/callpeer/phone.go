package callpeer

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/jingle"
	"parley/xmpp/wire"
)

// Patience is how long a phone waits for what must come.
const Patience = 30 * time.Second

// Options say what a phone does. The zero value is a voice call with a transport of its own.
type Options struct {
	Video    bool
	Bundle   bool   // all contents have one transport
	Sources  bool   // SSRCs are signalled (XEP-0339); Dino does not
	Name     string // of its sources in what it sends: NAME-a0 and NAME-v0; "": ROOM's own member must be named so for peers to find them
	Levels   bool   // packets of audio say how loud they are (RFC 6464)
	Words    bool   // its voice is somebody's words, while it is told to Speak
	ListenTo bool   // sends nothing
	OneWay   bool   // it only sends in the session that it calls with
	Attends  bool   // that too, and it knows conferences that bring it each stream in a session of its own (XEP-0521)
	Muji     string // the chat room to which it says that its session belongs (XEP-0272)
}

// Phone is the client.
type Phone struct {
	*peertest.Client
	Options
	T testing.TB

	Peer   string // full address of the other side
	SID    string
	Ended  *jingle.Reason // why the other side has ended the call, nil while it goes on
	legs   []*leg
	remote *jingle.Jingle // its description
	role   jingle.Role
	ids    int
	brings []*Brought
	shares []*Shared
	speaks atomic.Bool
}

// New returns a phone of a client that is logged in.
func New(c *peertest.Client, o Options) *Phone {
	p := &Phone{Client: c, Options: o, T: c.T}
	c.T.Cleanup(p.close)
	return p
}

func (p *Phone) close() {
	for _, l := range p.legs {
		l.close()
	}
	p.legs = nil
	for _, b := range p.brings {
		b.close()
	}
	for _, s := range p.shares {
		s.leg.close()
	}
}

// Until reads until an element holds all parts, and does meanwhile what a call asks for.
func (p *Phone) Until(parts ...string) string {
	p.T.Helper()
	return p.until(fmt.Sprint(parts), func(got string) bool {
		for _, part := range parts {
			if !strings.Contains(got, part) {
				return false
			}
		}
		return true
	})
}

func (p *Phone) until(what string, ok func(string) bool) string {
	p.T.Helper()
	for end := time.Now().Add(Patience); time.Now().Before(end); {
		got := p.ReadWithin(time.Until(end))
		if got == "" {
			p.T.Fatalf("%s: the connection ended before %s came", p.JID, what)
		}
		got = strings.ReplaceAll(got, `"`, "'")
		p.handle(got)
		if ok(got) {
			return got
		}
	}
	p.T.Fatalf("%s: no %s", p.JID, what)
	return ""
}

// handle does what an element asks for.
func (p *Phone) handle(got string) {
	p.T.Helper()
	e := parse(p.T, got)
	if !e.Is("iq", wire.NSClient) {
		return
	}
	typ, from, id := e.AttrString("type"), e.AttrString("from"), e.AttrString("id")
	switch {
	case typ == "get" && e.Child("query", "http://jabber.org/protocol/disco#info").Ok():
		more := ""
		if p.Attends {
			more = "<feature var='" + jingle.NSConference + "'/><feature var='" + jingle.NSCoin + "'/>"
		}
		p.Send("<iq xmlns='jabber:client' type='result' to='" + from + "' id='" + id + "'><query xmlns='http://jabber.org/protocol/disco#info'>" + features + more + "</query></iq>")
	case typ == "set" && e.Child("jingle", jingle.NSJingle).Ok():
		j, err := jingle.Parse(e.Child("jingle", jingle.NSJingle), jingle.DefaultLimits)
		if err != nil {
			p.T.Fatalf("%v in %s", err, got)
		}
		p.Send("<iq xmlns='jabber:client' type='result' to='" + from + "' id='" + id + "'/>")
		switch {
		case from != p.Peer:
		case j.SID == p.SID:
			p.take(j)
		case p.shared(j):
		case p.Attends:
			p.bring(j)
		}
	}
}

const features = "<identity category='client' type='phone' name='callpeer'/><feature var='urn:xmpp:jingle:1'/><feature var='urn:xmpp:jingle:apps:rtp:1'/><feature var='urn:xmpp:jingle:apps:rtp:audio'/><feature var='urn:xmpp:jingle:apps:rtp:video'/><feature var='urn:xmpp:jingle:transports:ice-udp:1'/><feature var='urn:xmpp:jingle:apps:dtls:0'/><feature var='urn:xmpp:jingle-message:0'/>"

// take is what the other side says in the session.
func (p *Phone) take(j *jingle.Jingle) {
	p.T.Helper()
	switch j.Action {
	case jingle.SessionAccept:
		p.remote = j
		p.accepted(j)
	case jingle.TransportInfo:
		for _, l := range p.legs {
			l.candidates(p.T, j)
		}
	case jingle.SessionTerminate:
		p.Ended = j.Reason
		if p.Ended == nil {
			p.Ended = &jingle.Reason{}
		}
		for _, l := range p.legs {
			l.close()
		}
		p.legs = nil
	}
}

// parse reads an element that was scanned already.
func parse(t testing.TB, text string) wire.Elem {
	t.Helper()
	s := wire.Scanner{Limits: wire.AfterAuth}
	_, p, err := s.Next([]byte(text))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return p.Elem()
}

// Message sends an element of XEP-0353 to the other side.
func (p *Phone) Message(to string, m jingle.Message) {
	p.T.Helper()
	p.ids++
	p.Send(fmt.Sprintf("<message xmlns='jabber:client' type='chat' to='%s' id='m%d'>%s<store xmlns='urn:xmpp:hints'/></message>", to, p.ids, m.Append(nil)))
}

// Request sends a Jingle element to the other side.
func (p *Phone) Request(j *jingle.Jingle) (id string) {
	p.T.Helper()
	p.ids++
	id = fmt.Sprintf("j%d", p.ids)
	j.SID = p.SID
	p.Send(fmt.Sprintf("<iq xmlns='jabber:client' type='set' to='%s' id='%s'>%s</iq>", p.Peer, id, j.Append(nil)))
	return id
}

// Propose asks somebody, by the bare address, for a call.
func (p *Phone) Propose(to, sid string) {
	p.T.Helper()
	p.SID = sid
	m := jingle.Message{Kind: jingle.Propose, ID: sid, Proposals: []jingle.Proposal{{NS: jingle.NSRTP, Media: "audio"}}}
	if p.Video {
		m.Proposals = append(m.Proposals, jingle.Proposal{NS: jingle.NSRTP, Media: "video"})
	}
	p.Message(to, m)
}

// Call calls somebody, by the bare address: it proposes, waits for proceed, and initiates the session with whoever sent that.
func (p *Phone) Call(to, sid string) {
	p.T.Helper()
	p.Propose(to, sid)
	proceed := p.Until("<message", "<proceed ", " xmlns='"+jingle.NSMessage+"'", " id='"+sid+"'") // other servers order attributes as they like
	p.Initiate(peertest.Attr(proceed, "from"), sid)
}

// Initiate calls a full address without asking before, and waits until the call is accepted or refused.
func (p *Phone) Initiate(to, sid string) {
	p.T.Helper()
	p.Offer(to, sid)
	for p.remote == nil && p.Ended == nil {
		p.until("answer", func(got string) bool { return p.remote != nil || p.Ended != nil })
	}
}

// HangUp ends the call.
func (p *Phone) HangUp(why jingle.Condition) {
	p.T.Helper()
	p.Request(&jingle.Jingle{Action: jingle.SessionTerminate, Reason: &jingle.Reason{Condition: why}})
	p.close()
}

// Vanish cuts the client's connection and its transports without a word.
func (p *Phone) Vanish() {
	p.Conn.Close()
	p.close()
}
