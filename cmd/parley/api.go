package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"net/url"
	"slices"
	"time"

	"parley/internal/config"
	"parley/internal/token"
	"parley/jingle/focus"
	"parley/portal"
	"parley/portal/api"
	"parley/portal/oidc"
	"parley/portal/report"
	"parley/turn"
	"parley/xmpp/auth"
)

// offerAPI adds the API to the public routes.
func (s *server) offerAPI(parts *portal.Parts, calls *focus.Focus, logins *auth.Server, services *turn.Registry, own secrets) error {
	p := api.Parts{
		Domain: s.cfg.Domain, Admins: s.cfg.Admins, Origins: s.cfg.HTTP.Origins, Store: s.store,
		Password: logins.Password, Confidential: portal.Confidential, Revoke: s.clients.Revoke, Tokens: s.tokens,
		Services: func(user string) []turn.Service { return services.Services(user, s.cfg.ICE.TTL, time.Now()) },
		EndRelay: func(user string) {
			if relay := s.media.relay(); relay != nil {
				relay.End(user)
			}
		},
		Rosters: s.host, Devices: devices{s},
		Recorder: s.recorder, Log: s.log,
	}
	if s.records != nil {
		p.Calls = history{s.store, s.reporter}
	}
	if s.page() != "" {
		p.Link = func(room, invitation string) string {
			return s.page() + url.PathEscape(room) + "?invitation=" + url.QueryEscape(invitation)
		}
	}
	if smtp := s.cfg.Records.Report; smtp.Host != "" {
		p.Mail = func(ctx context.Context, l report.Letter) error { return smtp.Post(ctx, s.cfg.Domain, l) }
	}
	var err error
	if i := slices.IndexFunc(issuers(s.cfg, own), func(i token.Issuer) bool { return i.Name == ownIssuer && len(i.Secrets) > 0 }); i >= 0 {
		if p.Signer, p.Audience, err = signerOf(issuers(s.cfg, own)[i], s.cfg); err != nil {
			return err
		}
		p.Issuer = ownIssuer
	}
	if s.cfg.OIDC.Issuer != "" {
		if p.OpenID, err = oidc.New(s.cfg.OIDC, s.sharedKey("oidc", own), s.store.SpendToken); err != nil {
			return err
		}
		p.MakeAccounts, p.AdoptAccounts, p.Reserved = s.cfg.OIDC.Make, s.cfg.OIDC.Adopt, s.store.Reserved
	}
	s.showRooms(&p, calls)
	s.showLive(&p, calls, services, own.Node)
	parts.API = api.New(s.cfg.API, p)
	return nil
}

// sharedKey derives a key for one purpose. All servers that accept one another's tokens have the same.
func (s *server) sharedKey(purpose string, own secrets) []byte {
	secret := own.Server
	for _, i := range issuers(s.cfg, own) {
		if i.Name == ownIssuer && len(i.Secrets) > 0 {
			secret = []byte(i.Secrets[0])
		}
	}
	m := hmac.New(sha256.New, secret)
	m.Write([]byte("parley key " + purpose))
	return m.Sum(nil)
}

// signerOf signs in the name of an issuer that has a secret.
func signerOf(i token.Issuer, cfg config.Config) (*token.Signer, []string, error) {
	signer, err := token.NewSigner("", []byte(i.Secrets[0]), cfg.Domain)
	if len(i.Audiences) > 0 && i.Audiences[0] != token.Any {
		return signer, i.Audiences[:1], err
	}
	return signer, nil, err
}
