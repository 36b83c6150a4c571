// Package peertest starts what tests talk to: real servers and clients from Debian's packages, browsers, and the
// binary itself. It is imported by tests only.
package peertest

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Need returns the path of a program that the test needs. Where the program is missing the test is skipped, unless the
// environment variable PARLEY_PEERS, a list parted by commas or the word "all", names it: then the test fails.
func Need(t testing.TB, program string) string {
	t.Helper()
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

// Required reports that PARLEY_PEERS names the peer, so that it must not be missing.
func Required(peer string) bool {
	peers := strings.Split(os.Getenv("PARLEY_PEERS"), ",")
	return slices.Contains(peers, "all") || slices.Contains(peers, peer)
}
