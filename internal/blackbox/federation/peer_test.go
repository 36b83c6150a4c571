package federation

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

// peer is another server with a domain for each kind of certificate.
type peer struct {
	t       testing.TB
	name    string // its domains end in NAME.test
	bidi    bool   // it knows XEP-0288
	c2s     string
	dir     string
	command func() *exec.Cmd
	process *exec.Cmd
	exited  chan struct{}
}

func (p *peer) domain(kind string) string { return kind + "." + p.name + ".test" }

func newPeer(t testing.TB, name string) *peer {
	t.Helper()
	p := &peer{t: t, name: name, c2s: freeAddress(t), dir: t.TempDir()}
	s2s := freeAddress(t)
	for _, kind := range kinds {
		at[p.domain(kind)], at["muc."+p.domain(kind)] = s2s, s2s
	}
	t.Cleanup(func() { p.kill() })
	return p
}

func (p *peer) certify(kind string) files {
	switch domain := p.domain(kind); kind {
	case "wrong":
		return certify(p.t, kind, "other.test")
	default:
		return certify(p.t, kind, domain, "muc."+domain)
	}
}

// start starts the server and waits until it listens.
func (p *peer) start() {
	p.t.Helper()
	cmd := p.command()
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.exited = make(chan struct{})
	started := make(chan error)
	go func(exited chan struct{}) {
		runtime.LockOSThread() // the signal on the death of the parent is one on the death of the thread
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
		close(exited)
	}(p.exited)
	if err := <-started; err != nil {
		p.t.Fatal(err)
	}
	p.process = cmd
	for _, address := range []string{p.c2s, at[p.domain("good")]} {
		eventually(p.t, time.Minute, p.name+" does not start", func() bool {
			select {
			case <-p.exited:
				text, _ := os.ReadFile(filepath.Join(p.dir, "log"))
				p.t.Fatalf("%s ended: %s", p.name, text)
			default:
			}
			c, err := net.Dial("tcp", address)
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
}

// kill ends the server like a crash.
func (p *peer) kill() {
	if p.process == nil {
		return
	}
	p.process.Process.Kill()
	<-p.exited
	p.process = nil
}

func (p *peer) login(t testing.TB, kind, name string) *peertest.Client {
	t.Helper()
	return login(t, p.c2s, p.domain(kind), name)
}

// newProsody sets up Debian's Prosody. It finds other servers by a module of its own instead of the DNS.
func newProsody(t testing.TB) *peer {
	t.Helper()
	program := peertest.Need(t, "prosody")
	p := newPeer(t, "prosody")
	p.bidi = true
	p.command = func() *exec.Cmd {
		return exec.Command(program, "-F", "--config", filepath.Join(p.dir, "prosody.cfg.lua"))
	}
	return p
}

func (p *peer) writeProsody() {
	config := fmt.Sprintf(`
run_as_root = true
pidfile = "%[1]s/prosody.pid"
data_path = "%[1]s/data"
plugin_paths = { "%[1]s/plugins" }
log = { { levels = { min = "info" }, to = "console" } }
modules_enabled = { "saslauth", "disco", "ping", "roster", "tls", "dialback", "smacks", "s2s_bidi", "where" }
interfaces = { "127.0.0.1" }
c2s_ports = { %[2]s }
s2s_ports = { %[3]s }
c2s_direct_tls_ports = { }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
storage = "internal"
s2s_secure_auth = false
ssl = { cafile = "%[4]s"; capath = "/nonexistent" }
`, p.dir, port(p.c2s), port(at[p.domain("good")]), ca.file)
	for _, kind := range kinds {
		f := p.certify(kind)
		ssl := fmt.Sprintf("ssl = { certificate = %q; key = %q; cafile = %q }\n", f.cert, f.key, ca.file)
		config += fmt.Sprintf("VirtualHost %q\n%sComponent %q \"muc\"\n%s\trestrict_room_creation = false\n", p.domain(kind), ssl, "muc."+p.domain(kind), ssl)
		folder := strings.NewReplacer(".", "%2e").Replace(p.domain(kind))
		for _, user := range []string{"romeo", "juliet"} {
			write(p.t, filepath.Join(p.dir, "data", folder, "accounts", user+".dat"), fmt.Sprintf("return {\n\t[\"password\"] = %q;\n};\n", secret))
		}
	}
	write(p.t, filepath.Join(p.dir, "prosody.cfg.lua"), config)
	where := "module:set_global();\nlocal at = {\n"
	for domain, address := range at {
		where += fmt.Sprintf("\t[%q] = %s;\n", domain, port(address))
	}
	write(p.t, filepath.Join(p.dir, "plugins", "mod_where.lua"), where+`};
require "net.adns".resolver = function ()
	return { lookup = function (_, answered, name, kind)
		local service, domain = name:match("^_([^.]+)%._tcp%.(.+)$");
		if kind == "SRV" and service == "xmpp-server" and at[domain] then
			answered({ { srv = { priority = 0, weight = 0, port = at[domain], target = domain } } });
		elseif kind == "A" and at[name] then
			answered({ { a = "127.0.0.1" } });
		else
			answered(nil);
		end
	end };
end
`)
}

// newEjabberd sets up Debian's ejabberd, which asks a DNS server of the tests.
func newEjabberd(t testing.TB) *peer {
	t.Helper()
	program, libs := peertest.NeedEjabberd(t)
	p := newPeer(t, "ejabberd")
	p.command = func() *exec.Cmd {
		cmd := exec.Command(program, "+K", "true", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none", "-noinput",
			"-kernel", "inetrc", fmt.Sprintf("%q", filepath.Join(p.dir, "inetrc")),
			"-mnesia", "dir", fmt.Sprintf("%q", filepath.Join(p.dir, "spool")), "-ejabberd", "log_rotate_count", "0", "-s", "ejabberd",
			"-eval", p.register())
		cmd.Env = append(os.Environ(), "ERL_LIBS="+libs, "EJABBERD_CONFIG_PATH="+filepath.Join(p.dir, "ejabberd.yml"), "EJABBERD_LOG_PATH="+filepath.Join(p.dir, "ejabberd.log"),
			"ERL_CRASH_DUMP="+filepath.Join(p.dir, "crash.dump"), "ERL_CRASH_DUMP_BYTES=0", "ERL_EPMD_ADDRESS=127.0.0.1", "HOME="+p.dir)
		return cmd
	}
	return p
}

// register makes the accounts; those that are there stay.
func (p *peer) register() string {
	var calls []string
	for _, kind := range kinds {
		for _, user := range []string{"romeo", "juliet"} {
			calls = append(calls, fmt.Sprintf("ejabberd_auth:try_register(<<%q>>, <<%q>>, <<%q>>)", user, p.domain(kind), secret))
		}
	}
	return "{ok,_} = application:ensure_all_started(ejabberd), " + strings.Join(calls, ", ") + "."
}

func (p *peer) writeEjabberd(dns string) {
	var hosts, certs []string
	for _, kind := range kinds {
		hosts = append(hosts, p.domain(kind))
		certs = append(certs, p.certify(kind).both)
	}
	write(p.t, filepath.Join(p.dir, "ejabberd.yml"), fmt.Sprintf(`
loglevel: info
log_rotate_count: 0
hosts: [%s]
certfiles: [%s]
ca_file: %q
s2s_use_starttls: required
s2s_dns_timeout: 2
s2s_dns_retries: 1
s2s_max_retry_delay: 2
outgoing_s2s_families: [ipv4]
listen:
  - {port: %s, ip: "127.0.0.1", module: ejabberd_c2s, shaper: none, access: all, starttls: false}
  - {port: %s, ip: "127.0.0.1", module: ejabberd_s2s_in, shaper: none}
disable_sasl_mechanisms: [digest-md5, X-OAUTH2]
auth_password_format: plain
auth_method: internal
access_rules:
  local: {allow: all}
modules:
  mod_disco: {}
  mod_offline: {}
  mod_muc: {host: "muc.@HOST@", access: all, access_create: all}
  mod_ping: {}
  mod_roster: {}
  mod_s2s_dialback: {}
`, quoted(hosts), quoted(certs), ca.file, port(p.c2s), port(at[p.domain("good")])))
	write(p.t, filepath.Join(p.dir, "inetrc"), fmt.Sprintf("{resolv_conf, \"\"}.\n{hosts_file, \"\"}.\n{lookup, [dns]}.\n{nameserver, {127,0,0,1}, %s}.\n{timeout, 1000}.\n{retry, 1}.\n{edns, false}.\n", port(dns)))
}
