package peertest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/bridge/link"
)

// ParleyOptions change how the binary is started. The zero value is a server with defaults on free ports of loopback.
type ParleyOptions struct {
	Config string   // text of the configuration file
	Listen []string // listeners; nil: xmpp, xmpps, http, http+admin, media, turn and turns on 127.0.0.1, with ports that are free
	Data   string   // data directory; empty: one that ends with the test
	Args   []string // further arguments of serve, such as --limits=off
	Env    []string // further environment
	Files  int      // limit of file descriptors; 0: the test's own
	Binary string   // path of another binary; empty: Built
}

// Parley is the binary, running.
type Parley struct {
	T    testing.TB
	Data string // data directory
	Path string // of the binary

	// What run.json said. Addresses are HOST:PORT, those of listeners that were not asked for are empty.
	PID                             int
	Domain                          string
	Page                            string // address of the web page; a room's name goes behind it
	XMPP, XMPPS, HTTP, HTTPS, Admin string
	S2S                             string // for other servers
	Component                       string // for components
	Agent                           string // for load balancers
	Media, TURN, TURNS              string // of the bridge
	Certificate                     string // PEM file
	options                         ParleyOptions
	command                         *exec.Cmd
	log                             *os.File // what the server writes; a file, so that what it wrote can be read at once
	exited                          chan struct{}
	err                             error // of the process; after exited
}

// built is the binary, built once per process that tests. PARLEY_BINARY names one to take instead, such as one that was
// built with the race detector.
var built = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("PARLEY_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("the source is not where it was")
	}
	sweepBuilt()
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", builtPrefix, os.Getpid()))
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "parley")
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", binary, "./cmd/parley")
	cmd.Dir = filepath.Join(filepath.Dir(here), "..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/parley: %w\n%s", err, out)
	}
	return binary, nil
})

const builtPrefix = "parley-test-"

// sweepBuilt removes what test processes built that have ended: none of them knows which of its tests is the last.
func sweepBuilt() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), builtPrefix+"*-*"))
	for _, dir := range dirs {
		var pid int
		if _, err := fmt.Sscanf(strings.TrimPrefix(filepath.Base(dir), builtPrefix), "%d-", &pid); err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			os.RemoveAll(dir)
		}
	}
}

// Built returns the path of the binary, which the first call in a process builds.
func Built(t testing.TB) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// StartParley builds the binary if need be, starts it and returns when it serves. It ends with the test; when the test
// has failed, its log is printed.
func StartParley(t testing.TB, o ParleyOptions) *Parley {
	t.Helper()
	p := &Parley{T: t, Data: o.Data, Path: o.Binary, options: o}
	if p.Path == "" {
		p.Path = Built(t)
	}
	if p.Data == "" {
		p.Data = t.TempDir()
	}
	if o.Listen == nil {
		p.options.Listen = []string{"xmpp://127.0.0.1:0", "xmpps://127.0.0.1:0", "http://127.0.0.1:0", "http+admin://127.0.0.1:0", "media://127.0.0.1:0", "turn://127.0.0.1:0", "turns://127.0.0.1:0"}
	}
	var err error
	if p.log, err = os.CreateTemp("", "parley-log-"); err != nil {
		t.Fatal(err)
	}
	os.Remove(p.log.Name())
	t.Cleanup(func() { p.log.Close() })
	t.Cleanup(func() {
		p.Stop()
		p.KillBridge() // of a server that was killed; it would wait for another
		if t.Failed() {
			t.Logf("log of the server:\n%s", p.Log())
		}
	})
	p.Start()
	return p
}

// Args are the arguments that name this server to another command of the binary.
func (p *Parley) Args() []string {
	args := []string{"--data", p.Data}
	if p.options.Config != "" {
		args = append(args, "--config", filepath.Join(p.Data, "test.toml"))
	}
	return args
}

// Start starts a server that was stopped, on the ports that it had.
func (p *Parley) Start() {
	p.T.Helper()
	if err := p.start(); err != nil {
		p.T.Fatalf("parley serve: %v\n%s", err, p.Log())
	}
}

func (p *Parley) start() error {
	if p.options.Config != "" {
		if err := os.WriteFile(filepath.Join(p.Data, "test.toml"), []byte(p.options.Config), 0o600); err != nil {
			return err
		}
	}
	args := append([]string{"serve"}, p.Args()...)
	for _, l := range p.options.Listen {
		args = append(args, "--listen", l)
	}
	args = append(args, p.options.Args...)
	name := p.Path
	if p.options.Files > 0 {
		args = append([]string{"-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, p.options.Files), name}, args...)
		name = "/bin/sh"
	}
	runFile := filepath.Join(p.Data, "run.json")
	os.Remove(runFile) // left by a server that was killed
	p.command = exec.Command(name, args...)
	p.command.Env = append(os.Environ(), p.options.Env...)
	p.command.Stdout, p.command.Stderr = p.log, p.log
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.exited = make(chan struct{})
	started := make(chan error)
	go func(cmd *exec.Cmd, exited chan struct{}) {
		// The death signal comes when the thread ends that started the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
		close(exited)
	}(p.command, p.exited)
	if err := <-started; err != nil {
		return err
	}
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if text, err := os.ReadFile(runFile); err == nil {
			return p.read(text)
		}
		select {
		case <-p.exited:
			return fmt.Errorf("it ended: %w", p.err)
		default:
		}
		if time.Now().After(until) {
			p.Kill()
			return errors.New("it did not say where it listens")
		}
	}
}

// read takes over run.json, and the ports for the next start.
func (p *Parley) read(text []byte) error {
	var r struct {
		PID         int                 `json:"pid"`
		Domain      string              `json:"domain"`
		Page        string              `json:"page"`
		Listeners   map[string][]string `json:"listeners"`
		Certificate string              `json:"certificate"`
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("run.json: %w", err)
	}
	p.PID, p.Domain, p.Page, p.Certificate = r.PID, r.Domain, r.Page, r.Certificate
	used := make(map[string]int)
	for i, l := range p.options.Listen {
		scheme, _, _ := strings.Cut(l, "://")
		kind := strings.NewReplacer("+insecure", "", "+proxy", "").Replace(scheme)
		if n := used[kind]; n < len(r.Listeners[kind]) {
			p.options.Listen[i] = scheme + "://" + r.Listeners[kind][n]
		}
		used[kind]++
	}
	for kind, address := range map[string]*string{
		"xmpp": &p.XMPP, "xmpps": &p.XMPPS, "s2s": &p.S2S, "component": &p.Component, "agent": &p.Agent, "http": &p.HTTP, "https": &p.HTTPS, "http+admin": &p.Admin, "media": &p.Media, "turn": &p.TURN, "turns": &p.TURNS,
	} {
		if list := r.Listeners[kind]; len(list) > 0 {
			*address = list[0]
		}
	}
	return nil
}

// Log is everything that the server has written so far, over all its starts.
func (p *Parley) Log() string {
	b, err := io.ReadAll(io.NewSectionReader(p.log, 0, 1<<30))
	if err != nil {
		p.T.Errorf("the server's log: %v", err)
	}
	return string(b)
}

// Running reports that the process has not ended.
func (p *Parley) Running() bool {
	if p.exited == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Signal sends a signal to the process.
func (p *Parley) Signal(s syscall.Signal) {
	if p.Running() {
		p.command.Process.Signal(s)
	}
}

// Stop ends the server as an administrator does, waits for its end and fails the test if it does not end well.
func (p *Parley) Stop() {
	p.T.Helper()
	if !p.Running() {
		return
	}
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
		if p.err != nil {
			p.T.Errorf("parley serve ended with %v\n%s", p.err, p.Log())
		}
	case <-time.After(20 * time.Second):
		p.Signal(syscall.SIGQUIT) // to see where it hangs
		time.Sleep(time.Second)
		p.T.Errorf("parley serve does not end\n%s", p.Log())
		p.Kill()
	}
}

// Kill ends the process like a crash, and waits for its end.
func (p *Parley) Kill() {
	if p.Running() {
		p.Signal(syscall.SIGKILL)
		<-p.exited
	}
}

// Bridge is the process number of the bridge, which outlives a server that is killed; 0 if there is none.
func (p *Parley) Bridge() int {
	return link.Running(p.Data)
}

// KillBridge kills the bridge like a crash. A server that runs starts another.
func (p *Parley) KillBridge() {
	if pid := p.Bridge(); pid != 0 && pid != p.PID {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// Wait waits until the process has ended by itself and returns its exit status, -1 if it takes longer than the timeout.
func (p *Parley) Wait(timeout time.Duration) int {
	select {
	case <-p.exited:
		return p.command.ProcessState.ExitCode()
	case <-time.After(timeout):
		return -1
	}
}

// Restart stops the server, unless it has been killed, and starts it on the same ports.
func (p *Parley) Restart() {
	p.T.Helper()
	p.Stop()
	p.Start()
}

// Command runs another command of the binary on this server's data, with a standard input, and returns what it wrote.
func (p *Parley) Command(stdin string, args ...string) (stdout string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.Path, append(args, p.Args()...)...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), p.options.Env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("parley %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// AddUser adds an account as an administrator does.
func (p *Parley) AddUser(name, password string) {
	p.T.Helper()
	if _, err := p.Command(password+"\n", "user", "add", name); err != nil {
		p.T.Fatal(err)
	}
}

// TLS returns a client's configuration that trusts the certificate that the server made itself, and nothing else.
func (p *Parley) TLS() *tls.Config {
	p.T.Helper()
	pem, err := os.ReadFile(p.Certificate)
	if err != nil {
		p.T.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		p.T.Fatalf("%s holds no certificate", p.Certificate)
	}
	return &tls.Config{RootCAs: roots, ServerName: p.Domain, MinVersion: tls.VersionTLS12}
}

// Metric returns the sum of a metric over all label sets that hold a text, such as `event="ws.reject"`.
func (p *Parley) Metric(name, labels string) float64 {
	p.T.Helper()
	text := p.get("/metrics")
	sum := 0.0
	for line := range strings.Lines(text) {
		head, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if base, _, _ := strings.Cut(head, "{"); !ok || base != name || !strings.Contains(head, labels) {
			continue
		}
		var v float64
		fmt.Sscan(value, &v)
		sum += v
	}
	return sum
}

// get reads a path of the admin listener.
func (p *Parley) get(path string) string {
	p.T.Helper()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + p.Admin + path)
	if err != nil {
		p.T.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		p.T.Fatalf("%s: %v %v", path, res.Status, err)
	}
	return string(body)
}
