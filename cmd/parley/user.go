package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"parley/internal/config"
	"parley/internal/store"
	"parley/internal/store/sqlstore"
	"parley/xmpp/auth"
	"parley/xmpp/wire"
)

type userCmd struct {
	Add     userAdd     `cmd:"" help:"Add an account."`
	Passwd  userPasswd  `cmd:"" help:"Change a password. Its sessions end."`
	Del     userDel     `cmd:"" help:"Delete an account. Its sessions end."`
	List    userList    `cmd:"" help:"List the accounts."`
	Disable userDisable `cmd:"" help:"Forbid an account to log in. Its sessions end."`
	Enable  userEnable  `cmd:"" help:"Allow an account to log in again."`
}

// account names one; the password never stands among the arguments, where every user of the machine could read it.
type account struct {
	common
	Name string `arg:"" help:"User name, or address user@domain."`
}

type (
	userAdd     struct{ account }
	userPasswd  struct{ account }
	userDel     struct{ account }
	userDisable struct{ account }
	userEnable  struct{ account }
	userList    struct{ common }
)

// Run adds the account. It is there when the command ends without an error.
func (c *userAdd) Run() error {
	return c.change(func(ctx context.Context, a accounts, addr string) error {
		credentials, err := newPassword(addr)
		if err != nil {
			return err
		}
		return a.CreateAccount(ctx, store.Account{Addr: addr, Created: time.Now(), Credentials: credentials})
	})
}

// Run changes the password.
func (c *userPasswd) Run() error {
	return c.change(func(ctx context.Context, a accounts, addr string) error {
		credentials, err := newPassword(addr)
		if err != nil {
			return err
		}
		return a.SetCredentials(ctx, addr, credentials)
	})
}

// Run deletes the account.
func (c *userDel) Run() error {
	return c.change(func(ctx context.Context, a accounts, addr string) error { return a.DeleteAccount(ctx, addr) })
}

// Run disables the account.
func (c *userDisable) Run() error {
	return c.change(func(ctx context.Context, a accounts, addr string) error { return a.DisableAccount(ctx, addr, true) })
}

// Run enables the account.
func (c *userEnable) Run() error {
	return c.change(func(ctx context.Context, a accounts, addr string) error { return a.DisableAccount(ctx, addr, false) })
}

// Run lists the accounts, one a line.
func (c *userList) Run() error {
	return c.withAccounts(func(ctx context.Context, a accounts, _ config.Config) error {
		const page = 500
		for after := ""; ; {
			list, err := a.ListAccounts(ctx, after, page)
			if err != nil {
				return err
			}
			for _, acc := range list {
				state := ""
				if acc.Disabled {
					state = "\tdisabled"
				}
				fmt.Printf("%s%s\n", acc.Addr, state)
				after = acc.Addr
			}
			if len(list) < page {
				return nil
			}
		}
	})
}

// change works on the account that was named.
func (c *account) change(do func(ctx context.Context, a accounts, addr string) error) error {
	return c.withAccounts(func(ctx context.Context, a accounts, cfg config.Config) error {
		addr, err := accountAddr(c.Name, cfg.Domain)
		if err != nil {
			return err
		}
		switch err = do(ctx, a, addr); {
		case errors.Is(err, store.ErrNotFound):
			return fmt.Errorf("there is no account %s", addr)
		case errors.Is(err, store.ErrExists):
			return fmt.Errorf("the account %s exists already", addr)
		case errors.Is(err, store.ErrInvalid):
			return fmt.Errorf("%s cannot be stored", addr)
		}
		return err
	})
}

// accountAddr completes and checks the name of an account.
func accountAddr(name, domain string) (string, error) {
	full := name
	if !strings.Contains(name, "@") {
		full += "@" + domain
	}
	addr, err := wire.ParseAddr(full)
	if err != nil || !addr.IsBare() || addr.Local() == "" {
		return "", fmt.Errorf("%q cannot be an account: a name like ann, or an address like ann@%s is needed", name, domain)
	}
	if addr.Domain() != domain {
		return "", fmt.Errorf("%q is not at this server's domain, which is %s", name, domain)
	}
	return string(addr), nil
}

// withAccounts works on the accounts.
func (c *common) withAccounts(do func(context.Context, accounts, config.Config) error) error {
	return c.withStore(func(ctx context.Context, k holder, cfg config.Config) error { return do(ctx, k, cfg) })
}

// withStore works on what is kept: through the server if one runs, else on the store itself, which no server can
// open meanwhile.
func (c *common) withStore(do func(context.Context, holder, config.Config) error) error {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	if err := cfg.Check(); err != nil {
		return err
	}
	ctx := context.Background()
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if remote, err := dialControl(c.Data); err == nil {
			if cfg, err = runningConfig(c.Data, cfg); err != nil {
				return err
			}
			return do(ctx, remote, cfg)
		}
		data, err := openData(c.Data)
		if errors.Is(err, errBusy) && time.Now().Before(until) {
			continue // the server is starting or stopping
		}
		if err != nil {
			return err
		}
		defer data.Close()
		db, err := sqlstore.Open(ctx, storeURL(cfg, data), sqlstore.Options{})
		if err != nil {
			return err
		}
		return errors.Join(do(ctx, db, cfg), db.Close())
	}
}

// newPassword asks for a password and returns what is stored for it.
func newPassword(addr string) ([]store.Credential, error) {
	password, err := askPassword("Password for " + addr + ": ")
	if err != nil {
		return nil, err
	}
	return auth.NewCredentials(password)
}

// askPassword reads a password: from a terminal without showing it, twice; else the first line of standard input.
func askPassword(prompt string) (string, error) {
	in := bufio.NewReader(os.Stdin)
	state, err := unix.IoctlGetTermios(int(os.Stdin.Fd()), unix.TCGETS)
	if err != nil {
		return line(in)
	}
	hidden := *state
	hidden.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(int(os.Stdin.Fd()), unix.TCSETS, &hidden); err != nil {
		return "", err
	}
	restore := func() { unix.IoctlSetTermios(int(os.Stdin.Fd()), unix.TCSETS, state) }
	defer restore()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, unix.SIGTERM)
	defer signal.Stop(interrupted)
	go func() {
		if _, ok := <-interrupted; ok {
			restore() // else the terminal would show nothing any more
			os.Exit(130)
		}
	}()
	var twice [2]string
	for i, p := range []string{prompt, "Again: "} {
		fmt.Fprint(os.Stderr, p)
		twice[i], err = line(in)
		fmt.Fprintln(os.Stderr)
		if err != nil {
			return "", err
		}
	}
	if twice[0] != twice[1] {
		return "", errors.New("the passwords differ")
	}
	return twice[0], nil
}

func line(in *bufio.Reader) (string, error) {
	s, err := in.ReadString('\n')
	s = strings.TrimRight(s, "\r\n")
	if s == "" {
		if err == nil {
			err = errors.New("it is empty")
		}
		return "", fmt.Errorf("no password on standard input: %w", err)
	}
	return s, nil
}
