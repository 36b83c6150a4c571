// Command ci is what `make test` runs: it installs what the tests talk to, runs all tests, and ends with one line that
// counts them. Exit status 0: all passed; 1: something failed; 3: partial, because something could not be installed.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"time"
)

func main() {
	begin := time.Now()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	go func() {
		<-interrupted
		os.Exit(130)
	}()
	missing := install()
	var r results
	r.step("gofmt", gofmt)
	r.step("go vet", func() error { return run(nil, "go", "vet", "./...") })
	peers := "PARLEY_PEERS=all"
	if len(missing) > 0 {
		peers = "PARLEY_PEERS=" // what is missing is skipped, and the run is partial
	}
	all := []string{peers, "PARLEY_FULL=1"}
	quiet, others, err := split()
	if err != nil {
		r.step("go list", func() error { return err })
	}
	r.goTest(all, append([]string{"-p=2", "-timeout=30m"}, others...)...)
	r.goTest(all, append([]string{"-p=1", "-timeout=30m"}, quiet...)...)
	dir, err := os.MkdirTemp("", "parley-race-")
	if err != nil {
		r.step("go test -race", func() error { return err })
	}
	r.race(dir, others)
	r.settle()
	os.RemoveAll(dir)
	passed, failed, skipped := r.count()
	fmt.Printf("\ntook %v\n", time.Since(begin).Round(time.Second))
	for _, m := range missing {
		fmt.Println("missing:", m)
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	switch {
	case failed > 0:
		os.Exit(1)
	case len(missing) > 0:
		fmt.Println("partial: not everything could be installed")
		os.Exit(3)
	}
}

// split lists all packages. Those that stay quiet are tested one after the other: in them browsers and test clients send
// pictures, and a machine with other things to do is to them a narrow path.
func split() (quiet, others []string, err error) {
	out, err := exec.Command("go", "list", "./...").Output()
	for p := range strings.FieldsSeq(string(out)) {
		if strings.HasSuffix(p, "/blackbox/browser") || strings.HasSuffix(p, "/blackbox/media") {
			quiet = append(quiet, p)
		} else {
			others = append(others, p)
		}
	}
	return quiet, others, err
}

// single are tests that take long in which one goroutine does everything: it plays with an emulated network and time, or asks one
// hostile question after the other.
const single = "^(TestReceiversUseABottleneck|TestABadNetworkIsItsOwnersAlone|TestFreePathGivesEverything|TestRoomIsLookedForUntilEverythingIsGiven|TestSeededFaultsAreNamed|TestHostileStringsAreRefused)$"

// foreign leaves SQLite, which is C in Go's clothes, without the race detector's and the pointer checks' instructions: they are about our code,
// and a store's tests take three times as long with them there.
const foreign = "-gcflags=modernc.org/...=-race=false -d=checkptr=0"

// race runs the tests of the packages of the list under the race detector, without peers, and hostile clients against a
// binary that has the detector in it, which it puts into dir. What one goroutine does alone has no races: it is left out.
func (r *results) race(dir string, list []string) {
	args := []string{"-race", foreign, "-p=2", "-timeout=20m", "-skip=" + single}
	for _, p := range list {
		if !strings.Contains(p, "/blackbox/") && !strings.HasSuffix(p, "/bridge/congestion") {
			args = append(args, p)
		}
	}
	r.goTest([]string{"PARLEY_PEERS=none", "CGO_ENABLED=1"}, args...)
	binary := dir + "/parley"
	r.step("go build -race", func() error {
		return run([]string{"CGO_ENABLED=1"}, "go", "build", "-race", foreign, "-o", binary, "./cmd/parley")
	})
	r.goTest([]string{"PARLEY_PEERS=none", "PARLEY_BINARY=" + binary}, "-count=1", "-timeout=20m", "./internal/blackbox/hostile")
}

// run runs a command with its output on ours.
func run(env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

func gofmt() error {
	files, err := exec.Command("git", "ls-files", "*.go").Output()
	if err != nil {
		return err
	}
	out, err := exec.Command("gofmt", append([]string{"-l"}, strings.Fields(string(files))...)...).CombinedOutput()
	if err == nil && len(out) > 0 {
		err = fmt.Errorf("not formatted:\n%s", out)
	}
	return err
}
