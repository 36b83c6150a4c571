package codec

import (
	"encoding/hex"
	"strings"
	"testing"
)

// unhex reads bytes written in hexadecimal, with spaces anywhere.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pack makes bytes of bits written as 0 and 1, with spaces anywhere; zeros fill the last.
func pack(t testing.TB, s string) []byte {
	t.Helper()
	s = strings.Join(strings.Fields(s), "")
	var b []byte
	for i, c := range s {
		if i%8 == 0 {
			b = append(b, 0)
		}
		switch c {
		case '1':
			b[i/8] |= 0x80 >> (i % 8)
		case '0':
		default:
			t.Fatalf("bit %q", c)
		}
	}
	return b
}

// free fails the test when f allocates.
func free(t *testing.T, what string, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(100, f); n != 0 {
		t.Errorf("%s allocates %v times", what, n)
	}
}
