package browser

import (
	"os/exec"
	"regexp"
	"testing"

	"parley/internal/peertest"
)

// TestScripts runs the tests of those scripts of the page that need no browser: Jingle and session descriptions (with
// descriptions captured from Chromium and Firefox), the channel's rules, names, words; the focus's offer, layers, places; the gate; the
// client of the RoomServer door.
func TestScripts(t *testing.T) {
	cmd := exec.Command(peertest.Need(t, "node"), "--test", "unit.test.mjs", "bridge.test.mjs", "gate.test.mjs", "rs.test.mjs")
	cmd.Dir = scenarios
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if passed := regexp.MustCompile(`(?m)^\S* ?pass (\d+)`).FindSubmatch(out); passed == nil || len(passed[1]) < 2 {
		t.Errorf("fewer than ten tests have run:\n%s", out)
	}
}
