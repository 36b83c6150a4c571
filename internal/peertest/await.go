package peertest

import (
	"testing"
	"time"
)

// awaitFor is how long Await waits: longer than anything takes on a machine that has other work.
const awaitFor = 30 * time.Second

// Await asks again and again whether something is so, and ends the test when it does not become so within 30 s.
func Await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(awaitFor); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("no ", what)
		}
	}
}
