// Package need says which programs a test needs, and what becomes of the test where they are missing. It imports nothing
// of the product, so that the tests of every package can use it.
package need

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Program returns the path of a program that the test needs. Where the program is missing the test is skipped, unless the
// environment variable PARLEY_PEERS, a list parted by commas or the word "all", names it: then the test fails. The word
// "none" skips such tests also where the program is there.
func Program(t testing.TB, program string) string {
	t.Helper()
	unwanted(t)
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if Required(program) {
		t.Fatalf("%s is missing and PARLEY_PEERS wants it", program)
	}
	t.Skipf("%s is not installed", program)
	return ""
}

func unwanted(t testing.TB) {
	t.Helper()
	if os.Getenv("PARLEY_PEERS") == "none" {
		t.Skip("PARLEY_PEERS says none")
	}
}

// Required reports that PARLEY_PEERS names the peer, so that it must not be missing.
func Required(peer string) bool {
	peers := strings.Split(os.Getenv("PARLEY_PEERS"), ",")
	return slices.Contains(peers, "all") || slices.Contains(peers, peer)
}

// Python returns the path of Debian's Python, which has the module. Where it has not, the test is skipped or fails
// as with Program.
func Python(t testing.TB, module string) string {
	t.Helper()
	unwanted(t)
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import "+module).Run(); err == nil {
		return python
	}
	if Required(module) {
		t.Fatalf("python's module %s is missing and PARLEY_PEERS wants it", module)
	}
	t.Skipf("python's module %s is not installed", module)
	return ""
}
