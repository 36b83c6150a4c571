package wire

import mstanza "mellium.im/xmpp/stanza"

// BadIQ answers a request that ValidIQ refuses.
var BadIQ = &Error{Type: mstanza.Modify, Condition: mstanza.BadRequest, Text: "an IQ has an id, a type of get, set, result or error, and, for get and set, one child element"}

// ValidIQ is RFC 6120 §8.2.3: it reports that the stanza, if it is an IQ, is one that can be handled.
func (p *Packet) ValidIQ() bool {
	if p.Kind != IQ {
		return true
	}
	if !p.HasID() {
		return false
	}
	switch string(p.Type()) {
	case "get", "set":
		n := 0
		for it := p.Elem().Children(); n < 2 && it.Next(); {
			n++
		}
		return n == 1
	case "result", "error":
		return true
	}
	return false
}
