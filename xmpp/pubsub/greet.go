package pubsub

import (
	"context"
	"slices"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// last is the latest item of a node that is sent to those who show up (send_last_published_item).
type last struct {
	node *node
	item store.Item
	cut  bool // the item is too large to be kept here, and is without its payload
}

// largestLast is the largest payload in bytes that a contact who shows up is sent unasked; of a larger item it is only told. A
// contact whose nodes all hold as much as they can would else have clients end as soon as they log in.
const largestLast = 16 << 10

// greet sends an available session, or the resource of a contact, the last items of the nodes that it has begun to ask for
// (XEP-0163 §4.3.4): of the account itself, and for a session of ours of those contacts of ours whose presence it may see.
// The nodes are in order. It can be called from anywhere.
func (s *Service) greet(account, full wire.Addr, nodes []string) {
	if len(nodes) == 0 {
		return
	}
	s.accounts.Do(account, func(b *wire.Batch) { s.sendLast(b, account, full, nodes) })
	if full.Bare() != account {
		return
	}
	s.accounts.Do(account, func(b *wire.Batch) {
		ctx, done := context.WithTimeout(context.Background(), patience)
		defer done()
		contacts, err := s.accounts.Subscribers(ctx, account)
		if err != nil {
			s.rec.Hurt("pubsub.store", string(account), "err", err.Error())
			return
		}
		for _, contact := range contacts {
			if contact.Domain() == s.domain && contact != account {
				s.accounts.Do(contact, func(b *wire.Batch) { s.sendLast(b, contact, full, nodes) })
			}
		}
	})
}

// sendLast sends the latest items of an account's nodes to somebody who asks for them and may have them. It runs in the
// account's goroutine.
func (s *Service) sendLast(b *wire.Batch, account, to wire.Addr, nodes []string) {
	ctx, done := context.WithTimeout(context.Background(), patience)
	defer done()
	err := s.sendLastItems(ctx, b, account, to, nodes)
	if _, wanted := slices.BinarySearch(nodes, NSStorage); err == nil && wanted && to.Bare() == account {
		err = s.lastStorage(ctx, b, account, to)
	}
	if err != nil {
		s.rec.Hurt("pubsub.store", string(account), "err", err.Error())
	}
}

func (s *Service) sendLastItems(ctx context.Context, b *wire.Batch, account, to wire.Addr, nodes []string) error {
	standing, err := s.accounts.Standing(ctx, account, to)
	if err != nil || standing.Blocked || !standing.Own && !standing.Sees() {
		return err
	}
	list, err := s.lastOf(ctx, account)
	if err != nil {
		return err
	}
	for _, l := range list {
		if _, wanted := slices.BinarySearch(nodes, l.node.Name); !wanted {
			continue
		}
		if !standing.Own {
			err := s.mayRead(ctx, l.node, to)
			if isRefusal(err) {
				continue
			}
			if err != nil {
				return err
			}
		} else if l.cut {
			whole, _, err := s.store.Items(ctx, string(account), l.node.Name, store.ItemQuery{IDs: []string{l.item.ID}})
			if err != nil {
				return err
			}
			if len(whole) == 1 {
				l.item, l.cut = whole[0], false
			}
		}
		s.accounts.Send(b, account, to, l.node.lastEvent(&l.item, !l.cut))
	}
	return nil
}

// lastEvent is the event about an item that is not new (XEP-0060 §6.1.7).
func (n *node) lastEvent(i *store.Item, payload bool) wire.Stanza {
	stamp := i.At.UTC().Format("2006-01-02T15:04:05.000Z")
	return n.event(n.itemsBody(i, payload && n.Payloads), "<delay xmlns='"+NSDelay+"' stamp='"+stamp+"'/>")
}

// lastOf returns the last items of an account that are sent to those who show up. It is asked once for every contact of whoever
// logs in, so what was read is remembered. It runs in the account's goroutine, as every change does.
func (s *Service) lastOf(ctx context.Context, account wire.Addr) ([]last, error) {
	s.mu.Lock()
	known, ok := s.lasts.get(account)
	s.mu.Unlock()
	if ok {
		return known, nil
	}
	all, err := s.store.LastItems(ctx, string(account), nil)
	if err != nil {
		return nil, err
	}
	var list []last
	size := 0
	for _, one := range all {
		n, err := newNode(one.Node)
		if err != nil {
			return nil, err
		}
		if n.SendLast != lastPresence || !n.Deliver || n.Name == NSStorage || n.Name == vcardNode {
			continue
		}
		l := last{node: n, item: one.Item}
		if len(l.item.Payload) > largestLast {
			l.cut, l.item.Payload = true, nil
		}
		n.Config = nil // it is decoded
		size += len(l.item.Payload) + len(l.item.ID) + len(n.Name) + 64*len(n.Affiliations) + 512
		list = append(list, l)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lasts.put(account, list, size)
	return list, nil
}

// Forget drops what is remembered of an account's nodes. It is called when the account is deleted, with all that it had.
func (s *Service) Forget(account wire.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lasts.forget(account)
}

// memory holds the last items of accounts in two halves, like cache. Accounts without any, which are most, cost a map entry.
type memory struct {
	young, old map[wire.Addr][]last
	size       int // of the young half, in bytes
}

// Bytes that one half holds, and the most of one account.
const (
	halfMemory   = 8 << 20
	largestEntry = 64 << 10
	emptyEntry   = 128
)

func (m *memory) get(a wire.Addr) (list []last, ok bool) {
	if list, ok = m.young[a]; ok {
		return list, true
	}
	if list, ok = m.old[a]; ok {
		size := 0
		for _, l := range list {
			size += len(l.item.Payload) + len(l.item.ID) + len(l.node.Name) + 512
		}
		m.put(a, list, size)
	}
	return list, ok
}

func (m *memory) put(a wire.Addr, list []last, size int) {
	if size > largestEntry {
		return
	}
	if m.young == nil || m.size > halfMemory {
		m.old, m.young, m.size = m.young, make(map[wire.Addr][]last), 0
	}
	m.young[a] = list
	m.size += size + emptyEntry
}

func (m *memory) forget(a wire.Addr) {
	delete(m.young, a)
	delete(m.old, a)
}
