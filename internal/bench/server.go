package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Server is a running XMPP server, whoever started it.
type Server struct {
	Name   string
	PID    int    // its processes are this one and its descendants
	Plain  string // host:port of XMPP over TCP that lets clients log in without TLS
	TLS    string // host:port of XMPP over TLS (XEP-0368)
	Domain string
	MUC    string // domain of its rooms
	Admin  string // host:port of Parley's admin listener, where profiles are; empty for others
	Users  Users

	cmd  *exec.Cmd // nil: it was running before
	dead chan struct{}
	log  string // file with its output
}

// Elsewhere is the domain, and the address, of another server that the generator plays, at the port that is usual. It is an
// address so that no name has to be looked up.
const Elsewhere = "127.0.0.9"

// Users are the accounts of a server: their names differ by a number and they share a password.
type Users struct {
	Count    int
	Password string
}

// Name is the local part of the i-th account; numbers beyond the count begin again.
func (u Users) Name(i int) string { return "u" + strconv.Itoa(i%u.Count) }

// DefaultUsers are what a peer is prepared with.
var DefaultUsers = Users{Count: 500, Password: "bench-password"}

// ParseServer reads the description of a running server:
//
//	NAME=pid:123,plain:127.0.0.1:5222,tls:127.0.0.1:5223,domain:example.net,muc:muc.example.net,users:500,password:secret
//
// Its accounts are u0, u1 ... and its limits must be off.
func ParseServer(spec string) (*Server, error) {
	name, rest, ok := strings.Cut(spec, "=")
	if !ok || name == "" {
		return nil, fmt.Errorf("server %q: want NAME=KEY:VALUE,KEY:VALUE and so on", spec)
	}
	s := &Server{Name: name, Domain: "localhost", MUC: "muc.localhost", Users: DefaultUsers}
	for part := range strings.SplitSeq(rest, ",") {
		key, value, ok := strings.Cut(part, ":")
		if !ok || value == "" {
			return nil, fmt.Errorf("server %s: %q: want KEY:VALUE", name, part)
		}
		var err error
		switch key {
		case "pid":
			s.PID, err = strconv.Atoi(value)
		case "plain":
			s.Plain = value
		case "tls":
			s.TLS = value
		case "domain":
			s.Domain = value
		case "muc":
			s.MUC = value
		case "users":
			s.Users.Count, err = strconv.Atoi(value)
			if err == nil && s.Users.Count < 1 {
				err = errors.New("want one at least")
			}
		case "password":
			s.Users.Password = value
		default:
			err = errors.New("no such key")
		}
		if err != nil {
			return nil, fmt.Errorf("server %s: %s: %w", name, key, err)
		}
	}
	if s.PID <= 0 || s.Plain == "" {
		return nil, fmt.Errorf("server %s: pid and plain are needed", name)
	}
	return s, nil
}

// Peer is a server that can be prepared once and then started afresh again and again on the same data.
type Peer struct {
	Name    string
	Prepare func(ctx context.Context, dir string, u Users) error
	Start   func(ctx context.Context, dir string, u Users) (*Server, error)
}

// start runs the command with its output in dir/log until it listens at the server's addresses.
func (s *Server) start(dir string, cmd *exec.Cmd) error {
	s.log = filepath.Join(dir, "output.log")
	out, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	s.cmd, s.PID, s.dead = cmd, cmd.Process.Pid, make(chan struct{})
	go func() { cmd.Wait(); close(s.dead) }()
	return nil
}

// await waits until the server takes connections.
func (s *Server) await(ctx context.Context, addrs ...string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, addr := range addrs {
		for {
			nc, err := net.DialTimeout("tcp", addr, time.Second)
			if err == nil {
				nc.Close()
				break
			}
			if err := s.pause(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// pause waits a moment for a server that is starting; it fails when that has ended.
func (s *Server) pause(ctx context.Context) error {
	select {
	case <-s.dead:
		return fmt.Errorf("%s ended while it started: %s", s.Name, s.tail())
	case <-ctx.Done():
		s.Stop()
		return fmt.Errorf("%s does not start: %w: %s", s.Name, ctx.Err(), s.tail())
	case <-time.After(20 * time.Millisecond):
		return nil
	}
}

// tail is the end of the server's output.
func (s *Server) tail() string {
	b, _ := os.ReadFile(s.log)
	b = bytes.TrimSpace(b)
	return string(b[max(0, len(b)-1000):])
}

// Owned reports that Stop ends the server.
func (s *Server) Owned() bool { return s.cmd != nil }

// Stop ends a server that was started here and waits for its end.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.dead:
	case <-time.After(10 * time.Second):
		s.cmd.Process.Kill()
		<-s.dead
	}
}

// freePorts returns n loopback addresses on which nothing listens.
func freePorts(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all stay taken until all are known
		out = append(out, l.Addr().String())
	}
	return out, nil
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}
