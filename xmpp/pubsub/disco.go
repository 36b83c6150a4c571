package pubsub

import (
	"parley/internal/store"
	"parley/xmpp/im"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// Features are what accounts say of themselves (XEP-0060 §10, XEP-0163 §6.1).
var Features = func() []string {
	list := []string{
		NS, NSBookmarks + "#compat", NSBookmarks + "#compat-pep", "urn:xmpp:bookmarks-conversion:0",
		"urn:xmpp:pep-vcard-conversion:0", NSVCard,
	}
	for _, f := range []string{
		"access-authorize", "access-open", "access-presence", "access-roster", "access-whitelist", "auto-create",
		"auto-subscribe", "config-node", "config-node-max", "create-and-configure", "create-nodes", "delete-items",
		"delete-nodes", "filtered-notifications", "instant-nodes", "item-ids", "last-published", "manage-subscriptions",
		"member-affiliation", "meta-data", "modify-affiliations", "multi-items", "outcast-affiliation", "persistent-items",
		"presence-notifications", "presence-subscribe", "publish", "publish-only-affiliation", "publish-options",
		"publisher-affiliation", "purge-nodes", "retract-items", "retrieve-affiliations", "retrieve-default",
		"retrieve-items", "retrieve-subscriptions", "rsm", "subscribe",
	} {
		list = append(list, NS+"#"+f)
	}
	return list
}()

// Identity is what an account is besides (XEP-0163 §6.1).
var Identity = im.Identity{Category: "pubsub", Type: "pep"}

// Disco takes requests for disco#info about a node of an account and for disco#items of an account and its nodes. It reports
// that the request is one of those.
func (s *Service) Disco(b *wire.Batch, from route.Sender, account wire.Addr, p *wire.Packet) bool {
	query := p.Elem().First()
	handle := (*request).discoItems
	if query.Is("query", NSInfo) {
		if query.AttrString("node") == "" {
			return false
		}
		handle = (*request).discoInfo
	}
	if string(p.Type()) != "get" || from.Guest() {
		return false
	}
	s.later(b, from, account, p, handle)
	return true
}

// discoInfo is XEP-0060 §5.3 with the metadata of §5.4.
func (r *request) discoInfo() error {
	e := r.p.Elem().First()
	n, err := r.named(e)
	if err != nil {
		return err
	}
	if err := r.mayRead(r.ctx, n, r.from); err != nil {
		return err
	}
	out := append([]byte("<query xmlns='"+NSInfo+"'"), nodeAttr(e)...)
	out = append(out, "><identity category='pubsub' type='leaf'/><feature var='"+NS+"'/>"...)
	out = appendForm(out, "result", nsMeta, metadata, &n.config)
	r.reply(append(out, "</query>"...))
	return nil
}

// discoItems is XEP-0060 §5.2 for the account, of which only those nodes are shown that the requester may see (XEP-0163 §6.2),
// and §5.5 for a node.
func (r *request) discoItems() error {
	e := r.p.Elem().First()
	out := append([]byte("<query xmlns='"+NSItems+"'"), nodeAttr(e)...)
	out = append(out, '>')
	if e.AttrString("node") != "" {
		n, err := r.named(e)
		if err != nil {
			return err
		}
		if err := r.mayRead(r.ctx, n, r.from); err != nil {
			return err
		}
		list, _, err := r.store.Items(r.ctx, n.Owner, n.Name, store.ItemQuery{Limit: r.limits.Items, NoPayload: true})
		if err != nil {
			return err
		}
		for _, i := range list {
			out = append(wire.AppendAttr(wire.AppendAttr(append(out, "<item"...), "jid", n.Owner), "name", i.ID), "/>"...)
		}
		r.reply(append(out, "</query>"...))
		return nil
	}
	all, err := r.store.ListNodes(r.ctx, string(r.account))
	if err != nil {
		return err
	}
	empty := len(out)
	for _, one := range all {
		n, err := newNode(one)
		if err != nil {
			return err
		}
		if n.Name == vcardNode {
			continue
		}
		err = r.mayRead(r.ctx, n, r.from)
		if isRefusal(err) {
			continue
		}
		if err != nil {
			return err
		}
		out = wire.AppendAttr(wire.AppendAttr(append(out, "<item"...), "jid", n.Owner), "node", n.Name)
		if n.Title != "" {
			out = wire.AppendAttr(out, "name", n.Title)
		}
		out = append(out, "/>"...)
	}
	if len(out) == empty && !r.own {
		standing, err := r.accounts.Standing(r.ctx, r.account, r.from)
		if err != nil {
			return err
		}
		if !standing.Sees() {
			return errUnavailable // to a stranger, as if there were no such account
		}
	}
	r.reply(append(out, "</query>"...))
	return nil
}
