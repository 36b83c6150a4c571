package pubsub

import (
	"context"
	"errors"
	"time"

	"parley/internal/store"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// Bookmarks are kept as XEP-0402 wants them, one item for a room in the node NSBookmarks. What XEP-0048 knows, one document
// with all of them, in private XML (XEP-0049) and in the node NSStorage, is made of those when it is asked for and taken
// apart when it is stored (XEP-0411; XEP-0402 §8). What a document has besides rooms, such as links, is kept in the node
// NSStorage as it is.

// bookmark is what both forms have in common.
type bookmark struct {
	room, name, nick, password string
	autojoin                   bool
}

// readConference reads a conference element of either form.
func readConference(e wire.Elem, room string) bookmark {
	ns := string(e.NS())
	return bookmark{
		room: room, name: e.AttrString("name"), autojoin: isTrue(e.AttrString("autojoin")),
		nick: e.Child("nick", ns).Text(), password: e.Child("password", ns).Text(),
	}
}

// append appends what both forms have in common: the rest of the start tag, and the children.
func (m bookmark) append(dst []byte, more []byte) []byte {
	if m.name != "" {
		dst = wire.AppendAttr(dst, "name", m.name)
	}
	if m.autojoin {
		dst = wire.AppendAttr(dst, "autojoin", "true")
	}
	dst = append(dst, '>')
	if m.nick != "" {
		dst = wire.AppendElem(dst, "nick", m.nick)
	}
	if m.password != "" {
		dst = wire.AppendElem(dst, "password", m.password)
	}
	return append(append(dst, more...), "</conference>"...)
}

// conference is the payload of an item, with the extensions that the item has had.
func (m bookmark) conference(extensions []byte) []byte {
	return m.append([]byte("<conference xmlns='"+NSBookmarks+"'"), extensions)
}

// extensions are those of a conference element as it is kept (XEP-0402 §3).
func extensions(conference wire.Elem) []byte {
	if e := conference.Child("extensions", NSBookmarks); e.Ok() {
		return e.AppendStandalone(nil)
	}
	return nil
}

// bookmarks returns the items of the account, and what is kept of documents besides. What would make a document too large to
// send is left out, and so is not touched when a document is stored either.
func (s *Service) bookmarks(ctx context.Context, account wire.Addr) (list []store.Item, rest []byte, err error) {
	list, _, err = s.store.Items(ctx, string(account), NSBookmarks, store.ItemQuery{Limit: s.limits.Items, Bytes: s.limits.Answer})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, nil, err
	}
	kept, _, err := s.store.Items(ctx, string(account), NSStorage, store.ItemQuery{Latest: true, Limit: 1})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, nil, err
	}
	if len(kept) == 1 {
		for it := wire.ParseElem(kept[0].Payload).Children(); it.Next(); {
			rest = it.Elem.AppendStandalone(rest)
		}
	}
	return list, rest, nil
}

// Storage returns the account's bookmarks as one document, <storage xmlns='storage:bookmarks'/>. It may wait for the store.
func (s *Service) Storage(ctx context.Context, account wire.Addr) ([]byte, error) {
	list, rest, err := s.bookmarks(ctx, account)
	if err != nil {
		return nil, err
	}
	out := []byte("<storage xmlns='" + NSStorage + "'>")
	for _, i := range list {
		m := readConference(wire.ParseElem(i.Payload), i.ID)
		out = m.append(wire.AppendAttr(append(out, "<conference"...), "jid", m.room), nil)
	}
	return append(append(out, rest...), "</storage>"...), nil
}

// storageItem is the document as the one item of the node NSStorage.
func (s *Service) storageItem(ctx context.Context, account wire.Addr) (*node, *store.Item, error) {
	payload, err := s.Storage(ctx, account)
	n := &node{store.Node{Owner: string(account), Name: NSStorage}, defaults(NSStorage)}
	return n, &store.Item{ID: "current", Publisher: string(account), At: time.Now(), Payload: payload}, err
}

// storageItems answers a request for the items of the node NSStorage.
func (r *request) storageItems() error {
	n, i, err := r.storageItem(r.ctx, r.account)
	if err != nil {
		return err
	}
	out := append(wire.AppendAttr([]byte("<pubsub xmlns='"+NS+"'><items"), "node", NSStorage), '>')
	r.reply(append(n.appendItem(out, i, true), "</items></pubsub>"...))
	return nil
}

// publishStorage takes a document that is published to the node NSStorage.
func (r *request) publishStorage(publish wire.Elem) error {
	if !r.own {
		return errForbidden
	}
	if _, err := r.options(); err != nil {
		return err
	}
	document := publish.Child("item", NS).First()
	if !document.Is("storage", NSStorage) {
		return errBadPayload
	}
	changed, err := r.setStorage(document)
	if err != nil {
		return err
	}
	r.reply([]byte("<pubsub xmlns='" + NS + "'><publish node='" + NSStorage + "'><item id='current'/></publish></pubsub>"))
	changed.tell(r)
	return nil
}

// clearStorage removes all bookmarks.
func (r *request) clearStorage() error {
	if !r.own {
		return errForbidden
	}
	changed, err := r.setStorage(wire.Elem{})
	if err != nil {
		return err
	}
	r.reply(nil)
	changed.tell(r)
	return nil
}

// bookmarkChange is what a document changed.
type bookmarkChange struct {
	node      *node
	published []store.Item
	retracted []string
}

// setStorage takes a document apart and stores what is different from what is there. Rooms keep what the document cannot
// say of them.
func (r *request) setStorage(document wire.Elem) (done bookmarkChange, err error) {
	have, _, err := r.bookmarks(r.ctx, r.account)
	if err != nil {
		return done, err
	}
	known := make(map[string]wire.Elem, len(have))
	for _, i := range have {
		known[i.ID] = wire.ParseElem(i.Payload)
	}
	kept := make(map[string]bool)
	rest := []byte("<storage xmlns='" + NSStorage + "'>")
	others := len(rest)
	for it := document.Children(); it.Next(); {
		room, err := wire.ParseAddr(it.Elem.AttrString("jid"))
		if err != nil || !it.Elem.Is("conference", NSStorage) {
			rest = it.Elem.AppendStandalone(rest) // a link, or something that no client can join
			continue
		}
		m := readConference(it.Elem, string(room.Bare()))
		if kept[m.room] {
			continue
		}
		kept[m.room] = true
		old, there := known[m.room]
		if there && readConference(old, m.room) == m {
			continue
		}
		done.published = append(done.published, store.Item{
			ID: m.room, Publisher: string(r.account), At: time.Now(), Payload: m.conference(extensions(old)),
		})
	}
	if len(kept) > r.limits.Items {
		return done, store.ErrQuota
	}
	for _, i := range have {
		if !kept[i.ID] {
			done.retracted = append(done.retracted, i.ID)
		}
	}
	changes, err := r.bookmarkChanges(&done)
	if err != nil {
		return done, err
	}
	misc, err := r.restChange(append(rest, "</storage>"...), len(rest) == others)
	if err != nil {
		return done, err
	}
	return done, r.change(append(changes, misc...)...)
}

// bookmarkChanges is how the node NSBookmarks changes. It becomes private if it was not (XEP-0411 §5).
func (r *request) bookmarkChanges(done *bookmarkChange) ([]store.NodeChange, error) {
	change := store.NodeChange{Name: NSBookmarks, Publish: done.published, Retract: done.retracted}
	n, err := r.find(r.ctx, r.account, NSBookmarks)
	switch {
	case errors.Is(err, store.ErrNotFound):
		n = &node{store.Node{Owner: string(r.account), Name: NSBookmarks}, defaults(NSBookmarks)}
		change.Create, change.Config = true, n.encode()
		if done.node = n; len(done.published) == 0 {
			return nil, nil
		}
	case err != nil:
		return nil, err
	case n.Access != accessWhitelist:
		n.Access = accessWhitelist
		change.Configure, change.Config = true, n.encode()
	}
	done.node = n
	return []store.NodeChange{change}, nil
}

// restChange is how what is kept besides the rooms changes.
func (r *request) restChange(document []byte, nothing bool) ([]store.NodeChange, error) {
	change := store.NodeChange{Name: NSStorage, Purge: true}
	_, err := r.find(r.ctx, r.account, NSStorage)
	if errors.Is(err, store.ErrNotFound) {
		c := defaults(NSStorage)
		change.Create, change.Config = true, c.encode()
		if nothing {
			return nil, nil
		}
		err = nil
	}
	if !nothing {
		change.Publish = []store.Item{{ID: "current", Publisher: string(r.account), At: time.Now(), Payload: document}}
	}
	return []store.NodeChange{change}, err
}

// tell tells the account's sessions of bookmarks in the form that each of them asks for.
func (c bookmarkChange) tell(r *request) {
	for i := range c.published {
		r.tellItems(c.node, &c.published[i])
	}
	if len(c.retracted) > 0 && c.node.OnRetract {
		r.tellRetracted(c.node, c.retracted)
	}
	r.tellStorage()
}

// tellStorage sends the document to the account's sessions that ask for it.
func (r *request) tellStorage() {
	list := r.interested(nil, r.account, NSStorage)
	if len(list) == 0 {
		return
	}
	n, i, err := r.storageItem(r.ctx, r.account)
	if err != nil {
		r.rec.Hurt("pubsub.store", string(r.account), "err", err.Error())
		return
	}
	st := n.event(n.itemsBody(i, true), "")
	for _, to := range list {
		r.accounts.Send(r.b, r.account, to, st)
	}
}

// lastStorage sends the document to a session of the account that has begun to ask for it.
func (s *Service) lastStorage(ctx context.Context, b *wire.Batch, account, to wire.Addr) error {
	list, rest, err := s.bookmarks(ctx, account)
	if err != nil || len(list)+len(rest) == 0 {
		return err
	}
	n, i, err := s.storageItem(ctx, account)
	if err == nil {
		s.accounts.Send(b, account, to, n.event(n.itemsBody(i, true), ""))
	}
	return err
}

// Private takes requests for private XML (XEP-0049) that are about bookmarks. It is an im.Handler for the namespace NSStorage.
func (s *Service) Private(b *wire.Batch, from route.Sender, p *wire.Packet) {
	switch {
	case from.Guest():
		route.Refuse(b, from, p, bare(p), errUnavailable)
	case !p.Elem().First().First().Is("storage", NSStorage):
		route.Refuse(b, from, p, bare(p), errBad)
	case string(p.Type()) == "set":
		s.later(b, from, from.Addr().Bare(), p, (*request).setPrivateBookmarks)
	default:
		s.later(b, from, from.Addr().Bare(), p, (*request).privateBookmarks)
	}
}

func (r *request) privateBookmarks() error {
	document, err := r.Storage(r.ctx, r.account)
	if err != nil {
		return err
	}
	r.reply(append(append([]byte("<query xmlns='jabber:iq:private'>"), document...), "</query>"...))
	return nil
}

func (r *request) setPrivateBookmarks() error {
	it := r.p.Elem().First().Children()
	it.Next()
	document := it.Elem
	if it.Next() {
		return errNotAllowed // one thing at a time
	}
	changed, err := r.setStorage(document)
	if err != nil {
		return err
	}
	r.reply(nil)
	changed.tell(r)
	return nil
}
