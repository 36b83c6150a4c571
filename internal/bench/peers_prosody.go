package bench

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Prosody is Debian's Prosody with the modules of Debian's configuration and its rates off. Tuned has the other garbage
// collector of Lua 5.4 and Nagle's algorithm off, which together are what it gains most from.
// Archived ones archive the messages of accounts, in Prosody's own files.
func Prosody(tuned, archived bool) Peer {
	name := "prosody"
	switch {
	case archived:
		name = "prosody-archive"
	case tuned:
		name = "prosody-tuned"
	}
	return Peer{
		Name:    name,
		Prepare: prepareProsody,
		Start: func(ctx context.Context, dir string, u Users) (*Server, error) {
			return startProsody(ctx, name, dir, u, tuned, archived)
		},
	}
}

// prepareProsody writes the accounts as mod_auth_internal_hashed keeps them (RFC 5802 §3, hexadecimal).
func prepareProsody(_ context.Context, dir string, u Users) error {
	if err := certificate(dir); err != nil {
		return err
	}
	const salt, iterations = "0b7f7c52-8c6c-4c0f", 10000 // its default count
	salted, err := pbkdf2.Key(sha1.New, u.Password, []byte(salt), iterations, sha1.Size)
	if err != nil {
		return err
	}
	mac := func(text string) []byte {
		h := hmac.New(sha1.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha1.Sum(mac("Client Key"))
	account := fmt.Sprintf("return {\n\t[\"iteration_count\"] = %d;\n\t[\"salt\"] = %q;\n\t[\"stored_key\"] = \"%x\";\n\t[\"server_key\"] = \"%x\";\n};\n",
		iterations, salt, stored, mac("Server Key"))
	accounts := filepath.Join(dir, "data", "localhost", "accounts")
	if err := os.MkdirAll(accounts, 0o700); err != nil {
		return err
	}
	for i := range u.Count {
		if err := os.WriteFile(filepath.Join(accounts, u.Name(i)+".dat"), []byte(account), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// The modules are those of Debian's prosody.cfg.lua but "limits", of which the rates would be measured, and the two of the administrator's shell. Stanzas of the maximal size are far from any limit.
const prosodyConfig = `
run_as_root = true
pidfile = %[1]q
data_path = %[2]q
log = { warn = "*console" }
interfaces = { "127.0.0.1" }
c2s_ports = { %[3]s }
c2s_direct_tls_ports = { %[4]s }
s2s_ports = { }
http_ports = { }
https_ports = { }
c2s_require_encryption = false
authentication = "internal_hashed"
ssl = { certificate = %[5]q; key = %[6]q }
modules_enabled = {
	"dialback"; "disco"; "roster"; "saslauth"; "tls"; "blocklist"; "bookmarks"; "carbons"; "pep"; "private"; "smacks"; "vcard4"; "vcard_legacy";
	"csi_simple"; "invites"; "invites_adhoc"; "invites_register"; "ping"; "register"; "time"; "uptime"; "version"; "admin_adhoc"; "posix"; %[8]s
}
modules_disabled = { "limits" }
s2s_secure_auth = false
%[7]s
VirtualHost "localhost"
Component "conference.localhost" "muc"
`

func startProsody(ctx context.Context, name, dir string, u Users, tuned, archived bool) (*Server, error) {
	program, err := exec.LookPath("prosody")
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	tuning, archive := "", ""
	if archived {
		archive = `"mam";`
	}
	if tuned {
		tuning = "gc = { mode = \"generational\" }\nnetwork_settings = { nagle = false }\n"
	}
	config := filepath.Join(dir, "prosody.cfg.lua")
	text := fmt.Sprintf(prosodyConfig, filepath.Join(dir, "prosody.pid"), filepath.Join(dir, "data"), port(ports[0]), port(ports[1]),
		filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), tuning, archive)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	s := &Server{Name: name, Plain: ports[0], TLS: ports[1], Domain: "localhost", MUC: "conference.localhost", Users: u}
	cmd := exec.Command(program, "-F", "--config", config)
	cmd.Dir = dir
	if err := s.start(dir, cmd); err != nil {
		return nil, err
	}
	return s, s.await(ctx, ports...)
}
