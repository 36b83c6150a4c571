package archive

import "parley/xmpp/wire"

// worth reports that a message belongs into the archives of those who exchange it (XEP-0313 §6.1.1): it is a conversation's,
// so no error, headline or room's message, and it has a body, or something else that clients need to show a conversation
// as it is. Its sender may say otherwise, both ways (XEP-0334 §4).
func worth(message wire.Elem) bool {
	switch message.AttrString("type") {
	case "error", "headline", "groupchat":
		return false
	}
	yes := false
	for it := message.Children(); it.Next(); {
		local, ns := string(it.Elem.Local()), string(it.Elem.NS())
		switch ns {
		case NSHints:
			switch local {
			case "no-store", "no-permanent-store":
				return false
			case "store":
				yes = true
			}
		case "", wire.NSClient:
			yes = yes || local == "body" || local == "subject"
		case NSUser:
			if !it.Elem.Child("invite", NSUser).Ok() {
				return false // what occupants of a room say to each other
			}
			yes = true
		case "urn:xmpp:eme:0", // encrypted: nobody knows what (XEP-0380)
			NSRetract,                   // what was said is taken back (XEP-0424 §5)
			"urn:xmpp:chat-markers:0",   // how far the other has read (XEP-0333)
			"urn:xmpp:jingle-message:0", // calls, also those that were missed (XEP-0353)
			"jabber:x:conference":       // invitations to rooms (XEP-0249)
			yes = true
		case "urn:xmpp:receipts": // XEP-0184
			yes = yes || local == "received"
		}
	}
	return yes
}
