package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"time"

	"parley/internal/netem"
)

// server is a server, running, with data of its own.
type server struct {
	cmd   *exec.Cmd
	ended <-chan error
	said  *tail
	data  string

	signalling  netip.AddrPort // on the loopback of its network
	url, domain string         // where members log in, by that
	media       netip.AddrPort
	repairs     repairs
	again       time.Duration // after which it is told to end a second time; 0: once is enough
}

const (
	startTime = 30 * time.Second
	stopTime  = 20 * time.Second
)

// newServer makes the folder of a server's data.
func newServer(dir string) (*server, error) {
	data, err := os.MkdirTemp(dir, "server-")
	return &server{said: new(tail), data: data}, err
}

// run starts the program, on a host if there is one, and waits until it is ready.
func (s *server) run(ctx context.Context, host *netem.Host, ready func() (bool, error), binary string, args ...string) error {
	s.cmd = exec.Command(binary, args...)
	s.cmd.Stdout, s.cmd.Stderr = s.said, s.said
	var err error
	if s.ended, err = launch(s.cmd, host); err != nil {
		return errors.Join(fmt.Errorf("server: %w", err), os.RemoveAll(s.data))
	}
	if err := s.await(ctx, ready); err != nil {
		return errors.Join(err, s.stop())
	}
	return nil
}

// launch starts a program, on a host if there is one.
func launch(cmd *exec.Cmd, host *netem.Host) (<-chan error, error) {
	if host != nil {
		return host.Start(cmd)
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return ended, nil
}

func (s *server) await(ctx context.Context, ready func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		if ok, err := ready(); ok || err != nil {
			return err
		}
		select {
		case err := <-s.ended:
			ended := make(chan error, 1)
			ended <- err // for stop
			s.ended = ended
			return fmt.Errorf("the server ended while it started: %w: %s", err, s.said)
		case <-ctx.Done():
			return fmt.Errorf("the server does not start: %w: %s", ctx.Err(), s.said)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// stop ends the server and removes its data.
func (s *server) stop() error {
	s.cmd.Process.Signal(syscall.SIGTERM)
	if s.again > 0 {
		second := time.AfterFunc(s.again, func() { s.cmd.Process.Signal(syscall.SIGTERM) })
		defer second.Stop()
	}
	var err error
	select {
	case err = <-s.ended:
	case <-time.After(stopTime):
		s.cmd.Process.Kill()
		err = errors.Join(errors.New("the server does not end"), <-s.ended)
	}
	return errors.Join(err, os.RemoveAll(s.data))
}
