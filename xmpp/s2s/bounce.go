package s2s

import (
	"parley/xmpp/wire"
)

// packet reads the stanza again. It shares no memory with it.
func (e *entry) packet() *wire.Packet {
	return scan(append(wire.AppendStart(nil, e.kind, "", e.to), e.tail...))
}

// bounce answers a stanza of ours that did not get to its server, in the name of who it was for (RFC 6120 §8.3.3.16, §8.3.3.17). Errors
// and answers are not answered; they are counted. So is presence that says goodbye.
func (srv *Server) bounce(b *wire.Batch, e *entry, why *wire.Error) {
	p := e.packet()
	if p == nil {
		srv.rec.Count("bounce.malformed")
		return
	}
	typ := string(p.Type())
	from, err := wire.ParseRawAddr(p.From())
	switch {
	case err != nil, typ == "error", p.Kind == wire.IQ && typ == "result", p.Kind == wire.Presence && (typ == "unavailable" || typ == "probe"):
		srv.rec.Count("s2s.undelivered")
		return
	}
	if p.Kind == wire.IQ && srv.pinged(p.ID(), why) {
		return
	}
	st := why.ErrorTo(p, e.to)
	answer := scan(append(wire.AppendStart(nil, st.Kind, "", from), st.Tail...))
	if answer == nil {
		srv.rec.Count("bounce.malformed")
		return
	}
	x := &sender{srv: srv, addr: e.to}
	if p.Kind == wire.Message && why != errLoaded && srv.probed(x.addr, from, answer) {
		return
	}
	srv.router.Enter(b, x, from, answer)
}
