package im

import (
	"slices"

	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// NSCarbons is the namespace of XEP-0280.
const NSCarbons = "urn:xmpp:carbons:2"

// registerCarbons serves XEP-0280 §4 and §5.
func (h *Host) registerCarbons() {
	h.Announce([]string{NSCarbons})
	for local, on := range map[string]bool{"enable": true, "disable": false} {
		h.HandleIQ(local, NSCarbons, func(b *wire.Batch, s route.Sender, p *wire.Packet) {
			if string(p.Type()) != "set" {
				Fail(b, s, p, errBad)
				return
			}
			if s.Guest() {
				Fail(b, s, p, errGuest)
				return
			}
			h.EnableCarbons(s, on)
			Reply(b, s, p, nil)
		})
	}
}

// EnableCarbons turns copies for a session on or off.
func (h *Host) EnableCarbons(s route.Sender, on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.find(s.Addr()); r != nil && r.carbons != on {
		r.carbons = on
		h.noteWishes(r)
		h.heed(h.users[s.Addr().Bare()])
	}
}

// eligible reports that a message is copied (XEP-0280 §6.1). Of errors it cannot be told what they answer; they are not.
func eligible(p *wire.Packet) bool {
	is := false
	switch string(p.Type()) {
	case "groupchat", "error", "headline":
		return false
	case "chat":
		is = true
	}
	for it := p.Elem().Children(); it.Next(); {
		switch c := it.Elem; string(c.NS()) {
		case "", wire.NSClient:
			is = is || c.Is("body", "")
		case NSCarbons:
			if string(c.Local()) == "private" {
				return false
			}
		case NSHints:
			if string(c.Local()) == "no-copy" {
				return false
			}
		case nsReceipts, nsChatState, nsMarkers, nsInvite, nsCall:
			is = true
		case nsMUCUser:
			is = is || c.Child("invite", nsMUCUser).Ok()
		}
	}
	return is
}

// fromRoom reports a private message of a room's occupant, which the room gives to each session by itself.
func fromRoom(p *wire.Packet) bool {
	x := p.Elem().Child("x", nsMUCUser)
	return x.Ok() && !x.Child("invite", nsMUCUser).Ok()
}

// toOccupant reports a private message to an occupant of a room.
func toOccupant(p *wire.Packet, to wire.Addr) bool {
	return string(p.Type()) == "chat" && !to.IsBare() && eligible(p)
}

// copyReceived copies a message to those sessions of its receiver that want it and do not get it themselves.
func (h *Host) copyReceived(b *wire.Batch, e *errand, st wire.Stanza, have []*resource) {
	h.copy(b, "received", e, e.to.Bare(), st, "", have)
}

// copySent copies a message, which has this id in the archive of its sender, to the sender's other sessions, but for those
// that get it themselves.
func (h *Host) copySent(b *wire.Batch, e *errand, own wire.Addr, st wire.Stanza, id string, have []*resource) {
	if e.late || own == e.to.Bare() { // then the copies are those of the receiver
		return
	}
	h.copy(b, "sent", e, own, st, id, have)
}

// copy is XEP-0280 §6 and §7.
func (h *Host) copy(b *wire.Batch, direction string, e *errand, owner wire.Addr, st wire.Stanza, id string, have []*resource) {
	var list []*resource
	h.mu.Lock()
	if a := h.users[owner]; a != nil && a.copies() {
		for _, r := range a.sessions {
			if r.carbons && r.Addr() != e.to && r.Addr() != e.s.Addr() && !slices.Contains(have, r) {
				list = append(list, r)
			}
		}
	}
	h.mu.Unlock()
	if len(list) == 0 || !eligible(e.p) || direction == "received" && fromRoom(e.p) {
		return
	}
	st = withID(st, owner, id)
	if e.s.Addr().Bare() == owner {
		direction = "sent"
	}
	dst := wire.AppendAttr(make([]byte, 0, len(st.Tail)+400), "from", string(owner))
	if typ := e.p.Type(); typ != nil {
		dst = wire.AppendRawAttr(dst, "type", typ)
	}
	dst = append(append(append(dst, "><"...), direction...), " xmlns='"+NSCarbons+"'><forwarded xmlns='"+NSForward+"'>"...)
	dst = append(wire.AppendStart(dst, wire.Message, wire.NSClient, e.to), st.Tail...)
	dst = append(append(append(dst, "</forwarded></"...), direction...), "></message>"...)
	for _, r := range list {
		r.Deliver(b, "", wire.Stanza{Kind: wire.Message, Tail: dst})
	}
}
