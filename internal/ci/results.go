package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// results collects what became of each test over all runs: it passed if it passed once and never failed, and it is
// skipped only if no run ran it.
type results struct {
	tests    map[string]string
	failures []failure // of go test
	unstable []failure
}

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
		r.failures = append(r.failures, failure{pkg: name, why: []string{err.Error()}, final: true})
		return
	}
	r.set(name, "pass")
}

// goTest runs go test and prints one line a package, and all that failing tests printed.
func (r *results) goTest(env []string, args ...string) {
	fmt.Println("==> go test", strings.Join(args, " "), strings.Join(env, " "))
	cmd := goCommand(env, append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		r.step("go test", func() error { return err })
		return
	}
	first := slices.IndexFunc(args, func(a string) bool { return !strings.HasPrefix(a, "-") })
	failed := r.read(out, failure{env: env, flags: args[:first]})
	if err := cmd.Wait(); err != nil && !failed {
		r.step("go test "+strings.Join(args, " "), func() error { return err })
	}
}

func goCommand(env []string, args ...string) *exec.Cmd {
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

type testEvent struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

// read takes what go test prints. What fails is noted as a failure of the run.
func (r *results) read(in io.Reader, run failure) (failed bool) {
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
				f := run
				f.pkg, f.test, f.why = e.Package, e.Test, said(output[name])
				f.final = serious(output[name]) || e.Test == "" && !slices.ContainsFunc(r.failures, func(o failure) bool { return o.pkg == e.Package })
				r.failures = append(r.failures, f)
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
	for _, action := range r.tests {
		switch action {
		case "pass":
			passed++
		case "fail":
			failed++
		case "skip":
			skipped++
		}
	}
	tell("FAILED", r.failures)
	tell("UNSTABLE", r.unstable)
	return passed, failed, skipped
}
