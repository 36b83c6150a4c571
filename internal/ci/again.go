package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// A test that fails among thousands, on two cores that browsers, databases and other servers share, may say something of the machine. It
// is then run alone, tries times in a row. It counts as passed only if it passes each time, and it is named as unstable,
// with what it printed: that is a fault to be found, in the test or in the product. More than mostUnstable of them are
// no accident, and what the race detector found, a panic, or a build that fails, is none either.
const (
	tries        = 3
	mostUnstable = 4
)

// failure is a test, or a package as a whole, that failed in one of the runs.
type failure struct {
	env, flags []string // of the run
	pkg, test  string
	why        []string // what it printed, without the logs of servers
	final      bool     // that it passes later means nothing
}

// root is the test of the package to which the test belongs.
func (f failure) root() string {
	name, _, _ := strings.Cut(f.test, "/")
	return name
}

// settle runs again, alone, what failed.
func (r *results) settle() {
	var roots []failure // one of each test of a package, in the order of the runs
	for _, f := range r.failures {
		if f.final {
			return
		}
		same := func(o failure) bool { return o.pkg == f.pkg && o.root() == f.root() && slices.Equal(o.flags, f.flags) }
		if f.test != "" && !slices.ContainsFunc(roots, same) {
			roots = append(roots, f)
		}
	}
	if len(roots) == 0 || len(roots) > mostUnstable {
		return
	}
	for _, f := range roots {
		args := append(slices.Clone(f.flags), fmt.Sprint("-count=", tries), "-run=^"+f.root()+"$", f.pkg)
		fmt.Printf("==> again, alone: go test %s %s\n", strings.Join(args, " "), strings.Join(f.env, " "))
		cmd := goCommand(f.env, append([]string{"test"}, args...)...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if cmd.Run() != nil {
			return
		}
	}
	for _, f := range r.failures {
		r.tests[f.name()] = "pass"
		if f.test != "" {
			r.unstable = append(r.unstable, f)
		}
	}
	r.failures = nil
}

func (f failure) name() string {
	if f.test == "" {
		return f.pkg
	}
	return f.pkg + "." + f.test
}

// said is what a test printed itself, at most a screen of it.
func said(output []string) (list []string) {
	for _, line := range output {
		trimmed := strings.TrimSpace(line)
		if strings.Contains(trimmed, "log of the server:") || len(list) == 25 {
			break
		}
		if trimmed != "" && !strings.HasPrefix(trimmed, "===") && !strings.HasPrefix(trimmed, "---") {
			list = append(list, strings.TrimRight(line, "\n"))
		}
	}
	return list
}

// serious reports that the output tells of something that is a fault however often the test passes afterwards.
func serious(output []string) bool {
	return slices.ContainsFunc(output, func(line string) bool {
		return strings.Contains(line, "DATA RACE") || strings.HasPrefix(strings.TrimSpace(line), "panic: ") ||
			strings.HasPrefix(line, "fatal error: ")
	})
}

// tell prints each failure in a few lines, since the logs of servers bury what the tests said.
func tell(word string, list []failure) {
	for _, f := range list {
		fmt.Println(word, f.name())
		for _, line := range f.why {
			fmt.Println("    ", line)
		}
	}
}
