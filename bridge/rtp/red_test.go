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

func TestAppendRED(t *testing.T) {
	older, old := Earlier{1000, []byte{1, 2}}, Earlier{1960, []byte{3}}
	long, longer := Earlier{1960, make([]byte, 1023)}, Earlier{1960, make([]byte, 1024)}
	for name, c := range map[string]struct {
		timestamp uint32
		earlier   []Earlier
		want      string // the parser's view
	}{
		"alone":              {2920, nil, "111 0 0405"},
		"one":                {2920, []Earlier{old}, "111 960 03, 111 0 0405"},
		"two":                {2920, []Earlier{older, old}, "111 1920 0102, 111 960 03, 111 0 0405"},
		"across the end":     {960, []Earlier{{1<<32 - 960, []byte{7}}, {0, []byte{8}}}, "111 1920 07, 111 960 08, 111 0 0405"},
		"longest ago":        {1000 + 16383, []Earlier{older}, "111 16383 0102, 111 0 0405"},
		"too long ago":       {1000 + 16384, []Earlier{older, old}, fmt.Sprintf("111 %d 03, 111 0 0405", 16384-960)},
		"not before":         {1960, []Earlier{older, old, {2920, []byte{9}}}, "111 960 0102, 111 0 0405"},
		"longest":            {2920, []Earlier{long}, "111 960 " + strings.Repeat("00", 1023) + ", 111 0 0405"},
		"too long":           {2920, []Earlier{older, longer}, "111 1920 0102, 111 0 0405"},
		"empty":              {2920, []Earlier{{1960, nil}, old}, "111 960 03, 111 0 0405"},
		"more than are read": {20, append([]Earlier{{1, []byte{9}}, {2, []byte{9}}}, many(15)...), strings.Repeat("111 1 06, ", 15) + "111 0 0405"},
	} {
		var r RED
		b := AppendRED([]byte{0xaa}, 111, c.timestamp, []byte{4, 5}, c.earlier)
		if b[0] != 0xaa || r.Parse(b[1:]) != nil {
			t.Errorf("%s: %x is not read", name, b)
			continue
		}
		var got []string
		for _, b := range r.Blocks() {
			got = append(got, fmt.Sprintf("%d %d %x", b.PayloadType, b.Ago, b.Data))
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s: got %.200s, want %.200s", name, s, c.want)
		}
	}
	// RFC 2198 §3: the bits of the header.
	if b := AppendRED(nil, 0xff, 960, []byte{2}, []Earlier{{0, []byte{1}}}); !bytes.Equal(b, unhex(t, "ff 0f0001 7f 01 02")) {
		t.Errorf("%x", b)
	}
}

func many(n int) (list []Earlier) {
	for range n {
		list = append(list, Earlier{19, []byte{6}})
	}
	return list
}

// FuzzAppendRED: what is written is read again, and nothing but what a block cannot hold is left out.
func FuzzAppendRED(f *testing.F) {
	f.Add(uint8(111), uint32(1920), uint32(960), uint32(960), []byte{1, 2, 3}, []byte{4, 5}, []byte{6})
	f.Add(uint8(0), uint32(5), uint32(16383), uint32(16384), make([]byte, 1023), make([]byte, 1024), []byte{})
	f.Add(uint8(255), uint32(0), uint32(0), uint32(1<<31), []byte{}, []byte{0}, []byte{0x80})
	f.Fuzz(func(t *testing.T, pt uint8, timestamp, ago1, ago2 uint32, first, second, primary []byte) {
		list := []Earlier{{timestamp - ago1, first}, {timestamp - ago2, second}}
		var want []Block
		for i, ago := range []uint32{ago1, ago2} {
			if n := len(list[i].Data); ago > 0 && ago < 1<<14 && n > 0 && n < 1<<10 {
				want = append(want, Block{pt & 0x7f, uint16(ago), list[i].Data})
			}
		}
		want = append(want, Block{PayloadType: pt & 0x7f, Data: primary})
		var r RED
		if err := r.Parse(AppendRED(nil, pt, timestamp, primary, list)); err != nil {
			t.Fatal(err)
		}
		got := r.Blocks()
		if len(got) != len(want) {
			t.Fatalf("%d blocks, want %d", len(got), len(want))
		}
		for i := range want {
			if got[i].PayloadType != want[i].PayloadType || got[i].Ago != want[i].Ago || !bytes.Equal(got[i].Data, want[i].Data) {
				t.Errorf("block %d is %+v, want %+v", i, got[i], want[i])
			}
		}
	})
}

func TestRedundantPayloadsAreNotAllocated(t *testing.T) {
	dst := make([]byte, 0, 300)
	list := [2]Earlier{{0, make([]byte, 80)}, {960, make([]byte, 80)}}
	primary := make([]byte, 80)
	free(t, "AppendRED", func() {
		if len(AppendRED(dst, 111, 1920, primary, list[:])) != 249 {
			t.Error("not all of it")
		}
	})
}

func BenchmarkAppendRED(b *testing.B) {
	dst := make([]byte, 0, 300)
	list := [2]Earlier{{0, make([]byte, 80)}, {960, make([]byte, 80)}}
	primary := make([]byte, 80)
	b.ReportAllocs()
	for b.Loop() {
		AppendRED(dst, 111, 1920, primary, list[:])
	}
}
