package c2s

import (
	"bytes"

	"parley/xmpp/wire"
)

// While a client is inactive (XEP-0352), nobody looks at it: presence and what people are typing waits, the last of each
// sender, until the client is active or something comes that it must see. What waits is bounded by half of the session's
// queue; then it is sent.

// squeezed is how many stanzas wait at least before they are looked through for those that a later one replaces.
const squeezed = 64

// clientState is XEP-0352 §4.2.
func (s *Session) clientState(b *wire.Batch, name string) {
	s.mu.Lock()
	was := s.inactive
	s.inactive, s.squeeze = name == "inactive", 0
	wake := false
	if was && !s.inactive && s.queue.sent < s.queue.Len() {
		s.coalesceLocked()
		wake = s.wakeLocked(false)
	}
	s.mu.Unlock()
	if wake {
		s.schedule(b)
	}
}

// holdLocked reports that the stanza that was queued last waits with those before it. Called with mu held, while the
// client is inactive.
func (s *Session) holdLocked(st wire.Stanza) bool {
	q, cfg := &s.queue, &s.srv.cfg
	waiting := q.Len() - q.sent
	if !canWait(st.Kind, st.Tail) {
		if waiting > 1 {
			s.coalesceLocked()
		}
		return false
	}
	if waiting > s.squeeze {
		s.coalesceLocked()
		s.squeeze = max(2*(q.Len()-q.sent), squeezed) // so that each stanza is looked at a few times at most
	}
	return q.Len() < cfg.QueueStanzas/2 && q.bytes < cfg.QueueBytes/2
}

// coalesceLocked takes from what was not written what a later stanza replaces. Called with mu held.
func (s *Session) coalesceLocked() {
	if sent := s.queue.sent; s.queue.coalesce() {
		s.appendCounts() // what was acknowledged is not in front of what was written any more
		s.note(sayCoalesce, uint64(sent))
	}
}

// canWait reports that an inactive client need not see the stanza now (XEP-0352 §5): presence, and messages without
// content. Requests, errors and what belongs to entering a room are seen at once. Of those that can wait, a later one of
// the same sender and kind replaces an earlier one.
func canWait(kind wire.Kind, tail []byte) bool {
	switch kind {
	case wire.Presence:
		var room [512]byte
		e := elemOf(room[:0], kind, tail)
		if t, _ := e.Attr("type"); !e.Ok() || len(t) > 0 && string(t) != "unavailable" {
			return false
		}
		return !bytes.Contains(tail, []byte("'110'")) && !bytes.Contains(tail, []byte(`"110"`))
	case wire.Message:
		if !bytes.Contains(tail, []byte(nsChatStates)) {
			return false
		}
		var room [1024]byte
		e := elemOf(room[:0], kind, tail)
		return e.Ok() && onlyChatState(e)
	}
	return false
}

// elemOf returns a cursor on a stanza, whose bytes it puts into dst. Of a tail that is none, which a journal may hold, it
// is no element.
func elemOf(dst []byte, kind wire.Kind, tail []byte) wire.Elem {
	scan := wire.Scanner{Limits: wire.AfterAuth}
	_, p, err := scan.Next(append(append(append(dst, '<'), kind.String()...), tail...))
	if err != nil {
		return wire.Elem{}
	}
	return p.Elem()
}

// nsChatStates is XEP-0085.
const nsChatStates = "http://jabber.org/protocol/chatstates"

// silent are namespaces of elements that say nothing to a person by themselves.
var silent = map[string]bool{
	nsChatStates: true, "urn:xmpp:hints": true, wire.NSStreamID: true, "urn:xmpp:occupant-id:0": true, "urn:xmpp:delay": true,
}

// onlyChatState reports that a message says no more than that somebody is typing; also the copy of one (XEP-0280).
func onlyChatState(e wire.Elem) bool {
	if t, _ := e.Attr("type"); string(t) == "error" {
		return false
	}
	typing := false
	for it := e.Children(); it.Next(); {
		ns := string(it.Elem.NS())
		switch {
		case ns == "urn:xmpp:carbons:2":
			copied := it.Elem.Child("forwarded", "urn:xmpp:forward:0").Child("message", wire.NSClient)
			if !copied.Ok() || !onlyChatState(copied) {
				return false
			}
			typing = true
		case it.Elem.Is("thread", wire.NSClient):
		case !silent[ns]:
			return false
		}
		typing = typing || ns == nsChatStates
	}
	return typing
}
