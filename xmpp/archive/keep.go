package archive

import (
	"context"
	"time"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// Kept is a message between two people, for the archives of those of them who have an account here.
type Kept struct {
	Sender, Recipient wire.Addr // bare addresses of accounts of this server, "" where it is none
	From, To          wire.Addr // as the stanza goes out
	Stanza            wire.Stanza
}

// Keep archives a message and returns the ids that it has in the two archives (XEP-0359), "" where it is not archived. done
// is called once, with nil when that is committed: from a goroutine of the store, or before Keep returns if there is nothing
// to commit. Messages are archived in the order of the calls.
//
// It waits only where too much waits to be committed, and for the roster of an account that archives what is said with its
// contacts.
func (s *Service) Keep(m Kept, done func(error)) (sender, recipient string) {
	if m.Stanza.Kind != wire.Message || m.Sender == "" && m.Recipient == "" {
		done(nil)
		return "", ""
	}
	raw := wire.AppendStart(make([]byte, 0, len(m.Stanza.Tail)+len(m.To)+32), wire.Message, "", m.To)
	raw = append(raw, m.Stanza.Tail...)
	if !worth(wire.ParseElem(raw)) {
		done(nil)
		return "", ""
	}
	own := m.Sender == m.Recipient // a note to oneself is in the archive once
	bySender, err := s.wishes(m.Sender, m.To)
	if err != nil {
		done(err)
		return "", ""
	}
	byRecipient := false
	if !own {
		if byRecipient, err = s.wishes(m.Recipient, m.From); err != nil {
			done(err)
			return "", ""
		}
	}
	if !bySender && !byRecipient {
		done(nil)
		return "", ""
	}
	tail := raw[len("<message"):]
	limit := store.ArchiveLimit{Messages: s.config.Messages, Bytes: s.config.Bytes}
	list := make([]store.Appended, 0, 2)
	add := func(owner, peer wire.Addr) string {
		id := s.clock.next(time.Now()).String()
		list = append(list, store.Appended{Owner: string(owner), Limit: limit, Message: store.Archived{ID: id, Peer: string(peer), Tail: tail}})
		return id
	}
	s.pending.enter(len(tail))
	s.mu.Lock() // while the store queues, which does not wait: what is committed later has the greater id
	defer s.mu.Unlock()
	if bySender {
		sender = add(m.Sender, m.To)
	}
	if byRecipient {
		recipient = add(m.Recipient, m.From)
	}
	s.store.Append(list, func(err error) {
		s.pending.leave(len(tail))
		done(err)
	})
	if own {
		recipient = sender
	}
	return sender, recipient
}

// Prompt reports that Keep does not wait for what waits to be committed to become less.
func (s *Service) Prompt() bool { return s.pending.roomy() }

// wishes reports that an account wants a message archived that it exchanges with the other (XEP-0441 §2.1).
func (s *Service) wishes(account, other wire.Addr) (bool, error) {
	if account == "" {
		return false, nil
	}
	policy := s.config.Default
	if p := s.prefs.of(account); p != nil {
		switch {
		case p.lists(p.never, other):
			return false, nil
		case p.lists(p.always, other):
			return true, nil
		}
		policy = p.policy
	}
	switch policy {
	case store.ArchiveNever:
		return false, nil
	case store.ArchiveRoster:
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return s.accounts.Knows(ctx, account, other.Bare())
	}
	return true, nil
}
