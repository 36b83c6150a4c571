package im

import (
	"context"
	"errors"
	"time"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// spooled is a message that is to be stored for somebody who is away.
type spooled struct {
	e         *errand
	stanza    wire.Stanza
	id        string     // what it will have in the recipient's archive, "" if it is not for that
	committed chan error // what became of it there
}

// storable reports that a message waits for somebody who is away (XEP-0160 §3, XEP-0334): it is of a type that does, it says
// something besides the state of a chat, and it does not ask for the contrary.
func storable(p *wire.Packet) bool {
	switch string(p.Type()) {
	case "error", "groupchat", "headline":
		return false
	}
	says := false
	for it := p.Elem().Children(); it.Next(); {
		switch string(it.Elem.NS()) {
		case NSHints:
			switch string(it.Elem.Local()) {
			case "no-store", "no-permanent-store":
				return false
			case "store":
				says = true
			}
		case nsChatState, NSStanzaID, NSCarbons:
		default:
			says = says || !it.Elem.Is("thread", "")
		}
	}
	return says
}

// unspool stores what the account's goroutine has collected, in one commit. A message that the archive has is found there,
// and is not lost if there is no room for it here; of one that neither has, the sender is told.
func (h *Host) unspool(b *wire.Batch, a *account) {
	list := a.spool
	a.spool = nil
	if len(list) == 0 {
		return
	}
	archived := make([]bool, len(list))
	late := time.NewTimer(storeWait)
	for i, s := range list {
		select {
		case err := <-s.committed:
			archived[i] = err == nil && s.id != ""
		case <-late.C:
			late.Reset(0)
		}
	}
	late.Stop()
	records := make([]store.OfflineMessage, len(list))
	now := time.Now()
	for i, s := range list {
		if !archived[i] {
			s.id = ""
		}
		records[i] = store.OfflineMessage{At: now, Tail: withID(s.stanza, a.addr, s.id).Tail}
	}
	stored := 0
	err := within(func(ctx context.Context) (err error) {
		stored, err = h.store.AddOffline(ctx, string(a.addr), records, store.OfflineLimit{Messages: h.limits.Offline, Bytes: h.limits.OfflineBytes})
		return err
	})
	if stored > 0 {
		h.mu.Lock()
		a.mail = true
		h.mu.Unlock()
	}
	if err == nil && stored < len(list) {
		h.rec.Count("limit.offline")
	}
	for i, s := range list {
		switch {
		case err == nil && i < stored, archived[i] && !errors.Is(err, store.ErrNotFound): // an account that is not there has no archive
			h.arrived(a.addr, wire.Stanza{Kind: wire.Message, Tail: records[i].Tail}, s.e.late)
		case errors.Is(err, store.ErrNotFound), err == nil && s.id == "":
			h.refuse(b, s.e, errUnavailable)
		default:
			h.refuse(b, s.e, errStore)
		}
		s.e.drop()
	}
	if err != nil {
		h.rec.Hurt("offline.write", string(a.addr), "err", err.Error())
	}
}

// offlinePage is how many messages are read at once.
const offlinePage = 50

// clearArchived removes what waits for an account and was in its archive already when a client bound a session by XEP-0386
// (§4.2), at the time bound: that client fetches it from there. What came later waits on, also if it was archived, since the
// client may have looked before. It runs in the account's goroutine.
func (h *Host) clearArchived(a *account, bound time.Time) {
	bound = bound.Truncate(time.Millisecond) // as precise as the store
	if _, err := h.read(a); err != nil {
		return // nothing is lost: it will be sent
	}
	h.mu.Lock()
	mail := a.mail
	h.mu.Unlock()
	left := false
	for last := int64(0); mail; {
		var list []store.OfflineMessage
		err := within(func(ctx context.Context) (err error) {
			list, err = h.store.OfflineMessages(ctx, string(a.addr), last, offlinePage)
			return err
		})
		var there []int64
		for _, m := range list {
			if last = m.ID; m.At.Before(bound) && hasID(wire.Stanza{Kind: wire.Message, Tail: m.Tail}, a.addr) {
				there = append(there, m.ID)
			}
		}
		left = left || len(there) < len(list)
		if err == nil && len(there) > 0 {
			err = within(func(ctx context.Context) error { return h.store.DropOffline(ctx, string(a.addr), there) })
		}
		if err != nil {
			h.rec.Hurt("offline.clear", string(a.addr), "err", err.Error())
			return
		}
		if len(list) < offlinePage {
			break
		}
	}
	if !left {
		h.mu.Lock()
		a.mail = false
		h.mu.Unlock()
	}
}

// deliverOffline gives a session what waits for its account (XEP-0160 §3 step 5) and reports that nothing waits any more. It
// runs in the account's goroutine.
func (h *Host) deliverOffline(b *wire.Batch, a *account, r *resource) bool {
	h.unspool(b, a)
	h.mu.Lock()
	mail := a.mail
	h.mu.Unlock()
	if !mail || h.store == nil {
		return true
	}
	for last := int64(0); ; {
		var list []store.OfflineMessage
		err := within(func(ctx context.Context) (err error) {
			list, err = h.store.OfflineMessages(ctx, string(a.addr), last, offlinePage)
			return err
		})
		for _, m := range list {
			r.Deliver(b, a.addr, h.delayed(m))
			last = m.ID
		}
		if err == nil && len(list) > 0 {
			b.Flush()
			err = within(func(ctx context.Context) error { return h.store.RemoveOffline(ctx, string(a.addr), last) })
		}
		if err != nil {
			h.rec.Hurt("offline.read", string(a.addr), "err", err.Error())
			return false
		}
		if len(list) < offlinePage {
			break
		}
	}
	h.mu.Lock()
	a.mail = false
	h.mu.Unlock()
	return true
}

// delayed is a message that waited, with the time since when (XEP-0203, XEP-0160 §3).
func (h *Host) delayed(m store.OfflineMessage) wire.Stanza {
	mark := wire.AppendAttr([]byte("<delay xmlns='"+NSDelay+"'"), "from", string(h.domain))
	mark = wire.AppendAttr(mark, "stamp", m.At.UTC().Format("2006-01-02T15:04:05.000Z"))
	return enclose(wire.Stanza{Kind: wire.Message, Tail: m.Tail}, append(mark, "/>"...))
}
