// Package peertest starts what tests talk to: real servers and clients from Debian's packages, browsers, and the
// binary itself. It is imported by tests only.
package peertest

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"parley/internal/peertest/need"
)

// Need returns the path of a program that the test needs; see need.Program.
func Need(t testing.TB, program string) string {
	t.Helper()
	return need.Program(t, program)
}

// NeedPython returns the path of Debian's Python, which has the module; see need.Python.
func NeedPython(t testing.TB, module string) string {
	t.Helper()
	return need.Python(t, module)
}

// Required reports that PARLEY_PEERS names the peer, so that it must not be missing.
func Required(peer string) bool { return need.Required(peer) }

// NeedEjabberd returns the path of Erlang's runtime and the folder in which Debian's ejabberd has its code. Where one of them is
// missing the test is skipped, or fails if PARLEY_PEERS names ejabberd.
func NeedEjabberd(t testing.TB) (erl, libs string) {
	t.Helper()
	libs = "/usr/lib/" + map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH] + "-linux-gnu"
	found, _ := filepath.Glob(libs + "/ejabberd-*/ebin")
	if _, err := exec.LookPath("erl"); (err != nil || len(found) == 0) && Required("ejabberd") {
		t.Fatal("ejabberd is missing and PARLEY_PEERS wants it")
	}
	if len(found) == 0 {
		t.Skip("ejabberd is not installed")
	}
	return Need(t, "erl"), libs
}
