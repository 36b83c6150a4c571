package c2s

import (
	"strconv"

	"parley/xmpp/wire"
)

func itoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// appendHeader appends our stream header, or <open/>, and notes that it was sent.
func (l *link) appendHeader(dst []byte, id string) []byte {
	l.header = true
	if l.bosh != nil {
		return dst // <body/> says it
	}
	var h []byte
	if l.ws {
		h = append(h, "<open xmlns='"+wire.NSFraming+"'"...)
	} else {
		h = append(h, "<?xml version='1.0'?><stream:stream xmlns='"+wire.NSClient+"' xmlns:stream='"+wire.NSStream+"'"...)
	}
	h = wire.AppendAttr(h, "from", l.srv.cfg.Domain)
	if id != "" {
		h = wire.AppendAttr(h, "id", id)
	}
	h = append(h, " version='1.0' xml:lang='en'"...)
	if l.ws {
		return l.appendElement(dst, string(append(h, "/>"...)))
	}
	return append(append(dst, h...), '>')
}

// withTo returns the tail with the attribute to behind its attribute from.
func withTo(tail []byte, to wire.Addr) []byte {
	dst := make([]byte, 0, len(tail)+len(to)+16)
	n := 0
	if sender := senderOf(tail); len(sender) < len(tail) {
		n = len(" from=''") + len(sender)
	}
	dst = wire.AppendAttr(append(dst, tail[:n]...), "to", string(to))
	return append(dst, tail[n:]...)
}
