package main

import (
	"context"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Profiles show what is in memory, so the socket is for our own user whatever the mask of the process is.
func TestMetricsSocketIsOurs(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	name := t.TempDir() + "/metrics.sock"
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveMetrics(ctx, name, prometheus.NewRegistry()) }()
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		info, err := os.Stat(name)
		if err == nil && info.Mode().Perm() == 0o600 {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("%v %v", info, err)
		}
	}
	if nc, err := net.Dial("unix", name); err != nil {
		t.Error(err)
	} else {
		nc.Close()
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
