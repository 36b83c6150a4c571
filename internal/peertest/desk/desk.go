// Package desk is a desktop without anybody before it, for clients that want a screen: Xvfb, a session bus, a home of its own.
// Its programs end with the test.
package desk

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/internal/peertest"
)

// Patience is how long a desktop may take for what it does at last.
const Patience = 4 * time.Minute

// Desk is a screen of 1280 × 900 and what programs on it share.
type Desk struct {
	T   testing.TB
	Dir string   // home; below it share, config, cache and run, as XDG calls them
	Env []string // of the programs that are started from now on

	log string // file
}

// New starts the screen and the bus. Programs lists what else the test needs.
func New(t testing.TB, programs ...string) *Desk {
	t.Helper()
	for _, name := range append([]string{"Xvfb", "dbus-run-session", "import"}, programs...) {
		peertest.Need(t, name)
	}
	d := &Desk{T: t, Dir: t.TempDir()}
	d.log = filepath.Join(d.Dir, "log")
	for _, dir := range []string{"run", "share", "config", "cache"} {
		if err := os.MkdirAll(filepath.Join(d.Dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			text := d.Said()
			t.Logf("what the programs of the desk said:\n%s", text[max(0, len(text)-6000):])
		}
	})
	d.Env = append(os.Environ(), "HOME="+d.Dir, "XDG_RUNTIME_DIR="+d.Dir+"/run", "XDG_DATA_HOME="+d.Dir+"/share", "XDG_CONFIG_HOME="+d.Dir+"/config",
		"XDG_CACHE_HOME="+d.Dir+"/cache", "GSK_RENDERER=cairo", "GDK_BACKEND=x11", "LIBGL_ALWAYS_SOFTWARE=1", "LC_ALL=C.UTF-8")
	screen := filepath.Join(d.Dir, "screen")
	d.Start("sh", "-c", "exec Xvfb -displayfd 3 -screen 0 1280x900x24 -nolisten tcp -ac 3>"+screen)
	d.Env = append(d.Env, "DISPLAY=:"+d.Says("screen", screen))
	bus := filepath.Join(d.Dir, "bus")
	d.Start("dbus-run-session", "--", "sh", "-c", "echo $DBUS_SESSION_BUS_ADDRESS >"+bus+"; exec sleep 900")
	d.Env = append(d.Env, "DBUS_SESSION_BUS_ADDRESS="+d.Says("session bus", bus))
	return d
}

// Says waits for a line in a file, and returns it.
func (d *Desk) Says(what, path string) (line string) {
	d.T.Helper()
	d.Eventually(what, func() bool {
		text, _ := os.ReadFile(path)
		line = strings.TrimSpace(string(text))
		return bytes.HasSuffix(text, []byte("\n"))
	})
	return line
}

// Said is what the programs have written.
func (d *Desk) Said() string {
	text, _ := os.ReadFile(d.log)
	return string(text)
}

// Program is one that was started.
type Program struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// Start starts a program, in a process group of its own.
func (d *Desk) Start(args ...string) *Program {
	d.T.Helper()
	p := &Program{exec.Command(args[0], args[1:]...), make(chan struct{})}
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.T.Fatal(err)
	}
	defer log.Close()
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = d.Env, log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		d.T.Fatal(err)
	}
	go func() { p.cmd.Wait(); close(p.ended) }()
	d.T.Cleanup(p.Kill)
	return p
}

// Running reports that the program has not ended.
func (p *Program) Running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Kill ends the program with all that it started, and waits for its end.
func (p *Program) Kill() {
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.ended
}

// Do runs a program to its end, and returns what it wrote.
func (d *Desk) Do(args ...string) string {
	d.T.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = d.Env
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		d.T.Fatalf("%q: %v\n%s%s", args, err, out, errs.String())
	}
	return string(out)
}

// Write writes a file below the home, and returns its path.
func (d *Desk) Write(name, text string) string {
	d.T.Helper()
	path := filepath.Join(d.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		d.T.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		d.T.Fatal(err)
	}
	return path
}

// Eventually waits until a condition holds, with the patience that a desktop needs.
func (d *Desk) Eventually(what string, ok func() bool) {
	d.T.Helper()
	if !d.Within(Patience, ok) {
		d.T.Fatalf("no %s within %v", what, Patience)
	}
}

// Within waits until a condition holds, and reports that it did.
func (d *Desk) Within(patience time.Duration, ok func() bool) bool {
	for until := time.Now().Add(patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) {
			return false
		}
	}
	return true
}

// Pixels takes a picture of the screen and counts the pixels of a part of it whose colour passes. Where keep names a file, the
// picture is kept there.
func (d *Desk) Pixels(part image.Rectangle, keep string, passes func(color.RGBA) bool) (n int) {
	d.T.Helper()
	shot := filepath.Join(d.Dir, "shot.png")
	d.Do("import", "-window", "root", "png24:"+shot)
	b, err := os.ReadFile(shot)
	if err != nil {
		d.T.Fatal(err)
	}
	if keep != "" {
		if err := os.WriteFile(keep, b, 0o644); err != nil {
			d.T.Fatal(err)
		}
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		d.T.Fatal(err)
	}
	part = part.Intersect(img.Bounds())
	for y := part.Min.Y; y < part.Max.Y; y++ {
		for x := part.Min.X; x < part.Max.X; x++ {
			if passes(color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)) {
				n++
			}
		}
	}
	return n
}
