package peertest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// PostgresServer is a private PostgreSQL with a cluster of its own in a temporary folder. It listens on a Unix socket
// in that folder only, trusts whoever reaches it, and syncs to the disk as a real one does. It dies with the test binary.
type PostgresServer struct {
	bin string // folder of the programs
	dir string // holds the cluster and the socket
	as  *syscall.Credential

	mu     sync.Mutex // guards what follows
	server *exec.Cmd  // nil while it does not run
	exited chan struct{}
}

const postgresPatience = 30 * time.Second // for a start, with recovery, and for a stop

var (
	sharedPostgres = sync.OnceValues(newPostgres)
	postgresUsed   atomic.Bool
	databases      atomic.Int64
)

// Postgres returns the server that all tests of the package share. Their TestMain must pass its m through Stopping.
// Without PostgreSQL the test is skipped, or fails where PARLEY_PEERS names postgres.
func Postgres(t testing.TB) *PostgresServer {
	t.Helper()
	needPostgres(t)
	postgresUsed.Store(true)
	s, err := sharedPostgres()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// OwnPostgres returns a server for this test alone, which may kill it. It is gone when the test ends.
func OwnPostgres(t testing.TB) *PostgresServer {
	t.Helper()
	needPostgres(t)
	s, err := newPostgres()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.remove)
	return s
}

// Stopping returns m with a Run that stops what tests shared after they are done.
func Stopping(m interface{ Run() int }) interface{ Run() int } { return stopping{m} }

type stopping struct{ m interface{ Run() int } }

func (s stopping) Run() int {
	code := s.m.Run()
	if postgresUsed.Load() {
		if shared, err := sharedPostgres(); err == nil {
			shared.remove()
		}
	}
	return code
}

// Database creates an empty database for the test and returns its URL.
func (s *PostgresServer) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("t%d", databases.Add(1))
	if out, err := s.psql("CREATE DATABASE " + name); err != nil {
		t.Fatalf("postgres: create database: %v: %s", err, out)
	}
	t.Cleanup(func() { s.psql("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)") }) // the server may be gone by then
	return "postgres:///" + name + "?" + url.Values{"host": {s.dir}, "user": {"postgres"}}.Encode()
}

// Socket returns the path of the socket that the server listens on.
func (s *PostgresServer) Socket() string { return filepath.Join(s.dir, ".s.PGSQL.5432") }

// Kill kills the postmaster with SIGKILL. Its children notice and end by themselves.
func (s *PostgresServer) Kill(t testing.TB) {
	t.Helper()
	if !s.signal(syscall.SIGKILL) {
		t.Error("postgres: did not end after SIGKILL")
	}
}

// Freeze stops the server in its tracks: connections stay open and get no answer, until Thaw or the end of the test.
func (s *PostgresServer) Freeze(t testing.TB) {
	t.Helper()
	s.all(t, syscall.SIGSTOP)
	t.Cleanup(func() { s.all(t, syscall.SIGCONT) })
}

// Thaw ends a Freeze.
func (s *PostgresServer) Thaw(t testing.TB) {
	t.Helper()
	s.all(t, syscall.SIGCONT)
}

// Start starts the server after Kill and waits until it has recovered.
func (s *PostgresServer) Start(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// needPostgres skips or fails the test if PostgreSQL is not installed.
func needPostgres(t testing.TB) {
	t.Helper()
	if postgresFolder() != "" {
		return
	}
	if Required("postgres") {
		t.Fatal("PostgreSQL is missing and PARLEY_PEERS wants it")
	}
	t.Skip("PostgreSQL is not installed")
}

// postgresFolder returns the folder of PostgreSQL's programs, "" if there is none. Debian keeps them out of the PATH,
// one folder for each version.
func postgresFolder() string {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path)
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	if len(found) == 0 {
		return ""
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) }))
}

func newPostgres() (*PostgresServer, error) {
	dir, err := os.MkdirTemp("", "postgres") // short: the path of a socket has at most 107 bytes
	if err != nil {
		return nil, err
	}
	s := &PostgresServer{bin: postgresFolder(), dir: dir}
	if err := s.create(); err != nil {
		s.remove()
		return nil, err
	}
	if err := s.start(); err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

// create makes the cluster. PostgreSQL refuses to run as root, so root hands the folder to another user. The default
// order of texts is that of a natural language where PostgreSQL has it, as on most real servers.
func (s *PostgresServer) create() error {
	if os.Getuid() == 0 {
		if err := s.drop(); err != nil {
			return err
		}
	}
	args := []string{"-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8"}
	natural := append(slices.Clone(args), "--locale-provider=icu", "--icu-locale=en-US")
	if _, err := s.run("initdb", natural...); err == nil {
		return nil
	}
	if err := os.RemoveAll(s.data()); err != nil {
		return err
	}
	if out, err := s.run("initdb", args...); err != nil {
		return fmt.Errorf("postgres: initdb: %w: %s", err, out)
	}
	return nil
}

func (s *PostgresServer) data() string { return filepath.Join(s.dir, "data") }

func (s *PostgresServer) drop() error {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return os.Chown(s.dir, uid, gid)
	}
	return errors.New("postgres: root needs the user postgres or nobody to run it")
}

// command returns a command that runs as the right user, in the server's folder, untouched by PG variables.
func (s *PostgresServer) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, program), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PG") })
	return cmd
}

func (s *PostgresServer) run(program string, args ...string) (string, error) {
	out, err := s.command(program, args...).CombinedOutput()
	return string(out), err
}

func (s *PostgresServer) psql(sql string) (string, error) {
	return s.run("psql", "-X", "-q", "-h", s.dir, "-U", "postgres", "-d", "postgres", "-c", sql)
}

// start starts the server and waits until it takes connections. After Kill, the first starts may find that processes
// of the old one still hold its shared memory.
func (s *PostgresServer) start() error {
	deadline := time.Now().Add(postgresPatience)
	for {
		exited, log, err := s.launch()
		if err != nil {
			return err
		}
		for ended := false; !ended; {
			select {
			case <-exited:
				ended = true
			case <-time.After(20 * time.Millisecond):
				if _, err := s.run("pg_isready", "-q", "-h", s.dir); err == nil {
					return nil
				}
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("postgres: does not start: %s", log.text())
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// launch starts the postmaster from a thread that lives as long as it: the kernel's signal on the death of the parent
// is one on the death of the thread.
func (s *PostgresServer) launch() (exited chan struct{}, log *serverLog, err error) {
	log = &serverLog{}
	cmd := s.command("postgres", "-D", s.data(), "-k", s.dir, "-c", "listen_addresses=", "-c", "port=5432",
		"-c", "fsync=on", "-c", "shared_buffers=32MB", "-c", "max_connections=50")
	cmd.Stderr = log
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	cmd.WaitDelay = time.Second // children of a killed postmaster keep the pipe open for a moment
	exited = make(chan struct{})
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
			close(exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	s.server, s.exited = cmd, exited
	s.mu.Unlock()
	return exited, log, nil
}

// signal signals the postmaster and reports that it has ended.
func (s *PostgresServer) signal(sig syscall.Signal) bool {
	s.mu.Lock()
	server, exited := s.server, s.exited
	s.server = nil
	s.mu.Unlock()
	if server == nil {
		return true
	}
	server.Process.Signal(sig) // fails only if it has ended
	select {
	case <-exited:
		return true
	case <-time.After(postgresPatience):
		return false
	}
}

// all signals the postmaster and its children.
func (s *PostgresServer) all(t testing.TB, sig syscall.Signal) {
	t.Helper()
	s.mu.Lock()
	server := s.server
	s.mu.Unlock()
	if server == nil {
		return
	}
	pid := server.Process.Pid
	syscall.Kill(pid, sig)
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		children, err := os.ReadFile(task)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for _, child := range bytes.Fields(children) {
			if pid, err := strconv.Atoi(string(child)); err == nil {
				syscall.Kill(pid, sig)
			}
		}
	}
}

// remove stops the server without ceremony, for nobody wants its data, and removes the folder.
func (s *PostgresServer) remove() {
	if !s.signal(syscall.SIGQUIT) {
		panic("postgres: does not stop")
	}
	os.RemoveAll(s.dir)
}

// serverLog keeps the beginning of what the server writes.
type serverLog struct {
	mu    sync.Mutex // guards first
	first []byte
}

func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.first) < 16<<10 {
		l.first = append(l.first, p...)
	}
	return len(p), nil
}

func (l *serverLog) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.first)
}
