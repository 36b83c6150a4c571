package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/bridge"
	"parley/bridge/channel"
	bice "parley/bridge/ice"
	"parley/bridge/link"
	"parley/bridge/transport"
	"parley/bridge/udp"
	"parley/internal/config"
	"parley/internal/event"
)

// bridgeCmd is the process that carries the media. serve starts it and tells it what is wished (package link).
type bridgeCmd struct {
	Data      string         `help:"Folder that holds the server's state." default:"./parley-data" placeholder:"DIR" type:"path"`
	Listen    netip.AddrPort `help:"Address of the media, for UDP and TCP." default:"127.0.0.1:10000" placeholder:"ADDRESS:PORT"`
	Advertise []netip.Addr   `help:"This machine as clients see it, behind an address translation the outer address; can be repeated. Without: that of --listen, or the machine's own." placeholder:"ADDRESS"`
	TCP       bool           `help:"Media over TCP too, for clients whose network has no UDP." default:"true" negatable:""`
	LogLevel  string         `help:"What is logged." enum:"debug,info,warn,error,critical" default:"info"`
	LogFormat string         `help:"How it is logged." enum:"text,json" default:"text"`
	Redact    bool           `help:"Shorten addresses in the log."`
}

const bridgeCertFile = "bridge-cert.pem"

// Run carries media until a signal ends it, or until no server has come for five minutes, and that is no error.
func (c *bridgeCmd) Run() error {
	signal.Ignore(syscall.SIGPIPE) // the log may lead to a program that went with a server that was killed
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	logs := config.Log{Format: c.LogFormat, Redact: c.Redact}
	logs.Level.UnmarshalText([]byte(c.LogLevel))
	log, _ := newLogger(os.Stderr, logs)
	log = log.With("part", "bridge")
	events := event.New(log, prometheus.NewRegistry(), c.Redact)

	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	id := rand.Text()
	home, err := link.Open(c.Data, id, os.Args[1:])
	if err != nil {
		return err
	}
	defer home.Close()
	cert, err := c.certificate()
	if err != nil {
		return err
	}
	port, err := transport.Listen(transport.Config{
		Address: c.Listen, Advertise: c.advertised(), TCP: c.TCP, Certificate: cert,
		Policy: bice.Policy{AllowLoopback: c.Listen.Addr().IsLoopback(), AllowPrivate: c.Listen.Addr().IsPrivate()},
		Socket: udp.Config{Warn: func(s udp.Shortage) { log.Warn("the kernel gives smaller buffers to the media", "shortage", s) }},
		Events: events,
	})
	if err != nil {
		return err
	}
	defer port.Close()
	channels := channel.NewServer(channel.Config{Bridge: id, Version: version(), Rate: channel.DefaultRate, Events: events})
	defer channels.Close()
	legs := newLegs(port, channels, events)
	core := &core{bridge.New(bridge.Config{Transports: legs, Recorder: events}), legs}
	server := link.NewServer(core, link.ServerConfig{Bridge: id, Version: version(), Log: log, Events: events})
	log.Info("the bridge carries media", "addr", port.Addr().String(), "pid", os.Getpid())

	err = together(ctx,
		func(ctx context.Context) error { return port.Run(ctx) },
		func(ctx context.Context) error { return core.Run(ctx) },
		func(ctx context.Context) error { return home.ServeHTTP(ctx, channels, events) },
		func(ctx context.Context) error { return server.Run(ctx, home.Listener()) },
	)
	if errors.Is(err, link.ErrAlone) {
		return nil
	}
	return err
}

// together runs all until the first one returns, then ends the others, and returns the first one's error.
func together(ctx context.Context, parts ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	ended := make(chan error, len(parts))
	for _, run := range parts {
		group.Go(func() {
			err := run(ctx)
			cancel()
			ended <- err
		})
	}
	group.Wait()
	return <-ended
}

// advertised are the addresses of --advertise, at the port that is listened at.
func (c *bridgeCmd) advertised() (list []netip.AddrPort) {
	for _, a := range c.Advertise {
		list = append(list, netip.AddrPortFrom(a, 0))
	}
	return list
}

// certificate returns the one of DTLS, which is made once and stays, so that clients find the same fingerprint after a
// restart.
func (c *bridgeCmd) certificate() ([]byte, error) {
	name := filepath.Join(c.Data, bridgeCertFile)
	text, err := os.ReadFile(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return text, err
	}
	if text, err = transport.NewCertificate(time.Now()); err != nil {
		return nil, err
	}
	return text, writeFile(name, text, 0o600)
}
