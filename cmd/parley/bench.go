package main

import (
	"context"
	"os"
	"os/signal"

	"parley/internal/bench/xmpp"
	"parley/xmpp/wire"
)

type benchCmd struct {
	XMPP benchXMPP `cmd:"" name:"xmpp" help:"Load XMPP servers and read what it costs them."`
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
