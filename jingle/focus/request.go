package focus

import (
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Namespaces of the Jitsi dialect that the focus speaks.
const (
	NSFocus    = "http://jitsi.org/protocol/focus"
	NSJitsi    = "http://jitsi.org/jitmeet"
	NSDisco    = "http://jabber.org/protocol/disco#info"
	NSPing     = "urn:xmpp:ping"
	NSCaps     = "http://jabber.org/protocol/caps"
	NSSessions = "urn:xmpp:jingle:1"
)

// Request asks for a conference: that the room exists, with the focus in it, before the client joins (jitsi.md §5).
type Request struct {
	Room    wire.Addr
	Machine string // names the browser across reconnects; opaque
}

// Answer tells a client whether it may join now.
type Answer struct {
	Ready      bool
	Properties map[string]string
}

var (
	errNoRoom  = &wire.Error{Type: mstanza.Modify, Condition: mstanza.BadRequest, Text: "the attribute room must be the address of a room here"}
	errUnknown = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ServiceUnavailable}
)

// parseRequest reads <conference/>.
func (f *Focus) parseRequest(e wire.Elem) (Request, *wire.Error) {
	room, ok := f.room(e.AttrString("room"))
	if !ok {
		return Request{}, errNoRoom
	}
	return Request{Room: room, Machine: e.AttrString("machine-uid")}, nil
}

// room checks that an address is one of a room here.
func (f *Focus) room(s string) (wire.Addr, bool) {
	a, err := wire.ParseAddr(s)
	if err != nil || !a.IsBare() || a.Local() == "" || a.Domain() != f.cfg.Rooms {
		return "", false
	}
	return a, true
}

// appendAnswer appends <conference/> as the answer to a request.
func (f *Focus) appendAnswer(dst []byte, room wire.Addr, a Answer) []byte {
	dst = append(dst, "<conference xmlns='"+NSFocus+"'"...)
	dst = wire.AppendAttr(dst, "room", string(room))
	dst = wire.AppendAttr(dst, "focusjid", string(wire.Addr(f.cfg.Address).Bare()))
	if a.Ready {
		dst = append(dst, " ready='true'>"...)
	} else {
		dst = append(dst, " ready='false'>"...)
	}
	for _, name := range sortedKeys(a.Properties) {
		dst = append(dst, "<property"...)
		dst = wire.AppendAttr(dst, "name", name)
		dst = append(wire.AppendAttr(dst, "value", a.Properties[name]), "/>"...)
	}
	return append(dst, "</conference>"...)
}
