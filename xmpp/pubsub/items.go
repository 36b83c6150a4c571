package pubsub

import (
	"errors"
	"strconv"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// mostAsked bounds the items that one request names.
const mostAsked = 200

// items is XEP-0060 §6.5, with paging (§6.5.4, XEP-0059). Items come oldest first. An answer that would grow too large ends
// before, and says so.
func (r *request) items() error {
	e := r.action()
	if e.AttrString("node") == NSStorage && r.own {
		return r.storageItems()
	}
	n, err := r.named(e)
	if err != nil {
		return err
	}
	if err := r.mayRead(r.ctx, n, r.from); err != nil {
		return err
	}
	q, paged, err := r.query(e)
	if err != nil {
		return err
	}
	var list []store.Item
	more := false
	if q.Limit > 0 || q.IDs != nil {
		list, more, err = r.store.Items(r.ctx, n.Owner, n.Name, q)
		if errors.Is(err, store.ErrNotFound) {
			return errNotFound
		}
		if err != nil {
			return err
		}
	}
	out := wire.AppendAttr([]byte("<pubsub xmlns='"+NS+"'><items"), "node", n.Name)
	out = append(out, '>')
	for i := range list {
		out = n.appendItem(out, &list[i], true)
	}
	out = append(out, "</items>"...)
	if paged || more && e.AttrString("max_items") == "" {
		out = append(out, "<set xmlns='"+NSRSM+"'>"...)
		if len(list) > 0 && q.IDs == nil {
			out = wire.AppendElem(out, "first", list[0].ID)
			out = wire.AppendElem(out, "last", list[len(list)-1].ID)
		}
		out = append(wire.AppendElem(out, "count", strconv.Itoa(n.Items)), "</set>"...)
	}
	r.reply(append(out, "</pubsub>"...))
	return nil
}

// query reads what is asked for.
func (r *request) query(e wire.Elem) (q store.ItemQuery, paged bool, err error) {
	q = store.ItemQuery{Limit: r.limits.Items, Bytes: r.limits.Answer}
	for it := e.Children(); it.Next(); {
		id := it.Elem.AttrString("id")
		if !it.Elem.Is("item", NS) || id == "" || len(q.IDs) == mostAsked {
			return q, false, errBad
		}
		q.IDs = append(q.IDs, id)
	}
	if most := e.AttrString("max_items"); most != "" { // §6.5.7
		n, err := strconv.ParseUint(most, 10, 31)
		if err != nil || n == 0 {
			return q, false, errBad
		}
		q.Limit, q.Latest = min(q.Limit, int(n)), true
	}
	set := r.p.Elem().First().Child("set", NSRSM)
	if !set.Ok() {
		return q, false, nil
	}
	if most := set.Child("max", NSRSM); most.Ok() {
		n, err := strconv.ParseUint(most.Text(), 10, 31)
		if err != nil {
			return q, false, errBad
		}
		q.Limit = min(q.Limit, int(n))
	}
	if set.Child("index", NSRSM).Ok() {
		return q, false, unsupported("rsm")
	}
	q.After = set.Child("after", NSRSM).Text()
	if before := set.Child("before", NSRSM); before.Ok() {
		q.Before, q.Latest = before.Text(), true
	}
	return q, true, nil
}

// appendItem appends an item as the node shows it, with its payload or without.
func (n *node) appendItem(dst []byte, i *store.Item, payload bool) []byte {
	dst = wire.AppendAttr(append(dst, "<item"...), "id", i.ID)
	switch n.Show {
	case "publisher":
		dst = wire.AppendAttr(dst, "publisher", i.Publisher)
	case "owner":
		dst = wire.AppendAttr(dst, "publisher", n.Owner)
	}
	if !payload || len(i.Payload) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(append(dst, '>'), i.Payload...)
	return append(dst, "</item>"...)
}
