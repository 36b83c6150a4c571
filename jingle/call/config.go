package call

import (
	"net/netip"
	"sync"
	"time"

	"parley/internal/token"
	"parley/jingle/seat"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

const (
	nsCommands = "http://jabber.org/protocol/commands"
	nsOwner    = "http://jabber.org/protocol/muc#owner"
	nsForm     = "jabber:x:data"

	// nodeConfig is the command by which a conference is configured (XEP-0521 §8).
	nodeConfig = "urn:xmpp:av-conferences:config"
)

// Bounds of what is asked of rooms on behalf of clients.
const (
	clerksMost = 200 // at a time
	clerkTime  = 30 * time.Second
)

var (
	errNoCommand = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ItemNotFound, Text: "there is one command: " + nodeConfig}
	errForm      = &wire.Error{Type: mstanza.Modify, Condition: mstanza.BadRequest, Text: "this is no form that was filled in"}
	errBusy      = &wire.Error{Type: mstanza.Wait, Condition: mstanza.ResourceConstraint}
	errNoAnswer  = &wire.Error{Type: mstanza.Wait, Condition: mstanza.RemoteServerTimeout}
)

// configure executes the command (XEP-0050): the settings of a conference are those of its room (XEP-0045 §10.2), which are shown
// to its owners, and which owners change. The command keeps nothing between the form and the answer.
func (s *Service) configure(b *wire.Batch, from route.Sender, to wire.Addr, p *wire.Packet) {
	command := p.Elem().Child("command", nsCommands)
	session := command.AttrString("sessionid")
	if session == "" || len(session) > 64 {
		session = digits(8)
	}
	reply := func(status, inner string) []byte {
		out := append([]byte("<command xmlns='"+nsCommands+"' node='"+nodeConfig+"'"), " status='"+status+"'"...)
		return append(append(append(wire.AppendAttr(out, "sessionid", session), '>'), inner...), "</command>"...)
	}
	room := s.room(to)
	form := command.Child("x", nsForm)
	switch action := command.AttrString("action"); {
	case room == "" || command.AttrString("node") != nodeConfig:
		route.Refuse(b, from, p, to, errNoCommand)
	case action == "cancel":
		from.Deliver(b, "", p.Result(to, reply("canceled", "")))
	case !form.Ok():
		s.errand(b, from, to, p, "get", "<query xmlns='"+nsOwner+"'/>", func(answer wire.Elem) []byte {
			return reply("executing", "<actions execute='complete'><complete/></actions>"+string(answer.Child("query", nsOwner).Child("x", nsForm).Raw()))
		})
	case form.AttrString("type") != "submit":
		route.Refuse(b, from, p, to, errForm)
	default:
		s.errand(b, from, to, p, "set", "<query xmlns='"+nsOwner+"'>"+string(form.Raw())+"</query>", func(wire.Elem) []byte {
			return reply("completed", "<note type='info'>The meeting is configured.</note>")
		})
	}
}

// clerk asks a room something for a client, by an address of its own under the client's bare one: the room knows it as the client.
type clerk struct {
	of   route.Sender
	addr wire.Addr
	once sync.Once
	told func(*wire.Packet) // nil: nothing came in time

	patience *time.Timer // guarded by Service.mu
}

func (c *clerk) Addr() wire.Addr       { return c.addr }
func (c *clerk) Guest() bool           { return c.of.Guest() }
func (c *clerk) Source() netip.Addr    { return c.of.Source() }
func (c *clerk) Claims() *token.Claims { return c.of.Claims() }
func (c *clerk) Room() string          { return "" }
func (c *clerk) Tenant() string        { return "" }
func (c *clerk) Hold() func()          { return func() {} }

// Remote reports that the client is of another server.
func (c *clerk) Remote() bool {
	r, ok := c.of.(interface{ Remote() bool })
	return ok && r.Remote()
}

// Deliver takes the room's answer.
func (c *clerk) Deliver(_ *wire.Batch, _ wire.Addr, st wire.Stanza) {
	if st.Kind != wire.IQ {
		return
	}
	c.answer(seat.Parse(append(wire.AppendStart(nil, st.Kind, wire.NSClient, c.addr), st.Tail...)))
}

func (c *clerk) answer(p *wire.Packet) { c.once.Do(func() { c.told(p) }) }

// errand sends a clerk with a request to a room, and answers the client with what done makes of the answer.
func (s *Service) errand(b *wire.Batch, from route.Sender, to wire.Addr, p *wire.Packet, typ, payload string, done func(wire.Elem) []byte) {
	room := s.room(to)
	c := &clerk{of: from, addr: from.Addr().Bare() + wire.Addr("/"+resourcePrefix+digits(8))}
	request := seat.Parse([]byte("<iq xmlns='" + wire.NSClient + "' type='" + typ + "' id='c' to='" + string(wire.AppendEscaped(nil, string(room))) + "'>" + payload + "</iq>"))
	if request == nil {
		route.Refuse(b, from, p, to, errForm)
		return
	}
	s.mu.Lock()
	busy := s.clerks >= clerksMost
	if !busy {
		s.clerks++
	}
	s.mu.Unlock()
	if busy {
		s.rec.Reject("limit.calls", from.Source().String(), "jid", string(from.Addr()), "room", string(room))
		route.Refuse(b, from, p, to, errBusy)
		return
	}
	p = p.Clone()
	c.told = func(answer *wire.Packet) {
		s.router.Unseat(c)
		s.mu.Lock()
		s.clerks--
		c.patience.Stop()
		s.mu.Unlock()
		switch {
		case answer == nil:
			route.Refuse(nil, from, p, to, errNoAnswer)
		case string(answer.Type()) == "error":
			fault := &wire.Error{Type: mstanza.Cancel, Condition: mstanza.UndefinedCondition}
			e := answer.Elem().Child("error", "")
			fault.Text = e.Child("text", wire.NSStanzas).Text()
			if t := e.AttrString("type"); t != "" {
				fault.Type = mstanza.ErrorType(t)
			}
			if first := e.First(); first.Ok() {
				fault.Condition = mstanza.Condition(first.Local())
			}
			route.Refuse(nil, from, p, to, fault)
		default:
			from.Deliver(nil, "", p.Result(to, done(answer.Elem())))
		}
	}
	s.mu.Lock()
	c.patience = time.AfterFunc(clerkTime, func() { c.answer(nil) })
	s.mu.Unlock()
	if !s.router.Seat(c) {
		c.answer(nil)
		return
	}
	s.rooms.Handle(nil, c, room, request)
}
