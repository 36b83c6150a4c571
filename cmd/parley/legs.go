package main

import (
	"errors"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"

	"parley/bridge"
	"parley/bridge/api"
	"parley/bridge/channel"
	"parley/bridge/transport"
	"parley/internal/event"
)

// core is a bridge with its transports, as the control connection sees it.
type core struct {
	*bridge.Bridge
	carrier *carrier
}

// Events implements link.Core.
func (c *core) Events(tell func(api.Event)) {
	c.carrier.legs.tell = tell
	c.Bridge.Events(tell)
}

// End implements link.Relay.
func (c *core) End(user string) {
	if c.carrier.turn != nil {
		c.carrier.turn.End(user)
	}
}

// Reload implements link.Reloader.
func (c *core) Reload() { c.carrier.reload() }

// legs opens the transports and the channels of the bridge's endpoints, and tells the focus what its offers are made of.
type legs struct {
	port     *transport.Port
	channels *channel.Server
	events   *event.Recorder
	tell     func(api.Event)

	mu   sync.Mutex // guards open
	open map[*bridge.Endpoint]*leg
}

func newLegs(port *transport.Port, channels *channel.Server, events *event.Recorder) *legs {
	return &legs{port: port, channels: channels, events: events, open: make(map[*bridge.Endpoint]*leg)}
}

// leg is the transport of one session of an endpoint. It is the transport's Receiver. But for data and gone it belongs to
// the calls of Open and Close, which come one after the other.
type leg struct {
	*bridge.Endpoint
	transport *transport.Endpoint
	ticket    *channel.Ticket // of the endpoint: it outlives the session

	session, restart int
	remote           *api.Remote // what the transport was told last

	data atomic.Pointer[channel.Data] // nil: no data channel was used yet, or not since the last one ended
	gone atomic.Bool
}

// Open implements bridge.Transports: a transport for a new session, new ICE credentials for a restart, and the client's
// side when it is known.
func (s *legs) Open(e *bridge.Endpoint, wish api.Endpoint) {
	l := s.at(e)
	switch {
	case l == nil || l.session != wish.Session:
		if l = s.begin(e, wish, l); l == nil {
			return
		}
		s.offer(l)
	case l.restart != wish.Restart:
		if _, _, err := l.transport.Restart(); err != nil {
			s.fault(l, err)
			return
		}
		l.restart = wish.Restart
		s.offer(l)
	}
	if wish.Remote == nil || reflect.DeepEqual(wish.Remote, l.remote) {
		return
	}
	l.remote = wish.Remote
	if err := l.transport.SetRemote(*wish.Remote); err != nil {
		s.fault(l, err)
	}
}

// count is how many endpoints have a transport.
func (s *legs) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

func (s *legs) at(e *bridge.Endpoint) *leg {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[e]
}

// remote is where the client of an endpoint is seen at; false if there is no path to it.
func (s *legs) remote(e *bridge.Endpoint) (at netip.AddrPort, ok bool) {
	if l := s.at(e); l != nil {
		at = l.transport.Remote()
	}
	return at, at.IsValid()
}

// begin makes the leg of a session in place of the former one; nil if there can be none.
func (s *legs) begin(e *bridge.Endpoint, wish api.Endpoint, former *leg) *leg {
	l := &leg{Endpoint: e, session: wish.Session, restart: wish.Restart}
	if former != nil {
		former.end()
		l.ticket = former.ticket
	} else {
		l.ticket = s.channels.Open(e.Conference.ID, e.ID, e)
	}
	t, err := s.port.Open(l, transport.Options{Name: e.ID, Data: wish.Data, Controlled: wish.Answers})
	if err != nil {
		l.ticket.Expire()
		s.forget(e)
		s.events.Hurt("bridge.transport", e.ID, "err", err.Error())
		s.tell(api.Event{State: &api.State{Conference: e.Conference.ID, Endpoint: e.ID, Session: wish.Session, State: api.Failed, Reason: "resource-constraint"}})
		return nil
	}
	l.transport = t
	s.mu.Lock()
	s.open[e] = l
	s.mu.Unlock()
	e.Attach(t)
	return l
}

func (s *legs) forget(e *bridge.Endpoint) {
	s.mu.Lock()
	delete(s.open, e)
	s.mu.Unlock()
}

// Close implements bridge.Transports.
func (s *legs) Close(e *bridge.Endpoint) {
	if l := s.at(e); l != nil {
		l.ticket.Expire()
		l.end()
		s.forget(e)
	}
}

func (l *leg) end() {
	l.gone.Store(true)
	l.Endpoint.Attach(nil)
	l.transport.Close()
}

// offer tells our side of a transport.
func (s *legs) offer(l *leg) {
	local, _ := l.transport.Local()
	info := s.port.Info()
	s.tell(api.Event{Transport: &api.Transport{
		Conference: l.Conference.ID, Endpoint: l.ID, Session: l.session, Restart: l.restart, Ufrag: local.Ufrag, Pwd: local.Pwd,
		Fingerprint: info.Fingerprint, Setup: "actpass", Candidates: info.Candidates, Channel: l.ticket.Path(),
	}})
}

// fault records what a client's side was refused for. What is final the transport has told.
func (s *legs) fault(l *leg, err error) {
	if !errors.Is(err, transport.ErrSecurity) { // counted by the transport
		s.events.Reject("bridge.transport", l.ID, "err", err.Error())
	}
}

// State implements transport.Receiver: news of a transport that was replaced are none.
func (l *leg) State(state, reason string) {
	if !l.gone.Load() {
		l.Endpoint.State(state, reason)
	}
}

// Moved implements transport.Receiver.
func (l *leg) Moved() {
	if !l.gone.Load() {
		l.Endpoint.Moved()
	}
}

// Message implements transport.Receiver: the bridge channel over SCTP begins with the client's first message.
func (l *leg) Message(data []byte, text bool) {
	d := l.data.Load()
	if d == nil && !l.gone.Load() {
		send := func(text []byte) error { return l.transport.Send(text, true) }
		d = l.ticket.Data(send, func() { l.data.Store(nil) })
		l.data.Store(d)
	}
	if d != nil {
		d.Receive(data, text)
	}
}
