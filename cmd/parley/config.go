package main

import (
	"fmt"
	"os"

	"parley/internal/config"
)

type configCmd struct {
	Check     configCheck     `cmd:"" help:"Check a configuration file."`
	Reference configReference `cmd:"" help:"Print a configuration file with every key, its default and its meaning."`
}

type configCheck struct {
	common
	File string `arg:"" optional:"" help:"File to check instead of that of --config." type:"path"`
}

// Run reports every fault.
func (c *configCheck) Run() error {
	name := c.File
	if name == "" {
		name = c.Config
	}
	cfg, err := config.Load(name)
	if err == nil {
		err = cfg.Check()
	}
	if err != nil {
		return err
	}
	return config.Write(os.Stdout, cfg)
}

type configReference struct{}

// Run prints the reference.
func (configReference) Run() error {
	_, err := fmt.Print(config.Reference())
	return err
}
