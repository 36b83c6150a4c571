package invite

import (
	"context"
	"errors"
	"time"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// longestToken bounds what is looked up, in bytes.
const longestToken = 128

// find returns an invitation that is good now, or ErrNotFound.
func (s *Service) find(ctx context.Context, token string) (store.Invite, error) {
	if token == "" || len(token) > longestToken {
		return store.Invite{}, store.ErrNotFound
	}
	i, err := s.store.Invite(ctx, digest(token))
	if err == nil && !time.Now().Before(i.Expires) {
		err = store.ErrNotFound
	}
	return i, err
}

// Grants uses a token up that came with somebody's request to see account's presence (XEP-0379 §3.5), and reports that it is one
// of the account. It waits for the store.
func (s *Service) Grants(ctx context.Context, account wire.Addr, token string) bool {
	i, err := s.find(ctx, token)
	if err == nil && (i.Inviter != string(account) || !i.Subscribe || i.Name != "") {
		err = store.ErrNotFound
	}
	if err == nil {
		err = s.store.TakeInvite(ctx, i.Digest)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		s.rec.Hurt("invite.store", string(account), "err", err.Error())
	}
	return err == nil
}

// Invitation returns an invitation that is good now and makes an account, or ErrNotFound (XEP-0445 §4).
func (s *Service) Invitation(ctx context.Context, token string) (store.Invite, error) {
	i, err := s.find(ctx, token)
	if err == nil && (!i.Register || !s.makes(wire.Addr(i.Inviter))) {
		err = store.ErrNotFound
	}
	return i, err
}

// Kept reports that an address may not be registered by who has no invitation with its name: it is kept for somebody, or an
// administrator's.
func (s *Service) Kept(ctx context.Context, addr wire.Addr) (bool, error) {
	if s.isAdmin(addr) {
		return true, nil
	}
	return s.store.Reserved(ctx, string(addr), time.Now())
}

// Register makes an account with an invitation, which was good a moment ago and is used up, and has inviter and invited see each
// other, if that was wished (XEP-0401 §5.4). The account is there when it returns nil.
func (s *Service) Register(ctx context.Context, i store.Invite, a store.Account) error {
	if err := s.store.RegisterInvited(ctx, i.Digest, a); err != nil {
		return err
	}
	if i.Subscribe {
		if err := s.friends.Befriend(ctx, wire.Addr(i.Inviter), wire.Addr(a.Addr)); err != nil {
			s.rec.Hurt("invite.roster", i.Inviter, "err", err.Error()) // they have each other's addresses, and can ask
		}
	}
	return nil
}

// Page is what the page of an invitation shows.
type Page struct {
	Inviter string // whom the invited hears from: an address
	URI     string // for the client
	Contact bool   // the inviter becomes a contact
	Account bool   // an account can be made
	Name    string // of the account, "" if the invited chooses it
	Expires time.Time
}

// Page returns what is shown of a token, or ErrNotFound.
func (s *Service) Page(ctx context.Context, token string) (Page, error) {
	i, err := s.find(ctx, token)
	if err != nil {
		return Page{}, err
	}
	return Page{Inviter: i.Inviter, URI: s.uri(&i, token), Contact: i.Subscribe, Account: i.Register, Name: i.Name, Expires: i.Expires}, nil
}
