package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	benchmedia "parley/internal/bench/media"
	"parley/internal/bench/network"
	"parley/internal/bench/xmpp"
	"parley/xmpp/wire"
)

type benchCmd struct {
	XMPP  benchXMPP  `cmd:"" name:"xmpp" help:"Load XMPP servers and read what it costs them."`
	Media benchMedia `cmd:"" help:"Let a bridge forward media and read what each packet costs it."`

	Network benchNetwork `cmd:"" help:"Let a server send media over emulated bad networks and read what becomes of them."`
	Member  benchMember  `cmd:"" name:"network-member" hidden:"" help:"A member of a conference of the network bench."`
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

type benchNetwork struct{ network.Options }

// Run prints a table.
func (c *benchNetwork) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c.Progress = os.Stderr
	return network.Run(ctx, c.Options, os.Stdout)
}

type benchMember struct{}

// Run does what it reads from standard input.
func (c *benchMember) Run() error {
	return network.Member(context.Background(), os.Stdin, os.Stdout)
}
