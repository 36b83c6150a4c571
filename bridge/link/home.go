package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Files of a bridge in the data directory.
const (
	lockFile    = "bridge.lock" // held by flock for as long as the bridge lives; never removed
	socketFile  = "bridge.sock" // the control connection
	httpFile    = "bridge-http.sock"
	channelFile = "bridge-channel.sock" // where clients' connections are handed over
	recordFile  = "bridge.json"
)

// record is what bridge.json says of the bridge that runs. It is there when the bridge serves.
type record struct {
	PID      int             `json:"pid"`
	Start    uint64          `json:"start"` // of the process, as the system counts; with it no other process of that number is meant
	Bridge   string          `json:"bridge"`
	Protocol int             `json:"protocol"` // of the control connection
	Setup    json.RawMessage `json:"setup"`    // what the bridge has announced
}

// ErrBusy says that the data directory has a bridge already.
var ErrBusy = errors.New("another bridge runs")

// Home is the place of a running bridge in the data directory: a lock, so that there is one bridge, sockets for the front,
// and a file that says who runs.
type Home struct {
	path    string
	id      string // of the bridge
	lock    *os.File
	l       *net.UnixListener
	http    *net.UnixListener
	channel *net.UnixListener
}

// Open takes the place, waiting a second for a bridge that is just ending. The error is ErrBusy if there is another one.
func Open(path, bridge string) (_ *Home, err error) {
	h := &Home{path: path, id: bridge}
	if h.lock, err = takeLock(path); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			h.Close()
		}
	}()
	os.Remove(h.file(recordFile)) // left by a bridge that was killed
	if h.http, err = h.listen(httpFile); err != nil {
		return nil, err
	}
	if h.channel, err = h.listen(channelFile); err != nil {
		return nil, err
	}
	h.l, err = h.listen(socketFile)
	return h, err
}

// Announce says in the directory who runs, and how it is set up: a value without secrets that a front can tell by whether
// the bridge is the one that it wishes.
func (h *Home) Announce(setup json.RawMessage) error {
	text, err := json.MarshalIndent(record{os.Getpid(), startOf(os.Getpid()), h.id, protocol, setup}, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(h.file(recordFile+".new"), append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(h.file(recordFile+".new"), h.file(recordFile))
}

func (h *Home) file(name string) string { return filepath.Join(h.path, name) }

// listen opens a socket that only our user can open.
func (h *Home) listen(file string) (l *net.UnixListener, err error) {
	os.Remove(h.file(file)) // left by a bridge that was killed
	err = viaFolder(h.path, file, func(name string) (err error) {
		l, err = net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("bridge: socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // the name that it has may be that of the folder's descriptor
	if err := os.Chmod(h.file(file), 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Listener is the socket of the control connection. Who closes it before Close does no harm.
func (h *Home) Listener() net.Listener { return h.l }

// Close leaves the place: the files first, the lock last. Where the folder is another one than ours was, which somebody has
// deleted, the files are those of another bridge and stay.
func (h *Home) Close() error {
	remove := func(file string) { os.Remove(h.file(file)) }
	if !h.ours() {
		remove = func(string) {}
	}
	remove(recordFile)
	for file, l := range map[string]*net.UnixListener{socketFile: h.l, httpFile: h.http, channelFile: h.channel} {
		if l != nil {
			remove(file)
			l.Close()
		}
	}
	return h.lock.Close()
}

// ours reports that the lock at its path is the one that we hold.
func (h *Home) ours() bool {
	held, err := h.lock.Stat()
	there, err2 := os.Stat(h.file(lockFile))
	return err == nil && err2 == nil && os.SameFile(held, there)
}

func takeLock(path string) (*os.File, error) {
	for until := time.Now().Add(time.Second); ; time.Sleep(10 * time.Millisecond) {
		f, err := tryLock(path)
		if !errors.Is(err, ErrBusy) || time.Now().After(until) {
			return f, err
		}
	}
}

// tryLock returns the lock, or ErrBusy.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(path, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %s: %w", path, ErrBusy)
		}
		return nil, fmt.Errorf("bridge: lock: %w", err)
	}
	return f, nil
}

// readRecord reads who runs.
func readRecord(path string) (r record, err error) {
	text, err := os.ReadFile(filepath.Join(path, recordFile))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r, err
}

// Running returns the process number of the bridge that serves a data directory; 0 if there is none.
func Running(path string) int {
	r, err := readRecord(path)
	if err != nil || r.Start == 0 || startOf(r.PID) != r.Start {
		return 0
	}
	return r.PID
}

// Dial returns a function that connects to the bridge of a data directory.
func Dial(path string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) { return dial(ctx, path, socketFile) }
}

func dial(ctx context.Context, path, file string) (nc net.Conn, err error) {
	err = viaFolder(path, file, func(name string) (err error) {
		var d net.Dialer
		nc, err = d.DialContext(ctx, "unix", name)
		return err
	})
	return nc, err
}

// viaFolder calls with a name of the socket that fits into a socket's address, which holds about 100 bytes: a long path is
// named through the descriptor of its folder.
func viaFolder(path, file string, use func(name string) error) error {
	name := filepath.Join(path, file)
	if len(name) < 100 {
		return use(name)
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return use(strings.Join([]string{"/proc/self/fd", strconv.Itoa(int(dir.Fd())), file}, "/"))
}
