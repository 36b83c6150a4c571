// Package focus decides who is in a call and how its media travel. It answers conference requests (by IQ and by HTTP),
// sits in each conference's room as the occupant "focus", keeps the gate of the conference, offers each member a session with
// the bridge, tells the members of each other's sources, and tells the bridge what is wished of it. What an ordinary XMPP client calls a chat room is none of its business: it enters a room at the first
// conference request.
//
// The dialect is that of Jitsi's focus (jitsi.md §5 to §8, §11). Two members negotiate with each other too, through the room,
// without the focus (§11.3); their session with the bridge waits meanwhile.
//
// A conference with its sessions is a machine without I/O and clock (conference.go); Focus.step feeds it and carries out what
// it wants.
//
// With a journal conferences survive the process: room and focus write down together what has become of a stanza and what is
// answered, and after a restart the conference goes on with the bridge that has kept it, without a word to the members
// (journal.go, restore.go). Otherwise the clients send their conference requests again.
package focus

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"parley/internal/event"
	"parley/muc"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Config says where the focus lives.
type Config struct {
	Domain  string   `help:"domain that takes conference requests, default focus.DOMAIN"`
	Address string   `help:"full address under which rooms list the focus, default focus@auth.DOMAIN/focus"`
	Rooms   string   `help:"domain of the rooms, default muc.DOMAIN"`
	Owners  string   `help:"who becomes owner of a conference's room: first (the first person), account (the first who logged in), all, nobody"`
	Muji    bool     `help:"in rooms in which everybody may know the others' addresses the focus takes part in Muji conferences (XEP-0272), as one participant that stands for all who do not speak Muji"`
	Origins []string `help:"origins of web pages that may send conference requests by HTTP, besides the server's own"`
}

// Rooms is what the focus needs of the rooms' service.
type Rooms interface {
	Conference(asker muc.Sender, room wire.Addr, rule muc.OwnerRule, done func(muc.Meeting, *wire.Error))
	Observe(func(muc.Event))
}

// Focus is safe for concurrent use.
type Focus struct {
	cfg    Config
	rule   muc.OwnerRule
	rooms  Rooms
	bridge Bridge
	tokens Tokens
	rec    *event.Recorder

	journal  Journal                // nil: none
	replayed map[string]*conference // by meeting; while the journal is replayed

	attend func(Attendance)                   // nil: nobody asks
	denied func(room wire.Addr, cause string) // nil: the same

	caps     capsCache
	draining atomic.Bool     // the bridge says so
	watcher  func(CallEvent) // nil: none

	muji       Muji // nil: the focus takes no part in Muji conferences
	mujiDomain string

	mu          sync.Mutex // guards what follows; held for no call to the outside, and for none to a conference
	conferences map[wire.Addr]*conference
	byID        map[string]*conference // by meeting
	offering    offering
}

// OfferChannels says where clients find bridge channels, as "wss://meet.example", and whether clients that know redundant
// audio (RFC 2198) are offered it. With an empty base they are offered a data channel in the session. It holds for
// conferences that begin later. Without it channels are at the server's own domain.
func (f *Focus) OfferChannels(base string, red bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offering = offering{channels: strings.TrimSuffix(base, "/"), red: red}
}

// New returns a focus for the rooms; tokens checks those of HTTP requests and may be nil.
func New(cfg Config, rooms Rooms, bridge Bridge, tokens Tokens, rec *event.Recorder) (*Focus, error) {
	f := &Focus{cfg: cfg, rooms: rooms, bridge: bridge, tokens: tokens, rec: rec,
		conferences: make(map[wire.Addr]*conference), byID: make(map[string]*conference)}
	f.offering.channels = "wss://" + strings.TrimPrefix(cfg.Domain, "focus.")
	switch cfg.Owners {
	case "first", "":
		f.rule = muc.FirstOwns
	case "account":
		f.rule = muc.AccountOwns
	case "all":
		f.rule = muc.AllOwn
	case "nobody":
		f.rule = muc.NobodyOwns
	default:
		return nil, errors.New("focus: owners of a conference are first, account, all or nobody, not " + cfg.Owners)
	}
	rooms.Observe(f.observe)
	return f, nil
}

// Domain returns the domain at which the focus takes requests.
func (f *Focus) Domain() string { return f.cfg.Domain }

// Handle takes what is sent to the focus's domain. It is the route.Service of the focus.
func (f *Focus) Handle(b *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) {
	if p.Kind != wire.IQ || to.Local() != "" {
		route.Refuse(b, s, p, to, errUnknown)
		return
	}
	set := string(p.Type()) == "set"
	switch {
	case set && p.ChildIs("conference", NSFocus):
		f.request(b, s, to, p)
	case !set && p.ChildIs("query", NSDisco):
		s.Deliver(b, "", p.Result(to, []byte("<query xmlns='"+NSDisco+"'><identity category='component' type='generic' name='focus'/><feature var='"+NSFocus+"'/><feature var='"+NSDisco+"'/><feature var='"+NSPing+"'/></query>")))
	case !set && p.ChildIs("ping", NSPing):
		s.Deliver(b, "", p.Result(to, nil))
	default:
		route.Refuse(b, s, p, to, errUnknown)
	}
}

// request answers a conference request when the focus is in the room.
func (f *Focus) request(b *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) {
	req, fault := f.parseRequest(p.Elem().Child("conference", NSFocus))
	if fault != nil {
		route.Refuse(b, s, p, to, fault)
		return
	}
	p = p.Clone()
	release := s.Hold()
	f.convene(s, req, func(a Answer, fault *wire.Error) {
		defer release()
		if fault != nil {
			route.Refuse(nil, s, p, to, fault)
			return
		}
		s.Deliver(nil, "", p.Result(to, f.appendAnswer(nil, req.Room, a)))
	})
}

// convene brings the focus into the room and answers. Done is called once, perhaps from the room's runner.
func (f *Focus) convene(s muc.Sender, req Request, done func(Answer, *wire.Error)) {
	f.rooms.Conference(s, req.Room, f.rule, func(m muc.Meeting, fault *wire.Error) {
		if fault != nil {
			if fault.Condition == mstanza.NotAllowed && s.Guest() && s.Claims() == nil {
				// The one error at which clients ask their user to log in.
				fault = &wire.Error{Type: mstanza.Auth, Condition: mstanza.NotAuthorized, Text: fault.Text}
			}
			f.rec.Reject("focus.deny", s.Source().String(), "room", string(req.Room), "text", fault.Text)
			f.deny(req.Room, string(fault.Condition))
			done(Answer{}, fault)
			return
		}
		f.opened(m)
		done(Answer{Ready: true, Properties: map[string]string{
			"authentication": "false", "visitors-supported": "false",
		}}, nil)
	})
}
