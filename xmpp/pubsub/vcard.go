package pubsub

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"time"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// vcardNode is the node in which an account's vCard (XEP-0054) is kept, without its photo. It is not reachable as a node.
const vcardNode = NSVCard

// card answers a request for an account's vCard (XEP-0054 §3.1, §3.3). Everybody may have it; its photo is the account's
// avatar, for those who may see that (XEP-0398 §5.2).
func (r *request) card() error {
	var kept wire.Elem
	list, _, err := r.store.Items(r.ctx, string(r.account), vcardNode, store.ItemQuery{Latest: true, Limit: 1})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if len(list) == 1 {
		kept = wire.ParseElem(list[0].Payload)
	}
	photo, err := r.photo()
	if err != nil {
		return err
	}
	switch {
	case !kept.Ok() && photo == nil && !r.own:
		return errUnavailable // as if there were no such account
	case !kept.Ok():
		r.reply(append(append([]byte("<vCard xmlns='"+NSVCard+"'>"), photo...), "</vCard>"...))
	case photo == nil:
		r.reply(kept.Raw())
	default:
		r.reply(withChildren(kept, func(e wire.Elem) bool { return !e.Is("PHOTO", NSVCard) }, photo))
	}
	return nil
}

// photo is the account's avatar as a vCard has it, nil if there is none that the requester may see.
func (r *request) photo() ([]byte, error) {
	a, err := r.avatar(r.ctx, r.account)
	if err != nil || a == nil {
		return nil, err
	}
	err = r.mayRead(r.ctx, a.node, r.from)
	if isRefusal(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	dst := []byte("<PHOTO xmlns='" + NSVCard + "'>")
	if a.kind != "" {
		dst = wire.AppendElem(dst, "TYPE", a.kind)
	}
	return append(wire.AppendElem(dst, "BINVAL", a.image), "</PHOTO>"...), nil
}

// setCard stores the account's vCard (XEP-0054 §3.2). Its photo becomes the account's avatar (XEP-0398 §3.2); without one
// the account shows none from then on (XEP-0084 §4.4).
func (r *request) setCard() error {
	if !r.own {
		return errForbidden
	}
	card := wire.ParseElem(r.p.Elem().First().AppendStandalone(nil))
	var image, hash, kind string
	for it := card.Children(); it.Next() && image == ""; {
		if !isImage(it.Elem) {
			continue
		}
		var ok bool
		if image, hash, ok = readImage(it.Elem.Child("BINVAL", NSVCard).Text()); !ok {
			e := *errAcceptable
			e.Text = "the photo is not base64"
			return &e
		}
		kind = it.Elem.Child("TYPE", NSVCard).Text()
	}
	payload := withChildren(card, func(e wire.Elem) bool { return !isImage(e) }, nil)
	if len(payload) > r.limits.Payload {
		return errTooBig
	}
	had, err := r.avatar(r.ctx, r.account)
	if err != nil {
		return err
	}
	var list []publication
	add := func(node, id string, payload []byte) {
		if err == nil {
			var p publication
			p, err = r.publication(node, id, payload)
			list = append(list, p)
		}
	}
	add(vcardNode, "current", payload)
	switch {
	case image != "" && (had == nil || had.hash != hash):
		add(NSAvatar, hash, []byte("<data xmlns='"+NSAvatar+"'>"+image+"</data>"))
		add(NSMetadata, hash, metadataOf(image, hash, kind))
	case image == "" && had != nil:
		add(NSMetadata, rand.Text(), []byte("<metadata xmlns='"+NSMetadata+"'/>"))
	}
	if err != nil {
		return err
	}
	var changes []store.NodeChange
	for _, p := range list {
		changes = append(changes, p.change)
	}
	if err := r.change(changes...); err != nil {
		return err
	}
	r.reply(nil)
	for _, p := range list[1:] {
		r.tellItems(p.node, &p.change.Publish[0])
	}
	r.loadPhoto(r.ctx, r.account)
	return nil
}

// isImage reports a photo whose image is in the vCard.
func isImage(e wire.Elem) bool {
	return e.Is("PHOTO", NSVCard) && e.Child("BINVAL", NSVCard).Ok()
}

// metadataOf is what the node NSMetadata says of an image (XEP-0084 §4.2.2).
func metadataOf(image, hash, kind string) []byte {
	b, _ := base64.StdEncoding.DecodeString(image)
	if kind == "" {
		kind = http.DetectContentType(b)
	}
	dst := wire.AppendAttr([]byte("<metadata xmlns='"+NSMetadata+"'><info"), "bytes", strconv.Itoa(len(b)))
	dst = wire.AppendAttr(dst, "id", hash)
	return append(wire.AppendAttr(dst, "type", kind), "/></metadata>"...)
}

// publication is an item that the service publishes for the account.
type publication struct {
	node   *node
	change store.NodeChange
}

// publication prepares one. A node that is not there yet will be open, as a vCard is.
func (r *request) publication(name, id string, payload []byte) (publication, error) {
	change := store.NodeChange{Name: name, Publish: []store.Item{{ID: id, Publisher: string(r.account), At: time.Now(), Payload: payload}}}
	n, err := r.find(r.ctx, r.account, name)
	if errors.Is(err, store.ErrNotFound) {
		n, err = &node{store.Node{Owner: string(r.account), Name: name}, defaults(name)}, nil
		n.Access = accessOpen
		change.Create, change.Config = true, n.encode()
	}
	if err != nil {
		return publication{}, err
	}
	change.Keep = n.keep(r.limits.Items)
	return publication{n, change}, nil
}
