package callpeer

import (
	"fmt"
	"strings"
	"time"

	"parley/internal/peertest"
	"parley/jingle"
	"parley/xmpp/wire"
)

// Party is a client that takes part in the Muji conference of a room (XEP-0272): it is an occupant who shows its contents, and has a
// session with each other one who does.
type Party struct {
	*peertest.Client
	Options
	Room string // address
	Nick string

	others map[string]*other // by nick
	calls  map[string]*Phone // by session id
	made   int
	shows  bool // its contents

	Stanzas int // that have come: what a client that resumes its stream says (XEP-0198)
}

// other is somebody else in the room.
type other struct {
	addr      string // real
	in        bool   // it shows contents ...
	preparing bool
}

// NewParty returns a client that has not come yet.
func NewParty(c *peertest.Client, room, nick string, o Options) *Party {
	return &Party{Client: c, Options: o, Room: room, Nick: nick, others: make(map[string]*other), calls: make(map[string]*Phone)}
}

// Enter enters the room, as a chat room.
func (p *Party) Enter() {
	p.T.Helper()
	p.show("<x xmlns='http://jabber.org/protocol/muc'/>")
	p.awaits(p.Nick)
}

// awaits reads until the room has passed on what the client shows.
func (p *Party) awaits(nick string) {
	p.T.Helper()
	p.read("own presence", func(got string) bool {
		return strings.HasPrefix(got, "<presence") && strings.Contains(got, "from='"+p.Room+"/"+nick+"'") && strings.Contains(got, "code='110'")
	})
}

func (p *Party) show(inner string) {
	p.Send("<presence xmlns='jabber:client' to='" + p.Room + "/" + p.Nick + "'>" + inner + "</presence>")
}

// Prepare says that the client prepares.
func (p *Party) Prepare() {
	p.T.Helper()
	p.show("<muji xmlns='urn:xmpp:jingle:muji:0'><preparing/></muji>")
	p.awaits(p.Nick)
}

// Join takes part: it prepares, waits for those who do so too, shows its contents, and begins sessions with those who were there.
func (p *Party) Join() {
	p.T.Helper()
	p.Prepare()
	waits := make(map[string]bool)
	for nick, o := range p.others {
		waits[nick] = o.preparing
	}
	p.Until("end of preparations", func() bool {
		for nick, o := range p.others {
			if waits[nick] && o.preparing {
				return false
			}
		}
		return true
	})
	var before []string
	for _, o := range p.others {
		if o.in {
			before = append(before, o.addr)
		}
	}
	contents := "<content xmlns='urn:xmpp:jingle:1' name='audio'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'><payload-type id='111' name='opus' clockrate='48000' channels='2'/><payload-type id='9' name='G722' clockrate='8000'/></description></content>"
	if p.Video {
		contents += "<content xmlns='urn:xmpp:jingle:1' name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'><payload-type id='97' name='VP9' clockrate='90000'/><payload-type id='98' name='VP8' clockrate='90000'/></description></content>"
	}
	p.shows = true
	p.show("<muji xmlns='urn:xmpp:jingle:muji:0'>" + contents + "</muji>")
	p.awaits(p.Nick) // the others have it, and know who calls
	for _, addr := range before {
		p.Call(addr)
	}
}

// Call begins a session with somebody by the real address. What comes of it is seen by CallWith.
func (p *Party) Call(addr string) *Phone {
	p.T.Helper()
	p.made++
	o := p.Options
	o.Muji = p.Room
	c := New(p.Client, o)
	p.calls[fmt.Sprintf("%s-%d", p.Nick, p.made)] = c
	c.Offer(addr, fmt.Sprintf("%s-%d", p.Nick, p.made))
	return c
}

// Withdraw takes part no more, and stays in the room.
func (p *Party) Withdraw() {
	p.shows = false
	p.show("")
}

// Continues has the client go on with another stream that has resumed the one before.
func (p *Party) Continues(c *peertest.Client) {
	p.Client = c
	for _, phone := range p.calls {
		phone.Client = c
	}
}

// CallWith is the session with somebody that goes on, by the real address; nil: there is none.
func (p *Party) CallWith(addr string) *Phone {
	for _, c := range p.calls {
		if c.Peer == addr && c.Ended == nil && c.remote != nil {
			return c
		}
	}
	return nil
}

// Sessions is how many go on.
func (p *Party) Sessions() (n int) {
	for _, c := range p.calls {
		if c.Ended == nil && c.remote != nil {
			n++
		}
	}
	return n
}

// Shown reports that an occupant shows contents.
func (p *Party) Shown(nick string) bool { return p.others[nick] != nil && p.others[nick].in }

// Until does what the others ask for until something holds.
func (p *Party) Until(what string, ok func() bool) {
	p.T.Helper()
	for end := time.Now().Add(Patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			p.T.Fatalf("%s: no %s within %v", p.JID, what, Patience)
		}
		p.Turn()
	}
}

// Turn does what the others have asked for so far.
func (p *Party) Turn() {
	p.T.Helper()
	p.made++
	id := fmt.Sprintf("muji%d.", p.made)
	p.Send("<iq xmlns='jabber:client' type='get' id='" + id + "'><ping xmlns='urn:xmpp:ping'/></iq>")
	p.read("pong", func(got string) bool { return strings.Contains(got, "id='"+id+"'") })
}

// read reads until an element comes, and does what those before it ask for.
func (p *Party) read(what string, ok func(string) bool) {
	p.T.Helper()
	for end := time.Now().Add(Patience); time.Now().Before(end); {
		got := p.ReadWithin(time.Until(end))
		if got == "" {
			p.T.Fatalf("%s: the connection ended before %s came", p.JID, what)
		}
		got = strings.ReplaceAll(got, `"`, "'")
		p.handle(got)
		if ok(got) {
			return
		}
	}
	p.T.Fatalf("%s: no %s", p.JID, what)
}

// handle does what an element asks for.
func (p *Party) handle(got string) {
	p.T.Helper()
	if strings.Contains(got, "urn:xmpp:sm:3") && !strings.HasPrefix(got, "<iq") {
		return
	}
	p.Stanzas++
	e := parse(p.T, got)
	from, id := e.AttrString("from"), e.AttrString("id")
	switch {
	case e.Is("presence", wire.NSClient):
		p.presence(from, e)
	case e.Is("iq", wire.NSClient) && e.AttrString("type") == "set" && e.Child("jingle", jingle.NSJingle).Ok():
		j, err := jingle.Parse(e.Child("jingle", jingle.NSJingle), jingle.DefaultLimits)
		if err != nil {
			p.T.Fatalf("%v in %s", err, got)
		}
		p.Send("<iq xmlns='jabber:client' type='result' to='" + from + "' id='" + id + "'/>")
		c := p.calls[j.SID]
		switch {
		case c != nil && c.Peer == from:
			c.take(j)
		case j.Action == jingle.SessionInitiate:
			p.called(from, j)
		}
	case e.Is("iq", wire.NSClient) && e.AttrString("type") == "error":
		p.T.Errorf("%s: %s", p.JID, got)
	}
}

// presence notes what another occupant shows.
func (p *Party) presence(from string, e wire.Elem) {
	p.T.Helper()
	nick, ok := strings.CutPrefix(from, p.Room+"/")
	if !ok || nick == p.Nick {
		return
	}
	if e.AttrString("type") != "" {
		delete(p.others, nick)
		return
	}
	o := &other{addr: e.Child("x", "http://jabber.org/protocol/muc#user").Child("item", "http://jabber.org/protocol/muc#user").AttrString("jid")}
	if x := e.Child("muji", jingle.NSMuji); x.Ok() {
		m, err := jingle.ParseMuji(x)
		if err != nil {
			p.T.Fatalf("%s: %v in %s", p.JID, err, e.Raw())
		}
		o.preparing, o.in = m.Preparing, len(m.Contents) > 0 && !m.Preparing
	}
	p.others[nick] = o
}

// called accepts a session of an occupant who takes part.
func (p *Party) called(from string, j *jingle.Jingle) {
	p.T.Helper()
	known := false
	for _, o := range p.others {
		known = known || o.addr == from && o.in
	}
	if !known || !p.shows || j.Muji == nil || j.Muji.Room != p.Room {
		p.T.Errorf("%s: %s, who takes part: %t, begins a session: %+v", p.JID, from, known, j.Muji)
	}
	c := New(p.Client, p.Options)
	p.calls[j.SID] = c
	c.Peer, c.SID, c.role = from, j.SID, jingle.Responder
	c.answer(j)
	c.remote = j
}
