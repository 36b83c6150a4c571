package rtp

import (
	"encoding/hex"
	"strings"
	"testing"
)

// unhex reads bytes written in hexadecimal, with spaces and line breaks anywhere.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(t testing.TB, b []byte) *Packet {
	t.Helper()
	var p Packet
	if err := p.Parse(b); err != nil {
		t.Fatalf("parse %x: %v", b, err)
	}
	return &p
}

// free fails the test when f allocates.
func free(t *testing.T, what string, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(100, f); n != 0 {
		t.Errorf("%s allocates %v times", what, n)
	}
}
