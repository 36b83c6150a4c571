package pubsub

import (
	"parley/internal/store"
	"parley/xmpp/wire"
)

func appendSubscription(dst []byte, node, addr, state string) []byte {
	dst = append(dst, "<subscription"...)
	if node != "" {
		dst = wire.AppendAttr(dst, "node", node)
	}
	dst = wire.AppendAttr(dst, "jid", addr)
	return append(wire.AppendAttr(dst, "subscription", state), "/>"...)
}

// mostOwnSubscriptions bounds the addresses with which somebody subscribes to one node: its bare one and some sessions.
const mostOwnSubscriptions = 10

// subscribe is XEP-0060 §6.1.
func (r *request) subscribe() error {
	e := r.action()
	addr, err := r.subscriber(e)
	if err != nil {
		return err
	}
	if addr.Bare() != r.from.Bare() {
		return errJID
	}
	n, err := r.named(e)
	if err != nil {
		return err
	}
	state := subscribed
	switch err := r.mayRead(r.ctx, n, r.from); err {
	case nil:
	case errUnapproved:
		state = pending
	default:
		return err
	}
	mine := 0
	for _, s := range n.Subscriptions {
		if wire.Addr(s.Addr).Bare() == addr.Bare() {
			mine++
		}
	}
	known := n.subscription(addr)
	if known == none && mine >= mostOwnSubscriptions {
		return errManySubscr
	}
	if known != state {
		if err := r.change(store.NodeChange{Name: n.Name, Subscriptions: []store.NodeSubscription{{Addr: string(addr), State: state}}}); err != nil {
			return err
		}
	}
	out := appendSubscription([]byte("<pubsub xmlns='"+NS+"'>"), n.Name, string(addr), state)
	r.reply(append(out, "</pubsub>"...))
	if state == pending || n.SendLast == lastNever || !n.Deliver {
		return nil
	}
	list, _, err := r.store.Items(r.ctx, n.Owner, n.Name, store.ItemQuery{Latest: true, Limit: 1})
	if err == nil && len(list) == 1 { // §6.1.7
		r.accounts.Send(r.b, r.account, addr, n.lastEvent(&list[0], true))
	}
	return nil
}

// subscriber reads the address that is to be subscribed or not.
func (r *request) subscriber(e wire.Elem) (wire.Addr, error) {
	jid, ok := e.Attr("jid")
	if !ok {
		return "", refusal("modify", "bad-request", "jid-required")
	}
	addr, err := wire.ParseRawAddr(jid)
	if err != nil {
		return "", errJID
	}
	return addr, nil
}

// unsubscribe is XEP-0060 §6.2. There are no subscription identifiers, so that one that is given does not count.
func (r *request) unsubscribe() error {
	e := r.action()
	addr, err := r.subscriber(e)
	if err != nil {
		return err
	}
	if addr.Bare() != r.from.Bare() {
		return errForbidden
	}
	n, err := r.named(e)
	if err != nil {
		return err
	}
	if n.subscription(addr) == none {
		return errNoSubscr
	}
	if err := r.change(store.NodeChange{Name: n.Name, Subscriptions: []store.NodeSubscription{{Addr: string(addr), State: none}}}); err != nil {
		return err
	}
	out := appendSubscription([]byte("<pubsub xmlns='"+NS+"'>"), n.Name, string(addr), none)
	r.reply(append(out, "</pubsub>"...))
	return nil
}

// nodes returns the node that the request is about, or all of the account.
func (r *request) nodes() ([]*node, error) {
	if name := r.action().AttrString("node"); name != "" {
		n, err := r.named(r.action())
		if err != nil {
			return nil, err
		}
		return []*node{n}, nil
	}
	all, err := r.store.ListNodes(r.ctx, string(r.account))
	if err != nil {
		return nil, err
	}
	var list []*node
	for _, one := range all {
		n, err := newNode(one)
		if err != nil {
			return nil, err
		}
		if n.Name != vcardNode {
			list = append(list, n)
		}
	}
	return list, nil
}

// subscriptions is XEP-0060 §5.6: the requester's own.
func (r *request) subscriptions() error {
	nodes, err := r.nodes()
	if err != nil {
		return err
	}
	out := append([]byte("<pubsub xmlns='"+NS+"'><subscriptions"), nodeAttr(r.action())...)
	out = append(out, '>')
	for _, n := range nodes {
		for _, s := range n.Subscriptions {
			if wire.Addr(s.Addr).Bare() == r.from.Bare() {
				out = appendSubscription(out, n.Name, s.Addr, s.State)
			}
		}
	}
	r.reply(append(out, "</subscriptions></pubsub>"...))
	return nil
}

// affiliations is XEP-0060 §5.7: the requester's own.
func (r *request) affiliations() error {
	nodes, err := r.nodes()
	if err != nil {
		return err
	}
	out := append([]byte("<pubsub xmlns='"+NS+"'><affiliations"), nodeAttr(r.action())...)
	out = append(out, '>')
	for _, n := range nodes {
		if a := n.affiliation(r.from.Bare()); a != none {
			out = wire.AppendAttr(append(out, "<affiliation"...), "node", n.Name)
			out = append(wire.AppendAttr(out, "affiliation", a), "/>"...)
		}
	}
	r.reply(append(out, "</affiliations></pubsub>"...))
	return nil
}

// nodeAttr repeats the attribute node of a request.
func nodeAttr(e wire.Elem) []byte {
	v, ok := e.Attr("node")
	if !ok {
		return nil
	}
	return wire.AppendRawAttr(nil, "node", v)
}
