package pubsub

import (
	"crypto/rand"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// create is XEP-0060 §8.1, with a configuration (§8.1.3) or without.
func (r *request) create() error {
	if !r.own {
		return errForbidden
	}
	e := r.action()
	name := e.AttrString("node")
	if name == vcardNode || name == NSStorage {
		return errNotAllowed
	}
	instant := name == ""
	if instant {
		name = rand.Text() // §8.1.1, an instant node
	}
	c := defaults(name)
	if configure := r.p.Elem().First().Child("configure", NS); configure.Ok() {
		if _, named := configure.Attr("node"); named {
			return errBad
		}
		if configure.First().Ok() {
			form, ok := readForm(configure, nsConfig)
			if !ok {
				return errBad
			}
			if e := c.apply(form, r.limits.Items); e != nil {
				return e
			}
		}
	}
	err := r.change(store.NodeChange{Name: name, Create: true, Config: c.encode()})
	if err == store.ErrExists {
		return errConflict
	}
	if err != nil {
		return err
	}
	var payload []byte
	if instant {
		payload = wire.AppendAttr([]byte("<pubsub xmlns='"+NS+"'><create"), "node", name)
		payload = append(payload, "/></pubsub>"...)
	}
	r.reply(payload)
	return nil
}

// defaultForm is XEP-0060 §8.3.
func (r *request) defaultForm() error {
	if !r.own {
		return errForbidden
	}
	c := defaults("")
	out := appendForm([]byte("<pubsub xmlns='"+NSOwner+"'><default>"), "form", nsConfig, fields, &c)
	r.reply(append(out, "</default></pubsub>"...))
	return nil
}

// configuration is XEP-0060 §8.2.1.
func (r *request) configuration() error {
	n, err := r.ours(r.action())
	if err != nil {
		return err
	}
	out := wire.AppendAttr([]byte("<pubsub xmlns='"+NSOwner+"'><configure"), "node", n.Name)
	out = appendForm(append(out, '>'), "form", nsConfig, fields, &n.config)
	r.reply(append(out, "</configure></pubsub>"...))
	return nil
}

// configure is XEP-0060 §8.2.4.
func (r *request) configure() error {
	e := r.action()
	n, err := r.ours(e)
	if err != nil {
		return err
	}
	form, ok := readForm(e, nsConfig)
	if !ok {
		return errBad
	}
	if e := n.apply(form, r.limits.Items); e != nil {
		return e
	}
	change := store.NodeChange{Name: n.Name, Configure: true, Config: n.encode(), Purge: !n.Persist}
	if n.Persist {
		change.Keep = n.keep(r.limits.Items)
	}
	if err := r.change(change); err != nil {
		return err
	}
	r.reply(nil)
	if n.OnConfig { // §8.2.5.3
		body := wire.AppendAttr([]byte("<configuration"), "node", n.Name)
		if n.Payloads {
			body = appendForm(append(body, '>'), "result", nsConfig, fields, &n.config)
			body = append(body, "</configuration>"...)
		} else {
			body = append(body, "/>"...)
		}
		r.tell(n, body)
	}
	return r.changed(n.Name)
}

// remove is XEP-0060 §8.4.
func (r *request) remove() error {
	e := r.action()
	if e.AttrString("node") == NSStorage && r.own {
		return r.clearStorage()
	}
	n, err := r.ours(e)
	if err != nil {
		return err
	}
	list, _, err := r.audience(r.ctx, n) // while the node is there
	if err != nil {
		return err
	}
	if err := r.change(store.NodeChange{Name: n.Name, Delete: true}); err != nil {
		return err
	}
	r.reply(nil)
	if n.OnDelete && n.Deliver {
		body := append(wire.AppendAttr([]byte("<delete"), "node", n.Name), '>')
		if uri := e.Child("redirect", NSOwner).AttrString("uri"); uri != "" {
			body = append(wire.AppendAttr(append(body, "<redirect"...), "uri", uri), "/>"...)
		}
		st := n.event(append(body, "</delete>"...), "")
		for _, to := range list {
			r.accounts.Send(r.b, r.account, to, st)
		}
	}
	return r.changed(n.Name)
}

// purge is XEP-0060 §8.5.
func (r *request) purge() error {
	e := r.action()
	if e.AttrString("node") == NSStorage && r.own {
		return r.clearStorage()
	}
	n, err := r.ours(e)
	if err != nil {
		return err
	}
	if !n.Persist {
		return unsupported("persistent-items")
	}
	if err := r.change(store.NodeChange{Name: n.Name, Purge: true}); err != nil {
		return err
	}
	r.reply(nil)
	if n.OnRetract {
		r.tell(n, append(wire.AppendAttr([]byte("<purge"), "node", n.Name), "/>"...))
	}
	return r.changed(n.Name)
}

// allAffiliations is XEP-0060 §8.9.1.
func (r *request) allAffiliations() error {
	n, err := r.ours(r.action())
	if err != nil {
		return err
	}
	out := append(wire.AppendAttr([]byte("<pubsub xmlns='"+NSOwner+"'><affiliations"), "node", n.Name), '>')
	out = appendAffiliation(out, n.Owner, owner)
	for _, a := range n.Affiliations {
		out = appendAffiliation(out, a.Addr, a.Name)
	}
	r.reply(append(out, "</affiliations></pubsub>"...))
	return nil
}

func appendAffiliation(dst []byte, addr, name string) []byte {
	dst = wire.AppendAttr(append(dst, "<affiliation"...), "jid", addr)
	return append(wire.AppendAttr(dst, "affiliation", name), "/>"...)
}

// mostChanges bounds the affiliations or subscriptions of one request.
const mostChanges = 100

// setAffiliations is XEP-0060 §8.9.2: all of it or, with the entries that are wrong in the error, nothing.
func (r *request) setAffiliations() error {
	e := r.action()
	n, err := r.ours(e)
	if err != nil {
		return err
	}
	var list []store.NodeAffiliation
	var wrong []byte
	for it := e.Children(); it.Next(); {
		addr, err := wire.ParseAddr(it.Elem.AttrString("jid"))
		if err != nil || !it.Elem.Is("affiliation", NSOwner) || len(list) == mostChanges {
			return errBad
		}
		addr = addr.Bare()
		name, given := it.Elem.Attr("affiliation")
		switch string(name) {
		case publisher, publishOnly, member, outcast, none:
			if string(addr) != n.Owner {
				list = append(list, store.NodeAffiliation{Addr: string(addr), Name: string(name)})
				continue
			}
		case owner: // there is one, and it stays the only one
			if string(addr) == n.Owner {
				continue
			}
		default:
			if !given {
				continue
			}
		}
		wrong = appendAffiliation(wrong, string(addr), n.affiliation(addr))
	}
	if wrong != nil {
		out := append(wire.AppendAttr([]byte("<pubsub xmlns='"+NSOwner+"'><affiliations"), "node", n.Name), '>')
		refused := *errAcceptable
		refused.Echo = string(append(append(out, wrong...), "</affiliations></pubsub>"...))
		return &refused
	}
	var lost []store.NodeSubscription // an outcast has no subscription (§4.1)
	for _, a := range list {
		for _, sub := range n.Subscriptions {
			if a.Name == outcast && string(wire.Addr(sub.Addr).Bare()) == a.Addr {
				lost = append(lost, store.NodeSubscription{Addr: sub.Addr, State: none})
			}
		}
	}
	if len(list) > 0 {
		if err := r.change(store.NodeChange{Name: n.Name, Affiliations: list, Subscriptions: lost}); err != nil {
			return err
		}
	}
	r.reply(nil)
	for _, sub := range lost {
		r.tellSubscription(n, wire.Addr(sub.Addr), none)
	}
	return nil
}

// allSubscriptions is XEP-0060 §8.8.1. Those that wait for approval are shown too, for there is no other way to find them.
func (r *request) allSubscriptions() error {
	n, err := r.ours(r.action())
	if err != nil {
		return err
	}
	out := append(wire.AppendAttr([]byte("<pubsub xmlns='"+NSOwner+"'><subscriptions"), "node", n.Name), '>')
	for _, s := range n.Subscriptions {
		out = appendSubscription(out, "", s.Addr, s.State)
	}
	r.reply(append(out, "</subscriptions></pubsub>"...))
	return nil
}

// setSubscriptions is XEP-0060 §8.8.2, which is also how a subscription is approved or denied.
func (r *request) setSubscriptions() error {
	e := r.action()
	n, err := r.ours(e)
	if err != nil {
		return err
	}
	var list []store.NodeSubscription
	var wrong []byte
	for it := e.Children(); it.Next(); {
		addr, err := wire.ParseAddr(it.Elem.AttrString("jid"))
		if err != nil || !it.Elem.Is("subscription", NSOwner) || len(list) == mostChanges {
			return errBad
		}
		state, given := it.Elem.Attr("subscription")
		if !given {
			continue
		}
		may, err := r.maySubscribe(n, addr, string(state))
		if err != nil {
			return err
		}
		if !may {
			wrong = appendSubscription(wrong, "", string(addr), n.subscription(addr))
			continue
		}
		list = append(list, store.NodeSubscription{Addr: string(addr), State: string(state)})
	}
	if wrong != nil {
		out := append(wire.AppendAttr([]byte("<pubsub xmlns='"+NSOwner+"'><subscriptions"), "node", n.Name), '>')
		refused := *errAcceptable
		refused.Echo = string(append(append(out, wrong...), "</subscriptions></pubsub>"...))
		return &refused
	}
	if len(list) > 0 {
		if err := r.change(store.NodeChange{Name: n.Name, Subscriptions: list}); err != nil {
			return err
		}
	}
	r.reply(nil)
	for _, s := range list {
		if n.subscription(wire.Addr(s.Addr)) != s.State {
			r.tellSubscription(n, wire.Addr(s.Addr), s.State)
		}
	}
	return nil
}

// maySubscribe reports that the owner may give an address this state. The owner cannot subscribe strangers who have not asked
// for it: what it publishes would go to them.
func (r *request) maySubscribe(n *node, addr wire.Addr, state string) (bool, error) {
	switch {
	case state == none:
		return true, nil
	case state != subscribed && state != pending, n.affiliation(addr.Bare()) == outcast:
		return false, nil
	case n.subscription(addr) != none:
		return true, nil
	}
	standing, err := r.accounts.Standing(r.ctx, r.account, addr)
	return standing.Own || standing.Sees(), err
}

// tellSubscription tells somebody that the state of its subscription has changed (§8.8.4).
func (r *request) tellSubscription(n *node, to wire.Addr, state string) {
	r.accounts.Send(r.b, r.account, to, n.event(appendSubscription(nil, n.Name, string(to), state), ""))
}
