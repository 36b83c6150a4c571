package main

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"parley/internal/config"
)

// dataDir is the folder that holds the server's state. One process has it at a time.
type dataDir struct {
	path string
	lock *os.File
}

// errBusy says that another process has the data directory.
var errBusy = errors.New("in use")

// openData makes the folder if need be and takes its lock.
func openData(path string) (*dataDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w; --data DIR chooses another one", err)
	}
	f, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %s: lock: %w", path, err)
		}
		holder, _ := os.ReadFile(f.Name())
		return nil, fmt.Errorf("data directory %s is %w by process %s; stop it, or choose another one with --data", path, errBusy, strings.TrimSpace(string(holder)))
	}
	f.Truncate(0)
	fmt.Fprintln(f, os.Getpid())
	return &dataDir{path, f}, nil
}

// serves reports that who has the folder is a server, which will not give it back soon.
func serves(path string) bool {
	_, err := os.Stat(filepath.Join(path, runFile))
	return err == nil
}

// Close gives the folder back.
func (d *dataDir) Close() error { return d.lock.Close() }

func (d *dataDir) file(name string) string { return filepath.Join(d.path, name) }

// secrets are made once and stay, each of 32 random bytes.
type secrets struct {
	Server []byte `json:"server"` // what unknown users are shown, see auth.New
	TURN   []byte `json:"turn"`
	Token  []byte `json:"token"` // of the issuer "parley"
	Node   string `json:"node"`  // name of this node among those that share a store
}

// turn is the secret as text, which coturn's scheme wants.
func (s *secrets) turn() string { return base64.RawStdEncoding.EncodeToString(s.TURN) }

// token is the secret as text.
func (s *secrets) token() string { return base64.RawStdEncoding.EncodeToString(s.Token) }

const secretsFile = "secrets.json"

// secrets reads the secrets and makes those that are missing.
func (d *dataDir) secrets() (s secrets, err error) {
	name := d.file(secretsFile)
	text, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("secrets: %s: %w", name, err)
	}
	made := false
	for _, secret := range []*[]byte{&s.Server, &s.TURN, &s.Token} {
		if len(*secret) < 32 {
			*secret = make([]byte, 32)
			rand.Read(*secret)
			made = true
		}
	}
	if s.Node == "" {
		s.Node, made = rand.Text(), true
	}
	if made {
		text, _ = json.MarshalIndent(s, "", "\t")
		err = writeFile(name, append(text, '\n'), 0o600)
	} else {
		err = nil
	}
	return s, err
}

// writeFile replaces a file at once and for good.
func writeFile(name string, content []byte, mode os.FileMode) error {
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// running is what run.json says of a server that runs.
type running struct {
	PID       int                 `json:"pid"`
	Version   string              `json:"version"`
	Domain    string              `json:"domain"`
	Page      string              `json:"page"`                  // address of the page; a room's name goes behind it
	Listeners map[string][]string `json:"listeners"`             // addresses by kind, such as "xmpp" or "http+admin"
	Cert      string              `json:"certificate,omitempty"` // PEM file, if the server made its own
}

const runFile = "run.json"

// announce writes run.json.
func (d *dataDir) announce(r running) error {
	text, _ := json.MarshalIndent(r, "", "\t")
	return writeFile(d.file(runFile), append(text, '\n'), 0o600)
}

// readRunning reads what the server that runs, or was killed, said of itself.
func readRunning(path string) (r running, err error) {
	text, err := os.ReadFile(filepath.Join(path, runFile))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r, err
}

// runningConfig is the configuration with what the running server said of itself, so that flags of serve count.
func runningConfig(path string, cfg config.Config) (config.Config, error) {
	r, err := readRunning(path)
	if errors.Is(err, fs.ErrNotExist) {
		return cfg, nil // it is just starting
	}
	if err != nil {
		return cfg, fmt.Errorf("%s: %w", runFile, err)
	}
	cfg.Domain = r.Domain
	return cfg, nil
}
