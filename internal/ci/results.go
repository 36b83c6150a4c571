package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sort"
	"strings"
)

// results collects what became of each test over all runs: it passed if it passed once and never failed, and it is
// skipped only if no run ran it.
type results struct{ tests map[string]string }

func (r *results) set(name, action string) {
	if r.tests == nil {
		r.tests = make(map[string]string)
	}
	rank := map[string]int{"": 0, "skip": 1, "pass": 2, "fail": 3}
	if rank[action] > rank[r.tests[name]] {
		r.tests[name] = action
	}
}

// step runs a check that counts as one test.
func (r *results) step(name string, check func() error) {
	fmt.Println("==>", name)
	if err := check(); err != nil {
		fmt.Println("FAIL", name, err)
		r.set(name, "fail")
		return
	}
	r.set(name, "pass")
}

// goTest runs go test and prints one line a package, and all that failing tests printed.
func (r *results) goTest(env []string, args ...string) {
	fmt.Println("==> go test", strings.Join(args, " "), strings.Join(env, " "))
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		r.step("go test", func() error { return err })
		return
	}
	failed := r.read(out)
	if err := cmd.Wait(); err != nil && !failed {
		r.step("go test "+strings.Join(args, " "), func() error { return err })
	}
}

type testEvent struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

func (r *results) read(in io.Reader) (failed bool) {
	output := make(map[string][]string)
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e testEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Println(lines.Text())
			continue
		}
		name := e.Package + "." + e.Test
		switch e.Action {
		case "output":
			output[name] = append(output[name], e.Output)
		case "build-output":
			fmt.Print(e.Output)
		case "pass", "fail", "skip":
			if e.Action == "fail" {
				failed = true
				for _, line := range output[name] {
					fmt.Print(line)
				}
			}
			if e.Test == "" {
				fmt.Printf("%-4s %s %.1fs\n", e.Action, e.Package, e.Elapsed)
				if e.Action == "fail" {
					r.set(e.Package, "fail") // also when no test of it failed: it did not build, or it died
				}
			} else {
				if e.Action == "skip" {
					fmt.Print("skip ", name, ": ", reason(output[name]))
				}
				r.set(name, e.Action)
			}
			delete(output, name)
		}
	}
	return failed
}

// reason finds the line in which a test says why it was skipped.
func reason(output []string) string {
	for _, line := range output {
		if !strings.HasPrefix(strings.TrimSpace(line), "---") && !strings.HasPrefix(line, "===") {
			return strings.TrimLeft(line, " ")
		}
	}
	return "\n"
}

func (r *results) count() (passed, failed, skipped int) {
	var bad []string
	for name, action := range r.tests {
		switch action {
		case "pass":
			passed++
		case "fail":
			failed++
			bad = append(bad, name)
		case "skip":
			skipped++
		}
	}
	sort.Strings(bad)
	for _, name := range bad {
		fmt.Println("FAILED", name)
	}
	return passed, failed, skipped
}
