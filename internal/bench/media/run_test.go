package media

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/bench"
	"parley/internal/peertest"
)

// A small call on a real bridge: everything that was sent arrives, and everything in the table was measured.
func TestASmallCallIsMeasured(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	dir := t.TempDir()
	tiny := Case{Name: "tiny", Senders: 2, Receivers: 3, Camera: "camera720", Voice: true}
	if err := tiny.load(""); err != nil {
		t.Fatal(err)
	}
	o := Options{Warm: 2 * time.Second, Duration: 1300 * time.Millisecond, Profile: dir, JSON: filepath.Join(dir, "out.json")}
	b := build{"this", peertest.Built(t)}
	n := loopback()
	r, err := o.measure(t.Context(), b, tiny, n, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", r)
	want := 3 * 2 * (tiny.camera.rate() + tiny.voice.rate())
	switch {
	case math.Abs(r.Forwarded/want-1) > 0.4:
		t.Errorf("%.0f packets/s, want %.0f", r.Forwarded, want)
	case r.CPU <= 0 || math.Abs(r.CPU-r.User-r.Sys) > 0.01:
		t.Errorf("%v µs of user and %v of system are %v", r.User, r.Sys, r.CPU)
	case r.PerSend < 1 || r.PerRead < 1 || r.Allocs <= 0 || r.RSS <= 0 || r.P50 <= 0 || r.P99 < r.P50 || r.Generator <= 0:
		t.Errorf("%+v", r)
	case r.Lost > 0.01 || r.Dropped != 0:
		t.Errorf("lost %v, dropped %v", r.Lost, r.Dropped)
	}
	if f, err := os.Stat(filepath.Join(dir, "tiny-this.pprof")); err != nil || f.Size() == 0 {
		t.Errorf("no profile: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "bridge-*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}

	var out strings.Builder
	if err := o.report(&out, []Case{tiny}, []build{b}, []bout{r}, n); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"Over loopback", "tiny: 2 × 720p + voice to 3", "| this |"} {
		if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), strings.Join(strings.Fields(part), " ")) {
			t.Errorf("no %q in\n%s", part, &out)
		}
	}
	var all []bout
	text, err := os.ReadFile(o.JSON)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &all); err != nil || len(all) != 1 || all[0] != r {
		t.Errorf("%v: %s", err, text)
	}
}

// A bridge that does not start is named with what it said.
func TestABridgeThatEndsIsReported(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	script := filepath.Join(t.TempDir(), "bridge")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho no sockets today\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := start(t.Context(), script, loopback(), t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "no sockets today") {
		t.Error(err)
	}
}

func TestLossAndSharesAreComputed(t *testing.T) {
	var before, after reading
	before.at = time.Now()
	after.at = before.at.Add(2 * time.Second)
	before.got.Packets, after.got.Packets = 100, 1100
	before.got.Expected, after.got.Expected = 100, 1350
	after.cpu = bench.CPU{User: 3 * time.Millisecond, Sys: 7 * time.Millisecond}
	before.own, after.own = bench.CPU{User: time.Millisecond}, bench.CPU{User: 3 * time.Millisecond}
	after.counts = counts{received: 50, reads: 25, overflow: 2, sent: 1000, sends: 400, dropped: 3, mallocs: 10}
	var r bout
	r.fill(before, after)
	want := bout{Forwarded: 500, CPU: 10, User: 3, Sys: 7, PerSend: 2.5, PerRead: 2, Allocs: 0.01, Lost: 0.2, Dropped: 5, Generator: 2}
	if r != want {
		t.Errorf("%+v, want %+v", r, want)
	}
	r = bout{}
	if r.fill(before, before); r != (bout{}) {
		t.Errorf("of nothing: %+v", r)
	}
}

func TestMetricsThatLackANumberAreRefused(t *testing.T) {
	text := `# HELP x y
parley_bridge_received_packets_total 1
parley_bridge_reads_total 2
parley_bridge_overflow_packets_total 3
parley_bridge_sent_packets_total 1.5e+06
parley_bridge_sends_total 5
parley_bridge_dropped_packets_total 6
go_memstats_mallocs_total 7
`
	n, err := parseCounts(strings.NewReader(text))
	if want := (counts{1, 2, 3, 1.5e6, 5, 6, 7}); err != nil || n != want {
		t.Errorf("%+v, %v", n, err)
	}
	for line := range strings.Lines(text) {
		if _, err := parseCounts(strings.NewReader(strings.Replace(text, line, "", 1))); err == nil != strings.HasPrefix(line, "#") {
			t.Errorf("without %q: %v", line, err)
		}
	}
	if _, err := parseCounts(strings.NewReader(strings.Replace(text, " 2\n", " two\n", 1))); !errors.Is(err, errMetrics) {
		t.Errorf("a word for a number: %v", err)
	}
}

func TestOptionsThatMeanNothingAreRefused(t *testing.T) {
	for _, o := range []Options{{Case: []string{"choir"}}, {Case: []string{"cameras"}, Equal: true}, {}, {Case: []string{"cameras"}, Trace: "/nowhere"}} {
		if _, _, err := o.chosen(); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	o := Options{Case: []string{"cameras", "equal-1x50"}, Equal: true, Binary: []string{"old=x/parley", "y/new"}}
	list, builds, err := o.chosen()
	if err != nil || len(list) != 1 || list[0].Name != "equal-1x50" || len(builds) != 2 || builds[0].name != "old" || builds[1].name != "new" ||
		!filepath.IsAbs(builds[1].path) {
		t.Errorf("%+v, %+v, %v", list, builds, err)
	}
}

// The pair of veth and the namespace are gone when the measuring is over.
func TestVethLeavesNothingBehind(t *testing.T) {
	if _, err := exec.LookPath("ip"); err != nil || os.Getuid() != 0 {
		if _, err := veth(t.Context()); err == nil {
			t.Error("made without root or ip(8)")
		}
		return
	}
	n, err := veth(t.Context())
	if err != nil {
		if peertest.Required("root") {
			t.Fatal(err)
		}
		t.Skip(err) // a container that may not
	}
	out, err := n.command("ip", "-br", "addr").CombinedOutput()
	if err != nil || !strings.Contains(string(out), n.server.String()) {
		t.Errorf("%v: %s", err, out)
	}
	n.remove()
	if out, _ := exec.Command("ip", "netns", "list").Output(); strings.Contains(string(out), n.namespace) {
		t.Errorf("the namespace is still there: %s", out)
	}
	if err := exec.Command("ip", "link", "show", n.device).Run(); err == nil {
		t.Error("the device is still there")
	}
}
