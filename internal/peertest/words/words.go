// Package words has somebody's words as packets of Opus, for tests of what listens to them.
package words

import (
	_ "embed"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"
)

// Frame is what each packet has of sound, in ticks of 48 kHz: 20 ms.
const Frame = 960

//go:embed words.txt
var file string

// Packets are those of an encoding: "voice" (hybrid, six seconds), "narrow" (SILK) or "wide" (CELT), of less than a second. Levels
// are those of the sound that libopus makes of each, in -dBov.
func Packets(t testing.TB, encoding string) (packets [][]byte, levels []int) {
	t.Helper()
	for line := range strings.Lines(file) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] != encoding {
			continue
		}
		level, err := strconv.Atoi(fields[1])
		if err != nil {
			t.Fatal(err)
		}
		packet, err := hex.DecodeString(fields[2])
		if err != nil {
			t.Fatal(err)
		}
		packets, levels = append(packets, packet), append(levels, level)
	}
	if len(packets) == 0 {
		t.Fatalf("no packets of %s", encoding)
	}
	return packets, levels
}
