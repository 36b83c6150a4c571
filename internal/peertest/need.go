// Package peertest starts what tests talk to: real servers and clients from Debian's packages, browsers, and the
// binary itself. It is imported by tests only.
package peertest

import (
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
