package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"parley/bridge/link"
	"parley/internal/config"
)

// bridgeCmd is the process that carries the media and relays. serve starts it and tells it what is wished (package link).
type bridgeCmd struct {
	Data      string         `help:"Folder that holds the server's state." default:"./parley-data" placeholder:"DIR" type:"path"`
	Listen    netip.AddrPort `help:"Address of the media, for UDP and TCP." default:"127.0.0.1:10000" placeholder:"ADDRESS:PORT"`
	Advertise []netip.Addr   `help:"This machine as clients see it, behind an address translation the outer address; can be repeated. Without: that of --listen, or the machine's own." placeholder:"ADDRESS"`
	TCP       bool           `help:"Media over TCP too, for clients whose network has no UDP." default:"true" negatable:""`
	LogLevel  string         `help:"What is logged." enum:"debug,info,warn,error,critical" default:"info"`
	LogFormat string         `help:"How it is logged." enum:"text,json" default:"text"`
	Redact    bool           `help:"Shorten addresses in the log."`
	Metrics   string         `help:"Unix socket for metrics and profiles." hidden:"" placeholder:"FILE" type:"path"`
	Setup     string         `help:"File with all of this, and the relay, which serve writes." hidden:"" placeholder:"FILE" type:"path"`
}

// errTold says that whoever started us knows already why we end.
var errTold = errors.New("told")

// Run carries media until a signal ends it, or until no server has come for five minutes, and that is no error.
func (c *bridgeCmd) Run() error {
	// The log may lead to a program that went with a server that was killed. SIGHUP is for the server, which hands on what it
	// has read: pkill -HUP parley is not to end the calls.
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	starter := link.TakeStarter()
	b, err := c.open()
	if err != nil {
		if starter.Refuse(err) {
			return errTold
		}
		return err
	}
	defer b.Close()
	starter.Up(b.setup.announced())

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go b.drain(ctx, signals, stop)
	return together(ctx, b.Run, func(ctx context.Context) error { return serveMetrics(ctx, c.Metrics, b.registry) })
}

// open reads how the bridge is set up and binds its listeners.
func (c *bridgeCmd) open() (*carrier, error) {
	s, err := c.setup()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	log, level := newLogger(os.Stderr, s.Log)
	return openCarrier(c.Data, s, log.With("part", "bridge"), level)
}

func (c *bridgeCmd) setup() (setup, error) {
	if c.Setup != "" {
		return readSetup(c.Setup)
	}
	s := setup{Advertise: c.Advertise, TCP: c.TCP, Log: config.Log{Format: c.LogFormat, Redact: c.Redact}}
	s.Log.Level.UnmarshalText([]byte(c.LogLevel))
	l, err := listenerOf(c.Listen)
	s.Media = []config.Listener{l}
	return s, err
}

// drainFor is how long a bridge goes on that was asked to end by another than its server.
const drainFor = 30 * time.Minute

// drain ends the bridge at the first signal, unless a server is connected and members are there: then it takes no new
// conferences, says so, and ends when the members are gone, the server is, or asks a second time.
func (c *carrier) drain(ctx context.Context, signals <-chan os.Signal, stop func()) {
	select {
	case <-ctx.Done():
		return
	case <-signals:
	}
	defer stop()
	late := time.NewTimer(drainFor)
	defer late.Stop()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for c.legs.count() > 0 && c.server.Drain() {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			return
		case <-late.C:
			return
		case <-look.C:
		}
	}
}
