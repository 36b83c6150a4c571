package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// Ejabberd is Debian's ejabberd with the modules of Debian's configuration and its shapers off. Tuned does not let
// Erlang's schedulers spin while they wait for work, which otherwise counts as processor time.
//
// The node has no name and so needs no epmd: nothing of it meets another Erlang program of the machine.
//
// Archived ones archive the messages of accounts, in Erlang's database.
func Ejabberd(tuned, archived bool) Peer {
	name := "ejabberd"
	switch {
	case archived:
		name = "ejabberd-archive"
	case tuned:
		name = "ejabberd-tuned"
	}
	return Peer{
		Name: name,
		Prepare: func(ctx context.Context, dir string, u Users) error {
			if err := certificate(dir); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
			defer cancel()
			// The accounts are made by the server's own function while it runs for the first time.
			register := fmt.Sprintf(`{ok,_} = application:ensure_all_started(ejabberd), `+
				`lists:foreach(fun(I) -> ok = ejabberd_auth:try_register(iolist_to_binary([$u,integer_to_list(I)]), <<"localhost">>, <<%q>>) end, lists:seq(0, %d)), init:stop().`,
				u.Password, u.Count-1)
			s, err := launchEjabberd(name, dir, u, tuned, archived, "-eval", register)
			if err != nil {
				return err
			}
			select {
			case <-s.dead:
			case <-ctx.Done():
				s.Stop()
				return fmt.Errorf("%s: registering: %w: %s", name, ctx.Err(), s.tail())
			}
			if !s.cmd.ProcessState.Success() {
				return fmt.Errorf("%s: registering: %v: %s", name, s.cmd.ProcessState, s.tail())
			}
			return nil
		},
		Start: func(ctx context.Context, dir string, u Users) (*Server, error) {
			s, err := launchEjabberd(name, dir, u, tuned, archived)
			if err != nil {
				return nil, err
			}
			return s, s.await(ctx, s.Plain, s.TLS)
		},
	}
}

// The modules are those of Debian's ejabberd.yml but the ones for HTTP, MQTT and STUN, those that need
// an administrator, and mod_pres_counter and mod_fail2ban, which are limits. Rooms keep no archive, as in Debian's
// Prosody. A room takes 200 people unless it is told otherwise.
const ejabberdConfig = `
loglevel: warning
log_rotate_count: 0
hosts: [localhost]
certfiles: [%[1]q]
listen:
  - {port: %[2]s, ip: "127.0.0.1", module: ejabberd_c2s, max_stanza_size: 262144, shaper: none, access: all, starttls: true, backlog: 4096}
  - {port: %[3]s, ip: "127.0.0.1", module: ejabberd_c2s, max_stanza_size: 262144, shaper: none, access: all, tls: true, backlog: 4096}
s2s_use_starttls: required
disable_sasl_mechanisms: [digest-md5, X-OAUTH2]
auth_password_format: scram
auth_method: internal
shaper_rules:
  max_user_sessions: infinity
access_rules:
  local: {allow: all}
  muc_create: {allow: all}
modules:
  mod_adhoc: {}
  mod_admin_extra: {}
  mod_avatar: {}
  mod_blocking: {}
  mod_caps: {}
  mod_carboncopy: {}
  mod_client_state: {}
  mod_disco: {}
  mod_last: {}
%[4]s  mod_muc:
    access: all
    access_create: all
    max_users: 5000
    default_room_options: {max_users: 5000}
  mod_muc_admin: {}
  mod_offline: {}
  mod_ping: {}
  mod_privacy: {}
  mod_private: {}
  mod_pubsub:
    plugins: [flat, pep]
  mod_push: {}
  mod_push_keepalive: {}
  mod_roster: {versioning: true}
  mod_s2s_dialback: {}
  mod_shared_roster: {}
  mod_stream_mgmt: {resend_on_timeout: if_offline}
  mod_vcard: {search: false}
  mod_vcard_xupdate: {}
  mod_version: {}
`

func launchEjabberd(name, dir string, u Users, tuned, archived bool, extra ...string) (*Server, error) {
	program, err := exec.LookPath("erl")
	if err != nil {
		return nil, err
	}
	libs := "/usr/lib/" + map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH] + "-linux-gnu"
	if found, _ := filepath.Glob(libs + "/ejabberd-*/ebin"); len(found) == 0 {
		return nil, fmt.Errorf("ejabberd is not installed in %s", libs)
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	archive := ""
	if archived {
		archive = "  mod_mam: {default: always, db_type: mnesia}\n"
	}
	config := filepath.Join(dir, "ejabberd.yml")
	text := fmt.Sprintf(ejabberdConfig, filepath.Join(dir, "both.pem"), port(ports[0]), port(ports[1]), archive)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	// What /usr/sbin/ejabberdctl gives to erl, but for the name of the node.
	args := []string{"+K", "true", "+P", "250000"}
	if tuned {
		args = append(args, "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none")
	}
	args = append(args, "-noinput", "-mnesia", "dir", fmt.Sprintf("%q", filepath.Join(dir, "spool")), "-ejabberd", "log_rotate_count", "0", "-s", "ejabberd")
	cmd := exec.Command(program, append(args, extra...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "ERL_LIBS="+libs, "EJABBERD_CONFIG_PATH="+config, "EJABBERD_LOG_PATH="+filepath.Join(dir, "ejabberd.log"),
		"ERL_MAX_PORTS=65536", "ERL_MAX_ETS_TABLES=1400", "ERL_CRASH_DUMP="+filepath.Join(dir, "crash.dump"), "ERL_CRASH_DUMP_BYTES=0",
		"ERL_EPMD_ADDRESS=127.0.0.1", "HOME="+dir)
	s := &Server{Name: name, Plain: ports[0], TLS: ports[1], Domain: "localhost", MUC: "conference.localhost", Users: u}
	return s, s.start(dir, cmd)
}
