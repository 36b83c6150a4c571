package im

import (
	"context"

	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// NSPrivate is the namespace of XEP-0049.
const NSPrivate = "jabber:iq:private"

var errNamespace = &wire.Error{Type: mstanza.Modify, Condition: mstanza.NotAcceptable, Text: "private data stands in a namespace of its own"}

// HandlePrivate gives what clients store under a namespace to somebody else: the handler answers whole requests whose first element
// is in it. It is called before the first session.
func (h *Host) HandlePrivate(ns string, handler Handler) { h.private[ns] = handler }

// registerPrivate serves XEP-0049.
func (h *Host) registerPrivate() {
	h.Announce([]string{NSPrivate})
	h.HandleIQ("query", NSPrivate, func(b *wire.Batch, s route.Sender, p *wire.Packet) {
		if s.Guest() {
			Fail(b, s, p, errGuest)
			return
		}
		if handler := h.private[string(p.Elem().First().First().NS())]; handler != nil {
			handler(b, s, p)
			return
		}
		h.visit(b, s.Addr().Bare(), &errand{s: s, to: s.Addr().Bare(), p: p}, stores, h.privateData)
	})
}

// privateData stores elements, or returns one. It runs in the account's goroutine.
func (h *Host) privateData(b *wire.Batch, e *errand, k *book) {
	query := e.p.Elem().First()
	set := string(e.p.Type()) == "set"
	var bad *wire.Error
	n := 0
	if !k.exists {
		bad = errNotKept
	}
	for it := query.Children(); it.Next() && bad == nil; n++ {
		one := it.Elem
		key := "{" + wire.UnescapeString(one.NS()) + "}" + string(one.Local())
		switch ns := string(one.NS()); {
		case ns == "" || ns == NSPrivate || ns == wire.NSClient || ns == wire.NSServer || !standsAlone(one):
			bad = errNamespace
		case n > 0 && !set: // §2.2
			bad = errBad
		case set && len(one.Raw()) > h.limits.PrivateSize:
			h.rec.Count("limit.private")
			bad = errTooMuch
		case set:
			bad = kept(within(func(ctx context.Context) error {
				return h.store.SetPrivate(ctx, string(e.to), key, one.Raw(), h.limits.Private)
			}))
		default:
			var data []byte
			err := within(func(ctx context.Context) (err error) {
				data, err = h.store.Private(ctx, string(e.to), key)
				return err
			})
			if err != nil {
				h.fail(b, e, errStore)
				return
			}
			if data == nil {
				data = one.Raw()
			}
			out := append([]byte("<query xmlns='"+NSPrivate+"'>"), data...)
			Reply(b, e.s, e.p, append(out, "</query>"...))
			return
		}
	}
	if bad == nil && n == 0 {
		bad = errBad
	}
	if bad != nil {
		h.fail(b, e, bad)
		return
	}
	Reply(b, e.s, e.p, nil)
}

// standsAlone reports that an element means the same without what is around it.
func standsAlone(e wire.Elem) bool {
	scanner := wire.Scanner{Limits: wire.Limits{Size: len(e.Raw()), Depth: wire.AfterAuth.Depth}}
	_, p, err := scanner.Next(e.Raw())
	return err == nil && p.NS() != nil
}
