package pubsub

import (
	"crypto/rand"
	"errors"
	"time"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// publish is XEP-0060 §7.1 with auto-create (§7.1.4) and options as preconditions (§7.1.5).
func (r *request) publish() error {
	e := r.action()
	name := e.AttrString("node")
	if name == NSStorage {
		return r.publishStorage(e)
	}
	n, create, err := r.target(e)
	if err != nil {
		return err
	}
	item, err := r.item(n, e)
	if err != nil {
		return err
	}
	change := store.NodeChange{Name: name, Create: create, Config: n.config.encode()}
	if n.Persist && item != nil {
		change.Publish = []store.Item{*item}
		change.Keep = n.keep(r.limits.Items)
	}
	if len(change.Publish) > 0 || create {
		if err := r.change(change); err != nil {
			return err
		}
	}
	payload := wire.AppendAttr([]byte("<pubsub xmlns='"+NS+"'><publish"), "node", name)
	if item == nil {
		payload = append(payload, "/></pubsub>"...)
	} else {
		payload = wire.AppendAttr(append(payload, "><item"...), "id", item.ID)
		payload = append(payload, "/></publish></pubsub>"...)
	}
	r.reply(payload)
	r.tellItems(n, item)
	return r.changed(name)
}

// target returns the node to publish to, or the one that is to be created for it, when the publisher may and its
// preconditions are met.
func (r *request) target(e wire.Elem) (n *node, create bool, err error) {
	options, err := r.options()
	if err != nil {
		return nil, false, err
	}
	n, err = r.named(e)
	if errors.Is(err, store.ErrNotFound) && r.own {
		n = &node{Node: store.Node{Owner: string(r.account), Name: e.AttrString("node")}, config: defaults(e.AttrString("node"))}
		for _, o := range options {
			if fieldNamed(o.name) == nil {
				return nil, false, unknownOption(o.name)
			}
		}
		if e := n.apply(options, r.limits.Items); e != nil {
			return nil, false, e
		}
		return n, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	if !n.mayPublish(r.from) {
		return nil, false, errForbidden
	}
	if e := n.meets(options, r.limits.Items); e != nil {
		return nil, false, e
	}
	return n, false, nil
}

// options reads the publish-options of the request; none is fine.
func (r *request) options() ([]answer, error) {
	e := r.p.Elem().First().Child("publish-options", NS)
	if !e.Ok() {
		return nil, nil
	}
	form, ok := readForm(e, nsOptions)
	if !ok {
		return nil, errOptions
	}
	return form, nil
}

// item reads what is published; nil means an event without an item.
func (r *request) item(n *node, publish wire.Elem) (*store.Item, error) {
	var e wire.Elem
	for it := publish.Children(); it.Next(); {
		if !it.Elem.Is("item", NS) {
			return nil, errBad
		}
		if e.Ok() {
			return nil, errManyItems
		}
		e = it.Elem
	}
	bareEvent := !n.Persist && !n.Payloads // nothing but that something happened
	switch {
	case !e.Ok() && bareEvent:
		return nil, nil
	case !e.Ok():
		return nil, errItem
	case bareEvent:
		return nil, refusal("modify", "bad-request", "item-forbidden")
	}
	i := &store.Item{ID: e.AttrString("id"), Publisher: string(r.from.Bare()), At: time.Now()}
	if i.ID == "" {
		i.ID = rand.Text()
	}
	payload, err := r.payload(n, e)
	i.Payload = payload
	return i, err
}

// payload returns the one payload element of an item as it is kept.
func (r *request) payload(n *node, item wire.Elem) ([]byte, error) {
	it := item.Children()
	if !it.Next() {
		if n.Payloads {
			return nil, errPayload
		}
		return nil, nil
	}
	payload := it.Elem
	if it.Next() {
		return nil, errBadPayload
	}
	if ns := string(payload.NS()); n.Type != "" && ns != n.Type {
		return nil, errBadPayload
	}
	if len(payload.Raw()) > r.limits.Payload {
		return nil, errTooBig
	}
	b := payload.AppendStandalone(nil)
	if len(b) > r.limits.Payload {
		return nil, errTooBig // by the declarations around it
	}
	return b, nil
}

// keep is how many of the latest items stay in the store.
func (n *node) keep(most int) int {
	if n.MaxItems == 0 {
		return most
	}
	return min(n.MaxItems, most)
}

// mostRetracted bounds the items of one request to remove some.
const mostRetracted = 100

// retract is XEP-0060 §7.2.
func (r *request) retract() error {
	e := r.action()
	if e.AttrString("node") == NSStorage {
		return r.clearStorage()
	}
	n, err := r.named(e)
	if err != nil {
		if errors.Is(err, store.ErrNotFound) && !r.own {
			err = errForbidden
		}
		return err
	}
	affiliation := n.affiliation(r.from.Bare())
	if affiliation != owner && (affiliation == outcast || !n.mayPublish(r.from)) {
		return errForbidden
	}
	if !n.Persist {
		return unsupported("persistent-items")
	}
	var ids []string
	for it := e.Children(); it.Next(); {
		id := it.Elem.AttrString("id")
		if !it.Elem.Is("item", NS) || id == "" {
			return errItem
		}
		if ids = append(ids, id); len(ids) > mostRetracted {
			return errManyItems
		}
	}
	if len(ids) == 0 {
		return errItem
	}
	there, _, err := r.store.Items(r.ctx, n.Owner, n.Name, store.ItemQuery{IDs: ids, NoPayload: true})
	if err != nil {
		return err
	}
	known := make(map[string]bool)
	for _, i := range there {
		known[i.ID] = true
		if affiliation != owner && i.Publisher != string(r.from.Bare()) {
			return errForbidden
		}
	}
	for _, id := range ids {
		if !known[id] {
			return errNotFound
		}
	}
	if err := r.change(store.NodeChange{Name: n.Name, Retract: ids}); err != nil {
		return err
	}
	r.reply(nil)
	if n.OnRetract || isTrue(e.AttrString("notify")) {
		r.tellRetracted(n, ids)
	}
	return r.changed(n.Name)
}

// changed does what hangs on the content of a node. The request is answered already: what goes wrong is only counted.
func (r *request) changed(name string) error {
	switch name {
	case NSBookmarks:
		r.tellStorage()
	case NSMetadata, NSAvatar:
		r.loadPhoto(r.ctx, r.account)
	}
	return nil
}
