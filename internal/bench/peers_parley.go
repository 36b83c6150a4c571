package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Parley is this program's own server with its defaults and its rates off. Binary is the program to run; empty means
// the one that is running. Archived says that messages of accounts are archived, as they are by default; the other
// servers are measured without archives.
func Parley(binary string, archived bool) Peer {
	name := "parley"
	if archived {
		name = "parley-archive"
	}
	program := func() (string, error) {
		if binary != "" {
			return binary, nil
		}
		return os.Executable()
	}
	return Peer{
		Name: name,
		Prepare: func(ctx context.Context, dir string, u Users) error {
			path, err := program()
			if err != nil {
				return err
			}
			if err := certificate(dir); err != nil {
				return err
			}
			for i := range u.Count {
				cmd := exec.CommandContext(ctx, path, "user", "add", "--data", filepath.Join(dir, "data"), u.Name(i))
				cmd.Stdin = strings.NewReader(u.Password + "\n")
				if out, err := cmd.CombinedOutput(); err != nil {
					return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, out)
				}
			}
			return nil
		},
		Start: func(ctx context.Context, dir string, u Users) (*Server, error) {
			path, err := program()
			if err != nil {
				return nil, err
			}
			return startParley(ctx, name, path, dir, u, archived)
		},
	}
}

// The certificate is of the kind that the others have.
const parleyConfig = `
[tls]
certificate = %q
key = %q
[archive]
enabled = %t
[[federation.hosts]]
domain = "` + Elsewhere + `"
address = "` + Elsewhere + `:5269"
`

func startParley(ctx context.Context, name, path, dir string, u Users, archived bool) (*Server, error) {
	config, data := filepath.Join(dir, "parley.toml"), filepath.Join(dir, "data")
	text := fmt.Sprintf(parleyConfig, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), archived)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	run := filepath.Join(data, "run.json")
	if err := os.Remove(run); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	s := &Server{Name: name, Users: u}
	cmd := exec.Command(path, "serve", "--config", config, "--data", data, "--limits", "off",
		"--listen", "xmpp://127.0.0.1:0", "--listen", "xmpps://127.0.0.1:0", "--listen", "s2s://127.0.0.1:0", "--listen", "http+admin://127.0.0.1:0")
	cmd.Dir = dir
	if err := s.start(dir, cmd); err != nil {
		return nil, err
	}
	for {
		b, err := os.ReadFile(run)
		if err == nil {
			var r struct {
				Domain    string              `json:"domain"`
				Listeners map[string][]string `json:"listeners"`
			}
			if err := json.Unmarshal(b, &r); err != nil {
				s.Stop()
				return nil, fmt.Errorf("run.json: %w", err)
			}
			if len(r.Listeners["xmpp"]) == 0 || len(r.Listeners["xmpps"]) == 0 {
				s.Stop()
				return nil, fmt.Errorf("run.json names no listeners: %s", b)
			}
			s.Plain, s.TLS = r.Listeners["xmpp"][0], r.Listeners["xmpps"][0]
			s.Domain, s.MUC = r.Domain, "muc."+r.Domain
			if admin := r.Listeners["http+admin"]; len(admin) > 0 {
				s.Admin = admin[0]
			}
			return s, s.await(ctx, s.Plain, s.TLS)
		}
		if err := s.pause(ctx); err != nil {
			return nil, err
		}
	}
}
