package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// backoff is waited for before the bridge is started again, by how often it has died in a row.
var backoff = []time.Duration{0, 100 * time.Millisecond, time.Second, 5 * time.Second}

const (
	healthy = 30 * time.Second // a bridge that lived so long did not die in a row
	toEnd   = 8 * time.Second  // for a bridge that was asked to end; then it is killed
	toSpeak = 2 * time.Second  // for a bridge that has the lock to say who it is
)

// Child keeps a bridge running for a data directory. The bridge is a process of its own session: neither Ctrl-C in the
// terminal nor the end of the front ends it. A front that finds a bridge that fits adopts it, and the media has gone on
// meanwhile.
type Child struct {
	Data   string   // directory, see Open
	Path   string   // program
	Args   []string // of the program
	Env    []string // nil: our own
	Stderr *os.File // what the bridge inherits for its output and log; nil: our own. It must outlive the front
	Log    *slog.Logger

	// Fits reports that a bridge that is found, and has announced this, is the one that is wished; nil: it always is.
	Fits func(setup json.RawMessage) bool
	// Heard returns when the bridge was heard last (Client.Heard); nil: nobody listens. One that has said nothing for Silence, 0 is
	// 30 s, hangs: it is killed, and started again.
	Heard   func() time.Time
	Silence time.Duration

	// News is told what a bridge that is up has announced, or why none could be started; nil: the log is told of the latter.
	// It is called by Run, one call after the other.
	News func(setup json.RawMessage, err error)
	// Died is told of a bridge that has ended, before another one is started; it may be nil. Run calls it too.
	Died func(status string)
}

// bridge is a bridge that runs.
type bridge struct {
	*process
	since  time.Time
	setup  json.RawMessage
	exited <-chan error // what Wait said of our own child; nil for one that we adopted
}

// Run adopts or starts the bridge, and starts it again when it dies, until the context ends: then it ends the bridge, and
// returns when that is gone.
func (c *Child) Run(ctx context.Context) error {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	news := c.News
	if news == nil {
		news = func(_ json.RawMessage, err error) {
			if err != nil {
				c.Log.Error("the bridge could not be started", "err", err)
			}
		}
	}
	for deaths := 0; ; deaths++ {
		if deaths > 0 && !pause(ctx, backoff[min(deaths, len(backoff))-1]) {
			return c.endAny()
		}
		b, err := c.run(ctx)
		if ctx.Err() != nil && b == nil {
			return c.endAny()
		}
		if err != nil {
			news(nil, err)
			continue
		}
		news(b.setup, nil)
		unwatch := c.watch(b)
		err = b.wait(ctx)
		unwatch()
		if err != nil {
			return c.end(b)
		}
		lived := time.Since(b.since)
		status := b.status()
		c.Log.Error("the bridge has ended", "pid", b.pid, "status", status, "lived", lived.Round(time.Millisecond))
		if c.Died != nil {
			c.Died(fmt.Sprintf("process %d: %s", b.pid, status))
		}
		b.release()
		if lived >= healthy {
			deaths = 0
		}
	}
}

// looks is how often a bridge is looked at before it is killed. What counts is in how many of them in a row it had said nothing,
// and not how long that was: it was not silent while the front itself was stopped.
const looks = 30

// watch kills a bridge that hangs, until the function that it returns is called.
func (c *Child) watch(b *bridge) (unwatch func()) {
	if c.Heard == nil {
		return func() {}
	}
	silence := c.Silence
	if silence == 0 {
		silence = silent
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(silence / looks)
		defer tick.Stop()
		last := c.Heard()
		for missed := 0; missed < looks; missed++ {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			if at := c.Heard(); !at.Equal(last) {
				last, missed = at, -1
			}
		}
		c.Log.Error("the bridge hangs and is killed", "pid", b.pid, "silent", silence)
		if err := b.signal(syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			c.Log.Error("the bridge cannot be killed", "pid", b.pid, "err", err)
		}
	}()
	return func() { close(end); <-ended }
}

// pause waits, and reports whether to go on.
func pause(ctx context.Context, d time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	if d == 0 {
		return true
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// run returns a bridge that runs: the one that is there, or a new one.
func (c *Child) run(ctx context.Context) (*bridge, error) {
	b, r, err := c.find(ctx)
	if err != nil {
		return nil, err
	}
	if b != nil {
		if r.Protocol == protocol && (c.Fits == nil || c.Fits(r.Setup)) {
			c.Log.Info("the bridge of a former run goes on", "pid", b.pid)
			return b, nil
		}
		c.Log.Info("the bridge of a former run is set up otherwise, and is replaced", "pid", b.pid)
		if err := c.end(b); err != nil {
			return nil, err
		}
	}
	return c.start(ctx)
}

// End ends the bridge of a former run, if there is one.
func (c *Child) End() error {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c.endAny()
}

// find returns the bridge that holds the data directory's lock, and what it says of itself; nil when there is none.
func (c *Child) find(ctx context.Context) (*bridge, record, error) {
	var last error
	for until := time.Now().Add(toSpeak); time.Now().Before(until); {
		lock, err := tryLock(c.Data)
		if err == nil {
			return nil, record{}, lock.Close()
		}
		if !errors.Is(err, ErrBusy) {
			return nil, record{}, err
		}
		r, err := readRecord(c.Data)
		if err == nil {
			var p *process
			if p, err = hold(r.PID, r.Start); err == nil {
				return &bridge{process: p, since: time.Now(), setup: r.Setup}, r, nil
			}
		}
		if last = err; !pause(ctx, 10*time.Millisecond) { // it is starting, or ending
			return nil, record{}, ctx.Err()
		}
	}
	return nil, record{}, fmt.Errorf("a process holds %s in %s and does not say which: %w", lockFile, c.Data, last)
}

// start starts a bridge, and returns when that serves.
func (c *Child) start(ctx context.Context) (*bridge, error) {
	pipe, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer pipe.Close()
	defer theirs.Close()
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env = c.Env
	if c.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(slices.Clip(cmd.Env), reportKey+"=3")
	cmd.ExtraFiles = []*os.File{theirs} // from 3 on
	cmd.Stdout, cmd.Stderr = c.Stderr, c.Stderr
	if c.Stderr == nil {
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	theirs.Close()
	setup, err := hear(ctx, pipe)
	var p *process
	if err == nil {
		p, err = hold(cmd.Process.Pid, startOf(cmd.Process.Pid)) // not yet waited for, so that its number is still its own
	}
	if err != nil {
		cmd.Process.Kill()
		status := cmd.Wait()
		if errors.Is(err, errSilent) {
			err = fmt.Errorf("%w: %v", err, status)
		}
		return nil, err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	c.Log.Info("the bridge is started", "pid", p.pid)
	return &bridge{process: p, since: time.Now(), setup: setup, exited: exited}, nil
}

// status says how a bridge has ended.
func (b *bridge) status() string {
	if b.exited == nil {
		return "unknown, it was adopted"
	}
	if err := <-b.exited; err != nil {
		return err.Error()
	}
	return "exit status 0"
}

// end asks a bridge to end, and kills it if it does not.
func (c *Child) end(b *bridge) error {
	defer b.release()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := b.signal(s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("bridge %d: %w", b.pid, err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), toEnd)
		err := b.wait(ctx)
		cancel()
		if err == nil {
			c.Log.Info("the bridge is ended", "pid", b.pid, "status", b.status())
			return nil
		}
		c.Log.Error("the bridge does not end", "pid", b.pid, "signal", s.String())
	}
	return fmt.Errorf("bridge %d does not end", b.pid)
}

// endAny ends the bridge that there is, if any.
func (c *Child) endAny() error {
	ctx, cancel := context.WithTimeout(context.Background(), toSpeak)
	defer cancel()
	b, _, err := c.find(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // not even the directory
	}
	if err != nil || b == nil {
		return err
	}
	return c.end(b)
}
