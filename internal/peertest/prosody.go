package peertest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ProsodyServer is a private Prosody with accounts and rooms, in a temporary folder and on a free loopback port. It speaks
// XMPP over plain TCP with SASL PLAIN, and dies with the test binary.
type ProsodyServer struct {
	Addr   string // of the listener, host and port
	Domain string // of the accounts
	Rooms  string // domain of the rooms
	Secret string // password of every account

	dir    string
	server *exec.Cmd
	exited chan struct{}
	log    *serverLog
}

const prosodyPatience = 15 * time.Second

// Prosody starts a Prosody that has the named accounts. It is gone when the test ends. Without Prosody the test is
// skipped, or fails where PARLEY_PEERS names prosody.
func Prosody(t testing.TB, accounts ...string) *ProsodyServer {
	t.Helper()
	program := Need(t, "prosody")
	dir, err := os.MkdirTemp("", "prosody")
	if err != nil {
		t.Fatal(err)
	}
	s := &ProsodyServer{Domain: "localhost", Rooms: "muc.localhost", Secret: "secret", dir: dir, log: &serverLog{}}
	t.Cleanup(s.remove)
	if err := s.start(program, accounts); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *ProsodyServer) start(program string, accounts []string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Addr = l.Addr().String()
	l.Close()
	folder := filepath.Join(s.dir, "data", s.Domain, "accounts")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	for _, name := range accounts {
		data := fmt.Sprintf("return {\n\t[\"password\"] = %q;\n};\n", s.Secret)
		if err := os.WriteFile(filepath.Join(folder, name+".dat"), []byte(data), 0o600); err != nil {
			return err
		}
	}
	config := filepath.Join(s.dir, "prosody.cfg.lua")
	if err := os.WriteFile(config, []byte(s.config()), 0o600); err != nil {
		return err
	}
	if err := s.launch(program, config); err != nil {
		return err
	}
	for deadline := time.Now().Add(prosodyPatience); ; {
		select {
		case <-s.exited:
			return fmt.Errorf("prosody: ended: %s", s.log.text())
		case <-time.After(20 * time.Millisecond):
		}
		if c, err := net.Dial("tcp", s.Addr); err == nil {
			return c.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("prosody: does not start: %s", s.log.text())
		}
	}
}

// config is what Debian's Prosody needs to run alone, without certificates and without a system user.
func (s *ProsodyServer) config() string {
	_, port, _ := net.SplitHostPort(s.Addr)
	return strings.NewReplacer("DIR", s.dir, "PORT", port, "DOMAIN", s.Domain, "ROOMS", s.Rooms).Replace(`
run_as_root = true
pidfile = "DIR/prosody.pid"
data_path = "DIR/data"
certificates = "DIR"
log = { { levels = { min = "warn" }, to = "console" } }
modules_enabled = { "saslauth", "disco", "ping", "roster" }
modules_disabled = { "s2s", "tls", "offline" }
interfaces = { "127.0.0.1" }
c2s_ports = { PORT }
s2s_ports = { }
c2s_direct_tls_ports = { }
c2s_require_encryption = false
s2s_require_encryption = false
network_settings = { nagle = false, opportunistic_writes = true }
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
storage = "internal"

VirtualHost "DOMAIN"
Component "ROOMS" "muc"
	restrict_room_creation = false
	max_history_messages = 20
`)
}

// launch starts the server from a thread that lives as long as it: the kernel's signal on the death of the parent is one
// on the death of the thread.
func (s *ProsodyServer) launch(program, config string) error {
	cmd := exec.Command(program, "-F", "--config", config)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, s.log, s.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second
	s.exited = make(chan struct{})
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
			close(s.exited)
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	s.server = cmd
	return nil
}

func (s *ProsodyServer) remove() {
	if s.server != nil {
		s.server.Process.Kill() // fails only if it has ended
		<-s.exited
	}
	os.RemoveAll(s.dir)
}
