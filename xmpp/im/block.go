package im

import (
	"maps"
	"slices"

	"parley/internal/store"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// NSBlocking is the namespace of XEP-0191.
const NSBlocking = "urn:xmpp:blocking"

// registerBlocking serves XEP-0191.
func (h *Host) registerBlocking() {
	h.Announce([]string{NSBlocking})
	for local, do := range map[string]step{"blocklist": h.blocklist, "block": h.block, "unblock": h.block} {
		kind := map[bool]string{true: "get", false: "set"}[local == "blocklist"]
		h.HandleIQ(local, NSBlocking, func(b *wire.Batch, s route.Sender, p *wire.Packet) {
			switch {
			case string(p.Type()) != kind:
				Fail(b, s, p, errBad)
			case s.Guest():
				Fail(b, s, p, errGuest)
			default:
				h.visit(b, s.Addr().Bare(), &errand{s: s, to: s.Addr().Bare(), p: p}, stores, do)
			}
		})
	}
}

// blocklist is XEP-0191 §3.2.
func (h *Host) blocklist(b *wire.Batch, e *errand, k *book) {
	h.mu.Lock()
	if r := h.find(e.s.Addr()); r != nil && !r.blocklist {
		r.blocklist = true
		h.noteWishes(r)
	}
	h.mu.Unlock()
	out := []byte("<blocklist xmlns='" + NSBlocking + "'>")
	out = appendItems(out, slices.Sorted(maps.Keys(k.blocked)))
	Reply(b, e.s, e.p, append(out, "</blocklist>"...))
}

func appendItems(out []byte, list []wire.Addr) []byte {
	for _, a := range list {
		out = append(wire.AppendAttr(append(out, "<item"...), "jid", string(a)), "/>"...)
	}
	return out
}

// block is XEP-0191 §3.3 and, for unblock, §3.4 and §3.5. It runs in the account's goroutine.
func (h *Host) block(b *wire.Batch, e *errand, k *book) {
	request := e.p.Elem().First()
	on := string(request.Local()) == "block"
	list, bad := readItems(request, h.limits.Blocked)
	switch {
	case bad != nil:
	case on && len(list) == 0:
		bad = errBad
	case !k.exists:
		bad = errNotKept
	case on && len(k.blocked)+len(list) > h.limits.Blocked:
		h.rec.Count("limit.blocked")
		bad = errTooMuch
	}
	if bad != nil {
		h.fail(b, e, bad)
		return
	}
	if !on && len(list) == 0 {
		list = slices.Sorted(maps.Keys(k.blocked))
	}
	var c store.RosterChange
	for _, a := range list {
		if _, is := k.blocked[a]; is == on {
			continue
		}
		if on {
			c.Block = append(c.Block, string(a))
		} else {
			c.Unblock = append(c.Unblock, string(a))
		}
	}
	next := k
	if len(c.Block)+len(c.Unblock) > 0 {
		if bad := h.commit(e.at, k, &c); bad != nil {
			h.fail(b, e, bad)
			return
		}
		next = k.with(c)
	}
	h.mu.Lock()
	own := h.available(e.to, -128)
	h.mu.Unlock()
	// Who saw the account sees it go, while it may still be told; who may see it again is told (§3.3, §3.4).
	for _, a := range k.those(func(c *store.Contact) bool { return c.From }) {
		if was, is := k.blocks(a), next.blocks(a); was != is {
			h.presentAll(b, e.to, a, !is)
		}
	}
	Reply(b, e.s, e.p, nil)
	out := append(append([]byte("<"), request.Local()...), " xmlns='"+NSBlocking+"'>"...)
	if on || len(request.Inner()) > 0 {
		out = appendItems(out, list)
	}
	out = append(append(append(out, "</"...), request.Local()...), '>')
	h.pushTo(b, e.at, out, func(r *resource) bool { return r.blocklist })
	if !on {
		h.lookAgain(b, own, k, next)
	}
}

// lookAgain asks for the presence of those who are not blocked any more.
func (h *Host) lookAgain(b *wire.Batch, own []*resource, was, is *book) {
	for _, a := range is.seen() {
		if was.blocks(a) {
			for _, r := range own {
				h.probeOne(b, r, a)
			}
		}
	}
}

// readItems reads the addresses of a request.
func readItems(request wire.Elem, most int) (list []wire.Addr, _ *wire.Error) {
	for it := request.Children(); it.Next(); {
		if !it.Elem.Is("item", NSBlocking) {
			continue
		}
		raw, ok := it.Elem.Attr("jid")
		if !ok {
			return nil, errBad
		}
		a, err := wire.ParseRawAddr(raw)
		if err != nil {
			return nil, errJID
		}
		if !slices.Contains(list, a) {
			list = append(list, a)
		}
		if len(list) > most {
			return nil, errTooMuch
		}
	}
	return list, nil
}
