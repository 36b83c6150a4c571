package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"parley/bridge/link"
	"parley/internal/config"
	"parley/internal/doctor"
)

type doctorCmd struct {
	All doctorAllCmd  `cmd:"" default:"withargs" help:"Look at the configuration, the machine, the DNS, the certificates and the server that runs."`
	S2s doctorPeerCmd `cmd:"" name:"s2s" help:"Go the way to another server step by step."`
}

// asking are the flags of what looks names up.
type asking struct {
	DNS string `help:"Ask this DNS server instead of the system's." placeholder:"ADDRESS:PORT"`
}

func (a *asking) resolver() (*net.Resolver, error) {
	if a.DNS == "" {
		return net.DefaultResolver, nil
	}
	at, err := netip.ParseAddrPort(a.DNS)
	if err != nil {
		ip, e := netip.ParseAddr(a.DNS)
		if e != nil {
			return nil, fmt.Errorf("--dns: %w", err)
		}
		at = netip.AddrPortFrom(ip, 53)
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, at.String())
	}}, nil
}

type doctorAllCmd struct {
	common
	asking
	JSON bool `help:"Print what was found as JSON."`
}

// Run prints what was found, one line each, and fails if a fault is among it.
func (c *doctorAllCmd) Run() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	resolver, err := c.resolver()
	if err != nil {
		return err
	}
	p := doctor.Here()
	p.Ask(resolver)
	p.Data = c.Data
	p.Config, p.ConfigErr = config.Load(c.Config)
	if p.ConfigErr == nil {
		if r, err := readRunning(c.Data); err == nil && alive(c.Data) {
			p.PID = r.PID
			p.Health = func(ctx context.Context) error { return askHealth(ctx, c.Data) }
		}
		p.Bridge = link.Running(c.Data)
		p.Store = storeURL(p.Config, &dataDir{path: c.Data})
		p.Advertised = advertised(p.Config)
	}
	found := doctor.Examine(ctx, p)
	faults := 0
	for _, f := range found {
		if f.Level == doctor.Fault {
			faults++
		}
	}
	if c.JSON {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "\t")
		if err := out.Encode(found); err != nil {
			return err
		}
	} else {
		for _, f := range found {
			fmt.Printf("%-5s %-11s %s\n", f.Level, f.Check, f.Text)
		}
	}
	if faults > 0 {
		return fmt.Errorf("%d to be put right", faults)
	}
	return nil
}

// alive reports that a server has the data directory.
func alive(path string) bool {
	if _, err := os.Stat(path); err != nil {
		return false
	}
	d, err := openData(path)
	if err == nil {
		d.Close()
	}
	return errors.Is(err, errBusy)
}

// askHealth asks a server that runs what is wrong with it.
func askHealth(ctx context.Context, data string) error {
	remote, err := dialControl(data)
	if err != nil {
		return err
	}
	var health struct {
		Ready  bool
		Reason string
	}
	if err := remote.do(ctx, "GET", "/health", nil, &health); err != nil {
		return err
	}
	if !health.Ready {
		return errors.New(health.Reason)
	}
	return nil
}
