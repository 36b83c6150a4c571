package rtp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// reds are payloads of RFC 2198: with the primary block only, with one and with two redundant ones.
var reds = map[string]string{
	"6f aabbcc": "111 0 aabbcc",
	// F=1, 111, offset 960, length 2; then 111
	"ef 0f0002 6f 0102 030405":            "111 960 0102, 111 0 030405",
	"ef 1e0001 ef 0f0000 6f 01 0203":      "111 1920 01, 111 960 , 111 0 0203",
	"80 fffc01 05 01":                     "0 16383 01, 5 0 ",
	"ef 0f0002 6f 0102":                   "111 960 0102, 111 0 ",
	"ef 0f0003 6f 0102":                   "",
	"ef 0f00":                             "",
	"ef 0f0002":                           "",
	"":                                    "",
	strings.Repeat("ef000000", 15) + "6f": strings.Repeat("111 0 , ", 15) + "111 0 ",
	strings.Repeat("ef000000", 16) + "6f": "",
}

func TestRedundantBlocks(t *testing.T) {
	for payload, want := range reds {
		var r RED
		err := r.Parse(unhex(t, payload))
		var got []string
		for _, b := range r.Blocks() {
			got = append(got, fmt.Sprintf("%d %d %x", b.PayloadType, b.Ago, b.Data))
		}
		if s := strings.Join(got, ", "); s != want || (err != nil) != (want == "") {
			t.Errorf("%s: got %q %v, want %q", payload, s, err, want)
		}
		if err == nil && !bytes.HasSuffix(unhex(t, payload), r.Primary().Data) {
			t.Errorf("%s: primary %x", payload, r.Primary().Data)
		}
	}
	if new(RED).Primary().Data != nil {
		t.Error("primary of nothing")
	}
}

func FuzzRED(f *testing.F) {
	for payload := range reds {
		f.Add(unhex(f, payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var r RED
		if r.Parse(payload) != nil {
			return
		}
		size := 4*len(r.Blocks()) - 3
		for _, b := range r.Blocks() {
			size += len(b.Data)
		}
		if size != len(payload) {
			t.Fatalf("%d of %d bytes are somewhere", size, len(payload))
		}
	})
}

func TestRedundantBlocksAreNotAllocated(t *testing.T) {
	payload := unhex(t, "ef 1e0001 ef 0f0000 6f 01 0203")
	var r RED
	free(t, "RED", func() {
		if r.Parse(payload) != nil || len(r.Blocks()) != 3 {
			t.Error("refused")
		}
	})
}
