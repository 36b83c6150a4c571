package im

import (
	"bytes"

	"parley/xmpp/wire"
)

// Namespaces of what messages carry.
const (
	NSStanzaID  = "urn:xmpp:sid:0"
	NSDelay     = "urn:xmpp:delay"
	NSHints     = "urn:xmpp:hints"
	NSForward   = "urn:xmpp:forward:0"
	nsReceipts  = "urn:xmpp:receipts"
	nsChatState = "http://jabber.org/protocol/chatstates"
	nsMarkers   = "urn:xmpp:chat-markers:0"
	nsMUCUser   = "http://jabber.org/protocol/muc#user"
	nsInvite    = "jabber:x:conference"
	nsCall      = "urn:xmpp:jingle-message:0" // XEP-0353
	nsArchive   = "urn:xmpp:mam:2"
)

// clean returns a message as accounts get it: without ids that claim to be of the archives that it comes to (XEP-0359 §6) and
// without what tells servers not to copy it (XEP-0280 §9).
func (h *Host) clean(e *errand) wire.Stanza {
	st := e.p.Stanza(e.s.Addr())
	forged := func(c wire.Elem) bool {
		switch string(c.Local()) {
		case "stanza-id":
			if h.archive == nil || string(c.NS()) != NSStanzaID {
				return false
			}
			by, err := wire.ParseAddr(c.AttrString("by"))
			return err == nil && (by == e.to.Bare() || by == e.s.Addr().Bare())
		case "private":
			return string(c.NS()) == NSCarbons
		}
		return false
	}
	any := false
	for it := e.p.Elem().Children(); it.Next(); {
		any = any || forged(it.Elem)
	}
	if any {
		inner := e.p.Inner()
		head := st.Tail[:len(st.Tail)-len(inner)-len(endTag(st.Tail))]
		dst := append(make([]byte, 0, len(st.Tail)+160), head...)
		for it := e.p.Elem().Children(); it.Next(); {
			if !forged(it.Elem) {
				dst = append(dst, it.Elem.Raw()...)
			}
		}
		st.Tail = append(dst, "</message>"...)
	}
	return st
}

// withID returns a message with the id that it has in an account's archive, if it has one.
func withID(st wire.Stanza, owner wire.Addr, id string) wire.Stanza {
	if id == "" {
		return st
	}
	mark := wire.AppendAttr(appendIDOf(make([]byte, 0, 160), owner), "id", id)
	return enclose(st, append(mark, "/>"...))
}

// appendIDOf appends how the ids begin that messages have in an account's archive.
func appendIDOf(dst []byte, owner wire.Addr) []byte {
	return wire.AppendAttr(append(dst, "<stanza-id xmlns='"+NSStanzaID+"'"...), "by", string(owner))
}

// hasID reports that a message has its id in an account's archive, put there by withID: it is the last element.
func hasID(st wire.Stanza, owner wire.Addr) bool {
	tail, ok := bytes.CutSuffix(st.Tail, []byte("</"+st.Kind.String()+">"))
	last := bytes.LastIndexByte(tail, '<')
	return ok && last >= 0 && bytes.HasPrefix(tail[last:], appendIDOf(nil, owner))
}

// endTag returns the end tag of a stanza that has content.
func endTag(tail []byte) []byte { return tail[bytes.LastIndexByte(tail, '<'):] }

// enclose puts an element behind the content of a stanza, in memory of its own.
func enclose(st wire.Stanza, element []byte) wire.Stanza {
	tail := st.Tail
	dst := make([]byte, 0, len(tail)+len(element)+16)
	if bytes.HasSuffix(tail, []byte("/>")) && bytes.IndexByte(tail, '<') < 0 {
		dst = append(dst, tail[:len(tail)-2]...)
		dst = append(append(dst, '>'), element...)
		dst = append(append(dst, '<', '/'), st.Kind.String()...)
		st.Tail = append(dst, '>')
		return st
	}
	end := endTag(tail)
	dst = append(dst, tail[:len(tail)-len(end)]...)
	st.Tail = append(append(dst, element...), end...)
	return st
}
