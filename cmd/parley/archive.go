package main

import (
	"context"

	"parley/xmpp/archive"
	"parley/xmpp/im"
	"parley/xmpp/wire"
)

// serveArchives has what people say archived, and the archives of accounts and rooms read. It comes before the first client
// and before what the last process left is taken up.
func (s *server) serveArchives(ctx context.Context) error {
	if !s.cfg.Archive.Enabled {
		return nil
	}
	a, err := archive.New(ctx, s.cfg.Archive, s.store, owners{s.host}, s.recorder)
	if err != nil {
		return err
	}
	s.archives = a
	s.host.SetArchive(keeper{a})
	for _, payload := range []string{"query", "metadata", "prefs"} {
		s.host.HandleIQ(payload, archive.NS, a.Handle)
	}
	s.host.AnnounceAccount(archive.Features)
	s.host.Announce(archive.HostFeatures)
	s.rooms.SetArchive(archive.NewRooms(s.store, s.recorder))
	s.group.Go(func() { a.Run(s.stopping) })
	return nil
}

// keeper is the archive as the host of accounts wants it.
type keeper struct{ *archive.Service }

// Keep implements im.Archive.
func (k keeper) Keep(m im.Kept, done func(error)) (sender, recipient string) {
	return k.Service.Keep(archive.Kept(m), done)
}

// owners are the accounts as the archive wants them.
type owners struct{ *im.Host }

// Knows implements archive.Accounts.
func (o owners) Knows(ctx context.Context, account, contact wire.Addr) (bool, error) {
	standing, err := o.Standing(ctx, account, contact)
	return standing.Own || standing.Listed, err
}
