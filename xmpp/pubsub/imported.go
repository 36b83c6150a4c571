package pubsub

import (
	"time"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// Imported is a node of an account of another server.
type Imported struct {
	Owner, Name string
	Access      string // access model; those that are not served here become the node's default
	Items       []store.Item
}

// Change is what creates the node with its items.
func (i *Imported) Change() store.NodeChange {
	c := defaults(i.Name)
	switch i.Access {
	case accessOpen, accessPresence, accessWhitelist:
		c.Access = i.Access
	}
	if len(i.Items) > 1 {
		c.MaxItems = 0
	}
	return store.NodeChange{Owner: i.Owner, Name: i.Name, Create: true, Config: c.encode(), Publish: i.Items}
}

// ImportedCard is what stores a vCard (XEP-0054) for an account that has none, with its photo as the account's avatar.
func ImportedCard(owner string, card []byte, now time.Time) (list []store.NodeChange) {
	e := wire.ParseElem(card)
	add := func(node, id string, payload []byte) {
		n := Imported{Owner: owner, Name: node, Access: accessOpen, Items: []store.Item{{ID: id, Publisher: owner, At: now, Payload: payload}}}
		list = append(list, n.Change())
	}
	add(vcardNode, "current", withChildren(e, func(e wire.Elem) bool { return !isImage(e) }, nil))
	for it := e.Children(); it.Next(); {
		if !isImage(it.Elem) {
			continue
		}
		if image, hash, ok := readImage(it.Elem.Child("BINVAL", NSVCard).Text()); ok && image != "" {
			add(NSAvatar, hash, []byte("<data xmlns='"+NSAvatar+"'>"+image+"</data>"))
			add(NSMetadata, hash, metadataOf(image, hash, it.Elem.Child("TYPE", NSVCard).Text()))
			break
		}
	}
	return list
}
