package codec

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

// packet is one line of testdata/chromium.txt.
type packet struct {
	marker              bool
	encoding, timestamp string
	descriptor, payload []byte // the payload is cut
}

// captured are the packets of one codec that Chromium sent; testdata/chromium.txt tells how they came about.
func captured(t testing.TB, codec string) (all []packet) {
	t.Helper()
	f, err := os.Open("testdata/chromium.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) != 5 || fields[0] != codec {
			continue
		}
		encoding, timestamp, _ := strings.Cut(fields[1], ":")
		all = append(all, packet{fields[2] == "1", encoding, timestamp, unhex(t, strings.TrimPrefix(fields[3], "-")), unhex(t, fields[4])})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatalf("no %s packets", codec)
	}
	return all
}
