package pubsub

import (
	"context"
	"crypto/rand"
	"slices"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// event is the message about a node (XEP-0060 §7.1.2), from the owner's bare address as XEP-0163 §4.3 wants it. All
// receivers share it.
func (n *node) event(body []byte, tail string) wire.Stanza {
	dst := wire.AppendAttr(make([]byte, 0, len(body)+256), "from", n.Owner)
	dst = wire.AppendAttr(dst, "id", rand.Text())
	if n.Message != "normal" {
		dst = wire.AppendAttr(dst, "type", n.Message)
	}
	dst = append(dst, "><event xmlns='"+NSEvent+"'>"...)
	dst = append(append(dst, body...), "</event>"...)
	return wire.Stanza{Kind: wire.Message, Tail: append(append(dst, tail...), "</message>"...)}
}

// itemsBody is what an event about an item consists of, with the payload or without; nil stands for an event without an item.
func (n *node) itemsBody(i *store.Item, payload bool) []byte {
	body := append(wire.AppendAttr([]byte("<items"), "node", n.Name), '>')
	if i != nil {
		body = n.appendItem(body, i, payload)
	}
	return append(body, "</items>"...)
}

// tellItems is XEP-0060 §7.1.2.
func (r *request) tellItems(n *node, i *store.Item) { r.tell(n, n.itemsBody(i, n.Payloads)) }

// tellRetracted is XEP-0060 §7.2.2.1.
func (r *request) tellRetracted(n *node, ids []string) {
	body := append(wire.AppendAttr([]byte("<items"), "node", n.Name), '>')
	for _, id := range ids {
		body = append(wire.AppendAttr(append(body, "<retract"...), "id", id), "/>"...)
	}
	r.tell(n, append(body, "</items>"...))
}

// tell sends an event to everybody who is to have it.
func (r *request) tell(n *node, body []byte) {
	if !n.Deliver {
		return
	}
	list, lost, err := r.audience(r.ctx, n)
	if err != nil {
		r.rec.Hurt("pubsub.store", n.Owner, "err", err.Error())
	}
	if len(list) > 0 {
		st := n.event(body, "")
		for _, to := range list {
			r.accounts.Send(r.b, wire.Addr(n.Owner), to, st)
		}
	}
	if len(lost) > 0 {
		if err := r.change(store.NodeChange{Name: n.Name, Subscriptions: lost}); err != nil {
			r.rec.Hurt("pubsub.store", n.Owner, "err", err.Error())
		}
	}
}

// audience returns who is to have events about a node: the owner's sessions and those of contacts that ask for them in
// their capabilities (XEP-0163 §4.2), and who has subscribed. lost are subscriptions of those who may not see the node any
// more (XEP-0163 §7).
func (s *Service) audience(ctx context.Context, n *node) (list []wire.Addr, lost []store.NodeSubscription, err error) {
	account := wire.Addr(n.Owner)
	list = s.interested(nil, account, n.Name)
	closed := n.Access == accessWhitelist || n.Access == accessAuthorize
	if !closed || len(n.Affiliations)+len(n.Subscriptions) > 0 {
		if list, err = s.interestedContacts(ctx, list, n); err != nil {
			return list, nil, err
		}
	}
	for _, sub := range n.Subscriptions {
		addr := wire.Addr(sub.Addr)
		if sub.State != subscribed || slices.ContainsFunc(list, func(a wire.Addr) bool {
			return a == addr || addr.IsBare() && a.Bare() == addr
		}) {
			continue
		}
		standing, err := s.accounts.Standing(ctx, account, addr)
		if err != nil {
			return list, lost, err
		}
		switch err := s.mayRead(ctx, n, addr); {
		case isRefusal(err):
			lost = append(lost, store.NodeSubscription{Addr: sub.Addr, State: none})
		case err != nil:
			return list, lost, err
		case !standing.Blocked:
			list = append(list, addr)
		}
	}
	return list, lost, nil
}

func isRefusal(err error) bool {
	_, ok := err.(*wire.Error)
	return ok
}

// interestedContacts adds the sessions of the owner's contacts that ask for the node and may see it.
func (s *Service) interestedContacts(ctx context.Context, list []wire.Addr, n *node) ([]wire.Addr, error) {
	account := wire.Addr(n.Owner)
	contacts, err := s.accounts.Subscribers(ctx, account)
	if err != nil {
		return list, err
	}
	far := s.remote(account, n.Name)
	for _, contact := range contacts {
		known := len(list)
		if contact.Domain() == s.domain {
			list = s.interested(list, contact, n.Name)
		} else {
			for _, full := range far {
				if full.Bare() == contact {
					list = append(list, full)
				}
			}
		}
		if len(list) == known || n.Access == accessPresence && len(n.Affiliations) == 0 {
			continue
		}
		switch err := s.mayRead(ctx, n, contact); {
		case isRefusal(err):
			list = list[:known]
		case err != nil:
			return list[:known], err
		}
	}
	return list, nil
}

// interested adds the available sessions of an account of ours that ask for a node.
func (s *Service) interested(list []wire.Addr, account wire.Addr, node string) []wire.Addr {
	for _, res := range s.accounts.Resources(account) {
		if s.sightOf(account, res).wants(node) {
			list = append(list, res.Addr)
		}
	}
	return list
}
