package muc

import (
	"bytes"
	"unicode/utf8"

	"parley/xmpp/wire"
)

// appendAttrs appends the attributes of the packet's start tag as they were written, except to, from, type and the
// default namespace. Declarations of prefixes stay, so that children that use them stay well-formed.
func appendAttrs(dst []byte, p *wire.Packet) []byte {
	b := p.Raw()
	i := 1
	for !isEnd(b[i]) {
		i++
	}
	for {
		for isSpace(b[i]) {
			i++
		}
		if b[i] == '>' || b[i] == '/' {
			return dst
		}
		from := i
		for b[i] != '=' && !isSpace(b[i]) {
			i++
		}
		name := b[from:i]
		for b[i] != '\'' && b[i] != '"' {
			i++
		}
		i += 2 + bytes.IndexByte(b[i+1:], b[i])
		switch string(name) {
		case "to", "from", "type", "xmlns":
		default:
			dst = append(append(dst, ' '), b[from:i]...)
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func isEnd(c byte) bool { return c == '>' || c == '/' || isSpace(c) }

// appendChildren appends the child elements as they were written, except those that drop names. Text between them, which
// means nothing in a stanza, is left out.
func appendChildren(dst []byte, e wire.Elem, drop func(wire.Elem) bool) []byte {
	for it := e.Children(); it.Next(); {
		if !drop(it.Elem) {
			dst = append(dst, it.Elem.Raw()...)
		}
	}
	return dst
}

// forgedAnywhere reports a child that only a room may write, whatever the stanza (XEP-0045 §17.3, XEP-0421 §4,
// XEP-0317, and stamps of a delay that did not happen).
func forgedAnywhere(e wire.Elem) bool {
	switch string(e.Local()) {
	case "x":
		ns := string(e.NS())
		return ns == NSMUC || ns == NSUser || ns == NSOldDelay
	case "occupant-id":
		return string(e.NS()) == NSOccupantID
	case "delay":
		return string(e.NS()) == NSDelay
	case "hats":
		return string(e.NS()) == NSHats
	}
	return false
}

// forgedInPresence reports a child that is not relayed in presence.
func forgedInPresence(e wire.Elem) bool {
	return forgedAnywhere(e) || e.Is("identity", "") || string(e.Local()) == "stanza-id" && string(e.NS()) == NSStanzaID
}

// forgedInMessage returns what is not relayed in messages; the room's own address decides about stanza ids
// (XEP-0359 §5).
func forgedInMessage(room wire.Addr, groupchat bool) func(wire.Elem) bool {
	return func(e wire.Elem) bool {
		switch string(e.Local()) {
		case "stanza-id":
			if string(e.NS()) != NSStanzaID {
				return false
			}
			by, err := wire.ParseAddr(e.AttrString("by"))
			return err == nil && by == room
		case "display-name":
			return string(e.NS()) == NSDisplayName
		case "nick":
			return groupchat && string(e.NS()) == NSNick
		case "retract": // in the room's name (XEP-0425 §6)
			return e.Child("moderated", NSModerate).Ok()
		case "retracted":
			return string(e.NS()) == NSRetract
		}
		return forgedAnywhere(e)
	}
}

// longestReason bounds the reasons that go to every occupant, in bytes.
const longestReason = 1024

// reasonIn returns the text of the child <reason/> of that namespace, cut to what a room passes on.
func reasonIn(e wire.Elem, ns string) string {
	c := e.Child("reason", ns)
	if !c.Ok() {
		return ""
	}
	s := c.Text()
	if len(s) > longestReason {
		end := longestReason
		for !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end]
	}
	return s
}
