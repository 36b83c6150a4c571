// Command fuzz runs every fuzz target of the module, one after another, for the same time each:
//
//	go run ./internal/ci/fuzz DURATION [PACKAGE]...
//
// It prints a line for each, and for one that fails all that it said and where the failing input is. Exit status 0: none
// failed; 1: one did, or there are none; 2: it was called wrongly; 130: it was interrupted.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: fuzz DURATION [PACKAGE]...")
		os.Exit(2)
	}
	each, err := time.ParseDuration(os.Args[1])
	if err != nil || each <= 0 {
		fmt.Fprintf(os.Stderr, "fuzz: %q is no time for a target, such as 5s or 10m\n", os.Args[1])
		os.Exit(2)
	}
	packages := os.Args[2:]
	if len(packages) == 0 {
		packages = []string{"./..."}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, ".", os.Stdout, each, packages))
}

// run finds the targets of the packages, as they are named in a folder, and runs them. It returns the exit status.
func run(ctx context.Context, folder string, out io.Writer, each time.Duration, packages []string) int {
	targets, err := find(ctx, folder, packages)
	if ctx.Err() != nil {
		return 130
	}
	if err != nil {
		fmt.Fprintln(out, "fuzz:", err)
		return 1
	}
	fmt.Fprintf(out, "%d targets, %v each\n", len(targets), each)
	var failed []string
	for i, t := range targets {
		said, err := t.run(ctx, folder, each)
		if ctx.Err() != nil {
			fmt.Fprintln(out, "interrupted")
			return 130
		}
		line := fmt.Sprintf("%*d/%d %s %s", len(fmt.Sprint(len(targets))), i+1, len(targets), t.pkg, t.name)
		if err == nil {
			fmt.Fprintln(out, "ok  ", line, progress(said))
			continue
		}
		fmt.Fprintf(out, "FAIL %s: %v\n%s", line, err, said)
		failed = append(failed, t.pkg+" "+t.name+": "+t.input(said))
	}
	for _, f := range failed {
		fmt.Fprintln(out, "FAILED", f)
	}
	fmt.Fprintf(out, "%d targets passed, %d failed\n", len(targets)-len(failed), len(failed))
	if len(failed) > 0 {
		return 1
	}
	return 0
}

// target is a fuzz target.
type target struct{ pkg, dir, name string }

// find lists the targets, in the order of their packages.
func find(ctx context.Context, folder string, packages []string) (all []target, err error) {
	list, err := output(ctx, folder, append([]string{"list", "-f", "{{.ImportPath}} {{.Dir}}"}, packages...)...)
	if err != nil {
		return nil, err
	}
	dirs := make(map[string]string)
	for line := range strings.Lines(string(list)) {
		pkg, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		dirs[pkg] = dir
	}
	events, err := output(ctx, folder, append([]string{"test", "-json", "-list", "^Fuzz"}, packages...)...)
	if err != nil {
		return nil, err
	}
	for d := json.NewDecoder(bytes.NewReader(events)); ; {
		var e struct{ Action, Package, Output string }
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("the list of targets: %w", err)
		}
		if name := strings.TrimSpace(e.Output); e.Action == "output" && strings.HasPrefix(name, "Fuzz") {
			all = append(all, target{e.Package, dirs[e.Package], name})
		}
	}
	if len(all) == 0 {
		return nil, errors.New("there are no fuzz targets in " + strings.Join(packages, " "))
	}
	slices.SortStableFunc(all, func(a, b target) int { return strings.Compare(a.pkg, b.pkg) })
	return all, nil
}

// output runs the go command and returns what it wrote; the error holds what it complained about.
func output(ctx context.Context, folder string, args ...string) ([]byte, error) {
	var out, complaints bytes.Buffer
	cmd := command(ctx, folder, args...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s%s", args[0], err, complaints.Bytes(), out.Bytes())
	}
	return out.Bytes(), nil
}

func command(ctx context.Context, folder string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = folder
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go test ends its workers then
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// run runs the target and returns what it said. Minimising is kept short: by default it takes a minute for each input.
func (t target) run(ctx context.Context, folder string, each time.Duration) (said []byte, err error) {
	return command(ctx, folder, "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", each.String(), "-fuzzminimizetime", "20x", "-timeout", "0", t.pkg).CombinedOutput()
}

// progress returns what go test counted last: "5s, execs: 1234 (246/sec), new interesting: 3 (total: 9)". Where the time
// was up before the seeds and what was found in other runs had been tried, it says so.
func progress(said []byte) (last string) {
	for lines := bufio.NewScanner(bytes.NewReader(said)); lines.Scan(); {
		if s, ok := strings.CutPrefix(lines.Text(), "fuzz: elapsed: "); ok {
			last = s
		}
	}
	if !strings.Contains(last, "execs: ") {
		last += " (too little time: nothing new was tried)"
	}
	return last
}

var written = regexp.MustCompile(`Failing input written to (\S+)`)

// input says where the failing input is, and how to run it again.
func (t target) input(said []byte) string {
	if m := written.FindSubmatch(said); m != nil {
		file := filepath.FromSlash(string(m[1]))
		return fmt.Sprintf("the input is %s; again by: go test -run '^%s$/^%s$' %s", filepath.Join(t.dir, file), t.name, filepath.Base(file), t.pkg)
	}
	return "a seed fails, or it does not build: see above"
}
