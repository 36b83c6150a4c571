package main

import (
	"context"

	"parley/xmpp/admin"
	"parley/xmpp/command"
	"parley/xmpp/invite"
	"parley/xmpp/register"
	"parley/xmpp/wire"
)

// serveCommands offers what people, and administrators, may do by ad-hoc commands, and has r make accounts with invitations. It
// comes before the host says what it can.
func (s *server) serveCommands(ctx context.Context, r *register.Service) error {
	var admins []wire.Addr
	for _, a := range s.cfg.Admins {
		admins = append(admins, wire.Addr(a))
	}
	staff, err := admin.New(ctx, wire.Addr(s.cfg.Domain), admins, s.store, staff{s}, s.recorder)
	if err != nil {
		return err
	}
	s.invites = invite.New(s.cfg.Invite, wire.Addr(s.cfg.Domain), admins, s.store, s.host, s.invitePage, s.recorder)
	r.Invite(s.invites)
	s.host.HandlePreauth(s.invites.Grants)
	commands := command.New(wire.Addr(s.cfg.Domain), s.host.Do, s.recorder)
	commands.Add(staff.Commands()...)
	commands.Add(s.invites.Commands()...)
	s.host.HandleIQ("command", command.NS, commands.Handle)
	s.host.HandleHostNodes(commands.Discover)
	s.host.Announce([]string{command.NS})
	s.host.OnPresence(func(b *wire.Batch, account, contact wire.Addr, available bool, _ []byte) {
		if available && contact.Bare() == account {
			staff.Greet(b, contact)
		}
	})
	return nil
}

// invitePage is the address of the page for an invitation.
func (s *server) invitePage(token string) string {
	if page := s.page(); page != "" {
		return page + "invite/" + token
	}
	return ""
}

// staff is what administrators reach of the server.
type staff struct{ *server }

// Present implements admin.Server.
func (s staff) Present(account wire.Addr) []admin.Present {
	var list []admin.Present
	for _, session := range s.host.Sessions(account) {
		list = append(list, admin.Present{Addr: session.Addr(), Source: session.Source()})
	}
	return list
}

// Revoke implements admin.Server.
func (s staff) Revoke(account wire.Addr) { s.clients.Revoke(account) }

// End implements admin.Server.
func (s staff) End(addr wire.Addr) { s.clients.End(addr) }

// Send implements admin.Server.
func (s staff) Send(b *wire.Batch, to wire.Addr, st wire.Stanza) {
	s.host.Send(b, wire.Addr(s.cfg.Domain), to, st)
}
