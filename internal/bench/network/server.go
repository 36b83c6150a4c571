package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"parley/internal/netem"
)

// server is the server, running, with data of its own.
type server struct {
	cmd   *exec.Cmd
	ended <-chan error
	said  *tail
	data  string

	domain string
	http   netip.AddrPort // on the loopback of its network
	media  netip.AddrPort
}

const (
	startTime = 30 * time.Second
	stopTime  = 20 * time.Second
)

// configuration is that of a server whose media come from elsewhere: the domain is an address because bridge channels are
// offered at the domain.
const configuration = "domain = \"127.0.0.1\"\nstore = \"sqlite:%s\"\n\n[rooms]\ncreate = \"anyone\"\n"

// startServer starts a binary on a host of a router; nil: on loopback.
func startServer(ctx context.Context, binary, dir string, host *netem.Host) (*server, error) {
	s := &server{said: new(tail)}
	var err error
	if s.data, err = os.MkdirTemp(dir, "server-"); err != nil {
		return nil, err
	}
	args := []string{"serve", "--single-process", "--log-level", "warn", "--data", s.data, "--listen", "http://127.0.0.1:0"}
	if host == nil {
		args = append(args, "--limits", "off", "--listen", "media://127.0.0.1:0")
	} else {
		file := filepath.Join(s.data, "bench.toml")
		if err := os.WriteFile(file, fmt.Appendf(nil, configuration, filepath.Join(s.data, "bench.db")), 0o600); err != nil {
			return nil, err
		}
		args = append(args, "--config", file, "--listen", "media://"+netip.AddrPortFrom(host.Addr, 0).String())
	}
	s.cmd = exec.Command(binary, args...)
	s.cmd.Stdout, s.cmd.Stderr = s.said, s.said
	if s.ended, err = launch(s.cmd, host); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if err := s.await(ctx); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
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

// await waits until the server has said where it listens.
func (s *server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		if text, err := os.ReadFile(filepath.Join(s.data, "run.json")); err == nil {
			return s.read(text)
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

func (s *server) read(text []byte) error {
	var r struct {
		Domain    string              `json:"domain"`
		Listeners map[string][]string `json:"listeners"`
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("run.json: %w", err)
	}
	s.domain = r.Domain
	for kind, to := range map[string]*netip.AddrPort{"http": &s.http, "media": &s.media} {
		if len(r.Listeners[kind]) == 0 {
			return fmt.Errorf("run.json: no listener %s", kind)
		}
		var err error
		if *to, err = netip.ParseAddrPort(r.Listeners[kind][0]); err != nil {
			return fmt.Errorf("run.json: %w", err)
		}
	}
	return nil
}

// url is where members log in.
func (s *server) url() string { return "ws://" + s.http.String() + "/xmpp-websocket" }

// stop ends the server and removes its data.
func (s *server) stop() error {
	s.cmd.Process.Signal(syscall.SIGTERM)
	var err error
	select {
	case err = <-s.ended:
	case <-time.After(stopTime):
		s.cmd.Process.Kill()
		err = errors.Join(errors.New("the server does not end"), <-s.ended)
	}
	return errors.Join(err, os.RemoveAll(s.data))
}
