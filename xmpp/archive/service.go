package archive

import (
	"context"
	"fmt"
	"sync"
	"time"

	"parley/internal/event"
	"parley/internal/store"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// Store is where archives are.
type Store interface {
	store.Archives
	store.RoomArchives
}

// Accounts are the accounts of the host.
type Accounts interface {
	// Do runs work in the account's goroutine, in the order of the calls; false: too much waits already.
	Do(account wire.Addr, work func(b *wire.Batch)) bool
	// Knows reports that a bare address is on the account's roster.
	Knows(ctx context.Context, account, contact wire.Addr) (bool, error)
}

// Service keeps the archives of accounts. It is safe for concurrent use.
type Service struct {
	config   Config
	store    Store
	accounts Accounts
	rec      *event.Recorder
	prefs    wishBook

	pending backlog    // queued and not committed
	mu      sync.Mutex // guards clock, and that ids are queued in their order
	clock   clock
}

// patience bounds how long the store is waited for.
const patience = 10 * time.Second

// New returns the archives in a store, from which it reads the preferences of all accounts.
func New(ctx context.Context, config Config, st Store, accounts Accounts, rec *event.Recorder) (*Service, error) {
	if err := config.Check(); err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	s := &Service{config: config, store: st, accounts: accounts, rec: rec}
	if err := s.prefs.load(ctx, st); err != nil {
		return nil, fmt.Errorf("archive: preferences: %w", err)
	}
	latest, err := st.NewestArchived(ctx)
	if err != nil {
		return nil, fmt.Errorf("archive: latest message: %w", err)
	}
	if !s.clock.follow(latest, time.Now()) {
		rec.Hurt("archive.clock", "", "err", "the archive holds messages from "+stamp(latest)+": is the clock of this machine right?")
	}
	return s, nil
}

// Handle answers a request with one of the payloads <query/>, <metadata/> and <prefs/> of the namespace NS, to the sender's own
// account. Its answer comes from the account's goroutine, behind whatever the account sent or was sent before. What is asked of
// the sender's own server is asked of the account too: clients that look for an archive there, and not at the account, find it.
func (s *Service) Handle(b *wire.Batch, from route.Sender, p *wire.Packet) {
	account := from.Addr().Bare()
	to, err := wire.ParseRawAddr(p.To())
	own := err == nil && (to == account || to == wire.Addr(account.Domain()))
	if p.HasTo() && !own || from.Guest() {
		route.Refuse(b, from, p, to, errUnavailable) // a guest has no archive
		return
	}
	request := p.Clone()
	if !s.accounts.Do(account, func(b *wire.Batch) { s.answer(b, from, account, to, request) }) {
		route.Refuse(b, from, p, to, errBusy)
	}
}

// answer answers a request of one of the account's sessions. It waits for the store.
func (s *Service) answer(b *wire.Batch, from route.Sender, account, to wire.Addr, p *wire.Packet) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	local, _ := p.Child()
	var why *wire.Error
	if string(local) == "prefs" {
		var payload []byte
		if payload, why = s.answerPrefs(ctx, account, p); why == nil {
			from.Deliver(b, "", p.Result(to, payload))
			return
		}
	} else {
		err := s.settle(ctx)
		if err == nil {
			own := shelf{owner: account, page: s.store.ArchivePage, count: s.store.ArchiveCount, ends: s.store.ArchiveEnds}
			why, err = own.answer(ctx, p, func(st wire.Stanza) { from.Deliver(b, "", st) })
		}
		if err != nil {
			why = s.unwell(account, err)
		}
	}
	if why != nil {
		route.Refuse(b, from, p, to, why)
	}
}

// settle waits until what was archived before is committed, so that a client finds what it was delivered.
func (s *Service) settle(ctx context.Context) error {
	if s.pending.empty() {
		return nil
	}
	done := make(chan struct{})
	s.store.Append(nil, func(error) { close(done) })
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// unwell records a fault of the store and returns what the client is told.
func (s *Service) unwell(account wire.Addr, err error) *wire.Error {
	s.rec.Hurt("archive.store", string(account), "jid", string(account), "err", err.Error())
	return errStore
}
