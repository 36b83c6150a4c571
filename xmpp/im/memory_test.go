package im

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/store"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// memory is a Store in memory, with the promises of the real ones.
type memory struct {
	mu       sync.Mutex
	accounts map[string]*memoryAccount
	down     bool          // every call fails
	slow     chan struct{} // if set, every call waits until it can take something from it
}

type memoryAccount struct {
	version  int64
	contacts map[string]store.Contact
	blocked  map[string]bool
	offline  []store.OfflineMessage
	next     int64
	private  map[string][]byte
	last     time.Time
	status   string
}

func newMemory(accounts ...string) *memory {
	m := &memory{accounts: make(map[string]*memoryAccount)}
	for _, a := range accounts {
		m.accounts[a] = &memoryAccount{contacts: make(map[string]store.Contact), blocked: make(map[string]bool), private: make(map[string][]byte)}
	}
	return m
}

var errDown = errors.New("the store is down")

// with runs do with an account's record.
func (m *memory) with(owner string, do func(*memoryAccount) error) error {
	if m.slow != nil {
		<-m.slow
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.accounts[owner]
	switch {
	case m.down:
		return errDown
	case a == nil:
		return store.ErrNotFound
	}
	return do(a)
}

func (m *memory) Roster(_ context.Context, owner string) (r store.Roster, err error) {
	err = m.with(owner, func(a *memoryAccount) error {
		r = store.Roster{Version: a.version, Mail: len(a.offline) > 0}
		for _, c := range a.contacts {
			r.Contacts = append(r.Contacts, c)
		}
		for b := range a.blocked {
			r.Blocked = append(r.Blocked, b)
		}
		return nil
	})
	return r, err
}

func (m *memory) ChangeRoster(_ context.Context, owner string, c store.RosterChange) error {
	return m.with(owner, func(a *memoryAccount) error {
		if a.version != c.Was {
			return store.ErrStale
		}
		a.version = c.Version
		for _, one := range c.Put {
			a.contacts[one.Addr] = one
		}
		for _, addr := range c.Remove {
			delete(a.contacts, addr)
		}
		for _, addr := range c.Block {
			a.blocked[addr] = true
		}
		for _, addr := range c.Unblock {
			delete(a.blocked, addr)
		}
		return nil
	})
}

func (m *memory) AddOffline(_ context.Context, owner string, list []store.OfflineMessage, limit store.OfflineLimit) (stored int, err error) {
	err = m.with(owner, func(a *memoryAccount) error {
		for _, one := range list {
			size := len(one.Tail)
			for _, other := range a.offline {
				size += len(other.Tail)
			}
			if len(a.offline) >= limit.Messages || size > limit.Bytes {
				return nil
			}
			a.next++
			one.ID, one.Tail = a.next, bytes.Clone(one.Tail)
			a.offline = append(a.offline, one)
			stored++
		}
		return nil
	})
	return stored, err
}

func (m *memory) OfflineMessages(_ context.Context, owner string, after int64, limit int) (list []store.OfflineMessage, err error) {
	err = m.with(owner, func(a *memoryAccount) error {
		for _, one := range a.offline {
			if one.ID > after && len(list) < limit {
				list = append(list, one)
			}
		}
		return nil
	})
	return list, err
}

func (m *memory) RemoveOffline(_ context.Context, owner string, last int64) error {
	return m.with(owner, func(a *memoryAccount) error {
		a.offline = slices.DeleteFunc(a.offline, func(one store.OfflineMessage) bool { return one.ID <= last })
		return nil
	})
}

func (m *memory) DropOffline(_ context.Context, owner string, ids []int64) error {
	return m.with(owner, func(a *memoryAccount) error {
		a.offline = slices.DeleteFunc(a.offline, func(one store.OfflineMessage) bool { return slices.Contains(ids, one.ID) })
		return nil
	})
}

func (m *memory) Private(_ context.Context, owner, name string) (data []byte, err error) {
	err = m.with(owner, func(a *memoryAccount) error { data = a.private[name]; return nil })
	return data, err
}

func (m *memory) SetPrivate(_ context.Context, owner, name string, data []byte, most int) error {
	return m.with(owner, func(a *memoryAccount) error {
		if a.private[name] == nil && len(a.private) >= most {
			return store.ErrQuota
		}
		a.private[name] = bytes.Clone(data)
		return nil
	})
}

func (m *memory) LastActivity(_ context.Context, owner string) (at time.Time, status string, err error) {
	err = m.with(owner, func(a *memoryAccount) error { at, status = a.last, a.status; return nil })
	return at, status, err
}

func (m *memory) SetLastActivity(_ context.Context, owner string, at time.Time, status string) error {
	return m.with(owner, func(a *memoryAccount) error { a.last, a.status = at, status; return nil })
}

// abroad stands for all other servers.
type abroad struct {
	mu  sync.Mutex
	got []string
}

func (a *abroad) Handle(b *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) {
	a.Deliver(b, to, p.Stanza(s.Addr()))
}

func (a *abroad) Deliver(_ *wire.Batch, to wire.Addr, st wire.Stanza) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.got = append(a.got, string(append(wire.AppendStart(nil, st.Kind, "", to), st.Tail...)))
}

// keptWorld is a world with accounts: ann, bob and eve at x.net, and other servers.
type keptWorld struct {
	*world
	m *memory
	a *abroad
}

func newKept(t *testing.T) *keptWorld {
	w := &keptWorld{world: newWorld(t), m: newMemory("ann@x.net", "bob@x.net", "eve@x.net"), a: &abroad{}}
	w.r.SetRemote(w.a)
	w.h.Keep(w.m, DefaultLimits(), nil)
	return w
}

// online logs in and becomes available, with the roster asked for, and forgets what that brings.
func (w *keptWorld) online(addr wire.Addr) *client {
	c := w.login(addr)
	c.send(`<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>`)
	c.send(`<presence/>`)
	w.quiet()
	return c
}

// settle waits until no account has anything in hand.
func (h *Host) settle() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wait()
}

// quiet waits until nothing is in hand and has everybody forget what came in.
func (w *keptWorld) quiet() {
	w.h.settle()
	w.h.mu.Lock()
	var all []*client
	for _, a := range w.h.users {
		for _, r := range a.sessions {
			all = append(all, r.Sender.(*client))
		}
	}
	w.h.mu.Unlock()
	for _, c := range all {
		c.take()
	}
	w.sentAbroad()
}

// sentAbroad returns what has gone to other servers.
func (w *keptWorld) sentAbroad() []string {
	w.h.settle()
	w.a.mu.Lock()
	defer w.a.mu.Unlock()
	got := w.a.got
	w.a.got = nil
	return got
}

func (w *keptWorld) expectAbroad(want ...string) {
	w.t.Helper()
	got := w.sentAbroad()
	if len(got) != len(want) {
		w.t.Errorf("abroad: got %q, want %q", got, want)
		return
	}
	for i := range want {
		for part := range strings.SplitSeq(want[i], " … ") {
			if !strings.Contains(got[i], part) {
				w.t.Errorf("abroad: got %s, want %s", got[i], want[i])
			}
		}
	}
}

// from has a user of another server send something.
func (w *keptWorld) from(addr wire.Addr, raw string) *client {
	w.t.Helper()
	s := &client{t: w.t, addr: addr, r: w.r, h: w.h}
	p := parse(w.t, raw)
	to, err := wire.ParseRawAddr(p.To())
	if err != nil {
		w.t.Fatal(err)
	}
	var b wire.Batch
	w.r.Enter(&b, s, to, p)
	w.h.settle()
	return s
}

// contact returns what is stored.
func (w *keptWorld) contact(owner, addr string) store.Contact {
	w.h.settle()
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	return w.m.accounts[owner].contacts[addr]
}

// befriend makes two accounts see each other.
func (w *keptWorld) befriend(x, y string) {
	for _, pair := range [][2]string{{x, y}, {y, x}} {
		if a := w.m.accounts[pair[0]]; a != nil {
			a.version++
			a.contacts[pair[1]] = store.Contact{Addr: pair[1], Listed: true, To: true, From: true}
		}
	}
}
