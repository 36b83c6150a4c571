package main

import (
	"context"
	"os"
	"os/signal"

	benchmedia "parley/internal/bench/media"
	"parley/internal/bench/xmpp"
	"parley/xmpp/wire"
)

type benchCmd struct {
	XMPP  benchXMPP  `cmd:"" name:"xmpp" help:"Load XMPP servers and read what it costs them."`
	Media benchMedia `cmd:"" help:"Let a bridge forward media and read what each packet costs it."`
}

type benchXMPP struct{ xmpp.Options }

// Run prints a table.
func (c *benchXMPP) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	scanner := wire.Scanner{Limits: wire.AfterAuth}
	c.Scan = func(stanza []byte) error {
		_, _, err := scanner.Next(stanza)
		return err
	}
	c.Progress = os.Stderr
	return xmpp.Run(ctx, c.Options, os.Stdout)
}

type benchMedia struct{ benchmedia.Options }

// Run prints a table.
func (c *benchMedia) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c.Progress = os.Stderr
	return benchmedia.Run(ctx, c.Options, os.Stdout)
}
