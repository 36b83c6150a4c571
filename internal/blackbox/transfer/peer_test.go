// Package transfer has people and rooms of Debian's Prosody and ejabberd, made there over XMPP, move to the binary.
package transfer

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

	"parley/internal/peertest"
)

const (
	domain = "old.test"
	rooms  = "muc.old.test"
)

// peer is another server in a folder of its own.
type peer struct {
	t       testing.TB
	name    string
	dir     string
	c2s     string
	command *exec.Cmd
	exited  chan struct{}
}

func newPeer(t testing.TB, name string) *peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := &peer{t: t, name: name, dir: t.TempDir(), c2s: l.Addr().String()}
	t.Cleanup(p.kill)
	return p
}

func (p *peer) write(name, text string) string {
	p.t.Helper()
	name = filepath.Join(p.dir, name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return name
}

func (p *peer) port() string {
	_, port, _ := net.SplitHostPort(p.c2s)
	return port
}

// start runs a command that listens for clients.
func (p *peer) start(cmd *exec.Cmd) {
	p.t.Helper()
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.exited = make(chan struct{})
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the signal on the death of the parent is one on the death of the thread
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
		close(p.exited)
	}()
	if err := <-started; err != nil {
		p.t.Fatal(err)
	}
	p.command = cmd
	p.await("it does not start", func() bool {
		c, err := net.Dial("tcp", p.c2s)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (p *peer) log() string {
	text, _ := os.ReadFile(filepath.Join(p.dir, "log"))
	return string(text)
}

// await waits for a condition while the server runs.
func (p *peer) await(what string, ok func() bool) {
	p.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		select {
		case <-p.exited:
			p.t.Fatalf("%s ended: %s", p.name, p.log())
		default:
		}
		if time.Now().After(end) {
			p.t.Fatalf("%s: %s: %s", p.name, what, p.log())
		}
	}
}

// stop lets the server end and write what it has.
func (p *peer) stop() {
	p.t.Helper()
	p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(time.Minute):
		p.t.Fatalf("%s does not end", p.name)
	}
}

func (p *peer) kill() {
	if p.command != nil {
		p.command.Process.Kill()
		<-p.exited
	}
}

// prosody starts Debian's Prosody with accounts whose passwords it keeps plain or hashed.
func prosody(t testing.TB, authentication string) *peer {
	t.Helper()
	program := peertest.Need(t, "prosody")
	p := newPeer(t, "prosody")
	config := p.write("prosody.cfg.lua", fmt.Sprintf(`
run_as_root = true
pidfile = "%[1]s/prosody.pid"
data_path = "%[1]s/data"
log = { { levels = { min = "info" }, to = "console" } }
modules_enabled = { "saslauth", "disco", "ping", "roster", "register", "private", "vcard", "vcard_legacy", "pep", "blocklist", "offline" }
modules_disabled = { "s2s", "tls" }
interfaces = { "127.0.0.1" }
c2s_ports = { %[2]s }
s2s_ports = { }
c2s_direct_tls_ports = { }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
allow_registration = true
registration_throttle_max = 1000
authentication = %[3]q
storage = "internal"
VirtualHost %[4]q
Component %[5]q "muc"
	restrict_room_creation = false
`, p.dir, p.port(), authentication, domain, rooms))
	p.start(exec.Command(program, "-F", "--config", config))
	return p
}

// ejabberd starts Debian's ejabberd with accounts whose passwords it keeps plain or by SCRAM.
func ejabberd(t testing.TB, format string) *peer {
	t.Helper()
	program, libs := peertest.NeedEjabberd(t)
	p := newPeer(t, "ejabberd")
	config := p.write("ejabberd.yml", fmt.Sprintf(`
loglevel: info
log_rotate_count: 0
hosts: [%s]
listen:
  - {port: %s, ip: "127.0.0.1", module: ejabberd_c2s, shaper: none, access: all, starttls: false}
disable_sasl_mechanisms: [digest-md5, X-OAUTH2, SCRAM-SHA-256, SCRAM-SHA-512]
auth_password_format: %s
auth_method: internal
registration_timeout: infinity
access_rules:
  local: {allow: all}
modules:
  mod_disco: {}
  mod_blocking: {}
  mod_privacy: {}
  mod_private: {}
  mod_vcard: {}
  mod_offline: {}
  mod_register: {ip_access: all, access: all}
  mod_muc: {host: "muc.@HOST@", access: all, access_create: all, access_persistent: all}
  mod_roster: {}
`, domain, p.port(), format))
	// What ejabberdctl dump does, when the file "go" is there.
	dump := fmt.Sprintf("{ok,_} = application:ensure_all_started(ejabberd), Wait = fun(F) -> case filelib:is_file(%[1]q) of true -> ok; false -> timer:sleep(100), F(F) end end, Wait(Wait), ejabberd_admin:dump_mnesia(%[2]q), file:write_file(%[3]q, <<>>).",
		filepath.Join(p.dir, "go"), filepath.Join(p.dir, "dump.tmp"), filepath.Join(p.dir, "done"))
	cmd := exec.Command(program, "+K", "true", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none", "-noinput",
		"-mnesia", "dir", fmt.Sprintf("%q", filepath.Join(p.dir, "spool")), "-ejabberd", "log_rotate_count", "0", "-s", "ejabberd", "-eval", dump)
	cmd.Env = append(os.Environ(), "ERL_LIBS="+libs, "EJABBERD_CONFIG_PATH="+config, "EJABBERD_LOG_PATH="+filepath.Join(p.dir, "ejabberd.log"),
		"ERL_CRASH_DUMP="+filepath.Join(p.dir, "crash.dump"), "ERL_CRASH_DUMP_BYTES=0", "ERL_EPMD_ADDRESS=127.0.0.1", "HOME="+p.dir)
	p.start(cmd)
	return p
}

// dump has ejabberd write everything into a file.
func (p *peer) dump() string {
	p.t.Helper()
	p.write("go", "")
	p.await("nothing is dumped", func() bool { _, err := os.Stat(filepath.Join(p.dir, "done")); return err == nil })
	return filepath.Join(p.dir, "dump.tmp")
}

// register makes an account as clients do (XEP-0077).
func (p *peer) register(name, password string) {
	p.t.Helper()
	c := peertest.Dial(p.t, p.c2s, domain)
	c.Open()
	c.Send("<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>" + name + "</username><password>" + password + "</password></query></iq>")
	if got := c.Read(); !strings.Contains(strings.ReplaceAll(got, `"`, "'"), "type='result'") {
		p.t.Fatalf("%s is not registered: %s", name, got)
	}
}
