package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"parley/bridge/link"
	"parley/internal/config"
	"parley/internal/doctor"
)

type doctorCmd struct {
	common
	JSON bool `help:"Print what was found as JSON."`
}

// Run prints what was found, one line each, and fails if a fault is among it.
func (c *doctorCmd) Run() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	p := doctor.Here()
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
