package xmpp

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

func TestDev(t *testing.T) {
	o := Defaults()
	o.With = strings.Split(os.Getenv("DEVWITH"), ",")
	o.Work = strings.Split(os.Getenv("DEVWORK"), ",")
	o.Rounds = 1
	o.Duration = 2 * time.Second
	o.Warm = time.Second
	o.Progress = os.Stdout
	o.Keep = "/tmp/bx"
	o.Binary = "/tmp/bx/parleybin"
	if d := os.Getenv("DEVDUR"); d != "" {
		o.Duration, _ = time.ParseDuration(d)
	}
	if err := Run(context.Background(), o, os.Stdout); err != nil {
		t.Fatal(err)
	}
}
