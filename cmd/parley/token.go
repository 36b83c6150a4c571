package main

import (
	"fmt"
	"time"

	"parley/internal/config"
	"parley/internal/token"
)

type tokenCmd struct {
	common
	Room      string        `arg:"" help:"Room that the token opens; * for all."`
	Issuer    string        `help:"Issuer of the configuration whose secret signs." default:"parley"`
	User      string        `help:"Id of the person."`
	Name      string        `help:"Name of the person."`
	Email     string        `help:"Mail address of the person."`
	Moderator bool          `help:"The person enters as owner of the room."`
	Tenant    string        `help:"Tenant of the room; without, it is a room of the domain."`
	Door      string        `help:"The one door that the token opens." enum:",xmpp,roomserver,apprtc,mqtt,whip" default:""`
	Expires   time.Duration `help:"How long the token is good." default:"1h"`
}

// Run prints the token.
func (c *tokenCmd) Run() error {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	if err := cfg.Check(); err != nil {
		return err
	}
	if cfg, err = runningConfig(c.Data, cfg); err != nil {
		return err
	}
	own, err := readSecrets(c.Data)
	if err != nil {
		return err
	}
	if c.Expires <= 0 || c.Expires > cfg.Token.MaxLifetime {
		return fmt.Errorf("the token would not be accepted: it may be good for at most %v (token.max_lifetime)", cfg.Token.MaxLifetime)
	}
	for _, i := range issuers(cfg, own) {
		if i.Name != c.Issuer {
			continue
		}
		if len(i.Secrets) == 0 {
			return fmt.Errorf("issuer %q has no secret to sign with: its tokens are made where its private key is", c.Issuer)
		}
		signer, err := token.NewSigner("", []byte(i.Secrets[0]), cfg.Domain)
		if err != nil {
			return err
		}
		claims := token.Claims{
			Issuer: i.Name, Expires: time.Now().Add(c.Expires), Room: c.Room, Tenant: c.Tenant, Door: c.Door, Moderator: c.Moderator,
			User: token.User{ID: c.User, Name: c.Name, Email: c.Email},
		}
		if len(i.Audiences) > 0 && i.Audiences[0] != token.Any {
			claims.Audience = i.Audiences[:1]
		}
		raw, err := signer.Sign(claims)
		if err != nil {
			return err
		}
		fmt.Println(raw)
		return nil
	}
	return fmt.Errorf("the configuration has no issuer %q", c.Issuer)
}

// readSecrets reads the secrets of a server that runs or will run; if there are none yet it makes them.
func readSecrets(path string) (secrets, error) {
	d, err := openData(path)
	if err != nil {
		d = &dataDir{path: path} // a server runs: the secrets are there
		return d.secrets()
	}
	defer d.Close()
	return d.secrets()
}
