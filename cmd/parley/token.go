package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"parley/internal/config"
	"parley/internal/token"
)

type tokenCmd struct {
	Make    tokenMake    `cmd:"" default:"withargs" help:"Make a token that opens a room."`
	Explain tokenExplain `cmd:"" help:"Say what a token is good for, claim by claim, and why it is refused."`
}

type tokenMake struct {
	common
	Room      string        `arg:"" help:"Room that the token opens; * for all."`
	Issuer    string        `help:"Issuer of the configuration whose secret signs." default:"parley"`
	User      string        `help:"Id of the person."`
	Name      string        `help:"Name of the person."`
	Email     string        `help:"Mail address of the person."`
	Moderator bool          `help:"The person enters as owner of the room."`
	Tenant    string        `help:"Tenant of the room; without, it is a room of the domain."`
	Door      string        `help:"The one door that the token opens." enum:",xmpp,roomserver,apprtc,mqtt,whip" default:""`
	Once      bool          `help:"The token may be used once."`
	Expires   time.Duration `help:"How long the token is good." default:"1h"`
}

// settings are the configuration, as a server that runs has it, and the secrets.
func (c *common) settings() (cfg config.Config, own secrets, err error) {
	if cfg, err = config.Load(c.Config); err != nil {
		return cfg, own, err
	}
	if err = cfg.Check(); err != nil {
		return cfg, own, err
	}
	if cfg, err = runningConfig(c.Data, cfg); err != nil {
		return cfg, own, err
	}
	own, err = readSecrets(c.Data)
	return cfg, own, err
}

// Run prints the token.
func (c *tokenMake) Run() error {
	cfg, own, err := c.settings()
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
		signer, audience, err := signerOf(i, cfg)
		if err != nil {
			return err
		}
		raw, err := signer.Sign(token.Claims{
			Issuer: i.Name, Audience: audience, Expires: time.Now().Add(c.Expires), Room: c.Room, Tenant: c.Tenant, Door: c.Door, Moderator: c.Moderator, Once: c.Once,
			User: token.User{ID: c.User, Name: c.Name, Email: c.Email},
		})
		if err != nil {
			return err
		}
		fmt.Println(raw)
		return nil
	}
	return fmt.Errorf("the configuration has no issuer %q", c.Issuer)
}

type tokenExplain struct {
	common
	Token  string `arg:"" optional:"" help:"The token; without it, or with -, it is read from standard input, where no other user of the machine sees it."`
	Room   string `help:"The room that it is to open."`
	Tenant string `help:"The room's tenant."`
	Door   string `help:"The door that it is to open." enum:",xmpp,roomserver,apprtc,mqtt,whip" default:""`
}

// Run prints one line for each check. It fails if the token would be refused.
func (c *tokenExplain) Run() error {
	cfg, own, err := c.settings()
	if err != nil {
		return err
	}
	raw := c.Token
	if raw == "" || raw == "-" {
		text, err := io.ReadAll(io.LimitReader(os.Stdin, 1<<20))
		if err != nil {
			return err
		}
		raw = string(text)
	}
	checker, err := newTokens(cfg, own, nil)
	if err != nil {
		return err
	}
	defer checker.Close()
	ctx, done := context.WithTimeout(context.Background(), 10*time.Second)
	defer done()
	refused := ""
	for _, f := range checker.Explain(ctx, strings.TrimSpace(raw), token.Want{Room: c.Room, Tenant: c.Tenant, Door: c.Door}) {
		if f.OK {
			fmt.Printf("✔ %-10s %s\n", f.Check, printable(f.Says))
			continue
		}
		fmt.Printf("✘ %-10s %s\n             %s: %s\n", f.Check, printable(f.Says), f.Code, printable(f.Text))
		if refused == "" {
			refused = f.Code
		}
	}
	if refused != "" {
		return fmt.Errorf("the token is refused: %s", refused)
	}
	return nil
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
