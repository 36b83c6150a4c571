package archive

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"parley/internal/store"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// What an account may list.
const (
	mostListed      = 200
	mostListedBytes = 16 << 10
)

// wish is what an account wants archived (XEP-0441). It does not change.
type wish struct {
	policy        store.ArchivePolicy
	always, never map[wire.Addr]struct{}
}

// lists reports that an address is on a list, by itself or by its bare address (XEP-0441 §4.1).
func (w *wish) lists(list map[wire.Addr]struct{}, a wire.Addr) bool {
	if len(list) == 0 {
		return false
	}
	if _, ok := list[a]; ok {
		return true
	}
	_, ok := list[a.Bare()]
	return ok
}

func newWish(p store.ArchivePrefs) *wish {
	set := func(list []string) map[wire.Addr]struct{} {
		if len(list) == 0 {
			return nil
		}
		m := make(map[wire.Addr]struct{}, len(list))
		for _, a := range list {
			m[wire.Addr(a)] = struct{}{}
		}
		return m
	}
	return &wish{p.Default, set(p.Always), set(p.Never)}
}

// wishBook has the wishes of all accounts that have any, so that nobody waits for the store when a message is archived.
type wishBook struct {
	mu sync.RWMutex // guards all
	by map[wire.Addr]*wish
}

func (b *wishBook) of(account wire.Addr) *wish {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.by[account]
}

// set replaces an account's wish; nil is none.
func (b *wishBook) set(account wire.Addr, w *wish) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w == nil {
		delete(b.by, account)
		return
	}
	b.by[account] = w
}

// load reads the wishes of all accounts.
func (b *wishBook) load(ctx context.Context, from store.Archives) error {
	const page = 500
	all := make(map[wire.Addr]*wish)
	for after := ""; ; {
		owners, list, err := from.ListArchivePrefs(ctx, after, page)
		if err != nil {
			return err
		}
		for i, owner := range owners {
			all[wire.Addr(owner)] = newWish(list[i])
			after = owner
		}
		if len(owners) < page {
			break
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.by = all
	return nil
}

// answerPrefs answers a request about the preferences (XEP-0441 §2).
func (s *Service) answerPrefs(ctx context.Context, account wire.Addr, p *wire.Packet) ([]byte, *wire.Error) {
	if string(p.Type()) == "get" {
		prefs, err := s.store.ArchivePrefs(ctx, string(account))
		if errors.Is(err, store.ErrNotFound) {
			s.prefs.set(account, nil) // of an account of that name that was deleted
			prefs, err = store.ArchivePrefs{Default: s.config.Default}, nil
		}
		if err != nil {
			return nil, s.unwell(account, err)
		}
		return appendPrefs(nil, prefs), nil
	}
	prefs, why := readPrefs(p.Elem().First())
	if why != nil {
		return nil, why
	}
	err := s.store.SetArchivePrefs(ctx, string(account), prefs)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errUnavailable
	}
	if err != nil {
		return nil, s.unwell(account, err)
	}
	s.prefs.set(account, newWish(prefs))
	return appendPrefs(nil, prefs), nil
}

// readPrefs reads the element <prefs/>.
func readPrefs(e wire.Elem) (p store.ArchivePrefs, why *wire.Error) {
	switch p.Default = store.ArchivePolicy(e.AttrString("default")); p.Default {
	case store.ArchiveAlways, store.ArchiveNever, store.ArchiveRoster:
	default:
		return p, bad("the default is always, never or roster")
	}
	n, size := 0, 0
	read := func(name string) ([]string, *wire.Error) {
		set := make(map[string]struct{})
		for it := e.Child(name, NS).Children(); it.Next(); {
			if !it.Elem.Is("jid", NS) {
				continue
			}
			a, err := wire.ParseAddr(it.Elem.Text())
			if err != nil {
				return nil, errMalformed
			}
			if n, size = n+1, size+len(a); n > mostListed || size > mostListedBytes {
				return nil, errLists
			}
			set[string(a)] = struct{}{}
		}
		return slices.Sorted(maps.Keys(set)), nil
	}
	if p.Always, why = read("always"); why == nil {
		p.Never, why = read("never")
	}
	return p, why
}

func appendPrefs(dst []byte, p store.ArchivePrefs) []byte {
	dst = wire.AppendAttr(append(dst, "<prefs xmlns='"+NS+"'"...), "default", string(p.Default))
	dst = append(dst, '>')
	for _, l := range []struct {
		name string
		list []string
	}{{"always", p.Always}, {"never", p.Never}} {
		dst = append(append(append(dst, '<'), l.name...), '>')
		for _, a := range l.list {
			dst = wire.AppendElem(dst, "jid", a)
		}
		dst = append(append(append(dst, '<', '/'), l.name...), '>')
	}
	return append(dst, "</prefs>"...)
}

var errLists = &wire.Error{Type: mstanza.Modify, Condition: mstanza.PolicyViolation, Text: "the lists are longer than the limit"}
