package c2s

import (
	"context"
	"net/netip"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// Registrar makes accounts for people who are not logged in (XEP-0077). What answers may wait for the store.
type Registrar interface {
	// Open reports that it does so for anybody, Invites that it does for those who have an invitation (XEP-0445).
	Open() bool
	Invites() bool
	// Preauth answers a token, and returns the invitation that it stands for, nil if it is none.
	Preauth(ctx context.Context, source netip.Addr, p *wire.Packet) (wire.Stanza, *store.Invite)
	// Register answers a request of somebody who has this invitation, or none.
	Register(ctx context.Context, source netip.Addr, invite *store.Invite, p *wire.Packet) wire.Stanza
}

// Namespaces of XEP-0077 and XEP-0445.
const (
	nsRegister        = "jabber:iq:register"
	nsRegisterFeature = "http://jabber.org/features/iq-register"
	nsPreauth         = "urn:xmpp:pars:0"      // XEP-0379
	nsInvite          = "urn:xmpp:ibr-token:0" // XEP-0445 ...
	nsOldInvite       = "urn:xmpp:invite"      // ... and before its version 0.2, which clients still look for
)

// Register has r make accounts. It is called before the first client.
func (srv *Server) Register(r Registrar) { srv.registrar = r }

// registers reports that the client may make an account now: before it logs in, where a password may be sent.
func (n *negotiation) registers() bool {
	r := n.srv.registrar
	return r != nil && (r.Open() || r.Invites()) && !n.needsTLS() && (n.secure || n.srv.cfg.Insecure || n.source.IsLoopback())
}

// appendRegister says how accounts are made.
func (n *negotiation) appendRegister(f []byte) []byte {
	if !n.registers() {
		return f
	}
	if n.srv.registrar.Invites() {
		f = append(f, "<register xmlns='"+nsInvite+"'/><register xmlns='"+nsOldInvite+"'/>"...)
	}
	return append(f, "<register xmlns='"+nsRegisterFeature+"'/>"...) // clients look for it also when they have an invitation
}

// asksToRegister reports that the packet is for the registrar.
func asksToRegister(p *wire.Packet) bool {
	if p.Kind != wire.IQ || !p.HasID() {
		return false
	}
	typ := string(p.Type())
	return p.ChildIs("query", nsRegister) && (typ == "get" || typ == "set") || p.ChildIs("preauth", nsPreauth) && typ == "set"
}

func (n *negotiation) register(p *wire.Packet) error {
	ctx, cancel := context.WithTimeout(context.Background(), n.srv.cfg.LoginTimeout)
	defer cancel()
	r := n.srv.registrar
	if !p.ChildIs("preauth", nsPreauth) {
		return n.writeStanza(r.Register(ctx, n.source, n.invite, p))
	}
	if !r.Invites() {
		return errLoginFirst
	}
	answer, invite := r.Preauth(ctx, n.source, p)
	if invite != nil {
		n.invite = invite
	}
	return n.writeStanza(answer)
}

// RevokeOthers is Revoke for all sessions of an account but one, which may be "".
func (srv *Server) RevokeOthers(bare, except wire.Addr) {
	for _, s := range srv.all() {
		if !s.guest && s.addr.Bare() == bare && s.addr != except {
			s.end(errRevoked, false)
		}
	}
}
