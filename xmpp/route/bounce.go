package route

import (
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

var errAway = &wire.Error{Type: mstanza.Wait, Condition: mstanza.RecipientUnavailable, Text: "the recipient is gone"}

// Bounce deals with a stanza that could not be given to the session it was for: a message goes to another session of
// the account or back, a request is answered with an error, the rest is dropped.
func (r *Router) Bounce(b *wire.Batch, to wire.Addr, st wire.Stanza) {
	if st.Kind == wire.Presence {
		return
	}
	raw := append(wire.AppendStart(nil, st.Kind, "", to), st.Tail...)
	limits := wire.AfterAuth
	limits.Size = len(raw)
	limits.Depth++
	scanner := wire.Scanner{Limits: limits}
	_, p, err := scanner.Next(raw)
	if err != nil {
		r.rec.Count("bounce.malformed")
		return
	}
	typ := string(p.Type())
	if typ == "error" || typ == "groupchat" || isReply(p) {
		return
	}
	from, err := wire.ParseRawAddr(p.From())
	if err != nil {
		return
	}
	if p.Kind == wire.Message && (typ == "" || typ == "normal" || typ == "chat") {
		if r.accounts.Undelivered(b, to, p) {
			return
		}
	}
	answer := errAway.ErrorTo(p, to)
	if rcv := r.Find(from); rcv != nil {
		rcv.Deliver(b, "", answer)
	} else if far := r.far(from.Domain()); far != nil {
		far.Deliver(b, from, answer)
	}
}
