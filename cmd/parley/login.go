package main

import (
	"context"
	"time"

	"parley/xmpp/auth"
	"parley/xmpp/im"
	"parley/xmpp/register"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// enroll has clients make, change and remove accounts as far as the configuration allows it. It comes before the host says
// what it can.
func (s *server) enroll() *register.Service {
	r := register.New(s.cfg.Register, wire.Addr(s.cfg.Domain), s.store, s, s.host.Do, s.recorder)
	if s.cfg.Register.Change {
		s.host.HandleIQ("query", register.NS, r.Handle)
		s.host.Announce([]string{register.NS})
	}
	return r
}

// RevokeOthers implements register.Sessions.
func (s *server) RevokeOthers(account, except wire.Addr) { s.clients.RevokeOthers(account, except) }

// offerHashes has logins offer what all accounts can use. Those that came from another server may have keys of one kind only.
func (s *server) offerHashes(ctx context.Context, logins *auth.Server) error {
	names, accounts, err := s.store.CommonMechanisms(ctx)
	if err != nil || !accounts {
		return err
	}
	if logins.OfferHashes(names); len(names) < 3 {
		s.log.Info("some accounts cannot use every mechanism of SCRAM until they have changed their password; this is what is offered meanwhile", "mechanisms", names)
	}
	return nil
}

// welcome tells the clients' server what it leaves to others when somebody logs in. It comes before the first client.
func (s *server) welcome(r *register.Service) {
	s.clients.Register(r)
	s.clients.Inline("enable", im.NSCarbons, func(from route.Sender, _ wire.Elem) string {
		s.host.EnableCarbons(from, true) // XEP-0386 §4.2: it succeeds, and nothing is said of it
		return ""
	})
	if s.archives != nil {
		s.clients.DescribeArchive(func(account wire.Addr) string {
			ctx, done := context.WithTimeout(s.stopping, 5*time.Second)
			defer done()
			return s.archives.Ends(ctx, account)
		})
	}
}
