package push

import (
	"context"
	"errors"
	"slices"
	"time"

	"parley/internal/store"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Bounds of what a client may ask for.
const (
	longestNode    = 512
	longestOptions = 4096
)

// patience bounds how long the store is waited for.
const patience = 10 * time.Second

var (
	errUnavailable = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ServiceUnavailable}
	errGuest       = &wire.Error{Type: mstanza.Auth, Condition: mstanza.Forbidden, Text: "guests have no account"}
	errService     = &wire.Error{Type: mstanza.Modify, Condition: mstanza.BadRequest, Text: "the address of an app server is missing, malformed, or your own"}
	errNode        = &wire.Error{Type: mstanza.Modify, Condition: mstanza.NotAcceptable, Text: "the node is too long"}
	errOptions     = &wire.Error{Type: mstanza.Modify, Condition: mstanza.BadRequest, Text: "the form is too long, or not one of publish options"}
	errBusy        = &wire.Error{Type: mstanza.Wait, Condition: mstanza.ResourceConstraint, Text: "too much waits for this account"}
	errStore       = &wire.Error{Type: mstanza.Wait, Condition: mstanza.InternalServerError, Text: "nothing can be stored at the moment"}
	errNotKept     = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.FeatureNotImplemented, Text: "nothing is kept for you here"}
)

// Handle answers <enable/> and <disable/> of the namespace NS, to the sender's own account (XEP-0357 §4 and §5).
func (s *Service) Handle(b *wire.Batch, from route.Sender, p *wire.Packet) {
	account := from.Addr().Bare()
	to, err := wire.ParseRawAddr(p.To())
	e := p.Elem().First()
	service, bad := wire.ParseAddr(e.AttrString("jid"))
	node := e.AttrString("node")
	options, good := options(e)
	var why *wire.Error
	switch {
	case p.HasTo() && (err != nil || to != account), string(p.Type()) != "set":
		why = errUnavailable
	case from.Guest():
		why = errGuest
	case bad != nil, service.Bare() == account:
		why = errService
	case len(node) > longestNode:
		why = errNode
	case !good:
		why = errOptions
	}
	if why != nil {
		route.Refuse(b, from, p, to, why)
		return
	}
	request := p.Clone()
	asked := store.Push{Owner: string(account), Service: string(service), Node: node, Session: string(from.Addr()), Options: options, At: s.now()}
	_, named := e.Attr("node")
	disable := string(e.Local()) == "disable"
	ok := s.host.Do(account, func(b *wire.Batch) {
		var err error
		if disable {
			err = s.disable(account, func(t *target) bool { return t.service == service && (!named || t.Node == node) })
		} else {
			err = s.enable(asked)
		}
		switch {
		case err == nil:
			from.Deliver(b, "", request.Result(to, nil))
		case errors.Is(err, store.ErrNotFound):
			route.Refuse(b, from, request, to, errNotKept)
		case errors.Is(err, store.ErrInvalid):
			route.Refuse(b, from, request, to, errService)
		default:
			s.rec.Hurt("push.store", string(account), "err", err.Error())
			route.Refuse(b, from, request, to, errStore)
		}
	})
	if !ok {
		route.Refuse(b, from, p, to, errBusy)
	}
}

// options returns the form that goes with each notification, nil if there is none.
func options(enable wire.Elem) (form []byte, ok bool) {
	x := enable.Child("x", nsData)
	if !x.Ok() {
		return nil, true
	}
	form = x.AppendStandalone(nil)
	if len(form) > longestOptions {
		return nil, false
	}
	for it := x.Children(); it.Next(); {
		if it.Elem.Is("field", nsData) && it.Elem.AttrString("var") == "FORM_TYPE" {
			return form, it.Elem.Child("value", nsData).Text() == nsOptions
		}
	}
	return nil, false
}

// within gives work that waits for the store its time.
func within(work func(context.Context) error) error {
	ctx, done := context.WithTimeout(context.Background(), patience)
	defer done()
	return work(ctx)
}

// enable keeps what a client asked for. It runs in the account's goroutine, as disable does, so that the store and the memory
// say the same.
func (s *Service) enable(p store.Push) error {
	if err := within(func(ctx context.Context) error { return s.store.SetPush(ctx, p) }); err != nil {
		return err
	}
	account := wire.Addr(p.Owner)
	var surplus []*target
	s.mu.Lock()
	list := s.accounts[account]
	next := make([]*target, 0, len(list)+1)
	for _, t := range list {
		if t.Service == p.Service && t.Node == p.Node {
			s.dropLocked(t)
		} else {
			next = append(next, t)
		}
	}
	next = append(next, &target{Push: p, account: account, service: wire.Addr(p.Service)})
	s.accounts[account] = next
	surplus = slices.Clone(next[:max(len(next)-s.cfg.Nodes, 0)])
	s.mu.Unlock()
	if len(surplus) == 0 {
		return nil
	}
	s.rec.Count("limit.push")
	return s.disable(account, func(t *target) bool { return slices.Contains(surplus, t) })
}

// disable forgets nodes of an account.
func (s *Service) disable(account wire.Addr, which func(*target) bool) error {
	s.mu.RLock()
	list := slices.Clone(s.accounts[account])
	s.mu.RUnlock()
	for _, t := range list {
		if !which(t) {
			continue
		}
		if err := within(func(ctx context.Context) error { return s.store.RemovePush(ctx, t.Owner, t.Service, t.Node) }); err != nil {
			return err
		}
		s.mu.Lock()
		s.dropLocked(t)
		left := slices.DeleteFunc(slices.Clone(s.accounts[account]), func(other *target) bool { return other == t })
		if s.accounts[account] = left; len(left) == 0 {
			delete(s.accounts, account)
		}
		s.mu.Unlock()
	}
	return nil
}
