package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"parley/internal/app"
	"parley/internal/config"
	"parley/internal/store"
	"parley/portal/api"
)

type appCmd struct {
	Add    appAdd    `cmd:"" help:"Add an application and print its first key, which is shown this once."`
	List   appList   `cmd:"" help:"List the applications."`
	Remove appRemove `cmd:"" help:"Remove an application. Its keys are refused at once."`
	Key    appKey    `cmd:"" help:"Keys of an application: add, list, remove."`
}

type appName struct {
	common
	Name string `arg:"" help:"Name of the application."`
}

type (
	appAdd struct {
		appName
		Scope  []string `help:"What it may do: admin, tokens:issue, turn; can be repeated." placeholder:"SCOPE"`
		Domain []string `help:"Domain whose pages may use its keys, sub-domains with it; can be repeated." placeholder:"DOMAIN"`
		Rate   float64  `help:"Requests a second; without, as the configuration says."`
		Burst  float64  `help:"Requests at once, with --rate."`
	}
	appList   struct{ common }
	appRemove struct{ appName }
	appKey    struct {
		Add    appKeyAdd    `cmd:"" help:"Make one more key and print it; it is shown this once."`
		List   appKeyList   `cmd:"" help:"List the ids of an application's keys."`
		Remove appKeyRemove `cmd:"" help:"Remove a key. It is refused at once."`
	}
	appKeyAdd    struct{ appName }
	appKeyList   struct{ appName }
	appKeyRemove struct {
		appName
		ID string `arg:"" help:"Id of the key."`
	}
)

// Run adds the application and prints a key.
func (c *appAdd) Run() error {
	a := store.App{Name: c.Name, Scopes: c.Scope, Domains: c.Domain, Rate: c.Rate, Burst: c.Burst, Created: time.Now()}
	if err := app.Check(&a); err != nil {
		return err
	}
	return c.change(func(ctx context.Context, k holder) error {
		if err := k.AddApp(ctx, a); err != nil {
			return err
		}
		return printKey(ctx, k, a.Name)
	})
}

// Run lists the applications, one a line.
func (c *appList) Run() error {
	return c.withStore(func(ctx context.Context, k holder, _ config.Config) error {
		const page = 500
		for after := ""; ; {
			list, err := k.ListApps(ctx, after, page)
			if err != nil {
				return err
			}
			for _, a := range list {
				fmt.Printf("%s\t%s\t%s\n", a.Name, strings.Join(a.Scopes, " "), strings.Join(a.Domains, " "))
				after = a.Name
			}
			if len(list) < page {
				return nil
			}
		}
	})
}

// Run removes the application.
func (c *appRemove) Run() error {
	return c.change(func(ctx context.Context, k holder) error { return k.RemoveApp(ctx, c.Name) })
}

// Run makes a key.
func (c *appKeyAdd) Run() error {
	return c.change(func(ctx context.Context, k holder) error { return printKey(ctx, k, c.Name) })
}

// Run lists the keys, one a line.
func (c *appKeyList) Run() error {
	return c.change(func(ctx context.Context, k holder) error {
		if _, err := k.App(ctx, c.Name); err != nil {
			return err
		}
		keys, err := k.AppKeys(ctx, c.Name)
		for _, key := range keys {
			fmt.Printf("%s\t%s\n", key.ID, key.Created.Format(time.RFC3339))
		}
		return err
	})
}

// Run removes a key.
func (c *appKeyRemove) Run() error {
	return c.change(func(ctx context.Context, k holder) error {
		if err := k.RemoveAppKey(ctx, c.Name, c.ID); errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("the application %s has no key %s", c.Name, c.ID)
		} else {
			return err
		}
	})
}

// printKey makes a key. Only what cannot be turned back into it is kept.
func printKey(ctx context.Context, k holder, name string) error {
	key, stored := api.NewKey(name, time.Now())
	if err := k.AddAppKey(ctx, stored, app.MostKeys); errors.Is(err, store.ErrQuota) {
		return fmt.Errorf("the application %s has %d keys already: remove one", name, app.MostKeys)
	} else if err != nil {
		return err
	}
	fmt.Println(key)
	return nil
}

// change works on the application that was named.
func (c *appName) change(do func(context.Context, holder) error) error {
	return c.withStore(func(ctx context.Context, k holder, _ config.Config) error {
		switch err := do(ctx, k); {
		case errors.Is(err, store.ErrNotFound):
			return fmt.Errorf("there is no application %s", c.Name)
		case errors.Is(err, store.ErrExists):
			return fmt.Errorf("the application %s exists already", c.Name)
		default:
			return err
		}
	})
}
